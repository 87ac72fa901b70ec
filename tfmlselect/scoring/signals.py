"""How uncertain and how hard a label of a sample is, as functions of tensors.

What is remembered between visits is in `memories`. Shapes are (b, q) unless said otherwise: b
visited samples, q labels.
"""

from __future__ import annotations

import math

import tensorflow as tf

from tfmlselect._checks import check_choice
from tfmlselect.losses.cross_entropy import binary_cross_entropy

HARDNESS_KINDS = ("bounded", "loss", "released")


def uncertainty(p: tf.Tensor, mean_difference: tf.Tensor) -> tf.Tensor:
    """E = 1/2 d + 1/2 H2(p), in [0, 1]: the recent change and the binary entropy in bits.

    Args:
        p: predicted probabilities, clamped.
        mean_difference: d, the mean of the last changes of p.
    """
    rest = 1.0 - p
    nats = p * tf.math.log(p) + rest * tf.math.log(rest)
    return tf.minimum(0.5 * mean_difference - nats * (0.5 / math.log(2.0)), 1.0)


def change(p_new: tf.Tensor, p_old: tf.Tensor, visited: tf.Tensor) -> tf.Tensor:
    """|p_new - p_old| where a sample was `visited` (b,) before, 0 at a first visit."""
    return tf.abs(p_new - p_old) * tf.cast(visited, tf.float32)[:, None]


def flip_average(flip: tf.Tensor, change: tf.Tensor, weight: float) -> tf.Tensor:
    """The new flip average w |p_new - p_old| + (1 - w) F, of the old one, F, and the change."""
    return weight * change + (1.0 - weight) * flip


def hardness(loss: tf.Tensor, flip: tf.Tensor, kind: str = "bounded") -> tf.Tensor:
    """h = g(l) (1 - F), of the loss l and the flip average F.

    Args:
        loss: l >= 0.
        flip: F, in [0, 1].
        kind: g(l) is 1 - e^-l, "bounded"; l, "loss"; or 2 - e^-l, "released".

    Raises:
        ValueError: an unknown kind.
    """
    check_choice("kind", kind, HARDNESS_KINDS)
    if kind == "bounded":
        grown = -tf.math.expm1(-loss)  # 1 - exp(-l) would lose the small losses of a focal loss
    elif kind == "loss":
        grown = loss
    else:
        grown = 2.0 - tf.exp(-loss)
    return grown * (1.0 - flip)


def cross_entropy_hardness(y: tf.Tensor, p: tf.Tensor, flip: tf.Tensor, kind: str) -> tf.Tensor:
    """`hardness` where the loss is the binary cross-entropy of labels y and probabilities p."""
    # 1 - e^-l = |y - p| needs no logarithm.
    if kind == "bounded":
        return tf.where(tf.cast(y, tf.bool), 1.0 - p, p) * (1.0 - flip)
    return hardness(binary_cross_entropy(y, p), flip, kind)
