"""Samples from arrays in memory or on disk, gathered a whole batch at a time."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from scipy import sparse

from tfmlselect._checks import check_finite
from tfmlselect.pipeline.label_reading import PLAIN, LabelReading
from tfmlselect.pipeline.plan import Plan, PlanOptions
from tfmlselect.pipeline.source import weighted
from tfmlselect.scoring.neighbors import check_features, check_given_neighbors


class ArraySource:
    """A training set whose batches are gathered by sample ids; a `Source`.

    float64 arrays become Keras' floatx, as `model.fit` makes them; scipy.sparse rows become dense
    rows of a batch; a memory map stays on disk.

    Args:
        x: a structure (dict, tuple, nested) of arrays with n rows each: numpy, tf.Tensor, ragged
            tensor, scipy.sparse, np.memmap, pandas; or a list of strings or numbers.
        y: labels with n rows, as the model is to get them.
        sample_weight: (n,) or None.
        features: (n, d) that neighbours are searched in, or None: x itself, where it will do.
        neighbors: (n, k) ids of nearest neighbours, or None.
        reading: how labels are read from y.

    Attributes:
        n, labels, features, neighbors, sample_weight, window, sketch: as `Source` has them.
        x: x with every leaf an array.

    Raises:
        ValueError: leaves of different lengths, NaN or infinity, `y` that holds no valid labels,
            or sample weights that are not one number a sample.
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
        self.labels = reading.labels(y)
        self.window: int | None = None
        self.sketch: list[list[float]] = []
        named = {"x": _arrays(x, "x"), "y": _array(y, "y")}
        if sample_weight is not None:
            named["sample_weight"] = _array(sample_weight, "sample_weight")
            _check_weights(named["sample_weight"])
        leaves = dict(leaf for name, part in named.items() for leaf in _leaves(part, name))
        self.n = _common_length(leaves)
        if self.labels.missing is not None:
            leaves.pop("y")  # checked with its labels; NaN may stand in it
        for name, leaf in leaves.items():
            if isinstance(leaf, tf.RaggedTensor):
                name, leaf = f"{name}.flat_values", leaf.flat_values
            check_finite(leaf.numpy() if tf.is_tensor(leaf) else leaf, name)
        self.x, self.sample_weight = named["x"], named.get("sample_weight")
        self.features = None if features is None else check_features(features, self.n)
        self.features_made_by = None
        self.neighbors = None if neighbors is None else check_given_neighbors(neighbors, self.n)
        with tf.device("CPU:0"):
            self._parts = tuple(tf.nest.map_structure(_gatherer, part) for part in named.values())

    def searchable(self) -> Any:
        """x itself, where it is one matrix of numbers in memory, else None."""
        return self._matrix

    @functools.cached_property
    def _matrix(self) -> Any:
        """Always the same object: a search of neighbours is remembered by it."""
        x = self.x.numpy() if isinstance(self.x, tf.Tensor) else self.x
        if sparse.issparse(x):
            return x
        matrix = isinstance(x, np.ndarray) and not isinstance(x, np.memmap) and x.ndim == 2
        return x if matrix and x.dtype.kind in "biuf" else None

    def make_plan(self, options: PlanOptions) -> Plan:
        """A plan in which any sample may stand anywhere."""
        return Plan(self.n, options)

    def batch(self, ids: tf.Tensor) -> tuple:
        """The samples `ids` (b,) int64: `(x, y)` or `(x, y, sample_weight)`."""
        return tf.nest.map_structure(lambda gather: gather(ids), self._parts)

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

    def in_order(self, batch_size: int) -> tf.data.Dataset:
        """All samples once, 0 to n - 1."""
        every = tf.data.Dataset.from_tensors(tf.range(self.n, dtype=tf.int64))
        return self._gathered(every, batch_size)

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


def _array(part: Any, name: str) -> Any:
    """One array of numbers or strings, as TensorFlow or scipy.sparse has it."""
    if tf.is_tensor(part) and not isinstance(part, tf.SparseTensor):
        return part
    if sparse.issparse(part) and part.ndim == 2:
        return part.tocsr()
    received = type(part).__name__
    try:
        array = np.asanyarray(part)
        received += f" of dtype {array.dtype}"
        tf.as_dtype(array.dtype)
    except ValueError:
        raise _not_an_array(name, f"{received} of rows that differ in length") from None
    except TypeError:  # dates, records
        raise _not_an_array(name, received) from None
    if array.dtype == object:
        others = {type(v).__name__ for v in array.flat if not isinstance(v, (str, bytes))}
        if others:
            raise _not_an_array(name, f"{received}, holding {', '.join(sorted(others))}")
    return array


def _not_an_array(name: str, received: str) -> TypeError:
    return TypeError(
        f"`{name}` must be an array of numbers or of strings. Received: {received}. Pass several "
        "inputs as a dict or tuple of arrays, file paths as strings, rows of different lengths as "
        "a tf.RaggedTensor, sparse rows as a scipy.sparse matrix; fill what is missing."
    )


def _leaves(part: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The arrays of a structure, each with the name that errors give it."""
    if isinstance(part, (dict, tuple)):
        for key, value in part.items() if isinstance(part, dict) else enumerate(part):
            yield from _leaves(value, f"{name}[{key!r}]")
    else:
        yield name, part


def _common_length(leaves: dict[str, Any]) -> int:
    first: dict[int, str] = {}  # number of rows -> who has it
    for name, leaf in leaves.items():
        first.setdefault(int((*leaf.shape, 0)[0]), name)
    if len(first) > 1:
        received = ", ".join(f"{name} with {rows} rows" for rows, name in list(first.items())[:4])
        raise ValueError(
            f"All arrays must have one row for each sample. Received: {received}. Cut them to the "
            "same samples. A list of arrays counts as several inputs: np.stack makes one of it."
        )
    return next(iter(first))


def _check_weights(weights: Any) -> None:
    if len(weights.shape) != 1 or tf.as_dtype(weights.dtype) == tf.string:
        raise ValueError(
            "`sample_weight` must be one number a sample, (n,). "
            f"Received: shape {tuple(weights.shape)}, dtype {weights.dtype}. Keras "
            "multiplies a (b, q) weight with a loss that is already averaged over labels, which "
            "weighs nothing as meant; put per-label weights into the loss function."
        )


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
