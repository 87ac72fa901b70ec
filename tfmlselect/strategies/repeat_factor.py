"""RepeatFactor: samples of rare labels more often, by the square root of how rare they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect._checks import check_number
from tfmlselect.distributed import workers
from tfmlselect.labels import Labels
from tfmlselect.strategies.base import Array, Strategy


class RepeatFactor(Strategy):
    """Draws a sample by the repeat factor of its rarest label, `p_i ∝ r_i`.

    With `f_j = c_j / n` the share of the samples that have label j (of those where it is known, if
    it is not of all), and t the threshold,

        r_i = max over the labels j of i of max(1, sqrt(t / f_j)),

    1 for a sample without labels, or with frequent ones alone (`f_j >= t`). Looks at labels alone,
    from the first epoch on: no predictions are kept.

    Args:
        threshold: the share t of the samples below which a label is rare, in (0, 1].
        warmup: first epochs that are uniform permutations.
        epochs: the run's length, which counts where `warmup` is a fraction of it; None: that of the
            fit, or 100 where used alone.

    Raises:
        ValueError: an argument outside its range.

    Example:
        >>> import numpy as np, tfmlselect as tfml
        >>> strategy = tfml.strategies.RepeatFactor(threshold=1.0)
        >>> strategy.build(np.array([[1, 0], [1, 0], [1, 0], [1, 1]]))
        >>> strategy.probabilities(0).numpy()  # the second label, of a quarter, has sqrt(4)
        array([0.2, 0.2, 0.2, 0.4])

    References:
        Repeat factor sampling of Gupta, Dollar and Girshick, "LVIS: A Dataset for Large Vocabulary
        Instance Segmentation", CVPR 2019, arXiv:1908.03195.

    Deviations and open points:
        The paper repeats a sample r_i times an epoch, fractions rounded by chance, so an epoch has
        `Σ_i r_i` draws. Here it has as many as with any strategy, and shares are the same. The
        paper's threshold is 0.001, for 1,200 classes.
    """

    uses_predictions = False

    def __init__(self, threshold: float = 0.1, *, warmup: float = 0, epochs: int | None = None):
        super().__init__(warmup=warmup, epochs=epochs)
        self.threshold = check_number("threshold", threshold, above=0, most=1, example=0.1)

    def _build(self, labels: Labels, features: Any, neighbors: Any) -> None:
        counts = workers.label_counts(labels.matrix)
        known = workers.total(labels.known_counts()).numpy()
        factors = np.ones(labels.n)
        for j in np.flatnonzero((counts > 0) & (counts < self.threshold * known)):
            has_label = labels.matrix[:, j] == 1
            own = np.sqrt(self.threshold * known[j] / counts[j])
            factors[has_label] = np.maximum(factors[has_label], own)
        self._probabilities = tf.constant(factors / workers.total(factors.sum()))

    def observe(self, ids: Array, y_pred: Array, loss: Array | None = None) -> None:
        """Does nothing: the distribution is static."""

    def probabilities(self, epoch: int) -> tf.Tensor:
        """The same for every epoch: (n,) float64, sums to 1."""
        return self._probabilities

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"threshold": self.threshold, **super().get_config()}
