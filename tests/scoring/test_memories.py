"""Whole numbers that point into tables: of 64 bits where a table has more entries than 32 count."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support.oracles.visits import make_labels
from tfmlselect.scoring import memories
from tfmlselect.scoring.correlations import PairContext, PairGram
from tfmlselect.scoring.memories import Memory, indices
from tfmlselect.strategies import PositiveHardness

N, Q = 12, 5


@pytest.mark.parametrize(
    ("n", "q", "dtype"),
    [
        (1, 2, tf.int32),
        (2**31 - 1, 1, tf.int32),
        (2**31, 1, tf.int64),
        (46341, 46341, tf.int64),
        (10**6, 2147, tf.int32),
        (10**6, 2148, tf.int64),
        (10**9, 10**6, tf.int64),
    ],
)
def test_the_type_that_counts_all_places(n, q, dtype):
    """TensorFlow takes no pairs of int32 into a table of more than 2^31 - 1 entries."""
    pairs = np.array([[0, 0], [min(n, 2**31) - 1, q - 1]])
    found = indices(pairs, n * q)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, pairs)


def results(y):
    """What is computed through such numbers, and all tensors of them."""
    table = np.random.default_rng(1).random((N, Q)).astype("float32")
    signal = Memory(N, Q, 0.0, "signal")
    signal.variable.assign(table)
    gram, context = PairGram(y), PairContext(y, np.maximum(y, y[::-1]))
    hard = PositiveHardness()
    hard.build(y)
    hard.observe(np.arange(N), table)
    numbers = [
        gram(signal).numpy(),
        context.scores([signal], [tf.ones([Q])], [tf.constant(table[:Q])])[0].numpy(),
        hard.probabilities(0).numpy(),
    ]
    kept = [vars(gram), vars(context), {"_positives": hard._positives}]
    types = {
        name: value.dtype for each in kept for name, value in each.items() if tf.is_tensor(value)
    }
    return numbers, types


def test_results_are_the_same_in_either_type(monkeypatch):
    y = make_labels(np.random.default_rng(0), N, Q)
    short, types = results(y)
    assert set(types.values()) == {tf.int32}
    monkeypatch.setattr(memories, "_LARGEST_INT32", 1)
    long, types = results(y)
    assert set(types.values()) == {tf.int64}
    for first, second in zip(short, long, strict=True):
        np.testing.assert_array_equal(first, second)
