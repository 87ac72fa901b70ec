"""ActiveBias against its slow oracle and by hand.

Probabilities agree to 1e-4 relative: mean and sum of squares run along in float32, visit by
visit, and a variance of predictions that are nearly the same loses digits there.
"""

import numpy as np
import pytest

import tests.support.oracles.baselines as oracle
from tests.support.oracles.visits import make_labels, observe_epoch, observe_rows
from tfmlselect.strategies import ActiveBias

Y = np.array([[1, 0], [0, 1], [1, 1]], np.uint8)
VISITS = [
    (0, [0.2, 0.3]),
    (1, [0.1, 0.5]),
    (2, [0.9, 0.8]),
    (0, [0.6, 0.3]),
    (1, [0.5, 0.5]),
    (1, [0.9, 0.5]),
]
# Sample 0, label 0: .2 .6, v = .08; v^2 / 2 = .0032; root of .0832. Label 1: always .7, 0.
# Sample 1, label 0: .9 .5 .1, v = .16; v^2 / 3 = .00853333; root of .16853333. Label 1: 0.
# Sample 2, one visit: the mean of the others, .34948611, which is ε as well.
FIRST_TERM = np.array([0.28844410, 0.41052811, 0.34948611])
SCORES = FIRST_TERM + 0.34948611


def observed(strategy, visits=VISITS):
    if isinstance(strategy, ActiveBias):
        strategy.build(Y)
        observe_rows(strategy, visits)
    else:
        for i, row in visits:
            strategy.observe([i], np.array([row]))
    return strategy


def test_oracle_by_hand():
    np.testing.assert_allclose(observed(oracle.ActiveBiasOracle(Y)).scores(), SCORES, rtol=1e-7)


def test_package_by_hand():
    p = observed(ActiveBias()).probabilities(0)
    np.testing.assert_allclose(p, SCORES / SCORES.sum(), rtol=1e-6)


@pytest.mark.parametrize(("n", "q"), [(37, 5), (200, 9)])
def test_every_epoch_agrees(n, q):
    rng = np.random.default_rng(n)
    y = make_labels(rng, n, q)
    strategy, slow = ActiveBias(epochs=4), oracle.ActiveBiasOracle(y)
    strategy.build(y)
    for epoch in range(4):
        observe_epoch(strategy, slow, rng)
        np.testing.assert_allclose(
            strategy.probabilities(epoch), slow.probabilities(epoch), rtol=1e-4
        )


@pytest.mark.parametrize(
    "visits",
    [[], VISITS[:3], [(0, [0.25, 0.5])] * 3],
    ids=["no visit", "one visit each", "always the same"],
)
def test_uniform_where_nothing_varies(visits):
    for strategy in (ActiveBias(), oracle.ActiveBiasOracle(Y)):
        p = observed(strategy, visits).probabilities(0)
        np.testing.assert_allclose(p, 1 / 3, rtol=1e-12)


def test_a_variance_far_below_the_mean_survives_float32():
    strategy, slow = ActiveBias(), oracle.ActiveBiasOracle(Y)
    visits = [(i, [0.99 + 1e-3 * (k % 2) * i, 0.5]) for k in range(40) for i in range(3)]
    p, expected = (observed(each, visits).probabilities(0) for each in (strategy, slow))
    np.testing.assert_allclose(p, expected, rtol=2e-3)


@pytest.mark.parametrize("settings", [{"warmup": -1}, {"epochs": 0}], ids=str)
def test_arguments_out_of_range(settings):
    with pytest.raises(ValueError, match=r"Received: \w+=-?\d\. Pass"):
        ActiveBias(**settings)
