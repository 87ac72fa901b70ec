"""OnlineBatch against its slow oracle and by hand."""

import numpy as np
import pytest
import tensorflow as tf

import tests.support.oracles.baselines as oracle
from tests.support.oracles.visits import assert_probabilities_agree, make_labels, observe_epoch
from tfmlselect.schedules import Constant
from tfmlselect.strategies import OnlineBatch

EPOCHS = 4

# Mean losses of n = 5 samples, their ranks; at pressure 32 each rank halves: 32^(-1/5) = 1/2.
TABLES = [
    # The three of .5 share ranks 3, 4, 5: weights 1 8 1 4 1, of 15.
    ([0.5, 2, 0.5, 1, 0.5], [4, 1, 4, 2, 4], np.array([1, 8, 1, 4, 1]) / 15),
    # Ranks 4 and 5 shared, and 2 and 3. Weights, times 2^4.5: 1 1 2^3.5 4 4.
    (
        [1, 1, 3, 2, 2],
        [4.5, 4.5, 1, 2.5, 2.5],
        np.array([1, 1, 11.31370850, 4, 4]) / 21.31370850,
    ),
    ([5, 4, 3, 2, 1], [1, 2, 3, 4, 5], np.array([16, 8, 4, 2, 1]) / 31),
    ([7, 7, 7, 7, 7], [3, 3, 3, 3, 3], np.full(5, 0.2)),
]


@pytest.mark.parametrize(("losses", "ranks", "p"), TABLES)
def test_oracle_by_hand(losses, ranks, p):
    np.testing.assert_array_equal(oracle.average_ranks(losses), ranks)
    np.testing.assert_allclose(oracle.rank_probabilities(np.array(ranks), 32.0), p, rtol=1e-8)


@pytest.mark.parametrize(("losses", "ranks", "p"), TABLES)
def test_package_by_hand(losses, ranks, p):
    strategy = OnlineBatch(pressure=32.0)
    strategy.build(np.eye(5, 2, dtype=np.uint8))
    loss = np.array(losses)[:, None] + [[-0.25, 0.25]]  # means over two labels
    y_pred = tf.fill([5, 2], 0.5)
    strategy.observe(tf.range(5), y_pred, tf.constant(loss, tf.float32))
    np.testing.assert_allclose(strategy.probabilities(0), p, rtol=1e-8)
    np.testing.assert_allclose(strategy.probabilities(100), 0.2, rtol=1e-12)


@pytest.mark.parametrize("pressure", [100.0, 8.0])
@pytest.mark.parametrize(("n", "q"), [(37, 5), (200, 9)])
def test_every_epoch_agrees(n, q, pressure):
    rng = np.random.default_rng(n)
    y = make_labels(rng, n, q)
    strategy = OnlineBatch(pressure=pressure, epochs=EPOCHS)
    slow = oracle.OnlineBatchOracle(y, pressure=pressure, epochs=EPOCHS)
    strategy.build(y)
    for epoch in range(EPOCHS):
        observe_epoch(strategy, slow, rng)
        assert_probabilities_agree(strategy, slow, epoch)


def test_the_pressure_decays_from_the_first_epoch_to_the_last():
    strategy = OnlineBatch(epochs=8)
    strategy.build(np.eye(5, dtype=np.uint8))
    strategy.observe(tf.range(5), tf.linspace([0.1] * 5, [0.9] * 5, 5))
    ratios = []
    for epoch in range(10):
        p = strategy.probabilities(epoch).numpy()
        ratios.append(p.max() / p.min())
    # Ranks 1 to n: the ratio is s^((n - 1) / n).
    expected = [(100.0 * 100.0 ** (-min(epoch, 8) / 8)) ** 0.8 for epoch in range(10)]
    np.testing.assert_allclose(ratios, expected, rtol=1e-9)
    constant = OnlineBatch(Constant(32.0), epochs=8)
    constant.build(np.eye(5, dtype=np.uint8))
    constant.observe(tf.range(5), tf.linspace([0.1] * 5, [0.9] * 5, 5))
    np.testing.assert_array_equal(constant.probabilities(0), constant.probabilities(8))


def test_before_any_visit_all_are_alike():
    strategy = OnlineBatch()
    strategy.build(np.eye(5, dtype=np.uint8))
    np.testing.assert_allclose(strategy.probabilities(0), 1 / 5, rtol=1e-12)


@pytest.mark.parametrize("pressure", [0.5, -1.0, float("nan"), float("inf"), "8", None])
def test_no_pressure(pressure):
    with pytest.raises(ValueError, match=rf"Received: .*{pressure!r}.*\. \w+"):
        OnlineBatch(pressure)
