"""The tables of the frontiers, from committed rows, with nothing trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from benchmarks.evidence.frontiers import Frontiers, Saved
from benchmarks.evidence.markers import table
from benchmarks.study.frontier import quality, tasks
from benchmarks.study.frontier.fit import STOPPED
from benchmarks.study.frontier.methods import AGAIN, METHODS, UNIFORM

Found = dict[tuple[str, str], Frontiers]
BY = {"auc_all": "macro-AUC", "ap_all": "macro-AP"}
HALF = 1 / 2
PARTS = (1 / 8, 1 / 4, 1 / 2, 1.0)
PART_NAMES = {1 / 8: "an eighth", 1 / 4: "a quarter", 1 / 2: "half", 1.0: "all"}


def of(found: Found, optimizer: str) -> dict[str, Frontiers]:
    """The tasks of one optimizer."""
    return {name: each for (name, own), each in found.items() if own == optimizer}


def methods_of(found: dict[str, Frontiers]) -> list[str]:
    """Methods that have results, in their order, without the baseline."""
    return [
        name
        for name in METHODS
        if name != UNIFORM and any(name in each.cells for each in found.values())
    ]


def in_short(found: Found, optimizer: str, methods: Sequence[str] | None = None) -> str:
    """Method by question: over all tasks that have it."""
    here = of(found, optimizer)
    head = ["", "tasks", *(f"saved at {PART_NAMES[part]}" for part in (1 / 4, 1 / 2))]
    head += ["behind at half", "best, macro-AP", "behind", "steps to its best"]
    rows = []
    for method in methods or methods_of(here):
        own = {name: each for name, each in here.items() if each.at(method, HALF)}
        if not own:
            continue
        rows.append(
            [
                f"`{method}`",
                str(len(own)),
                *(both_medians(own, method, part) for part in (1 / 4, 1 / 2)),
                str(sum(behind(each, method) for each in own.values())),
                signed(np.mean([gain(each, method) for each in own.values()])),
                str(sum(is_behind(each, method) for each in own.values())),
                f"{np.median([steps_to_best(each, method) for each in own.values()]):.2f}",
            ]
        )
    return table(head, rows)


def both_medians(own: dict[str, Frontiers], method: str, part: float) -> str:
    """Median steps saved over tasks, by both figures."""
    return " / ".join(median_saved(own.values(), method, part, figure) for figure in BY)


def median_saved(own: Iterable[Frontiers], method: str, part: float, figure: str) -> str:
    """Median over tasks; with ">" where it is a bound."""
    saved = [each.saved(method, part, figure) for each in own]
    there = sorted((each for each in saved if each), key=lambda each: each.times)
    return str(median(there)) if there else "-"


def median(saved: Sequence[Saved]) -> Saved:
    """The middle one, or the mean of the middle two, by size."""
    middle = [saved[(len(saved) - 1) // 2], saved[len(saved) // 2]]
    bounds = {each.bound for each in middle if each.bound}
    return Saved(float(np.mean([each.times for each in middle])), min(bounds, default=""))


def behind(found: Frontiers, method: str) -> bool:
    """Whether a method needs more steps than uniform at half of uniform's best, by macro-AP."""
    saved = found.saved(method, HALF, "ap_all")
    return saved is not None and saved.times < 0.95


def uniform_best(found: Frontiers) -> tuple[float, np.ndarray]:
    """Uniform's best budget, and macro-AP there of both sets of seeds."""
    cells = [found.cells.get(name, {}).get(found.best_passes) for name in (UNIFORM, AGAIN)]
    values = [cell.figures["ap_all"] for cell in cells if cell is not None]
    return found.best_passes, np.concatenate(values)


def gain(found: Frontiers, method: str) -> float:
    """Macro-AP at a method's own best budget, less that of uniform batches at theirs."""
    return found.best(method)[1].mean("ap_all") - float(uniform_best(found)[1].mean())


def is_behind(found: Frontiers, method: str) -> bool:
    """Whether a method's best is below uniform's by more than a standard error of the difference.

    The error is that of seeds.
    """
    theirs = uniform_best(found)[1]
    own = found.best(method)[1].figures["ap_all"]
    error = math.sqrt(own.var(ddof=1) / len(own) + theirs.var(ddof=1) / len(theirs))
    return gain(found, method) < -error


def steps_to_best(found: Frontiers, method: str) -> float:
    """Steps of a method's best budget over those of uniform's."""
    return found.best(method)[1].steps / found.cells[UNIFORM][found.best_passes].steps


def by_task(found: Found, optimizer: str, methods: Sequence[str], part: float = HALF) -> str:
    """Task by method: what is saved at a part of uniform's best budget."""
    here = of(found, optimizer)
    rows = []
    for name, each in here.items():
        cells = [pair(each, method, part) for method in methods]
        rows.append([name, f"{each.best_passes:g}", *cells])
    return table(["", "uniform's best, passes", *(f"`{name}`" for name in methods)], rows)


