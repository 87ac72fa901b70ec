"""What each strategy costs: seconds of building, observing, updating and planning, and bytes.

    python benchmarks/speed/strategy_costs.py            # prints a table
    python benchmarks/speed/strategy_costs.py --write    # and stores docs/strategies/costs.json

Labels, neighbours, predictions and reference losses are random; no neighbours are searched. An
update is one call of `probabilities`, the median of five after a warm-up call, also divided by the
time of one pass of NumPy over an (n, q) float32 array, taken right before and after it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from tfmlselect import strategies
from tfmlselect.pipeline.plan import Plan, PlanOptions
from tfmlselect.scoring.correlations import cosine_correlation
from tfmlselect.strategies.uncertainty import mutual_information

COSTS = Path(__file__).parents[2] / "docs" / "strategies" / "costs.json"
BATCH, NEIGHBORS, CHUNK = 128, 6, 4096
REPEATS = 5
NOTE = "one run on a shared, noisy machine: times are orders of magnitude, compare the passes"
COLUMNS = {
    "build_s": "build s",
    "observe_s_per_100k": "observe s per 100,000 visits",
    "update_s": "update s",
    "update_passes": "update, passes of NumPy",
    "plan_s": "plan s",
    "state_bytes_per_entry": "state bytes per (sample, label)",
}


def main() -> None:
    """Measures all strategies and both correlation steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=100_000, help="samples")
    parser.add_argument("--q", type=int, default=100, help="labels")
    parser.add_argument("--write", action="store_true", help="store docs/strategies/costs.json")
    options = parser.parse_args()
    result = measure(options.n, options.q)
    print(as_markdown(result))
    if options.write:
        COSTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def measure(n: int, q: int) -> dict:
    """All figures, as they are stored in costs.json."""
    rng = np.random.default_rng(0)
    frequency = 1.2 / (np.arange(q) + 3)  # as in loop.py: falling, about 4 labels a sample
    y = (rng.random((n, q), np.float32) < frequency).astype(np.uint8)
    neighbors = rng.integers(0, n, (n, NEIGHBORS), np.int32)
    predictions = rng.random((n, q), np.float32)
    built = {}
    rows = {}
    for name in strategies.names():
        strategy = make_strategy(name, n, rng)
        rows[name] = measure_strategy(strategy, y, neighbors, predictions)
        if name in ("d2ace", "uncertainty"):
            built[name] = strategy
    correlated = strategies.HardImbalance(correlations=True)
    correlated.build(y, neighbors=neighbors)
    p = correlated.probabilities(1).numpy()
    return {
        "note": NOTE,
        "n": n,
        "q": q,
        "labels_per_sample": round(float(y.sum() / n), 2),
        "cores": os.cpu_count(),
        "tensorflow": tf.__version__,
        "strategies": rows,
        "correlated_plan_s": rounded(seconds(lambda: correlated.plan(p, BATCH, 0, 1))),
        "correlation_step_s": measure_correlations(built["d2ace"], built["uncertainty"], n, q),
    }


def make_strategy(name: str, n: int, rng: np.random.Generator) -> strategies.Strategy:
    """A strategy with its defaults; Learnability with random reference losses."""
    if name == "learnability":
        return strategies.Learnability(rng.random(n))
    return strategies.get(name)


