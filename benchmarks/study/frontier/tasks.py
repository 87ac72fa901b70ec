"""What is learnt: twenty-one tasks of public sets, each with one split that never changes.

Tabular sets are split by fold 0 of their committed folds. GoEmotions by a frozen sentence encoder
has its own split, and gives several tasks: all labels; the labels under 10, 5 and 2 % of the
samples, the others left out; and a dose series of rare events: the labels under 5 %, with samples
that carry one removed from the training part at random until they are a given share of it. The
other parts stay as they are there, since few positives would say little: their cross-entropy is
then no measure of calibration.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from benchmarks.study import data, folds

Part = tuple[np.ndarray, np.ndarray]

TABULAR = (
    "birds",
    "emotions",
    "enron",
    "medical",
    "yeast",
    "scene",
    "digits",
    "Corel5k",
    "bibtex",
    "yahoo-Arts1",
    "rcv1subset1",
    "tmc2007-500",
)
TEXT = "goemotions"
UNDER = tuple(f"{TEXT}-under-{share}" for share in (10, 5, 2))
DOSES = tuple(f"{TEXT}-dose-{share}" for share in (30, 10, 5, 2, 1))
NAMES = (*TABULAR, TEXT, *UNDER, *DOSES)
CHOSEN_ON = ("birds", "enron", "bibtex", TEXT)  # forms of AdaptiveBalance are chosen on these alone
_DOSED_UNDER = 0.05
_LEAST_POSITIVES = 10  # of a label in the training part of a dose


@dataclass(frozen=True)
class Task:
    """A task.

    Attributes:
        name: one of `NAMES`.
        train, dev, test: (x (n, d) float32, y (n, q) uint8).
    """

    name: str
    train: Part
    dev: Part
    test: Part

    @property
    def is_large(self) -> bool:
        """Whether it is one of those of GoEmotions, whose fits take the longest and vary least."""
        return self.name.startswith(TEXT)

    @property
    def batch_size(self) -> int:
        """128, and less where an epoch would have few steps."""
        n = len(self.train[0])
        return 128 if n >= 4000 else 64 if n >= 1500 else 32

    @property
    def thirds(self) -> dict[str, np.ndarray]:
        """Columns of the rare, middle and frequent third of the labels."""
        order = np.argsort(self.train[1].sum(axis=0, dtype="int64"), kind="stable")
        return dict(zip(("rare", "middle", "frequent"), np.array_split(order, 3), strict=True))


def load(name: str, directory: str | None = None) -> Task:
    """Reads a task.

    Raises:
        ValueError: a name that is not known.
        FileNotFoundError: the data are not there.
    """
    if name not in NAMES:
        raise ValueError(f"Unknown task. Received: {name!r}. Known: {', '.join(NAMES)}.")
    parts = text_parts(directory) if name.startswith(TEXT) else tabular_parts(name, directory)
    if "-under-" in name or "-dose-" in name:
        number = float(re.findall(r"\d+$", name)[0]) / 100
        under = number if "-under-" in name else _DOSED_UNDER
        kept = parts[0][1].mean(axis=0) < under
        parts = [(x, y[:, kept]) for x, y in parts]
        if "-dose-" in name:
            parts[0] = dosed(*parts[0], number)
            kept = parts[0][1].sum(axis=0, dtype="int64") >= _LEAST_POSITIVES
            parts = [(x, y[:, kept]) for x, y in parts]
    known = np.all([y.any(axis=0) for _, y in parts], axis=0)
    return Task(name, *((x, np.ascontiguousarray(y[:, known])) for x, y in parts))


def tabular_parts(name: str, directory: str | None) -> list[Part]:
    """Training, development and test part of a tabular set: fold 0."""
    task = data.load(name, directory)
    rows = folds.split(name, task.y, 0)
    x = data.prepare(task.x, rows[0])
    return [(x[part], task.y[part]) for part in rows]


def text_parts(directory: str | None) -> list[Part]:
    """The parts of GoEmotions by a frozen sentence encoder, with all labels."""
    path = data.need(directory, "goemotions_minilm", "goemotions_minilm.npz")
    with np.load(path) as z:
        return [
            (z[f"x_{part}"].astype("float32"), z[f"y_{part}"]) for part in ("train", "dev", "test")
        ]


def dosed(x: np.ndarray, y: np.ndarray, share: float) -> Part:
    """All samples without labels, and so many others that they are a share of what is left."""
    filled = y.any(axis=1)
    left = round(share / (1.0 - share) * np.count_nonzero(~filled))
    kept = np.random.default_rng(0).permutation(np.flatnonzero(filled))[:left]
    rows = np.union1d(np.flatnonzero(~filled), kept)
    return x[rows], y[rows]
