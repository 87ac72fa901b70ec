"""A frozen embedding and a trained head: what is trained on top of features that another gave."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from sklearn.decomposition import PCA


def build(x: np.ndarray, y: np.ndarray) -> tf.keras.Model:
    """The principal components of x, frozen; then layer normalization and one hidden layer.

    Dense 256 with relu, dropout 0.2, one sigmoid a label. Ours: the model is not of a paper. The
    min(256, d, n - 1) leading components take the part of a pretrained embedding; the features
    are centred by the frozen bias, and not whitened.

    Args:
        x: (n, d) float32; the components are fitted on it, with a fixed seed of their own.
        y: (n, q) 0/1; of it, q.
    """
    n, d = x.shape
    components = PCA(min(256, d, n - 1), random_state=0).fit(x)
    layers = tf.keras.layers
    embedding = layers.Dense(components.n_components_, trainable=False, name="embedding")
    model = tf.keras.Sequential(
        [
            tf.keras.Input((d,)),
            embedding,
            layers.LayerNormalization(),
            layers.Dense(256, "relu"),
            layers.Dropout(0.2),
            layers.Dense(y.shape[1], "sigmoid"),
        ],
        name="frozen_head",
    )
    axes = components.components_.T  # (d, components)
    embedding.set_weights([axes, -components.mean_ @ axes])
    return model
