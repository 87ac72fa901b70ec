"""LabelBalanced: a label uniformly, then one of its positives; a baseline that learns nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect import schedules
from tfmlselect._checks import check_number
from tfmlselect.distributed import workers
from tfmlselect.labels import Labels
from tfmlselect.schedules import Schedule
from tfmlselect.strategies.base import Array, Strategy


class LabelBalanced(Strategy):
    """Draws a label uniformly and one of its positives uniformly: `b_i = mean_j Y_ij / c_j`.

    The mean is over labels with positives; if there are none, `b_i = 1 / n`. What is drawn from is

        p_i = share b_i + (1 - share) / n.

    With `share=1.0`, the published form, a sample without labels is never drawn; below that every
    sample keeps at least `1 - share` of what uniform batches would give it. Looks at labels alone,
    from the first epoch on: no predictions are kept.

    Args:
        share: how much of the distribution is balanced, in [0, 1]: a number or a
            `tfmlselect.schedules.Schedule`.
        warmup: first epochs that are uniform permutations.
        epochs: the run's length, for schedules and where `warmup` is a fraction of it; None: that
            of the fit, or 100 where used alone.

    Raises:
        ValueError: an argument outside its range.

    Example:
        >>> import numpy as np, tfmlselect as tfml
        >>> y = np.array([[1, 0], [1, 0], [1, 1], [0, 0]])
        >>> for share in (1.0, 0.5):
        ...     strategy = tfml.strategies.LabelBalanced(share)
        ...     strategy.build(y)
        ...     print(strategy.probabilities(0).numpy().round(3))
        [0.167 0.167 0.667 0.   ]
        [0.208 0.208 0.458 0.125]

    References:
        Class-balanced sampling as in Kang et al., "Decoupling Representation and Classifier for
        Long-Tailed Recognition", ICLR 2020, arXiv:1910.09217, section 3; label by label.

    Deviations and open points:
        The uniform part, `share` below 1, is ours.
    """

    uses_predictions = False

    def __init__(
        self, share: float | Schedule = 1.0, *, warmup: float = 0, epochs: int | None = None
    ):
        super().__init__(warmup=warmup, epochs=epochs)
        self.share = schedules.fraction("share", share)

    def _build(self, labels: Labels, features: Any, neighbors: Any) -> None:
        counts = workers.label_counts(labels.matrix)
        present = counts > 0
        balanced = labels.matrix[:, present] @ (1.0 / counts[present])
        if not present.any():
            balanced = np.ones(labels.n)
        self._balanced = tf.constant(balanced / workers.total(balanced.sum()))
        self._uniform = 1.0 / int(workers.total(np.int64(labels.n)))

    def observe(self, ids: Array, y_pred: Array, loss: Array | None = None) -> None:
        """Does nothing: the distribution is of the labels alone."""

    def probabilities(self, epoch: int) -> tf.Tensor:
        """The share of the balanced distribution, and the rest uniform: (n,) float64, sums to 1."""
        share = self.figures(epoch)["share"]
        return share * self._balanced + (1.0 - share) * self._uniform

    def figures(self, epoch: int) -> dict[str, float]:
        """The share that is balanced."""
        return {"share": check_number("share", self._at(self.share, epoch), 0, 1)}

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"share": self.share.get_config(), **super().get_config()}
