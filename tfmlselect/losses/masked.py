"""A loss over the known labels of each sample.

Losses of this package that do more than that take `missing=` themselves.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfmlselect._checks import check_text, require, shown
from tfmlselect.losses.balancing import BalancingLoss
from tfmlselect.losses.base import LabelLoss
from tfmlselect.losses.elementwise import (
    deserialize,
    elementwise,
    serialize,
    settled_logits,
    settled_missing,
)


@tf.keras.utils.register_keras_serializable("tfmlselect")
class Masked(LabelLoss):
    """Leaves out what nobody knows: the loss of a sample is the mean over its known labels.

    With l the inner loss of each entry and K_i the labels of sample i that are known,

        L_i = the mean of l_ij over j in K_i,    0 where K_i is empty

    then reduced as in every Keras loss; a `sample_weight` may have shape (b,) or (b, q). Nothing
    depends on what is predicted for unknown labels, and no gradient goes there.

    Args:
        loss: the name or an object of a Keras loss ("binary_crossentropy",
            `BinaryFocalCrossentropy()`), `AsymmetricLoss()`, or a function (y, y_pred) -> (b, q).
        missing: what stands for an unknown label in y: NaN, or a number below 0.
        from_logits: whether predictions are logits; None: what the loss object says, else False.
        name: of the loss; None: Keras picks one.
        **kwargs: `reduction`, and what else a Keras loss takes.

    Raises:
        ValueError: an argument outside its range; a loss that has no entries, or that takes
            `missing=` itself. When called: class ids.

    Example:
        >>> import numpy as np, tfmlselect as tfml
        >>> loss = tfml.losses.Masked("binary_crossentropy", missing=-1)
        >>> y, p = np.array([[1.0, -1.0, 0.0]]), np.array([[0.5, 0.9, 0.5]])
        >>> round(float(loss(y, p)), 4)  # ln 2: the label in the middle is unknown
        0.6931
    """

    def __init__(
        self,
        loss: Any = "binary_crossentropy",
        missing: float = -1,
        *,
        from_logits: bool | None = None,
        name: str | None = "masked",
        **kwargs: Any,
    ):
        name = None if name is None else check_text("name", name)
        super().__init__(missing=missing, name=name, **kwargs)
        require(
            self.missing is not None,
            "Masked needs to know what stands for an unknown label",
            "missing=None",
            "Pass missing=-1 or missing=float('nan'), or leave Masked out",
        )
        self.loss = deserialize(loss)
        require(
            not isinstance(self.loss, BalancingLoss),
            "A loss that balances labels leaves unknown ones out itself",
            f"loss={shown(self.loss)}",
            f"Pass missing={self.missing:g} to it, and leave Masked out",
        )
        self.missing = settled_missing(self.missing, self.loss)
        self.from_logits = settled_logits(from_logits, self.loss)
        self._entries = elementwise(self.loss, self.from_logits)

    def entries(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """The inner loss of each entry, known or not: (b, q) float32."""
        y_true, y_pred = tf.cast(y_true, tf.float32), tf.cast(y_pred, tf.float32)
        return tf.cast(self._entries(y_true, y_pred), tf.float32)

    def __repr__(self) -> str:
        return f"<Masked {shown(self.loss)}, missing={self.missing:g}>"

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "loss": serialize(self.loss),
            "from_logits": self.from_logits,
        }
