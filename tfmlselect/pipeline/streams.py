"""Samples from a `tf.data.Dataset`, read from front to back once an epoch, a window at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect._checks import check_whole, require
from tfmlselect._progress import Progress
from tfmlselect.labels import check_labels
from tfmlselect.pipeline.plan import Plan, PlanOptions
from tfmlselect.pipeline.source import weighted
from tfmlselect.sampling import draws
from tfmlselect.sampling.stream_order import emission_order, window_sizes
from tfmlselect.sampling.systematic import counts_of
from tfmlselect.scoring.neighbors import check_features, check_given_neighbors
from tfmlselect.strategies import Strategy

_READ_AT_ONCE = 1024
_COMPARED = 4096  # labels of a second pass that are compared with those of the first
_SKETCHES = 64  # samples by which a stream's x are known


class StreamPlan(Plan):
    """An order that a stream can be read in: samples move within their window alone.

    Args:
        n, options: as `Plan`.
        sizes: of the windows, in samples of the source; they add up to n.
    """

    def __init__(self, n: int, options: PlanOptions, sizes: np.ndarray):
        super().__init__(n, options)
        self.sizes = sizes

    def check_strategy(self, strategy: Strategy) -> None:
        """Raises a ValueError for a strategy that composes batches of samples from anywhere."""
        require(
            not strategy.own_plan,
            "A stream is read from front to back, and this strategy composes its own batches",
            f"strategy={strategy!r}",
            "Use it on arrays, or turn that off (HardImbalance: correlations=False)",
        )

    def permutation(self, epoch: int) -> np.ndarray:
        """Every sample at most once, shuffled inside windows."""
        rng = draws.epoch_generator(self.seed, epoch, draws.PERMUTE)
        expected = np.full(self.n, self.draws / self.n)
        return self._arranged(counts_of(expected, self.draws, rng), rng)

    def _most(self, expected: np.ndarray) -> np.ndarray:
        """About how many whole batches the window of each sample has: (n,)."""
        totals = np.add.reduceat(expected, np.cumsum(self.sizes) - self.sizes)
        whole = np.floor(self.draws * totals / expected.sum() / self.batch_size) - 1
        return np.repeat(np.maximum(whole, 1.0), self.sizes)

    def _arranged(self, counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return emission_order(counts, self.sizes, self.batch_size, rng)[0]


class StreamSource:
    """A finite dataset of single samples, `(x, y)` or `(x, y, sample_weight)`; a `Source`.

    Labels, and features if asked for, are collected in one pass when it is made; the first of a
    second pass are compared with them.

    Args:
        dataset: the samples.
        window: samples that are shuffled together.
        features: (n, d) that neighbours are searched in; a function of x that gives a vector (d,);
            or None.
        neighbors: (n, k) ids of nearest neighbours, or None.

    Attributes:
        n, labels, features, neighbors, window: as `Source` has them.
        sample_weight: None, since weights come with the samples.
        sketch: of about 64 samples, spread evenly, a weighted sum of all their numbers but those of
            y, and the sum of their sizes: another machine may compute x with another last bit.
            Empty where two passes give other x, as random augmentation does.

    Raises:
        TypeError: elements that are not `(x, y)` or `(x, y, sample_weight)`.
        ValueError: a length that is not known, not finite, or not true; an order that changes.
    """

    def __init__(
        self, dataset: tf.data.Dataset, window: int, features: Any = None, neighbors: Any = None
    ):
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
        if len(spec) == 3 and not (isinstance(spec[2], tf.TensorSpec) and spec[2].shape.rank == 0):
            raise TypeError(
                "The weight of a sample is one number. Received: "
                f"sample_weight of {spec[2]}. Bring it into this form with .map; put weights of "
                "labels into the loss."
            )
        self.n = _known_length(dataset)
        if dataset.options().deterministic is False:
            raise ValueError(
                "A stream must give its samples in the same order in every pass. Received: "
                "options.deterministic=False. Leave it unset."
            )
        self._dataset, self._window = dataset, check_whole("window", window, 1)
        self.window: int | None = self._window
        self._sizes = window_sizes(self.n, self._window)
        self._sketched = max(1, self.n // _SKETCHES)  # one of so many samples
        self.sample_weight = None
        made = features if callable(features) and not isinstance(features, type) else None
        given, collected, sketches = self._collected(made)
        self.labels = check_labels(given)
        again = self._check_order(given[:_COMPARED])
        repeats = np.array_equal(again, sketches[: len(again)], equal_nan=True)
        self.sketch: list[list[float]] = sketches.tolist() if repeats else []
        features = features if made is None else collected
        self.features = None if features is None else check_features(features, self.n)
        self.neighbors = None if neighbors is None else check_given_neighbors(neighbors, self.n)

    def _collected(
        self, features: Callable | None
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """One pass over labels and features, with sketches of some samples."""
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
        sketches = np.concatenate([part[1] for part in parts] or [np.empty((0, 2))])
        made = None if features is None else np.concatenate([part[2] for part in parts])
        return labels, made, sketches[:: self._sketched]

    def _wanted(self, features: Callable | None) -> tf.data.Dataset:
        def wanted(number, sample):
            x, y, *weight = sample
            sketch = tf.cond(
                number % self._sketched == 0,
                lambda: _sketch((x, *weight)),
                lambda: tf.zeros([2], tf.float64),
            )
            made = () if features is None else (tf.cast(features(x), tf.float32),)
            return y, sketch, *made

        return self._dataset.enumerate().map(wanted)

    def _check_order(self, labels: np.ndarray) -> np.ndarray:
        """Compares the labels of the first samples with those of a second pass; its sketches."""
        wanted = self._wanted(None).take(len(labels)).batch(_READ_AT_ONCE)
        again = list(wanted.as_numpy_iterator())
        if not np.array_equal(labels, np.concatenate([part[0] for part in again])):
            raise ValueError(
                "A stream must give its samples in the same order in every pass. Received: two "
                "passes with different labels. Leave shuffling to the selection, and read files "
                "with interleave(..., deterministic=True) over a sorted list."
            )
        return np.concatenate([part[1] for part in again])[:: self._sketched]

    def searchable(self) -> None:
        """None, since x is not held in memory."""

    def make_plan(self, options: PlanOptions) -> StreamPlan:
        """An order in which a sample is never far from its place in the source."""
        check_window(self._window, options.batch_size)
        return StreamPlan(self.n, options, self._sizes)

    def fingerprint(self) -> str:
        """An empty text, since a stream is known by its labels."""
        return ""

    def batches(self, plan: Plan) -> tf.data.Dataset:
        """The pipeline: windows of the source, gathered in the plan's order, cut into batches."""
        sizes = self._sizes
        ends = np.cumsum(sizes)

        def read_plan(_):
            order, weights = tf.numpy_function(plan.order_and_weights, [], [tf.int64, tf.float32])
            return tf.ensure_shape(order, [plan.draws]), tf.ensure_shape(weights, [plan.draws])

        def cut(order, weights):
            """The order where windows end, counted from each window's first sample."""
            window = tf.searchsorted(ends, order, side="right")
            places = order - tf.gather(ends - sizes, window)
            rows = [
                tf.RaggedTensor.from_value_rowids(values, window, nrows=len(ends))
                for values in (places, weights)
            ]
            return tf.data.Dataset.from_tensor_slices(tuple(rows))

        def gather(samples, drawn):
            places, weights = drawn
            batch = tf.nest.map_structure(lambda part: tf.gather(part, places), samples)
            return weighted(batch, weights) if plan.options.weighs else batch

        orders = tf.data.Dataset.range(1).map(read_plan).flat_map(cut)
        read = self._dataset.batch(min(_READ_AT_ONCE, self.n)).rebatch(sizes)
        windows = tf.data.Dataset.zip((read, orders)).map(gather)
        return windows.rebatch(plan.batch_size)

    def in_order(self, batch_size: int) -> tf.data.Dataset:
        """All samples once, as the source gives them."""
        return self._dataset.batch(batch_size)


def _sketch(sample: Any) -> tf.Tensor:
    """Two numbers (2,) float64 that tell a sample's numbers, and their order, from most others."""
    numbers = [
        tf.reshape(tf.cast(leaf, tf.float64), [-1])
        for leaf in tf.nest.flatten(sample, expand_composites=True)
        if tf.is_tensor(leaf)
        and (leaf.dtype.is_floating or leaf.dtype.is_integer or leaf.dtype.is_bool)
    ]
    values = tf.concat([*numbers, tf.zeros([0], tf.float64)], axis=0)
    weights = tf.cos(tf.range(tf.cast(tf.size(values), tf.float64)))
    return tf.stack([tf.reduce_sum(values * weights), tf.reduce_sum(tf.abs(values))])


def check_window(window: int, batch_size: int) -> None:
    """A window must hold several batches, so that copies of a sample can go into different ones.

    Raises:
        ValueError: less than four batches.
    """
    require(
        window >= 4 * batch_size,
        "`window` is the number of samples that are shuffled together, and it must hold four "
        "batches or more",
        f"window={window}, batch_size={batch_size}",
        f"Pass a whole number >= {4 * batch_size}; larger is closer to a draw from all",
    )


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
