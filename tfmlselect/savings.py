"""How much batch selection could save on one's own labels, in words and as a range of numbers.

The prediction itself is made in `_steps_saved`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from tfmlselect import _steps_saved
from tfmlselect.labels import LabelStatistics, measure

LITTLE, MUCH = 1.2, 2.0  # steps saved below which it is little, and from which it is much

_ADVICE = {
    "uniform": "Uniform batches will do.",
    "adaptive_balance": "Balance the labels: tfmlselect.strategies.AdaptiveBalance and "
    "tfmlselect.losses.PositiveWeights.",
    "rare_events": "Thin them out: tfmlselect.strategies.RareEvents and "
    "tfmlselect.losses.ThinnedLikelihood.",
}


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Potential:
    """What `tfmlselect.potential` predicts; `print` says it in words.

    Attributes:
        low: fewest steps of uniform batches that one step of selected ones is likely to stand for,
            1 or more.
        high: most of them.
        strategy: the name of the strategy to try, for `adaptive_dataset`: "uniform" where there is
            little to gain, "adaptive_balance" or "rare_events".
        reasons: sentences that say what in the labels this comes from.
        statistics: the `label_statistics` of the labels; their `potential` lies between `low` and
            `high`.
    """

    low: float
    high: float
    strategy: str
    reasons: tuple[str, ...]
    statistics: LabelStatistics

    def __repr__(self) -> str:
        return f"<Potential: {self._amount()}>"

    def __str__(self) -> str:
        return "\n".join([self._amount(), " ".join(self.reasons), _ADVICE[self.strategy]])

    def _amount(self) -> str:
        saved = self.statistics.potential
        grade = "Little" if saved < LITTLE else "Some" if saved < MUCH else "Much"
        low, high = f"{self.low:.1f}", f"{self.high:.1f}"
        if high == "1.0":
            return f"{grade}: about as many steps as with uniform batches."
        times = high if low in (high, "1.0") else f"{low} to {high}"
        return f"{grade}: about {times} times fewer steps than with uniform batches."


def potential(y: Any, label_names: Sequence[str] | None = None) -> Potential:
    """Predicts from labels alone how many steps batch selection could save, and by what.

    Balance saves the more, the rarer the other labels are than the most frequent one: `exp(0.2 m)`,
    with m the mean of ln IRLbl. Where more than 70 % of the samples have no label, leaving most of
    those out saves more: `R ** 0.7`, with R the `variance_ratio` of the label statistics. The
    larger of both is predicted. It is a rough guide, of no more than the labels: the features
    and the model decide too. Compare with `strategy="uniform"`.

    Steps are saved to reach what uniform batches reach at half of their best budget. A run that is
    long enough for them to reach their best may gain nothing.

    Args:
        y: labels as `label_statistics` takes them: (n, q) 0/1, dense or scipy.sparse, or (n,)
            integer class ids.
        label_names: q names, for the warning and for the statistics.

    Raises:
        ValueError: as `label_statistics`.

    Warns:
        UserWarning: labels without positives; they are left out.

    Example:
        >>> import numpy as np, tfmlselect as tfml
        >>> y = np.zeros((1000, 2), int)
        >>> y[:40, 0] = y[30:45, 1] = 1
        >>> print(tfml.potential(y))
        Much: about 2.6 to 5.7 times fewer steps than with uniform batches.
        95.5 % of the samples carry no label.
        Thin them out: tfmlselect.strategies.RareEvents and tfmlselect.losses.ThinnedLikelihood.

    References:
        R: A. Katharopoulos and F. Fleuret. Not all samples are created equal: Deep learning with
        importance sampling. ICML 2018.

    Deviations and open points:
        The two formulas are ours, fitted to few data sets.
    """
    statistics = measure(y, label_names, stacklevel=3)
    saved = statistics.potential
    if saved < LITTLE:
        strategy = "uniform"
    elif _steps_saved.by_thinning(statistics) >= _steps_saved.by_balance(statistics):
        strategy = "rare_events"
    else:
        strategy = "adaptive_balance"
    low, high = _steps_saved.likely_range(saved)
    return Potential(low, high, strategy, _reasons(statistics, strategy), statistics)


def _reasons(statistics: LabelStatistics, strategy: str) -> tuple[str, ...]:
    if statistics.empty == 1.0:
        return ("No sample carries a label.",)
    share = f"{100 * statistics.empty:.1f} %"
    none = "Every sample carries a label." if statistics.empty == 0.0 else ""
    empty = none or f"{share} of the samples carry no label."
    if strategy == "rare_events":
        return (empty,)
    rarer = math.exp(statistics.mean_log_irlbl)
    labels = f"A typical label is {rarer:.1f} times rarer than the most frequent one."
    if (statistics.counts > 0).sum() == 1:
        labels = "One label alone has positives."
    elif f"{rarer:.1f}" == "1.0":
        labels = "The labels are about equally frequent."
    return (labels,) if strategy == "adaptive_balance" else (labels, empty)
