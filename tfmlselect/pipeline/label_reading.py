"""How the labels of a training set are read from its y, which may hold more than labels.

What may be given as labels at all is in `labels`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np
import tensorflow as tf
from scipy import sparse

from tfmlselect._checks import check_argument, is_whole, require, shown
from tfmlselect._containers import as_plain
from tfmlselect.labels import (
    Key,
    Labels,
    are_missing,
    check_label_names,
    check_labels,
    names_in,
    parts_shown,
)

_LOOKED_AT = 1000  # rows by which a part that may hold labels is told from one that cannot


@dataclasses.dataclass(frozen=True)
class LabelReading:
    """What the user said of the labels beside y itself.

    Attributes:
        names: q names; None: those that y has itself, if it has any.
        part: where y is a dict or a tuple, the key or index of the part that is the labels, or a
            sequence of them, whose columns are joined; None where y is the labels.
        missing: what stands in y where a label is unknown; None: all labels are known.

    Raises:
        ValueError: `part` is none of these.
    """

    names: Sequence[str] | None = None
    part: Key | Sequence[Key] | None = None
    missing: float | None = None

    def __post_init__(self) -> None:
        given: Any = self.part
        keys: list[Any] = list(given) if isinstance(given, (list, tuple)) else [given]
        named = [
            each != "" if isinstance(each, str) else is_whole(each) and each >= 0 for each in keys
        ]
        check_argument(
            given is None or (named and all(named) and len({*keys}) == len(keys)),
            "labels",
            given,
            "the key or index of a part of y, or a list of different ones",
            "Pass for example labels='tags', or leave it out where y is the labels",
        )
        if given is not None:  # whole numbers of NumPy as Python's
            keys = [each if isinstance(each, str) else int(each) for each in keys]
            part = keys if isinstance(given, (list, tuple)) else keys[0]
            object.__setattr__(self, "part", part)

    def labels(self, y: Any, rows: int | None = None) -> Labels:
        """The labels of all samples, of the y of all of them.

        Args:
            y: an array of labels; or a dict, tuple or list of arrays.
            rows: number of samples, by which a list of vectors is told from a list of rows.

        Raises:
            ValueError: y holds no valid labels, or it is not said which of its parts they are; or
                there are not q names.
        """
        keys = self.keys(y, rows)
        if not keys:
            found = check_labels(y, missing=self.missing)
            return self._named(found, names_in(y))
        if self._joins:
            columns = [_columns(y[key], key) for key in keys]
            widths = [each.shape[1] for each in columns]
            matrix, name = _side_by_side(columns), f"y[{[*keys]}]"
            _check_width(sum(widths), keys)
        else:
            matrix, name = y[keys[0]], f"y[{keys[0]!r}]"
        found = check_labels(matrix, name, self.missing)
        if not self._joins:
            widths = [found.q]
        own = [names_in(y[key]) for key in keys]
        return self._of_parts(found, keys, widths, own)

    def labels_of_stream(self, labels: np.ndarray, y_spec: Any) -> Labels:
        """The labels of all samples of a stream.

        Args:
            labels: what `in_sample` or `in_batch` gave of each sample, (n, q) or (n,).
            y_spec: the type of one sample's y, its shapes known.
        """
        keys = self.keys(y_spec)
        name = f"y[{[*keys]}]" if self._joins else "y"
        found = check_labels(labels, name, self.missing)
        if not keys:
            return self._named(found, None)
        widths = [math.prod(y_spec[key].shape) for key in keys] if self._joins else [found.q]
        return self._of_parts(found, keys, widths, [None] * len(keys))

    def keys(self, y: Any, rows: int | None = None) -> tuple[Key, ...]:
        """The keys of the parts of y that are its labels; none where y itself is.

        Args:
            y: of all samples, or the type of one sample's y.
            rows: as `labels` has it.

        Raises:
            ValueError: y has no such part, or several and none was named.
        """
        if not _has_parts(y, rows, named=self.part is not None):
            require(
                self.part is None,
                "`labels` names parts of a y that is a dict or a tuple",
                f"labels={shown(self.part)}, y={parts_shown(y)}",
                "Leave `labels` out, or pass y={'tags': ..., 'price': ...}",
            )
            return ()
        own = list(y) if isinstance(y, dict) else list(range(len(y)))
        if self.part is None:
            require(
                len(own) == 1,
                "y has several parts, and one or more of them are the labels",
                f"y={parts_shown(y)}",
                f"Say which: labels={_suggestion(y, own, self.missing)!r}",
            )
            return tuple(own)
        keys = self._said
        arrays = [key for key in own if not _has_parts(y[key], rows, named=False)]
        require(
            all(key in arrays for key in keys),
            "`labels` must name parts of y, each an array",
            f"labels={shown(self.part)}, y={parts_shown(y)}",
            f"Pass one or more of {arrays}",
        )
        return keys

    def in_sample(self, y: Any) -> Any:
        """The labels of one sample of a stream, (q,) or (), of its y."""
        return self._in_tensors(y, [-1])

    def in_batch(self, y: Any) -> Any:
        """The same of some samples of known shape: (b, q) or (b,)."""
        return self._in_tensors(y, [tf.shape(self.leaves(y)[0])[0], -1])

    def leaves(self, y: Any) -> list[Any]:
        """The parts of a sample's y, or of its type, that are its labels: `keys` knows them."""
        if not isinstance(y, (dict, tuple)):
            return [y]
        parts: Any = y
        return [parts[key] for key in self._said] or tf.nest.flatten(y)

    def _in_tensors(self, y: Any, shape: list[Any]) -> Any:
        parts = self.leaves(y)
        if not self._joins:
            return parts[0]
        dtype = tf.as_dtype(np.result_type(*(part.dtype.as_numpy_dtype for part in parts)))
        return tf.concat([tf.cast(tf.reshape(part, shape), dtype) for part in parts], axis=-1)

    @property
    def _said(self) -> tuple[Key, ...]:
        """The keys that were named."""
        if isinstance(self.part, (list, tuple)):
            return tuple(self.part)
        return () if self.part is None else (cast(Key, self.part),)

    @property
    def _joins(self) -> bool:
        return isinstance(self.part, (list, tuple))

    def _named(self, found: Labels, own: tuple[str, ...] | None) -> Labels:
        return found._replace(names=check_label_names(self.names, found.q) or own)

    def _of_parts(
        self,
        found: Labels,
        keys: Iterable[Key],
        widths: Iterable[int],
        own: Iterable[tuple[str, ...] | None],
    ) -> Labels:
        """The labels with their names, and with where they are in y."""
        parts = tuple(zip(keys, widths, strict=True))
        if not self._joins:
            return self._named(found, next(iter(own)))._replace(parts=parts)
        pairs = [
            (key, name)
            for (key, width), names in zip(parts, own, strict=True)
            for name in names or _numbered(key, width)
        ]
        names = tuple(name for _, name in pairs)
        if len({*names}) < len(names):  # tables with the same columns
            names = tuple(f"{key}/{name}" for key, name in pairs)
        return self._named(found, names)._replace(parts=parts)


