"""The committed results as files: one CSV a model, one row a cell, appended as runs finish.

Beside them lie `environments.csv` and `learning_rates.csv`.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path

from benchmarks.study.grid import Cell

DIRECTORY = Path(__file__).with_name("results")
OTHERS = ("environments.csv", "learning_rates.csv")
LOWER_IS_BETTER = ("ranking_loss", "hamming_loss", "one_error", "coverage")
METRICS = (
    "macro_auc",
    "micro_auc",
    "macro_ap",
    "macro_f1",
    "micro_f1",
    "tuned_macro_f1",
    "tuned_micro_f1",
    *LOWER_IS_BETTER,
    "minority_recall",
    "minority_f1",
    "tuned_minority_recall",
    "tuned_minority_f1",
)
# All else is the same when run again in the same environment.
TIMES = ("build_seconds", "seconds", "epoch_seconds")
PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "scikit-learn")


def cell_of(row: dict) -> Cell:
    """Which cell a row is of."""
    return Cell(row["data"], row["model"], row["strategy"], int(row["fold"]), row["budget"])


def read(directory: Path = DIRECTORY) -> dict[Cell, dict[str, str]]:
    """All rows, as text, by their cell."""
    rows = {}
    for path in sorted(directory.glob("*.csv")):
        if path.name not in OTHERS:
            with path.open(encoding="utf-8", newline="") as file:
                rows |= {cell_of(row): row for row in csv.DictReader(file)}
    return rows


def as_text(row: dict) -> dict[str, str]:
    """Numbers as they are written: metrics to 6 digits, times to 4."""

    def text(key, value):
        digits = 4 if key in TIMES else 6
        return f"{value:.{digits}g}" if isinstance(value, float) else str(value)

    return {key: text(key, value) for key, value in row.items()}


def append(path: Path, row: dict[str, str]) -> None:
    """Adds one line in the columns that the file has, and their head before the first.

    Raises:
        ValueError: the row has other columns than the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8", newline="") as file:
        file.seek(0)
        columns = csv.DictReader(file).fieldnames
        writer = csv.DictWriter(file, columns or list(row), lineterminator="\n")
        if columns is None:
            writer.writeheader()
        elif set(columns) != set(row):
            raise ValueError(
                f"{path.name} has other columns. Received: {sorted(set(columns) ^ set(row))} in "
                "one of the two. Was it written by another version? Move it away."
            )
        writer.writerow(row)


def environment() -> dict[str, str]:
    """Versions and machine that results depend on, with a short id made from them."""
    names = {"tensorflow": "tensorflow-cpu"}
    installed = {}
    for package in PACKAGES:
        try:
            installed[package] = version(names.get(package, package))
        except ModuleNotFoundError:
            installed[package] = version(package)
    machine = {
        "python": platform.python_version(),
        "system": platform.system(),
        "processor": processor(),
        "cores": str(os.cpu_count()),
    }
    facts = installed | machine
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return {"environment": digest[:8], **facts}


def processor() -> str:
    """The processor's name, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if "model name" in line), "")


def note_environment(directory: Path) -> str:
    """Adds this environment to `environments.csv` if it is not there; returns its id."""
    facts = environment()
    if facts["environment"] not in environments(directory):
        append(directory / "environments.csv", facts)
    return facts["environment"]


def environments(directory: Path) -> dict[str, dict[str, str]]:
    """Those that rows of the directory were made in, by their id."""
    path = directory / "environments.csv"
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {row.pop("environment"): row for row in csv.DictReader(file)}
