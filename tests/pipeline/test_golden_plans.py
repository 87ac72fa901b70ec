"""Plans of a fixed seed, as they were when this was written.

These numbers may change with a version of tfmlselect that says so in the changelog, since runs of a
seed are then other runs, and backups of before go on with other plans; or with a NumPy that changes
its generators. They are the same on NumPy 1.26 and 2.4. Never update them to make a test pass.
"""

import numpy as np
import tensorflow as tf

import tfmlselect as tfml

IDS = np.arange(24)
X = IDS[:, None].astype("float32")
Y = np.stack([IDS % 2 == 0, IDS % 3 == 0, IDS % 8 == 0], axis=1).astype("uint8")


def written(ids):
    return " ".join(map(str, ids))


def plans(selection, epoch):
    """A permutation, and draws from a distribution that is exact in any precision."""
    p = selection.strategy.probabilities(epoch).numpy()
    drawn = selection.plan.drawn(selection.strategy, p, epoch)
    return written(selection.plan.permutation(epoch)), written(drawn)


def test_arrays():
    train = tfml.adaptive_dataset((X, Y), "label_balanced", batch_size=8, seed=2026)
    permutation, drawn = plans(train._selection, epoch=7)
    assert permutation == PERMUTATION
    assert drawn == DRAWN


def test_a_stream():
    source = tf.data.Dataset.from_tensor_slices((X, Y))
    train = source.apply(tfml.adaptive("label_balanced", batch_size=2, window=8, seed=2026))
    permutation, drawn = plans(train._selection, epoch=3)
    assert permutation == STREAM_PERMUTATION
    assert drawn == STREAM_DRAWN


def test_correlated_batches():
    strategy = tfml.strategies.HardImbalance(correlations=True, neighbors=1)
    strategy.build(Y, neighbors=(IDS[:, None] + 1) % 24)
    p = tfml.strategies.LabelBalanced()
    p.build(Y)
    plan = strategy.plan(p.probabilities(0), 8, seed=2026, epoch=2)
    assert written(plan) == CORRELATED


PERMUTATION = "10 8 12 20 21 17 0 13 9 4 2 5 23 15 3 14 18 1 16 19 11 22 6 7"
DRAWN = "12 8 2 16 10 4 14 15 4 10 21 12 16 0 20 18 8 3 21 12 18 0 6 4"
STREAM_PERMUTATION = "5 6 0 4 2 7 1 3 10 14 13 8 15 11 12 9 18 19 22 20 17 16 21 23"
STREAM_DRAWN = "0 3 2 0 6 0 6 0 15 10 9 8 12 8 8 12 16 22 21 16 20 16 16 18"
CORRELATED = "0 6 3 2 4 16 15 9 8 9 6 4 22 0 20 16 0 18 6 8 10 16 20 21"
