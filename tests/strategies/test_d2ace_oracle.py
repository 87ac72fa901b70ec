"""D2ACE against its slow oracle, over epochs of uneven visits.

Scores agree to 1e-5. Probabilities agree to one step of the quantised pressure law: a score that
lies on the border of two steps may fall to either side in float32.
"""

import numpy as np
import pytest
import tensorflow as tf

from tests.support.oracles.d2ace import D2ACEOracle
from tfmlselect.strategies import D2ACE

EPOCHS = 6


def make_labels(rng, n, q, holes):
    """0/1 labels, rare to frequent; with holes: a label and some samples without positives."""
    y = (rng.random((n, q)) < np.linspace(0.05, 0.5, q)).astype(np.uint8)
    if holes:
        y[:, 1] = 0
        y[::7] = 0
    return y


def make_neighbors(rng, n, k=6):
    """`k` other samples for each sample."""
    return np.stack([(i + rng.choice(np.arange(1, n), k, replace=False)) % n for i in range(n)])


def epoch_of_visits(rng, n, batch_size):
    """Batches of distinct ids which visit each sample 0, 1 or 7 times; sample 0 never."""
    times = rng.choice([0, 1, 7], n, p=[0.2, 0.6, 0.2])
    times[:3] = 0, 1, 7
    for visit in range(7):
        ids = rng.permutation(np.flatnonzero(times > visit))
        yield from np.split(ids, range(batch_size, len(ids), batch_size))


def focal_loss(y, p):
    """A per-label loss that is not binary cross-entropy."""
    p_true = np.where(y == 1, p, 1 - p)
    return -((1 - p_true) ** 2) * np.log(p_true)


def observe_epoch(strategy, oracle, rng, y, batch_size, with_loss=False):
    """Show one epoch of the same random predictions to both."""
    for ids in epoch_of_visits(rng, len(y), batch_size):
        logits = rng.normal(0, 2, (len(ids), y.shape[1]))
        y_pred = (1 / (1 + np.exp(-logits))).astype(np.float32)
        observation = [ids, y_pred]
        if with_loss:
            observation.append(focal_loss(y[ids], y_pred).astype(np.float32))
        oracle.observe(*observation)
        strategy.observe(*map(tf.constant, observation))


def assert_agree(strategy, oracle, epoch, atol=0):
    """The tolerances of this file."""
    for actual, expected in zip(strategy.scores(), oracle.scores(epoch), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=atol)
    expected = oracle.probabilities(epoch)
    actual = strategy.probabilities(epoch)
    assert actual.dtype == tf.float64
    assert actual.shape == expected.shape
    assert np.sum(actual) == pytest.approx(1, abs=1e-12)
    step = np.log(oracle.pressure_at(epoch)) * (1e-5 + 1 / len(expected))
    # 1e-12: where the pressure has decayed to 1 there is no step, only float64 rounding.
    assert np.max(np.abs(np.log(actual) - np.log(expected))) <= step + 1e-12


@pytest.mark.parametrize("with_loss", [False, True], ids=["bce", "given-loss"])
@pytest.mark.parametrize("with_neighbors", [False, True], ids=["alone", "neighbors"])
@pytest.mark.parametrize("hardness", ["bounded", "loss", "released"])
@pytest.mark.parametrize(
    ("n", "q", "holes", "batch_size"), [(37, 5, True, 8), (300, 12, False, 64)], ids=["37", "300"]
)
def test_every_epoch_agrees(n, q, holes, batch_size, hardness, with_neighbors, with_loss):
    rng = np.random.default_rng(n)
    y = make_labels(rng, n, q, holes)
    neighbors = make_neighbors(rng, n) if with_neighbors else None
    oracle = D2ACEOracle(y, neighbors, hardness=hardness, epochs=EPOCHS)
    k = 6 if with_neighbors else 0
    strategy = D2ACE(neighbors=k, hardness=hardness, epochs=EPOCHS)
    strategy.build(y, neighbors=neighbors)
    for epoch in range(EPOCHS):
        observe_epoch(strategy, oracle, rng, y, batch_size, with_loss)
        assert_agree(strategy, oracle, epoch)


