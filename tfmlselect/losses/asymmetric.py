"""The asymmetric loss: easy negatives weigh less than anything else.

Weights of samples and labels, and the means over them, are those of `LabelLoss`.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfmlselect._checks import check_flag, check_number, check_text
from tfmlselect.losses.base import LabelLoss
from tfmlselect.losses.cross_entropy import clamp


@tf.keras.utils.register_keras_serializable("tfmlselect")
class AsymmetricLoss(LabelLoss):
    """Focal loss with two focusing parameters and shifted negatives, for many labels.

    With p the probability of a label, clamped to [1e-7, 1 - 1e-7], and `p_m = max(p - m, 0)`:

        l = -(1 - p)^γ+ ln p           where y = 1
        l = -p_m^γ- ln(1 - p_m)        where y = 0

    Negatives predicted below the margin m count nothing. `γ+ = γ- = m = 0` is the binary
    cross-entropy. Entries are averaged over labels, then reduced as in every Keras loss;
    a `sample_weight` may have shape (b,) or (b, q).

    Args:
        gamma_positive: γ+ >= 0.
        gamma_negative: γ- >= 0.
        margin: m, in [0, 1).
        from_logits: whether predictions are logits.
        missing: what stands for an unknown label in y: NaN, or a number below 0; None:
            all labels are known.
        name: of the loss; None: Keras picks one.
        **kwargs: `reduction`, and what else a Keras loss takes.

    Raises:
        ValueError: an argument outside its range.

    Example:
        >>> import tfmlselect as tfml
        >>> loss = tfml.losses.AsymmetricLoss(margin=0.1)
        >>> round(float(loss([[1.0, 0.0]], [[0.5, 0.05]])), 4)  # ln 2 / 2: the negative is easy
        0.3466

    References:
        Ridnik et al., "Asymmetric Loss For Multi-Label Classification", ICCV 2021,
        arXiv:2009.14119.

    Deviations and open points:
        The gradient goes through the focusing weights too, as the formula says; the authors' code
        can hold them constant.
    """

    def __init__(
        self,
        gamma_positive: float = 0.0,
        gamma_negative: float = 4.0,
        margin: float = 0.05,
        from_logits: bool = False,
        missing: float | None = None,
        name: str | None = "asymmetric_loss",
        **kwargs: Any,
    ):
        name = None if name is None else check_text("name", name)
        super().__init__(missing=missing, name=name, **kwargs)
        self.gamma_positive = check_number("gamma_positive", gamma_positive, 0, example=0.0)
        self.gamma_negative = check_number("gamma_negative", gamma_negative, 0, example=4.0)
        self.margin = check_number("margin", margin, 0, below=1, example=0.05)
        self.from_logits = check_flag("from_logits", from_logits)

    def entries(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """l of each entry; soft labels y mix the two cases: (b, q) float32."""
        y_pred = tf.cast(y_pred, tf.float32)
        if self.from_logits:
            p, rest = clamp(tf.sigmoid(y_pred)), clamp(tf.sigmoid(-y_pred))
            positive = tf.math.softplus(-y_pred)
        else:
            p = clamp(y_pred)
            rest, positive = 1.0 - p, -tf.math.log(p)
        if self.gamma_positive:
            positive *= rest**self.gamma_positive
        return y_true * positive + (1.0 - y_true) * self._negative(y_pred, p)

    def _negative(self, y_pred: tf.Tensor, p: tf.Tensor) -> tf.Tensor:
        if self.margin == 0.0:
            loss = tf.math.softplus(y_pred) if self.from_logits else -tf.math.log(1.0 - p)
            return loss * p**self.gamma_negative if self.gamma_negative else loss
        over = p > self.margin
        # 0.5, where the loss is 0 anyway: there the slope must not be infinite.
        shifted = tf.where(over, p - self.margin, 0.5)
        loss = -tf.math.log1p(-shifted)
        if self.gamma_negative:
            loss *= shifted**self.gamma_negative
        return tf.where(over, loss, 0.0)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "gamma_positive": self.gamma_positive,
            "gamma_negative": self.gamma_negative,
            "margin": self.margin,
            "from_logits": self.from_logits,
        }
