"""ARFF text of any set of data, read as it was written."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from tests.properties.examples import examples
from tfmlselect.datasets import load_arff

pytest.importorskip("skmultilearn")
pytest.importorskip("arff")

WORDS = ["red", "dark green", "a,b", "100%", "x{y}", "no", "1e3", "?!"]
NUMBERS = st.one_of(
    st.integers(-1000, 1000).map(float),
    st.floats(-1e6, 1e6, width=32),
    st.sampled_from([1e-30, 3.4e38, -0.5]),
)
LABELS = [("0", "1"), ("1", "0"), ("NO", "YES"), ("true", "false")]
POSITIVE = {"1", "YES", "true"}


def quoted(text):
    plain = text.isalnum()
    return text if plain else f"'{text}'"


@st.composite
def features(draw, n):
    """A column: its declared kind, its texts, and the numbers that they mean."""
    if draw(st.booleans()):
        values = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4, unique=True))
        codes = draw(st.lists(st.integers(0, len(values) - 1), min_size=n, max_size=n))
        kind = "{" + ", ".join(map(quoted, values)) + "}"
        return kind, [quoted(values[code]) for code in codes], [float(code) for code in codes]
    kind = draw(st.sampled_from(["numeric", "REAL", "real"]))
    numbers = draw(st.lists(NUMBERS, min_size=n, max_size=n))
    return kind, [repr(number) for number in numbers], numbers


@st.composite
def labels(draw, n):
    """The same of a label; what a sparse row leaves out is the first declared value."""
    y = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    if draw(st.booleans()):
        return "numeric", [str(int(each)) for each in y], [float(each) for each in y], y
    values = draw(st.sampled_from(LABELS))
    texts = [next(v for v in values if (v in POSITIVE) == each) for each in y]
    return "{" + ",".join(values) + "}", texts, [float(values.index(t)) for t in texts], y


@st.composite
def files(draw):
    n = draw(st.integers(1, 6))
    x = draw(st.lists(features(n), min_size=1, max_size=4))
    y = draw(st.lists(labels(n), min_size=1, max_size=3))
    location, is_sparse = draw(st.sampled_from(["start", "end"])), draw(st.booleans())
    columns = [("y", *each[:3]) for each in y]
    columns = columns + [("x", *each) for each in x] if location == "start" else [
        ("x", *each) for each in x
    ] + columns  # fmt: skip
    lines = ["% made", "", "@relation 'any: -C 1'"]
    names = []
    for number, (which, kind, *_) in enumerate(columns):
        names.append(f"{which} {number}" if draw(st.booleans()) else f"{which}{number}")
        word = draw(st.sampled_from(["@attribute", "@ATTRIBUTE"]))
        lines.append(f"{word} {quoted(names[-1])} {kind}")
    lines += ["", draw(st.sampled_from(["@data", "@DATA"]))]
    for i in range(n):
        if is_sparse:
            entries = [
                f"{number} {texts[i]}"
                for number, (_, _, texts, codes) in enumerate(columns)
                if codes[i] != 0.0
            ]
            lines.append("{" + draw(st.sampled_from([", ", ","])).join(entries) + "}")
        else:
            lines.append(draw(st.sampled_from([",", ", "])).join(c[2][i] for c in columns))
        lines += draw(st.sampled_from([[], ["% between"], [""]]))
    return {
        "text": "\n".join(lines) + "\n",
        "labels": len(y),
        "location": location,
        "is_sparse": is_sparse,
        "x": np.array([each[2] for each in x], np.float32).T,
        "y": np.array([each[3] for each in y], np.uint8).T,
        "x names": [name for name in names if name.startswith("x")],
        "y names": [name for name in names if name.startswith("y")],
    }


@examples(60)
@given(files())
def test_what_was_written_is_read(file):
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "any.arff"
        path.write_text(file["text"], encoding="utf-8")
        x, y, x_names, y_names = load_arff(path, file["labels"], label_location=file["location"])
    assert sparse.issparse(x) == file["is_sparse"]
    np.testing.assert_array_equal(x.toarray() if file["is_sparse"] else x, file["x"])
    np.testing.assert_array_equal(y, file["y"])
    assert (x_names, y_names) == (file["x names"], file["y names"])