PLAIN = LabelReading()  # y is the labels, and nothing more was said


def _has_parts(y: Any, rows: int | None, named: bool) -> bool:
    """Whether y is several arrays, and not one: a list of rows is one."""
    if sparse.issparse(y):  # of which one kind is a dict
        return False
    if isinstance(y, dict):
        return True
    if not isinstance(y, (list, tuple)) or not y:
        return False
    if named or any(isinstance(part, (dict, tf.TypeSpec)) for part in y):
        return True
    shapes = [getattr(part, "shape", ()) for part in y]
    if not all(map(len, shapes)):
        return False
    vectors = all(len(shape) == 1 for shape in shapes)
    return not vectors or (rows is not None and len(y) != rows)


def _columns(part: Any, key: Key) -> Any:
    """One of several parts with labels as a matrix: a vector is one column."""
    part = as_plain(part)
    if sparse.issparse(part):
        return part
    try:
        array = np.asanyarray(part)
        problem = "" if array.ndim in (1, 2) else f"shape {array.shape}"
    except Exception as error:  # rows of different lengths, ...
        problem = f"{type(error).__name__}: {error}".removesuffix(".")
    require(
        not problem,
        "Parts of y whose columns are joined must be vectors (n,) or matrices (n, q)",
        f"y[{key!r}] of {problem}" if problem.startswith("shape") else f"y[{key!r}]: {problem}",
        "Leave it out of `labels`",
    )
    return array[:, None] if array.ndim == 1 else array


def _side_by_side(columns: list[Any]) -> Any:
    rows = [each.shape[0] for each in columns]
    require(
        len({*rows}) == 1,
        "Parts of y must have one row for each sample",
        f"parts of {', '.join(map(str, rows))} rows",
        "Cut them to the same samples",
    )
    if all(map(sparse.issparse, columns)):
        return sparse.hstack(columns, format="csr")
    dense = [each.toarray() if sparse.issparse(each) else each for each in columns]
    join = np.ma.concatenate if any(map(np.ma.isMaskedArray, dense)) else np.concatenate
    return join(dense, axis=1)


def _check_width(width: int, keys: tuple[Key, ...]) -> None:
    remedy = "Name all parts that are labels"
    if len(keys) == 1:
        remedy += f", or pass labels={keys[0]!r} for class ids (n,)"
    received = f"labels={[*keys]!r}, one column"
    require(width > 1, "There must be two labels or more", received, remedy)


def _numbered(key: Key, width: int) -> tuple[str, ...]:
    return (str(key),) if width == 1 else tuple(f"{key}/{j}" for j in range(width))


def _suggestion(y: Any, keys: list[Key], missing: float | None) -> Key | list[Key]:
    """What `labels` may be meant to be: a matrix of labels, else all columns of labels."""
    fits = [key for key in keys if _may_be_labels(y[key], missing)] or keys
    matrices = [key for key in fits if _is_wide(y[key])]
    return matrices[0] if matrices else fits if len(fits) > 1 else fits[0]


def _is_wide(part: Any) -> bool:
    shape = tf.TensorShape(getattr(part, "shape", ()))
    columns = shape[-1] if shape.rank else None
    return (columns or 0) > 1 and (isinstance(part, tf.TypeSpec) or shape.rank == 2)


def _may_be_labels(part: Any, missing: float | None) -> bool:
    if isinstance(part, tf.TypeSpec) or sparse.issparse(part):
        return True
    if isinstance(part, (dict, tuple)):
        return False
    try:
        values = np.asarray(part[:_LOOKED_AT])
        return bool((np.isin(values, (0, 1)) | are_missing(values, missing)).all())
    except Exception:  # what has no rows
        return False
