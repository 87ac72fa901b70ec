"""Mixture: several strategies at once, by weights that may change over the run."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfmlselect import schedules
from tfmlselect._checks import require
from tfmlselect.schedules import Schedule
from tfmlselect.strategies.argument_text import schedule_as_typed
from tfmlselect.strategies.composite import CompositeStrategy

_EPOCHS_CHECKED = 10_000  # all of them but in a run that is longer


class Mixture(CompositeStrategy):
    """Draws from `Σ_k w_k(e) p_k`: each part remembers and scores on its own.

    The warm-up is the longest of the parts'. A part that was made with `epochs` of its own keeps
    them for its schedules. A part's `plan` is not used: batches are drawn from the sum.

    Args:
        parts: pairs of a strategy, or its name, and its weight, a number or a
            `tfmlselect.schedules.Schedule`.
        epochs: the run's length, for all parts; None: that of the fit, or 100 where used alone.

    Raises:
        ValueError: no parts; an object that is in two of them; one whose batches are more than
            draws from its distribution (`own_plan`); weights that are negative or do not sum to 1
            at some epoch.

    Example:
        >>> import numpy as np, tfmlselect as tfml
        >>> from tfmlselect.schedules import Ramp
        >>> strategy = tfml.strategies.Mixture(
        ...     [
        ...         (tfml.strategies.OnlineBatch(), Ramp(0.8, 0.2)),
        ...         (tfml.strategies.LabelBalanced(), Ramp(0.2, 0.8)),
        ...     ]
        ... )
        >>> strategy.build(np.eye(4))
        >>> strategy.probabilities(10).numpy().tolist()
        [0.25, 0.25, 0.25, 0.25]
    """

    _second_called = "weight"

    def _second(self, value: Any) -> Schedule:
        return schedules.get(value)

    def _second_config(self, second: Schedule) -> dict[str, Any]:
        return second.get_config()

    def _second_as_typed(self, second: Schedule) -> str:
        return schedule_as_typed(second)

    def _set_run_length(self, epochs: int) -> None:
        """Checks the weights over a run, then gives all parts its length."""
        run = self.epochs or epochs
        for epoch in range(0, run, max(1, run // _EPOCHS_CHECKED)):
            weights = [weight(epoch, run) for _, weight in self.parts]
            require(
                min(weights) >= 0 and abs(sum(weights) - 1) <= 1e-9,  # NaN is neither
                "The weights of a mixture must be >= 0 and sum to 1 at every epoch",
                f"{weights} at epoch {epoch} of {run}",
                "Use schedules that add up, such as Ramp(b, c) and Ramp(1 - b, 1 - c) with the "
                "same start and end",
            )
        super()._set_run_length(epochs)

    def weights(self, epoch: int) -> list[float]:
        """The weight of each part at an epoch."""
        return [self._at(weight, max(epoch, 0)) for _, weight in self.parts]

    def probabilities(self, epoch: int) -> tf.Tensor:
        """The weighted sum of the parts' distributions: (n,) float64, sums to 1."""
        return tf.add_n(
            [
                weight * self._part_probabilities(number, epoch)
                for number, weight in enumerate(self.weights(epoch))
            ]
        )

    def figures(self, epoch: int) -> dict[str, float]:
        """Each part's weight, "mixture_weight/0", ..., and its figures behind its number."""
        weights = {f"mixture_weight/{k}": weight for k, weight in enumerate(self.weights(epoch))}
        return weights | self._figures_of_parts(epoch)

    @property
    def warmup(self) -> int:
        """The longest warm-up of the parts."""
        return max(part.warmup for part, _ in self.parts)