def measure_strategy(strategy, y, neighbors, predictions) -> dict[str, float]:
    """One row: seconds, passes and bytes."""
    n, q = y.shape
    given = neighbors if strategy.uses_neighbors else None
    build = seconds(lambda: strategy.build(y, neighbors=given))
    observe = observe_all(strategy, predictions)  # in full chunks: one trace
    observe_all(strategy, predictions[::-1])  # a second visit, so that changes are not all 0
    epoch = max(strategy.warmup, 1)
    update, one_pass = timed_with_passes(lambda: strategy.probabilities(epoch).numpy(), predictions)
    p = strategy.probabilities(epoch).numpy()
    plan = Plan(n, PlanOptions(BATCH, seed=0))
    p = plan.in_force(strategy, p)
    drawn = median_seconds(lambda: plan.drawn(strategy, p, epoch))
    size = sum(v.shape.num_elements() * v.dtype.size for v in strategy.state.values())
    return {
        "build_s": rounded(build),
        "observe_s_per_100k": rounded(observe * 100_000 / n),
        "update_s": rounded(update),
        "update_passes": rounded(update / one_pass),
        "plan_s": rounded(drawn),
        "state_bytes_per_entry": rounded(size / (n * q)),
        "state_bytes_per_sample": rounded(size / n),
    }


def observe_all(strategy, predictions: np.ndarray) -> float:
    """Seconds of one visit to every sample, in chunks, inside a `tf.function`."""
    if not strategy.uses_predictions:
        return 0.0
    n, q = predictions.shape
    size = min(CHUNK, n)
    step = tf.function(
        strategy.observe,
        input_signature=[
            tf.TensorSpec([None], tf.int64),
            tf.TensorSpec([None, q], tf.float32),
        ],
        autograph=False,
    )
    step.get_concrete_function()  # traced before the clock runs
    ids = np.random.default_rng(1).permutation(n)

    def visit():
        for first in range(0, n, size):
            part = ids[first : first + size]
            step(tf.constant(part), tf.constant(predictions[part]))

    return seconds(visit)


def measure_correlations(d2ace, uncertainty, n: int, q: int) -> dict[str, float]:
    """Seconds of both correlation steps: cosines of two signals, mutual information of one."""
    signals = [d2ace._uncertainty, d2ace._hardness]
    cosines = tf.function(lambda: [cosine_correlation(d2ace._gram(s)) for s in signals])
    bins = uncertainty.bins
    information = tf.function(
        lambda: mutual_information(uncertainty._joint_counts(), q, bins), autograph=False
    )
    return {
        "d2ace_cosines_of_two_signals": rounded(median_seconds(lambda: cosines()[1].numpy())),
        "uncertainty_mutual_information": rounded(median_seconds(lambda: information().numpy())),
    }


def timed_with_passes(call: Callable, table: np.ndarray) -> tuple[float, float]:
    """Medians of `call` and of one pass of NumPy over `table`, taken in turns."""
    call()
    calls, passes = [], []
    for _ in range(REPEATS):
        passes.append(seconds(lambda: table * 1.0001))
        calls.append(seconds(call))
        passes.append(seconds(lambda: table * 1.0001))
    return statistics.median(calls), statistics.median(passes)


def median_seconds(call: Callable) -> float:
    """The median of five calls after a warm-up call."""
    call()
    return statistics.median(seconds(call) for _ in range(REPEATS))


def seconds(call: Callable) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def rounded(value: float) -> float:
    """Two significant digits."""
    return float(f"{value:.2g}") if value < 100 else float(round(value))


def as_markdown(result: dict) -> str:
    """The tables that are printed."""
    lines = [
        f"n = {result['n']:,}, q = {result['q']}, {result['labels_per_sample']} labels a sample, "
        f"{result['cores']} cores, TensorFlow {result['tensorflow']}; {result['note']}",
        "",
        "| strategy | " + " | ".join(COLUMNS.values()) + " |",
        "|---" * (len(COLUMNS) + 1) + "|",
    ]
    for name, row in result["strategies"].items():
        cells = " | ".join(f"{row[column]:g}" for column in COLUMNS)
        lines.append(f"| {name} | {cells} |")
    correlated = result["correlated_plan_s"]
    lines += ["", f"HardImbalance(correlations=True): plan {correlated:g} s"]
    lines += ["", "| correlation step | s |", "|---|---|"]
    for name, value in result["correlation_step_s"].items():
        lines.append(f"| {name} | {value:g} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
