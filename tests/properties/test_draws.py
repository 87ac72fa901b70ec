"""Draws of any distribution; what holds of systematic epochs is in tests/sampling."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.properties.examples import examples
from tfmlselect.sampling import decayed_pressure, draw_epoch, pressure_probabilities
from tfmlselect.sampling.capping import cap_probabilities
from tfmlselect.sampling.correlated_draws import draw_correlated_epoch
from tfmlselect.sampling.stream_order import emission_order, window_sizes


@st.composite
def distributions(draw, largest=40):
    """Probabilities (n,), some of them 0, some of them tiny."""
    n = draw(st.integers(1, largest))
    weight = st.one_of(st.just(0.0), st.floats(1e-3, 1.0), st.floats(-300, 0).map(lambda e: 10**e))
    p = np.array(draw(st.lists(weight, min_size=n, max_size=n)))
    p[draw(st.integers(0, n - 1))] = 1.0
    return p / p.sum()


def check_epoch(p, draw):
    """Of `draw(drop_remainder)`: n draws, none twice in a batch, none of probability 0."""
    ids, size = draw(False)
    assert ids.dtype == np.int64
    assert ids.shape == p.shape
    assert (p[ids] > 0).all()
    for start in range(0, len(p), size):
        batch = ids[start : start + size]
        assert len(np.unique(batch)) == len(batch)
    whole = len(p) // size * size
    np.testing.assert_array_equal(draw(True)[0], ids[:whole])


@examples(100)
@given(distributions(), st.data(), st.integers(0, 2**70), st.integers(0, 10**6))
def test_independent_epochs(p, data, seed, epoch):
    size = data.draw(st.integers(1, np.count_nonzero(p)))
    check_epoch(p, lambda drop: (draw_epoch(p, size, seed, epoch, drop), size))


@examples(50)
@given(distributions(12), st.data(), st.integers(0, 2**40))
def test_correlated_epochs(p, data, seed):
    size = data.draw(st.integers(1, np.count_nonzero(p)))
    y = data.draw(arrays("uint8", (len(p), 3), elements=st.integers(0, 1)))
    check_epoch(p, lambda drop: (draw_correlated_epoch(p, y, size, seed, 0, drop), size))


@examples(100)
@given(distributions(), st.data())
def test_a_batch_that_cannot_be_filled(p, data):
    size = data.draw(st.integers(np.count_nonzero(p) + 1, len(p) + 2))
    with pytest.raises(ValueError, match=f"Received: batch_size={size}"):
        draw_epoch(p, size, 0, 0)


@examples(100)
@given(
    arrays("float64", st.integers(1, 30), elements=st.floats(-1e6, 1e6, width=32)),
    st.floats(1.0, 1e6),
)
def test_the_pressure_law(score, pressure):
    """Q = ceil((1 - u) n) from 1 to n, and p in proportion to exp(-(ln s / n) Q)."""
    n = len(score)
    spread = np.ptp(score)
    u = (score - score.min()) / spread if spread else np.zeros(n)
    rank = np.clip(np.ceil((1.0 - u) * n), 1, n)
    weight = pressure ** (-rank / n)
    found = pressure_probabilities(score, pressure).numpy()
    np.testing.assert_allclose(found, weight / weight.sum(), rtol=1e-9)


@examples(100)
@given(st.floats(0, 200), st.floats(1, 1e6), st.floats(0, 100), st.floats(0, 100))
def test_the_pressure_falls_to_one(epoch, initial, start, end):
    found = decayed_pressure(epoch, initial, start, end)
    if epoch < start or end <= start:
        assert found == initial
    else:
        assert found == pytest.approx(max(1, initial ** ((end - epoch) / (end - start))))


@examples(100)
@given(distributions(), st.floats(1.0, 8.0))
def test_a_cap(p, times):
    """Under the cap, in the old order, and those that are not at it in the old proportion."""
    cap = times / len(p)
    found = cap_probabilities(tf.constant(p), tf.constant(cap, tf.float64)).numpy()
    assert found.sum() == pytest.approx(1.0, abs=1e-12)
    assert found.min() >= 0
    assert found.max() <= cap * (1 + 1e-9)
    order = np.argsort(p, kind="stable")
    assert (np.diff(found[order]) >= -1e-12).all()
    if p.max() <= cap:
        np.testing.assert_allclose(found, p, rtol=1e-9)


@examples(100)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 8), st.integers(0, 10**6), st.data())
def test_the_order_of_a_stream(n, window, size, seed, data):
    """Windows follow each other, each with its number of draws, and no batch repeats a sample."""
    sizes = window_sizes(n, window)
    assert sizes.sum() == n
    assert (sizes[:-1] == window).all()
    counts = data.draw(arrays("int64", n, elements=st.integers(0, 2)))
    try:
        ids, emitted = emission_order(counts, sizes, size, np.random.default_rng(seed))
    except RuntimeError as error:
        assert "Received: " in str(error)  # noqa: PT017
        assert (counts > 1).any()
        return
    number = np.repeat(np.arange(len(sizes)), sizes)  # of each sample's window
    np.testing.assert_array_equal(emitted, np.bincount(number, counts, len(sizes)))
    np.testing.assert_array_equal(number[ids], np.repeat(np.arange(len(sizes)), emitted))
    for start in range(0, len(ids), size):
        batch = ids[start : start + size]
        assert len(np.unique(batch)) == len(batch)
    if (counts <= 1).all():
        np.testing.assert_array_equal(np.bincount(ids, minlength=n), counts)
