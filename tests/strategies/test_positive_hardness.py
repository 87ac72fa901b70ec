"""PositiveHardness against its slow oracle and a table worked by hand.

Scores agree to 1e-5, probabilities to one step of the quantised pressure law.
"""

import numpy as np
import pytest
import tensorflow as tf

import tests.support.oracles.positive_hardness as oracle
from tfmlselect.strategies import PositiveHardness

EPOCHS = 4

# The table: n = 5 samples, q = 3 labels. Label 2 has no positives, sample 4 no labels.
Y = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0], [0, 0, 0]], np.uint8)
# Sample 0 is seen twice, sample 4 never.
BATCHES = [
    ([3, 0, 1], [[0.7, 0.2, 0.6], [0.5, 0.7, 0.2], [0.8, 0.4, 0.1]]),
    ([2, 0], [[0.4, 0.5, 0.3], [0.5, 0.2, 0.2]]),
]
# 5.3: h = 1 - p of the truth; sample 0, label 1: F = .7 * |.2 - .7| = .35, so h = .8 * .65.
H = np.array([[0.5, 0.52, 0.2], [0.2, 0.4, 0.1], [0.6, 0.5, 0.3], [0.3, 0.2, 0.6], [0.5] * 3])
# 9.1: v. Counts 4 1 0. Label 0: (.5 + .2 + .6 + .3) / 4 = .4, times 1. Label 1: .52 times
# sqrt(4) = 1.04. Their mean is .72.
V = np.array([0.55555556, 1.44444444, 0])
# 9.2: rows of h sum to 1.22 .7 1.4 1.1 1.5, in all 5.92; a quarter of mean_j h / mean_ij h is
# (row / 3) / (5.92 / 15) / 4 = row / 4.736.
SCORE = np.array(
    [
        0.77204580,  # (.55555556 * .5 + 1.44444444 * .52) / 2 = .51444444, + .25760135
        0.25891517,  # .55555556 * .2 = .11111111, + .14780405
        0.62894144,  # .55555556 * .6 = .33333333, + .29560811
        0.39893018,  # .55555556 * .3 = .16666667, + .23226351
        0.31672297,  # no labels: 0, + .31672297
    ]
)
# 9.3 at pressure 32, n = 5: a step is 32^(1/5) = 2. u = 1, 0, .3700 / .5131 = .721,
# .1400 / .5131 = .273, .0578 / .5131 = .113; 5 (1 - u) = 0, 5, 1.39, 3.64, 4.44; Q = 1 5 2 4 5.
P_32 = np.array([16, 1, 8, 2, 1]) / 28


def observed(strategy):
    for ids, y_pred in BATCHES:
        strategy.observe(np.array(ids), np.array(y_pred, np.float32))
    return strategy


def assert_agree(strategy, expected, epoch):
    np.testing.assert_allclose(strategy.scores(), expected.scores(), rtol=1e-5)
    p, q = np.asarray(strategy.probabilities(epoch)), expected.probabilities(epoch)
    assert p.dtype == np.float64
    assert p.sum() == pytest.approx(1, abs=1e-12)
    step = np.log(expected.pressure_at(epoch)) * (1e-5 + 1 / len(p))
    assert np.abs(np.log(p) - np.log(q)).max() <= step + 1e-12


def test_table_of_the_oracle():
    expected = observed(oracle.PositiveHardnessOracle(Y, pressure=32, decay_start=0))
    np.testing.assert_allclose(expected.hardness(), H, rtol=1e-6)
    np.testing.assert_allclose(oracle.label_weights(H, Y), V, rtol=1e-7)
    np.testing.assert_allclose(oracle.score(H, V, Y), SCORE, rtol=1e-7)
    np.testing.assert_allclose(expected.scores(), SCORE, rtol=1e-6)
    np.testing.assert_allclose(expected.probabilities(0), P_32, rtol=1e-12)


def test_table_of_the_package():
    strategy = PositiveHardness(32.0)
    strategy.build(Y)
    observed(strategy)
    np.testing.assert_allclose(strategy.scores(), SCORE, rtol=1e-6)
    np.testing.assert_allclose(strategy.probabilities(0), P_32, rtol=1e-12)
    np.testing.assert_allclose(strategy.probabilities(100), 0.2, rtol=1e-12)


def make_labels(rng, n, q):
    """Labels, one without positives, and some samples without labels."""
    y = (rng.random((n, q)) < np.linspace(0.05, 0.5, q)).astype(np.uint8)
    y[:, 1] = 0
    y[::7] = 0
    return y


def epoch_of_visits(rng, n, q, batch_size):
    """Batches that visit each sample 0, 1 or 7 times."""
    times = rng.choice([0, 1, 7], n, p=[0.2, 0.6, 0.2])
    times[:3] = 0, 1, 7
    for visit in range(7):
        ids = rng.permutation(np.flatnonzero(times > visit))
        for batch in np.split(ids, range(batch_size, len(ids), batch_size)):
            logits = rng.normal(0, 2, (len(batch), q))
            yield batch, (1 / (1 + np.exp(-logits))).astype(np.float32)


@pytest.mark.parametrize("with_loss", [False, True], ids=["bce", "given-loss"])
@pytest.mark.parametrize(
    "settings", [{}, {"hardness": "loss"}, {"hardness": "released"}, {"flip_weight": 0.4}], ids=str
)
@pytest.mark.parametrize(("n", "q", "batch_size"), [(37, 5, 8), (200, 12, 64)])
def test_every_epoch_agrees(n, q, batch_size, settings, with_loss):
    rng = np.random.default_rng(n)
    y = make_labels(rng, n, q)
    expected = oracle.PositiveHardnessOracle(y, decay_start=0, epochs=EPOCHS, **settings)
    strategy = PositiveHardness(epochs=EPOCHS, **settings)
    strategy.build(y)
    assert_agree(strategy, expected, 0)
    for epoch in range(EPOCHS):
        for ids, y_pred in epoch_of_visits(rng, n, q, batch_size):
            loss = [rng.gamma(2, 1, y_pred.shape).astype(np.float32)] if with_loss else []
            expected.observe(ids, y_pred, *loss)
            strategy.observe(*map(tf.constant, [ids, y_pred, *loss]))
        assert_agree(strategy, expected, epoch)


def test_class_ids():
    rng = np.random.default_rng(1)
    classes = rng.choice(4, 60, p=[0.5, 0.3, 0.1, 0.1])
    expected = oracle.PositiveHardnessOracle(np.eye(4)[classes], decay_start=0)
    strategy = PositiveHardness()
    strategy.build(classes)
    for ids, y_pred in epoch_of_visits(rng, 60, 4, 16):
        y_pred = y_pred / y_pred.sum(axis=1, keepdims=True)
        expected.observe(ids, y_pred)
        strategy.observe(ids, y_pred)
    assert_agree(strategy, expected, 5)


def test_without_any_positive_the_overall_hardness_is_left():
    strategy = PositiveHardness()
    strategy.build(np.zeros((4, 2), np.uint8))
    np.testing.assert_allclose(strategy.scores(), 0.25)
    np.testing.assert_allclose(strategy.probabilities(0), 0.25)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"pressure": 0.5}, "pressure"),
        ({"flip_weight": 1.5}, "flip_weight"),
        ({"hardness": "soft"}, "hardness"),
    ],
)
def test_settings_that_are_refused(settings, match):
    with pytest.raises(ValueError, match=match):
        PositiveHardness(**settings)
