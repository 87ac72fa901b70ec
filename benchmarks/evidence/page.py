"""The generated parts of docs/evidence.md, and its pictures.

What stands between markers such as `<!-- per data set -->` and `<!-- /per data set -->` is
replaced; the rest of the page is written by hand. Pictures go to docs/evidence/; one is stale if
the figures it was drawn from have changed, since other versions of matplotlib draw other bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from benchmarks.evidence import plots, ranks, results, tables
from benchmarks.evidence.coverage import Cell, coverage
from benchmarks.evidence.markers import between, read, table

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "evidence.md"
SECTIONS: dict[str, Callable[[pd.DataFrame], str]] = {
    "over data sets": tables.over_data,
    "against the default": tables.against_default,
    "ranks": tables.ranking,
    "reach": tables.reach,
    "costs": tables.costs,
    "ablations": tables.ablations,
}


def write(page: Path, folder: Path, wanted: Iterable[Cell]) -> None:
    """Writes the page and its pictures; pictures of parts that are gone are deleted."""
    text, pictures = generated(read(page), folder, wanted)
    page.write_text(text, encoding="utf-8")
    page.with_suffix("").mkdir(exist_ok=True)
    for path in page.with_suffix("").glob("*.svg"):
        if path.name not in pictures:
            path.unlink()
    for name, picture in pictures.items():
        (page.with_suffix("") / name).write_text(plots.svg(picture), encoding="utf-8")


def stale(page: Path, folder: Path, wanted: Iterable[Cell]) -> list[str]:
    """Names of files that are not what the results make them."""
    text, pictures = generated(read(page), folder, wanted)
    there = {path.name: read(path) for path in page.with_suffix("").glob("*.svg")}
    names = [page.name] if text != read(page) else []
    return names + [
        f"{page.stem}/{name}"
        for name in sorted({*pictures, *there})
        if name not in pictures or pictures[name].digest != plots.digest_of(there.get(name, ""))
    ]


def generated(
    text: str, folder: Path, wanted: Iterable[Cell]
) -> tuple[str, dict[str, plots.Picture]]:
    """The page as it should be, and its pictures by name."""
    frame = results.load(folder)
    every = {names: results.part(frame, *names) for names in results.parts(frame)}
    text = between(text, "per data set", each(every, tables.per_data))
    parts = {names: rows for names, rows in every.items() if results.compared(rows)}
    short = tables.in_short(parts) if parts else "No results yet."
    text = between(text, "in short", short)
    for marker, section in SECTIONS.items():
        text = between(text, marker, each(parts, section))
    drawn = {"rank diagrams": rank_diagrams(parts), "curves": curves(parts)}
    for marker, pictures in drawn.items():
        text = between(text, marker, "\n\n".join(map(image, pictures)) or "No results yet.")
    text = between(text, "coverage", coverage(frame, wanted, results.tuned(folder)))
    text = between(text, "environments", environments(folder, frame))
    return text, {picture.name: picture for pictures in drawn.values() for picture in pictures}


def each(parts: dict[tuple[str, str], pd.DataFrame], section: Callable) -> str:
    """The section's table for each model and budget that has one."""
    made = {names: section(frame) for names, frame in parts.items()}
    blocks = [
        f"### {tables.title(*names)}\n\n{content}" for names, content in made.items() if content
    ]
    return "\n\n".join(blocks) or "No results yet."


def rank_diagrams(parts: dict[tuple[str, str], pd.DataFrame]) -> list[plots.Picture]:
    """One of each part where ranks can be tested."""
    made = []
    for names, frame in parts.items():
        found = ranks.rank(frame, tables.AUC, [results.BASELINE, *results.compared(frame)])
        if len(found.nemenyi) and len(found.sets) >= ranks.LEAST_SETS:
            title = (
                f"{tables.title(*names)}: mean ranks by macro-AUC on {len(found.sets)} sets, "
                f"critical difference {found.critical_difference:.2f}"
            )
            made.append(plots.ranks_picture(f"ranks-{'-'.join(names)}.svg", title, found))
    return made


def curves(parts: dict[tuple[str, str], pd.DataFrame]) -> list[plots.Picture]:
    """One of each part where something can be compared with the baseline's curve."""
    made = []
    for names, frame in parts.items():
        panels = plots.gain_curves(frame)
        if panels:
            name = f"curves-{'-'.join(names)}.svg"
            made.append(plots.curves_picture(name, tables.title(*names), panels))
    return made


def image(picture: plots.Picture) -> str:
    """The link to a picture."""
    return f"![{picture.title}]({PAGE.stem}/{picture.name})"


def environments(folder: Path, frame: pd.DataFrame) -> str:
    """Where the results were computed, and how many rows in each."""
    path = Path(folder) / "environments.csv"
    if not path.exists():
        return "No results yet."
    known = pd.read_csv(path, dtype=str).fillna("")
    rows = frame["environment"].value_counts()
    known["rows"] = [str(rows.get(name, 0)) for name in known["environment"]]
    return table(known.columns, known.to_numpy().tolist())
