"""Conditional densities by normalizing flows: one density of u (D,) for each label."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

HIDDEN, CHANNELS, UNITS = 256, 4, 16
SLOPE_ONE = math.log(math.e - 1)  # the softplus of it is 1


def autoregressive_masks(size: int, hidden: int, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Masks (D, hidden) and (hidden, D · channels), by which output i sees inputs before i alone.

    Hidden unit k sees the first k mod D inputs; output i sees the units that see no more than i,
    counted from 0. So the first output sees no input, only what the label gives to its units.
    """
    seen = np.arange(hidden) % size
    inputs = np.arange(size)
    first = inputs[:, None] < seen
    second = np.repeat(seen[:, None] <= inputs, channels, axis=1)
    return first.astype("float32"), second.astype("float32")


class SigmoidalFlow(tf.keras.layers.Layer):
    """A neural autoregressive flow with a deep sigmoidal transformer, conditioned on the label.

    v_i = logit(Σ_k w_k σ(a_k u_i + b_k)), of 16 units with a > 0 and w a softmax: increasing in
    u_i. The parameters of v_i are a network's of u_1 ... u_{i-1} and the label's one-hot row: one
    masked hidden layer of 256 units, relu.

    Ours: one hidden layer; it gives 4 numbers for each dimension, of which one dense layer, shared
    by the dimensions, makes the 3 · 16 parameters; these start near a = 1 and b = 0, so that
    the flow starts near the identity. A product of the masked layer with the 48 D parameters at
    once would cost twelve times as much.

    Args:
        q: number of labels.
        size: D.

    References:
        Huang, Krueger, Lacoste and Courville, "Neural Autoregressive Flows", ICML 2018.
    """

    def __init__(self, q: int, size: int, **options):
        super().__init__(**options)
        self.q, self.size = q, size
        self.masks = [tf.constant(m) for m in autoregressive_masks(size, HIDDEN, CHANNELS)]
        dense = tf.keras.layers.Dense
        self.slopes = dense(UNITS, bias_initializer=tf.keras.initializers.Constant(SLOPE_ONE))
        self.shifts, self.log_weights = dense(UNITS), dense(UNITS)

    def build(self, shape):
        """Makes the masked kernels and what the labels add to the hidden layer (q, 256)."""

        def weight(name, *shape, start="glorot_uniform"):
            return self.add_weight(shape=shape, initializer=start, name=name)

        self.first = weight("first", self.size, HIDDEN)
        self.second = weight("second", HIDDEN, self.size * CHANNELS)
        self.of_labels = weight("of_labels", self.q, HIDDEN)
        self.bias = weight("bias", self.size * CHANNELS, start="zeros")

    def call(self, u):
        """u (b, D) to v and log dv_i/du_i, both (b, q, D)."""
        first, second = self.first * self.masks[0], self.second * self.masks[1]
        # What u adds to the hidden layer is the same for all labels.
        hidden = tf.nn.relu((u @ first)[:, None] + self.of_labels)  # (b, q, 256)
        channels = tf.tensordot(hidden, second, 1) + self.bias
        channels = tf.reshape(channels, [-1, self.q, self.size, CHANNELS])
        slopes = tf.nn.softplus(self.slopes(channels))  # (b, q, D, 16), as the next two
        # e^30 is as good as all the weight; no exponential below may overflow.
        weights = tf.exp(tf.clip_by_value(self.log_weights(channels), -30.0, 30.0))
        inner = slopes * u[:, None, :, None] + self.shifts(channels)
        return mixture_logit(slopes, weights, tf.clip_by_value(inner, -40.0, 40.0))


def mixture_logit(slopes: tf.Tensor, weights: tf.Tensor, inner: tf.Tensor) -> tuple:
    """logit(Σ w σ(c) / Σ w) over the last axis, and the log of its derivative if c' = a.

    Both tails are sums of positive terms, M = Σ w σ(c) and R = Σ w σ(-c): 1 - Σ w σ would lose what
    is left near 1. M + R is what would normalize the weights, so the value is log M - log R,
    and the log derivative log Σ w a σ(c) σ(-c) + log(M + R) - log M - log R.

    Args:
        slopes, weights, inner: a > 0, w > 0 and c (..., k).
    """
    tail = tf.exp(-inner)
    sigmoid = 1 / (1 + tail)
    below = weights * sigmoid
    above = below * tail
    mixture, rest = tf.reduce_sum(below, axis=-1), tf.reduce_sum(above, axis=-1)
    rise = tf.reduce_sum(slopes * above * sigmoid, axis=-1)
    log_mixture, log_rest = tf.math.log(mixture), tf.math.log(rest)
    log_rise = tf.math.log(rise) + tf.math.log(mixture + rest) - log_mixture - log_rest
    return log_mixture - log_rest, log_rise


class LabelDensity(tf.keras.layers.Layer):
    """log p(u | j) of each label j: a sigmoidal flow, then an affine one, to the base N(0, I).

    The affine flow, (v + m_j) ∘ exp(s_j), has its numbers from the label alone, and starts as the
    identity.

    Args:
        q: number of labels.
        size: D.
    """

    def __init__(self, q: int, size: int, **options):
        super().__init__(**options)
        self.shape_of_affine = (q, size)
        self.flow = SigmoidalFlow(q, size)

    def build(self, shape):
        """Makes m and s, both (q, D)."""
        make = self.add_weight
        self.shift = make(shape=self.shape_of_affine, initializer="zeros", name="shift")
        self.log_scale = make(shape=self.shape_of_affine, initializer="zeros", name="log_scale")

    def call(self, u):
        """u (b, D) to log densities (b, q)."""
        v, log_rise = self.flow(u)
        base = (v + self.shift) * tf.exp(self.log_scale)
        terms = log_rise + self.log_scale - base**2 / 2 - math.log(2 * math.pi) / 2
        return tf.reduce_sum(terms, axis=-1)
