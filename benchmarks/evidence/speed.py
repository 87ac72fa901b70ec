"""How soon a strategy is where the baseline's best was, and what its epochs take.

The target of a cell is the baseline's test macro-AUC at its best epoch (by validation), on the
same data and fold. A run reaches it in the first evaluated epoch whose test macro-AUC is not
below. The baseline is measured by the same rule, and may be there before its best epoch.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.evidence import results


class Reach(NamedTuple):
    """A strategy's way to the baseline's best."""

    cells: int
    reached: int
    epochs: float  # median over the cells that reach it
    steps: float
    seconds: float  # of training alone: epochs x the run's median epoch
    baseline_epochs: float  # the same for the baseline, over the same cells
    baseline_steps: float
    baseline_seconds: float
    ratio_reached: float  # median of epochs / the baseline's epochs, over cells that reach it
    ratio: float  # the same over all cells, infinite where it is not reached
    seconds_ratio: float  # as `ratio_reached`, by cells of one environment


class Cost(NamedTuple):
    """Time that a strategy adds, by cells timed in the same environment."""

    cells: int
    epoch_ratio: float  # median of epoch_seconds / the baseline's
    epoch_seconds: float  # median
    build_seconds: float  # median: the neighbour search, before the first epoch


def cells(frame: pd.DataFrame, strategy: str, baseline: str = results.BASELINE) -> pd.DataFrame:
    """One row per (data, fold) that both have: when each reaches the target, NaN for never.

    Returns:
        data, fold, same_environment; epochs, steps, seconds; and the same with `baseline_` before.
    """
    rows = []
    for row in results.pairs(frame, strategy, baseline).itertuples():
        test = results.curve(row.curve_test_baseline)
        epochs = results.curve(row.curve_epochs_baseline)
        target = test[epochs == row.best_epoch_baseline][0]
        own = _first(results.curve(row.curve_epochs), results.curve(row.curve_test), target)
        other = _first(epochs, test, target)
        rows.append(
            {
                "data": row.data,
                "fold": row.fold,
                "same_environment": row.environment == row.environment_baseline,
                "epochs": own,
                "steps": own * row.steps / row.epochs,
                "seconds": own * row.epoch_seconds,
                "baseline_epochs": other,
                "baseline_steps": other * row.steps_baseline / row.epochs_baseline,
                "baseline_seconds": other * row.epoch_seconds_baseline,
            }
        )
    return pd.DataFrame(rows)


def _first(epochs: np.ndarray, test: np.ndarray, target: float) -> float:
    reached = np.flatnonzero(test >= target)
    return float(epochs[reached[0]]) if len(reached) else np.nan


def reach(frame: pd.DataFrame, strategy: str, baseline: str = results.BASELINE) -> Reach:
    """Medians over all cells that both have, of all data sets; NaN where there is none.

    Cells that never reach the target have no epochs: a median over the others alone flatters a
    strategy that seldom does, so `ratio` counts them as infinite.
    """
    found = cells(frame, strategy, baseline)
    if found.empty:
        return Reach(0, 0, *[np.nan] * 9)
    there = found.dropna(subset="epochs")
    ratio = found["epochs"] / found["baseline_epochs"]
    timed = there[there["same_environment"]]
    return Reach(
        len(found),
        len(there),
        *(there[name].median() for name in ("epochs", "steps", "seconds")),
        *(there[f"baseline_{name}"].median() for name in ("epochs", "steps", "seconds")),
        ratio.median(),
        ratio.fillna(np.inf).median(),
        (timed["seconds"] / timed["baseline_seconds"]).median(),
    )


def cost(frame: pd.DataFrame, strategy: str, baseline: str = results.BASELINE) -> Cost:
    """What an epoch takes beside the baseline's of the same cell, and the building once."""
    both = results.pairs(frame, strategy, baseline)
    timed = both[both["environment"] == both["environment_baseline"]]
    return Cost(
        len(timed),
        (timed["epoch_seconds"] / timed["epoch_seconds_baseline"]).median(),
        timed["epoch_seconds"].median(),
        timed["build_seconds"].median(),
    )
