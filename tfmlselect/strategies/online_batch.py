"""OnlineBatch: samples by the rank of their latest loss."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfmlselect.distributed import workers
from tfmlselect.labels import Labels
from tfmlselect.sampling.pressure import exponential_law
from tfmlselect.schedules import Schedule
from tfmlselect.scoring.memories import MeanLoss
from tfmlselect.scoring.ranks import ascending_ranks
from tfmlselect.strategies.base import Array, ScoredStrategy


class OnlineBatch(ScoredStrategy):
    """Draws samples by rank of the latest mean loss, `p ∝ exp(ln(s) / n)^(-r)`.

    r = 1 for the largest loss; ties get their average rank. Before any visit, and wherever all
    losses are equal, the distribution is uniform. State: 4 bytes a sample.

    Args:
        pressure: selection pressure s, a number (falling to 1 over the run) or a
            `tfmlselect.schedules.Schedule`.
        warmup: first epochs that are uniform permutations; None: 1 % of the run, as published,
            but at most 5 epochs.
        epochs: the run's length; None: that of the fit, or 100 where used alone.

    Example:
        >>> import numpy as np, tfmlselect as tfml
        >>> strategy = tfml.strategies.OnlineBatch(pressure=16.0)
        >>> strategy.build(np.eye(4))
        >>> strategy.observe(np.array([2]), np.array([[0.9, 0.9, 0.1, 0.9]], "float32"))
        >>> int(strategy.probabilities(0).numpy().argmax())
        2

    References:
        Loshchilov and Hutter, "Online Batch Selection for Faster Training of Neural Networks", ICLR
        2016 workshop, arXiv:1511.06343.

    Deviations and open points:
        The paper sorts by the latest loss of a single-label network; here it is the mean over
        labels. The decay of the pressure is its exponential one, to 1 at the end of the run.
    """

    published_warmup = 0.01

    def __init__(
        self,
        pressure: float | Schedule = 100.0,
        *,
        warmup: float | None = None,
        epochs: int | None = None,
    ):
        super().__init__(pressure, decay_start=0.0, warmup=warmup, epochs=epochs)

    def _build(self, labels: Labels, features: Any, neighbors: Any) -> None:
        self._loss = MeanLoss(labels)

    def observe(self, ids: Array, y_pred: Array, loss: Array | None = None) -> None:
        """Records the mean loss of one batch."""
        self._loss.observe(ids, y_pred, loss)

    def scores(self) -> tf.Tensor:
        """The latest mean loss of each sample: (n,) float32."""
        return self._loss.variable.read_value()

    def score_parts(self, ids: Array) -> dict[str, tf.Tensor]:
        """`loss`: the latest mean loss, which is the score."""
        return {"loss": tf.gather(self._loss.variable, ids)}

    def _distribution_ops(self, pressure: tf.Tensor) -> tf.Tensor:
        losses = self.scores()
        n = workers.total(tf.constant(losses.shape[0], tf.float64))
        return exponential_law(n + 1.0 - ascending_ranks(losses), n, pressure)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"pressure": self.pressure.get_config(), **super().get_config()}
