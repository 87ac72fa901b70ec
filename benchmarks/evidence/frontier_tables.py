"""The tables of the frontiers, from committed rows, with nothing trained."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from benchmarks.evidence.frontiers import Frontiers, Saved, steps_to
from benchmarks.evidence.markers import table
from benchmarks.study.frontier import quality, tasks
from benchmarks.study.frontier.fit import STOPPED
from benchmarks.study.frontier.methods import AGAIN, METHODS, UNIFORM

Found = dict[tuple[str, str], Frontiers]
BY = {"auc_all": "macro-AUC", "ap_all": "macro-AP"}
HALF = 1 / 2
RECIPE, BALANCE, THINNED = "recipe", "adaptive_balance", "rare_events"
PARTS = (1 / 8, 1 / 4, 1 / 2, 1.0)
PART_NAMES = {1 / 8: "an eighth", 1 / 4: "a quarter", 1 / 2: "half", 1.0: "all"}


def of(found: Found, optimizer: str) -> dict[str, Frontiers]:
    """The tasks of one optimizer."""
    return {name: each for (name, own), each in found.items() if own == optimizer}


def methods_of(found: dict[str, Frontiers], forms: bool = False) -> list[str]:
    """Methods that have results, in their order, without the baseline.

    Args:
        found: of the tasks.
        forms: whether also those that were tried on some tasks to choose among.
    """
    return [
        name
        for name in METHODS
        if name != UNIFORM
        and (forms or not name.startswith(("balance:", "recipe:")))
        and any(name in each.cells for each in found.values())
    ]


def in_short(found: Found, optimizer: str, methods: Sequence[str] | None = None) -> str:
    """Method by question: over all tasks that have it."""
    here = of(found, optimizer)
    head = ["", "tasks", *(f"saved at {PART_NAMES[part]}" for part in (1 / 4, 1 / 2))]
    head += [
        "on unseen sets",
        "behind at half",
        "best, macro-AP",
        "behind",
        "steps to uniform's best",
    ]
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
                both_medians(unseen(own), method, HALF),
                str(sum(behind(each, method) for each in own.values())),
                signed(np.mean([gain(each, method) for each in own.values()])),
                str(sum(is_behind(each, method) for each in own.values())),
                middle(steps_to_best(each, method) for each in own.values()),
            ]
        )
    return table(head, rows)


def unseen(here: dict[str, Frontiers]) -> dict[str, Frontiers]:
    """The tabular sets that no form and no constant was chosen on."""
    return {name: each for name, each in here.items() if is_unseen(name)}


def is_unseen(name: str) -> bool:
    """Whether it is a tabular set that no form and no constant was chosen on."""
    return name in tasks.TABULAR and name not in tasks.CHOSEN_ON


def both_medians(own: dict[str, Frontiers], method: str, part: float) -> str:
    """Median steps saved over tasks, by both figures."""
    return " / ".join(median_saved(own.values(), method, part, figure) for figure in BY)


def median_saved(own: Iterable[Frontiers], method: str, part: float, figure: str) -> str:
    """Median over tasks of what is saved, with its mark."""
    saved = [each.saved(method, part, figure) for each in own]
    there = [each for each in saved if each]
    return str(median(there)) if there else "-"


def median(saved: Sequence[Saved]) -> Saved:
    """The middle one, or the mean of the middle two; a bound where bounded values decide it."""
    least, most = (
        sorted(each.times if each.bound != mark else open_end for each in saved)
        for mark, open_end in (("<", 0.0), (">", math.inf))
    )
    low, high = (
        (each[(len(saved) - 1) // 2] + each[len(saved) // 2]) / 2 for each in (least, most)
    )
    if low == high:
        return Saved(low)
    return Saved(low, ">") if any(each.bound == ">" for each in saved) else Saved(high, "<")


def behind(found: Frontiers, method: str) -> bool:
    """Whether a method needs more steps than uniform at half of uniform's best, by macro-AP."""
    saved = found.saved(method, HALF, "ap_all")
    return saved is not None and saved.bound != ">" and saved.times < 0.95


