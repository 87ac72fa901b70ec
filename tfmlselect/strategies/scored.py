"""What strategies share that have one score a sample."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfmlselect import sampling
from tfmlselect.schedules import Schedule
from tfmlselect.strategies.base import Strategy


class ScoredStrategy(Strategy):
    """A strategy whose distribution is the pressure law over `scores()`.

    A subclass sets `pressure`, and in `build` `self._distribution =
    workers.compiled(self._distribution_ops)`.
    """

    pressure: Schedule
    _distribution: Callable

    def scores(self) -> tf.Tensor:
        """The score of each sample, the larger the more often drawn: (n,)."""
        raise NotImplementedError

    def probabilities(self, epoch: int) -> tf.Tensor:
        """p by score: (n,) float64, sums to 1."""
        pressure = self.figures(epoch)["pressure"]
        return self._distribution(tf.constant(pressure, tf.float64))

    def figures(self, epoch: int) -> dict[str, float]:
        """The selection pressure."""
        return {"pressure": self.pressure(epoch, self.run_epochs)}

    def _distribution_ops(self, pressure: tf.Tensor) -> tf.Tensor:
        return sampling.pressure_probabilities(self.scores(), pressure)
