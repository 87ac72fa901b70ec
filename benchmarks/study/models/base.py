"""What the models with a loss of their own have in common."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf


class OwnLossModel(tf.keras.Model):
    """Features (b, d) to probabilities (b, q), trained with the loss of a paper.

    A subclass gives `call`, and `sample_losses` for what needs the labels. Terms without labels it
    adds in `call` with `add_loss`: they are of this very forward pass, whatever graph it is in.
    """

    def build(self, input_shape):
        """Nothing: see `make_weights`. Keras' own calls `call`, which may leave out layers."""

    def sample_losses(
        self, x: tf.Tensor, y: tf.Tensor, y_pred: tf.Tensor, training: bool
    ) -> tf.Tensor:
        """The loss of each sample: (b,) float32."""
        raise NotImplementedError

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> tf.Tensor:
        """The batch mean of the samples' losses, weighted if weights (b,) came, and added terms."""
        losses = self.sample_losses(x, tf.cast(y, tf.float32), y_pred, training)
        if sample_weight is not None:
            losses *= tf.cast(tf.reshape(sample_weight, [-1]), losses.dtype)
        return tf.add_n([tf.reduce_mean(losses), *self.losses])

    def make_weights(self, x: np.ndarray, y: np.ndarray) -> None:
        """Makes the weights of all layers, also of those that are for the loss alone."""
        x, y = tf.constant(x[:2]), tf.constant(y[:2])
        self.compute_loss(x, y, self(x, training=False), training=False)


def label_losses(y: tf.Tensor, p: tf.Tensor) -> tf.Tensor:
    """Binary cross-entropy of each sample and label: (b, q).

    Keras takes the logits, where it finds them behind the sigmoid that gave p; else it clips p.
    """
    return tf.keras.ops.binary_crossentropy(y, p)
