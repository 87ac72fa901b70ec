"""Probabilities under a cap, against tables worked by hand and a slow exact loop."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support.oracles.adaptive_balance import water_filled
from tfmlselect.sampling.capping import cap_probabilities


def capped(p, cap):
    return cap_probabilities(tf.constant(p, tf.float64), tf.constant(cap, tf.float64)).numpy()


@pytest.mark.parametrize(
    ("p", "cap", "expected"),
    [
        ([0.4, 0.3, 0.2, 0.1], 0.5, [0.4, 0.3, 0.2, 0.1]),
        ([0.4, 0.3, 0.2, 0.1], 0.4, [0.4, 0.3, 0.2, 0.1]),
        # 0.1 is handed to two that are as 2 to 1.
        ([0.7, 0.2, 0.1], 0.6, [0.6, 4 / 15, 2 / 15]),
        # The 0.3 that is left takes the second over the cap too: 0.3 * 2 / 3 + 0.4 > 0.4.
        ([0.6, 0.3, 0.06, 0.04], 0.4, [0.4, 0.4, 0.12, 0.08]),
        ([0.7, 0.2, 0.1], 1 / 3, [1 / 3, 1 / 3, 1 / 3]),
        # Nothing that is positive has room: the others get what is left.
        ([0.5, 0.5, 0.0, 0.0], 0.4, [0.4, 0.4, 0.1, 0.1]),
        ([1.0], 1.0, [1.0]),
    ],
)
def test_table(p, cap, expected):
    found = capped(p, cap)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    np.testing.assert_allclose(water_filled(p, cap), expected, rtol=1e-14)


@pytest.mark.parametrize("tail", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("repeats", [1.0, 1.5, 3.0, 20.0, 500.0])
def test_as_the_exact_loop(repeats, tail):
    n = 400
    p = np.random.default_rng(3).pareto(tail, n)
    p = 0.1 / n + 0.9 * p / p.sum()  # over a floor, as it is used
    found = capped(p, repeats / n)
    np.testing.assert_allclose(found, water_filled(p, repeats / n), rtol=1e-9)
    assert found.sum() == pytest.approx(1.0, abs=1e-14)
    assert found.max() <= repeats / n * (1 + 1e-12)


@pytest.mark.parametrize("ratio", [0.99, 0.9, 0.5, 1e-3])
@pytest.mark.parametrize("repeats", [1.0, 2.0, 20.0])
def test_what_takes_too_many_rounds_is_a_distribution_under_the_cap_all_the_same(repeats, ratio):
    n = 300
    p = ratio ** np.arange(n, dtype=np.float64)
    p /= p.sum()
    found = capped(p, repeats / n)
    assert found.sum() == pytest.approx(1.0, abs=1e-14)
    assert found.min() >= 0
    assert found.max() <= repeats / n * (1 + 1e-12)
    assert (np.diff(found) <= 1e-15).all()


def test_zeros_stay_zeros_where_the_others_have_room():
    p = np.array([0.5, 0.25, 0.25, 0.0])
    np.testing.assert_array_equal(capped(p, 0.4) == 0, p == 0)


def test_compiled_by_xla():
    p = tf.constant(np.random.default_rng(0).dirichlet(np.full(50, 0.1)))
    cap = tf.constant(0.06, tf.float64)
    compiled = tf.function(cap_probabilities, jit_compile=True)
    np.testing.assert_allclose(compiled(p, cap), cap_probabilities(p, cap), rtol=1e-12)
