"""The distribution that an epoch is drawn from; how it is drawn is the business of `plan`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from tfmlselect._checks import require
from tfmlselect.distributed import workers
from tfmlselect.strategies import Strategy


@dataclasses.dataclass(frozen=True, eq=False)
class Distribution:
    """What a strategy gave for one epoch; it never changes, a new epoch has a new one.

    Attributes:
        probabilities: (n,) float64 of the samples on this machine; they sum to 1.
        mass: the share of the distribution over the samples of all machines that these n have;
            1.0 on one machine.
        schedule_values: what the strategy's schedules were, by name, such as "pressure"; empty
            before the strategy was first asked.
    """

    probabilities: np.ndarray
    mass: float
    schedule_values: Mapping[str, float]

    @classmethod
    def uniform(cls, n: int, mass: float) -> Distribution:
        """Each of n samples alike: what holds before a strategy was asked."""
        return cls(np.full(n, 1.0 / n), mass, {})

    @classmethod
    def of(cls, strategy: Strategy, epoch: int) -> Distribution:
        """What a strategy gives at the end of `epoch`; on several machines all must ask together.

        Of several machines each keeps its samples' part, scaled to sum to 1. What of it a plan can
        draw is the plan's business.

        Raises:
            ValueError: probabilities that are not finite, or negative.
        """
        p, mass = np.asarray(strategy.probabilities(epoch)), 1.0
        wrong = np.flatnonzero(~(np.isfinite(p) & (p >= 0)))
        require(
            len(wrong) == 0,
            "What a strategy draws from must be finite and not negative",
            f"{len(wrong)} other probabilities of {type(strategy).__name__}, the first "
            f"p[{wrong[0] if len(wrong) else 0}]",
            "testing.check_strategy says which rule is broken; with `missing=` a strategy's "
            "`build` gets NaN for labels that are unknown",
        )
        if workers.are_several():
            here = p.sum()
            mass = here / float(workers.total(here))
            p = p / here if here > 0 else np.full(len(p), 1.0 / len(p))
        values = {name: float(value) for name, value in strategy.figures(epoch).items()}
        return cls(p, float(mass), values)
