"""The table of `benchmarks.study.text_from_scratch`: from kept figures, with nothing trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.evidence import markers
from benchmarks.study.grid import BASELINE

FILE = Path(__file__).parents[2] / "docs" / "text_from_scratch.json"
STRATEGIES = (BASELINE, "online_batch", "positive_hardness")
SHOWN = (
    "best_macro_auc",
    "best_macro_ap",
    "best_macro_f1",
    "best_tuned_macro_f1",
    "best_tuned_minority_recall",
    "last_macro_ap",
)


def table(runs: list[dict]) -> str:
    """Of the baseline the mean over seeds, of others their gains."""
    head = ["rate", "strategy", "best epoch", *map(shown, SHOWN)]
    rows = []
    for rate in sorted({run["rate"] for run in runs}):
        by = {
            name: sorted(
                (run for run in runs if (run["rate"], run["strategy"]) == (rate, name)),
                key=lambda run: run["seed"],
            )
            for name in STRATEGIES
        }
        for name, own in by.items():
            epochs = ", ".join(str(run["best_epoch"]) for run in own)
            cells = [cell(own, by[BASELINE], column) for column in SHOWN]
            rows.append([f"{rate:g}", name, epochs, *cells])
    return markers.table(head, rows)


def cell(own: list[dict], baseline: list[dict], column: str) -> str:
    """The mean of the baseline; of others the mean difference, and its range over the seeds."""
    if own is baseline:
        return f"{np.mean([run[column] for run in own]):.3f}"
    gains = [mine[column] - other[column] for mine, other in zip(own, baseline, strict=True)]
    return f"{np.mean(gains):+.3f} [{min(gains):+.3f}, {max(gains):+.3f}]"


def shown(column: str) -> str:
    """macro_auc of best_macro_auc; the last epoch's says so."""
    return column.removeprefix("best_").replace("last_", "last epoch's ")
