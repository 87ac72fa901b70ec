"""How long does it take to draw an epoch? Systematic draws, and independent ones beside them.

    python benchmarks/speed/draws.py
    python benchmarks/speed/draws.py --n 10000000

Draws epoch after epoch in batches of 128, what is owed carried over, and prints medians: of equal
probabilities, of a ratio of 8 between the largest and the smallest, and of a long tail, whose
largest are capped.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from tfmlselect.pipeline.plan import Plan, PlanOptions
from tfmlselect.strategies import LabelBalanced

BATCH_SIZE = 128


def distributions(n: int) -> dict[str, np.ndarray]:
    """Probabilities (n,) by name."""
    rng = np.random.default_rng(0)
    found = {
        "equal": np.ones(n),
        "ratio of 8": 8.0 ** rng.random(n),
        "long tail": rng.pareto(0.7, n),
    }
    return {name: p / p.sum() for name, p in found.items()}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=1_000_000, help="number of samples")
    parser.add_argument("--epochs", type=int, default=7)
    options = parser.parse_args()
    strategy = LabelBalanced()  # any that leaves its plans to the dataset
    print(f"n = {options.n:,}, batches of {BATCH_SIZE}, medians of {options.epochs}, in seconds")
    print(f"{'probabilities':<16}{'systematic':>12}{'independent':>13}")
    for name, p in distributions(options.n).items():
        medians = []
        for draws in ("systematic", "independent"):
            plan, seconds = Plan(options.n, PlanOptions(BATCH_SIZE, 0, draws=draws)), []
            for epoch in range(options.epochs):
                begin = time.perf_counter()
                plan.drawn(strategy, plan.in_force(strategy, p), epoch)
                plan.settle()
                seconds.append(time.perf_counter() - begin)
            medians.append(statistics.median(seconds))
        print(f"{name:<16}{medians[0]:>12.2f}{medians[1]:>13.2f}")


if __name__ == "__main__":
    main()
