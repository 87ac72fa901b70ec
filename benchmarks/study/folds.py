"""Five folds of each data set by iterative stratification, made once and committed.

Digits are made fold by fold: each fold has source digits of its own.

    python -m benchmarks.study.folds NAME ...     # makes what is not there yet

`folds/<name>.txt` has one digit for each sample, the fold that tests it. Fold f is tested on fold
f, validated on fold f + 1 (fold 0 after 4) and trained on the other three.
"""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

import numpy as np

FOLDS = 5
DIRECTORY = Path(__file__).with_name("folds")


def split(name: str, y: np.ndarray, fold: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows to train, validate and test on, ascending, by the committed folds.

    Raises:
        FileNotFoundError: the folds of this set have not been made.
        ValueError: they are of another number of samples.
    """
    path = DIRECTORY / f"{name}.txt"
    if not path.is_file():
        raise FileNotFoundError(
            f"No folds of {name}. Make them: python -m benchmarks.study.folds {name}"
        )
    ids = np.array(list(path.read_text(encoding="ascii").strip()), "int8")
    if len(ids) != len(y):
        raise ValueError(
            f"The folds of {name} are of {len(ids)} samples. Received: {len(y)} samples. "
            "Is it the same public file?"
        )
    test, validation = ids == fold, ids == (fold + 1) % FOLDS
    return np.flatnonzero(~(test | validation)), np.flatnonzero(validation), np.flatnonzero(test)


def make_folds(y: np.ndarray, seed: int = 0) -> np.ndarray:
    """(n,) fold ids by iterative stratification (Sechidis et al. 2011) of scikit-multilearn."""
    from skmultilearn.model_selection import IterativeStratification

    ids = np.full(len(y), -1)
    with numpy_seed(seed):  # its random_state raises, and it draws from NumPy's global state
        parts = IterativeStratification(n_splits=FOLDS, order=1).split(np.zeros((len(y), 1)), y)
        for fold, (_, test) in enumerate(parts):
            ids[test] = fold
    return ids


@contextlib.contextmanager
def numpy_seed(seed: int):
    """NumPy's global generator begins at a seed inside, and goes on as if nothing had been."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


def main() -> None:
    """Makes folds that are not there."""
    from benchmarks.study import data

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+", choices=data.NAMES)
    parser.add_argument("--data-dir", help="where the public files lie; default: TFMLSELECT_DATA")
    options = parser.parse_args()
    for name in options.names:
        path = DIRECTORY / f"{name}.txt"
        if not path.exists():
            y = data.load(name, options.data_dir).y
            known = name in data.FOLD_BY_FOLD
            ids = np.arange(len(y)) // (len(y) // FOLDS) if known else make_folds(y)
            path.write_text("".join(map(str, ids)) + "\n", encoding="ascii")
            print(f"{name}: {np.bincount(ids).tolist()}", flush=True)


if __name__ == "__main__":
    main()
