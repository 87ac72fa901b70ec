"""What a strategy is told of an epoch: few large batches, each sample's visits in order."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tfmlselect.losses.cross_entropy import finite_rows
from tfmlselect.strategies import Strategy


def visit_rounds(ids: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Cuts an epoch into few large batches of distinct samples, each sample's visits in order.

    First all first visits of the epoch, then all second ones, and so on: what a strategy remembers
    of a sample depends on that sample's visits alone, and few large calls cost less than many
    small ones.

    Args:
        ids: the samples of the epoch in order, (m,).
        size: largest batch.

    Yields:
        Positions in `ids`, int64, ascending.
    """
    by_sample = np.argsort(ids, kind="stable")
    first = np.r_[True, ids[by_sample][1:] != ids[by_sample][:-1]]
    places = np.arange(len(ids))
    visit = np.empty(len(ids), np.int64)
    visit[by_sample] = places - np.maximum.accumulate(np.where(first, places, 0))
    for number in range(visit.max(initial=-1) + 1):
        positions = np.flatnonzero(visit == number)
        for start in range(0, len(positions), size):
            yield positions[start : start + size]


def observe_finite(
    strategy: Strategy, ids: tf.Tensor, p: tf.Tensor, losses: tf.Tensor | None
) -> tf.Tensor:
    """`strategy.observe` without the rows that are not finite; returns how many those are."""
    finite = finite_rows(p)
    if losses is not None:
        finite &= finite_rows(losses)
        losses = tf.boolean_mask(losses, finite)
    strategy.observe(tf.boolean_mask(ids, finite), tf.boolean_mask(p, finite), losses)
    return tf.math.count_nonzero(~finite)
