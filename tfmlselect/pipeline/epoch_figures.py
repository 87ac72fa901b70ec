"""What History shows of an epoch, of all workers together."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from tfmlselect.distributed import workers
from tfmlselect.labels import Labels


def epoch_figures(
    p: np.ndarray, ids: np.ndarray, labels: Labels, counts: np.ndarray, minority_rows: np.ndarray
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """How an epoch was drawn.

    Args:
        p: what was drawn from: (n,) float64, of all workers together it sums to 1.
        ids: what was drawn, (draws,).
        labels: of these n samples.
        counts: (q,) positives of each label, of all workers' samples.
        minority_rows: (n,) bool, which samples have a minority label.

    Returns:
        Numbers, and arrays (q,).
    """
    positive = p[p > 0]
    times = np.bincount(ids, minlength=len(p))
    here = {
        "n": len(p),
        "squares": np.sum(p**2),
        "entropy": -np.sum(positive * np.log(positive)),
        "unique": np.count_nonzero(times),
        "minority": np.count_nonzero(minority_rows[ids]),
        "draws": len(ids),
    }
    drawn = labels.sums(times.astype(np.float64))
    sums = workers.total(np.concatenate([[*here.values()], drawn])).numpy()
    of_all = dict(zip(here, sums.tolist(), strict=False))
    n, draws = of_all["n"], of_all["draws"]
    numbers = {
        "selection/effective_sample_size": 1.0 / of_all["squares"],
        "selection/entropy": of_all["entropy"] / math.log(n) if n > 1 else 1.0,
        "selection/unique_samples": of_all["unique"] / n,
        "selection/minority_share": of_all["minority"] / draws,
    }
    return numbers, {"selection/label_attention": attention(sums[len(here) :], draws, counts, n)}


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


def shard_imbalance(mass: float, share: float) -> float:
    """The largest mass of a worker's shard over its share of the draws."""
    return float(workers.highest(tf.constant([mass / share], tf.float64)))
