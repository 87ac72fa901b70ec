"""Which cells the benchmark wants: (data, model, strategy, fold, budget), in the order to run."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from benchmarks.study.folds import FOLDS

BASELINE = "uniform"
STRATEGIES = (
    BASELINE,
    "online_batch",
    "hard_imbalance",
    "uncertainty",
    "d2ace",
    "positive_hardness",
    "label_balanced",
    "active_bias",
    "recency_bias",
)
DEEP_STRATEGIES = (BASELINE, "hard_imbalance", "uncertainty", "d2ace", "positive_hardness")
ABLATIONS = (
    "d2ace-no-correlations",
    "d2ace-no-label-weights",
    "d2ace-uncertainty-only",
    "d2ace-hardness-only",
    "d2ace-pressure-2",
    "d2ace-pressure-4",
    "d2ace-pressure-16",
    "d2ace-pressure-32",
    "d2ace-pressure-64",
    "d2ace-warmup-3",
    "d2ace-predict",
    "positive_hardness-pressure-2",
    "positive_hardness-pressure-4",
    "positive_hardness-pressure-64",
    "positive_hardness-warmup-10",
    "positive_hardness-predict",
    "plm",
    "plm+positive_hardness",
    "feature_weakening",
    "feature_weakening+positive_hardness",
    "focal",
    "asymmetric",
)
SMALL = (
    "emotions",
    "birds",
    "CAL500",
    "genbase",
    "medical",
    "LLOG",
    "enron",
    "scene",
    "yeast",
    "Corel5k",
)
LARGE = ("digits", "bibtex", "rcv1subset1", "yahoo-Arts1", "tmc2007-500")
BUDGETS = ("paper", "tuned")


class Cell(NamedTuple):
    """What one row of results is of."""

    data: str
    model: str
    strategy: str
    fold: int
    budget: str


@dataclass(frozen=True)
class Block:
    """A full grid over these."""

    model: str
    data: tuple[str, ...]
    strategies: tuple[str, ...]
    folds: int
    budgets: tuple[str, ...]

    def cells(self) -> list[Cell]:
        """Set by set, so that what is interrupted has whole sets."""
        axes = self.data, self.budgets, range(self.folds), self.strategies
        return [Cell(d, self.model, s, f, b) for d, b, f, s in product(*axes)]


BLOCKS = (
    Block("mlp", SMALL, STRATEGIES, FOLDS, BUDGETS),
    Block("clif", ("emotions", "birds", "genbase", "medical"), DEEP_STRATEGIES, 3, ("paper",)),
    Block("dela", ("emotions", "birds", "genbase", "medical"), DEEP_STRATEGIES, 3, ("paper",)),
    Block("clif", ("scene", "yeast"), DEEP_STRATEGIES, 3, ("paper",)),
    Block("dela", ("scene", "yeast"), DEEP_STRATEGIES, 3, ("paper",)),
    Block("mpvae", ("scene", "birds"), DEEP_STRATEGIES, 3, ("tuned",)),  # 1e-4 is too low for it
    Block("paca", ("emotions", "birds"), DEEP_STRATEGIES, 3, ("paper",)),  # the rest takes hours
    Block("paca", ("scene", "yeast"), (BASELINE,), 1, ("paper",)),
    Block("paca", ("yeast",), (BASELINE,), 1, ("tuned",)),  # not yet learnt at the papers' rate
    Block("mpvae", ("yeast",), (BASELINE,), 1, ("tuned",)),
    Block("mlp", ("emotions", "birds", "medical", "yeast"), ABLATIONS, 3, BUDGETS),
    Block("frozen_head", ("goemotions",), DEEP_STRATEGIES, 1, ("tuned",)),
    Block("mlp", LARGE, STRATEGIES, FOLDS, BUDGETS),
)


def wanted() -> list[Cell]:
    """All cells, each once."""
    return list(dict.fromkeys(cell for block in BLOCKS for cell in block.cells()))
