"""What History shows of an epoch, of all workers together."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from tfmlselect import workers


def epoch_figures(p: np.ndarray, ids: np.ndarray, minority_rows: np.ndarray) -> dict[str, float]:
    """How an epoch was drawn.

    Args:
        p: what was drawn from: (n,) float64, of all workers together it sums to 1.
        ids: what was drawn, (draws,).
        minority_rows: (n,) bool, which samples have a minority label.
    """
    positive = p[p > 0]
    here = {
        "n": len(p),
        "squares": np.sum(p**2),
        "entropy": -np.sum(positive * np.log(positive)),
        "unique": np.count_nonzero(np.bincount(ids)),
        "minority": np.count_nonzero(minority_rows[ids]),
        "draws": len(ids),
    }
    sums = workers.total(np.array([*here.values()], np.float64)).numpy()
    of_all = dict(zip(here, sums.tolist(), strict=True))
    n = of_all["n"]
    return {
        "selection/effective_sample_size": 1.0 / of_all["squares"],
        "selection/entropy": of_all["entropy"] / math.log(n) if n > 1 else 1.0,
        "selection/unique_samples": of_all["unique"] / n,
        "selection/minority_share": of_all["minority"] / of_all["draws"],
    }


def shard_imbalance(mass: float, share: float) -> float:
    """The largest mass of a worker's shard over its share of the draws."""
    return float(workers.highest(tf.constant([mass / share], tf.float64)))
