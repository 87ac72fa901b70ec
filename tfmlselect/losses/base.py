"""The base of our losses: their entries, one for each sample and label, can be weighed.

Which loss an entry has is a subclass' business; the mean over samples, and its `reduction`, Keras'.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfmlselect._checks import require
from tfmlselect.labels import are_class_ids, one_hot


class LabelLoss(tf.keras.losses.Loss):
    """A Keras loss of (b, q) entries, which takes weights per sample or per label.

    A `sample_weight` of shape (b,) or (b, 1) weighs samples, as in every Keras loss. One of shape
    (b, q) weighs entries, before they are averaged over the labels. (Keras' own losses average
    first: weights (b, q) then meet losses (b,) and broadcast, without an error, where b = q.)

    A subclass gives `entries`, and `q` where it knows the number of labels.
    """

    q: int | None = None

    def entries(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """The loss of each sample and label: (b, q), of labels and predictions (b, q)."""
        raise NotImplementedError(f"{type(self).__name__} needs an `entries` method.")

    def per_sample(self, y_true: tf.Tensor, y_pred: tf.Tensor, weight: Any = None) -> tf.Tensor:
        """The mean over labels, (b,), of entries times `weight` (b, q)."""
        values = self.entries(y_true, y_pred)
        return tf.reduce_mean(values if weight is None else values * weight, axis=-1)

    def call(self, y_true: Any, y_pred: Any) -> tf.Tensor:
        """The loss of each sample, (b,); Keras weighs and reduces it."""
        y_pred = tf.cast(y_pred, tf.float32)
        y_true = self._matrix(y_true, y_pred)
        if y_true.shape[-1] == y_pred.shape[-1]:
            return self.per_sample(y_true, y_pred)
        y_true, weight = tf.split(y_true, 2, axis=-1)
        return self.per_sample(y_true, y_pred, weight)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> tf.Tensor:
        """The reduced loss."""
        if sample_weight is not None:
            sample_weight = tf.convert_to_tensor(sample_weight)
            width = sample_weight.shape[-1] if sample_weight.shape.rank == 2 else None
            if width == 1:
                sample_weight = sample_weight[:, 0]
            elif width is not None:  # passed through Keras' own `__call__` beside the labels
                y_true = self._matrix(y_true, tf.convert_to_tensor(y_pred))
                y_true = tf.concat([y_true, tf.cast(sample_weight, tf.float32)], axis=-1)
                sample_weight = None
        return super().__call__(y_true, y_pred, sample_weight)

    def _matrix(self, y_true: Any, y_pred: tf.Tensor) -> tf.Tensor:
        """Labels as they are in float32; class ids (b,) or (b, 1) as one-hot rows."""
        y_true = tf.convert_to_tensor(y_true)
        q = y_pred.shape[-1]
        remedy = "Give the model one output for each label"
        require(
            self.q in (None, q),
            f"{type(self).__name__} was made for {self.q} labels",
            f"y_pred of shape {y_pred.shape}",
            remedy,
        )
        if q != 1 and are_class_ids(y_true):
            return one_hot(y_true, q)
        width = y_true.shape[-1] if y_true.shape.rank else None
        require(
            width in (q, 2 * q),  # twice: with the weights of its entries behind it
            f"{type(self).__name__} takes labels (b, q) or class ids (b,)",
            f"y_true of shape {y_true.shape} for y_pred of shape {y_pred.shape}",
            remedy,
        )
        return tf.cast(y_true, tf.float32)
