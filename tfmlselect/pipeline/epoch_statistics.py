"""Figures of an epoch's draws, over the samples of all machines together."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from tfmlselect.distributed import workers
from tfmlselect.labels import Labels, label_odds, minority_labels
from tfmlselect.pipeline.distribution import Distribution


class EpochStatistics:
    """Measures how epochs are drawn from one training set.

    Everything here is of all machines together: all must make one, and ask it, at the same time.

    Args:
        labels: of the samples on this machine.
        draws: samples an epoch on this machine.

    Attributes:
        n: samples of all machines.
        counts: (q,) int64, positives of each label, of all machines' samples.
        share: this machine's share of all draws of an epoch; 1.0 on one machine.
    """

    def __init__(self, labels: Labels, draws: int):
        self._labels = labels
        self.counts = workers.label_counts(labels.matrix)
        of_all = workers.total(np.array([draws, labels.n])).numpy()
        self.share, self.n = draws / int(of_all[0]), int(of_all[1])
        minority = labels.matrix[:, minority_labels(self.counts)]
        self._minority_rows: np.ndarray = np.any(minority, axis=1)

    def of_epoch(
        self, distribution: Distribution, ids: np.ndarray
    ) -> tuple[dict[str, float], dict[str, np.ndarray]]:
        """How an epoch was drawn.

        Args:
            distribution: that it was drawn from.
            ids: what was drawn, (draws,).

        Returns:
            Numbers, and arrays (q,), by the names that the callback's `history` has.
        """
        # share, not mass: this machine draws as often as its batches say.
        p = self.share * distribution.probabilities
        positive = p[p > 0]
        times = np.bincount(ids, minlength=len(p))
        here = {
            "n": len(p),
            "squares": np.sum(p**2),
            "entropy": -np.sum(positive * np.log(positive)),
            "unique": np.count_nonzero(times),
            "minority": np.count_nonzero(self._minority_rows[ids]),
            "draws": len(ids),
        }
        drawn = self._labels.sums(times.astype(np.float64))
        sums = workers.total(np.concatenate([[*here.values()], drawn])).numpy()
        of_all = dict(zip(here, sums.tolist(), strict=False))
        n, draws = of_all["n"], of_all["draws"]
        numbers = {
            "selection/effective_sample_size": 1.0 / of_all["squares"],
            "selection/entropy": of_all["entropy"] / math.log(n) if n > 1 else 1.0,
            "selection/unique_samples": of_all["unique"] / n,
            "selection/minority_share": of_all["minority"] / draws,
        }
        if workers.are_several():
            largest = workers.highest(tf.constant([distribution.mass / self.share], tf.float64))
            numbers["selection/shard_imbalance"] = float(largest)
        favour = attention(sums[len(here) :], draws, self.counts, n)
        return numbers, {"selection/label_attention": favour}

    def odds(self, distribution: Distribution) -> np.ndarray:
        """Known positives over negatives of each label in draws from a distribution: (q,)."""
        p = self.share * distribution.probabilities
        of_labels = np.concatenate([self._labels.sums(p), self._labels.known_sums(p)])
        positive, known = np.split(workers.total(of_labels).numpy(), 2)
        return label_odds(positive, known)


def attention(drawn: np.ndarray, draws: float, counts: np.ndarray, n: float) -> np.ndarray:
    """How often each label's positives were drawn, over what uniform draws would have given.

    Args:
        drawn: (q,), draws of a positive of each label.
        draws: how many draws there were.
        counts: (q,), positives of each label among the n samples.
        n: number of samples.

    Returns:
        (q,) float64: `drawn_j / (draws count_j / n)`, 1 where nothing is favoured, NaN for labels
        without positives.

    Example:
        >>> attention(np.array([6.0, 2.0, 0.0]), 8, np.array([5, 1, 0]), 8).tolist()
        [1.2, 2.0, nan]
    """
    unknown = np.full(len(counts), np.nan)
    return np.divide(drawn, draws / n * counts, out=unknown, where=counts > 0)
