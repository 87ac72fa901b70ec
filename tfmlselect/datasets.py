"""Multi-label data from the files in which the field shares it: ARFF of MULAN and of MEKA."""

from __future__ import annotations

import os
import re
import warnings
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from tfmlselect._checks import check_argument, require

__all__ = ["load_arff"]


_POSITIVE = ("1", "1.0", "yes", "true")
_NEGATIVE = ("0", "0.0", "no", "false")
# A field that is `?` or empty; in a sparse row what follows a column's number.
_MISSING = re.compile(r"(?:^|,)\s*\??\s*(?:,|$)|\s\?\s*[,}]")


def load_arff(
    path: str | os.PathLike, labels: int, *, label_location: str = "end"
) -> tuple[Any, np.ndarray, list[str], list[str]]:
    """Reads a multi-label ARFF file, by the reader of scikit-multilearn.

    That needs `pip install 'tfmlselect[multilearn]'`. What the reader gets wrong is mended: labels
    count as declared by name, so that 1 is positive in `{0,1}` and in `{1,0}`; and rows and columns
    at the end of a sparse file that hold nothing but zeros are there.

    Args:
        path: of an .arff file, dense or sparse (rows such as `{3 1, 7 0.5}`).
        labels: how many of its attributes are labels, q.
        label_location: where they stand, "end" (MULAN) or "start" (MEKA).

    Returns:
        The four `(x, y, feature_names, label_names)`. x is (n, d) float32, a NumPy array for a
        dense file, a scipy.sparse CSR matrix for a sparse one; nominal features are the positions
        of their values in the declaration. y is (n, q) uint8, 0 and 1. Then d and q names.

    Raises:
        ImportError: scikit-multilearn or liac-arff is not installed.
        FileNotFoundError: there is no such file.
        ValueError: `labels` below 1, or not below the number of attributes; `label_location` is
            neither "end" nor "start".
        ValueError: the file has no data rows, or cannot be read as ARFF.
        ValueError: a missing value; a label with other values than 0 and 1 (NO and YES, FALSE and
            TRUE).

    Example:
        >>> from pathlib import Path
        >>> import tfmlselect as tfml
        >>> head = "@relation r\\n@attribute size real\\n@attribute sun {0,1}\\n@data\\n"
        >>> _ = Path("two.arff").write_text(head + "0.5,1\\n2,0\\n")  # doctest: +SKIP
        >>> x, y, _, names = tfml.datasets.load_arff("two.arff", labels=1)  # doctest: +SKIP
        >>> y.tolist(), names  # doctest: +SKIP
        ([[1], [0]], ['sun'])
    """
    load_from_arff = _reader()
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"There is no ARFF file here. Received: path={path!r}. Pass the path of one; the sets "
            "of MULAN are at http://mulan.sourceforge.net/datasets-mlc.html."
        )
    is_place = label_location in ("end", "start")
    check_argument(is_place, "label_location", label_location, "'end' (MULAN) or 'start' (MEKA)")
    form = _form(path)
    require(form.rows > 0, "An ARFF file needs rows after its @data line", path, "Look into it")
    require(
        not form.missing,
        "Missing values are read as 0",  # by the reader; nothing of them is left to see
        f"{path!r}, the first in row {form.missing - 1} of the data",
        "Fill them in the file first, with what the feature's other values suggest",
    )
    q, whole = labels, isinstance(labels, (int, np.integer))
    wanted = f"how many of its {form.attributes} attributes are labels, from 1 to all but one"
    check_argument(whole and 1 <= q < form.attributes, "labels", labels, wanted)
    matrix, attributes = _read(load_from_arff, path, form)
    if label_location == "start":
        matrix = sparse.hstack([matrix[:, q:], matrix[:, :q]], format="csr")
        attributes = attributes[q:] + attributes[:q]
    y = _labels(matrix[:, -q:].toarray(), attributes[-q:])
    x = matrix[:, :-q].astype(np.float32)
    names = [name for name, _ in attributes]
    return x if form.sparse else x.toarray(), y, names[:-q], names[-q:]


def _reader() -> Any:
    try:
        from skmultilearn.dataset import load_from_arff
    except ImportError as error:
        raise ImportError(
            "load_arff needs scikit-multilearn and liac-arff. "
            f"Received: {error}. Install them: pip install 'tfmlselect[multilearn]'."
        ) from error
    return load_from_arff


class _Form(NamedTuple):
    """What the reader has to be told, or forgets."""

    attributes: int
    rows: int
    sparse: bool
    missing: int  # the first data row with a missing value, counted from 1; 0 for none


def _form(path: str) -> _Form:
    attributes = rows = missing = 0
    first, in_data = "", False
    with open(path) as file:  # the encoding is the reader's
        for line in file:
            text = line.strip()
            if not text or text.startswith("%"):
                continue
            if in_data:
                first = first or text
                rows += 1
                if not missing and _MISSING.search(text):
                    missing = rows
            elif text.upper().startswith("@ATTRIBUTE"):
                attributes += 1
            else:
                in_data = text.upper().startswith("@DATA")
    return _Form(attributes, rows, first.startswith("{"), missing)


def _read(load_from_arff: Any, path: str, form: _Form) -> tuple[Any, list]:
    """All columns as a CSR matrix of float64, and the attributes as (name, type or values)."""
    problem = ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the reader leaves the file open
        try:
            # Told of no labels it hands over the matrix whole: it would count labels from the last
            # column that has an entry, not from the last one.
            matrix, _, attributes, _ = load_from_arff(
                path,
                0,
                label_location="start",
                load_sparse=form.sparse,
                return_attribute_definitions=True,
            )
        # Whatever it trips over, which are its own errors, ValueError, TypeError and IndexError.
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
    require(not problem, "The file cannot be read as ARFF", f"{path!r}, {problem}", "Look into it")
    matrix = matrix.tocsr().astype(np.float64)
    matrix.resize(form.rows, form.attributes)
    matrix.eliminate_zeros()
    return matrix, attributes


def _labels(codes: np.ndarray, attributes: list) -> np.ndarray:
    """0 and 1 of what the reader made of them: numbers, or positions in the declared values."""
    y = np.empty(codes.shape, np.uint8)
    for column, (name, kind) in enumerate(attributes):
        values = codes[:, column]
        if isinstance(kind, str):
            wrong = (values != 0) & (values != 1)
            if wrong.any():
                row = wrong.argmax()
                raise _not_a_label(name, f"{values[row]:g} in row {row}")
            y[:, column] = values
        else:
            words = [value.lower() for value in kind]
            if not {*words} <= {*_POSITIVE, *_NEGATIVE}:
                raise _not_a_label(name, "{" + ",".join(kind) + "}")
            y[:, column] = np.isin(words, _POSITIVE)[values.astype(np.intp)]
    return y


def _not_a_label(name: str, received: str) -> ValueError:
    return ValueError(
        f"The label {name!r} must be 0 or 1 for each sample. Received: {received}. Check `labels` "
        "and `label_location`: labels are the last attributes (MULAN) or the first (MEKA)."
    )


def __dir__() -> list[str]:
    return [*__all__]
