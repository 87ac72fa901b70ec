"""CompositeStrategy: what strategies that are made of other strategies share.

Whose distribution counts when is not here: `mixture` and `switch` say that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect._checks import check_argument, require, shown
from tfmlselect.labels import Labels
from tfmlselect.strategies import registry
from tfmlselect.strategies.base import Array, Strategy, strategies_in


class CompositeStrategy(Strategy):
    """A strategy of several parts, each of which observes all visits and remembers for itself.

    A subclass is given pairs of a strategy and a second value, and says in `_second` what that may
    be, in `_second_config` how a config has it, and in `_second_as_typed` how one types it.

    Args:
        parts: pairs of a strategy, or its name, and the second value.
        epochs: the run's length, for all parts; None: that of the fit, or 100 where used alone.

    Raises:
        ValueError: no parts; an object that is in two of them; one whose batches are more than
            draws from its distribution (`own_plan`), or that leaves samples out (`epoch_draws`).
    """

    before_first_epoch = -1  # what each part is asked with is its own affair
    _second_called: str  # in errors

    def __init__(self, parts: Any, *, epochs: int | None = None):
        super().__init__(warmup=0, epochs=epochs)
        pairs = _is_sequence(parts) and all(_is_sequence(pair) and len(pair) == 2 for pair in parts)
        check_argument(
            pairs and len(parts) > 0,
            "parts",
            parts,
            f"pairs of a strategy and its {self._second_called}, one at least",
            f"Pass [(strategy, {self._second_called}), ...]",
        )
        self.parts: list[tuple[Strategy, Any]] = [
            (_strategy(part), self._second(second)) for part, second in parts
        ]
        self._check_parts()
        self.uses_neighbors = any(part.uses_neighbors for part, _ in self.parts)
        self.uses_predictions = any(part.uses_predictions for part, _ in self.parts)
        self._set_run_length(self.run_epochs)
        self.describe_run(length_is_known=False)  # but for `epochs`

    def _second(self, value: Any) -> Any:
        """The second value of a part, as given or as `_second_config` has it, checked."""
        raise NotImplementedError

    def _second_config(self, second: Any) -> Any:
        """The second value as plain Python values."""
        raise NotImplementedError

    def _second_as_typed(self, second: Any) -> str:
        """The second value as one would type it."""
        raise NotImplementedError

    def _check_parts(self) -> None:
        """Refuses parts that do not go together."""
        inside = [each for part, _ in self.parts for each in strategies_in(part)]
        require(
            len(set(map(id, inside))) == len(inside),
            "A strategy object remembers for itself and can be one part only",
            f"the same object twice in parts={shown(self.parts)}",
            "Make a new object for each part",
        )
        for part, _ in self.parts:
            require(
                not part.own_plan,
                "Batches are drawn from what the parts' distributions give, and this part composes "
                "its own",
                f"{part!r}",
                "Use it alone, or turn that off (HardImbalance: correlations=False)",
            )
            require(
                type(part).epoch_draws is Strategy.epoch_draws,
                "An epoch of several strategies has one draw for each sample, and this part leaves "
                "samples out",
                f"{part!r}",
                "Use it alone",
            )

    def _set_run_length(self, epochs: int) -> None:
        """Gives all parts the run's length."""
        super()._set_run_length(epochs)
        for part, _ in self.parts:
            part.run_epochs = self.run_epochs

    def describe_run(self, *, length_is_known: bool, passes_per_epoch: float = 1.0) -> None:
        """As `Strategy.describe_run`, for all parts."""
        super().describe_run(length_is_known=length_is_known, passes_per_epoch=passes_per_epoch)
        for part, _ in self.parts:
            part.describe_run(
                length_is_known=self.length_is_known, passes_per_epoch=passes_per_epoch
            )

    def _build(self, labels: Labels, features: Any, neighbors: Any) -> None:
        for part, _ in self.parts:
            part.build(labels.table(), features=features, neighbors=neighbors)

    def observe(self, ids: Array, y_pred: Array, loss: Array | None = None) -> None:
        """Has every part observe one batch."""
        for part, _ in self.parts:
            part.observe(ids, y_pred, loss)

    def score_parts(self, ids: Array) -> dict[str, tf.Tensor]:
        """Those of the parts, each name behind its part's number: `0/loss`."""
        return self._numbered([part.score_parts(ids) for part, _ in self.parts])

    def latest_predictions(self, ids: Array) -> np.ndarray | None:
        """Those of the first part that keeps predictions: all parts observe the same."""
        found = (part.latest_predictions(ids) for part, _ in self.parts)
        return next((p for p in found if p is not None), None)

    def _figures_of_parts(self, epoch: int) -> dict[str, float]:
        """The figures of all parts, each name behind its part's number: `0/pressure`."""
        return self._numbered([part.figures(_asked_at(part, epoch)) for part, _ in self.parts])

    def _part_probabilities(self, number: int, epoch: int) -> tf.Tensor:
        """The distribution of one part: (n,) float64, sums to 1."""
        part, _ = self.parts[number]
        return part.probabilities(_asked_at(part, epoch))

    @property
    def state(self) -> dict[str, tf.Variable]:
        """All parts' state, each name behind its part's number."""
        return self._numbered([part.state for part, _ in self.parts])

    @staticmethod
    def _numbered(of_parts: list[dict[str, Any]]) -> dict[str, Any]:
        """One dictionary of several, each name behind the number of its own: `0/loss`."""
        return {
            f"{number}/{name}": value
            for number, values in enumerate(of_parts)
            for name, value in values.items()
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
                self._second_config(second),
            ]
            for part, second in self.parts
        ]
        return {"parts": parts, "epochs": self.epochs}

    def _argument(self, name: str, value: Any) -> str:
        if name != "parts":
            return super()._argument(name, value)
        parts = (f"({part!r}, {self._second_as_typed(second)})" for part, second in self.parts)
        return f"[{', '.join(parts)}]"


def _asked_at(part: Strategy, epoch: int) -> int:
    """The epoch that a part is asked with: not every strategy knows what -1 is."""
    return max(epoch, part.before_first_epoch)


def _is_sequence(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _strategy(part: Any) -> Strategy:
    """A part as a strategy, given as one, by its name, or as `get_config` has it."""
    if isinstance(part, (Strategy, str)):
        return registry.get(part)
    of_config = isinstance(part, dict) and part.keys() == {"strategy", "config"}
    require(
        of_config and isinstance(part["strategy"], str) and isinstance(part["config"], dict),
        "A part must be a strategy or the name of one",
        f"{shown(part)} in parts",
        "Pass for example strategies.OnlineBatch()",
    )
    name = part["strategy"]
    composites = {kind.__name__: kind for kind in CompositeStrategy.__subclasses__()}
    kind = composites.get(name) or registry.class_of(name)
    return kind.from_config(part["config"])
