"""What the loop costs: seconds per epoch beside plain `fit`, and one update of the distribution.

    python benchmarks/speed/loop.py            # or: make bench

All figures of one run belong together: variants run in turns, medians are printed, and the first
epochs of each fit are left out. Targets: an epoch of D2ACE takes at most the plain epoch + 5 % +
40 ms; an update takes at most 12 passes of NumPy over one (n, q) float32 array.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

import tfmlselect as tfml
from tfmlselect.scoring.neighbors import nearest_neighbors

BATCH = 128
SKIPPED = 3  # epochs: tracing, warm-up, and the first update


def main() -> None:
    """Prints all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="fits of each variant")
    parser.add_argument("--skip-search", action="store_true", help="random neighbours, no search")
    parser.add_argument("--only", choices=["yeast", "synthetic", "update"], help="one table")
    options = parser.parse_args()
    print(f"TensorFlow {tf.__version__}, {os.cpu_count()} cores, batches of {BATCH}\n")
    if options.only in (None, "yeast"):
        x, y = load_yeast()
        epoch_table("Yeast", x, y, None, options.rounds, epochs=15)
    if options.only in (None, "synthetic"):
        x, y = make_synthetic(100_000, 256, 100)
        neighbors = random_neighbors(len(x)) if options.skip_search else None
        epoch_table("synthetic", x, y, neighbors, options.rounds, epochs=7)
    if options.only in (None, "update"):
        update_table([100_000, 1_000_000], q=100)


def load_yeast() -> tuple[np.ndarray, np.ndarray]:
    """The real Yeast set: x (2417, 103) float32, y (2417, 14) uint8."""
    from river import datasets

    rows = list(datasets.Yeast())
    x = np.array([list(features.values()) for features, _ in rows], np.float32)
    y = np.array([[bool(v) for v in labels.values()] for _, labels in rows], np.uint8)
    return x, y


def make_synthetic(n: int, d: int, q: int) -> tuple[np.ndarray, np.ndarray]:
    """Normal features, and labels that depend on them with frequencies falling as 1 / (j + 3)."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, d), dtype=np.float32)
    margin = x @ rng.standard_normal((d, q), dtype=np.float32) / np.sqrt(d)
    share = 0.35 / (np.arange(q) + 3) * 3
    thresholds = [np.quantile(margin[:, j], 1 - share[j]) for j in range(q)]
    return x, (margin > thresholds).astype(np.uint8)


def random_neighbors(n: int) -> np.ndarray:
    """Ids (n, 6), for timing without a search."""
    return np.random.default_rng(1).integers(0, n, (n, 6)).astype(np.int32)


def epoch_table(name, x, y, neighbors, rounds: int, epochs: int) -> None:
    """Seconds per epoch of the four ways to feed one two-layer model."""
    n, q = y.shape
    print(f"## Seconds per epoch: {name}, {n} x {x.shape[1]} x {q}, cardinality {y.sum() / n:.2f}")
    if neighbors is None:
        started = time.perf_counter()
        neighbors = nearest_neighbors(x, 6)
        print(f"neighbour search, once: {time.perf_counter() - started:.2f} s")
    started = time.perf_counter()
    tfml.adaptive_dataset((x, y), "d2ace", BATCH, neighbors=neighbors, seed=0)
    print(f"build() with neighbours given: {time.perf_counter() - started:.2f} s")

    def plain():
        slices = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(n)
        return dict(x=slices.batch(BATCH).prefetch(tf.data.AUTOTUNE)), []

    def arrays():
        return dict(x=x, y=y, batch_size=BATCH), []

    def adaptive(strategy):
        train = tfml.adaptive_dataset((x, y), strategy, BATCH, neighbors=neighbors, seed=0)
        return dict(x=train), [tfml.AdaptiveBatchSelection(train)]

    def d2ace():
        return tfml.strategies.D2ACE(warmup=1, decay_start=1)

    variants = {
        "plain tf.data": plain,
        "fit(x, y)": arrays,
        "uniform plan, no recorder": lambda: adaptive("uniform"),
        "d2ace": lambda: adaptive(d2ace()),
    }
    seconds: dict[str, list[float]] = {variant: [] for variant in variants}
    for _ in range(rounds):
        for variant, make in variants.items():
            data, callbacks = make()
            seconds[variant] += time_epochs(data, callbacks, x.shape[1], q, epochs)
    medians = {variant: statistics.median(values) for variant, values in seconds.items()}
    base = medians["plain tf.data"]
    print("\n| variant | median s | min s | / plain |\n|---|---|---|---|")
    for variant, median in medians.items():
        print(f"| {variant} | {median:.4f} | {min(seconds[variant]):.4f} | {median / base:.2f} |")
    limit = base * 1.05 + 0.040
    verdict = "met" if medians["d2ace"] <= limit else "MISSED"
    print(f"\ntarget, plain + 5 % + 40 ms = {limit:.4f} s: {verdict}\n")


def time_epochs(data: dict, callbacks: list, d: int, q: int, epochs: int) -> list[float]:
    """Seconds from epoch start to epoch start, of one fit."""
    tf.keras.utils.set_random_seed(0)
    model = tf.keras.Sequential(
        [
            tf.keras.Input([d]),
            tf.keras.layers.Dense(256, activation="relu"),
            tf.keras.layers.Dense(q, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy")
    starts: list[float] = []
    timer = tf.keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: starts.append(time.perf_counter())
    )
    model.fit(**data, epochs=epochs, verbose=0, callbacks=[timer, *callbacks])
    return list(np.diff(starts)[SKIPPED:])


def update_table(sizes: list[int], q: int) -> None:
    """Seconds of one `D2ACE.probabilities(epoch)` beside one NumPy pass over (n, q) float32."""
    print("## One update of D2ACE's distribution, neighbours given\n")
    print("| n x q | cardinality | update s | NumPy pass s | passes |\n|---|---|---|---|---|")
    for n in sizes:
        rng = np.random.default_rng(0)
        share = 0.35 / (np.arange(q) + 3) * 3
        y = (rng.random((n, q), dtype=np.float32) < share).astype(np.uint8)
        strategy = tfml.strategies.D2ACE()
        strategy.build(y, neighbors=random_neighbors(n))
        observe = tf.function(strategy.observe)
        for ids in np.array_split(rng.permutation(n), max(1, n // 8192)):
            observe(tf.constant(ids), tf.random.uniform([len(ids), q]))
        table = rng.random((n, q), dtype=np.float32)
        strategy.probabilities(20)
        updates, passes = [], []
        for _ in range(7):
            updates.append(timed(lambda: strategy.probabilities(20).numpy()))  # noqa: B023
            passes.append(timed(lambda: table * 1.0001))  # noqa: B023
        update, one_pass = statistics.median(updates), statistics.median(passes)
        print(
            f"| {n} x {q} | {y.sum() / n:.2f} | {update:.3f} | {one_pass:.4f} "
            f"| {update / one_pass:.1f} |"
        )


def timed(action) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
