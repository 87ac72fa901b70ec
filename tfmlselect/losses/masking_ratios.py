"""The ideal ratios of Partial Label Masking: histograms, divergences, and one epoch's update.

When they are updated is not decided here, but in `tfmlselect.callbacks`. Histograms are filled in
the training step; all else is a few numbers a label, once an epoch: NumPy in float64.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmlselect.distributed import replicas
from tfmlselect.losses.cross_entropy import finite_rows

DIRECTIONS = ("truth_predicted", "predicted_truth")


class LabelHistograms:
    """Predicted probabilities of an epoch: per label a histogram of its negatives and positives.

    Args:
        q: number of labels.
        bins: equal bins of [0, 1]; a value at an inner edge is in the upper one.
    """

    def __init__(self, q: int, bins: int):
        self._q, self._bins = q, bins
        self._counts = replicas.zeros([q, 2, bins], tf.int64)

    def add(self, y: tf.Tensor, p: tf.Tensor) -> None:
        """Counts labels y and probabilities p, (b, q).

        Left out are rows of p with NaN or infinity, and entries of y that are NaN: unknown.
        """
        y = tf.cast(y, tf.float32)
        finite = finite_rows(p)[:, None]
        level = tf.cast(tf.where(finite, p, 0.0) * self._bins, tf.int64)
        level = tf.clip_by_value(level, 0, self._bins - 1)
        positive = tf.cast(y > 0.5, tf.int64)
        cell = (2 * tf.range(self._q, dtype=tf.int64) + positive) * self._bins
        counted = tf.cast(finite & ~tf.math.is_nan(y), tf.int64)
        counts = tf.math.unsorted_segment_sum(
            tf.reshape(counted, [-1]), tf.reshape(cell + level, [-1]), 2 * self._q * self._bins
        )
        self._counts.assign_add(tf.reshape(counts, [self._q, 2, self._bins]))

    def read(self) -> np.ndarray:
        """(q, 2, bins) int64 counts: of negatives [:, 0] and positives [:, 1]."""
        return np.asarray(self._counts)

    def reset(self) -> None:
        """Empties all bins."""
        self._counts.assign(tf.zeros_like(self._counts))

    def close(self) -> None:
        """Gives the memory back."""
        replicas.free(self._counts)


def divergences(
    histograms: np.ndarray, direction: str, smoothing: float
) -> tuple[np.ndarray, np.ndarray]:
    """D+ and D- (q,): how far predictions are from the truth; NaN where there are none.

    The truth's histogram is the last bin for positives, the first for negatives.

    Args:
        histograms: (q, 2, bins) counts.
        direction: "truth_predicted" is KL(truth || predicted), "predicted_truth" the reverse.
        smoothing: mass added to each bin of a histogram of mass 1, which is then normalised: the
            same for rare and frequent labels.
    """
    negative = _divergence(histograms[:, 0], 0, direction, smoothing)
    positive = _divergence(histograms[:, 1], -1, direction, smoothing)
    return positive, negative


def _divergence(counts: np.ndarray, true_bin: int, direction: str, smoothing: float) -> np.ndarray:
    total = counts.sum(axis=1, keepdims=True)
    empty = np.full(counts.shape, np.nan)
    mass = np.divide(counts, total, out=empty, where=total > 0)
    norm = 1.0 + counts.shape[1] * smoothing
    mass = (mass + smoothing) / norm
    if direction == "truth_predicted":
        return np.asarray(-np.log(mass[:, true_bin]))
    truth = np.full(counts.shape[1], smoothing / norm)
    truth[true_bin] += 1.0 / norm
    return np.asarray(np.sum(mass * np.log(mass / truth), axis=1))


def updated_ratios(
    ideal: np.ndarray,
    actual: np.ndarray,
    positive: np.ndarray,
    negative: np.ndarray,
    rate: float,
    limit: float,
) -> np.ndarray:
    """Ideal ratios after an epoch: `ideal * exp(rate (z(D+) - z(D-)))`, within `limit` of the odds.

    Args:
        ideal, actual: (q,) ratios; NaN where a label takes no part.
        positive, negative: D+ and D- (q,); NaN where a label had no such entries in the epoch.
        rate: lambda.
        limit: the largest factor, either way, between ideal and actual.
    """
    both = ~np.isnan(ideal + actual + positive + negative)
    step = np.zeros(len(ideal))
    step[both] = rate * (_standardised(positive[both]) - _standardised(negative[both]))
    away = np.log(ideal) + step - np.log(actual)
    moved = actual * np.exp(np.clip(away, -np.log(limit), np.log(limit)))
    return np.where(both, moved, ideal)


def _standardised(values: np.ndarray) -> np.ndarray:
    """z-scores; 0 where the values are all the same, up to rounding."""
    if values.size == 0:
        return values
    centred = values - values.mean()
    spread = values.std()
    return centred / spread if spread > 1e-9 * np.abs(values).max() else np.zeros_like(values)