def both_best(found: Frontiers, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Macro-AP of a method and of uniform batches, each at its best of the budgets of both."""
    longest = found.budgets(method)[-1]
    passes, _ = found.best(UNIFORM, longest)
    own = found.best(method, longest)[1].figures["ap_all"]
    return own, found.uniform("ap_all", passes, method)


def gain(found: Frontiers, method: str) -> float:
    """How much higher a method's best is than that of uniform batches."""
    own, theirs = both_best(found, method)
    return float(own.mean() - theirs.mean())


def is_behind(found: Frontiers, method: str) -> bool:
    """Whether a method's best is lower by more than a standard error, of seeds, of the gain."""
    own, theirs = both_best(found, method)
    error = math.sqrt(own.var(ddof=1) / len(own) + theirs.var(ddof=1) / len(theirs))
    return gain(found, method) < -error


def steps_to_best(found: Frontiers, method: str) -> float:
    """Steps to the macro-AP of uniform's best budget, over the steps of that; infinity if never."""
    goal = found.uniform("ap_all", found.best_passes, method).mean()
    cells = [found.cells[method][passes] for passes in found.budgets(method)]
    steps = np.array([cell.steps for cell in cells])
    values = np.maximum.accumulate([cell.mean("ap_all") for cell in cells])
    return steps_to(goal, steps, values) / found.cells[UNIFORM][found.best_passes].steps


def middle(values: Iterable[float]) -> str:
    """The median of numbers of which some may be infinite."""
    ordered = sorted(values)
    value = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    return f"{value:.2f}" if math.isfinite(value) else "never"


def by_task(found: Found, optimizer: str, methods: Sequence[str], part: float = HALF) -> str:
    """Task by method: what is saved at a part of uniform's best budget."""
    here = of(found, optimizer)
    rows = []
    for name, each in here.items():
        cells = [pair(each, method, part) for method in methods]
        if any(cell != "-" for cell in cells):
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
    here = {
        name: each for name, each in of(found, optimizer).items() if tasks.has_same_shares(name)
    }
    rows = []
    for method in methods_of(here):
        cells = []
        for part in PARTS:
            pairs = [(each.at(UNIFORM, part), each.at(method, part)) for each in here.values()]
            ratios = [own.mean("nll") / base.mean("nll") for base, own in pairs if base and own]
            cells.append(f"{np.median(ratios):.3f}" if ratios else "-")
        rows.append([f"`{method}`", *cells])
    return table(["", *(f"at {PART_NAMES[part]}" for part in PARTS)], rows)


def calibration_by_task(found: Found, optimizer: str, methods: Sequence[str]) -> str:
    """Task by method: cross-entropy on the test part at half and all of uniform's best budget."""
    rows = []
    for name, each in of(found, optimizer).items():
        if tasks.has_same_shares(name):
            cells = [[each.at(method, part) for part in (HALF, 1.0)] for method in methods]
            rows.append(
                [
                    name,
                    *(
                        " / ".join(f"{cell.mean('nll'):.4f}" for cell in pair) if all(pair) else "-"
                        for pair in cells
                    ),
                ]
            )
    return table(["", *(f"`{name}`" for name in methods)], rows)


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


def forms(found: Found, optimizer: str, names: Sequence[str]) -> str:
    """Form by task: macro-AP at a quarter, half and all of uniform's best budget."""
    here = {name: each for name, each in of(found, optimizer).items() if name in names}
    rows = []
    for method in [UNIFORM, *methods_of(here, forms=True)]:
        if method.startswith(("balance:", "recipe")) or method in (UNIFORM, AGAIN, BALANCE):
            cells = [
                " / ".join(
                    f"{cell.mean('ap_all'):.3f}".removeprefix("0") if cell else "-"
                    for cell in (each.at(method, part) for part in PARTS[1:])
                ).replace("- / - / -", "-")
                for each in here.values()
            ]
            rows.append([f"`{method}`", *cells])
    return table(["", *here], rows)


def signed(value: float) -> str:
    """A difference to three places."""
    return f"{value:+.3f}".replace("-0.000", "0.000").replace("+0.000", "0.000")


GROUPS = {  # what their labels are like -> whether a task's name and figures say so
    "imbalanced, forms were chosen on them": lambda name, empty, log_irlbl: (
        name in tasks.CHOSEN_ON and empty < 0.9 and log_irlbl >= 1.0
    ),
    "imbalanced, unseen": lambda name, empty, log_irlbl: (
        is_unseen(name) and empty < 0.9 and log_irlbl >= 1.0
    ),
    "images, long-tailed in training alone": lambda name, empty, log_irlbl: name in tasks.IMAGES,
    "imbalanced, parts of GoEmotions": lambda name, empty, log_irlbl: (
        name.startswith(tasks.TEXT + "-") and empty < 0.9 and log_irlbl >= 1.0
    ),
    "90 % or more without labels, of GoEmotions": lambda name, empty, log_irlbl: empty >= 0.9,
    "labels about equally frequent": lambda name, empty, log_irlbl: empty < 0.9 and log_irlbl < 1.0,
}


def grouped(found: Found, optimizer: str, figures: dict[str, dict[str, str]]) -> dict[str, dict]:
    """Tasks by what their labels are like: group -> name -> frontiers."""
    here = of(found, optimizer)
    return {
        group: {
            name: each
            for name, each in here.items()
            if belongs(
                name,
                round(float(figures[name]["empty"]), 2),
                float(figures[name]["mean_log_irlbl"]),
            )
        }
        for group, belongs in GROUPS.items()
    }


def by_group(
    found: Found, optimizer: str, figures: dict[str, dict[str, str]], methods: Sequence[str]
) -> str:
    """Group by method: what is saved, and what it ends with."""
    rows = []
    for group, here in grouped(found, optimizer, figures).items():
        for method in methods:
            own = {name: each for name, each in here.items() if each.at(method, HALF)}
            if 2 * len(own) > len(here):
                rows.append(
                    [
                        group,
                        str(len(own)),
                        f"`{method}`",
                        *(both_medians(own, method, part) for part in (1 / 4, 1 / 2)),
                        signed(np.mean([gain(each, method) for each in own.values()])),
                    ]
                )
    head = ["", "tasks", "method", "saved at a quarter", "saved at half", "its best, macro-AP"]
    return table(head, rows)


def expected(found: Found, optimizer: str, figures: dict[str, dict[str, str]]) -> str:
    """What was hoped for before the runs, and what they gave."""
    groups = grouped(found, optimizer, figures)
    *imbalanced_groups, empty, _ = groups.values()
    imbalanced = {name: each for group in imbalanced_groups for name, each in group.items()}
    every = of(found, optimizer)
    if not every:
        return "No results yet."
    unseen_sets = groups["imbalanced, unseen"]
    rows = [
        [f"`{method}`, {group}: saved at half", hoped, both_medians(here, method, HALF)]
        for method, group, hoped, here in (
            (RECIPE, "imbalanced labels", "1.8", imbalanced),
            (RECIPE, "imbalanced labels, unseen", "1.8", unseen_sets),
            (BALANCE, "imbalanced labels", "1.3", imbalanced),
            (BALANCE, "imbalanced labels, unseen", "1.3", unseen_sets),
            (THINNED, "90 % or more without labels", "2.5", empty),
        )
    ]
    for method in (RECIPE, BALANCE):
        own = {name: each for name, each in every.items() if each.at(method, HALF)}
        late = [name for name, each in own.items() if behind(each, method)]
        worse = [name for name, each in own.items() if is_behind(each, method)]
        steps = middle(steps_to_best(each, method) for each in own.values())
        rows += [
            [f"`{method}`: fewer than 0.95 saved at half", "none", listed(late, own)],
            [f"`{method}`: its best is a standard error below", "none", listed(worse, own)],
            [f"`{method}`: steps to uniform's best, in parts of them", "0.7", steps],
        ]
    for method in (RECIPE, BALANCE):
        pairs = {
            name: (each.cells[UNIFORM].get(STOPPED), each.cells.get(method, {}).get(STOPPED))
            for name, each in every.items()
        }
        pairs = {name: pair for name, pair in pairs.items() if all(pair)}
        if pairs:
            steps = np.median([own.steps / base.steps for base, own in pairs.values()])
            gained = np.mean(
                [own.mean("ap_all") - base.mean("ap_all") for base, own in pairs.values()]
            )
            rows.append(
                [
                    f"`{method}`, stopped by the development part: steps over uniform's; macro-AP",
                    "0.7; no loss",
                    f"{steps:.2f}; {signed(gained)} ({len(pairs)} tasks)",
                ]
            )
    return table(["", "hoped for", "measured"], rows)


def listed(names: Sequence[str], all_of: Sequence[str] | dict) -> str:
    """How many, and which."""
    if not names:
        return f"none of {len(all_of)}"
    return f"{len(names)} of {len(all_of)}: {', '.join(names)}"


def task_table(figures: dict[str, dict[str, str]]) -> str:
    """What is learnt on."""
    head = ["", "samples", "features", "labels", "empty", "mean ln IRLbl", "MeanIR", "R", "batch"]
    rows = [
        [
            name,
            f"{int(row['n']):,}",
            row["d"],
            row["q"],
            f"{float(row['empty']):.1%}",
            f"{float(row['mean_log_irlbl']):.2f}",
            f"{float(row['mean_ir']):.1f}",
            f"{float(row['variance_ratio']):.2f}",
            row["batch_size"],
        ]
        for name, row in figures.items()
    ]
    return table(head, rows)
