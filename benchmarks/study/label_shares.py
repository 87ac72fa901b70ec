"""Which share of the draws do labels get under AdaptiveBalance, and does its correction help?

    python -m benchmarks.study.label_shares --data-dir DIR

Before any visit all labels lack as much, so those below the median frequency should get equal
shares of the draws that go to labels. Samples that have several labels bring others along. Printed
is the total variation between what these labels get and equal shares, half the sum of the absolute
differences, without and with rounds of the correction.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from benchmarks.evidence import markers
from benchmarks.study import data
from tfmlselect.strategies import AdaptiveBalance

SETS = ("bibtex", "enron", "medical", "Corel5k", "yeast", "goemotions")
ROUNDS = (0, 3, 10)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", default=os.environ.get("TFMLSELECT_DATA"))
    options = parser.parse_args()
    rows = []
    for name in SETS:
        y = labels(name, options.data_dir)
        rows.append([name, *(f"{away(y, rounds):.3f}" for rounds in ROUNDS)])
    print(markers.table(["", *(f"{rounds} rounds" for rounds in ROUNDS)], rows))


def labels(name: str, directory: str | None) -> np.ndarray:
    """All labels of a set, (n, q) uint8."""
    if name == "goemotions":
        return data.goemotions(directory, "train")[1]
    path = data.need(directory, name, f"{name}.npz", f"{name}.arff")
    return np.asarray(data.read_public(path, name)[1], np.uint8)


def away(y: np.ndarray, rounds: int) -> float:
    """The total variation between the shares of the rarer labels and equal ones."""
    strategy = AdaptiveBalance(correction_rounds=rounds)
    strategy.build(y)
    drawn = strategy.score_parts(np.arange(len(y)))["lacking_labels"].numpy() / len(y)
    counts = y.sum(axis=0)
    rare = (counts > 0) & (counts < np.median(counts[counts > 0]))
    shares = drawn @ y[:, rare]
    return 0.5 * float(np.abs(shares / shares.sum() - 1 / rare.sum()).sum())


if __name__ == "__main__":
    main()
