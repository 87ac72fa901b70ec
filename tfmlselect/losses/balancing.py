"""What losses share that balance the labels inside another loss: its entries, the odds, who leads.

How entries are balanced is a subclass' business; when that changes in a fit, the callbacks'.
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect import _training_step
from tfmlselect._checks import (
    check_argument,
    check_array,
    check_choice,
    check_text,
    require,
    shown,
)
from tfmlselect.losses.base import LabelLoss
from tfmlselect.losses.elementwise import (
    deserialize,
    elementwise,
    one_vs_all_logits,
    serialize,
    settled_logits,
    settled_missing,
)

ACTIVATIONS = ("sigmoid", "softmax")


class BalancingLoss(LabelLoss):
    """A loss around another, which weighs or drops that one's entries to balance labels.

    Args:
        loss: the inner loss: the name or an object of a Keras loss, a `LabelLoss`, or a function
            (y, y_pred) -> (b, q).
        q: number of labels.
        from_logits: whether predictions are logits; None: what the inner loss says, else False.
        activation: with logits, what makes probabilities of them.
        missing: what stands for an unknown label in y; None: what the inner loss says, else None.
        name: of the loss; None: Keras picks one.
        **kwargs: what else a Keras loss takes.

    Raises:
        ValueError: an argument outside its range, or an inner loss that balances labels itself.
    """

    q: int

    def __init__(
        self,
        loss: Any,
        q: int,
        *,
        from_logits: bool | None,
        activation: str,
        missing: float | None,
        name: str | None,
        **kwargs: Any,
    ):
        name = None if name is None else check_text("name", name)
        super().__init__(missing=missing, name=name, **kwargs)
        self.q = q
        self.activation = check_choice("activation", activation, ACTIVATIONS)
        self.loss = deserialize(loss)
        require(
            not isinstance(self.loss, BalancingLoss),
            "One loss balances the labels at a time",
            f"loss={shown(self.loss)} inside of {type(self).__name__}",
            "Pass what that one is made of, such as loss='binary_crossentropy'",
        )
        self.missing = settled_missing(self.missing, self.loss)
        require(
            self.missing is None or self.activation == "sigmoid",
            "Classes of a softmax are known together or not at all",
            f"missing={self.missing}, activation={self.activation!r}",
            "Leave samples of unknown class out of the training set",
        )
        self.from_logits = settled_logits(from_logits, self.loss)
        self._entries = elementwise(self.loss, self.from_logits)
        self._leader: weakref.ref[Any] | None = None
        # A variable and no branch: Keras keeps an evaluation that it compiled, whatever it was for.
        self._validating = tf.Variable(False, trainable=False)

    def entries(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """The inner loss of each entry, not balanced: (b, q) float32."""
        y_pred = tf.cast(y_pred, tf.float32)
        if self.from_logits and self.activation == "softmax":
            y_pred = one_vs_all_logits(y_pred)
        return tf.cast(self._entries(y_true, y_pred), tf.float32)

    def lead(self, leader: Any) -> None:
        """Notes which callback adapts the loss in the fit that runs; None: nobody does.

        Raises:
            RuntimeError: another one does, in a fit that runs.
        """
        if leader is not None and self.leader not in (None, leader):
            raise RuntimeError(
                "A loss object is adapted by one callback at a time. Received: a "
                f"{type(self).__name__} that {type(self.leader).__name__} adapts in a fit that "
                "runs. Compile each model with a loss object of its own, and leave all but one of "
                "the callbacks for it out."
            )
        self._leader = None if leader is None else weakref.ref(leader)
        self.validate(False)

    def validate(self, begins: bool) -> None:
        """Notes that a validation inside a fit begins, or ends."""
        self._validating.assign(begins)

    def _in_validation(self) -> tf.Tensor:
        """Whether this is a validation inside a fit that a callback leads: () bool."""
        if _training_step.is_running():
            return tf.constant(False)
        _ = self.leader  # asking ends a fit that was interrupted inside its validation
        return tf.convert_to_tensor(self._validating)

    @property
    def leader(self) -> Any:
        """The callback that adapts the loss in a fit that runs, or None."""
        leader = None if self._leader is None else self._leader()
        return leader if leader is not None and leader.is_running else None

    @property
    def state(self) -> dict[str, tf.Variable]:
        """All that changes in a run, name -> variable; backups know it by these names."""
        raise NotImplementedError(f"{type(self).__name__} needs a `state` property.")

    def restored(self) -> None:
        """Called after the state was put back from a backup."""

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments that are the same in every such loss."""
        return {
            **super().get_config(),
            "loss": serialize(self.loss),
            "from_logits": self.from_logits,
            "activation": self.activation,
        }


def checked_odds(odds: Any) -> np.ndarray:
    """(q,) float64; NaN where a label takes no part: its odds are 0, NaN or infinite.

    Raises:
        ValueError: not one number >= 0 for each of two labels or more.
    """
    wanted = "the positives over the negatives of each label, (q,) numbers >= 0"
    remedy = "Pass odds=tfmlselect.label_statistics(y).odds"
    array = np.asarray(check_array("odds", odds, wanted, remedy), np.float64)
    ok = array.ndim == 1 and len(array) >= 2 and not np.any(array < 0)
    check_argument(ok, "odds", odds, wanted, remedy)
    kept = np.clip(array, np.finfo(np.float32).tiny, np.finfo(np.float32).max)  # as variables are
    return np.where(np.isfinite(array) & (array > 0), kept, np.nan)
