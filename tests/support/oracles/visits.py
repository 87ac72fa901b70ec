"""Labels and simulated epochs of uneven visits, shown to a strategy and to its oracle alike."""

import numpy as np
import tensorflow as tf


def make_labels(rng, n, q):
    """0/1 labels, rare to frequent, with some samples and a label without positives."""
    y = (rng.random((n, q)) < np.linspace(0.05, 0.5, q)).astype(np.uint8)
    y[:, 1] = 0
    y[::7] = 0
    return y


def make_known(y, known):
    """Labels as float64 with 0 where they are unknown, and which are known: all, by default."""
    known = np.ones(np.shape(y), bool) if known is None else np.asarray(known, bool)
    return np.where(known, np.asarray(y, np.float64), 0.0), known


def mean_known(values, known):
    """The mean of the known ones of a row or of a table; 0 where there are none."""
    chosen = [value for value, ok in zip(np.ravel(values), np.ravel(known), strict=True) if ok]
    return sum(chosen) / len(chosen) if chosen else 0.0


def epoch_of_visits(rng, n, batch_size):
    """Batches of distinct ids which visit each sample 0, 1 or 7 times; sample 0 never."""
    times = rng.choice([0, 1, 7], n, p=[0.2, 0.6, 0.2])
    times[:3] = 0, 1, 7
    for visit in range(7):
        ids = rng.permutation(np.flatnonzero(times > visit))
        yield from np.split(ids, range(batch_size, len(ids), batch_size))


def observe_epoch(strategy, oracle, rng, batch_size=16):
    """Show one epoch of the same random predictions to both."""
    n, q = oracle.y.shape
    for ids in epoch_of_visits(rng, n, batch_size):
        y_pred = (1 / (1 + np.exp(-rng.normal(0, 2, (len(ids), q))))).astype(np.float32)
        oracle.observe(ids, y_pred)
        strategy.observe(tf.constant(ids), tf.constant(y_pred))


def observe_rows(strategy, visits):
    """Show visits one at a time: pairs of an id and its predictions."""
    for i, row in visits:
        strategy.observe(tf.constant([i]), tf.constant([row], tf.float32))


def assert_probabilities_agree(strategy, oracle, epoch):
    """To one step of the quantised pressure law: a score on the border of two may fall to either.

    1e-12: where the pressure has decayed to 1 there is no step, only float64 rounding.
    """
    expected, actual = oracle.probabilities(epoch), strategy.probabilities(epoch)
    assert actual.dtype == tf.float64
    assert actual.shape == expected.shape
    assert abs(np.sum(actual) - 1) <= 1e-12
    step = np.log(oracle.pressure_at(epoch)) * (1e-5 + 1 / len(expected))
    assert np.max(np.abs(np.log(actual) - np.log(expected))) <= step + 1e-12
