"""MPVAE: two aligned variational autoencoders and a multivariate probit head."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from benchmarks.study.models.base import OwnLossModel
from benchmarks.study.models.layers import Gaussian, gaussian_kl, mlp
from benchmarks.study.models.probit import Probit, joint_nll, ranking, right_ones

NOISE_SAMPLES = 100


def build(x: np.ndarray, y: np.ndarray) -> tf.keras.Model:
    """MPVAE for features (n, d) float32 and labels (n, q) 0/1, of which it takes d and q."""
    model = MPVAE(x.shape[1], y.shape[1])
    model.make_weights(x, y)
    return model


class Branch(tf.keras.layers.Layer):
    """Inputs to a Gaussian of size D, and [x, a sample of it] to the means of q labels.

    Args:
        widths: of the encoder's layers.
        size: D.
        q: number of labels.
    """

    def __init__(self, widths: list[int], size: int, q: int, **options):
        super().__init__(**options)
        self.encoder, self.latent = mlp(widths), Gaussian(size)
        self.decoder = tf.keras.Sequential([mlp([256, 512]), tf.keras.layers.Dense(q)])

    def build(self, *shapes):
        """Nothing: the layers make their weights when first called."""

    def call(self, inputs, x, training=False):
        """Mean and log-variance, both (b, D), and the labels' means (b, q)."""
        mean, log_variance = self.latent(self.encoder(inputs))
        z = self.latent.sample(mean, log_variance) if training else mean
        return mean, log_variance, self.decoder(tf.concat([x, z], axis=1))


class MPVAE(OwnLossModel):
    """Features (b, d) to probabilities (b, q).

    The feature branch, encoder MLP(d → 256 → 256), gives p(z | x) and the labels' means m; the
    label branch, encoder MLP(d + q → 512 → 256) on [x, y], gives q(z | x, y) and means of its own,
    for the loss alone. z has size D = max(1, d // 2); the decoders are MLP(d + D → 256 → 512) → q.
    Both share the factor R (q, max(16, D)) of `Probit`. The loss is

        0.1 · joint_nll + 200 · ranking, both of both branches, + 1.1 · KL[q(z | x, y) || p(z | x)].

    Ours, where the paper's text leaves it open: relu; no dropout; z is the mean at inference;
    recorded is what one z gives, and the loss, which needs more than the prediction, draws
    another.

    Args:
        d: number of features.
        q: number of labels.

    References:
        Bai, Kong and Gomes, "Disentangled Variational Autoencoder Based Multi-Label Classification
        with Covariance-Aware Multivariate Probit Model", IJCAI 2020.
    """

    def __init__(self, d: int, q: int):
        super().__init__(name="mpvae")
        size = max(1, d // 2)
        self.features = Branch([256, 256], size, q, name="features")
        self.labels = Branch([512, 256], size, q, name="labels")
        self.probit = Probit(q, max(16, size), name="probit")

    def call(self, x, training=False):
        """Probabilities (b, q) of the feature branch; in training of a sample of z."""
        *_, means = self.features(x, x, training=training)
        return self.probit(means)

    def terms(self, x: tf.Tensor, y: tf.Tensor, training: bool) -> dict[str, tf.Tensor]:
        """The terms of the loss, without their factors: each (b,)."""
        *of_x, feature_means = self.features(x, x, training=training)
        *of_xy, label_means = self.labels(tf.concat([x, y], axis=1), x, training=training)
        terms = {"kl": gaussian_kl(*of_xy, *of_x)}
        for branch, means in (("features", feature_means), ("labels", label_means)):
            right = right_ones(y, self.probit.thresholds(means, NOISE_SAMPLES))
            terms[f"{branch}_nll"] = joint_nll(right)
            terms[f"{branch}_ranking"] = ranking(y, right)
        return terms

    def sample_losses(self, x, y, y_pred, training):
        """The whole loss: (b,)."""
        factors = {"kl": 1.1, "nll": 0.1, "ranking": 200.0}
        terms = self.terms(x, y, training).items()
        return tf.add_n([factors[name.split("_")[-1]] * value for name, value in terms])
