"""How unevenly do shards share a distribution, cut plainly, at random, or stratified?

    python benchmarks/speed/shard_imbalance.py

Trains the network of `examples/yeast.py` with each strategy, takes the distribution that it ends
with, deals the samples out to workers, and prints the largest mass of a shard over its share of
the samples (`selection/shard_imbalance`): with 1.10, the samples of one worker are drawn 10 % less
often than they would be on one machine.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
sys.path.append(str(Path(__file__).parents[2] / "examples"))

import numpy as np
import tensorflow as tf
from yeast import load_yeast, make_model

import tfmlselect as tfml

STRATEGIES = ("online_batch", "label_balanced", "d2ace", "positive_hardness")
WORKERS = (2, 8, 64)
DEALS = 20  # random ones, and seeds of the stratified ones; means are printed


def imbalance(p: np.ndarray, shards: list[np.ndarray]) -> float:
    """The largest mass of a shard over its share of the samples."""
    return max(p[shard].sum() * len(p) / len(shard) for shard in shards)


def main() -> None:
    """Trains, deals and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10, help="of a run of 40")
    options = parser.parse_args()
    (x, y), _, _ = load_yeast(0)
    by_label = np.lexsort(y.T)  # sorted, as files often are
    x, y = x[by_label], y[by_label]
    print(f"{len(y)} samples, after {options.epochs} epochs of 40")
    print(f"{'strategy':<20}{'workers':>8}{'cut':>8}{'random':>8}{'stratified':>12}")
    for name in STRATEGIES:
        tf.keras.utils.set_random_seed(0)
        strategy = tfml.strategies.get(name)
        strategy.epochs = 40
        train = tfml.adaptive_dataset((x, y), strategy, batch_size=64, seed=0)
        model = make_model(y.shape[1])
        model.compile("adam", "binary_crossentropy")
        callback = tfml.AdaptiveBatchSelection(train)
        model.fit(train, epochs=options.epochs, verbose=0, callbacks=[callback])
        p = train.probabilities
        for workers in WORKERS:
            random, stratified = [], []
            for seed in range(DEALS):
                order = np.random.default_rng(seed).permutation(len(p))
                random.append(imbalance(p, np.array_split(order, workers)))
                stratified.append(imbalance(p, tfml.stratified_shards(y, workers, seed=seed)))
            cut = imbalance(p, np.array_split(np.arange(len(p)), workers))
            print(
                f"{name:<20}{workers:>8}{cut:>8.3f}{np.mean(random):>8.3f}"
                f"{np.mean(stratified):>12.3f}"
            )


if __name__ == "__main__":
    main()
