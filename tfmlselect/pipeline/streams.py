"""Samples from a `tf.data.Dataset`, read from front to back once an epoch, a window at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect._progress import Progress
from tfmlselect.pipeline.plan import Plan
from tfmlselect.sampling import draws
from tfmlselect.sampling.emissions import emission_counts, emission_order, window_sizes

_READ_AT_ONCE = 1024
_COMPARED = 4096  # labels of a second pass that are compared with those of the first


class StreamPlan(Plan):
    """An order that a stream can be read in; arguments as `Plan`, and the size of a window.

    Attributes:
        sizes: of the windows, in samples of the source.
    """

    def __init__(self, n: int, batch_size: int, seed: int, drop_remainder: bool, window: int):
        super().__init__(n, batch_size, seed, drop_remainder)
        self.sizes = window_sizes(n, window)

    def permutation(self, epoch: int) -> np.ndarray:
        """Every sample once, shuffled inside windows."""
        rng = draws.epoch_generator(self.seed, epoch, draws.PERMUTE)
        return self._ordered(np.ones(self.n, np.int64), rng)

    def drawn(self, strategy: Any, probabilities: np.ndarray, epoch: int) -> np.ndarray:
        """An adaptive epoch: n emissions, in expectation as the distribution says."""
        rng = draws.epoch_generator(self.seed, epoch, draws.DRAW)
        return self._ordered(emission_counts(probabilities, self.n, rng), rng)

    def _ordered(self, counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return emission_order(counts, self.sizes, self.batch_size, rng)[0][: self.draws]


class StreamSource:
    """A finite dataset of single samples, `(x, y)` or `(x, y, sample_weight)`.

    Labels, and features if asked for, are collected in one pass when it is made; the first of a
    second pass are compared with them.

    Args:
        dataset: the samples.
        features: a function of x that gives a vector (d,), or None.

    Attributes:
        n: number of samples.
        labels: of all of them, (n, q) or (n,).
        features: (n, d) float32, or None.

    Raises:
        TypeError: elements that are not `(x, y)` or `(x, y, sample_weight)`.
        ValueError: a length that is not known, not finite, or not true; an order that changes.
    """

    x = None  # nothing to search neighbours in

    def __init__(self, dataset: tf.data.Dataset, features: Callable | None = None):
        spec = dataset.element_spec
        if not isinstance(spec, tuple) or len(spec) not in (2, 3):
            raise TypeError(
                "The stream must give single samples (x, y) or (x, y, sample_weight). Received: "
                f"element_spec={spec}. Bring them into this form with .map."
            )
        if not isinstance(spec[1], tf.TensorSpec) or (spec[1].shape.rank or 0) > 1:
            raise TypeError(
                "The stream must give single samples, with y a 0/1 vector or a class id. Received: "
                f"y of {spec[1]}. Leave .batch(...) out, or take batches apart with .unbatch()."
            )
        self.n = _known_length(dataset)
        if dataset.options().deterministic is False:
            raise ValueError(
                "A stream must give its samples in the same order in every pass. Received: "
                "options.deterministic=False. Leave it unset."
            )
        self._dataset = dataset
        self.labels, self.features = self._collected(features)
        self._check_order()

    def _collected(self, features: Callable | None) -> tuple[np.ndarray, Any]:
        """One pass over labels and features."""
        try:
            parts = []
            progress = Progress("Reading the stream's labels", self.n)
            for part in self._wanted(features).batch(_READ_AT_ONCE).as_numpy_iterator():
                parts.append(part)
                progress.add(len(part[0]))
        except tf.errors.FailedPreconditionError as error:  # of assert_cardinality
            raise ValueError(
                "The stream has another length than it says. Received: cardinality "
                f"{self.n}, and {error.message} Assert the right one: "
                "source.apply(tf.data.experimental.assert_cardinality(n))."
            ) from error
        labels = np.concatenate([part[0] for part in parts]) if parts else np.empty(0)
        if len(labels) != self.n:
            raise ValueError(
                "The stream has another length than it says. Received: "
                f"{len(labels)} samples, cardinality {self.n}. Assert the right one: "
                f"source.apply(tf.data.experimental.assert_cardinality({len(labels)}))."
            )
        if features is None:
            return labels, None
        return labels, np.concatenate([part[1] for part in parts])

    def _wanted(self, features: Callable | None) -> tf.data.Dataset:
        def wanted(x, y, *_):
            return (y,) if features is None else (y, tf.cast(features(x), tf.float32))

        return self._dataset.map(wanted)

    def _check_order(self) -> None:
        again = self._wanted(None).take(_COMPARED).batch(_READ_AT_ONCE).as_numpy_iterator()
        labels = np.concatenate([part[0] for part in again])
        if not np.array_equal(labels, self.labels[: len(labels)]):
            raise ValueError(
                "A stream must give its samples in the same order in every pass. Received: two "
                "passes with different labels. Leave shuffling to the selection, and read files "
                "with interleave(..., deterministic=True) over a sorted list."
            )

    def fingerprint(self) -> str:
        """Nothing: a stream is known by its labels."""
        return ""

    def batches(self, plan: Any) -> tf.data.Dataset:
        """The pipeline: windows of the source, gathered in the plan's order, cut into batches."""
        ends = np.cumsum(plan.sizes)

        def read_plan(_):
            return tf.ensure_shape(tf.numpy_function(plan.order, [], tf.int64), [plan.draws])

        def cut(order):
            """The order where windows end, counted from each window's first sample."""
            window = tf.searchsorted(ends, order, side="right")
            places = order - tf.gather(ends - plan.sizes, window)
            rows = tf.RaggedTensor.from_value_rowids(places, window, nrows=len(ends))
            return tf.data.Dataset.from_tensor_slices(rows)

        def gather(samples, places):
            return tf.nest.map_structure(lambda part: tf.gather(part, places), samples)

        orders = tf.data.Dataset.range(1).map(read_plan).flat_map(cut)
        read = self._dataset.batch(min(_READ_AT_ONCE, self.n)).rebatch(plan.sizes)
        windows = tf.data.Dataset.zip((read, orders)).map(gather)
        return windows.rebatch(plan.batch_size, drop_remainder=plan.drop_remainder)

    def in_order(self, batch_size: int) -> tf.data.Dataset:
        """All samples once, as the source gives them."""
        return self._dataset.batch(batch_size)


def _known_length(dataset: tf.data.Dataset) -> int:
    length = int(dataset.cardinality())
    if length < 0:
        kind = "infinite" if length == tf.data.INFINITE_CARDINALITY else "unknown"
        raise ValueError(
            f"A stream must have a known, finite length. Received: {kind} cardinality. Leave out "
            ".repeat(), and say how many samples there are: "
            "source.apply(tf.data.experimental.assert_cardinality(n))."
        )
    return length
