"""The binary cross-entropy of predicted probabilities, and which predictions are numbers at all.

No Keras loss: the strategies take their losses from here, entry by entry.
"""

from __future__ import annotations

import tensorflow as tf

EPSILON = 1e-7


def clamp(p: tf.Tensor) -> tf.Tensor:
    """Probabilities as float32, kept inside [1e-7, 1 - 1e-7]."""
    return tf.clip_by_value(tf.cast(p, tf.float32), EPSILON, 1.0 - EPSILON)


def binary_cross_entropy(y: tf.Tensor, p: tf.Tensor) -> tf.Tensor:
    """Element-wise loss in nats; `y` bool or 0/1 and `p` clamped, of one shape; float32."""
    return -tf.math.log(tf.where(tf.cast(y, tf.bool), p, 1.0 - p))


def finite_rows(values: tf.Tensor) -> tf.Tensor:
    """Which rows of (b, q) hold neither NaN nor infinity: (b,) bool."""
    return tf.reduce_all(tf.math.is_finite(values), axis=1)
