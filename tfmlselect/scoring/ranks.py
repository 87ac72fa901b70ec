"""The rank of each sample's value among all samples: exact on one machine, close over several.

Over several machines only histograms cross the network, not the values.
"""

from __future__ import annotations

import tensorflow as tf

from tfmlselect.distributed import workers

BINS = 4096  # of a histogram


def ascending_ranks(values: tf.Tensor) -> tf.Tensor:
    """The rank of each value, 1 for the smallest, equal ones the average of theirs: (n,) float64.

    On one machine the values are sorted. Several workers exchange two histograms: the first has
    equal bins between the smallest and the largest value, the second, by the first, bins that hold
    about as many values each. All values of a bin get their average rank, so that a rank is off by
    less than half the number of values in its bin, and by nothing where these are equal.

    Args:
        values: (n,) floats.
    """
    values = tf.cast(values, tf.float64)
    if not workers.are_several():
        return _ranks_in(tf.sort(values), values)
    low, high = workers.lowest(values), workers.highest(values)
    edges = tf.linspace(low, high, BINS + 1)[1:-1]
    counts, _ = _histogram(values, edges)
    reached = tf.concat([[0.0], tf.cumsum(counts)], axis=0)
    wanted = tf.linspace(reached[0], reached[-1], BINS + 1)[1:-1]
    edges = _interpolated(wanted, reached, tf.concat([[low], edges, [high]], axis=0))
    counts, bins = _histogram(values, edges)
    above = tf.cumsum(counts)
    return tf.gather(above - (counts - 1.0) / 2.0, bins)


def _ranks_in(ordered: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """The average rank of each value among all of them, sorted."""
    smaller = tf.searchsorted(ordered, values, side="left")
    not_larger = tf.searchsorted(ordered, values, side="right")
    return (tf.cast(smaller + not_larger, tf.float64) + 1.0) / 2.0


def _histogram(values: tf.Tensor, edges: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """How many values of all workers each bin holds, float64, and the bin of each value here."""
    bins = tf.searchsorted(edges, values, side="right")
    size = edges.shape[0] + 1
    here = tf.math.unsorted_segment_sum(tf.ones_like(values), bins, size)
    return workers.total(here), bins


def _interpolated(at: tf.Tensor, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """y, known at ascending x, at points between them, piecewise linear."""
    right = tf.clip_by_value(tf.searchsorted(x, at, side="right"), 1, x.shape[0] - 1)
    x0, x1, y0, y1 = (tf.gather(t, i) for t in (x, y) for i in (right - 1, right))
    return y0 + (y1 - y0) * tf.math.divide_no_nan(at - x0, x1 - x0)
