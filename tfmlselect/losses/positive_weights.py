"""Positive weights: the rarer a label, the more its positives weigh in the loss.

A power of the odds says how much more. When that power moves in a fit, `tfmlselect.callbacks` does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect import schedules
from tfmlselect._checks import check_choice, check_number
from tfmlselect._warn import warn
from tfmlselect.losses.balancing import BalancingLoss, checked_odds
from tfmlselect.losses.base import mean_over_known
from tfmlselect.schedules import Constant, Schedule

ODDS_OF = ("data", "draws")


@tf.keras.utils.register_keras_serializable("tfmlselect")
class PositiveWeights(BalancingLoss):
    """Weighs the positives of each label by a power of how rare they are.

    Let a label be positive in a share f of the samples: its odds are `o = f / (1 - f)`. With l the
    loss of each entry and a the exponent,

        L_i = mean_j w_ij l_ij,    w_ij = o_j^-a = ((1 - f_j) / f_j)^a    where y_ij = 1, else 1

    a = 0 is the loss as it is; with a = 1 the positives of a label together weigh as much as its
    negatives. A weight stays within [1 / limit, limit]. A soft label y weighs `1 + y (w - 1)`, and
    a label whose odds are 0, NaN or infinite weighs 1.

    The exponent may be a `tfmlselect.schedules.Schedule` over the run. In a fit it is moved at the
    start of each epoch, by `AdaptiveBatchSelection` where that is used, else by
    `tfmlselect.callbacks.PositiveWeightsUpdate`; both show it in History as
    `positive_weights/exponent`. A loss cannot see how far a fit is: without one of the two the
    exponent stays where it is, and the first training step warns. In a loop of your own, call
    `loss.set_exponent(loss.schedule(epoch, epochs))` before each epoch.

    Weights apply wherever the loss is called, as those of every Keras loss do: in training, in
    validation and in `model.evaluate`. But where they move during a fit that one of the two
    callbacks leads (a schedule, or odds of the draws), validation in that fit takes the inner loss
    without weights. Else `val_loss` would change with the exponent, and `EarlyStopping` with it.

    With a > 0 the model predicts too many positives: see the card for how to correct that.

    Args:
        loss: what is weighed: the name or an object of a Keras loss ("binary_crossentropy",
            `BinaryFocalCrossentropy()`), `AsymmetricLoss()`, or a function (y, y_pred) -> (b, q).
        odds: (q,) positives / negatives of each label in the training set:
            `tfmlselect.label_statistics(y).odds`.
        exponent: a, a number or a schedule of numbers in [0, 1].
        limit: largest weight, and one over the smallest.
        odds_of: "data", the odds given; or "draws": under `AdaptiveBatchSelection` those of the
            labels in the draws, renewed with every distribution.
        from_logits: whether predictions are logits; None: what the loss object says, else False.
        activation: with logits, what makes probabilities of them: "sigmoid", or "softmax" for
            class ids, whose C one-vs-all entries are then weighed.
        missing: what stands for an unknown label in y: NaN, or a number below 0; None:
            what the loss object says, else all labels are known.
        name: of the loss; None: Keras picks one.
        **kwargs: `reduction`, and what else a Keras loss takes.

    Attributes:
        schedule: the `Schedule` of the exponent.
        exponent: variable, scalar float32, the exponent as it is now.
        odds: variable (q,) float32, the odds; NaN where a label takes no part.

    Raises:
        ValueError: an argument outside its range.

    Warns:
        UserWarning: a training step with a scheduled exponent that nobody ever moved.

    Example:
        >>> import numpy as np, tfmlselect as tfml
        >>> y = np.array([[1, 0], [1, 0], [1, 0], [1, 1], [0, 0]], "float32")
        >>> loss = tfml.losses.PositiveWeights(odds=tfml.label_statistics(y).odds, exponent=0.5)
        >>> print(loss.entry_weights(y).numpy())  # odds 4 and 1/4
        [[0.5 1. ]
         [0.5 1. ]
         [0.5 1. ]
         [0.5 2. ]
         [1.  1. ]]

    References:
        Weighing positives by the inverse of their odds is common practice (`pos_weight` elsewhere);
        the tempered power and its schedule are ours.

    Deviations and open points:
        Odds are those of the data by default: with a strategy that draws rare labels more often,
        rare positives then gain twice.
    """

    def __init__(
        self,
        loss: Any = "binary_crossentropy",
        *,
        odds: Any = None,
        exponent: float | dict[str, Any] | Schedule = 0.25,
        limit: float = 100.0,
        odds_of: str = "data",
        from_logits: bool | None = None,
        activation: str = "sigmoid",
        missing: float | None = None,
        name: str | None = "positive_weights",
        **kwargs: Any,
    ):
        odds = checked_odds(odds)
        super().__init__(
            loss,
            len(odds),
            from_logits=from_logits,
            activation=activation,
            missing=missing,
            name=name,
            **kwargs,
        )
        self.schedule = _checked_exponent(exponent)
        self.limit = check_number("limit", limit, above=1, example=100.0)
        self.odds_of = check_choice("odds_of", odds_of, ODDS_OF)
        first = self.schedule(0, 100)  # how long the run is, nobody knows yet
        self.exponent = tf.Variable(first, trainable=False, dtype=tf.float32)
        self.odds = tf.Variable(odds, trainable=False, dtype=tf.float32)
        self._warns = self._is_scheduled  # until somebody moves the exponent

    def positive_weights(self) -> tf.Tensor:
        """What a positive of each label weighs now: (q,) float32."""
        return self._weights_at(self.exponent)

    def entry_weights(self, y_true: Any) -> tf.Tensor:
        """What each entry weighs now: (b, q) float32, of labels (b, q)."""
        return _between(tf.cast(y_true, tf.float32), self.positive_weights())

    def per_sample(
        self, y_true: tf.Tensor, y_pred: tf.Tensor, weight: Any = None, known: Any = None
    ) -> tf.Tensor:
        """The weighted mean over labels: (b,)."""
        exponent = tf.where(self._in_validation(), 0.0, self.exponent)
        values = self.entries(y_true, y_pred) * _between(y_true, self._weights_at(exponent))
        values = values if weight is None else values * weight
        return self._trained(mean_over_known(values, known))

    def set_exponent(self, exponent: float) -> float:
        """Moves the exponent, a number in [0, 1], and gives it back."""
        exponent = check_number("exponent", exponent, 0, 1, example=0.25)
        self.exponent.assign(exponent)
        self._warns = False
        return exponent

    def validate(self, begins: bool) -> None:
        """Notes that a validation begins, or ends: inside one, weights that move are left out."""
        super().validate(begins and self._moves)

    @property
    def state(self) -> dict[str, tf.Variable]:
        """All that changes in a run, name -> variable."""
        return {"exponent": self.exponent, "odds": self.odds}

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, with the odds and the exponent as they are now."""
        schedule = self.schedule
        return {
            **super().get_config(),
            "odds": np.nan_to_num(self.odds.numpy()).tolist(),
            "exponent": schedule.get_config() if self._is_scheduled else schedule(0, 1),
            "exponent_now": float(self.exponent.numpy()),
            "limit": self.limit,
            "odds_of": self.odds_of,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> PositiveWeights:
        """The loss again, with the exponent as it was."""
        arguments = dict(config)
        now = arguments.pop("exponent_now", None)
        loss = cls(**arguments)
        if now is not None:
            loss.exponent.assign(now)
        return loss

    def __repr__(self) -> str:
        with tf.init_scope():  # also where a step is traced
            now = float(self.exponent.numpy())
        return f"<{type(self).__name__} of {self.q} labels: exponent={self.schedule}, now {now:g}>"

    @property
    def _is_scheduled(self) -> bool:
        return type(self.schedule) is not Constant

    @property
    def _moves(self) -> bool:
        """Whether weights change in a fit that a callback leads."""
        return self._is_scheduled or self.odds_of == "draws"

    def _weights_at(self, exponent: Any) -> tf.Tensor:
        """Of an exponent: (q,) float32."""
        weights = tf.exp(-exponent * tf.math.log(self.odds))
        weights = tf.clip_by_value(weights, 1.0 / self.limit, self.limit)
        takes_part = tf.math.is_finite(self.odds) & (self.odds > 0)
        return tf.where(takes_part, weights, 1.0)

    def _trained(self, values: tf.Tensor) -> tf.Tensor:
        """The same values; who takes a gradient through them trains, and is told what is missing.

        A loss is not told whether it trains, and one that evaluates needs nobody to move it.
        """
        if not self._warns:
            return values

        @tf.custom_gradient
        def same(values: tf.Tensor) -> Any:
            def gradient(upstream: tf.Tensor) -> tf.Tensor:
                self._warn_that_nobody_leads()
                return upstream

            return tf.identity(values), gradient

        return same(values)

    def _warn_that_nobody_leads(self) -> None:
        if not self._warns:
            return
        self._warns = False  # once is enough
        warn(
            "The exponent of PositiveWeights has a schedule, and no callback moves it: it stays "
            f"where it is. Received: {self!r}. Pass fit AdaptiveBatchSelection(train), or "
            "tfmlselect.callbacks.PositiveWeightsUpdate(output) for the output of this loss.",
        )


def _between(y: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """1 where y is 0, the label's weight where it is 1: (b, q)."""
    return y * weights + (1.0 - y)


def _checked_exponent(exponent: Any) -> Schedule:
    """A schedule of numbers in [0, 1].

    Raises:
        ValueError: neither a number nor a schedule, or one that leaves [0, 1] in a run of 100.
    """
    if not isinstance(exponent, (dict, Schedule)):
        return Constant(check_number("exponent", exponent, 0, 1, example=0.25))
    schedule = schedules.get(exponent)
    for epoch in range(101):
        check_number("exponent", schedule(epoch, 100), 0, 1, example=0.25)
    return schedule
