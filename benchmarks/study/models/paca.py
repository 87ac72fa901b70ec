"""PACA: probabilities from the densities of probabilistic prototypes, given by flows."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from benchmarks.study.models.base import OwnLossModel, label_losses
from benchmarks.study.models.flows import LabelDensity
from benchmarks.study.models.layers import Gaussian, JointDense, gaussian_kl, mlp


def build(x: np.ndarray, y: np.ndarray) -> tf.keras.Model:
    """PACA for features (n, d) float32 and labels (n, q) 0/1, of which it takes d and q."""
    model = PACA(x.shape[1], y.shape[1])
    model.make_weights(x, y)
    return model


class PACA(OwnLossModel):
    """Features (b, d) to probabilities (b, q).

    An encoder MLP(d → 256 → 512 → 256), dropout 0.1, gives q(z | x), a diagonal Gaussian of size D
    = ceil(d / 2). u = MLP([x, z] → 256 → 256) → D, from which MLP(D → 256 → 512 → 256) → d rebuilds
    x. Each label has a positive and a negative density of u; the probability of the label is the
    positive part of the softmax of (log p-, log p+). Beside it are an encoder MLP(q → 512 → 256) of
    the labels and a decoder MLP(D → 256 → 512) → q, for the loss alone, which is

        Σ_features (σ(rebuilt) - x)² + 10 (KL[q(z | x) || q(z | y)] + Σ_labels BCE of the decoder)
        + 2 Σ_labels BCE of the probability.

    Ours, where the paper's text leaves it open: relu; z is the mean at inference; the KL draws its
    own dropout of the encoder, which does not change what the loss is on average.

    The memory of a step grows with b q D: it is a model for few labels.

    Args:
        d: number of features.
        q: number of labels.

    References:
        Hang, Zhang, Feng and Song, "End-to-End Probabilistic Label-Specific Feature Learning for
        Multi-Label Classification", AAAI 2022.
    """

    def __init__(self, d: int, q: int):
        super().__init__(name="paca")
        size = math.ceil(d / 2)
        dense = tf.keras.layers.Dense
        self.encoder = mlp([256, 512, 256], dropout=0.1)
        self.latent = Gaussian(size, name="latent")
        self.embedding_in = JointDense(256, name="embedding_in")
        self.embedding_out = tf.keras.Sequential([dense(256, "relu"), dense(size)])
        self.rebuild = tf.keras.Sequential([mlp([256, 512, 256]), dense(d, "sigmoid")])
        self.positive = LabelDensity(q, size, name="positive")
        self.negative = LabelDensity(q, size, name="negative")
        self.label_encoder = mlp([512, 256], dropout=0.1)
        self.label_latent = Gaussian(size, name="label_latent")
        self.label_decoder = tf.keras.Sequential([mlp([256, 512]), dense(q, "sigmoid")])

    def call(self, x, training=False):
        """Probabilities (b, q); in training with noise."""
        mean, log_variance = self.latent(self.encoder(x, training=training))
        z = self.latent.sample(mean, log_variance) if training else mean
        u = self.embedding_out(tf.nn.relu(self.embedding_in(x, z)))
        self.add_loss(self.rebuilding_term(x, u))
        return tf.keras.activations.sigmoid(self.positive(u) - self.negative(u))

    def rebuilding_term(self, x: tf.Tensor, u: tf.Tensor) -> tf.Tensor:
        """The squared error of x (b, d) rebuilt from u (b, D), summed over features: a scalar."""
        return tf.reduce_mean(tf.reduce_sum((self.rebuild(u) - x) ** 2, axis=1))

    def label_terms(self, x: tf.Tensor, y: tf.Tensor, training: bool) -> tuple:
        """KL[q(z | x) || q(z | y)], and the cross-entropy of labels from labels: both (b,)."""
        of_x = self.latent(self.encoder(x, training=training))
        of_y = self.label_latent(self.label_encoder(y, training=training))
        z = self.label_latent.sample(*of_y) if training else of_y[0]
        rebuilt = tf.reduce_sum(label_losses(y, self.label_decoder(z)), axis=1)
        return gaussian_kl(*of_x, *of_y), rebuilt

    def sample_losses(self, x, y, y_pred, training):
        """All terms but that of the rebuilt features: (b,)."""
        kl, rebuilt = self.label_terms(x, y, training)
        return 10 * (kl + rebuilt) + 2 * tf.reduce_sum(label_losses(y, y_pred), axis=1)
