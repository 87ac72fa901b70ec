"""Samples from arrays in memory or on disk, gathered a whole batch at a time."""

from __future__ import annotations

import functools
import hashlib
import math
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from scipy import sparse

from tfmlselect._checks import check_finite, check_unmasked
from tfmlselect._containers import as_plain, columns_without_numbers
from tfmlselect.pipeline.kept_samples import KeptSamples, check_weights
from tfmlselect.pipeline.label_reading import PLAIN, LabelReading
from tfmlselect.pipeline.plan import Plan, PlanOptions
from tfmlselect.pipeline.source import weighted
from tfmlselect.scoring.neighbors import check_features, check_given_neighbors

# What to do about masked entries, where there is more to say than that they must be filled.
_FILLED = {
    "sample_weight": "Leave these samples out by a weight of 0: np.ma.filled(sample_weight, 0)"
}


class ArraySource:
    """A training set whose batches are gathered by sample ids; a `Source`.

    float64 arrays become Keras' floatx, as `model.fit` makes them; scipy.sparse rows become dense
    rows of a batch; a memory map stays on disk.

    Args:
        x: a structure (dict, tuple, nested) of arrays with n rows each: numpy, tf.Tensor, ragged
            tensor, scipy.sparse, tf.SparseTensor, np.memmap, pandas; or a list of strings, paths or
            numbers.
        y: labels with n rows, as the model is to get them; or a dict, tuple or list of arrays, of
            which some are the labels.
        sample_weight: (n,) or None.
        features: (n, d) that neighbours are searched in, or None: x itself, where it will do.
        neighbors: (n, k) ids of nearest neighbours, or None.
        reading: how labels are read from y.

    Attributes:
        kept, n, labels, features, neighbors, sample_weight, window, sketch: as `Source` has them.
        x: x with every leaf an array.

    Raises:
        ValueError: leaves of different lengths, NaN or infinity, `y` that holds no valid labels,
            or sample weights that are not one number >= 0 a sample, or all 0.
        TypeError: a leaf that is no array of numbers or strings.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        features: Any = None,
        neighbors: Any = None,
        reading: LabelReading = PLAIN,
    ):
        inputs = _arrays(x, "x")
        labels = reading.labels(y, _rows(inputs))
        self.window: int | None = None
        self.sketch: list[list[float]] = []
        whole = tuple(y) if isinstance(y, list) and labels.parts else y
        targets = _arrays(whole, "y") if labels.parts else _array(y, "y")
        named = {"x": inputs, "y": targets}
        weights = None
        if sample_weight is not None:
            named["sample_weight"] = _array(sample_weight, "sample_weight")
            weights = check_weights(named["sample_weight"])
        leaves = dict(leaf for name, part in named.items() for leaf in _leaves(part, name))
        given = _common_length(leaves)
        if labels.missing is not None:  # labels are checked already; NaN may stand in them
            checked = [f"y[{key!r}]" for key, _ in labels.parts] or ["y"]
            if math.isnan(labels.missing):  # and in other outputs' labels too
                checked = [name for name in leaves if name.partition("[")[0] == "y"]
            leaves = {name: leaf for name, leaf in leaves.items() if name not in checked}
        for name, leaf in leaves.items():
            if isinstance(leaf, tf.RaggedTensor):
                name, leaf = f"{name}.flat_values", leaf.flat_values
            values = leaf.numpy() if tf.is_tensor(leaf) else leaf
            if name.startswith("y["):  # a target beside the labels
                check_finite(
                    values, name, "Put a number there that its loss leaves out, such as -1"
                )
            else:
                check_finite(values, name)
        self.x, self.sample_weight = named["x"], named.get("sample_weight")
        self.kept = kept = KeptSamples(given, weights)
        self.n = kept.n
        self.labels = labels if kept.ids is None else labels.rows(kept.ids)
        self.features = None
        if features is not None:
            self.features = kept.of_given(check_features(features, given))
        self.features_made_by = None
        self.neighbors = None
        if neighbors is not None:
            self.neighbors = kept.neighbors_of_given(check_given_neighbors(neighbors, given))
        with tf.device("CPU:0"):
            self._parts = tuple(tf.nest.map_structure(_gatherer, part) for part in named.values())
            self._rows = None if kept.ids is None else tf.constant(kept.ids)

    def searchable(self) -> Any:
        """x itself, where it is one matrix of numbers in memory, else None."""
        return self._matrix

    @functools.cached_property
    def _matrix(self) -> Any:
        """Always the same object: a search of neighbours is remembered by it."""
        x = self.x.numpy() if isinstance(self.x, tf.Tensor) else self.x
        matrix = isinstance(x, np.ndarray) and not isinstance(x, np.memmap) and x.ndim == 2
        searchable = sparse.issparse(x) or (matrix and x.dtype.kind in "biuf")
        return self.kept.of_given(x) if searchable else None

    def make_plan(self, options: PlanOptions) -> Plan:
        """A plan in which any sample may stand anywhere."""
        return Plan(self.n, options, str(self.kept))

    def batch(self, ids: tf.Tensor) -> tuple:
        """The kept samples `ids` (b,) int64: `(x, y)` or `(x, y, sample_weight)`."""
        return self._given(ids if self._rows is None else tf.gather(self._rows, ids))

    def _given(self, rows: tf.Tensor) -> tuple:
        return tf.nest.map_structure(lambda gather: gather(rows), self._parts)

    def check_read(self) -> None:
        """Nothing: rows of arrays are known by their number."""

    def fingerprint(self) -> str:
        """A checksum of some rows of x, without strings: paths may have moved."""
        ids = tf.constant(np.linspace(0, self.n - 1, min(self.n, 64)).astype(np.int64))
        digest = hashlib.sha256()
        for leaf in tf.nest.flatten(self.batch(ids)[0], expand_composites=True):
            if leaf.dtype != tf.string:
                digest.update(tf.io.serialize_tensor(leaf).numpy())
        return digest.hexdigest()

    def batches(self, plan: Plan) -> tf.data.Dataset:
        """The pipeline that reads the plan once an iteration and gathers its batches."""

        def read_plan(_):
            order = tf.numpy_function(plan.order, [], tf.int64)
            return tf.ensure_shape(order, [plan.draws])

        def read_weighted_plan(_):
            both = tf.numpy_function(plan.order_and_weights, [], [tf.int64, tf.float32])
            return tuple(tf.ensure_shape(part, [plan.draws]) for part in both)

        def weighted_batch(ids, weights):
            return weighted(self.batch(ids), weights)

        once = tf.data.Dataset.range(1)
        if not plan.options.weighs:
            return self._gathered(once.map(read_plan), plan.batch_size)
        return self._gathered(once.map(read_weighted_plan), plan.batch_size, weighted_batch)

    def in_order(self, batch_size: int, kept_alone: bool = False) -> tf.data.Dataset:
        """All given samples once, or those that are kept, in the order in which they were given."""
        count, batch = (self.n, self.batch) if kept_alone else (self.kept.given, self._given)
        every = tf.data.Dataset.from_tensors(tf.range(count, dtype=tf.int64))
        return self._gathered(every, batch_size, batch)

    def _gathered(
        self, order: tf.data.Dataset, batch_size: int, batch: Callable | None = None
    ) -> tf.data.Dataset:
        """Cuts an order, a dataset of one vector of ids, into batches and gathers them.

        Each function in a pipeline costs some milliseconds an iterator; `rebatch` needs none.
        """
        ids = order.rebatch(batch_size)  # of static shape where all are whole
        return ids.map(batch or self.batch, num_parallel_calls=tf.data.AUTOTUNE)


def _arrays(part: Any, name: str) -> Any:
    """The structure with lists turned into arrays, or into tuples where they hold arrays."""
    if sparse.issparse(part):  # of which one kind is a dict
        return _array(part, name)
    if isinstance(part, (dict, tuple)) and not part:
        raise ValueError(
            f"`{name}` must hold an array. Received: {name}={part!r}. "
            "Pass arrays with one row a sample."
        )
    if isinstance(part, dict):
        return {key: _arrays(value, f"{name}[{key!r}]") for key, value in part.items()}
    holds_arrays = isinstance(part, list) and part and len(getattr(part[0], "shape", ())) > 0
    if isinstance(part, tuple) or holds_arrays:
        return tuple(_arrays(value, f"{name}[{i}]") for i, value in enumerate(part))
    return _array(part, name)


def dense_batch(batch: tuple) -> tuple[tuple, dict[str, np.ndarray]]:
    """A batch `(x, y)` or `(x, y, sample_weight)` with every leaf a NumPy array.

    Returns:
        The structure, lists of arrays as tuples and keys sorted as TensorFlow sorts them; and its
        arrays in order, by the names that errors give them.

    Raises:
        ValueError: arrays of different lengths.
        TypeError: a leaf that is no dense or scipy.sparse array of numbers or strings.
    """

    def dense(part: Any, name: str) -> Any:
        if isinstance(part, dict):
            return {key: dense(part[key], f"{name}[{key!r}]") for key in sorted(part)}
        if isinstance(part, tuple):
            return tuple(dense(value, f"{name}[{i}]") for i, value in enumerate(part))
        if isinstance(part, tf.RaggedTensor):
            raise TypeError(
                "Batches of a PyDataset must hold dense arrays. Received: "
                f"{name} as a RaggedTensor of shape {part.shape}. Pad its rows, .to_tensor()."
            )
        array = part.toarray() if sparse.issparse(part) else np.asarray(part)
        return array.astype(_dtype(array.dtype), copy=False)

    names = ("x", "y", "sample_weight")[: len(batch)]
    made = [dense(_arrays(part, name), name) for name, part in zip(names, batch, strict=True)]
    leaves = dict(
        leaf for name, part in zip(names, made, strict=True) for leaf in _leaves(part, name)
    )
    _common_length(leaves)
    return tuple(made), leaves


def _array(part: Any, name: str) -> Any:
    """One array of numbers or strings, as TensorFlow or scipy.sparse has it."""
    others = columns_without_numbers(part)
    table, part = part, as_plain(part)
    if isinstance(part, tf.SparseTensor):
        raise _not_an_array(name, f"SparseTensor of shape {part.shape}, {part.dtype.name}")
    if tf.is_tensor(part):
        return part
    if sparse.issparse(part) and part.ndim == 2:
        return part.tocsr()
    check_unmasked(name, part, _FILLED.get(name))
    received = type(part).__name__
    try:
        array = part if isinstance(part, np.memmap) else np.asarray(part)
        received += f" of dtype {array.dtype}"
        tf.as_dtype(array.dtype)
    except ValueError:
        raise _not_an_array(name, f"{received} of rows that differ in length") from None
    except TypeError:  # dates, records
        raise _not_an_array(name, received, table, others) from None
    if array.dtype.kind in "SU" and isinstance(part, (list, tuple)):  # NumPy makes text of NaN
        array = np.asarray(part, object)
    if array.dtype == object:
        texts = [_path(each) for each in array.flat]
        if None in texts:
            kinds = sorted({type(v).__name__ for v in array.flat if _path(v) is None})
            received += f", holding {', '.join(kinds)}"
            raise _not_an_array(name, received, table, others)
        array = np.array(texts, dtype=object).reshape(array.shape)
    elif others:  # which NumPy made numbers of
        raise _not_an_array(name, received, table, others)
    return array


def _path(value: Any) -> str | bytes | None:
    """A text, or a `pathlib.Path` as one; None for anything else."""
    return os.fspath(value) if isinstance(value, (str, bytes, os.PathLike)) else None


def _not_an_array(
    name: str, received: str, table: Any = None, others: dict[str, str] | None = None
) -> TypeError:
    """What is raised for no array; of a table that has `others`, columns without numbers, these."""
    if others:
        return _not_of_numbers(name, table, others)
    if name.partition("[")[0] != "x":
        wanted = "`sample_weight` must be one number >= 0 a sample, (n,)"
        remedy = "Pass an array of numbers, or leave it out"
        if name != "sample_weight":
            wanted = f"`{name}` must be an array of numbers, one row a sample"
            remedy = "Pass an array; where labels are unknown, NaN and missing=np.nan"
        return TypeError(f"{wanted}. Received: {received}. {remedy}.")
    return TypeError(
        f"`{name}` must be an array of numbers or of strings. Received: {received}. Pass several "
        "inputs as a dict or tuple of arrays, file paths as strings, rows of different lengths as "
        "a tf.RaggedTensor, sparse rows as a scipy.sparse matrix; fill what is missing."
    )


def _not_of_numbers(name: str, table: Any, others: dict[str, str]) -> TypeError:
    dates = [column for column, dtype in others.items() if dtype.lower().startswith("date")]
    rest = [column for column in others if column not in dates]
    received = ", ".join(f"{column!r} ({dtype})" for column, dtype in [*others.items()][:5])
    more = ", ..." if len(others) > 5 else ""
    advice = ""
    numbers = [column for column in rest if _holds_numbers(table[column])]
    if numbers:
        advice += f"Cast what holds numbers, {name}.astype({dict.fromkeys(numbers, 'float32')}). "
        rest = [column for column in rest if column not in numbers]
    if rest:
        encoded = (
            f"{name}.to_dummies({rest})"
            if hasattr(table, "to_dummies")
            else f"pandas.get_dummies({name}, columns={rest}, dtype='float32')"
        )
        advice += f"Encode text and categories, {encoded}. "
    if dates:
        advice += f"Make numbers of dates, such as {name}[{dates[0]!r}].dt.year. "
    return TypeError(
        f"`{name}` as a table must have columns of numbers or truth values, or of text alone. "
        f"Received: column {received}{more}. {advice}Or pass a dict of arrays, "
        f"{{each: {name}[each].to_numpy() for each in {name}.columns}}, to a model that has an "
        "input with a preprocessing layer for each."
    )


def _holds_numbers(column: Any) -> bool:
    """Whether a column of objects holds numbers alone, which a cast makes one type of."""
    return all(isinstance(each, (bool, int, float, np.generic)) for each in column)


def _leaves(part: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The arrays of a structure, each with the name that errors give it."""
    if isinstance(part, (dict, tuple)):
        for key, value in part.items() if isinstance(part, dict) else enumerate(part):
            yield from _leaves(value, f"{name}[{key!r}]")
    else:
        yield name, part


