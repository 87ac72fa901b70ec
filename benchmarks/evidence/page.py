"""The generated parts of the pages on the published strategies, docs/evidence/, and their pictures.

What stands between markers such as `<!-- per data set -->` and `<!-- /per data set -->` is
replaced; the rest of a page is written by hand. Pictures lie beside the pages; one is stale if the
figures it was drawn from have changed, since other versions of matplotlib draw other bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from benchmarks.evidence import plots, ranks, results, tables
from benchmarks.evidence.coverage import Cell, coverage
from benchmarks.evidence.markers import between, read, table

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "evidence"
NAMES = ("published.md", "published_tables.md", "coverage.md")
PICTURES = ("ranks-*.svg", "curves-*.svg")
SECTIONS: dict[str, Callable[[pd.DataFrame], str]] = {
    "over data sets": tables.over_data,
    "against d2ace": tables.against_d2ace,
    "ranks": tables.ranking,
    "reach": tables.reach,
    "costs": tables.costs,
    "ablations": tables.ablations,
}


def write(pages: Path, folder: Path, wanted: Iterable[Cell]) -> None:
    """Writes the pages and their pictures; pictures of parts that are gone are deleted."""
    contents, pictures = generated(folder, wanted)
    for name in NAMES:
        text = filled(read(pages / name), contents)
        (pages / name).write_text(text, encoding="utf-8")
    for path in drawn(pages):
        if path.name not in pictures:
            path.unlink()
    for name, picture in pictures.items():
        (pages / name).write_text(plots.svg(picture), encoding="utf-8")


def stale(pages: Path, folder: Path, wanted: Iterable[Cell]) -> list[str]:
    """Names of files that are not what the results make them."""
    contents, pictures = generated(folder, wanted)
    texts = {name: read(pages / name) for name in NAMES}
    there = {path.name: read(path) for path in drawn(pages)}
    names = [name for name, text in texts.items() if filled(text, contents) != text]
    names += [
        name
        for name in sorted({*pictures, *there})
        if name not in pictures or pictures[name].digest != plots.digest_of(there.get(name, ""))
    ]
    return [f"{pages.name}/{name}" for name in names]


def drawn(pages: Path) -> list[Path]:
    """The pictures that are there; those of other pages have other names."""
    return [path for names in PICTURES for path in pages.glob(names)]


def filled(text: str, contents: dict[str, str]) -> str:
    """A page as it should be: each content between its markers, on the page that has them."""
    for marker, content in contents.items():
        text = between(text, marker, content)
    return text


def generated(
    folder: Path, wanted: Iterable[Cell]
) -> tuple[dict[str, str], dict[str, plots.Picture]]:
    """What stands between each pair of markers, and the pictures by name."""
    frame = results.load(folder)
    every = {names: results.part(frame, *names) for names in results.parts(frame)}
    parts = {names: rows for names, rows in every.items() if results.compared(rows)}
    pictures = {"rank diagrams": rank_diagrams(parts), "curves": curves(parts)}
    contents = {
        "in short": tables.in_short(parts) if parts else "No results yet.",
        "per data set": each(every, tables.per_data),
        **{marker: each(parts, section) for marker, section in SECTIONS.items()},
        **{
            marker: "\n\n".join(map(image, made)) or "No results yet."
            for marker, made in pictures.items()
        },
        "coverage": coverage(frame, wanted, results.tuned(folder)),
        "environments": environments(folder, frame),
    }
    return contents, {picture.name: picture for made in pictures.values() for picture in made}


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
    return f"![{picture.title}]({picture.name})"


def environments(folder: Path, frame: pd.DataFrame) -> str:
    """Where the results were computed, and how many rows in each."""
    path = Path(folder) / "environments.csv"
    if not path.exists():
        return "No results yet."
    known = pd.read_csv(path, dtype=str).fillna("")
    rows = frame["environment"].value_counts()
    known["rows"] = [str(rows.get(name, 0)) for name in known["environment"]]
    return table(known.columns, known.to_numpy().tolist())
