"""Parts that several models are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def mlp(
    widths: Sequence[int], activation: Any = "relu", dropout: float = 0.0
) -> tf.keras.Sequential:
    """Dense layers of these widths, each followed by the non-linearity and dropout."""
    layers: list[tf.keras.layers.Layer] = []
    for width in widths:
        layers.append(tf.keras.layers.Dense(width, activation))
        if dropout:
            layers.append(tf.keras.layers.Dropout(dropout))
    return tf.keras.Sequential(layers)


class PerLabelLogits(tf.keras.layers.Layer):
    """One weight vector a label: (b, q, h), of which b may be 1, or (b, 1, h), to logits (b, q).

    The weights are those of a dense layer h -> q of which label j reads its own hidden vector.
    """

    def __init__(self, q: int, **options):
        super().__init__(**options)
        self.q = q

    def build(self, shape):
        """Makes the weights (q, h) and the biases (q,)."""
        start = tf.keras.initializers.GlorotUniform()
        self.kernel = self.add_weight(shape=(self.q, shape[-1]), initializer=start, name="kernel")
        self.bias = self.add_weight(shape=(self.q,), initializer="zeros", name="bias")

    def call(self, hidden):
        """Logits (b, q)."""
        return tf.reduce_sum(hidden * self.kernel, axis=-1) + self.bias


class Gaussian(tf.keras.layers.Layer):
    """Mean and log-variance (b, D) of a diagonal Gaussian, each by a dense layer of (b, h)."""

    def __init__(self, size: int, **options):
        super().__init__(**options)
        self.mean = tf.keras.layers.Dense(size, name="mean")
        self.log_variance = tf.keras.layers.Dense(size, name="log_variance")
        self.seed = tf.keras.random.SeedGenerator()

    def call(self, hidden):
        """Mean and log-variance, both (b, D)."""
        return self.mean(hidden), self.log_variance(hidden)

    def noise_of(self, log_variance):
        """Noise (b, D) with mean 0 and this variance."""
        normal = tf.keras.random.normal(tf.shape(log_variance), seed=self.seed)
        return tf.exp(log_variance / 2) * normal

    def sample(self, mean, log_variance):
        """A sample (b, D) with the gradient of mean and variance."""
        return mean + self.noise_of(log_variance)


class JointDense(tf.keras.layers.Layer):
    """A dense layer on [x, z] as W_x x + W_z z + bias: x is multiplied once where z is many.

    The same layer as on the two put together, also in how it starts.
    """

    def __init__(self, units: int, **options):
        super().__init__(**options)
        self.units = units

    def build(self, x_shape, z_shape):
        """Makes W_x (d, units), W_z (D, units) and the biases."""
        d, size = x_shape[-1], z_shape[-1]
        limit = math.sqrt(6 / (d + size + self.units))  # Glorot's, of the whole layer
        start = tf.keras.initializers.RandomUniform(-limit, limit)
        self.of_x = self.add_weight(shape=(d, self.units), initializer=start, name="of_x")
        self.of_z = self.add_weight(shape=(size, self.units), initializer=start, name="of_z")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")

    def call(self, x, z):
        """x (..., d) and z (..., D), whose leading axes broadcast, to (..., units)."""
        # tensordot is one product of matrices; matmul's would be one a sample, and so its gradient.
        of_x, of_z = tf.convert_to_tensor(self.of_x), tf.convert_to_tensor(self.of_z)
        return tf.tensordot(x, of_x, 1) + tf.tensordot(z, of_z, 1) + self.bias


def gaussian_kl(
    mean: tf.Tensor, log_variance: tf.Tensor, other_mean: tf.Tensor, other_log_variance: tf.Tensor
) -> tf.Tensor:
    """KL of a diagonal Gaussian from another, KL[first || other]: (b, D) each, to (b,)."""
    ratio = log_variance - other_log_variance
    distance = (mean - other_mean) ** 2 * tf.exp(-other_log_variance)
    return 0.5 * tf.reduce_sum(tf.exp(ratio) + distance - 1 - ratio, axis=-1)
