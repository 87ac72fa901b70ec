"""Per-sample, per-label memory: what a visit leaves behind, and the signals read from it.

First the formulas as plain functions of tensors, then one small class a memory. A memory is a
`tf.Variable` with a row per sample. Its rows are always read by `tf.gather`: a variable that was
scattered into is copied whole by most other reads.
"""

from __future__ import annotations

import math

import tensorflow as tf

from tfmlselect.losses.cross_entropy import binary_cross_entropy

HARDNESS_KINDS = ("bounded", "loss", "released")


def uncertainty(p: tf.Tensor, mean_difference: tf.Tensor) -> tf.Tensor:
    """E = 1/2 d + 1/2 H2(p), in [0, 1], `p` clamped: binary entropy and recent change (4.1)."""
    rest = 1.0 - p
    nats = p * tf.math.log(p) + rest * tf.math.log(rest)
    return tf.minimum(0.5 * mean_difference - nats * (0.5 / math.log(2.0)), 1.0)


def change(p_new: tf.Tensor, p_old: tf.Tensor, visited: tf.Tensor) -> tf.Tensor:
    """|p_new - p_old| of samples `visited` (b,) before; 0 at a first visit; (b, q)."""
    return tf.abs(p_new - p_old) * tf.cast(visited, tf.float32)[:, None]


def flip_average(flip: tf.Tensor, change: tf.Tensor, weight: float) -> tf.Tensor:
    """F <- w |p_new - p_old| + (1 - w) F (section 5.2)."""
    return weight * change + (1.0 - weight) * flip


def hardness(loss: tf.Tensor, flip: tf.Tensor, kind: str = "bounded") -> tf.Tensor:
    """h = g(l) (1 - F) with g(l) = 1 - e^-l, l, or 2 - e^-l (section 5.3)."""
    if kind == "bounded":
        grown = -tf.math.expm1(-loss)  # 1 - exp(-l) would lose the small losses of a focal loss
    elif kind == "loss":
        grown = loss
    elif kind == "released":
        grown = 2.0 - tf.exp(-loss)
    else:
        raise ValueError(
            f"Unknown hardness. Received: kind={kind!r}. Choose one of {HARDNESS_KINDS}."
        )
    return grown * (1.0 - flip)


def cross_entropy_hardness(y: tf.Tensor, p: tf.Tensor, flip: tf.Tensor, kind: str) -> tf.Tensor:
    """`hardness` of the binary cross-entropy; "bounded" needs no logarithm: 1 - e^-l = |y - p|."""
    if kind == "bounded":
        return tf.where(tf.cast(y, tf.bool), 1.0 - p, p) * (1.0 - flip)
    return hardness(binary_cross_entropy(y, p), flip, kind)
