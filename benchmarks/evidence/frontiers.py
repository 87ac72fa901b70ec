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
        bound: "" where that is measured; ">" where it is as good as uniform batches at their best
            budget, or better, which counts as the steps of that; "<" where their shortest budget
            was better already.
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
        self.name = name
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
        budgets = [each for each in self.budgets(UNIFORM) if each <= run.longest(self.name)]
        return run.best_budget({each: cells[each].figures["tuned"].mean() for each in budgets})

    def at(self, method: str, part: float) -> Cell | None:
        """A method at a part of uniform's best budget."""
        return self.cells.get(method, {}).get(self.best_passes * part)

    def best(self, method: str, longest: float = math.inf) -> tuple[float, Cell]:
        """The best budget on the development part, of those up to `longest`, and its cell."""
        own = {each: self.cells[method][each] for each in self.budgets(method) if each <= longest}
        passes = max(own, key=lambda each: own[each].figures["tuned"].mean())
        return passes, own[passes]

    def saved(self, method: str, part: float, figure: str) -> Saved | None:
        """What a method saves at a part of uniform's best budget."""
        cell = self.at(method, part)
        if cell is None:
            return None
        steps, values = self.baseline(figure, method)
        goal, bound = cell.mean(figure), ""
        if goal >= values[-1]:
            goal, bound = values[-1], ">"
        if goal < values[0]:
            return Saved(steps[0] / cell.steps, "<")
        return Saved(steps_to(goal, steps, values) / cell.steps, bound)

    def baseline(self, figure: str, method: str) -> tuple[np.ndarray, np.ndarray]:
        """Steps and values of uniform batches by budget, up to their best one.

        What a shorter run reached, a longer one could have: values never fall. They are means over
        both sets of seeds, where uniform batches ran again with others; but for that second run.
        """
        budgets = [each for each in self.budgets(UNIFORM) if each <= self.best_passes]
        steps = np.array([self.cells[UNIFORM][each].steps for each in budgets])
        values = [self.uniform(figure, each, method).mean() for each in budgets]
        return steps, np.maximum.accumulate(values)

    def uniform(self, figure: str, passes: float, method: str) -> np.ndarray:
        """What a method is compared with: uniform batches at a budget, (seeds,)."""
        names = (UNIFORM,) if method == AGAIN else (UNIFORM, AGAIN)
        cells = [self.cells.get(name, {}).get(passes) for name in names]
        return np.concatenate([cell.figures[figure] for cell in cells if cell is not None])


def steps_to(goal: float, steps: np.ndarray, values: np.ndarray) -> float:
    """The steps at which values that never fall reach a goal; infinity where they do not.

    Between two budgets a value is taken as linear in the logarithm of the steps.
    """
    if values[-1] < goal:
        return math.inf
    after = int(np.argmax(values >= goal))
    if after == 0:
        return float(steps[0])
    low, high = values[after - 1], values[after]
    part = (goal - low) / (high - low)
    return float(steps[after - 1] * (steps[after] / steps[after - 1]) ** part)


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
    if len(own) < len(run.SEEDS):
        return None
    if any(not row["auc_all"] for row in own):
        raise ValueError(
            f"A run that is to be shown diverged. Received: {own[0]['method']} at "
            f"{own[0]['passes']} passes and rate {rate}. Say on the page what becomes of it."
        )
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