def _rows(part: Any) -> int:
    """Rows of the first array of a structure; 0 of one without dimensions."""
    return int((*next(_leaves(part, ""))[1].shape, 0)[0])


def _common_length(leaves: dict[str, Any]) -> int:
    first: dict[int, str] = {}  # number of rows -> who has it
    for name, leaf in leaves.items():
        first.setdefault(_rows(leaf), name)
    if len(first) > 1:
        received = ", ".join(f"{name} with {rows} rows" for rows, name in list(first.items())[:4])
        raise ValueError(
            f"All arrays must have one row for each sample. Received: {received}. Cut them to the "
            "same samples. A list of arrays counts as several inputs: np.stack makes one of it."
        )
    return next(iter(first))


def _gatherer(array: Any) -> Any:
    if isinstance(array, np.memmap):
        return _OnDisk(array)
    if sparse.issparse(array):
        return _SparseRows(array)
    return _InMemory(array)


def _dtype(dtype: np.dtype) -> np.dtype:
    """What a batch holds: float64 as Keras' floatx, and always the machine's own byte order."""
    native = np.dtype(dtype).newbyteorder("=")
    return np.dtype(tf.keras.backend.floatx()) if native == np.float64 else native


class _InMemory:
    """A tensor on the host, for any dtype that TensorFlow has."""

    def __init__(self, array: Any):
        if not tf.is_tensor(array):
            array = tf.constant(array.astype(_dtype(array.dtype), copy=False))
        self._tensor = (
            tf.cast(array, _dtype(np.dtype(float))) if array.dtype == tf.float64 else array
        )

    def __call__(self, ids: tf.Tensor) -> tf.Tensor:
        return tf.gather(self._tensor, ids)


