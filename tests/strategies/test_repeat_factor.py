"""RepeatFactor against its formula, a table worked by hand, and what moves its factors."""

import numpy as np
import pytest

import tfmlselect as tfml
from tests.support.oracles.repeat_factor import probabilities
from tfmlselect.strategies import RepeatFactor

# n = 8, q = 4. Counts 8, 2, 1, 0: shares 1, 1/4, 1/8, 0. With t = 1/2 their factors are
# max(1, sqrt(1/2)) = 1, sqrt(2) and sqrt(4) = 2; the last label has no sample.
Y = np.array(
    [
        [1, 0, 0, 0],
        [1, 1, 0, 0],
        [1, 1, 1, 0],
        [1, 0, 0, 0],
        [1, 0, 0, 0],
        [1, 0, 0, 0],
        [1, 0, 0, 0],
        [1, 0, 0, 0],
    ],
    np.uint8,
)
# The rarest label decides, and counts once.
R = np.array([1, np.sqrt(2), 2, 1, 1, 1, 1, 1])


def built(y, *args, **options):
    strategy = RepeatFactor(*args, **options)
    strategy.build(y)
    return strategy


def random_labels(n, q):
    rng = np.random.default_rng(n)
    y = (rng.random((n, q)) < np.linspace(0, 0.5, q) ** 2).astype(np.uint8)
    y[::7] = 0
    return y


def test_table():
    np.testing.assert_allclose(probabilities(Y, 0.5), R / R.sum(), rtol=1e-12)
    np.testing.assert_allclose(built(Y, 0.5).probabilities(0), R / R.sum(), rtol=1e-12)


def test_a_sample_without_labels_has_a_factor_of_one():
    y = Y.copy()
    y[7] = 0
    p = built(y, 0.5).probabilities(0).numpy()
    np.testing.assert_allclose(p[2] / p[7], 2.0, rtol=1e-12)
    np.testing.assert_allclose(p[7], p[0], rtol=1e-12)


@pytest.mark.parametrize("threshold", [0.001, 0.1, 0.3, 1.0])
@pytest.mark.parametrize(("n", "q"), [(37, 5), (300, 20)])
def test_oracle(n, q, threshold):
    y = random_labels(n, q)
    p = np.asarray(built(y, threshold).probabilities(3))
    assert p.dtype == np.float64
    assert p.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(p, probabilities(y, threshold), rtol=1e-12)


def test_the_default_threshold_is_a_tenth():
    y = random_labels(300, 20)
    np.testing.assert_allclose(built(y).probabilities(0), probabilities(y, 0.1), rtol=1e-12)
    assert np.ptp(probabilities(y, 0.1)) > 1e-3


def test_below_all_shares_it_is_uniform():
    np.testing.assert_allclose(built(Y, 0.125).probabilities(0), 1 / 8, rtol=1e-12)
    assert np.ptp(built(Y, 0.126).probabilities(0)) > 0


def test_four_times_rarer_is_drawn_twice_as_often():
    y = np.zeros((100, 2), np.uint8)
    y[:16, 0], y[16:20, 1] = 1, 1
    p = built(y, 0.64).probabilities(0).numpy()
    np.testing.assert_allclose([p[0] / p[99], p[16] / p[0]], 2.0, rtol=1e-12)


def test_labels_that_are_all_empty_are_drawn_uniformly():
    np.testing.assert_allclose(built(np.zeros((4, 2), np.uint8)).probabilities(0), 0.25)


def test_copies_of_the_training_set_change_nothing_but_the_scale():
    once, thrice = built(Y, 0.5), built(np.tile(Y, (3, 1)), 0.5)
    expected = np.tile(once.probabilities(0), 3) / 3
    np.testing.assert_allclose(thrice.probabilities(0), expected, rtol=1e-12)


def test_visits_change_nothing():
    strategy = built(Y, 0.5)
    strategy.observe(np.array([0, 1]), np.full((2, 4), 0.9, np.float32))
    for epoch in (0, 50, 200):
        np.testing.assert_allclose(strategy.probabilities(epoch), R / R.sum(), rtol=1e-12)


def test_it_is_known_by_its_name():
    strategy = tfml.strategies.get("repeat_factor")
    assert type(strategy) is RepeatFactor
    assert strategy.get_config() == {"threshold": 0.1, "warmup": 0, "epochs": None}


@pytest.mark.parametrize("threshold", [0, -0.1, 1.5, float("nan"), True, None, "0.1"])
def test_no_threshold(threshold):
    with pytest.raises(ValueError, match=r"`threshold` .*> 0 .*<= 1\. Received: .* Pass for exam"):
        RepeatFactor(threshold)
