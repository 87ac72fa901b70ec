"""ARFF files: what a row says is what comes out, however labels are declared and placed."""

import doctest
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

import tfmlselect as tfml
from tfmlselect.datasets import load_arff

HEAD = "@RELATION 'r: -C 2'\n\n% a comment\n"
FEATURES = "@attribute a numeric\n@attribute 'b c' real\n@attribute colour {red,green,blue}\n"
LABELS = "@attribute one {0,1}\n@attribute two {0,1}\n"
DENSE = "0.5,-2,red,0,1\n% between\n\n1,3,blue,1,0\n0,0,green,0,0\n"
SPARSE = "{0 0.5, 1 -2, 4 1}\n{0 1,2 blue,3 1}\n{}\n"


@pytest.fixture
def write(tmp_path):
    pytest.importorskip("arff")

    def written(*parts, encoding="utf-8"):
        path = tmp_path / "set.arff"
        path.write_text("".join(parts), encoding=encoding)
        return path

    return written


def test_dense_file(write):
    x, y, features, labels = load_arff(write(HEAD, FEATURES, LABELS, "@DATA\n", DENSE), 2)
    assert (x.dtype, y.dtype) == (np.float32, np.uint8)
    np.testing.assert_array_equal(x, [[0.5, -2, 0], [1, 3, 2], [0, 0, 1]])
    assert y.tolist() == [[0, 1], [1, 0], [0, 0]]
    assert (features, labels) == (["a", "b c", "colour"], ["one", "two"])


def test_sparse_file_keeps_its_last_rows_and_columns_of_zeros(write):
    more = "@attribute three {0,1}\n"
    path = write(HEAD, FEATURES, LABELS, more, "@data\n", SPARSE)
    x, y, features, labels = load_arff(path, labels=3)
    assert isinstance(x, sparse.csr_matrix | sparse.csr_array)
    assert (x.dtype, y.dtype) == (np.float32, np.uint8)
    np.testing.assert_array_equal(x.toarray(), [[0.5, -2, 0], [1, 0, 2], [0, 0, 0]])
    assert x.nnz == 4
    assert y.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]
    assert (len(features), labels) == (3, ["one", "two", "three"])


def test_labels_at_the_start(write):
    rows = "0,1,0.5,-2,red\n1,0,1,3,blue\n"
    path = write(HEAD, LABELS, FEATURES, "@data\n", rows)
    x, y, features, labels = load_arff(path, 2, label_location="start")
    assert x.tolist() == [[0.5, -2, 0], [1, 3, 2]]
    assert y.tolist() == [[0, 1], [1, 0]]
    assert (features, labels) == (["a", "b c", "colour"], ["one", "two"])


def test_labels_at_the_start_of_a_sparse_file(write):
    path = write(HEAD, LABELS, FEATURES, "@data\n", "{1 1,2 0.5,3 -2}\n{0 1}\n{}\n")
    x, y, *_ = load_arff(path, 2, label_location="start")
    assert x.toarray().tolist() == [[0.5, -2, 0], [0, 0, 0], [0, 0, 0]]
    assert y.tolist() == [[0, 1], [1, 0], [0, 0]]


@pytest.mark.parametrize(
    ("kind", "off", "on"),
    [
        ("{0,1}", "0", "1"),
        ("{1,0}", "0", "1"),
        ("{ 1, 0 }", "0", "1"),
        ("{'0','1'}", "0", "1"),
        ("{NO,YES}", "NO", "YES"),
        ("{YES,NO}", "NO", "YES"),
        ("{true,false}", "false", "true"),
        ("numeric", "0", "1"),
        ("integer", "0", "1.0"),
    ],
)
def test_a_label_counts_by_name_however_it_is_declared(write, kind, off, on):
    head = f"@relation r\n@attribute a real\n@attribute l {kind}\n@data\n"
    dense = load_arff(write(head, f"1,{on}\n2,{off}\n3,{on}\n"), 1)
    sparse_rows = load_arff(write(head, f"{{0 1,1 {on}}}\n{{0 2,1 {off}}}\n{{1 {on}}}\n"), 1)
    assert dense[1].tolist() == sparse_rows[1].tolist() == [[1], [0], [1]]


def test_what_a_sparse_row_leaves_out_is_the_first_declared_value(write):
    head = "@relation r\n@attribute a real\n@attribute l {1,0}\n@attribute m {0,1}\n@data\n"
    y = load_arff(write(head, "{0 1}\n{0 1,1 0}\n{2 1}\n"), 2)[1]
    assert y.tolist() == [[1, 0], [0, 0], [1, 1]]


