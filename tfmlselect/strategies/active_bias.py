"""ActiveBias: samples whose predicted probability of the truth varies most."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfmlselect.distributed import workers
from tfmlselect.labels import Labels
from tfmlselect.losses.cross_entropy import clamp
from tfmlselect.scoring.known_entries import KnownEntries
from tfmlselect.scoring.memories import Memory, Visits, observed
from tfmlselect.scoring.row_chunks import map_rows
from tfmlselect.strategies.base import Array, CompiledStrategy


class ActiveBias(CompiledStrategy):
    """Draws samples by the spread of their predictions, `p_i ∝ Σ_j sqrt(v_ij + v_ij² / k_i) + ε`.

    v_ij is the sample variance (ddof 1) of i's recorded probabilities of the true outcome of label
    j, over all its k_i visits; it is kept running, not stored. ε is the mean of the first term. A
    sample visited fewer than twice counts as the mean of the others; if all were, the
    distribution is uniform. State: 8 bytes per (sample, label).

    Args:
        warmup: first epochs that are uniform permutations; None: 10 % of the run, as published,
            but at most 5 epochs.
        epochs: the run's length; None: that of the fit, or 100 where used alone.

    Example:
        >>> import numpy as np, tfmlselect as tfml
        >>> strategy = tfml.strategies.ActiveBias()
        >>> strategy.build(np.eye(3))
        >>> for p in (0.1, 0.9):
        ...     strategy.observe(np.arange(3), np.array([[p] * 3, [0.5] * 3, [0.5] * 3], "float32"))
        >>> int(strategy.probabilities(0).numpy().argmax())
        0

    References:
        Chang, Learned-Miller and McCallum, "Active Bias: Training More Accurate Neural Networks by
        Emphasizing High Variance Samples", NIPS 2017, arXiv:1704.07433, section 3.3 (SGD-SPV).

    Deviations and open points:
        The sum over labels is ours, the paper is single-label; so is the value of samples visited
        fewer than twice.
    """

    published_warmup = 0.1

    def __init__(self, *, warmup: float | None = None, epochs: int | None = None):
        super().__init__(warmup=warmup, epochs=epochs)

    def _build(self, labels: Labels, features: Any, neighbors: Any) -> None:
        n, q = labels.matrix.shape
        self._positive = tf.constant(labels.matrix.astype(bool))
        self._known = KnownEntries(labels.known)
        self._visits = Visits(n)
        self._mean = Memory(n, q, 0.0, "mean")
        self._square = Memory(n, q, 0.0, "square")

    def observe(self, ids: Array, y_pred: Array, loss: Array | None = None) -> None:
        """Records one batch, by Welford's update of mean and sum of squares."""
        p = clamp(observed("y_pred", y_pred))
        truth = tf.where(tf.gather(self._positive, ids), p, 1.0 - p)
        visits = tf.cast(self._visits.advance(ids) + 1, tf.float32)[:, None]
        mean = self._mean.gather(ids)
        new_mean = mean + (truth - mean) / visits
        square = self._square.gather(ids) + (truth - mean) * (truth - new_mean)
        self._mean.scatter(ids, new_mean)
        self._square.scatter(ids, square)

    def scores(self) -> tf.Tensor:
        """The spread of each sample, summed over labels: (n,) float32."""
        n, q = self._positive.shape

        def spread(ids: tf.Tensor) -> list[tf.Tensor]:
            visits = tf.cast(self._visits.gather(ids), tf.float32)[:, None]
            variance = self._square.gather(ids) / tf.maximum(visits - 1.0, 1.0)
            of_labels = tf.sqrt(variance + variance**2 / tf.maximum(visits, 1.0))
            return [tf.reduce_sum(self._known.keep(ids, of_labels), axis=1)]

        return map_rows(n, q, spread, count=1)[0]

    def score_parts(self, ids: Array) -> dict[str, tf.Tensor]:
        """The two terms of p, times a constant.

        Returns:
            `spread`, of the sample, or the mean of the others where it was visited fewer than
            twice; `mean_spread`, epsilon, the same for all.
        """
        spread, mean = self._terms()
        return {"spread": tf.gather(spread, ids), "mean_spread": tf.fill(tf.shape(ids), mean)}

    def _terms(self) -> tuple[tf.Tensor, tf.Tensor]:
        """The spread of each sample, (n,) float64, and epsilon, its mean where it is known."""
        known = self._visits.gather(tf.range(self._positive.shape[0])) >= 2
        spread = tf.where(known, tf.cast(self.scores(), tf.float64), 0.0)
        count = tf.math.count_nonzero(known, dtype=tf.float64)
        sums = workers.total(tf.stack([tf.reduce_sum(spread), count]))
        mean = tf.math.divide_no_nan(sums[0], sums[1])
        return tf.where(known, spread, mean), mean

    def _distribution_ops(self) -> tf.Tensor:
        spread, mean = self._terms()
        weight = spread + mean
        total = workers.total(tf.reduce_sum(weight))
        n = workers.total(tf.constant(weight.shape[0], tf.float64))
        return tf.where(total > 0, weight / tf.where(total > 0, total, 1.0), 1.0 / n)
