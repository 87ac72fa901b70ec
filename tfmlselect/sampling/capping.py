"""Probabilities under a cap: what is cut off is handed to the others in proportion (water-filling).

What the probabilities are made of is not known here.
"""

from __future__ import annotations

import tensorflow as tf

from tfmlselect.distributed import workers

_ROUNDS = 12


def cap_probabilities(p: tf.Tensor, cap: tf.Tensor) -> tf.Tensor:
    """`min(cap, c p_i)`, with c such that the sum is 1: in TensorFlow's graphs, and with XLA.

    Each round sets c from what is under the cap now, so that c rises to its value and never passes
    it. Where that takes more rounds than there are, and where all that is positive is at the cap,
    the rest goes to all in proportion to their room under the cap.

    On several machines the sums are over the samples of all, two numbers in each round.

    Args:
        p: (n,) float64 that sums to 1.
        cap: scalar float64, at least 1 / n.

    Returns:
        (n,) float64 that sums to 1.

    Example:
        >>> p = tf.constant([0.7, 0.2, 0.1], tf.float64)
        >>> cap_probabilities(p, tf.constant(0.5, tf.float64)).numpy().round(4)
        array([0.5   , 0.3333, 0.1667])
    """
    scale = tf.constant(1.0, tf.float64)
    for _ in range(_ROUNDS):
        capped = scale * p >= cap
        sums = [
            tf.math.count_nonzero(capped, dtype=tf.float64),
            tf.reduce_sum(tf.where(capped, tf.zeros_like(p), p)),
        ]
        count, rest = tf.unstack(workers.total(tf.stack(sums)))
        scale = tf.where(rest > 0.0, tf.math.divide_no_nan(1.0 - cap * count, rest), scale)
    filled = tf.minimum(cap, scale * p)
    sums = [tf.reduce_sum(filled), tf.reduce_sum(cap - filled)]
    together, room = tf.unstack(workers.total(tf.stack(sums)))
    missing = tf.where(together < 1.0 - 1e-12, 1.0 - together, 0.0)  # less is rounding
    filled += missing * tf.math.divide_no_nan(cap - filled, room)
    return filled / workers.total(tf.reduce_sum(filled))
