"""Memories against lists that keep everything; formulas at their limits (tables: D2ACE's)."""

import numpy as np
import pytest
import tensorflow as tf

from tfmlselect.losses import cross_entropy
from tfmlselect.scoring import signals
from tfmlselect.scoring.memories import Memory, RecentChange, Visits

N, Q = 5, 3


def visited(rng):
    """Seven rounds of distinct ids, int64, in random order: samples 0 to 7 times visited."""
    times = np.array([0, 1, 2, 4, 7])
    return [rng.permutation(np.flatnonzero(times > visit)) for visit in range(7)]


@pytest.mark.parametrize("window", [2, 3, 5, 8, 12])
def test_recent_change_is_the_mean_of_the_last_changes(window):
    rng = np.random.default_rng(window)
    memory, visits = RecentChange(N, Q, window), Visits(N)
    changes = [[] for _ in range(N)]  # the oracle: of each sample, all changes but the first zeros
    for ids in visited(rng):
        change = rng.random((len(ids), Q)).astype(np.float32)
        before = visits.advance(tf.constant(ids))
        change[before.numpy() == 0] = 0.0
        memory.push(tf.constant(ids), tf.constant(change), before)
        for i, count, row in zip(ids, before.numpy(), change, strict=True):
            if count:
                changes[i].append(row)
        expected = [np.mean(each[-(window - 1) :] or [np.zeros(Q)], axis=0) for each in changes]
        everyone = tf.range(N, dtype=tf.int64)
        mean = memory.mean(everyone, visits.gather(everyone))
        np.testing.assert_allclose(mean, expected, rtol=1e-6)


def test_recent_change_overwrites_the_oldest():
    memory = RecentChange(n=1, q=2, window=4)
    for visit in range(7):
        change = tf.fill([1, 2], float(visit))
        memory.push(tf.constant([0], tf.int64), change, tf.constant([visit], tf.int64))
    # Slots 0, 1, 2 held changes 1, 2, 3; then 4, 5, 6 came over them.
    assert memory.variable.numpy().tolist() == [[4.0, 4.0], [5.0, 5.0], [6.0, 6.0]]


def test_visits_are_counted_sample_by_sample():
    visits = Visits(4)
    assert visits.advance(tf.constant([3, 0], tf.int64)).numpy().tolist() == [0, 0]
    assert visits.advance(tf.constant([1, 3], tf.int64)).numpy().tolist() == [0, 1]
    assert visits.gather(tf.constant([0, 1, 2, 3])).numpy().tolist() == [1, 1, 0, 2]
    assert visits.variable.dtype == tf.int64


def test_memory_keeps_the_latest_values():
    memory = Memory(3, 2, 0.5, "p")
    assert memory.variable.dtype == tf.float32
    memory.scatter(tf.constant([2, 0]), tf.constant([[0.1, 0.2], [0.3, 0.4]]))
    memory.scatter(tf.constant([2]), tf.constant([[0.7, 0.8]]))
    rows = memory.gather(tf.constant([0, 1, 2])).numpy()
    np.testing.assert_array_equal(rows, np.float32([[0.3, 0.4], [0.5, 0.5], [0.7, 0.8]]))
    entries = memory.gather_entries(tf.constant([[2, 0], [0, 1], [2, 0]])).numpy()
    np.testing.assert_array_equal(entries, np.float32([0.7, 0.4, 0.7]))


def test_saturated_predictions_stay_finite():
    p = cross_entropy.clamp(tf.constant([[0.0, 1.0, 1e-30]]))
    assert p.numpy().min() == np.float32(1e-7)
    assert p.numpy().max() < 1.0
    losses = cross_entropy.binary_cross_entropy(tf.constant([[1, 0, 0]]), p).numpy()
    np.testing.assert_allclose(losses, [[16.118, 16.0, 0.0]], atol=0.2)
    entropy = signals.uncertainty(p, tf.zeros([1, 3])).numpy()
    assert 0 <= entropy.min() <= entropy.max() < 1e-5


def test_uncertainty_is_at_most_one():
    assert signals.uncertainty(tf.constant([[0.5]]), tf.constant([[1.0]])).numpy() == 1.0
    over = signals.uncertainty(tf.constant([[0.5]]), tf.constant([[1.0 + 1e-6]]))
    assert over.numpy() == 1.0


def test_a_first_visit_changes_nothing():
    new, old = tf.constant([[0.9], [0.9]]), tf.constant([[0.5], [0.5]])
    change = signals.change(new, old, tf.constant([False, True]))
    np.testing.assert_allclose(change, [[0.0], [0.4]], rtol=1e-6)


@pytest.mark.parametrize("loss", [1e-8, 1e-6, 1e-4])
def test_bounded_hardness_keeps_small_losses(loss):
    hardness = signals.hardness(tf.constant([[loss]]), tf.constant([[0.25]]))
    np.testing.assert_allclose(hardness, [[0.75 * -np.expm1(-loss)]], rtol=1e-6)


def test_unknown_hardness():
    with pytest.raises(ValueError, match=r"one of 'bounded', .*Received: kind='soft'\. Pass"):
        signals.hardness(tf.zeros([1, 1]), tf.zeros([1, 1]), "soft")
