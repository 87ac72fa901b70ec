"""What is learnt: twenty-three tasks of public sets, each with one split that never changes.

Tabular sets are split by fold 0 of their committed folds. GoEmotions by a frozen sentence encoder
has its own split, and gives several tasks: all labels; the labels under 10, 5 and 2 % of the
samples, the others left out; and a dose series of rare events: the labels under 5 %, with samples
that carry one removed from the training part at random until they are a given share of it. The
other parts stay as they are there, since few positives would say little: their cross-entropy is
then no measure of calibration.

Images are long-tailed in training alone: each class k of K has n_1 r^(k / (K - 1)) samples there,
and as many as any other in the other parts, so cross-entropy is no measure of calibration there
either. CIFAR-10-LT (r = 1/100) is averaged to 16 x 16 pixels, for speed; the digits of scikit-learn
(r = 1/30) have 8 x 8. Each class is a label, and a sample has one: the loss is the same
cross-entropy of sigmoids as elsewhere, so that the methods are.
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
DIGITS, CIFAR = IMAGES = ("digit-images", "cifar10-lt")
NAMES = (*TABULAR, TEXT, *UNDER, *DOSES, *IMAGES)
CHOSEN_ON = ("birds", "enron", "bibtex", TEXT)  # forms of AdaptiveBalance are chosen on these alone
_DOSED_UNDER = 0.05
_LEAST_POSITIVES = 10  # of a label in the training part of a dose
_MOST, _LEAST, _DEV = 90, 3, 30  # of a class of digits: in training, in the development part


@dataclass(frozen=True)
class Task:
    """A task.

    Attributes:
        name: one of `NAMES`.
        train, dev, test: (x (n, d) or (n, height, width, channels) float32, y (n, q) uint8).
    """

    name: str
    train: Part
    dev: Part
    test: Part

    @property
    def is_large(self) -> bool:
        """Whether it is one of those whose fits take the longest and vary least."""
        return is_large(self.name)

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


def is_large(name: str) -> bool:
    """Of which tasks fits take the longest and vary least."""
    return name.startswith(TEXT) or name == CIFAR


def has_same_shares(name: str) -> bool:
    """Whether a task's labels are as frequent in the test part as in the training part."""
    return name not in (*DOSES, *IMAGES)


def load(name: str, directory: str | None = None) -> Task:
    """Reads a task.

    Raises:
        ValueError: a name that is not known.
        FileNotFoundError: the data are not there.
    """
    if name not in NAMES:
        raise ValueError(f"Unknown task. Received: {name!r}. Known: {', '.join(NAMES)}.")
    if name in IMAGES:
        parts = digit_parts() if name == DIGITS else cifar_parts(directory)
    else:
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


def digit_parts() -> list[Part]:
    """The parts of the digits that come with scikit-learn, as images."""
    from sklearn.datasets import load_digits

    found = load_digits()
    parts: list[list[np.ndarray]] = [[], [], []]
    rng = np.random.default_rng(0)
    for digit in range(10):
        rows = rng.permutation(np.flatnonzero(found.target == digit))
        wanted = round(_MOST * (_LEAST / _MOST) ** (digit / 9))
        dev, test, train = np.split(rows, [_DEV, len(rows) - _MOST])
        for part, chosen in zip(parts, (train[:wanted], dev, test), strict=True):
            part.append(chosen)
    images = (found.images[..., None] / 16.0).astype("float32")
    return [one_hot(images[rows], found.target[rows]) for rows in map(np.concatenate, parts)]


def cifar_parts(directory: str | None) -> list[Part]:
    """The parts of CIFAR-10-LT; every second test image of a class is for development."""
    with np.load(data.need(directory, "cifar10_lt100", "cifar10_lt100.npz")) as z:
        found = {name: z[name] for name in ("x_train", "y_train", "x_test", "y_test")}
    order = np.argsort(found["y_test"], kind="stable")
    return [
        one_hot(halved(found[f"x_{part}"][rows]), found[f"y_{part}"][rows])
        for part, rows in (
            ("train", slice(None)),
            ("test", np.sort(order[::2])),
            ("test", np.sort(order[1::2])),
        )
    ]


def halved(images: np.ndarray) -> np.ndarray:
    """(n, 32, 32, c) uint8 -> (n, 16, 16, c) float32 from 0 to 1: means of four pixels."""
    n, height, width, channels = images.shape
    blocks = images.reshape(n, height // 2, 2, width // 2, 2, channels)
    return (blocks.mean(axis=(2, 4), dtype="float32") / 255.0).astype("float32")


def one_hot(x: np.ndarray, classes: np.ndarray) -> Part:
    """The samples with a label for each class."""
    return x, np.eye(10, dtype="uint8")[classes]


def dosed(x: np.ndarray, y: np.ndarray, share: float) -> Part:
    """All samples without labels, and so many others that they are a share of what is left."""
    filled = y.any(axis=1)
    left = round(share / (1.0 - share) * np.count_nonzero(~filled))
    kept = np.random.default_rng(0).permutation(np.flatnonzero(filled))[:left]
    rows = np.union1d(np.flatnonzero(~filled), kept)
    return x[rows], y[rows]
