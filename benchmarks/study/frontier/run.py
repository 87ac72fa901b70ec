"""Runs what is missing of the frontiers.

    python -m benchmarks.study.frontier.run --data-dir DIR               # hours; resumable
    python -m benchmarks.study.frontier.run --tasks birds --optimizers adam
    python -m benchmarks.study.frontier.run --data-dir DIR --check 20    # runs 20 rows again

First uniform batches: budgets of 1, 2, 4, ... passes until two that follow the best one are worse
on the development part; the shortest one within 2 % of the best is "uniform's own best". Then each
method at 1/8 to 1 of it, and some at 2 and 4 times it; last, runs that the development part stops.
At each budget: rates on a grid of powers of two, five around uniform's best rate there, more where
the best one is at an edge; each with two seeds, or one on the largest sets; the best by macro
average precision on the development part. With that rate five further seeds, judged on the test
part.

Rows are in `results/TASK-OPTIMIZER.csv`: `tune` rows have no figures but that of the development
part. Each task and optimizer is one process with one thread.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from benchmarks.study.frontier import quality, tasks
from benchmarks.study.frontier.fit import STOPPED, Fits
from benchmarks.study.frontier.methods import AGAIN, METHODS, UNIFORM
from benchmarks.study.pool import run_all

RESULTS = Path(__file__).with_name("results")
OPTIMIZERS = ("adam", "sgd")
FIRST_RATE = {"adam": -8, "sgd": -1}  # powers of two, where the search begins
RATES = range(-16, 10)
TUNING, SEEDS = (100, 101), (0, 1, 2, 3, 4)
CELL = ("method", "passes", "rate", "seed")
MEASURED = ("steps", "step_s", "selection_s", "dev_ap", *quality.COLUMNS)
LONGEST, LONGEST_LARGE, LONGEST_CIFAR = 256, 16, 32  # passes

SHORT = (1 / 8, 1 / 4, 1 / 2, 1.0)
WHOLE = (*SHORT, 2.0, 4.0)
EMPTY = 0.4  # from this share of samples without labels on, thinning is tried
FAST_NEIGHBORS = 20_000  # samples up to which neighbours are searched
CORE = (AGAIN, "positive weights 0.25", "adaptive_balance", "recipe")
THINNING = ("rare_events", "rare_events + positive weights")
THINNING_FORMS = ("rare_events without correction", "rare_events by predictions")
MORE = ("positive weights falling", "positive weights 0.5", "asymmetric loss")
RIVALS = (
    "positive weights 1",
    "adaptive_balance + asymmetric loss",
    "online_batch",
    "online_batch + positive weights",
    "random half",
    "placebo of adaptive_balance",
    "weights of adaptive_balance in the loss",
    "repeat_factor",
)
SLOW = ("d2ace", "d2ace + positive weights", "placebo of d2ace", "placebo of online_batch")
BEFORE = ("balance: by lack and progress", "recipe: by lack and progress")
FORMS = tuple(name for name in METHODS if name.startswith(("balance:", "recipe:")))
LARGE_WITH_ALL = (tasks.TEXT, f"{tasks.TEXT}-under-2")  # which takes long
STOPPING = ("positive weights 0.25", "adaptive_balance", "recipe", "rare_events")


def main() -> None:
    """Runs what is missing, or with --check runs some rows again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", default=os.environ.get("TFMLSELECT_DATA"))
    parser.add_argument("--tasks", nargs="+", default=tasks.NAMES, choices=tasks.NAMES)
    parser.add_argument("--optimizers", nargs="+", default=OPTIMIZERS, choices=OPTIMIZERS)
    parser.add_argument("--core", action="store_true", help="only the methods that matter most")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--check", type=int, metavar="ROWS", help="run so many rows again")
    options = parser.parse_args()
    jobs = [
        (options.out, name, optimizer, options.data_dir, options.core, options.check)
        for optimizer in options.optimizers
        for name in options.tasks
    ]
    failed = 0
    for job, said, error in run_all(jobs, options.jobs, work):
        print(*job[1:3], said if error is None else f"failed: {error!r}", flush=True)
        failed += error is not None
    sys.exit(failed > 0)


def work(job: tuple) -> str:
    """One task and optimizer."""
    out, name, optimizer, directory, core, check = job
    task = tasks.load(name, directory)
    frontier = Frontier(task, optimizer, out / f"{name}-{optimizer}.csv")
    if check:
        return frontier.check(check)
    frontier.run(core)
    return f"{len(frontier.rows)} rows"


def wanted(task: tasks.Task, optimizer: str, core: bool) -> dict[str, tuple[float, ...]]:
    """Methods and their budgets, in parts of uniform's best."""
    y = task.train[1]
    whole = SHORT if task.name == tasks.CIFAR else WHOLE
    found = dict.fromkeys(CORE, whole)
    if (~y.any(axis=1)).mean() >= EMPTY:
        found |= dict.fromkeys(THINNING, whole)
    if core or "-dose-" in task.name:
        return found
    if THINNING[0] in found:
        found |= dict.fromkeys(THINNING_FORMS, SHORT)
    found |= dict.fromkeys(MORE, SHORT)
    if not task.is_large or task.name in LARGE_WITH_ALL:
        found |= dict.fromkeys(RIVALS, SHORT)
    if optimizer == "adam" and len(y) <= FAST_NEIGHBORS:
        found |= dict.fromkeys(SLOW, SHORT)
    if optimizer == "adam" and not task.is_large:
        found |= dict.fromkeys(BEFORE, WHOLE)
    if optimizer == "adam" and task.name in tasks.CHOSEN_ON:
        found |= dict.fromkeys(FORMS, (*SHORT[1:], 2.0))
    return found


