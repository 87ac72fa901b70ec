"""LabelBalanced: a label uniformly, then one of its positives; a baseline that learns nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect.distributed import workers
from tfmlselect.strategies.base import Array, Strategy


class LabelBalanced(Strategy):
    """Draws a label uniformly and one of its positives uniformly: `p_i = mean_j Y_ij / c_j`.

    The mean is over labels with positives. Looks at labels alone, from the first epoch on: nothing
    is recorded. A sample without labels is never drawn; if no label has positives, the distribution
    is uniform.

    Args:
        warmup: first epochs that are uniform permutations.
        epochs: the run's length, which counts where `warmup` is a fraction of it; None: that of the
            fit, or 100 where used alone.

    Example:
        >>> import numpy as np, tfmlselect as tfml
        >>> strategy = tfml.strategies.LabelBalanced()
        >>> strategy.build(np.array([[1, 0], [1, 0], [1, 1]]))
        >>> strategy.probabilities(0).numpy().round(3)
        array([0.167, 0.167, 0.667])

    References:
        Class-balanced sampling as in Kang et al., "Decoupling Representation and Classifier for
        Long-Tailed Recognition", ICLR 2020, arXiv:1910.09217, section 3; label by label.
    """

    uses_predictions = False

    def __init__(self, *, warmup: float = 0, epochs: int | None = None):
        super().__init__(warmup=warmup, epochs=epochs)

    def _build(self, labels: np.ndarray, features: Any, neighbors: Any) -> None:
        counts = workers.label_counts(labels)
        present = counts > 0
        p = labels[:, present] @ (1.0 / counts[present])
        if not present.any():
            p = np.ones(len(labels))
        self._probabilities = tf.constant(p / workers.total(p.sum()))

    def observe(self, ids: Array, y_pred: Array, loss: Array | None = None) -> None:
        """Does nothing: the distribution is static."""

    def probabilities(self, epoch: int) -> tf.Tensor:
        """The same for every epoch: (n,) float64, sums to 1."""
        return self._probabilities
