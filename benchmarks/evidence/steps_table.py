"""The tables of `benchmarks.study.steps_saved`: from kept figures, with nothing trained."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.evidence import markers
from benchmarks.study.grid import BASELINE

FILE = Path(__file__).parents[1] / "study" / "steps_saved.csv"
CELL = ("task", "method", "passes", "rate", "seed")
FIGURES = ("macro_auc", "macro_ap", "log_loss")
CONDITIONS = {
    "all labels": "GoEmotions by a frozen sentence encoder, 43,410 comments, 28 labels.",
    "rare labels": "GoEmotions by a frozen sentence encoder, 43,410 comments, its ten labels of\n"
    "less than 2 %: nine comments in ten carry none.",
}
COLUMNS = (*CELL, "steps", "dev_macro_ap", *FIGURES)


def read(path: Path = FILE) -> list[dict[str, str]]:
    """The rows of a file; none where it is not there."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def tuned(rows: list[dict], task: str, method: str) -> dict[float, dict[str, np.ndarray]]:
    """By budget, in passes: what the rate gave that is best on the development part.

    Returns:
        Passes -> "rate" (), and "steps" and the `FIGURES` (seeds,) of the test part.
    """
    own = [row for row in rows if (row["task"], row["method"]) == (task, method)]
    found = {}
    for passes in sorted({float(row["passes"]) for row in own}):
        by_rate: dict[float, list[dict]] = {}
        for row in own:
            if float(row["passes"]) == passes:
                by_rate.setdefault(float(row["rate"]), []).append(row)
        best = max(by_rate, key=lambda rate: np.mean(column(by_rate[rate], "dev_macro_ap")))
        found[passes] = {"rate": np.array(best)} | {
            name: column(by_rate[best], name) for name in ("steps", *FIGURES)
        }
    return found


def column(rows: list[dict], name: str) -> np.ndarray:
    """A column of rows as numbers: (rows,)."""
    return np.array([float(row[name]) for row in rows])


def steps_saved(value: float, steps: float, baseline: dict, figure: str) -> str:
    """Uniform steps for the same value of a figure, over the steps used.

    "> all" where uniform batches reached it at no budget. Between two budgets of uniform batches
    the value is taken as linear in the logarithm of steps, and never to fall: what a shorter run
    reached, a longer one could have.
    """
    budgets = [each["steps"].mean() for each in baseline.values()]
    values = np.maximum.accumulate([each[figure].mean() for each in baseline.values()])
    if value > values[-1]:
        return "> all"
    if value < values[0]:
        return f"< {budgets[0] / steps:.1f}"
    needed = np.exp(np.interp(value, *strictly_rising(values, np.log(budgets))))
    return f"{needed / steps:.1f}"


def strictly_rising(values: np.ndarray, logs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The points at which values rise: each value with the fewest steps that reach it."""
    first = np.append(True, np.diff(values) > 0)
    return values[first], logs[first]


def table(rows: list[dict], task: str, methods: Sequence[str]) -> str:
    """Method by budget: macro-AUC / macro-AP, and the steps saved by either."""
    baseline = tuned(rows, task, BASELINE)
    found = {method: tuned(rows, task, method) for method in (BASELINE, *methods)}
    budgets = sorted({passes for each in found.values() for passes in each})
    lines = [
        [method, *(cell(each.get(passes), baseline, method) for passes in budgets)]
        for method, each in found.items()
    ]
    return markers.table(["passes", *(f"{passes:g}" for passes in budgets)], lines)


def cell(tuned: dict | None, baseline: dict, method: str) -> str:
    """One budget of one method."""
    if tuned is None:
        return ""
    names = FIGURES[:2]
    text = " / ".join(f"{tuned[name].mean():.3f}".removeprefix("0") for name in names)
    if method == BASELINE:
        return text
    steps = tuned["steps"].mean()
    saved = (steps_saved(tuned[name].mean(), steps, baseline, name) for name in names)
    return f"{text}: **{' / '.join(saved)}**"


def pays(rows: list[dict], task: str, methods: Sequence[str]) -> str:
    """What stands in the cards: the conditions, and the tables."""
    text = f"""{CONDITIONS[task]}
Macro-AUC / macro average precision on the test part, and **how many uniform steps one step stands
for** by either: "> all" where uniform batches got as far at no budget.

{table(rows, task, methods)}
"""
    if task == "rare labels":
        text += f"""
The mean binary cross-entropy on the test part, which says whether probabilities are right:

{log_losses(rows, task, methods)}
"""
    return f"""{text}
`python -m benchmarks.study.steps_saved`: each method has its own learning rate at each budget, of
five, chosen by macro average precision on the development part; three seeds; an MLP of 256-256,
Adam, batches of 128. Budgets are in passes of uniform batches over the data."""


def in_short(rows: list[dict], methods: dict[str, tuple[str, str]]) -> str:
    """What stands in the README: one method for each task, at the budgets of them all.

    Args:
        methods: task -> what it is called, and the method.
    """
    found = {task: tuned(rows, task, method) for task, (_, method) in methods.items()}
    budgets = [0.5, 1.0, 2.0]
    lines = []
    for task, (called, method) in methods.items():
        baseline = tuned(rows, task, BASELINE)
        for name, each in ((BASELINE, baseline), (method, found[task])):
            cells = [cell(each[passes], baseline, name) for passes in budgets]
            lines.append([called, name, *cells])
    return markers.table(
        ["", "batches", *(f"{passes:g} pass{'es' * (passes != 1)}" for passes in budgets)], lines
    )


def log_losses(rows: list[dict], task: str, methods: Sequence[str]) -> str:
    """Method by budget: the mean binary cross-entropy on the test part."""
    found = {method: tuned(rows, task, method) for method in (BASELINE, *methods)}
    budgets = sorted(set.intersection(*(set(each) for each in found.values())))
    lines = [
        [method, *(f"{each[passes]['log_loss'].mean():.4f}" for passes in budgets)]
        for method, each in found.items()
    ]
    return markers.table(["passes", *(f"{passes:g}" for passes in budgets)], lines)