class _SparseRows:
    """A CSR matrix, whose rows are made dense in the batch."""

    def __init__(self, matrix: sparse.csr_matrix):
        self._columns = matrix.shape[1]
        self._starts = tf.constant(matrix.indptr.astype(np.int64))
        self._indices = tf.constant(matrix.indices.astype(np.int64))
        self._data = tf.constant(matrix.data.astype(_dtype(matrix.dtype)))

    def __call__(self, ids: tf.Tensor) -> tf.Tensor:
        entries = tf.ragged.range(tf.gather(self._starts, ids), tf.gather(self._starts, ids + 1))
        columns = tf.gather(self._indices, entries.values)
        where = tf.stack([entries.value_rowids(), columns], axis=1)
        rows = tf.scatter_nd(  # adds up entries of one place
            where, tf.gather(self._data, entries.values), [tf.size(ids, tf.int64), self._columns]
        )
        return tf.ensure_shape(rows, [ids.shape[0], self._columns])


class _OnDisk:
    """A memory map: only the rows of a batch are read."""

    def __init__(self, array: np.memmap):
        self._array = array
        self._dtype = _dtype(array.dtype)

    def __call__(self, ids: tf.Tensor) -> tf.Tensor:
        def read(wanted):
            return np.asarray(self._array[wanted]).astype(self._dtype, copy=False)

        rows = tf.numpy_function(read, [ids], tf.as_dtype(self._dtype))
        return tf.ensure_shape(rows, [ids.shape[0], *self._array.shape[1:]])
