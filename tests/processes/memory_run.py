"""Trains within a limit of memory: `python memory_run.py KIND STRATEGY DIRECTORY`.

KIND is `sparse` or `memmap`: x as a CSR matrix, or as a memory map on disk. After a small fit that
warms TensorFlow up, the process may take much less memory than x would as one dense array; it is
checked that the limit holds. Run by test_memory.py, on Linux.
"""

import re
import resource
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from scipy import sparse

import tfmlselect as tfml

BATCH, Q = 64, 4
MIB = 1 << 20
RNG = np.random.default_rng(0)


def sparse_rows(n, columns=47_236, a_row=94):
    """As text with word counts, of the shape and density of rcv1: (n, 47236) CSR, 0.2 %."""
    starts = np.arange(n + 1) * a_row
    entries = RNG.integers(columns, size=n * a_row, dtype=np.int32)
    return sparse.csr_matrix((RNG.random(n * a_row, np.float32), entries, starts), (n, columns))


def rows_on_disk(n, path, columns=16_384):
    """(n, 16384) float32, 64 KiB a row, written and read again as a memory map."""
    written = np.memmap(path, np.float32, "w+", shape=(n, columns))
    for start in range(0, n, 256):
        written[start : start + 256] = RNG.random((min(256, n - start), columns), np.float32)
    written.flush()
    return np.memmap(path, np.float32, "r", shape=(n, columns))


def fit(x, strategy):
    """Two epochs, the second adaptive."""
    n = x.shape[0]
    y = np.arange(n)[:, None] % [2, 3, 5, 7] == 0
    train = tfml.adaptive_dataset((x, y.astype("float32")), strategy, BATCH, seed=0)
    model = tf.keras.Sequential([tf.keras.layers.Dense(Q, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy", jit_compile=False)
    callbacks = [tfml.AdaptiveBatchSelection(train, verbose_logs=True)]
    return model.fit(train, epochs=2, shuffle=False, verbose=0, callbacks=callbacks).history


def status(name):
    """A figure of /proc/self/status, in bytes."""
    text = Path("/proc/self/status").read_text(encoding="utf-8")
    return 1024 * int(re.search(rf"^{name}:\s+(\d+) kB$", text, flags=re.M)[1])


def main(kind, strategy, directory):
    """Makes x, sets the limit, trains, and checks that x is too large for it."""
    if kind == "sparse":
        few, x = sparse_rows(256), sparse_rows(12_288)
    else:
        few, x = (rows_on_disk(n, Path(directory, str(n))) for n in (256, 8192))
    size = 4 * x.shape[0] * x.shape[1]
    fit(few, strategy)
    allowed = size // 2
    limit = status("VmData") + allowed
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    history = fit(x, strategy)
    try:
        np.array(x.toarray() if kind == "sparse" else x)
    except MemoryError:
        print(f"{size // MIB} MiB did not fit into {allowed // MIB}")
    print("samples seen:", *history["selection/unique_samples"])


if __name__ == "__main__":
    main(*sys.argv[1:])
