"""How many steps batch selection may save, predicted from how imbalanced labels are.

The formula alone: `labels` measures what goes in, and `savings` says in words what comes out.

A method saves s if its model is, after T steps, as good as one of uniform batches after s T steps,
where uniform batches at s T steps are at half of the budget that is best for them.
"""

from __future__ import annotations

import math
from typing import Protocol

# Fitted to what `AdaptiveBalance` with falling `PositiveWeights` saved, by
# `python -m benchmarks.study.frontier.run`; docs/evidence/frontiers.md shows it beside other sets.
IMBALANCE = 0.19  # power of the geometric mean of IRLbl
EMPTINESS = 0.4  # power of the variance ratio, which is large where most samples have no label
SPREAD = 0.3  # of the prediction's logarithm, either way


class LabelFigures(Protocol):
    """What the formula knows of labels: attributes of `labels.LabelStatistics`.

    A protocol, since `labels` imports this module.
    """

    @property
    def mean_log_irlbl(self) -> float:
        """Mean of ln IRLbl; NaN where no label has positives."""

    @property
    def variance_ratio(self) -> float:
        """R of a model that predicts each label's share of positives."""


def steps_saved(labels: LabelFigures) -> float:
    """`exp(IMBALANCE * mean_log_irlbl) * R ** EMPTINESS`, 1 or more."""
    mean = 0.0 if math.isnan(labels.mean_log_irlbl) else labels.mean_log_irlbl
    return max(1.0, math.exp(IMBALANCE * mean) * math.pow(labels.variance_ratio, EMPTINESS))


def likely_range(saved: float) -> tuple[float, float]:
    """From where to where a prediction is to be taken, both 1 or more."""
    return saved ** (1.0 - SPREAD), saved ** (1.0 + SPREAD)
