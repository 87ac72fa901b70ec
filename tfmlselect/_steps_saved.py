"""How many steps batch selection may save, predicted from how imbalanced labels are.

The formula alone: `labels` measures what goes in, and `savings` says in words what comes out.

A method saves s if its model is, after T steps, as good as one of uniform batches after s T steps,
where uniform batches at s T steps are at half of the budget that is best for them.
"""

from __future__ import annotations

import math
from typing import Protocol

BALANCE = 0.2  # power of the geometric mean of IRLbl that balance saves
THINNING = 0.7  # power of the variance ratio that thinning the samples without labels saves
MOST_EMPTY = 0.7  # share of samples without labels above which thinning is advised
SPREAD = 0.3  # of the prediction's logarithm, either way


class LabelFigures(Protocol):
    """What the formula knows of labels: attributes of `labels.LabelStatistics`.

    A protocol, since `labels` imports this module.
    """

    @property
    def empty(self) -> float:
        """Share of samples without any label."""

    @property
    def mean_log_irlbl(self) -> float:
        """Mean of ln IRLbl; NaN where no label has positives."""

    @property
    def variance_ratio(self) -> float:
        """R of a model that predicts each label's share of positives."""


def by_balance(labels: LabelFigures) -> float:
    """What balance of labels saves: `exp(BALANCE * mean_log_irlbl)`, 1 or more."""
    mean = labels.mean_log_irlbl
    return 1.0 if math.isnan(mean) else max(1.0, math.exp(BALANCE * mean))


def by_thinning(labels: LabelFigures) -> float:
    """What thinning saves: `R ** THINNING` where most samples are without labels, else 1."""
    return max(1.0, labels.variance_ratio**THINNING) if labels.empty > MOST_EMPTY else 1.0


def steps_saved(labels: LabelFigures) -> float:
    """What the better of both saves: 1 or more."""
    return max(by_balance(labels), by_thinning(labels))


def likely_range(saved: float) -> tuple[float, float]:
    """From where to where a prediction is to be taken, both 1 or more."""
    return saved ** (1.0 - SPREAD), saved ** (1.0 + SPREAD)
