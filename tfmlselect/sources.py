"""Where samples come from: arrays in memory or on disk, gathered a whole batch at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from scipy import sparse

from tfmlselect.checks import check_finite


class Source:
    """A training set whose batches are gathered by sample ids.

    float64 arrays become Keras' floatx, as `model.fit` makes them; scipy.sparse rows become dense
    rows of a batch; a memory map stays on disk.

    Args:
        x: a structure (dict, tuple, nested) of arrays with n rows each: numpy, tf.Tensor, ragged
            tensor, scipy.sparse, np.memmap, pandas; or a list of strings or numbers.
        y: labels with n rows, as the model is to get them.
        sample_weight: (n,) or None.

    Attributes:
        n: number of samples.
        x: x with every leaf an array.

    Raises:
        ValueError: no samples, leaves of different lengths, NaN or infinity, or sample weights
            that are not one number a sample.
        TypeError: a leaf that is no array.
    """

    def __init__(self, x: Any, y: Any, sample_weight: Any = None):
        named = {"x": _arrays(x, "x"), "y": _arrays(y, "y")}
        if sample_weight is not None:
            named["sample_weight"] = _arrays(sample_weight, "sample_weight")
            _check_weights(named["sample_weight"])
        self.n = _common_length(named)
        for name, part in named.items():
            for leaf in tf.nest.flatten(part):
                if not tf.is_tensor(leaf):
                    check_finite(leaf, name)
        self.x = named["x"]
        with tf.device("CPU:0"):
            self._parts = tuple(
                tf.nest.map_structure(_gatherer, part) for part in named.values()
            )

    def batch(self, ids: tf.Tensor) -> tuple:
        """The samples `ids` (b,) int64: `(x, y)` or `(x, y, sample_weight)`."""
        return tf.nest.map_structure(lambda gather: gather(ids), self._parts)


def _arrays(part: Any, name: str) -> Any:
    """The structure with lists turned into arrays, or into tuples where they hold arrays."""
    if isinstance(part, dict):
        return {key: _arrays(value, f"{name}[{key!r}]") for key, value in part.items()}
    if isinstance(part, tuple) or (isinstance(part, list) and part and hasattr(part[0], "shape")):
        return tuple(_arrays(value, f"{name}[{i}]") for i, value in enumerate(part))
    if isinstance(part, (np.ndarray, tf.RaggedTensor)) or tf.is_tensor(part):
        return part
    if sparse.issparse(part):
        return part.tocsr()
    array = np.asarray(part)
    if array.dtype == object and not all(isinstance(v, (str, bytes)) for v in array.flat):
        raise TypeError(
            f"`{name}` must be an array, or a dict or tuple of arrays. "
            f"Received: {type(part).__name__} with elements of {type(array.flat[0]).__name__}. "
            "Pass arrays with one row a sample; ragged rows go in as a tf.RaggedTensor."
        )
    return array


def _common_length(named: dict[str, Any]) -> int:
    lengths = {}
    for name, part in named.items():
        for path, leaf in enumerate(tf.nest.flatten(part)):
            rows = leaf.nrows() if isinstance(leaf, tf.RaggedTensor) else (leaf.shape or [0])[0]
            lengths[f"{name}, array {path}" if tf.nest.is_nested(part) else name] = int(rows)
    if len(set(lengths.values())) != 1:
        raise ValueError(
            "All arrays must have one row for each sample. "
            f"Received: numbers of rows {lengths}. Cut them to the same samples."
        )
    n = next(iter(lengths.values()))
    if n == 0:
        raise ValueError(
            "The training set is empty. Received: 0 samples. Pass arrays with rows, not scalars."
        )
    return n


def _check_weights(weights: Any) -> None:
    if tf.nest.is_nested(weights) or len(weights.shape) != 1:
        shape = "a structure" if tf.nest.is_nested(weights) else f"shape {tuple(weights.shape)}"
        raise ValueError(
            f"`sample_weight` must be one number a sample, (n,). Received: {shape}. Keras "
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
    return np.dtype(tf.keras.backend.floatx()) if dtype == np.float64 else np.dtype(dtype)


class _InMemory:
    """A tensor on the host, for any dtype that TensorFlow has."""

    def __init__(self, array: Any):
        if isinstance(array, np.ndarray) and array.dtype == np.float64:
            array = array.astype(_dtype(array.dtype))
        self._tensor = array if tf.is_tensor(array) else tf.constant(array)

    def __call__(self, ids: tf.Tensor) -> tf.Tensor:
        return tf.gather(self._tensor, ids)


class _SparseRows:
    """A CSR matrix, whose rows are made dense in the batch."""

    def __init__(self, matrix: sparse.csr_matrix):
        matrix = matrix.tocsr(copy=True)
        matrix.sum_duplicates()
        self._columns = matrix.shape[1]
        self._starts = tf.constant(matrix.indptr.astype(np.int64))
        self._indices = tf.constant(matrix.indices.astype(np.int64))
        self._data = tf.constant(matrix.data.astype(_dtype(matrix.dtype)))

    def __call__(self, ids: tf.Tensor) -> tf.Tensor:
        entries = tf.ragged.range(tf.gather(self._starts, ids), tf.gather(self._starts, ids + 1))
        columns = tf.gather(self._indices, entries.values)
        where = tf.stack([entries.value_rowids(), columns], axis=1)
        rows = tf.scatter_nd(
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
