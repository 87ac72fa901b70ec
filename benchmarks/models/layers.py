"""Parts that several models are made of."""

from __future__ import annotations

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