def best_budget(values: Mapping[float, float]) -> float:
    """Uniform's own best budget: the shortest whose value is within 2 % of the best one.

    Args:
        values: passes -> macro average precision on the development part.
    """
    return min(passes for passes, value in values.items() if value >= 0.98 * max(values.values()))


def longest(name: str) -> float:
    """The longest budget, in passes, by which uniform's best is chosen on a task."""
    if name == tasks.CIFAR:
        return LONGEST_CIFAR
    return LONGEST_LARGE if tasks.is_large(name) else LONGEST


def tuning_seeds(name: str) -> tuple[int, ...]:
    """The seeds that rates are chosen by, of a task: one where runs vary little."""
    return TUNING[:1] if tasks.is_large(name) else TUNING


class Frontier:
    """The rows of one task and optimizer, and what is to be run.

    Args:
        task: what is learnt.
        optimizer: "adam" or "sgd".
        path: of the rows.
    """

    def __init__(self, task: tasks.Task, optimizer: str, path: Path):
        self._fits = Fits(task, optimizer)
        self._task, self._optimizer, self._path = task, optimizer, path
        self.rows = {key(row): row for row in read(path)}

    def run(self, core: bool) -> None:
        """Runs what is missing."""
        rates = self._baseline()
        best = self._best(rates)
        for method, parts in wanted(self._task, self._optimizer, core).items():
            for part in parts:
                passes = best * part
                center = rates.get(passes)
                if center is None:
                    center = rates[passes] = self._cell(UNIFORM, passes, self._near(rates, passes))
                self._cell(method, passes, center)
        if self._task.is_large and self._task.name not in LARGE_WITH_ALL:
            return
        center = self._cell(UNIFORM, STOPPED, self._near(rates, best) - 1)
        for method in STOPPING:
            if method in wanted(self._task, self._optimizer, core):
                self._cell(method, STOPPED, center)

    def check(self, count: int) -> str:
        """Runs rows again and says how many came out as they are."""
        rng = np.random.default_rng(0)
        some = rng.choice(list(self.rows), min(count, len(self.rows)), replace=False)
        same = 0
        for method, passes, rate, seed in some:
            again = self._fits.run(method, float(passes), float(rate), int(seed))
            kept = self.rows[method, passes, rate, seed]
            same += kept["dev_ap"] == f"{again['dev_ap']:.5f}"
        return f"{same} of {len(some)} rows the same"

    def _baseline(self) -> dict[float, int]:
        """Uniform batches at all their budgets: passes -> the best rate."""
        in_pass = len(self._task.train[0]) // self._task.batch_size
        passes, center = 1.0, FIRST_RATE[self._optimizer]
        rates: dict[float, int] = {}
        values: list[float] = []
        while passes <= longest(self._task.name):
            center = rates[passes] = self._cell(UNIFORM, passes, center)
            values.append(self._dev(UNIFORM, passes, center))
            if len(values) - 1 - int(np.argmax(values)) >= 2:
                break
            passes *= 2
        center, passes = rates[1.0], 0.5
        while passes * in_pass >= 2 and passes >= self._best(rates) / 8:
            center = rates[passes] = self._cell(UNIFORM, passes, center)
            passes /= 2
        return rates

    def _best(self, rates: dict[float, int]) -> float:
        """Uniform's own best budget of those that were run: passes -> their best rate."""
        values = {passes: self._dev(UNIFORM, passes, rate) for passes, rate in rates.items()}
        return best_budget(values)

    def _near(self, rates: dict[float, int], passes: float) -> int:
        return rates[min(rates, key=lambda known: abs(math.log(known / passes)))]

    def _cell(self, method: str, passes: float, center: int) -> int:
        """Tunes and runs one method at one budget; returns the best rate, as a power of two."""
        known = [
            round(math.log2(float(rate)))
            for name, budget, rate, _ in self.rows
            if (name, float(budget)) == (method, passes)
        ]
        tried = range(min([center - 2, *known]), max([center + 2, *known]) + 1)
        while True:
            values = {rate: self._dev(method, passes, rate) for rate in tried}
            best = max(values, key=values.__getitem__)
            if best == tried[0] and best > RATES[0]:
                tried = range(tried[0] - 1, tried[-1] + 1)
            elif best == tried[-1] and best < RATES[-1]:
                tried = range(tried[0], tried[-1] + 2)
            else:
                break
        for seed in SEEDS:
            self._row(method, passes, best, seed)
        return best

    def _dev(self, method: str, passes: float, rate: int) -> float:
        """Mean macro average precision of the tuning seeds on the development part."""
        rows = [self._row(method, passes, rate, seed) for seed in tuning_seeds(self._task.name)]
        return float(np.mean([float(row["dev_ap"]) for row in rows]))

    def _row(self, method: str, passes: float, rate: int, seed: int) -> dict:
        cell = (method, repr(float(passes)), repr(2.0**rate), str(seed))
        if cell not in self.rows:
            row = dict(zip(CELL, cell, strict=True))
            measured = self._fits.run(method, float(cell[1]), float(cell[2]), seed)
            names = MEASURED if seed in SEEDS else ("steps", "dev_ap")
            row |= {name: text(measured[name]) for name in names if name in measured}
            self.rows[cell] = row
            append(self._path, row)
        return self.rows[cell]


def key(row: dict) -> tuple[str, ...]:
    """What tells rows apart."""
    return tuple(row[name] for name in CELL)


def text(value: float) -> str:
    """A figure as it is kept."""
    return str(value) if isinstance(value, int) else f"{value:.5f}"


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a file; none where it is not there."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["dev_ap"]]


def append(path: Path, row: dict) -> None:
    """Adds a row."""
    path.parent.mkdir(exist_ok=True)
    new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, (*CELL, *MEASURED), restval="", lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    main()
