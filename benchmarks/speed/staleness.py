"""How many batches of an epoch were drawn from the distribution of an earlier one.

    python benchmarks/speed/staleness.py           # prints the table
    python benchmarks/speed/staleness.py --write   # and keeps it, for docs/how_it_works.md

Samples stand in groups of one batch each. After epoch e the whole probability goes to group e: a
batch of another group, in epoch e + 1, was drawn from an old distribution. The steps themselves say
which samples they were given. After --write, `python -m benchmarks.evidence.overview`
writes the page.
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

import tfmlselect as tfml

FILE = Path(__file__).parents[2] / "docs" / "staleness.json"
BATCH, STEPS, EPOCHS = 8, 16, 8
GROUP = np.repeat(np.arange(STEPS), BATCH)  # of each sample
X = np.stack([GROUP, GROUP], axis=1).astype("float32")
Y = np.tile(np.eye(2, dtype="float32"), (len(X) // 2, 1))


def group_probabilities(epoch: int) -> np.ndarray:
    """(n,) float64: all of the probability, evenly, on one group."""
    return np.equal(GROUP, epoch) / BATCH


class OneGroup(tfml.strategies.Strategy):
    """All of the probability on the group of the epoch."""

    uses_predictions = False

    def build(self, y, features=None, neighbors=None) -> None:
        """Remembers nothing."""

    def observe(self, ids, y_pred, loss=None) -> None:
        """Is not called."""

    def probabilities(self, epoch: int) -> tf.Tensor:
        """That of `group_probabilities`."""
        return tf.constant(group_probabilities(epoch))


class Watched(tf.keras.Sequential):
    """A model that notes the groups of each batch that it is trained on."""

    def train_step(self, data):
        """As ever, once the batch is noted."""
        with tf.control_dependencies([tf.numpy_function(self.note, [data[0][:, 0]], tf.int64)]):
            return super().train_step(data)


class NextGroup(tf.keras.callbacks.Callback):
    """Gives a variable the new distribution at the end of each epoch, as our callback does."""

    def __init__(self, probabilities: tf.Variable):
        super().__init__()
        self.probabilities = probabilities

    def on_epoch_end(self, epoch, logs=None):
        """After epoch e the probability goes to group e."""
        self.probabilities.assign(group_probabilities(epoch))


def through_the_plan(scope=None, **fit) -> list[int]:
    """Stale batches an epoch of an adaptive dataset with `prefetch(4)`."""
    dataset = tfml.adaptive_dataset((X, Y), OneGroup(warmup=1), BATCH, seed=0).prefetch(4)
    return watch(dataset, tfml.AdaptiveBatchSelection(dataset), scope, **fit)


def in_the_map(finish: Callable, scope=None, **fit) -> list[int]:
    """Stale batches an epoch of a pipeline whose `map` draws by what a variable holds."""
    probabilities = tf.Variable(np.full(len(X), 1 / len(X)))
    x, y = tf.constant(X), tf.constant(Y)

    def draw(step):
        ids = tf.random.categorical(tf.math.log(probabilities)[None], BATCH)[0]
        return tf.gather(x, ids), tf.gather(y, ids)

    dataset = finish(tf.data.Dataset.range(STEPS).map(draw))
    return watch(dataset, NextGroup(probabilities), scope, **fit)


def watch(dataset, callback, scope=None, **fit) -> list[int]:
    """Trains on a dataset; returns the stale batches of each epoch from the second on."""
    seen: list[tuple[int, set[int]]] = []
    epoch = [0]

    def note(groups):
        seen.append((epoch[0], {*groups.astype(int).tolist()}))
        return np.int64(0)

    with scope or tf.distribute.get_strategy().scope():
        model = Watched([tf.keras.layers.Dense(2, activation="sigmoid")])
        model.note = note
        model.compile("sgd", "binary_crossentropy", jit_compile=False)
    counter = tf.keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda number, logs: epoch.__setitem__(0, number)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras 3, of every dataset: shuffle is ignored
        model.fit(dataset, epochs=EPOCHS, verbose=0, callbacks=[counter, callback], **fit)
    return stale(seen)


def stale(seen: list[tuple[int, set[int]]]) -> list[int]:
    """Stale batches of each epoch from the second on.

    Args:
        seen: epoch and groups of each batch, or of each part of one that a replica was given.
    """
    parts = len(seen) // (STEPS * EPOCHS)  # of a batch
    old = [sum(epoch == e and groups != {e - 1} for epoch, groups in seen) for e in range(EPOCHS)]
    return [count // parts for count in old[1:]]


def two_replicas():
    """The scope of a `MirroredStrategy` of two logical CPUs."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope()


def warm_start(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The dataset with tf.data's option that fills buffers when an iterator is made."""
    options = tf.data.Options()
    options.experimental_warm_start = True
    return dataset.prefetch(4).with_options(options)


WAYS: dict[str, Callable[[], list[int]]] = {
    "adaptive_dataset, `prefetch(4)`": through_the_plan,
    "adaptive_dataset, `prefetch(4)`, `steps_per_epoch`": lambda: through_the_plan(
        steps_per_epoch=STEPS
    ),
    "adaptive_dataset, `prefetch(4)`, `MirroredStrategy` of two logical CPUs": lambda: (
        through_the_plan(two_replicas())
    ),
    "drawn in `map`": lambda: in_the_map(lambda dataset: dataset),
    "drawn in `map`, `prefetch(4)`": lambda: in_the_map(lambda dataset: dataset.prefetch(4)),
    "drawn in `map`, `prefetch(4)`, warm start": lambda: in_the_map(warm_start),
    "drawn in `map`, `prefetch(4)`, `MirroredStrategy` of two logical CPUs": lambda: in_the_map(
        lambda dataset: dataset.prefetch(4), two_replicas()
    ),
    "drawn in `map`, `repeat()`, `steps_per_epoch`": lambda: in_the_map(
        lambda dataset: dataset.repeat(), steps_per_epoch=STEPS
    ),
    "drawn in `map`, `repeat()`, `prefetch(4)`, `steps_per_epoch`": lambda: in_the_map(
        lambda dataset: dataset.repeat().prefetch(4), steps_per_epoch=STEPS
    ),
}


def table(measured: dict) -> str:
    """The figures as the page shows them."""
    rows = [f"| {way} | {shown(counts)} |" for way, counts in measured["stale"].items()]
    head = f"| batches from | stale of {measured['steps']}, epoch by epoch from the second |"
    return "\n".join([head, "|---|---|", *rows]) + (
        f"\n\n`python benchmarks/speed/staleness.py`, TensorFlow {measured['tensorflow']}, "
        f"Keras {measured['keras']}, CPU."
    )


def shown(counts: list[int]) -> str:
    """A row's counts: one number, where all epochs have the same."""
    return str(counts[0]) if len({*counts}) == 1 else ", ".join(map(str, counts))


def main() -> None:
    """Measures all ways, prints them, and with --write keeps them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"into docs/{FILE.name}")
    options = parser.parse_args()
    cpus = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    measured = {
        "tensorflow": tf.__version__,
        "keras": tf.keras.__version__,
        "steps": STEPS,
        "stale": {way: measure() for way, measure in WAYS.items()},
    }
    print(table(measured))
    if options.write:
        FILE.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
