"""Runs the benchmark: what is wanted and not there yet, or the cells that are named.

    python -m benchmarks.study.run --data-dir DIR                     # all that is missing
    python -m benchmarks.study.run --data yeast --strategy d2ace      # of these, what is missing
    python -m benchmarks.study.run --model mlp --fold 0 --check       # these again, and compare
    python -m benchmarks.study.run --quick                            # 3 sets, 2 folds: minutes

Each row is appended to `results/<model>.csv` as its run finishes, so an interrupted benchmark goes
on where it was. `--check` runs cells again and compares them with the committed rows. `--quick`
shows that all works; its short runs are no results, and go to a temporary directory or to `--out`.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
import tempfile
import time
from collections import Counter
from itertools import product
from pathlib import Path
from statistics import median

from tqdm import tqdm

from benchmarks.study import rows
from benchmarks.study.folds import FOLDS
from benchmarks.study.grid import DEEP_STRATEGIES, Cell, wanted
from benchmarks.study.pool import run_all

QUICK_DATA = ("solar-flare", "yeast", "digits")  # none needs a directory
QUICK_EPOCHS = 10


def main(arguments: list[str] | None = None) -> None:
    """Parses, runs, and says what failed or differs."""
    options = parse(arguments)
    directory = Path(options.out) if options.out else rows.DIRECTORY
    there = rows.read(directory)
    cells = [c for c in chosen(options) if options.check == (c in there)]
    if not cells:
        none = "has a row to check" if options.check else "is missing"
        print(f"Nothing to run: no cell {none}.")
        return
    run = functools.partial(run_one, options.data_dir, QUICK_EPOCHS if options.quick else None)
    began, failed = time.perf_counter(), 0
    environment = None if options.check else rows.note_environment(directory)
    results = run_all(cells, options.jobs, run)
    off: dict[Cell, float] = {}
    for cell, row, error in tqdm(results, total=len(cells), disable=options.quiet, mininterval=1):
        if error:
            failed += 1
            print(f"{describe(cell)}: {type(error).__name__}: {error}", file=sys.stderr)
        elif options.check:
            old, new = there[cell], rows.as_text(row)
            if not same(cell, old, new):
                failed += 1
                off[cell] = abs(float(new["best_macro_auc"]) - float(old["best_macro_auc"]))
        else:
            row["environment"] = environment
            rows.append(directory / f"{cell.model}.csv", rows.as_text(row))
    if off:
        sum_up(off, Counter(there[cell]["environment"] for cell in off), directory)
    ok = "as committed" if options.check else f"new rows in {directory}"
    print(f"{len(cells) - failed} {ok}, {failed} not; {time.perf_counter() - began:.0f} s")
    sys.exit(failed > 0)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    split = functools.partial(str.split, sep=",")
    parser.add_argument("--data", type=split, help="sets, with commas")
    parser.add_argument("--model", type=split, help="models, with commas")
    parser.add_argument("--strategy", type=split, help="strategies and other variants")
    parser.add_argument("--fold", type=split, help=f"folds, 0 to {FOLDS - 1}")
    parser.add_argument("--budget", type=split, help="paper, tuned")
    parser.add_argument("--data-dir", default=os.environ.get("TFMLSELECT_DATA"))
    parser.add_argument("--out", help="where the CSV files are; default: benchmarks/study/results")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--check", action="store_true", help="run rows again and compare")
    parser.add_argument("--quick", action="store_true", help="3 sets, MLP, 2 folds, 10 epochs")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(arguments)
    if options.quick and not options.out:
        options.out = tempfile.mkdtemp(prefix="quick-benchmark-")
    return options


def chosen(options: argparse.Namespace) -> list[Cell]:
    """Of the wanted cells those with the named values; a value that none has is taken as named."""
    if options.quick:
        return [
            Cell(name, "mlp", strategy, fold, "quick")
            for name, fold, strategy in product(QUICK_DATA, range(2), DEEP_STRATEGIES)
        ]
    named = {
        "data": options.data,
        "model": options.model,
        "strategy": options.strategy,
        "fold": options.fold and [int(fold) for fold in options.fold],
        "budget": options.budget,
    }
    if all(named.values()):  # cells of one's own, in the grid or not
        return [Cell(*values) for values in product(*named.values())]
    cells = wanted()
    for field, values in named.items():
        if values:
            cells = [cell for cell in cells if getattr(cell, field) in values]
    return cells


def run_one(directory: str | None, quick_epochs: int | None, cell: Cell) -> dict:
    """Trains one cell, in a process of the pool."""
    from benchmarks.study.budgets import Budget
    from benchmarks.study.training import run_cell

    quick = quick_epochs and Budget("quick", quick_epochs, 1e-3, falls=True)
    return run_cell(*cell[:4], quick or cell.budget, directory)


def same(cell: Cell, old: dict[str, str], new: dict[str, str]) -> bool:
    """Whether a run gave its committed row; prints what it gave where it did not."""
    skip = ("environment", *rows.TIMES)
    wrong = {key: (old[key], new[key]) for key in new if key not in skip and old[key] != new[key]}
    for key, (before, now) in wrong.items():
        print(f"{describe(cell)}: {key} was {before}, is {now}")
    return not wrong


def sum_up(off: dict[Cell, float], environments: Counter[str], directory: Path) -> None:
    """Prints how far rows are off that differ, and in which environments they were made."""
    by = f"{median(off.values()):.2g} (median), {max(off.values()):.2g} (most)"
    print(f"best_macro_auc of rows that differ is off by {by}")
    known = rows.environments(directory)
    for name, count in environments.items():
        print(f"{count} of them: {made_in(known.get(name))}")


def made_in(before: dict[str, str] | None) -> str:
    """What is another here than in the environment that a row was made in."""
    if before is None:
        return "made in an environment that environments.csv does not have"
    now = rows.environment()
    keys = [key for key in before if key != "cores" and before[key] != now.get(key)]
    if not keys:
        return "made in this environment, so code or data have changed"
    return "made with " + ", ".join(f"{key} {before[key]} (here {now.get(key)})" for key in keys)


def describe(cell: Cell) -> str:
    """A cell in one line."""
    return " ".join(map(str, cell))


if __name__ == "__main__":
    main()
