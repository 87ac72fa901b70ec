"""A run that is killed: `python killed_run.py DIRECTORY RESULT SELECTION KILL`, by test_kills.py.

SELECTION is `whole` or `short`: of epochs of a pass, or of less.

KILL is `never`, `write N` (SIGKILL at the N-th flush to the disk), or `batch N` (before the N-th
batch of this process).
"""

import importlib.util
import json
import os
import signal
import sys

import numpy as np
import tensorflow as tf

import tfmlselect as tfml
from tfmlselect.callbacks import backup_files

EPOCHS = 12
DROPOUT = (
    0.5 if getattr(tf.keras, "__version__", "2").startswith("3") else 0.0
)  # Keras 2 cannot restore it


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


class KillAtBatch(tf.keras.callbacks.Callback):
    """Kills the process before a batch."""

    def __init__(self, batch):
        super().__init__()
        self._left = batch

    def on_train_batch_begin(self, batch, logs=None):
        self._left -= 1
        if self._left < 0:
            kill()


def kill_at_flush(number):
    left, flush = [number], os.fsync

    def fsync(handle):
        left[0] -= 1
        if left[0] < 0:
            kill()
        flush(handle)

    backup_files.os.fsync = fsync


class Watch(tf.keras.callbacks.Callback):
    """Notes the plan and the distribution of every epoch."""

    def __init__(self, train, path):
        super().__init__()
        self._train, self._path = train, path

    def on_epoch_begin(self, epoch, logs=None):
        train = self._train
        with open(self._path, "a", encoding="utf-8") as file:
            line = [epoch, train.plan.tolist(), train.probabilities.tolist()]
            file.write(json.dumps(line) + "\n")


def make_model(loss):
    dense = tf.keras.layers.Dense
    model = tf.keras.Sequential(
        [
            tf.keras.Input((6,)),
            dense(8, "relu", kernel_initializer=tf.keras.initializers.GlorotUniform(seed=1)),
            tf.keras.layers.Dropout(DROPOUT, seed=2),
            dense(4, "sigmoid", kernel_initializer=tf.keras.initializers.GlorotUniform(seed=3)),
        ]
    )
    model.compile("adam", loss)
    return model


def make_train(selection, x, y):
    """An adaptive dataset."""
    if selection == "whole":
        strategy = tfml.strategies.D2ACE(neighbors=2, warmup=1)
        return tfml.adaptive_dataset((x, y), strategy=strategy, batch_size=16, seed=0)
    return tfml.adaptive_dataset(
        (x, y),
        "adaptive_balance",
        batch_size=16,
        seed=0,
        samples_per_epoch=40,
        importance_weights=tfml.schedules.Ramp(0.0, 1.0),
    )


def main(directory, result, selection, kind, number="0"):
    """Trains, or goes on training, and writes the final weights."""
    tf.config.experimental.enable_op_determinism()
    tf.keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(70, 6)).astype("float32")
    y = (x[:, :4] > [0, 0.4, 0.8, 1.2]).astype("float32")
    train = make_train(selection, x, y)
    model = make_model(tfml.losses.PartialLabelMasking(odds=tfml.label_statistics(y).odds))
    log_dir = f"{result}_log" if importlib.util.find_spec("tensorboard") else None
    selection = tfml.AdaptiveBatchSelection(train, backup_dir=directory, log_dir=log_dir)
    callbacks = [selection, Watch(train, f"{result}.log")]
    if kind == "batch":
        callbacks.append(KillAtBatch(int(number)))
    epoch = selection.restore(model)
    if kind == "write":
        kill_at_flush(int(number))
    model.fit(train, initial_epoch=epoch, epochs=EPOCHS, verbose=0, callbacks=callbacks)
    arrays = {f"model{i}": value for i, value in enumerate(model.get_weights())}
    arrays |= {name: each.numpy() for name, each in train.strategy.state.items()}
    np.savez(result, probabilities=train.probabilities, ideal=model.loss.ideal.numpy(), **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
