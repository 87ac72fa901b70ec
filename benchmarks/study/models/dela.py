"""DELA: per-label gates learn which latent features noise may perturb."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from benchmarks.study.models.base import OwnLossModel, label_losses
from benchmarks.study.models.layers import Gaussian, JointDense, PerLabelLogits, mlp

GATE_RATE = 0.8  # of the learning rate
TEMPERATURE = 2 / 3


def build(x: np.ndarray, y: np.ndarray) -> tf.keras.Model:
    """DELA for features (n, d) float32 and labels (n, q) 0/1, of which it takes d and q."""
    model = DELA(x.shape[1], y.shape[1])
    model.make_weights(x, y)
    return model


class Gates(tf.keras.layers.Layer):
    """Which of D latent features of each of q labels may be perturbed: (q, D) of 0 and 1.

    Logits (q, D), uniform in [-10, 10] at the start, pass a dense layer D → D with biases 2 at the
    start. A binary concrete sample (temperature 2/3) is rounded, and has the gradient of the
    sample before it was rounded.
    """

    def __init__(self, q: int, size: int, **options):
        super().__init__(**options)
        uniform = tf.keras.initializers.RandomUniform(-10 / GATE_RATE, 10 / GATE_RATE)
        glorot = tf.keras.initializers.GlorotUniform()
        bias = tf.keras.initializers.Constant(2 / GATE_RATE)

        # The gates learn at 0.8 of the learning rate. The step of Adam and its kin does not depend
        # on the scale of the gradient, so a weight that is kept as w and used as 0.8 w moves by
        # just 0.8 of their step: exact, and the optimizer needs not know.
        self.stored_logits = self.add_weight(
            shape=(q, size), initializer=uniform, name="gate_logits"
        )
        self.stored_kernel = self.add_weight(
            shape=(size, size),
            initializer=lambda shape, dtype=None: glorot(shape, dtype) / GATE_RATE,
            name="gate_kernel",
        )
        self.stored_bias = self.add_weight(shape=(size,), initializer=bias, name="gate_bias")
        self.noise = tf.keras.random.SeedGenerator()

    def logits(self) -> tf.Tensor:
        """Log odds (q, D) that a feature may be perturbed."""
        raw, kernel, bias = (
            GATE_RATE * tf.convert_to_tensor(stored)
            for stored in (self.stored_logits, self.stored_kernel, self.stored_bias)
        )
        return raw @ kernel + bias

    def call(self, inputs=None):
        """One sample of the gates (q, D)."""
        logits = self.logits()
        tiny = 1e-6  # log 0 is none
        u = tf.keras.random.uniform(tf.shape(logits), tiny, 1 - tiny, seed=self.noise)
        soft = tf.sigmoid((logits + tf.math.log(u) - tf.math.log1p(-u)) / TEMPERATURE)
        hard = tf.cast(soft > 0.5, soft.dtype)
        return soft + tf.stop_gradient(hard - soft)


def gated_kl(mean: tf.Tensor, log_variance: tf.Tensor, gates: tf.Tensor) -> tf.Tensor:
    """KL[N(z, e^s g²) || N(0, I)], the mean over samples and labels: a scalar.

    ½ Σ_D (-s - 2 ln(g + 1e-6) - 1 + e^s g² + z²). Of its terms none depends on sample and label
    at once but e^s g², whose mean is the product of two sums: nothing of size (b, q, D) is made.

    Args:
        mean: z (b, D).
        log_variance: s (b, D).
        gates: g (q, D).
    """
    of_samples = tf.reduce_mean(mean**2 - log_variance - 1, axis=0)
    of_labels = -2 * tf.reduce_mean(tf.math.log(gates + 1e-6), axis=0)
    of_both = tf.reduce_mean(tf.exp(log_variance), axis=0) * tf.reduce_mean(gates**2, axis=0)
    return 0.5 * tf.reduce_sum(of_samples + of_labels + of_both)


class DELA(OwnLossModel):
    """Features (b, d) to probabilities (b, q).

    An encoder MLP(d → 256 → 512 → 256), dropout 0.2, gives mean z and log-variance s (b, D), D =
    ceil(d / 2). In training each label perturbs the features that its gate g opens, z_ij = z_i +
    g_j ∘ exp(s_i / 2) ∘ noise_i; at inference z_ij = z_i, and one pass of the decoder MLP(d + D →
    256 → 512) on [x_i, z_i] serves all labels. Each label has its weights (512) on what comes out.
    The loss is the cross-entropy, summed over labels, + 1e-4 · `gated_kl`; the second in training
    alone, as gates are drawn there only.

    Args:
        d: number of features.
        q: number of labels.

    References:
        Hang and Zhang, "Dual Perspective of Label-Specific Feature Learning for Multi-Label
        Classification", ICML 2022.
    """

    def __init__(self, d: int, q: int):
        super().__init__(name="dela")
        size = math.ceil(d / 2)
        self.encoder = mlp([256, 512, 256], dropout=0.2)
        self.latent = Gaussian(size, name="latent")
        self.gates = Gates(q, size, name="gates")
        self.decoder_in = JointDense(256, name="decoder_in")
        self.decoder_out = tf.keras.layers.Dense(512, "relu", name="decoder_out")
        self.classifier = PerLabelLogits(q, name="classifier")

    def call(self, x, training=False):
        """Probabilities (b, q); in training with noise."""
        mean, log_variance = self.latent(self.encoder(x, training=training))
        z = mean[:, None]  # (b, 1, D): the same for all labels
        if training:
            gates = self.gates()
            self.add_loss(1e-4 * gated_kl(mean, log_variance, gates))
            z += gates * self.latent.noise_of(log_variance)[:, None]  # (b, q, D)
        hidden = self.decoder_out(tf.nn.relu(self.decoder_in(x[:, None], z)))
        return tf.keras.activations.sigmoid(self.classifier(hidden))

    def sample_losses(self, x, y, y_pred, training):
        """The cross-entropy, summed over labels: (b,)."""
        return tf.reduce_sum(label_losses(y, y_pred), axis=1)
