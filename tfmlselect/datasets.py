"""Multi-label data from the files in which the field shares it: ARFF of MULAN and of MEKA.

Files are not downloaded here, and nothing is scaled or split.
"""

from __future__ import annotations

import codecs
import io
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from tfmlselect._checks import check_argument, check_choice, check_path, is_whole, require

__all__ = ["load_arff"]


_POSITIVE = ("1", "1.0", "yes", "true")
_NEGATIVE = ("0", "0.0", "no", "false")
_LOOK = "Look into the file with an editor"
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_INTEGER = re.compile(r"(@attribute\s.*\s)integer\s*", re.IGNORECASE)
_QUOTED = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\"""")
_SPARSE_COLUMN = re.compile(r"[{,]\s*(\d+)")


def load_arff(
    path: str | os.PathLike[str],
    labels: int,
    *,
    label_location: str = "end",
    encoding: str | None = None,
) -> tuple[Any, np.ndarray, list[str], list[str]]:
    """Reads a multi-label ARFF file, by the parser of liac-arff.

    That needs `pip install liac-arff`. Labels count as declared by name, so that 1 is
    positive in `{0,1}` and in `{1,0}`.

    Args:
        path: of an .arff file, dense or sparse (rows such as `{3 1, 7 0.5}`).
        labels: how many of its attributes are labels, q.
        label_location: where they stand, "end" (MULAN) or "start" (MEKA).
        encoding: of the text, such as "latin-1"; None: UTF-8, or what a byte-order mark says.

    Returns:
        The four `(x, y, feature_names, label_names)`. x is (n, d) float32, a NumPy array for a
        dense file, a scipy.sparse CSR matrix for a sparse one; nominal features are the positions
        of their values in the declaration, in which a `?` is not counted. y is (n, q) uint8, 0 and
        1. Then d and q names.

    Raises:
        ImportError: liac-arff is not installed.
        FileNotFoundError: there is no such file.
        ValueError: `labels` below 1, or not below the number of attributes; `label_location` is
            neither "end" nor "start"; Python has no such `encoding`.
        ValueError: the file has no data rows, is in another encoding, or cannot be read as ARFF.
        ValueError: a missing value; a number that is not finite in float32, or not whole where the
            attribute is an integer; a column given twice in a sparse row; an attribute of text.
        ValueError: a label with other values than 0 and 1 (NO and YES, FALSE and TRUE).

    Example:
        >>> from pathlib import Path
        >>> import tfmlselect as tfml
        >>> head = "@relation r\\n@attribute size real\\n@attribute sun {0,1}\\n@data\\n"
        >>> _ = Path("two.arff").write_text(head + "0.5,1\\n2,0\\n")  # doctest: +SKIP
        >>> x, y, _, names = tfml.datasets.load_arff("two.arff", labels=1)  # doctest: +SKIP
        >>> y.tolist(), names  # doctest: +SKIP
        ([[1], [0]], ['sun'])
    """
    path = check_path("path", path, "file")
    check_choice("label_location", label_location, ("end", "start"))
    _check_encoding(encoding)
    parser = _parser()
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"There is no ARFF file here. Received: path={path!r}. Pass the path of one; the sets "
            "of MULAN are at http://mulan.sourceforge.net/datasets-mlc.html."
        )
    text = _text(path, encoding)
    attribute_count, first_row = _outline(text)
    require(first_row, "An ARFF file needs rows after its @data line", f"path={path!r}", _LOOK)
    q, ok = labels, is_whole(labels) and 1 <= labels < attribute_count
    wanted = f"how many of its {attribute_count} attributes are labels, from 1 to all but one"
    check_argument(ok, "labels", labels, wanted, f"Pass {wanted}")
    is_sparse = first_row.startswith("{")
    table, attributes, lines = _read(parser, text, path, is_sparse)
    if label_location == "start":
        order = [*range(q, len(attributes)), *range(q)]
        table, attributes = table[:, order], [attributes[each] for each in order]
    matrix = table[:, -q:].toarray() if is_sparse else table[:, -q:]
    y = _labels(matrix, attributes[-q:], lines)
    x = sparse.csr_matrix(table[:, :-q]) if is_sparse else np.ascontiguousarray(table[:, :-q])
    names = [attribute.name for attribute in attributes]
    return x, y, names[:-q], names[-q:]


def _parser() -> Any:
    try:
        import arff
    except ImportError as error:
        raise ImportError(
            f"load_arff needs liac-arff. Received: {error}. Install it: pip install liac-arff."
        ) from error
    return arff


def _check_encoding(encoding: Any) -> None:
    known = encoding is None
    if isinstance(encoding, str):
        try:
            known = codecs.lookup(encoding)._is_text_encoding  # what `open` asks
        except (LookupError, ValueError):
            known = False
    wanted = "None or an encoding that Python knows"
    check_argument(known, "encoding", encoding, wanted, 'Pass for example encoding="latin-1"')


def _text(path: str, encoding: str | None) -> str:
    with open(path, "rb") as file:
        data = file.read()
    if encoding is None:
        found = (kind for mark, kind in _MARKS.items() if data.startswith(mark))
        encoding = next(found, "utf-8")
    text, line = "", 0
    try:
        text = data.decode(encoding)
    except UnicodeError as error:
        at = getattr(error, "start", 0)
        line = 1 + data[:at].decode(encoding, errors="replace").count("\n")
    require(
        line == 0,
        f"The file is not text in {encoding}",
        f"path={path!r}, line {line}",
        'Say what it is in, for example encoding="latin-1", or save it as UTF-8',
    )
    return text


def _outline(text: str) -> tuple[int, str]:
    """How many attributes are declared, and the first row of the data; "" where there is none."""
    attributes, in_data = 0, False
    for line in map(str.strip, io.StringIO(text, newline=None)):
        if not line or line.startswith("%"):
            continue
        if in_data:
            return attributes, line
        attributes += line.upper().startswith("@ATTRIBUTE")
        in_data = line.upper().startswith("@DATA")
    return attributes, ""


class _Lines:
    """The lines of a file, for the parser; knows which one it is at.

    Attributes:
        number: of the line that was read last, from 1.
        line: that line.
        integers: which attributes were declared as integers. The parser is told that they are real:
            it would cut them off.
    """

    def __init__(self, text: str):
        self._text = text
        self.number = 0
        self.line = ""
        self.integers: set[int] = set()

    def __iter__(self) -> Iterator[str]:
        count, in_data = 0, False
        for line in io.StringIO(self._text, newline=None):
            self.number += 1
            self.line = line.strip()
            if not in_data and self.line.startswith("@"):
                line = self.line.replace("\t", " ")  # the parser looks for a space
                if line.upper().startswith("@ATTRIBUTE"):
                    if whole := _INTEGER.fullmatch(line):
                        self.integers.add(count)
                        line = f"{whole[1]}real"
                    count += 1
                in_data = line.upper().startswith("@DATA")
            yield line


class _Attribute(NamedTuple):
    """A column: its name, and what its values may be."""

    name: str
    codes: dict[str, int] | None  # of a nominal one, value -> position; None for a number
    whole: bool


def _read(
    parser: Any, text: str, path: str, is_sparse: bool
) -> tuple[Any, list[_Attribute], np.ndarray]:
    """All columns, (n, d + q) float32, dense or CSR; the attributes; and the line of each row."""
    lines = _Lines(text)
    rows: list[np.ndarray] = []
    columns: list[np.ndarray] = []
    numbers: list[int] = []
    attributes: list[_Attribute] = []
    problem = ""
    try:
        kind = parser.LOD_GEN if is_sparse else parser.DENSE_GEN
        found = parser.load(iter(lines), return_type=kind)
        attributes = _attributes(found["attributes"], lines.integers)
        for values in found["data"]:
            wrong, numbered = _row(values, attributes, lines.line)
            if wrong:
                raise ValueError(wrong)
            if is_sparse:
                columns.append(np.fromiter(values, np.int64, len(values)))
            rows.append(numbered)
            numbers.append(lines.number)
    # The parser's errors, ours, and any of Python's that a broken file leads to.
    except Exception as error:
        problem = _words_of(error, parser, lines.number)
    received = f"path={path!r}, line {lines.number}: {problem}"
    require(not problem, "The file cannot be read as ARFF", received, _LOOK)
    return _table(rows, columns, len(attributes)), attributes, np.array(numbers)


def _words_of(error: Exception, parser: Any, line: int) -> str:
    if isinstance(error, parser.ArffException):
        error.line = line
        return f"{type(error).__name__}: {error}".removesuffix(".")
    return f"{error}".removesuffix(".") or type(error).__name__


def _attributes(declared: Iterable[tuple[str, Any]], integers: set[int]) -> list[_Attribute]:
    attributes = []
    for number, (name, kind) in enumerate(declared):
        if kind == "STRING":
            raise ValueError(f"the attribute {name!r} is text, which is no feature")
        codes = None
        if not isinstance(kind, str):
            values = [value for value in kind if value is not None]  # `?` says: may be missing
            codes = {value: place for place, value in enumerate(values)}
            if not codes or len(codes) < len(values):
                raise ValueError(f"the attribute {name!r} has no values, or one of them twice")
        attributes.append(_Attribute(name, codes, number in integers))
    return attributes


def _row(values: Any, attributes: list[_Attribute], line: str) -> tuple[str, np.ndarray]:
    """What is wrong with a row, or "", and its numbers in float32."""
    none = np.empty(0, np.float32)
    if isinstance(values, dict):
        given = _SPARSE_COLUMN.findall(_QUOTED.sub("", line))
        if len(given) != len(values):
            twice = next((each for each in given if given.count(each) > 1), "")
            return f"the column {twice} is given twice", none
        kinds, values = [attributes[column] for column in values], [*values.values()]
    else:
        if line.startswith("{"):
            return "a sparse row among dense ones", none
        kinds = attributes
    if None in values:
        return f"a missing value of {kinds[values.index(None)].name!r}, to be filled in first", none
    pairs = zip(kinds, values, strict=True)
    row = np.array([value if kind.codes is None else kind.codes[value] for kind, value in pairs])
    with np.errstate(over="ignore"):
        narrow = row.astype(np.float32)
    for place in np.flatnonzero(~np.isfinite(narrow))[:1]:
        return f"{row[place]} of {kinds[place].name!r} is not finite in float32", none
    for place in np.flatnonzero(row % 1):
        if kinds[place].whole:
            return f"{row[place]} of {kinds[place].name!r}, which is an integer", none
    return "", narrow


def _table(rows: list[np.ndarray], columns: list[np.ndarray], width: int) -> Any:
    if not columns:
        return np.array(rows)
    ends = np.cumsum([0, *map(len, rows)])
    parts = np.concatenate(rows), np.concatenate(columns), ends
    matrix = sparse.csr_matrix(parts, shape=(len(rows), width))
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix


def _labels(codes: np.ndarray, attributes: list[_Attribute], lines: np.ndarray) -> np.ndarray:
    """0 and 1 of numbers, or of positions in the declared values; (n, q) both."""
    y = np.empty(codes.shape, np.uint8)
    for column, (name, positions, _) in enumerate(attributes):
        values = codes[:, column]
        if positions is None:
            wrong = (values != 0) & (values != 1)
            if wrong.any():
                row = wrong.argmax()
                raise _not_a_label(name, f"{values[row]:g} in line {lines[row]}")
            y[:, column] = values
        else:
            declared = [value.lower() for value in positions]
            if not {*declared} <= {*_POSITIVE, *_NEGATIVE}:
                raise _not_a_label(name, "{" + ",".join(positions) + "}")
            y[:, column] = np.isin(declared, _POSITIVE)[values.astype(np.intp)]
    return y


def _not_a_label(name: str, received: str) -> ValueError:
    return ValueError(
        f"The label {name!r} must be 0 or 1 for each sample. Received: {received}. Check `labels` "
        "and `label_location`: labels are the last attributes (MULAN) or the first (MEKA)."
    )


def __dir__() -> list[str]:
    return [*__all__]
