"""Which cells of the wanted grid have results, and the commands that add the others."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from benchmarks.evidence import results
from benchmarks.evidence.markers import table
from benchmarks.evidence.tables import title

Cell = tuple[str, str, str, int, str]  # data, model, strategy, fold, budget
_LISTED = 8  # names in a cell; of more, how many


def coverage(frame: pd.DataFrame, wanted: Iterable[Cell], tuned: set[tuple[str, str]]) -> str:
    """A table of folds for each (model, budget), then how to run what is missing.

    Args:
        frame: all results.
        wanted: the grid.
        tuned: each (data, model) whose learning rate has been chosen.
    """
    wanted = [tuple(cell) for cell in wanted]
    there = {*zip(*(frame[name] for name in results.KEY), strict=True)}
    parts = dict.fromkeys((model, budget) for _, model, _, _, budget in wanted)
    blocks = [part(wanted, there, model, budget) for model, budget in parts]
    done = sum(cell in there for cell in wanted)
    blocks.insert(0, f"{done} of {len(wanted)} cells.")
    commands = missing([cell for cell in wanted if cell not in there], tuned)
    if commands:
        blocks.append("What adds the missing ones:\n\n```\n" + "\n".join(commands) + "\n```")
    return "\n\n".join(blocks)


def part(wanted: list[Cell], there: set[Cell], model: str, budget: str) -> str:
    """Sets with something missing as a table; complete ones in one line."""
    count: dict[str, dict[str, list[bool]]] = {}
    for cell in wanted:
        data, of_model, strategy, _, of_budget = cell
        if (of_model, of_budget) == (model, budget):
            count.setdefault(data, {}).setdefault(strategy, []).append(cell in there)
    lines = [f"### {title(model, budget)}"]
    whole = [data for data, row in count.items() if all(map(all, row.values()))]
    if whole:
        lines.append(f"Complete: {', '.join(whole)}.")
    rows = [[data, lacking(row)] for data, row in count.items() if data not in whole]
    if rows:
        lines.append(table(["data", "not complete: folds there / wanted"], rows))
    return "\n\n".join(lines)


def lacking(row: dict[str, list[bool]]) -> str:
    """The strategies that lack a fold, together where they lack as many."""
    names: dict[str, list[str]] = {}
    for name, folds in row.items():
        if not all(folds):
            names.setdefault(f"{sum(folds)}/{len(folds)}", []).append(name)
    return "; ".join(f"{share}: {listed(alike)}" for share, alike in names.items())


def listed(names: list[str]) -> str:
    """The names, or how many where they are too many to read."""
    many = len(names) > _LISTED
    return f"{len(names)} variants, {names[0]} to {names[-1]}" if many else ", ".join(names)


def missing(cells: Iterable[Cell], tuned: set[tuple[str, str]]) -> list[str]:
    """One command for each (model, budget): the runner leaves out what is there.

    Before them stand the commands that choose the learning rates which the tuned budget lacks.
    """
    sets: dict[tuple[str, str], dict[str, None]] = {}
    rates: dict[str, dict[str, None]] = {}
    for data, model, _, _, budget in cells:
        sets.setdefault((model, budget), {})[data] = None
        if budget == "tuned" and (data, model) not in tuned:
            rates.setdefault(model, {})[data] = None
    return [
        f"python -m benchmarks.study.tune --model {model} --data {','.join(names)}"
        for model, names in rates.items()
    ] + [
        f"python -m benchmarks.study.run --model {model} --data {','.join(names)} --budget {budget}"
        for (model, budget), names in sets.items()
    ]
