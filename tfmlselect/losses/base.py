"""The base of our losses: their entries, one for each sample and label, can be weighed.

Which loss an entry has is a subclass' business; the mean over samples, and its `reduction`, Keras'.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfmlselect._checks import check_missing, require
from tfmlselect.labels import are_class_ids, one_hot


class LabelLoss(tf.keras.losses.Loss):
    """A Keras loss of (b, q) entries, which takes weights per sample or per label.

    A `sample_weight` of shape (b,) or (b, 1) weighs samples, as in every Keras loss. One of shape
    (b, q) weighs entries, before they are averaged over the labels. (Keras' own losses average
    first: weights (b, q) then meet losses (b,) and broadcast, without an error, where b = q.)

    Where labels have unknown entries, `missing` says what stands there: the mean over a sample's
    labels is over the known ones, 0 where none is known, and nothing depends on what is predicted
    for the others.

    A subclass gives `entries`, and `q` where it knows the number of labels.

    Args:
        missing: what stands for an unknown label in y: NaN, or a number below 0. None:
            all labels are known.
        **kwargs: what a Keras loss takes.

    Raises:
        ValueError: `missing` is none of these; when called, `missing` with class ids.
    """

    q: int | None = None
    activation = "sigmoid"  # of logits, also for class ids

    def __init__(self, *, missing: float | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.missing = check_missing("missing", missing)

    def entries(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """The loss of each sample and label: (b, q), of labels and predictions (b, q)."""
        raise NotImplementedError(f"{type(self).__name__} needs an `entries` method.")

    def per_sample(
        self, y_true: tf.Tensor, y_pred: tf.Tensor, weight: Any = None, known: Any = None
    ) -> tf.Tensor:
        """The mean over labels, (b,), of entries times `weight` (b, q).

        Args:
            y_true, y_pred: (b, q) float32; numbers without meaning at unknown entries.
            weight: (b, q), or None.
            known: (b, q) bool, which entries the mean is over; None: all.
        """
        values = self.entries(y_true, y_pred)
        return mean_over_known(values if weight is None else values * weight, known)

    def call(self, y_true: Any, y_pred: Any) -> tf.Tensor:
        """The loss of each sample, (b,); Keras weighs and reduces it."""
        y_pred = tf.cast(y_pred, tf.float32)
        y_true, weight, known = self._matrix(y_true, y_pred), None, None
        if y_true.shape[-1] != y_pred.shape[-1]:
            y_true, weight = tf.split(y_true, 2, axis=-1)
        if self.missing is not None:
            missing = (
                tf.math.is_nan(y_true) if self.missing != self.missing else (y_true == self.missing)
            )
            known = ~missing
            # Numbers that any loss has a finite slope at: 0 times an infinite one is NaN.
            y_true, y_pred = tf.where(known, y_true, 0.0), tf.where(known, y_pred, 0.5)
            return self.per_sample(y_true, y_pred, weight, known)
        return self.per_sample(y_true, y_pred, weight)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "missing": self.missing}

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
        if q == 1 and y_true.shape.rank == 1:  # of one label, as Keras' own losses take it
            y_true = y_true[:, None]
        remedy = "Give the model one output for each label"
        require(
            self.q in (None, q),
            f"{type(self).__name__} was made for {self.q} labels",
            f"y_pred of shape {y_pred.shape}",
            remedy,
        )
        if q != 1 and are_class_ids(y_true):
            require(
                self.missing is None,
                "`missing` is for labels (b, q), of which some are unknown",
                f"missing={self.missing}, and class ids of shape {y_true.shape}",
                "Leave samples of unknown class out of the training set",
            )
            return one_hot(y_true, q)
        width = y_true.shape[-1] if y_true.shape.rank else None
        require(
            width in (q, 2 * q),  # twice: with the weights of its entries behind it
            f"{type(self).__name__} takes labels (b, q) or class ids (b,)",
            f"y_true of shape {y_true.shape} for y_pred of shape {y_pred.shape}",
            remedy,
        )
        return tf.cast(y_true, tf.float32)


def mean_over_known(values: tf.Tensor, known: tf.Tensor | None) -> tf.Tensor:
    """The mean over labels of (b, q), of the known ones alone: (b,); 0 where none is known."""
    if known is None:
        return tf.reduce_mean(values, axis=-1)
    total = tf.reduce_sum(tf.where(known, values, 0.0), axis=-1)
    return tf.math.divide_no_nan(total, tf.reduce_sum(tf.cast(known, values.dtype), axis=-1))