def test_a_label_that_is_never_positive_may_declare_one_value(write):
    head = "@relation r\n@attribute a real\n@attribute l {0}\n@data\n"
    assert load_arff(write(head, "1,0\n2,0\n"), 1)[1].tolist() == [[0], [0]]


@pytest.mark.parametrize("labels", [0, -1, 5, 6, 2.0])
def test_number_of_labels_out_of_range(write, labels):
    path = write(HEAD, FEATURES, LABELS, "@data\n", DENSE)
    with pytest.raises(ValueError, match=re.escape(f"labels={labels!r}. Pass how many of its 5")):
        load_arff(path, labels)


def test_unknown_location(write):
    path = write(HEAD, FEATURES, LABELS, "@data\n", DENSE)
    with pytest.raises(ValueError, match="label_location='middle'"):
        load_arff(path, 2, label_location="middle")


def test_no_file(write, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Received: path='.*nowhere.arff'"):
        load_arff(tmp_path / "nowhere.arff", 2)


@pytest.mark.parametrize(
    ("kind", "rows", "message"),
    [
        ("{0,1,2}", "1,0\n", r"'l' must be 0 or 1 .* Received: \{0,1,2\}"),
        ("{cat,dog}", "1,cat\n", r"Received: \{cat,dog\}"),
        ("numeric", "1,0\n1,0.5\n", "Received: 0.5 in line 6. Check `labels`"),
        ("numeric", "1,-1\n", "Received: -1 in line 5"),
        ("{0,1}", "1,0\n1,?\n", "line 6: a missing value of 'l'"),
        ("{0,1}", "1,0\n ? ,1\n", "line 6: a missing value of 'a'"),
        ("{0,1}", "1,0\n%\n\n,0\n", "line 8: a missing value of 'a'"),
        ("{0,1,?}", "1,0\n1,?\n", "line 6: a missing value of 'l'"),
        ("{0,1}", "1,0\n1,3\n", "ARFF. Received: .*line 6: BadNominalValue.* 3 not found"),
        ("{0,1}", "abc,0\n", "line 5: BadNumericalValue"),
        ("{0,1}", "1,0\n1,0,1\n", "line 6: BadDataFormat"),
        ("{0,1}", "1,0\n1\n", "line 6: BadDataFormat"),
        ("{0,1}", "1,'0\n", "line 5: BadLayout"),
        ("{0,1}", "{0 1}\n1,0\n", "line 6: BadLayout"),
        ("{0,1}", "1,0\n{0 1}\n", "line 6: a sparse row among dense ones"),
        ("{0,1}", "{7 1}\n", "line 5: BadDataFormat"),
        ("{0,1}", "{0 1\n", "line 5: BadLayout"),
        ("{0,1}", "{0 ?, 1 1}\n{}\n", "line 5: a missing value of 'a'"),
        ("{0,1}", "{0 1}\n{0 1, 1 1, 0 2}\n", "line 6: the column 0 is given twice"),
        ("{0,1}", "nan,0\n", "line 5: nan of 'a' is not finite"),
        ("{0,1}", "1,0\n-inf,0\n", "line 6: -inf of 'a' is not finite"),
        ("{0,1}", "1e400,0\n", "line 5: inf of 'a' is not finite"),
        ("{0,1}", "{0 1e39}\n", "line 5: 1e\\+39 of 'a' is not finite in float32"),
        ("numeric", "1,inf\n", "line 5: inf of 'l' is not finite"),
        ("integer", "1,1.5\n", "line 5: 1.5 of 'l', which is an integer"),
        ("integer", "1,0\n1,1e-9\n", "line 6: 1e-09 of 'l', which is an integer"),
        ("string", "1,0\n", "line 4: the attribute 'l' is text"),
        ("date", "1,0\n", "line 3: BadAttributeType"),
        ("{0,0}", "1,0\n", "line 4: the attribute 'l' has no values, or one of them twice"),
        ("{?}", "1,?\n", "line 4: the attribute 'l' has no values, or one of them twice"),
        ("{0,1}", "", "needs rows after its @data line"),
    ],
)
def test_files_that_are_not_what_they_should_be(write, kind, rows, message):
    head = f"@relation r\n@attribute a real\n@attribute l {kind}\n@data\n"
    with pytest.raises(ValueError, match=message):
        load_arff(write(head, rows), 1)


NAMES = HEAD + "@attribute größe real\n@attribute l {0,1}\n@data\n1,0\n2,1\n"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252", "utf-32"]
)
def test_encodings(write, encoding):
    path = write(NAMES, encoding=encoding)
    said = None if encoding.startswith("utf-8") or encoding == "utf-16" else encoding
    x, y, features, _ = load_arff(path, 1, encoding=said)
    assert (x.tolist(), y.tolist(), features) == ([[1], [2]], [[0], [1]], ["größe"])


