"""Samples from a `tf.data.Dataset`, read from front to back once an epoch, a window at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect._checks import check_whole, require
from tfmlselect.pipeline.kept_samples import KeptSamples, check_weights
from tfmlselect.pipeline.label_reading import PLAIN, LabelReading
from tfmlselect.pipeline.plan import Plan, PlanOptions
from tfmlselect.pipeline.source import weighted
from tfmlselect.pipeline.stream_samples import READ_AT_ONCE, checksums, read_samples, x_changed
from tfmlselect.sampling import draws
from tfmlselect.sampling.stream_order import emission_order, window_sizes
from tfmlselect.sampling.systematic import counts_of
from tfmlselect.scoring.neighbors import check_features, check_given_neighbors
from tfmlselect.strategies import Strategy


class StreamPlan(Plan):
    """An order that a stream can be read in: samples move within their window alone.

    Args:
        n, options, samples: as `Plan`.
        sizes: of the windows, in samples of the source; they add up to n.
    """

    def __init__(self, n: int, options: PlanOptions, sizes: np.ndarray, samples: str | None = None):
        super().__init__(n, options, samples)
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

    Labels, weights, and features if asked for, are collected in one pass when it is made. Every
    later pass is compared with it by checksums of x.

    Args:
        dataset: the samples, or batches of them.
        window: samples that are shuffled together.
        features: (n, d) that neighbours are searched in; a function of x that gives a vector (d,);
            or None.
        neighbors: (n, k) ids of nearest neighbours, or None.
        batched: whether the dataset has batches; None: it has not, and what looks so is an error.
        x_changes: whether x is another one in each pass, on purpose.
        reading: how labels are read from y, which may be a dict or a tuple.

    Attributes:
        kept, n, labels, features, features_made_by, neighbors, window: as `Source` has them.
        sample_weight: None, since weights come with the samples.
        sketch: of about 64 samples, spread evenly, a weighted sum of all their numbers but those of
            y, and the sum of their sizes: another machine may compute x with another last bit.
            Empty where x is to change.

    Raises:
        TypeError: elements that are not `(x, y)` or `(x, y, sample_weight)`.
        ValueError: a length that is not finite, or not true; shapes that differ; an order that
            changes.
    """

    def __init__(
        self,
        dataset: tf.data.Dataset,
        window: int,
        features: Any = None,
        neighbors: Any = None,
        batched: bool | None = None,
        x_changes: bool = False,
        reading: LabelReading = PLAIN,
    ):
        made = features if callable(features) and not isinstance(features, type) else None
        samples = read_samples(dataset, made, batched, x_changes, reading)
        weights = None if samples.weights is None else check_weights(samples.weights)
        self.kept = kept = KeptSamples(len(samples.labels), weights)
        self.n = kept.n
        self._given, self._dataset = samples.dataset, _kept_alone(samples.dataset, kept)
        self._checksums = None
        if samples.checksums is not None:
            self._checksums = kept.of_given(samples.checksums)
        self._changed = 0  # samples that were read with another x than at first
        self.window = check_whole("window", window, 1)
        self._sizes = window_sizes(self.n, self.window)
        self.sample_weight = None
        self.sketch: list[list[float]] = samples.sketches.tolist()
        y_spec = samples.dataset.element_spec[1]
        labels = reading.labels_of_stream(samples.labels, y_spec)
        self.labels = labels if kept.ids is None else labels.rows(kept.ids)
        self.features_made_by = made
        features = features if made is None else samples.features
        self.features = self.neighbors = None
        if features is not None:
            self.features = kept.of_given(check_features(features, kept.given))
        if neighbors is not None:
            self.neighbors = kept.neighbors_of_given(check_given_neighbors(neighbors, kept.given))

    def searchable(self) -> None:
        """None, since x is not held in memory."""

    def make_plan(self, options: PlanOptions) -> StreamPlan:
        """An order in which a sample is never far from its place in the source."""
        check_window(self.window, options.batch_size)
        return StreamPlan(self.n, options, self._sizes, str(self.kept))

    def fingerprint(self) -> str:
        """An empty text, since a stream is known by its labels and its `sketch`."""
        return ""

    def check_read(self) -> None:
        """Raises a RuntimeError if samples were read that have another x than at first."""
        if changed := self._changed:
            self._changed = 0
            raise x_changed(changed, self.n, RuntimeError)

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
        read = self._compared(self._dataset.batch(min(READ_AT_ONCE, self.n))).rebatch(sizes)
        windows = tf.data.Dataset.zip((read, orders)).map(gather)
        return windows.rebatch(plan.batch_size)

    def _compared(self, read: tf.data.Dataset) -> tf.data.Dataset:
        """The same, and what has another x than in the first pass is counted."""
        known = self._checksums
        if known is None:
            return read

        def count(number, found):
            start = number * READ_AT_ONCE
            self._changed += np.count_nonzero(known[start : start + len(found)] != found)
            return number

        def compare(number, samples):
            tf.numpy_function(count, [number, checksums(samples[0])], tf.int64)
            return samples

        return read.enumerate().map(compare)

    def in_order(self, batch_size: int, kept_alone: bool = False) -> tf.data.Dataset:
        """All given samples once, or those that are kept, as the source gives them."""
        return (self._dataset if kept_alone else self._given).batch(batch_size)


def _kept_alone(dataset: tf.data.Dataset, kept: KeptSamples) -> tf.data.Dataset:
    """The dataset without the samples that are left out.

    By their places: a weight that is another one in each pass must not change who is in.
    """
    if kept.ids is None:
        return dataset
    with tf.device("CPU:0"):
        is_kept = tf.constant(kept.spread(np.ones(kept.n, bool)))
    found = dataset.enumerate().filter(lambda place, _: tf.gather(is_kept, place))
    samples = found.map(lambda _, sample: sample)
    return samples.apply(tf.data.experimental.assert_cardinality(kept.n))


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
