"""A `keras.utils.PyDataset`, or `Sequence` as Keras 2 calls it, as a `tf.data.Dataset`.

What a stream must be is in `stream_samples`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect.pipeline.arrays import dense_batch


def is_py_dataset(source: Any) -> bool:
    """Whether it is one of Keras' own sequences of batches, whatever this Keras calls them."""
    kinds = (getattr(tf.keras.utils, name, None) for name in ("PyDataset", "Sequence"))
    return isinstance(source, tuple(kind for kind in kinds if kind is not None))


class PyDatasetBatches:
    """The batches 0, 1, ... of a sequence, in this order in every pass.

    `on_epoch_begin` and `on_epoch_end` are never called: a sequence that shuffles there stays in
    order.

    Args:
        sequence: a `PyDataset` or `Sequence` of batches `(x, y)` or `(x, y, sample_weight)`.

    Attributes:
        dataset: of its batches, with the types and shapes of the first one; the number of rows is
            open.

    Raises:
        ValueError: a sequence without batches, or of infinite or unknown length.
        TypeError: batches of another form.
        Exception: what the sequence itself raises.
    """

    def __init__(self, sequence: Any):
        self._sequence = sequence
        self._watched = False
        self._failed: Exception | None = None
        steps = _length(sequence)
        structure, first = self._read(0)
        self._forms = _forms(first)
        types = [dtype for dtype, _ in self._forms.values()]

        def read(number):
            leaves = tf.numpy_function(self._batch, [number], types)
            for leaf, (_, shape) in zip(leaves, self._forms.values(), strict=True):
                leaf.set_shape([None, *shape])
            return tf.nest.pack_sequence_as(structure, leaves)

        # Keras reads in so many threads; where it would use processes, here is one thread.
        threads = getattr(sequence, "workers", 1)
        if threads < 2 or getattr(sequence, "use_multiprocessing", False):
            threads = None
        numbers = tf.data.Dataset.range(steps)
        self.dataset = numbers.map(read, num_parallel_calls=threads)

    def __enter__(self) -> PyDatasetBatches:
        """Inside, what the sequence raises is raised as it is, and not as TensorFlow tells it."""
        self._watched = True
        return self

    def __exit__(self, kind: Any, told: BaseException | None, traceback: Any) -> None:
        failed, self._failed, self._watched = self._failed, None, False
        if isinstance(told, tf.errors.OpError) and failed is not None:
            raise failed from told

    def _batch(self, number: np.ndarray) -> list[np.ndarray]:
        """The arrays of a batch, if they are such as those of the first one."""
        try:
            _, leaves = self._read(int(number))
            _check_forms(int(number), _forms(leaves), self._forms)
        except Exception as error:
            if self._watched:  # or it would keep what its traceback leads to
                self._failed = error
            raise
        return [*leaves.values()]

    def _read(self, number: int) -> tuple[Any, dict[str, np.ndarray]]:
        """A batch, and its arrays in order by the names that errors give them."""
        batch = self._sequence[number]
        if isinstance(batch, (tuple, list)) and len(batch) == 3 and batch[2] is None:
            batch = batch[:2]  # no weights, as Keras takes it
        if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
            size = f" of length {len(batch)}" if isinstance(batch, (tuple, list)) else ""
            raise TypeError(
                "`__getitem__` must return batches (x, y) or (x, y, sample_weight). Received: "
                f"{type(batch).__name__}{size} as batch {number}. Return a tuple of these."
            )
        return dense_batch(tuple(batch))


def _length(sequence: Any) -> int:
    """The number of batches."""
    try:
        steps = sequence.num_batches if hasattr(type(sequence), "num_batches") else len(sequence)
        reason = f"{steps} batches"
    except (NotImplementedError, OverflowError, TypeError) as error:
        steps, reason = None, f"{type(error).__name__} of its length: {error}".strip(": \n.")
    if not isinstance(steps, (int, np.integer)) or steps < 1:
        raise ValueError(
            "A PyDataset must say how many batches it has, one or more. Received: "
            f"{type(sequence).__name__} with {reason}. Give it `__len__`; of a sequence without "
            "end a whole number of batches that is to be one epoch."
        )
    return int(steps)


def _forms(leaves: dict[str, np.ndarray]) -> dict[str, tuple[tf.DType, tuple[int, ...]]]:
    """Type and shape of a sample in each array."""
    return {name: (tf.as_dtype(leaf.dtype), leaf.shape[1:]) for name, leaf in leaves.items()}


def _check_forms(number: int, found: dict, wanted: dict) -> None:
    def shown(forms: dict) -> str:
        texts = []
        for name in [name for name in (*wanted, *found) if wanted.get(name) != found.get(name)]:
            if name in forms:
                dtype, shape = forms[name]
                sizes = "".join(f", {size}" for size in shape) if shape else ","
                texts.append(f"{name} of shape (b{sizes}), {dtype.name}")
            else:
                texts.append(f"no {name}")
        return "; ".join(dict.fromkeys(texts))

    if found != wanted:
        raise ValueError(
            "Batches of a PyDataset may differ in their number of rows alone. Received: batch "
            f"{number} with {shown(found)}; batch 0 with {shown(wanted)}. Pad or cut x to one "
            "shape, and cast to one type."
        )
