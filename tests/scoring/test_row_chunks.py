"""Row chunks whose borders fall everywhere, and moments against NumPy's."""

import numpy as np
import pytest
import tensorflow as tf

from tfmlselect.scoring import row_chunks
from tfmlselect.scoring.label_weights import Moments, signal_weights
from tfmlselect.scoring.memories import Memory
from tfmlselect.scoring.row_chunks import fold_rows, map_rows

Q = 4


@pytest.fixture(params=[1, 3, 8, 100], autouse=True)
def chunk(request, monkeypatch):
    """How many rows make a chunk."""
    monkeypatch.setattr(row_chunks, "CHUNK_ENTRIES", Q * request.param)
    return request.param


def memory_of(table):
    memory = Memory(*table.shape, 0.0, "table")
    memory.variable.assign(table)
    return memory


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 9, 17])
def test_fold_rows_passes_every_row_once_in_order(n, chunk):
    seen = []

    def body(ids, count):
        seen.append(ids.numpy())
        return count + 1

    count = fold_rows(n, Q, body, tf.constant(0))
    assert np.concatenate(seen).tolist() == list(range(n))
    assert all(ids.dtype == np.int64 and len(ids) <= chunk for ids in seen)
    assert count.numpy() == len(seen) == -(-n // chunk)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("n", [1, 3, 8, 17])
def test_map_rows_puts_every_row_in_its_place(n, jit_compile):
    @tf.function(jit_compile=jit_compile)
    def scores():
        return map_rows(n, Q, lambda ids: [tf.cast(ids, tf.float32), tf.cast(-ids, tf.float32)], 2)

    first, second = scores()
    np.testing.assert_array_equal(first, np.arange(n))
    np.testing.assert_array_equal(second, -np.arange(n))


@pytest.mark.parametrize(
    ("mean", "spread"), [(0.0, 1.0), (0.5, 0.2), (1.0, 1e-4), (1.0, 0.0)], ids=str
)
@pytest.mark.parametrize("n", [1, 7, 200])
def test_moments(n, mean, spread, chunk):
    table = np.random.default_rng(n).normal(mean, spread, (n, Q)).astype(np.float32)
    moments = Moments.start(Q)
    for start in range(0, n, chunk):
        moments = moments.add(tf.constant(table[start : start + chunk]))
    exact = table.astype(np.float64)
    np.testing.assert_array_equal(moments.seen, np.full(Q, n))
    np.testing.assert_allclose(moments.mean, exact.mean(axis=0), rtol=1e-6, atol=1e-6 * spread)
    np.testing.assert_allclose(np.sqrt(moments.square / n), exact.std(axis=0), rtol=1e-3, atol=1e-7)


def test_moments_of_large_chunks(monkeypatch):
    table = np.random.default_rng(0).normal(1.0, 1e-4, (100_000, 2)).astype(np.float32)
    moments = Moments.start(2).add(tf.constant(table))
    exact = table.astype(np.float64)
    np.testing.assert_allclose(moments.mean, exact.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(np.sqrt(moments.square / 1e5), exact.std(axis=0), rtol=1e-3)


def test_signal_weights():
    table = np.random.default_rng(0).random((17, Q)).astype(np.float32)
    weights = signal_weights(memory_of(table), 17, Q)
    expected = np.exp((table.mean(axis=0) + table.std(axis=0)) / 2)
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    assert weights.dtype == tf.float32


def test_chunks_have_a_row_at_least():
    assert row_chunks.chunk_rows(10_000) == 1
