"""Frontiers as figures: what each method reached at each budget, and how many steps that saves."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from benchmarks.study.frontier import run
from benchmarks.study.frontier.methods import AGAIN, UNIFORM

PLATEAU = 0.05  # of all that uniform batches rise: what is left is noise


@dataclass(frozen=True)
class Cell:
    """One method at one budget, at its own best rate.

    Attributes:
        rate: the learning rate.
        inside: whether the rates next to it on both sides were tried too.
        steps: mean of the seeds.
        figures: name -> (seeds,) of the test part, and `step_s`, `selection_s`.
    """

    rate: float
    inside: bool
    steps: float
    figures: dict[str, np.ndarray]

    def mean(self, figure: str) -> float:
        """Of the seeds."""
        return float(self.figures[figure].mean())

    def error(self, figure: str) -> float:
        """The standard error of that mean."""
        values = self.figures[figure]
        return float(values.std(ddof=1) / math.sqrt(len(values)))


@dataclass(frozen=True)
class Saved:
    """Uniform steps over a method's steps, for the same value of a figure.

    Attributes:
        times: how many uniform steps one step stands for.
        bound: "" where that is measured; ">" where it is as good as uniform batches' best, or
            better, so that more steps of theirs say little; "<" where their shortest budget was
            better already.
    """

    times: float
    bound: str = ""

    def __str__(self) -> str:
        return f"{self.bound}{self.times:.1f}"


class Frontiers:
    """All methods of one task and optimizer.

    Args:
        name: of the task.
        rows: of one file of results.

    Attributes:
        cells: method -> passes -> `Cell`; runs that the development part stopped have passes of
            infinity.
    """

    def __init__(self, name: str, rows: Iterable[dict[str, str]]):
        by_cell: dict[tuple[str, float], list[dict]] = {}
        for row in rows:
            by_cell.setdefault((row["method"], float(row["passes"])), []).append(row)
        self.cells: dict[str, dict[float, Cell]] = {}
        for (method, passes), own in sorted(by_cell.items()):
            cell = _cell(own, run.tuning_seeds(name))
            if cell is not None:
                self.cells.setdefault(method, {})[passes] = cell

    def budgets(self, method: str) -> list[float]:
        """Of runs whose length was fixed, in passes, ascending."""
        return sorted(passes for passes in self.cells.get(method, {}) if passes < math.inf)

    @cached_property
    def best_passes(self) -> float:
        """Uniform's own best budget, by the development part, as the runs were planned by it."""
        cells = self.cells[UNIFORM]
        tuned = {passes: cells[passes].figures["tuned"].mean() for passes in self.budgets(UNIFORM)}
        return run.best_budget(tuned)

    def at(self, method: str, part: float) -> Cell | None:
        """A method at a part of uniform's best budget."""
        return self.cells.get(method, {}).get(self.best_passes * part)

    def best(self, method: str) -> tuple[float, Cell]:
        """The budget of a method that is best on the development part, and its cell."""
        own = {passes: self.cells[method][passes] for passes in self.budgets(method)}
        passes = max(own, key=lambda each: own[each].figures["tuned"].mean())
        return passes, own[passes]

    def saved(self, method: str, part: float, figure: str) -> Saved | None:
        """What a method saves at a part of uniform's best budget."""
        cell = self.at(method, part)
        return None if cell is None else self.equal(cell, figure)

    def baseline(self, figure: str) -> tuple[np.ndarray, np.ndarray]:
        """Steps and values of uniform batches by budget, over both sets of seeds where there are.

        Where they ran again with other seeds, a value is the mean of both.
        """
        found = []
        for passes in self.budgets(UNIFORM):
            cells = [self.cells.get(name, {}).get(passes) for name in (UNIFORM, AGAIN)]
            there = [cell for cell in cells if cell is not None]
            found.append((there[0].steps, np.mean([cell.mean(figure) for cell in there])))
        steps, values = zip(*found, strict=True)
        return np.array(steps), np.array(values)

    def equal(self, cell: Cell, figure: str) -> Saved:
        """Uniform steps for the same value, over the cell's steps.

        Between two budgets of uniform batches values are taken as linear in the logarithm of the
        steps, and never to fall: what a shorter run reached, a longer one could have. Near their
        best they hardly rise, and how many steps a value takes there is noise: what lies above
        `1 - PLATEAU` of their rise counts as much as that.
        """
        steps, values = self.baseline(figure)
        values = np.maximum.accumulate(values)
        value, bound = cell.mean(figure), ""
        plateau = values[-1] - PLATEAU * (values[-1] - values[0])
        if value > plateau:
            value, bound = plateau, ">"
        if value < values[0]:
            return Saved(float(steps[0] / cell.steps), "<")
        rising = np.append(True, np.diff(values) > 0)
        needed = np.exp(np.interp(value, values[rising], np.log(steps[rising])))
        return Saved(float(needed / cell.steps), bound)


def _cell(rows: list[dict], seeds: tuple[int, ...]) -> Cell | None:
    """A cell of its rows, tuned on some seeds; None where its runs are not complete."""
    tuning: dict[float, list[float]] = {}
    for row in rows:
        if int(row["seed"]) in seeds:
            tuning.setdefault(float(row["rate"]), []).append(float(row["dev_ap"]))
    tuning = {rate: values for rate, values in tuning.items() if len(values) == len(seeds)}
    if not tuning:
        return None
    rate = max(sorted(tuning), key=lambda each: np.mean(tuning[each]))
    own = [row for row in rows if float(row["rate"]) == rate and int(row["seed"]) in run.SEEDS]
    own.sort(key=lambda row: int(row["seed"]))
    if len(own) < len(run.SEEDS) or any(not row["auc_all"] for row in own):
        return None
    names = [name for name in run.MEASURED if name != "steps"]
    figures = {name: np.array([float(row[name]) for row in own]) for name in names}
    figures["tuned"] = np.array(tuning[rate])
    steps = float(np.mean([int(row["steps"]) for row in own]))
    return Cell(rate, rate / 2 in tuning and rate * 2 in tuning, steps, figures)


def load(folder: Path = run.RESULTS) -> dict[tuple[str, str], Frontiers]:
    """(task, optimizer) -> its frontiers, in the order of the tasks, of all that has results."""
    found = {}
    for optimizer in run.OPTIMIZERS:
        for name in run.tasks.NAMES:
            rows = run.read(folder / f"{name}-{optimizer}.csv")
            if rows:
                found[name, optimizer] = Frontiers(name, rows)
    return found
