"""The committed results: one row per (data, model, strategy, fold, budget), read and checked.

A folder holds <model>.csv, and may hold tables of other things (`OTHERS`). Any cell may be
missing: what compares rows compares those that are there for both. A metric may be empty, as
minority_recall on a set without minority labels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.study import grid
from benchmarks.study.grid import BASELINE, Cell
from benchmarks.study.rows import DIRECTORY, LOWER_IS_BETTER, METRICS, OTHERS

KEY = list(Cell._fields)
STRATEGIES = grid.STRATEGIES[1:]  # what is compared with the baseline
CURVES = ("curve_epochs", "curve_validation", "curve_test")
COLUMNS = [
    *KEY,
    *("environment", "seed", "n_train", "n_test", "d", "q", "batch_size", "epochs", "steps"),
    *("learning_rate", "build_seconds", "seconds", "epoch_seconds", "best_epoch"),
    "best_validation",
    *(f"{when}_{metric}" for metric in METRICS for when in ("best", "last")),
    *CURVES,
]
_WORDS = {name: str for name in ("data", "model", "strategy", "budget", "environment", *CURVES)}


def load(folder: Path = DIRECTORY) -> pd.DataFrame:
    """All results of a folder, in the order of `KEY` whatever the order of files and rows.

    Returns:
        A frame with at least `COLUMNS`; no rows where there are no files.

    Raises:
        ValueError: a file lacks a column; what `check` refuses.
    """
    paths = [path for path in sorted(Path(folder).glob("*.csv")) if path.name not in OTHERS]
    frames = [pd.read_csv(path, dtype=_WORDS) for path in paths]
    if not frames:
        return pd.DataFrame(columns=COLUMNS)
    for frame in frames:
        lacking = [name for name in COLUMNS if name not in frame]
        if lacking:
            raise ValueError(
                "Results must have all columns. "
                f"Received: {folder} without {lacking}. Run these cells again."
            )
    return check(pd.concat(frames, ignore_index=True))


def tuned(folder: Path = DIRECTORY) -> set[tuple[str, str]]:
    """Each (data, model) whose learning rate has been chosen."""
    path = Path(folder) / "learning_rates.csv"
    rates = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["data", "model"])
    return {*zip(rates["data"], rates["model"], strict=True)}


def check(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows in order of `KEY`, with what `along_the_way` adds; raises where they are wrong.

    Raises:
        ValueError: a cell stands twice; curves of different lengths; a best epoch that was not
            evaluated.
    """
    twice = frame.duplicated(KEY)
    if twice.any():
        raise ValueError(
            "Each cell must stand once in the results. "
            f"Received: twice {frame.loc[twice.idxmax(), KEY].to_dict()}. Delete one of its rows."
        )
    for row in frame.itertuples():
        lengths = [len(curve(getattr(row, name))) for name in CURVES]
        if len({*lengths}) > 1:
            raise ValueError(
                f"Curves must have a value for each evaluated epoch. Received: {CURVES} of lengths "
                f"{lengths} in { {name: getattr(row, name) for name in KEY} }. Run this cell again."
            )
        if row.best_epoch not in curve(row.curve_epochs):
            raise ValueError(
                "The best epoch must be one of those evaluated. "
                f"Received: {row.best_epoch} of {row.curve_epochs!r} in "
                f"{ {name: getattr(row, name) for name in KEY} }. Run this cell again."
            )
    return along_the_way(frame).sort_values(KEY, ignore_index=True)


def along_the_way(frame: pd.DataFrame) -> pd.DataFrame:
    """Adds the test macro-AUC last evaluated by half of the epochs, and the mean of all."""
    half, mean = [], []
    for row in frame.itertuples():
        values = curve(row.curve_test)
        by_then = values[curve(row.curve_epochs) <= row.epochs / 2]
        half.append(by_then[-1] if len(by_then) else np.nan)
        mean.append(values.mean())
    return frame.assign(half_macro_auc=np.array(half, float), mean_macro_auc=np.array(mean, float))


def curve(text: str) -> np.ndarray:
    """Space-separated numbers: (evaluations,) float64."""
    return np.array(text.split(), np.float64)


def part(frame: pd.DataFrame, model: str, budget: str) -> pd.DataFrame:
    """The rows of one model under one budget."""
    return frame[(frame["model"] == model) & (frame["budget"] == budget)]


def parts(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Each (model, budget) with results: those with the most data sets first, then by name."""
    sets = frame.groupby(["model", "budget"])["data"].nunique()
    return sorted(sets.index, key=lambda names: (-sets[names], names))


def compared(frame: pd.DataFrame) -> list[str]:
    """The main strategies with results, in the order of `STRATEGIES`."""
    there = {*frame["strategy"]}
    return [name for name in STRATEGIES if name in there]


def ablations(frame: pd.DataFrame) -> list[str]:
    """The other strategies with results, by name."""
    return sorted({*frame["strategy"]} - {*STRATEGIES, BASELINE})


def sign(column: str) -> int:
    """-1 for a column such as best_ranking_loss, where lower is better; else 1."""
    return -1 if column.split("_", 1)[1] in LOWER_IS_BETTER else 1


def pairs(frame: pd.DataFrame, strategy: str, baseline: str = BASELINE) -> pd.DataFrame:
    """Rows of both on the same data, model, fold and budget, those columns first.

    Returns:
        A frame of one row per cell that both have: `KEY` without strategy, then the strategy's
        columns as they are called, and the baseline's with `_baseline` behind.
    """
    on = [name for name in KEY if name != "strategy"]
    return frame[frame["strategy"] == strategy].merge(
        frame[frame["strategy"] == baseline], on=on, suffixes=("", "_baseline")
    )
