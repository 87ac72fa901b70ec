"""Mixture: several strategies at once, by weights that may change over the run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect import schedules
from tfmlselect._checks import check_argument, require, shown
from tfmlselect.schedules import Schedule
from tfmlselect.strategies import registry
from tfmlselect.strategies.argument_text import schedule_as_typed
from tfmlselect.strategies.base import Array, Strategy

_EPOCHS_CHECKED = 10_000  # all of them but in a run that is longer


class Mixture(Strategy):
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

    def __init__(self, parts: Any, *, epochs: int | None = None):
        super().__init__(warmup=0, epochs=epochs)
        pairs = _is_sequence(parts) and all(_is_sequence(pair) and len(pair) == 2 for pair in parts)
        wanted = "pairs of a strategy and its weight, one at least"
        check_argument(
            pairs and len(parts) > 0, "parts", parts, wanted, "Pass [(strategy, weight), ...]"
        )
        self.parts: list[tuple[Strategy, Schedule]] = [
            (_strategy(part), schedules.get(weight)) for part, weight in parts
        ]
        self._check_parts()
        self.uses_neighbors = any(part.uses_neighbors for part, _ in self.parts)
        self.uses_predictions = any(part.uses_predictions for part, _ in self.parts)
        self._set_run_length(self.run_epochs)

    def _check_parts(self) -> None:
        inside = list(_inside(self))
        require(
            len(set(map(id, inside))) == len(inside),
            "A strategy object remembers for itself and can be one part only",
            f"the same object twice in parts={shown(self.parts)}",
            "Make a new object for each part",
        )
        for part, _ in self.parts:
            require(
                not part.own_plan,
                "A mixture draws its batches from the sum of distributions, and this part composes "
                "its own",
                f"{part!r}",
                "Use it alone, or turn that off (HardImbalance: correlations=False)",
            )

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
        for part, _ in self.parts:
            part.run_epochs = run

    def describe_run(self, *, length_is_known: bool, passes_per_epoch: float = 1.0) -> None:
        """As `Strategy.describe_run`, for all parts."""
        super().describe_run(length_is_known=length_is_known, passes_per_epoch=passes_per_epoch)
        for part, _ in self.parts:
            part.describe_run(
                length_is_known=self.length_is_known, passes_per_epoch=passes_per_epoch
            )

    def weights(self, epoch: int) -> list[float]:
        """The weight of each part at an epoch."""
        return [self._at(weight, epoch) for _, weight in self.parts]

    def _build(self, labels: np.ndarray, features: Any, neighbors: Any) -> None:
        for part, _ in self.parts:
            part.build(labels, features=features, neighbors=neighbors)

    def observe(self, ids: Array, y_pred: Array, loss: Array | None = None) -> None:
        """Has every part observe one batch."""
        for part, _ in self.parts:
            part.observe(ids, y_pred, loss)

    def score_parts(self, ids: Array) -> dict[str, tf.Tensor]:
        """Those of the parts, each name behind its part's number: `0/loss`."""
        return {
            f"{number}/{name}": values
            for number, (part, _) in enumerate(self.parts)
            for name, values in part.score_parts(ids).items()
        }

    def latest_predictions(self, ids: Array) -> np.ndarray | None:
        """Those of the first part that keeps predictions: all parts observe the same."""
        found = (part.latest_predictions(ids) for part, _ in self.parts)
        return next((p for p in found if p is not None), None)

    def probabilities(self, epoch: int) -> tf.Tensor:
        """The weighted sum of the parts' distributions: (n,) float64, sums to 1."""
        return tf.add_n(
            [
                weight * part.probabilities(epoch)
                for (part, _), weight in zip(self.parts, self.weights(epoch), strict=True)
            ]
        )

    def figures(self, epoch: int) -> dict[str, float]:
        """Each part's weight, "mixture_weight/0", ..., and its figures behind its number."""
        figures = {f"mixture_weight/{k}": weight for k, weight in enumerate(self.weights(epoch))}
        for number, (part, _) in enumerate(self.parts):
            for name, value in part.figures(epoch).items():
                figures[f"{number}/{name}"] = value
        return figures

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

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; parts as class name and config.

        A class of your own comes back by `from_config` if it is registered with Keras:
        `@tf.keras.utils.register_keras_serializable()`.
        """
        parts = [
            [
                {
                    "strategy": tf.keras.utils.get_registered_name(type(part)),
                    "config": part.get_config(),
                },
                weight.get_config(),
            ]
            for part, weight in self.parts
        ]
        return {"parts": parts, "epochs": self.epochs}

    def _argument(self, name: str, value: Any) -> str:
        if name != "parts":
            return super()._argument(name, value)
        parts = (f"({part!r}, {schedule_as_typed(weight)})" for part, weight in self.parts)
        return f"[{', '.join(parts)}]"


def _inside(mixture: Mixture) -> Iterator[Strategy]:
    for part, _ in mixture.parts:
        yield part
        if isinstance(part, Mixture):
            yield from _inside(part)


def _is_sequence(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _strategy(part: Any) -> Strategy:
    """A part as a strategy, given as one, by its name, or as `get_config` has it."""
    if isinstance(part, (Strategy, str)):
        return registry.get(part)
    of_config = isinstance(part, dict) and part.keys() == {"strategy", "config"}
    require(
        of_config and isinstance(part["strategy"], str) and isinstance(part["config"], dict),
        "A part of a mixture must be a strategy or the name of one",
        f"{shown(part)} in parts",
        "Pass for example strategies.OnlineBatch()",
    )
    name = part["strategy"]
    kind = Mixture if name == Mixture.__name__ else registry.class_of(name)
    return kind.from_config(part["config"])
