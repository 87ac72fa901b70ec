"""How much batch selection could save on one's own labels, in words and as a range of numbers.

The prediction itself is made in `_steps_saved`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from tfmlselect import _steps_saved
from tfmlselect._html_table import html_table
from tfmlselect.labels import LabelStatistics, label_statistics

LITTLE, MUCH = 1.2, 2.0  # steps saved below which it is little, and from which it is much
MOST_EMPTY = 0.7  # share of samples without labels above which thinning is named too

_ADVICE = {
    "uniform": "Uniform batches will do.",
    "adaptive_balance": "Balance the labels: tfmlselect.strategies.AdaptiveBalance and "
    "tfmlselect.losses.PositiveWeights.",
}
_THINNING = (
    "Or leave most samples without a label out: tfmlselect.strategies.RareEvents and "
    "tfmlselect.losses.ThinnedLikelihood."
)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Potential:
    """What `tfmlselect.potential` predicts; `print`, or a notebook, says it in words.

    Attributes:
        low: fewest steps of uniform batches that one step of selected ones is likely to stand for,
            1 or more.
        high: most of them.
        strategy: the name of the strategy to try, for `adaptive_dataset`: "uniform" where there is
            little to gain, else "adaptive_balance".
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
        return "\n".join([self._amount(), " ".join(self.reasons), *self._advice()])

    def _repr_html_(self) -> str:
        rows = [
            ("why", " ".join(self.reasons)),
            ("what to do", " ".join(self._advice())),
            ("strategy", self.strategy),
        ]
        return html_table([self._amount()], [], rows, words=(0, 1))

    def _advice(self) -> list[str]:
        advice = [_ADVICE[self.strategy]]
        if self.strategy != "uniform" and self.statistics.empty > MOST_EMPTY:
            advice.append(_THINNING)
        return advice

    def _amount(self) -> str:
        saved = self.statistics.potential
        grade = "Little" if saved < LITTLE else "Some" if saved < MUCH else "Much"
        low, high = f"{self.low:.1f}", f"{self.high:.1f}"
        if high == "1.0":
            return f"{grade}: about as many steps as with uniform batches."
        times = high if low in (high, "1.0") else f"{low} to {high}"
        return f"{grade}: about {times} times fewer steps than with uniform batches."


def potential(
    y: Any, label_names: Sequence[str] | None = None, *, missing: float | None = None
) -> Potential:
    """Predicts from labels alone how many steps batch selection could save.

    Selection saves the more, the rarer the other labels are than the most frequent one, and the
    fewer samples have any label: `exp(0.19 m) R^0.4`, with m the mean of ln IRLbl, and R the
    `variance_ratio` of the label statistics. It is a rough guide, of no more than the labels: the
    features and the model decide too. Compare with `strategy="uniform"`.

    Steps are saved to reach what uniform batches reach at half of their best budget. A run that is
    long enough for them to reach their best may gain nothing.

    Args:
        y: labels as `label_statistics` takes them: (n, q) 0/1, dense or scipy.sparse, or (n,)
            integer class ids.
        label_names: q names, for the warning and for the statistics. None: the columns' names where
            y is a DataFrame.
        missing: what stands in y where a label is unknown; as `label_statistics`.

    Raises:
        ValueError: as `label_statistics`.

    Warns:
        UserWarning: labels without positives; they are left out.

    Example:
        >>> import numpy as np, tfmlselect as tfml
        >>> y = np.zeros((1000, 2), int)
        >>> y[:40, 0] = y[30:45, 1] = 1
        >>> tfml.potential(y)
        <Potential: Much: about 1.8 to 3.1 times fewer steps than with uniform batches.>

    References:
        R: A. Katharopoulos and F. Fleuret. Not all samples are created equal: Deep learning with
        importance sampling. ICML 2018.

    Deviations and open points:
        The formula is ours, fitted to six tasks, for `AdaptiveBalance` with `PositiveWeights`. The
        documentation shows it beside what was saved on others.
    """
    statistics = label_statistics(y, label_names, missing=missing)
    saved = statistics.potential
    strategy = "uniform" if saved < LITTLE else "adaptive_balance"
    low, high = _steps_saved.likely_range(saved)
    return Potential(low, high, strategy, _reasons(statistics), statistics)


def _reasons(statistics: LabelStatistics) -> tuple[str, ...]:
    if statistics.empty == 1.0:
        return ("No sample carries a label.",)
    rarer = math.exp(statistics.mean_log_irlbl)
    labels = f"A typical label is {rarer:.1f} times rarer than the most frequent one."
    if (statistics.counts > 0).sum() == 1:
        labels = "One label alone has positives."
    elif f"{rarer:.1f}" == "1.0":
        labels = "The labels are about equally frequent."
    none = "Every sample carries a label." if statistics.empty == 0.0 else ""
    return labels, none or f"{100 * statistics.empty:.1f} % of the samples carry no label."