def pair(found: Frontiers, method: str, part: float) -> str:
    """Steps saved by both figures."""
    saved = [found.saved(method, part, figure) for figure in BY]
    return " / ".join(map(str, saved)) if all(saved) else "-"


def equal_steps(found: Found, optimizer: str, part: float) -> str:
    """Method by figure: the mean gain over uniform batches of as many steps, wins, ties, losses.

    A task is won or lost where the paired difference of seeds is more than its standard error.
    """
    here = of(found, optimizer)
    rows = []
    for method in methods_of(here):
        pairs = [(each.at(UNIFORM, part), each.at(method, part)) for each in here.values()]
        pairs = [(base, own) for base, own in pairs if base and own]
        if pairs:
            figures = [name for name in quality.COLUMNS if name != "nll"]
            rows.append([f"`{method}`", *(compared(pairs, figure) for figure in figures)])
    head = [
        f"{figure} {group}".removesuffix(" all")
        for figure in ("macro-AUC", "macro-AP", "tuned macro-F1")
        for group in quality.GROUPS
    ]
    return table(["", *head], rows)


def calibration(found: Found, optimizer: str) -> str:
    """Method by part of the budget: cross-entropy on the test part, over that of uniform batches.

    Tasks whose test part has another share of positives than the training part are left out.
    """
    here = {name: each for name, each in of(found, optimizer).items() if "-dose-" not in name}
    rows = []
    for method in methods_of(here):
        cells = []
        for part in PARTS:
            pairs = [(each.at(UNIFORM, part), each.at(method, part)) for each in here.values()]
            ratios = [own.mean("nll") / base.mean("nll") for base, own in pairs if base and own]
            cells.append(f"{np.median(ratios):.3f}" if ratios else "-")
        rows.append([f"`{method}`", *cells])
    return table(["", *(f"at {PART_NAMES[part]}" for part in PARTS)], rows)


def compared(pairs: list, figure: str) -> str:
    """A cell of `equal_steps`."""
    gains, won, lost = [], 0, 0
    for base, own in pairs:
        differences = own.figures[figure] - base.figures[figure]
        error = differences.std(ddof=1) / math.sqrt(len(differences))
        gains.append(differences.mean())
        won += gains[-1] > error
        lost += gains[-1] < -error
    return f"{signed(np.mean(gains))} {won}-{len(pairs) - won - lost}-{lost}"


def stopped(found: Found, optimizer: str) -> str:
    """Task by method: steps to where a stopped run was best, over uniform's; gain in macro-AP."""
    here = {
        name: each
        for name, each in of(found, optimizer).items()
        if STOPPED in each.cells.get(UNIFORM, {})
    }
    methods = [name for name in methods_of(here) if STOPPED in any_cells(here, name)]
    rows = []
    for name, each in here.items():
        base = each.cells[UNIFORM][STOPPED]
        cells = []
        for method in methods:
            own = each.cells.get(method, {}).get(STOPPED)
            cells.append(
                f"{own.steps / base.steps:.2f}, {signed(own.mean('ap_all') - base.mean('ap_all'))}"
                if own
                else "-"
            )
        rows.append([name, f"{base.steps:.0f}, {base.mean('ap_all'):.3f}", *cells])
    return table(["", "`uniform`: steps, macro-AP", *(f"`{name}`" for name in methods)], rows)


def any_cells(here: dict[str, Frontiers], method: str) -> set[float]:
    """The budgets that a method has on any task."""
    return {passes for each in here.values() for passes in each.cells.get(method, {})}


def costs(found: Found, optimizer: str) -> str:
    """Method: seconds of choosing over those of steps, at uniform's best, over tasks."""
    here = of(found, optimizer)
    rows = []
    for method in [UNIFORM, *methods_of(here)]:
        cells = [each.at(method, 1.0) for each in here.values()]
        shares = [cell.mean("selection_s") / cell.mean("step_s") for cell in cells if cell]
        if shares:
            rows.append([f"`{method}`", f"{np.median(shares):.2f}", f"{max(shares):.2f}"])
    return table(["", "median", "largest"], rows)


def levels(found: Found, optimizer: str) -> str:
    """Task by budget: uniform batches, macro-AUC / macro-AP."""
    here = of(found, optimizer)
    parts = (*PARTS, 2.0, 4.0)
    rows = [
        [
            name,
            *(
                " / ".join(f"{cell.mean(figure):.3f}".removeprefix("0") for figure in BY)
                if (cell := each.at(UNIFORM, part))
                else "-"
                for part in parts
            ),
        ]
        for name, each in here.items()
    ]
    return table(["", *(f"{part:g}" for part in parts)], rows)


def chosen_or_not(rows: Callable[[Iterable[str]], str]) -> str:
    """A table over the tasks that forms were chosen on, and over the others."""
    others = [name for name in tasks.NAMES if name not in tasks.CHOSEN_ON]
    return f"{rows(tasks.CHOSEN_ON)}\n\n{rows(others)}"


def signed(value: float) -> str:
    """A difference to three places."""
    return f"{value:+.3f}".replace("-0.000", "0.000").replace("+0.000", "0.000")
