"""RecencyBias against its slow oracle and by hand."""

import numpy as np
import pytest

import tests.support.oracles.baselines as oracle
from tests.support.oracles.visits import (
    assert_probabilities_agree,
    make_labels,
    observe_epoch,
    observe_rows,
)
from tfmlselect.strategies import RecencyBias

EPOCHS = 4
Y = np.eye(4, 2, dtype=np.uint8)

# Decisions of both labels, visit by visit; 0 is a prediction of .4, 1 is one of exactly .5.
DECISIONS = {
    0: [(1, 1), (0, 1), (1, 1), (0, 0)],
    1: [(0, 1), (1, 0), (1, 0), (1, 0), (1, 1)],
    2: [(1, 1), (0, 1)],
    3: [],
}
VISITS = [(i, [0.4 + 0.1 * d for d in row]) for i, rows in DECISIONS.items() for row in rows]
# A window of 4, H2(1/2) = 1, H2(1/4) = H2(3/4) = .81127812:
# sample 0, shares 1/2 and 3/4; sample 1, the first visit forgotten: 1 and 1/4;
# sample 2, half a window: 1/2 and 1; sample 3, nothing there.
SCORES = [1.81127812, 0.81127812, 1.0, 0.0]
# u = 1, .4479, .5521, 0; 4 (1 - u) = 0, 2.2, 1.8, 4; Q = 1 3 2 4; 16^(-Q/4) = 2^-Q.
P = np.array([8, 2, 4, 1]) / 15


def test_oracle_by_hand():
    slow = oracle.RecencyBiasOracle(Y, window=4, pressure=16.0)
    for i, row in VISITS:
        slow.observe([i], np.array([row]))
    np.testing.assert_allclose(slow.scores(), SCORES, atol=1e-8)
    np.testing.assert_allclose(slow.probabilities(0), P, rtol=1e-12)


def test_package_by_hand():
    strategy = RecencyBias(pressure=16.0, window=4)
    strategy.build(Y)
    observe_rows(strategy, VISITS)
    np.testing.assert_allclose(strategy.scores(), SCORES, atol=1e-6)
    np.testing.assert_allclose(strategy.probabilities(0), P, rtol=1e-12)


@pytest.mark.parametrize("window", [10, 2, 33, 62])
@pytest.mark.parametrize(("n", "q"), [(37, 5), (200, 9)])
def test_every_epoch_agrees(n, q, window):
    rng = np.random.default_rng(n)
    y = make_labels(rng, n, q)
    strategy = RecencyBias(window=window, epochs=EPOCHS)
    slow = oracle.RecencyBiasOracle(y, window=window, epochs=EPOCHS)
    strategy.build(y)
    for epoch in range(EPOCHS):
        observe_epoch(strategy, slow, rng)
        np.testing.assert_allclose(strategy.scores(), slow.scores(), rtol=1e-5)
        assert_probabilities_agree(strategy, slow, epoch)
    assert max(map(len, slow.history)) > 10


@pytest.mark.parametrize("window", [10, 62])
def test_many_more_visits_than_the_window(window):
    rng = np.random.default_rng(0)
    y = make_labels(rng, 20, 3)
    strategy, slow = RecencyBias(window=window), oracle.RecencyBiasOracle(y, window=window)
    strategy.build(y)
    for _ in range(75):
        y_pred = rng.random((20, 3)).astype(np.float32)
        slow.observe(range(20), y_pred)
        strategy.observe(np.arange(20), y_pred)
    np.testing.assert_allclose(strategy.scores(), slow.scores(), rtol=1e-5)


@pytest.mark.parametrize("epoch", [0, 10, 11, 55, 99, 100])
def test_the_pressure_decays_from_the_end_of_the_warmup(epoch):
    rng = np.random.default_rng(2)
    y = make_labels(rng, 37, 5)
    strategy, slow = RecencyBias(), oracle.RecencyBiasOracle(y)
    strategy.build(y)
    observe_epoch(strategy, slow, rng)
    assert_probabilities_agree(strategy, slow, epoch)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 1}, "window=1"),
        ({"window": 63}, "window=63"),
        ({"window": 2.5}, "window=2.5"),
        ({"pressure": 0.9}, "pressure=0.9"),
    ],
)
def test_arguments_out_of_range(settings, message):
    with pytest.raises(ValueError, match=rf"Received: {message}\. \w+"):
        RecencyBias(**settings)
