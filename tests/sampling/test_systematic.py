"""Systematic epochs: by hand, by enumeration, and by what must hold for any distribution."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfmlselect.sampling.systematic import capped, counts_of, spread


def generator(seed=0):
    return np.random.default_rng(seed)


# --- the cap ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "draws", "most", "counts"),
    [
        ([1, 1, 2], 8, 9, [2, 2, 4]),  # nothing to cap
        ([1, 1, 2], 8, 3, [2.5, 2.5, 3]),
        ([1, 3, 12], 8, 3, [2, 3, 3]),  # the second is capped by what the third hands on
        ([0, 1, 2], 8, 4, [0, 4, 4]),
        ([0, 0, 2], 8, 4, [2, 2, 4]),  # too few above 0: the others share what is left
        ([0, 0, 0], 6, 4, [2, 2, 2]),
        ([1, 1, 1], 6, [1, 5, 5], [1, 2.5, 2.5]),
        ([5e-324, 1, 1], 4, 2, [0, 2, 2]),
    ],
)
def test_capped_by_hand(expected, draws, most, counts):
    found = capped(np.array(expected, float), draws, np.array(most, float))
    np.testing.assert_allclose(found, counts, rtol=1e-12, atol=1e-12)


def slowly_capped(expected, draws, most):
    """Sample after sample reaches its limit; the others share what is left in proportion."""
    full = set()
    while True:
        rest = [i for i in range(len(expected)) if i not in full and expected[i] > 0]
        left = draws - sum(most for _ in full)
        if not rest:
            return None
        scale = left / sum(expected[i] for i in rest)
        over = [i for i in rest if scale * expected[i] > most * (1 + 1e-12)]
        if not over:
            return [most if i in full else scale * expected[i] for i in range(len(expected))]
        full.update(over)


@settings(max_examples=200)
@given(st.lists(st.floats(1e-6, 1e3), min_size=2, max_size=12), st.integers(1, 5), st.data())
def test_capped_is_the_slow_way_s(expected, most, data):
    draws = data.draw(st.integers(1, len(expected) * most))
    wanted = slowly_capped(expected, draws, most)
    found = capped(np.array(expected), draws, float(most))
    assert found.sum() == pytest.approx(draws, rel=1e-9)
    assert found.max() <= most * (1 + 1e-9)
    if wanted is not None:
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-9)


# --- counts -------------------------------------------------------------------------------------


def enumerated_moments(expected):
    """E[k] and E[k k'] of systematic sampling over all orders of the samples and all starts u.

    Along an order, sample i has the interval (E_{i-1}, E_i] of the cumulated counts, and its count
    is how many of the marks u, u + 1, ... fall into it. Between two neighbouring fractional parts
    of the E no mark changes its interval, so u need only be tried once in each gap.
    """
    n = len(expected)
    mean, second, orders = np.zeros(n), np.zeros((n, n)), list(itertools.permutations(range(n)))
    for order in orders:
        ends = np.cumsum([expected[i] for i in order])
        cuts = np.unique(np.round(np.append(ends % 1.0, [0.0, 1.0]), 12))
        for low, high in itertools.pairwise(cuts):
            u = (low + high) / 2
            marks = np.arange(u, ends[-1], 1.0)
            found = np.zeros(n)
            for mark in marks:
                found[order[int(np.searchsorted(ends, mark))]] += 1
            mean += (high - low) * found
            second += (high - low) * np.outer(found, found)
    return mean / len(orders), second / len(orders)


@pytest.mark.parametrize(
    "expected",
    [
        [0.5, 0.5, 0.5, 0.5, 0.5, 0.5],
        [0.1, 0.3, 0.6, 0.9, 0.4, 0.7],
        [0.2, 0.2, 0.2, 0.8, 0.9, 0.7],
    ],
)
def test_counts_are_those_of_enumeration(expected):
    expected, runs, rng = np.array(expected), 40_000, generator(1)
    mean, second = enumerated_moments(expected)
    np.testing.assert_allclose(mean, expected, atol=1e-9)
    counts = np.array([counts_of(expected, 3, rng) for _ in range(runs)])
    found = counts.T @ counts / runs
    np.testing.assert_allclose(found, second, atol=5 / np.sqrt(runs))


def test_whole_parts_are_certain():
    for seed in range(50):
        counts = counts_of(np.array([2.0, 1.5, 0.5, 3.0]), 7, generator(seed))
        assert counts[[0, 3]].tolist() == [2, 3]
        assert counts[1:3].tolist() in ([1, 1], [2, 0])


@settings(max_examples=200)
@given(st.integers(1, 60), st.integers(1, 90), st.integers(0, 10**6), st.sampled_from([0.1, 1, 50]))
def test_counts_are_the_expectation_rounded(n, draws, seed, concentration):
    rng = generator(seed)
    expected = rng.dirichlet(np.full(n, concentration)) * draws
    counts = counts_of(expected, draws, rng)
    assert counts.dtype == np.int64
    assert counts.sum() == draws
    assert np.abs(counts - expected).max() < 1 + 1e-8


def test_equal_probabilities_give_each_sample_once():
    for seed in range(20):
        assert (
            counts_of(np.full(1003, 1003 * (1 / 1003)), 1003, generator(seed)).tolist()
            == [1] * 1003
        )


# --- the order ----------------------------------------------------------------------------------


@settings(max_examples=200)
@given(st.integers(1, 60), st.integers(0, 10**6), st.data())
def test_no_sample_twice_in_a_batch(n, seed, data):
    rng = generator(seed)
    batch_size = data.draw(st.integers(1, n))
    draws = data.draw(st.integers(batch_size, n))
    expected = capped(rng.dirichlet(np.full(n, 0.2)), draws, draws // batch_size)
    counts = counts_of(expected, draws, rng)
    ids = spread(counts, batch_size, rng)
    np.testing.assert_array_equal(np.bincount(ids, minlength=n), counts)
    for start in range(0, draws, batch_size):
        batch = ids[start : start + batch_size].tolist()
        assert len(set(batch)) == len(batch)


def test_equal_counts_are_any_permutation_alike():
    rng, seen = generator(), {}
    for _ in range(12_000):
        ids = tuple(spread(np.ones(4, np.int64), 2, rng).tolist())
        seen[ids] = seen.get(ids, 0) + 1
    assert len(seen) == 24
    assert np.abs(np.array([*seen.values()]) - 500).max() < 5 * np.sqrt(500)


def test_copies_of_a_sample_are_spread_over_the_epoch():
    counts = np.array([4] + [1] * 996)
    gaps = []
    for seed in range(50):
        places = np.flatnonzero(spread(counts, 10, generator(seed)) == 0) // 10
        gaps.append(np.diff(places).min())
    assert min(gaps) >= 10  # of a hundred batches
