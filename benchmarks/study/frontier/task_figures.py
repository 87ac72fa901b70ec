"""What the labels of each task are like, kept for pages that are made without the data.

python -m benchmarks.study.frontier.task_figures --data-dir DIR    # writes results/tasks.csv
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import warnings
from pathlib import Path

import tfmlselect as tfml
from benchmarks.study.frontier import tasks

FILE = Path(__file__).with_name("results") / "tasks.csv"
FIGURES = ("empty", "mean_log_irlbl", "mean_ir", "variance_ratio")
COLUMNS = ("task", "n", "d", "q", "batch_size", *FIGURES)


def figures(task: tasks.Task) -> dict[str, str]:
    """Of the training part."""
    x, y = task.train
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # labels that training lacks
        statistics = tfml.label_statistics(y)
    sizes = {
        "n": len(x),
        "d": math.prod(x.shape[1:]),
        "q": y.shape[1],
        "batch_size": task.batch_size,
    }
    found = {name: f"{getattr(statistics, name):.6g}" for name in FIGURES}
    return {"task": task.name} | {name: str(size) for name, size in sizes.items()} | found


def read(path: Path = FILE) -> dict[str, dict[str, str]]:
    """The figures by task."""
    with path.open(encoding="utf-8", newline="") as file:
        return {row["task"]: row for row in csv.DictReader(file)}


def main() -> None:
    """Writes the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", default=os.environ.get("TFMLSELECT_DATA"))
    options = parser.parse_args()
    with FILE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for name in tasks.NAMES:
            writer.writerow(figures(tasks.load(name, options.data_dir)))


if __name__ == "__main__":
    main()