def test_more_samples_than_one_chunk_of_rows():
    rng = np.random.default_rng(0)
    y = make_labels(rng, 5000, 20, holes=True)
    neighbors = make_neighbors(rng, 5000)
    oracle = D2ACEOracle(y, neighbors, epochs=EPOCHS)
    strategy = D2ACE(epochs=EPOCHS)
    strategy.build(y, neighbors=neighbors)
    for epoch in range(EPOCHS):
        observe_epoch(strategy, oracle, rng, y, batch_size=1000)
        if epoch in (0, EPOCHS - 1):
            assert_agree(strategy, oracle, epoch)


@pytest.mark.parametrize("hardness", ["bounded", "loss", "released"])
def test_before_any_visit(hardness):
    rng = np.random.default_rng(1)
    y = make_labels(rng, 37, 5, holes=True)
    neighbors = make_neighbors(rng, 37)
    strategy = D2ACE(hardness=hardness)
    strategy.build(y, neighbors=neighbors)
    assert_agree(strategy, D2ACEOracle(y, neighbors, hardness=hardness), epoch=0)


def test_samples_that_are_alike_are_drawn_uniformly():
    strategy = D2ACE(neighbors=0)
    strategy.build(np.ones((37, 5), np.uint8))
    np.testing.assert_allclose(strategy.probabilities(0), 1 / 37, rtol=1e-12)


def test_predictions_of_exactly_zero_and_one():
    rng = np.random.default_rng(2)
    y = make_labels(rng, 37, 5, holes=True)
    oracle, strategy = D2ACEOracle(y), D2ACE(neighbors=0)
    strategy.build(y)
    for _ in range(3):
        ids, y_pred = rng.permutation(37), rng.integers(0, 2, (37, 5)).astype(np.float32)
        oracle.observe(ids, y_pred)
        strategy.observe(tf.constant(ids), tf.constant(y_pred))
    # 1 - 1e-7 is not a float32: its neighbour stands for it, 2e-8 away.
    assert_agree(strategy, oracle, epoch=0, atol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        {"pressure": 16.0, "decay_start": 0.3},
        {"mix": (0.9, 0.2), "mix_span": (0.2, 0.5)},
        {"window": 2},
        {"window": 12},
        {"flip_weight": 0.4},
    ],
    ids=str,
)
def test_settings(settings):
    rng = np.random.default_rng(3)
    y = make_labels(rng, 37, 5, holes=False)
    oracle = D2ACEOracle(y, epochs=EPOCHS, **settings)
    strategy = D2ACE(neighbors=0, epochs=EPOCHS, **settings)
    strategy.build(y)
    for _ in range(2):
        observe_epoch(strategy, oracle, rng, y, batch_size=8)
    for epoch in range(EPOCHS + 2):
        assert_agree(strategy, oracle, epoch)


@pytest.mark.parametrize("whole", [{"decay_start": 2, "mix_span": (2, 4)}, {"decay_start": EPOCHS}])
def test_whole_numbers_are_epochs(whole):
    rng = np.random.default_rng(4)
    y = make_labels(rng, 37, 5, holes=False)
    fractions = {name: np.divide(points, EPOCHS) for name, points in whole.items()}
    oracle = D2ACEOracle(y, epochs=EPOCHS, **fractions)
    strategy = D2ACE(neighbors=0, epochs=EPOCHS, **whole)
    strategy.build(y)
    observe_epoch(strategy, oracle, rng, y, batch_size=8)
    for epoch in range(EPOCHS + 2):
        assert_agree(strategy, oracle, epoch)


@pytest.mark.parametrize("epoch", [0, 10, 11, 40, 70, 99, 100])
def test_a_run_is_100_epochs_where_nothing_is_said(epoch):
    rng = np.random.default_rng(5)
    y = make_labels(rng, 37, 5, holes=False)
    oracle, strategy = D2ACEOracle(y, epochs=100), D2ACE(neighbors=0)
    strategy.build(y)
    observe_epoch(strategy, oracle, rng, y, batch_size=8)
    assert_agree(strategy, oracle, epoch)


def test_without_neighbors_or_features_warns_once_and_uses_own_labels():
    rng = np.random.default_rng(6)
    y = make_labels(rng, 37, 5, holes=False)
    oracle, strategy = D2ACEOracle(y, neighbors=None), D2ACE()
    with pytest.warns(UserWarning, match="neighbo") as warned:
        strategy.build(y, features=None, neighbors=None)
    assert len(warned) == 1
    # From here on a second warning would be an error.
    for epoch in range(2):
        observe_epoch(strategy, oracle, rng, y, batch_size=8)
        assert_agree(strategy, oracle, epoch)
