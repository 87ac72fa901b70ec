"""Uncertainty: uncertain labels, weighed by how their uncertainties go together."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfmlselect._checks import check_choice, check_whole
from tfmlselect.distributed import workers
from tfmlselect.labels import Labels
from tfmlselect.schedules import Schedule
from tfmlselect.scoring import memories
from tfmlselect.scoring.row_chunks import fold_rows, map_rows
from tfmlselect.strategies.base import Array, ScoredStrategy

CORRELATIONS = ("mutual_information", None)
_COUNTS_AT_ONCE = 1 << 24  # joint counts that are held, 128 MB; with what is made of them 0.6 GB


class Uncertainty(ScoredStrategy):
    """Draws samples that are uncertain in labels whose uncertainties are correlated.

    `U_ij = ½ d_ij + ½ H2(p_ij)`: binary entropy in bits, and the mean change of the prediction over
    the last `window` visits. U is put into `bins` equal bins of [0, 1]; `C_jk` is the mutual
    information (nats) of the binned columns j and k, diagonal 1, each row divided by its maximum,
    recomputed whenever the distribution is. The score is `w = (U C) 1`, U taken as bin centres.

    Before any visit, and with constant predictions, C is the identity matrix. State: 24 bytes per
    (sample, label). Each new distribution takes work `n (q bins)^2`, and 0.6 GB of memory at most,
    or 40 `q bins^2` bytes where that is more.

    Args:
        pressure: selection pressure s, a number (falling to 1 over the run, from `warmup` on) or a
            `tfmlselect.schedules.Schedule`.
        window: predictions whose changes count, T >= 2.
        bins: equal bins of [0, 1], >= 2.
        correlation: "mutual_information", or None for the plain sum of U over labels, which is
            what the released code runs.
        warmup: first epochs that are uniform permutations; None: 10 % of the run, as published,
            but at most 5 epochs.
        epochs: the run's length; None: that of the fit, or 100 where used alone.

    Raises:
        ValueError: an argument outside its range.

    Example:
        >>> import numpy as np, tfmlselect as tfml
        >>> strategy = tfml.strategies.Uncertainty()
        >>> strategy.build(np.eye(3))
        >>> strategy.observe(np.arange(3), np.array([[0.5] * 3, [0.9] * 3, [0.9] * 3], "float32"))
        >>> int(strategy.probabilities(0).numpy().argmax())
        0

    References:
        "Batch Selection for Multi-Label Classification Guided by Uncertainty and Dynamic Label
        Correlations", AAAI 2025.

    Deviations and open points:
        The estimator of the mutual information is ours: plain counts of the binned columns; the
        authors' is switched off in their released code. There two arguments of the decay are
        swapped, so that the pressure rises; here it falls, as the formula says.
    """

    published_warmup = 0.1

    def __init__(
        self,
        pressure: float | Schedule = 8.0,
        *,
        window: int = 5,
        bins: int = 5,
        correlation: str | None = "mutual_information",
        warmup: float | None = None,
        epochs: int | None = None,
    ):
        super().__init__(
            pressure,
            decay_start=self.published_warmup if warmup is None else warmup,
            warmup=warmup,
            epochs=epochs,
        )
        self.window = check_whole("window", window, 2)
        self.bins = check_whole("bins", bins, 2)
        self.correlation = check_choice("correlation", correlation, CORRELATIONS)

    def _build(self, labels: Labels, features: Any, neighbors: Any) -> None:
        n, q = labels.matrix.shape
        self._shape = (n, q)
        self._predictions = memories.Predictions(n, q)
        self._uncertainty = memories.Uncertainty(labels, self.window)
        self._known = self._uncertainty.known

    def observe(self, ids: Array, y_pred: Array, loss: Array | None = None) -> None:
        """Records one batch."""
        self._uncertainty.observe(self._predictions.observe(ids, y_pred))

    def scores(self) -> tf.Tensor:
        """w of each sample: (n,) float32."""
        weight = self._label_weights()

        def sums(ids: tf.Tensor) -> list[tf.Tensor]:
            return [tf.reduce_sum(self._table(ids) * weight, axis=1)]

        return map_rows(*self._shape, sums, count=1)[0]

    def _label_weights(self) -> tf.Tensor:
        """The sum of each row of C: (q,) float32."""
        q = self._shape[1]
        if self.correlation is None:
            return tf.ones([q])
        size = labels_at_once(q, self.bins)
        if size == q:
            return self._row_sums(tf.constant(0, tf.int64), q)
        starts = [*range(0, q - size, size), q - size]  # the last block begins a little earlier

        def add(start: Any, sums: tf.Tensor) -> tf.Tensor:
            start = tf.convert_to_tensor(start, tf.int64)
            rows = start + tf.range(size, dtype=tf.int64)
            return tf.tensor_scatter_nd_update(sums, rows[:, None], self._row_sums(start, size))

        sums = tf.zeros([q])
        if workers.are_several():  # who sum over each other outside of loops only
            for start in starts:
                sums = add(start, sums)
            return sums
        table = tf.constant(starts, tf.int64)
        _, sums = tf.while_loop(
            lambda block, _: block < len(starts),
            lambda block, sums: (block + 1, add(table[block], sums)),
            (tf.constant(0), sums),
            parallel_iterations=1,
        )
        return sums

    def _row_sums(self, first: tf.Tensor, size: int) -> tf.Tensor:
        """The sum of each row of C, of `size` labels from `first` on: (size,) float32."""
        counts = workers.total(self._joint_counts(first, size))
        information = mutual_information(counts, self._shape[1], self.bins)
        return tf.cast(tf.reduce_sum(normalised(information, first), axis=1), tf.float32)

    def _table(self, ids: tf.Tensor) -> tf.Tensor:
        """U of some samples as the score takes it, by bins unless `correlation` is None: (b, q).

        0 where the label is unknown.
        """
        table = self._uncertainty.gather(ids)
        if self.correlation is None:
            return table
        centres = (tf.cast(self._bins_of(table), tf.float32) + 0.5) / self.bins
        return self._known.keep(ids, centres)

    def score_parts(self, ids: Array) -> dict[str, tf.Tensor]:
        """The plain sum of U over labels, and what correlations add to it.

        Returns:
            `uncertainty`, `sum_j U_ij`, and, unless `correlation` is None, `correlation`,
            `sum_j U_ij (sum_k C_jk - 1)`, which is never negative.
        """
        table = self._table(ids)
        parts = {"uncertainty": tf.reduce_sum(table, axis=1)}
        if self.correlation is not None:
            parts["correlation"] = tf.linalg.matvec(table, self._label_weights() - 1.0)
        return parts

    def _bins_of(self, table: tf.Tensor) -> tf.Tensor:
        """The bin of each entry of U: int32."""
        return tf.minimum(tf.cast(table * self.bins, tf.int32), self.bins - 1)

    def _joint_counts(self, first: Any = 0, size: int | None = None) -> tf.Tensor:
        """How often label j is in bin a and label k in bin b: (size bins, q bins) float64.

        Of samples where both are known.

        Args:
            first: the first label j, int64.
            size: how many labels j; None: all.
        """
        n, q = self._shape
        size = q if size is None else size
        width, here = q * self.bins, size * self.bins

        def add(ids: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
            bins = self._bins_of(self._uncertainty.gather(ids))
            known = self._known.of_rows(ids)
            if known is not None:
                bins = tf.where(known, bins, -1)  # which is in no bin
            own = one_hot = tf.one_hot(bins, self.bins)
            if size < q:
                own = tf.gather(one_hot, first + tf.range(size, dtype=tf.int64), axis=1)
            own, one_hot = tf.reshape(own, [-1, here]), tf.reshape(one_hot, [-1, width])
            return counts + tf.cast(tf.matmul(own, one_hot, transpose_a=True), tf.float64)

        # By q and not by width: each chunk is added to all counts, so it must not be small.
        return fold_rows(n, q, add, tf.zeros([here, width], tf.float64))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "pressure": self.pressure.get_config(),
            "window": self.window,
            "bins": self.bins,
            "correlation": self.correlation,
            **super().get_config(),
        }


def labels_at_once(q: int, bins: int) -> int:
    """Of how many labels the joint counts with all q are held together."""
    return max(1, min(q, _COUNTS_AT_ONCE // (q * bins * bins)))


def mutual_information(counts: tf.Tensor, q: int, bins: int) -> tf.Tensor:
    """Mutual information in nats of pairs of binned columns, some with all q: (m, q) float64.

    Args:
        counts: joint counts (m bins, q bins), label by label, of samples where both are known.
        q: labels.
        bins: bins of each label.
    """
    joint = tf.transpose(tf.reshape(counts, [-1, bins, q, bins]), [0, 2, 1, 3])
    n = tf.reduce_sum(joint, axis=[2, 3], keepdims=True)
    own, others, joint = (
        tf.math.divide_no_nan(part, n)
        for part in (
            tf.reduce_sum(joint, axis=3, keepdims=True),
            tf.reduce_sum(joint, axis=2, keepdims=True),
            joint,
        )
    )
    independent = own * others
    ratio = tf.math.divide_no_nan(joint, independent)
    return tf.reduce_sum(tf.math.xlogy(joint, tf.where(joint > 0, ratio, 1.0)), axis=[2, 3])


def normalised(information: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
    """C of the mutual information (m, q): diagonal 1, then each row divided by its maximum.

    Args:
        information: of the labels from `first` on with all labels.
        first: int64.
    """
    rows, columns = (tf.range(size, dtype=tf.int64) for size in information.shape)
    itself = (first + rows)[:, None] == columns[None, :]
    correlation = tf.where(itself, tf.ones_like(information), information)
    return correlation / tf.reduce_max(correlation, axis=1, keepdims=True)
