"""A multivariate probit head: correlated labels by a low-rank covariance of their thresholds."""

from __future__ import annotations

import math

import tensorflow as tf

RANKING_SLOPE = 5.0


def normal_cdf(t: tf.Tensor) -> tf.Tensor:
    """Φ(t)."""
    return 0.5 * tf.math.erfc(-t / math.sqrt(2))


def joint_nll(right: tf.Tensor) -> tf.Tensor:
    """-log of the mean over S noise samples of Π_j of `right` (S, b, q): (b,).

    Args:
        right: the probability Φ(±t) of the label that is there, 0 or 1, as of `right_ones`.
    """
    of_samples = tf.reduce_sum(tf.math.log(right), axis=-1)  # (S, b)
    count = tf.cast(tf.shape(right)[0], tf.float32)
    return tf.math.log(count) - tf.reduce_logsumexp(of_samples, axis=0)


def ranking(y: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """The mean of exp(-5 (p_pos - p_neg)) over noise samples and relevant/irrelevant pairs: (b,).

    With p = Φ(t), p_pos is `right` (S, b, q) of a relevant label and p_neg is 1 - `right` of an
    irrelevant one. A sum over pairs of products is the product of the two sums, so no pair is made.
    A sample without pairs has 0.
    """
    decay = tf.exp(-RANKING_SLOPE * right)
    positive = tf.reduce_sum(y * decay, axis=-1)  # (S, b)
    negative = math.exp(RANKING_SLOPE) * tf.reduce_sum((1 - y) * decay, axis=-1)
    relevant = tf.reduce_sum(y, axis=-1)
    pairs = relevant * (tf.cast(tf.shape(y)[-1], tf.float32) - relevant)
    return tf.reduce_mean(positive * negative, axis=0) / tf.maximum(pairs, 1.0)


def right_ones(y: tf.Tensor, thresholds: tf.Tensor) -> tf.Tensor:
    """Φ(t) where y (b, q) is 1 and Φ(-t) where it is 0, of thresholds t (S, b, q).

    Exact in both tails, down to Φ(-10): float32 ends soon below.
    """
    return normal_cdf(tf.maximum((2 * y - 1) * thresholds, -10.0))


class Probit(tf.keras.layers.Layer):
    """The factor R (q, k) of the labels' covariance, and what follows from it.

    For noise ε ~ N(0, I_k), label j is relevant with probability Φ(m_j + R_j ε).

    Ours: R starts at N(0, 0.05²); the noise samples are the same for all samples of a batch, which
    changes neither the loss nor its gradient on average, and makes of R ε one small product.

    Args:
        q: number of labels.
        rank: k.
    """

    def __init__(self, q: int, rank: int, **options):
        super().__init__(**options)
        small = tf.keras.initializers.RandomNormal(0, 0.05)
        self.factor = self.add_weight(shape=(q, rank), initializer=small, name="factor")
        self.seed = tf.keras.random.SeedGenerator()

    def call(self, means):
        """Means m (b, q) to the mean over the noise of Φ(m + R ε), (b, q).

        It has a closed form, Φ(m_j / sqrt(1 + |R_j|²)), which takes the place of samples.
        """
        variance = tf.reduce_sum(tf.convert_to_tensor(self.factor) ** 2, axis=1)
        return normal_cdf(means / tf.sqrt(1 + variance))

    def thresholds(self, means: tf.Tensor, count: int) -> tf.Tensor:
        """Samples of m + R ε: (count, b, q) of means (b, q)."""
        noise = tf.keras.random.normal((count, self.factor.shape[1]), seed=self.seed)
        return means + tf.matmul(noise, self.factor, transpose_b=True)[:, None]
