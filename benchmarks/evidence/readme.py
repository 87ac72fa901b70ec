"""The table of strategies in README.md: what each does, and what the evidence says of it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmarks.evidence import judgement, results, tables
from benchmarks.evidence.markers import between, read, table
from benchmarks.evidence.overview import CARDS, ROOT, first_paragraph
from tfmlselect import strategies

README = ROOT / "README.md"
MODEL = "mlp"
NOT_MEASURED, ON_ITS_CARD = "not measured", "on its card"
OWN = ("adaptive_balance", "rare_events", "repeat_factor")  # measured by the frontiers


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
    """One row a strategy: its card's first paragraph, neighbours, and its gain by budget."""
    budgets = ["paper", "tuned"]
    found = {}
    for budget in budgets:
        part = results.part(frame, MODEL, budget)
        found[budget] = judgement.verdicts(part, tables.AUC, results.compared(part))
    lines = []
    for name in strategies.names():
        gains = [gain(name, found[budget]) for budget in budgets]
        does = first_paragraph((CARDS / f"{name}.md").read_text(encoding="utf-8"))
        neighbours = "yes" if strategies.get(name).uses_neighbors else "no"
        lines.append([f"[{name}](docs/strategies/{name}.md)", does, neighbours, *gains])
    return table(["strategy", "what it does", "neighbours", "gain, 1e-4", "gain, tuned"], lines)


def gain(name: str, found: dict[str, judgement.Verdict]) -> str:
    """A mean gain and wins-ties-losses; else where it is, or that nobody looked."""
    if name == results.BASELINE:
        return "0 by definition"
    if name not in found:
        return ON_ITS_CARD if name in OWN else NOT_MEASURED
    return tables.gain_over_sets(found[name])
