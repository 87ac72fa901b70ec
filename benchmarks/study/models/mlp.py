"""A plain multi-layer perceptron."""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def build(x: np.ndarray, y: np.ndarray) -> tf.keras.Model:
    """Two hidden layers of 256 units with relu and dropout 0.2, and one sigmoid a label.

    Args:
        x: (n, d) float32; of it, d.
        y: (n, q) 0/1; of it, q.
    """
    layers = tf.keras.layers
    return tf.keras.Sequential(
        [
            tf.keras.Input((x.shape[1],)),
            layers.Dense(256, "relu"),
            layers.Dropout(0.2),
            layers.Dense(256, "relu"),
            layers.Dropout(0.2),
            layers.Dense(y.shape[1], "sigmoid"),
        ],
        name="mlp",
    )
