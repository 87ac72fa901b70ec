"""What do TensorBoard's summaries cost an epoch?

    python benchmarks/speed/summaries.py

Trains with D2ACE on Yeast, and on a made-up set of 983 labels whose frequencies fall as 1 / rank.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.append(str(Path(__file__).parents[2] / "examples"))

import numpy as np
import tensorflow as tf
from yeast import load_yeast

import tfmlselect as tfml
from tfmlselect.callbacks.tensorboard import SelectionSummaries
from tfmlselect.recording.recorder import Recorder

EPOCHS = 30


def make_many():
    """x (16000, 64), y (16000, 983), of about 13 labels a sample."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(16000, 64)).astype("float32")
    logits = x @ rng.normal(size=(64, 983)).astype("float32") / 8
    positives = (16000 * np.minimum(0.4, 2.0 / np.arange(1, 984))).astype(int)
    least = np.sort(logits, axis=0)[-positives, np.arange(983)]
    return x, (logits >= least).astype("float32")


class Clock:
    """Adds up the time that a method takes, over all calls."""

    def __init__(self, kind, name):
        self.seconds, method = 0.0, getattr(kind, name)

        def timed(*args):
            start = time.perf_counter()
            result = method(*args)
            self.seconds += time.perf_counter() - start
            return result

        setattr(kind, name, timed)


def main(sets=None):
    """Fits D2ACE on both sets and prints a table."""
    clocks = [Clock(Recorder, "add_errors"), Clock(SelectionSummaries, "finish_epoch")]
    print("| set | n | q | an epoch, s | of which summaries, s | kB an epoch | labels with lines |")
    print("|---|---|---|---|---|---|---|")
    sets = sets or {"Yeast": load_yeast(seed=0)[0], "made up": make_many()}
    for name, (x, y) in sets.items():
        n, q = y.shape
        train = tfml.adaptive_dataset((x, y), "d2ace", batch_size=128, seed=0, features=x[:, :64])
        dense = tf.keras.layers.Dense
        model = tf.keras.Sequential([dense(256, "relu"), dense(q, "sigmoid")])
        model.compile("adam", "binary_crossentropy")
        with tempfile.TemporaryDirectory() as folder:
            selection = tfml.AdaptiveBatchSelection(train, log_dir=folder)
            for clock in clocks:
                clock.seconds = 0.0
            start = time.perf_counter()
            model.fit(train, epochs=EPOCHS, verbose=0, shuffle=False, callbacks=[selection])
            whole = (time.perf_counter() - start) / EPOCHS
            size = sum(file.stat().st_size for file in Path(folder).rglob("*tfevents*"))
        summaries = sum(clock.seconds for clock in clocks) / EPOCHS
        shown = len(getattr(selection._summaries, "_shown", ()))
        row = f"| {name} | {n} | {q} | {whole:.2f} | {summaries:.3f} | {size / EPOCHS / 1000:.0f} "
        print(f"{row}| {shown} |")


if __name__ == "__main__":
    main()
