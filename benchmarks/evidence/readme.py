"""The table of strategies in README.md: what each does, and what the evidence says of it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmarks.evidence import frontier_tables, frontiers, judgement, results, tables
from benchmarks.evidence.markers import between, read, table
from benchmarks.evidence.overview import CARDS, ROOT, first_paragraph
from tfmlselect import strategies

README = ROOT / "README.md"
MODEL = "mlp"
NOT_MEASURED = "not measured"


def write(path: Path, folder: Path) -> None:
    """Writes the table between its markers in the README at `path`."""
    path.write_text(generated(read(path), folder), encoding="utf-8")


def stale(path: Path, folder: Path) -> list[str]:
    """The file's name, if the results make another table."""
    return [] if generated(read(path), folder) == read(path) else [path.name]


def generated(text: str, folder: Path) -> str:
    """The README as it should be."""
    return between(text, "strategies", rows(results.load(folder)))


def rows(frame: pd.DataFrame) -> str:
    """One row a strategy: its card's first paragraph, neighbours, steps saved, tuned gain."""
    part = results.part(frame, MODEL, "tuned")
    found = judgement.verdicts(part, tables.AUC, results.compared(part))
    here = frontier_tables.of(frontiers.load(), "adam")
    lines = []
    for name in strategies.names():
        figures = [saved(name, here), gain(name, found)]
        does = first_paragraph((CARDS / f"{name}.md").read_text(encoding="utf-8"))
        neighbours = "yes" if strategies.get(name).uses_neighbors else "no"
        lines.append([f"[{name}](docs/strategies/{name}.md)", does, neighbours, *figures])
    return table(["strategy", "what it does", "neighbours", "steps saved", "gain, tuned"], lines)


def gain(name: str, found: dict[str, judgement.Verdict]) -> str:
    """A mean gain and wins-ties-losses, or that nobody looked."""
    if name == results.BASELINE:
        return "0 by definition"
    return tables.gain_over_sets(found[name]) if name in found else NOT_MEASURED


def saved(name: str, here: dict[str, frontiers.Frontiers]) -> str:
    """Median steps saved at half of uniform's best budget, and over how many tasks."""
    if name == results.BASELINE:
        return "1 by definition"
    own = {task: each for task, each in here.items() if each.at(name, frontier_tables.HALF)}
    if not own:
        return NOT_MEASURED
    return f"{frontier_tables.both_medians(own, name, frontier_tables.HALF)}, {len(own)} tasks"
