"""The likelihood of samples of which many empty ones were left out before training.

Which samples are left out, and at which rates, is decided by `strategies.RareEvents`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect import _training_step
from tfmlselect._checks import check_columns, check_flag, check_number, check_text, require
from tfmlselect._training_step import training_step
from tfmlselect.losses.base import LabelLoss, mean_over_known
from tfmlselect.losses.cross_entropy import clamp


@tf.keras.utils.register_keras_serializable("tfmlselect")
class ThinnedLikelihood(LabelLoss):
    """Binary cross-entropy, corrected for empty samples that training leaves out.

    `strategies.RareEvents` trains on every sample that has a protected label, and keeps an empty
    one, which has none, with probability π_i. The binary cross-entropy of the kept samples then
    gives probabilities that are too large. This loss is their likelihood given that they were kept:
    with z the logits, q labels and R the protected ones,

        q L_i = Σ_j BCE(z_ij, y_ij) + ln(π_i + (1 - π_i) (1 - exp(-S_i))),
        S_i = Σ_{j in R} softplus(z_ij).

    The argument of ln is the probability of being kept, `P(kept | x_i)`: 1 - exp(-S_i) is that of a
    protected label. The correction is for every kept sample, empty or not, with the rate that the
    sample would have as an empty one. The model then learns the probabilities of the data as they
    are, and needs no correction of its outputs. With π = 1 the loss is the binary cross-entropy.
    The constant -ln π_i of an empty sample is left out, so the loss may fall below 0.

    **Where it corrects.** In the training steps of a fit with one of the package's callbacks, and
    in `corrected`; nowhere else. So `val_loss`, `model.evaluate` and a call of the loss are the
    plain binary cross-entropy, of the data as they are. They are not comparable with the `loss` of
    the training.

    **Where the rates come from.** Under `AdaptiveBatchSelection` with `RareEvents` from there, row
    by row: `rate` can be left out. `rate` is for a training step that gets none: one that takes its
    loss before it calls `compute_loss` or `compute_metrics`, where the mean rate is an
    approximation if rates differ; or a fit on data that you thinned yourself, at one rate, with
    `callbacks.LabelsForLayers`.

    Args:
        rate: π, in (0, 1], where the training step knows none: `train.strategy.rate`. None: such a
            step raises an error.
        labels: the protected columns R, those of the strategy; None: all labels.
        from_logits: whether predictions are logits, which is the exact form. Probabilities are
            clamped to [1e-7, 1 - 1e-7].
        missing: what stands for an unknown label in y: NaN, or a number below 0; None:
            all labels are known.
            Of a sample of which k labels are known, both sums are over these, and k takes
            the place of q.
        name: of the loss; None: Keras picks one.
        **kwargs: `reduction`, and what else a Keras loss takes.

    Raises:
        ValueError: an argument outside its range; fewer labels than a protected column; weights of
            shape (b, q). At the start of training: a strategy that leaves nothing out, or one with
            other labels or another rate.
        RuntimeError: a training step without rates, and `rate=None`.

    Example:
        >>> import numpy as np, tfmlselect as tfml
        >>> loss = tfml.losses.ThinnedLikelihood()
        >>> y, p = np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]])
        >>> round(float(loss(y, p)), 4)  # ln 2
        0.6931
        >>> round(float(loss.corrected(y, p, rates=0.2)), 4)  # ln 2 + ln(0.2 + 0.8 · 0.75) / 2
        0.5816

    References:
        Wang, Zhang and Wang, "Nonuniform Negative Sampling and Log Odds Correction with Rare Events
        Data", NeurIPS 2021, arXiv:2110.13048: the case of one label, where the correction is that
        of the log odds.

    Deviations and open points:
        The form for many labels is ours. It takes labels as independent given x, as the binary
        cross-entropy does. Its sum is divided by q, as Keras divides the binary cross-entropy.
        Weights of single labels are refused: weighed, it is no likelihood, and the probabilities
        would be wrong again.
    """

    def __init__(
        self,
        rate: float | None = None,
        labels: Any = None,
        from_logits: bool = False,
        missing: float | None = None,
        name: str | None = "thinned_likelihood",
        **kwargs: Any,
    ):
        name = None if name is None else check_text("name", name)
        super().__init__(missing=missing, name=name, **kwargs)
        self.rate = None if rate is None else check_number("rate", rate, most=1, above=0)
        self.labels = check_columns("labels", labels)
        self.from_logits = check_flag("from_logits", from_logits)

    def entries(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """The binary cross-entropy of each entry, not corrected: (b, q) float32."""
        y_true, y_pred = tf.cast(y_true, tf.float32), tf.cast(y_pred, tf.float32)
        if self.from_logits:
            return tf.nn.sigmoid_cross_entropy_with_logits(y_true, y_pred)
        p = clamp(y_pred)
        return -(y_true * tf.math.log(p) + (1.0 - y_true) * tf.math.log(1.0 - p))

    def log_kept(self, y_pred: Any, rates: Any, known: Any = None) -> tf.Tensor:
        """The correction, ln P(kept | x): (b,) float32, <= 0.

        Args:
            y_pred: predictions (b, q), logits or probabilities.
            rates: π, (b,) or one number.
            known: (b, q) bool, which labels are known; None: all.
        """
        y_pred = tf.cast(y_pred, tf.float32)
        if self.labels is not None:
            q = y_pred.shape[-1]
            require(
                max(self.labels) < q,
                "A protected label is a column of the predictions",
                f"labels={list(self.labels)}, and predictions of {q} labels",
                "Pass the columns that the strategy protects",
            )
            y_pred = tf.gather(y_pred, list(self.labels), axis=-1)
            known = None if known is None else tf.gather(known, list(self.labels), axis=-1)
        none = tf.math.softplus(y_pred) if self.from_logits else -tf.math.log(1.0 - clamp(y_pred))
        none = none if known is None else tf.where(known, none, 0.0)
        some = -tf.math.expm1(-tf.reduce_sum(none, axis=-1))  # 1 - exp(-S), also where S is small
        rates = tf.cast(rates, tf.float32)
        require(
            rates.shape.rank in (0, 1),
            "Rates are one number for each sample, or one for all",
            f"rates of shape {rates.shape}",
            "Give them the shape (b,)",
        )
        rates = tf.maximum(rates, np.finfo(np.float32).tiny)  # float32 makes smaller ones 0
        return tf.math.log(rates + (1.0 - rates) * some)

    def per_sample(
        self, y_true: tf.Tensor, y_pred: tf.Tensor, weight: Any = None, known: Any = None
    ) -> tf.Tensor:
        """L of each sample in a training step, else its mean binary cross-entropy: (b,)."""
        require(
            weight is None,
            "ThinnedLikelihood is the likelihood of all labels of a sample together",
            "a sample_weight of shape (b, q)",
            "Pass weights of samples, of shape (b,)",
        )
        loss = mean_over_known(self.entries(y_true, y_pred), known)
        if not _training_step.is_running():
            return loss
        kept = self.log_kept(y_pred, self._rates(), known)
        if known is None:
            return loss + kept / y_pred.shape[-1]
        return loss + tf.math.divide_no_nan(kept, tf.reduce_sum(tf.cast(known, tf.float32), -1))

    def corrected(
        self, y_true: Any, y_pred: Any, rates: Any = None, sample_weight: Any = None
    ) -> tf.Tensor:
        """The corrected loss, reduced as a call of the loss is: for a loop of your own.

        Args:
            y_true: labels (b, q).
            y_pred: predictions (b, q).
            rates: π of each sample, (b,) in (0, 1], or one number; None: `rate`.
            sample_weight: (b,), as in a call of the loss.

        Raises:
            RuntimeError: neither `rates` nor `rate`.
        """
        with training_step(y_true):
            _training_step.note_rates(rates)
            return self(y_true, y_pred, sample_weight)

    def _rates(self) -> Any:
        rates = _training_step.batch_rates()
        rates = self.rate if rates is None else rates
        if rates is None:
            raise RuntimeError(
                "ThinnedLikelihood does not know at which rate empty samples were kept. Received: "
                "rate=None, and a training step without rates. Train on a dataset of RareEvents "
                "with AdaptiveBatchSelection, whose train_step calls compute_loss for its loss; or "
                "pass ThinnedLikelihood(rate=train.strategy.rate)."
            )
        return rates

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "rate": self.rate,
            "labels": None if self.labels is None else list(self.labels),
            "from_logits": self.from_logits,
        }