def test_bytes_in_another_encoding_name_their_line(write):
    path = write(NAMES, encoding="latin-1")
    with pytest.raises(ValueError, match=r"not text in utf-8. Received: .*, line 4. .*latin-1"):
        load_arff(path, 1)
    path.write_bytes(path.read_bytes()[:-3] + b"\x00\xff\n")
    with pytest.raises(ValueError, match=r"not text in utf-16. Received: .*, line \d"):
        load_arff(path, 1, encoding="utf-16")
    for encoding in ("no such", "hex", "", 3):
        with pytest.raises(ValueError, match="`encoding` must be None or an encoding"):
            load_arff(path, 1, encoding=encoding)


@pytest.mark.parametrize("lines", ["\n", "\r\n", "\r"], ids=repr)
def test_line_ends_and_tabs(write, lines):
    text = HEAD + "@attribute\ta\tINTEGER \n@attribute l\t{0,1}\n@data\n3.0,0\n-4,1\n"
    x, y, *_ = load_arff(write(text.replace("\n", lines)), 1)
    assert (x.tolist(), y.tolist()) == ([[3], [-4]], [[0], [1]])


def test_a_declared_question_mark_is_no_value(write):
    head = "@relation r\n@attribute a {?,red,'?'}\n@attribute l {?,1,0}\n@data\n"
    x, y, *_ = load_arff(write(head, "red,0\n'?',1\n"), 1)
    assert (x.tolist(), y.tolist()) == ([[0], [1]], [[0], [1]])
    x, y, *_ = load_arff(write(head, "{1 0}\n{0 '?'}\n"), 1)
    assert (x.toarray().tolist(), y.tolist()) == ([[0], [1]], [[0], [1]])


@given(st.data())
def test_any_table_comes_back(tmp_path_factory, data):
    """Whatever numbers a file holds: as float32, or an error that names the line."""
    pytest.importorskip("arff")
    size = data.draw(st.integers(1, 4))
    numbers = st.floats(width=32, allow_nan=False, allow_infinity=False) | st.floats()
    table = data.draw(st.lists(st.lists(numbers, min_size=size, max_size=size), min_size=1))
    y = data.draw(st.lists(st.integers(0, 1), min_size=len(table), max_size=len(table)))
    head = "".join(f"@attribute a{each} real\n" for each in range(size))
    is_sparse = data.draw(st.booleans())
    rows = []
    for values in (map(repr, [*row, label]) for row, label in zip(table, y, strict=True)):
        if is_sparse:
            rows.append("{" + ",".join(f"{j} {value}" for j, value in enumerate(values)) + "}")
        else:
            rows.append(",".join(values))
    path = tmp_path_factory.mktemp("any") / "set.arff"
    path.write_text(f"@relation r\n{head}@attribute l {{0,1}}\n@data\n" + "\n".join(rows))
    with np.errstate(over="ignore"):
        wanted = np.array(table, np.float32)
    bad = ~np.isfinite(wanted).all(axis=1)
    if bad.any():
        line = 3 + size + 1 + bad.argmax()
        with pytest.raises(ValueError, match=rf"line {line}: .* is not finite"):
            load_arff(path, 1)
        return
    x, found, *_ = load_arff(path, 1)
    np.testing.assert_array_equal(x.toarray() if is_sparse else x, wanted)
    assert found[:, 0].tolist() == y


def test_without_the_extra_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "arff", None)
    with pytest.raises(ImportError, match="pip install liac-arff"):
        load_arff("any.arff", 1)


def test_importing_the_package_does_not_import_the_reader():
    code = "import sys, tfmlselect; print({'arff'} & {*sys.modules})"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert run.stdout == "set()\n"
    assert "datasets" in tfml.__all__


def test_the_example_of_the_docstring_holds(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = re.sub(r" *# doctest: \+SKIP", "", load_arff.__doc__)
    example = doctest.DocTestParser().get_doctest(text, {}, "load_arff", None, None)
    assert len(example.examples) > 4
    assert doctest.DocTestRunner().run(example).failed == 0
