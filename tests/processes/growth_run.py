"""How a process grows by fits: `growth_run.py plain|selected`, run by test_growth.py.

Prints by how many MB it grew over the last 20 of 26 fits, each of a new model on a new dataset.
"""

import ctypes
import gc
import sys
import warnings

import numpy as np
import tensorflow as tf

import tfmlselect as tfml

FITS, MEASURED = 26, 20


def resident():
    """Memory in MB, of what is in use."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    with open("/proc/self/statm", encoding="ascii") as pages:
        return int(pages.read().split()[1]) * 4096 / 1e6


def main(selected):
    """Fits again and again."""
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 8)).astype("float32")
    y = (rng.random((400, 20)) < 0.2).astype("float32")
    grown = []
    for _ in range(FITS):
        model = tf.keras.Sequential([tf.keras.Input((8,)), tf.keras.layers.Dense(20, "sigmoid")])
        model.compile("adam", "binary_crossentropy")
        train = tfml.adaptive_dataset((x, y), tfml.strategies.D2ACE(warmup=1), 100, seed=0)
        callbacks = [tfml.AdaptiveBatchSelection(train)] if selected else []
        model.fit(train, epochs=2, verbose=0, callbacks=callbacks)
        grown.append(resident())
    print(grown[-1] - grown[-1 - MEASURED])


if __name__ == "__main__":
    main(sys.argv[1] == "selected")
