"""How fast is `map_samples`, beside other ways to apply a function of one sample?

    python benchmarks/speed/map_samples.py

Reads batches of 64 through `map_samples`, through the same batches taken apart and put together
again, and through `tf.vectorized_map`; prints samples a second, the best of three passes.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

import tfmlselect as tfml

BATCH_SIZE = 64
AUTOTUNE = tf.data.AUTOTUNE


def decode(path, y):
    """The image of a path, (64, 64, 3)."""
    image = tf.io.decode_png(tf.io.read_file(path), channels=3)
    return tf.image.convert_image_dtype(tf.ensure_shape(image, (64, 64, 3)), tf.float32), y


def scale(x, y):
    """What `map` does on whole batches too."""
    return x / 2.0, y


WAYS = {
    "map_samples": lambda train, function: train.map_samples(function),
    "unbatch, map, batch": lambda train, function: (
        train.in_order()
        .unbatch()
        .map(function, AUTOTUNE, deterministic=True)
        .batch(BATCH_SIZE)
        .prefetch(AUTOTUNE)
    ),
    "vectorized_map": lambda train, function: train.map(
        lambda x, y: tf.vectorized_map(lambda one: function(*one), (x, y), warn=False), AUTOTUNE
    ),
}


def best(dataset: tf.data.Dataset) -> float:
    """Seconds of the fastest of three passes, after one that is not counted."""
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        for _ in dataset:
            pass
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=4096, help="number of samples")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    y = (rng.random((options.n, 14)) < 0.3).astype("float32")
    with tempfile.TemporaryDirectory() as scratch:
        paths = [str(Path(scratch, f"{i}.png")) for i in range(options.n)]
        for path in paths:
            pixels = rng.integers(0, 255, (64, 64, 3), "uint8")
            Path(path).write_bytes(tf.io.encode_png(pixels).numpy())
        tasks = {"decode PNG files": (paths, decode), "halve 256 numbers": (None, scale)}
        print(f"n = {options.n:,}, batches of {BATCH_SIZE}, samples a second")
        print(f"{'way':<22}" + "".join(f"{task:>20}" for task in tasks))
        for way, made in WAYS.items():
            rates = []
            for given, function in tasks.values():
                x = rng.normal(size=(options.n, 256)).astype("float32") if given is None else given
                train = tfml.adaptive_dataset((x, y), "uniform", BATCH_SIZE, seed=0)
                dataset = made(train, function)
                in_order = getattr(dataset, "in_order", lambda same=dataset: same)
                rates.append(options.n / best(in_order()))
            print(f"{way:<22}" + "".join(f"{rate:>20,.0f}" for rate in rates))


if __name__ == "__main__":
    main()
