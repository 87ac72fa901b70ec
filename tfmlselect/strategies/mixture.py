"""Mixture: several strategies at once, by weights that may change over the run."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfmlselect import schedules
from tfmlselect.strategies.base import Strategy


class Mixture(Strategy):
    """Draws from `Σ_k w_k(e) p_k`: each part remembers and scores on its own.

    Args:
        parts: pairs of a strategy and its weight, a number or a `tfmlselect.schedules.Schedule`.
        epochs: the run's length, for all parts; None: the callback fills it in.

    Raises:
        ValueError: no parts, or weights that are negative or do not sum to 1 at some epoch.

    The warm-up is the longest of the parts'.

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

    def __init__(self, parts: Any, *, epochs: int | None = None):
        super().__init__(warmup=0, epochs=epochs)
        pairs = isinstance(parts, (list, tuple)) and all(
            isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in parts
        )
        if not pairs or not parts:
            raise ValueError(
                "A mixture needs parts, pairs of a strategy and its weight. "
                f"Received: parts={parts!r}. Pass [(strategy, weight), ...]."
            )
        self.parts = [(_strategy(part), schedules.get(weight)) for part, weight in parts]
        self.uses_neighbors = any(part.uses_neighbors for part, _ in self.parts)
        self.uses_predictions = any(part.uses_predictions for part, _ in self.parts)
        self._share_run()

    def _share_run(self) -> None:
        """Gives all parts the run's length, and checks the weights at each of its epochs."""
        for part, _ in self.parts:
            part.run_epochs = self.run_epochs
        for epoch in range(self.run_epochs):
            weights = self.weights(epoch)
            if not (min(weights) >= 0 and abs(sum(weights) - 1) <= 1e-9):  # NaN is neither
                raise ValueError(
                    "The weights of a mixture must be >= 0 and sum to 1 at every epoch. Received: "
                    f"{weights} at epoch {epoch} of {self.run_epochs}. Use schedules that add up, "
                    "such as Ramp(b, c) and Ramp(1 - b, 1 - c) with the same start and end."
                )

    def weights(self, epoch: int) -> list[float]:
        """The weight of each part at an epoch."""
        return [weight(epoch, self.run_epochs) for _, weight in self.parts]

    def build(self, y, features=None, neighbors=None) -> None:
        """Builds every part."""
        for part, _ in self.parts:
            part.build(y, features=features, neighbors=neighbors)

    def observe(self, ids, y_pred, loss=None) -> None:
        """Has every part observe one batch."""
        for part, _ in self.parts:
            part.observe(ids, y_pred, loss)

    def probabilities(self, epoch: int) -> tf.Tensor:
        """The weighted sum of the parts' distributions: (n,) float64, sums to 1."""
        return tf.add_n(
            [
                weight * part.probabilities(epoch)
                for (part, _), weight in zip(self.parts, self.weights(epoch), strict=True)
            ]
        )

    def _plan_run(self, epochs: int) -> None:
        super()._plan_run(epochs)
        self._share_run()

    @property
    def warmup(self) -> int:
        """The longest warm-up of the parts."""
        return max(part.warmup for part, _ in self.parts)

    @property
    def state(self) -> dict[str, tf.Variable]:
        """All parts' state, each name behind its part's number."""
        return {
            f"{number}/{name}": variable
            for number, (part, _) in enumerate(self.parts)
            for name, variable in part.state.items()
        }

    def get_config(self) -> dict:
        """The constructor's arguments; parts as class name and config."""
        parts = [
            [{"strategy": type(part).__name__, "config": part.get_config()}, weight.get_config()]
            for part, weight in self.parts
        ]
        return {"parts": parts, "epochs": self.epochs}


def _strategy(part: Any) -> Strategy:
    from tfmlselect import strategies

    if isinstance(part, dict):
        return getattr(strategies, part["strategy"]).from_config(part["config"])
    return strategies.get(part)
