"""The order of a stream: by hand, by what must hold, and in expectation."""

import numpy as np
import pytest

from tfmlselect.sampling.stream_order import emission_order, window_sizes
from tfmlselect.sampling.systematic import counts_of


@pytest.mark.parametrize(
    ("n", "window", "sizes"),
    [(10, 4, [4, 6]), (8, 4, [4, 4]), (3, 4, [3]), (7, 4, [7]), (1003, 100, [100] * 9 + [103])],
)
def test_windows_cover_the_source(n, window, sizes):
    assert window_sizes(n, window).tolist() == sizes


def random_stream(seed):
    rng = np.random.default_rng(seed)
    batch_size, n = int(rng.integers(1, 40)), int(rng.integers(60, 2000))
    sizes = window_sizes(n, min(n, int(rng.integers(4, 12)) * batch_size))
    p = rng.dirichlet(np.full(n, rng.choice([0.3, 1.0, 30.0])))
    return counts_of(p * n, n, rng), sizes, batch_size, rng


@pytest.mark.parametrize("seed", range(60))
def test_no_sample_twice_in_a_batch_and_none_outside_its_window(seed):
    counts, sizes, batch_size, rng = random_stream(seed)
    ids, emitted = emission_order(counts, sizes, batch_size, rng)
    assert len(ids) == counts.sum()
    for start in range(0, len(ids), batch_size):
        batch = ids[start : start + batch_size]
        assert len(set(batch.tolist())) == len(batch)
    window = np.searchsorted(np.cumsum(sizes), ids, side="right")
    np.testing.assert_array_equal(window, np.repeat(np.arange(len(sizes)), emitted))


def test_counts_are_kept_where_the_window_is_large_enough():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(1000))
    counts = counts_of(p * 1000, 1000, rng)
    ids, _ = emission_order(counts, window_sizes(1000, 250), 10, rng)
    np.testing.assert_array_equal(np.bincount(ids, minlength=1000), counts)


def test_too_many_copies_for_a_window_go_to_others():
    counts = np.array([40, *[0] * 20, *[1] * 19, 1])
    ids, _ = emission_order(counts, window_sizes(41, 41), 10, np.random.default_rng(0))
    assert len(ids) == 60
    for batch in ids.reshape(6, 10):
        assert len(set(batch.tolist())) == 10
    assert np.bincount(ids)[0] == 6


def test_every_place_of_a_window_is_possible():
    """Each of 12 samples stands at each of the 12 places of a window about equally often."""
    rng = np.random.default_rng(0)
    seen = np.zeros((12, 12))
    for _ in range(6000):
        ids, _ = emission_order(np.ones(12, np.int64), np.array([12]), 3, rng)
        seen[np.arange(12), ids] += 1
    expected = 6000 / 12
    assert np.abs(seen - expected).max() < 5 * np.sqrt(expected)
