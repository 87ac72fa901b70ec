"""HardImbalance against its slow oracle, a table worked by hand, and exact enumeration of batches.

Scores agree to 1e-5, probabilities to one step of the quantised pressure law.
"""

import numpy as np
import pytest
import tensorflow as tf

import tests.support.oracles.hard_imbalance as oracle
from tfmlselect.sampling.correlated_draws import (
    _SequenceDraw,
    draw_correlated_epoch,
    label_affinity,
)
from tfmlselect.sampling.draws import cumulate, draw_epoch
from tfmlselect.strategies import HardImbalance

# The table: n = 6 samples, q = 4 labels, k = 3 neighbours. Sample 5 has no label.
# Counts 5 4 3 2; IRLbl 1, 1.25, 1.66666667, 2.5, mean 1.60416667: labels 2 and 3 are minority.
Y = np.array(
    [[1, 1, 1, 0], [1, 1, 0, 1], [1, 0, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]], np.uint8
)
NEIGHBORS = np.array([[1, 2, 4], [2, 3, 0], [0, 1, 3], [0, 1, 2], [1, 3, 5], [0, 1, 2]])

# 3.1: C. Label 2: of 1 2 4 lacks it 1; of 0 1 3 lack it 1 3; all of 1 3 5. Label 3: of 2 3 0 lack
# it 3 0; of 0 1 3 lack it 0 3.
C = np.zeros((6, 4))
C[[0, 2, 4], 2] = 1 / 3, 2 / 3, 1
C[[1, 2], 3] = 2 / 3, 2 / 3
# 3.2: T. Label 2: 1/3 and 2/3 of their sum 1, sample 4 an outlier. Label 3: halves of 4/3.
T = np.zeros((6, 4))
T[[0, 2], 2] = 1 / 3, 2 / 3
T[[1, 2], 3] = 1 / 2, 1 / 2
# 3.3: W. 2: 1 + 2/3 + 1/2;  local: 1 + 2/3 + 2/3.
W = {
    "normalized": np.array([4 / 3, 3 / 2, 13 / 6, 1, 1, 1]),
    "local": np.array([4 / 3, 5 / 3, 7 / 3, 1, 1, 1]),
}
# The visits: sample 0 twice, 4 and 5 never. Latest losses in ln 2 (p of the truth is 2^-bits):
# 1 2 1 1;  1 2 2 3;  1 2 1 2;  4 4 4 3;  and 1 1 1 1 twice: means 1.25 2 1.5 3.75 1 1.
BATCHES = [
    ([1, 0], [[0.5, 0.25, 0.75, 0.125], [0.9, 0.9, 0.9, 0.1]]),
    ([2, 0, 3], [[0.5, 0.75, 0.5, 0.25], [0.5, 0.25, 0.5, 0.5], [0.0625, 0.0625, 0.9375, 0.875]]),
]
# 3.4: score = W * mean loss.  1.25 * 4/3;  2 * 3/2 or 2 * 5/3;  1.5 * 13/6 or 1.5 * 7/3.
SCORE = {
    "normalized": np.log(2) * np.array([5 / 3, 3, 3.25, 3.75, 1, 1]),
    "local": np.log(2) * np.array([5 / 3, 10 / 3, 3.5, 3.75, 1, 1]),
}
# Δ = 3.75 / 6 = .625. score / Δ = 2.67, 4.8 or 5.33, 5.2 or 5.6, 6, 1.6, 1.6;
# Q = 3, 5 or 6, 6, 6, 2, 2. At pressure 64 a step doubles: 64^(1/6) = 2.
P_64 = {
    "normalized": np.array([8, 32, 64, 64, 4, 4]) / 176,
    "local": np.array([8, 64, 64, 64, 4, 4]) / 208,
}
# 3.5: A. n_jk: 01 4, 02 3, 03 2, 12 2, 13 1, 23 1.
A = np.zeros((4, 4))
A[0, 1] = A[1, 0] = 0.9  # (4/5 + 4/4) / 2
A[0, 2] = A[2, 0] = 0.8  # (3/5 + 3/3) / 2
A[0, 3] = A[3, 0] = 0.7  # (2/5 + 2/2) / 2
A[1, 2] = A[2, 1] = 7 / 12  # (2/4 + 2/3) / 2
A[1, 3] = A[3, 1] = 0.375  # (1/4 + 1/2) / 2
A[2, 3] = A[3, 2] = 5 / 12  # (1/3 + 1/2) / 2

MILD = np.array([0.10, 0.12, 0.15, 0.18, 0.20, 0.25])
STEEP = np.array([0.0001, 0.03, 0.006, 0.003, 0.96, 0.0009])


def observed(strategy, batches=BATCHES):
    for ids, y_pred in batches:
        strategy.observe(np.array(ids), np.array(y_pred, np.float32))
    return strategy


def built(**settings):
    strategy = HardImbalance(**{"neighbors": 3, **settings})
    strategy.build(Y, neighbors=NEIGHBORS)
    return strategy


def assert_agree(strategy, expected, epoch=0):
    np.testing.assert_allclose(strategy.scores(), expected.scores(), rtol=1e-5)
    p, q = np.asarray(strategy.probabilities(epoch)), expected.probabilities()
    assert p.dtype == np.float64
    assert p.sum() == pytest.approx(1, abs=1e-12)
    step = np.log(expected.pressure) * (1e-5 + 1 / len(p))
    assert np.abs(np.log(p) - np.log(q)).max() <= step + 1e-12


# By hand.


@pytest.mark.parametrize("weighting", ["normalized", "local"])
def test_table_of_the_oracle(weighting):
    assert oracle.minority_labels(Y) == [2, 3]
    np.testing.assert_allclose(oracle.local_imbalance(Y, NEIGHBORS), C)
    np.testing.assert_allclose(oracle.normalized_imbalance(C), T)
    np.testing.assert_allclose(oracle.sample_weights(Y, NEIGHBORS, weighting), W[weighting])
    hard = observed(oracle.HardImbalanceOracle(Y, NEIGHBORS, weighting=weighting, pressure=64))
    np.testing.assert_allclose(hard.scores(), SCORE[weighting], rtol=1e-6)
    np.testing.assert_allclose(hard.probabilities(), P_64[weighting], rtol=1e-12)


@pytest.mark.parametrize("weighting", ["normalized", "local"])
def test_table_of_the_package(weighting):
    hard = built(weighting=weighting, pressure=64.0)
    np.testing.assert_allclose(hard.scores(), W[weighting] * np.log(2), rtol=1e-6)
    observed(hard)
    np.testing.assert_allclose(hard.scores(), SCORE[weighting], rtol=1e-6)
    for epoch in (0, 99):  # the pressure does not decay
        np.testing.assert_allclose(hard.probabilities(epoch), P_64[weighting], rtol=1e-12)


def test_table_of_given_losses():
    hard = built()
    loss = np.array([[0, 1, 2, 5], [3, 3, 3, 3]], np.float32)  # means 2 and 3
    hard.observe(np.array([2, 4]), np.full((2, 4), 0.5, np.float32), loss)
    expected = W["normalized"] * [np.log(2), np.log(2), 2, np.log(2), 3, np.log(2)]
    np.testing.assert_allclose(hard.scores(), expected, rtol=1e-6)


def test_table_of_affinity():
    np.testing.assert_allclose(oracle.affinity(Y), A)
    np.testing.assert_allclose(label_affinity(Y), A, rtol=1e-12)
    # A label without positives goes with none.
    with_empty = np.insert(Y, 1, 0, axis=1)
    expected = np.insert(np.insert(A, 1, 0, axis=0), 1, 0, axis=1)
    np.testing.assert_allclose(label_affinity(with_empty), expected, rtol=1e-12)


def test_table_of_a_sequence():
    # Member 3 has labels 0 1, sample 2 has 0 2 3: (0 + .8 + .7 + .9 + 7/12 + .375) / 6.
    assert oracle.pull([3], 2, Y, A) == pytest.approx(0.55972222)
    assert oracle.pull([3, 5], 2, Y, A) == pytest.approx(0.27986111)  # sample 5 adds 0
    # Three samples 11 10 01, A_01 = ½ (1/2 + 1/2) = ½: r_01 = r_02 = ½ / 2, r_12 = ½.
    p, y = np.array([0.5, 0.25, 0.25]), np.array([[1, 1], [1, 0], [0, 1]])
    # From 0: 1 and 2 alike. From 1: .5 * 1.25 = .625 against .25 * 1.5 = .375. From 2: likewise.
    expected = {
        (0, 1): 0.25,
        (0, 2): 0.25,
        (1, 0): 0.15625,
        (1, 2): 0.09375,
        (2, 0): 0.15625,
        (2, 1): 0.09375,
    }
    assert oracle.ordered_batches(p, y, 2) == pytest.approx(expected)
    assert oracle.sequence_probability((1, 2), p, y, None, steered=False) == pytest.approx(1 / 12)


# Against the oracle.


def make_data(rng, n, q):
    """Labels, one without positives and some samples without labels, and 5 neighbours."""
    y = (rng.random((n, q)) < np.linspace(0.03, 0.5, q)).astype(np.uint8)
    y[:, 1] = 0
    y[::7] = 0
    return y, np.stack([(i + rng.choice(np.arange(1, n), 5, replace=False)) % n for i in range(n)])


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
@pytest.mark.parametrize("weighting", ["normalized", "local"])
@pytest.mark.parametrize("pressure", [2.0, 64.0])
@pytest.mark.parametrize(("n", "q", "batch_size"), [(37, 5, 8), (200, 12, 64)])
def test_every_epoch_agrees(n, q, batch_size, pressure, weighting, with_loss):
    rng = np.random.default_rng(n)
    y, neighbors = make_data(rng, n, q)
    expected = oracle.HardImbalanceOracle(y, neighbors, weighting=weighting, pressure=pressure)
    assert expected.weights.max() > 1.05  # there is something to weigh
    strategy = HardImbalance(pressure, weighting=weighting)
    strategy.build(y, neighbors=neighbors)
    assert_agree(strategy, expected)
    for epoch in range(4):
        for ids, y_pred in epoch_of_visits(rng, n, q, batch_size):
            loss = [rng.gamma(2, 1, y_pred.shape).astype(np.float32)] if with_loss else []
            expected.observe(ids, y_pred, *loss)
            strategy.observe(*map(tf.constant, [ids, y_pred, *loss]))
        assert_agree(strategy, expected, epoch)


def test_features_are_searched():
    rng = np.random.default_rng(0)
    y, _ = make_data(rng, 37, 5)
    features = rng.normal(size=(37, 3))
    distance = np.linalg.norm(features[:, None] - features, axis=2)
    np.fill_diagonal(distance, np.inf)
    strategy = HardImbalance()
    strategy.build(y, features)
    assert_agree(strategy, oracle.HardImbalanceOracle(y, np.argsort(distance, axis=1)[:, :5]))


def test_class_ids():
    rng = np.random.default_rng(1)
    classes = rng.choice(4, 60, p=[0.5, 0.3, 0.1, 0.1])
    y, neighbors = np.eye(4)[classes], make_data(rng, 60, 4)[1]
    expected = oracle.HardImbalanceOracle(y, neighbors)
    strategy = HardImbalance()
    strategy.build(classes, neighbors=neighbors)
    for ids, y_pred in epoch_of_visits(rng, 60, 4, 16):
        y_pred = y_pred / y_pred.sum(axis=1, keepdims=True)
        expected.observe(ids, y_pred)
        strategy.observe(ids, y_pred)
    assert_agree(strategy, expected)


# Batches as sequences.


def drawn_rows(p, rows, columns, seed=0):
    """What `draw_correlated_epoch` draws its batches with, for many batches of 6 samples."""
    ids, edges = cumulate(p)
    share = (Y / np.maximum(Y.sum(axis=1, keepdims=True), 1)).astype(np.float32)[ids]
    pull = share @ label_affinity(Y).astype(np.float32)
    draw = _SequenceDraw(edges, share, pull, np.random.default_rng(seed))
    return ids[draw.rows(rows, columns)]


def standard_errors(count, total, expected):
    """How far counts are from an expectation that is neither 0 nor 1."""
    spread = np.sqrt(total * expected * (1 - expected))
    return np.abs(count - total * expected) / spread


@pytest.mark.parametrize("batch_size", [2, 3])
@pytest.mark.parametrize("p", [MILD, STEEP], ids=["mild", "steep"])
def test_inclusions_match_enumeration(p, batch_size):
    total = 30_000
    rows = drawn_rows(p, total, batch_size)
    count = np.bincount(rows.ravel(), minlength=6)
    steered = oracle.inclusion(oracle.ordered_batches(p, Y, batch_size), 6)
    assert steered.sum() == pytest.approx(batch_size)
    assert standard_errors(count, total, steered).max() < 5
    plain = oracle.inclusion(oracle.ordered_batches(p, Y, batch_size, steered=False), 6)
    assert standard_errors(count, total, plain).max() > 6


@pytest.mark.parametrize("batch_size", [2, 3])
def test_ordered_batches_match_enumeration(batch_size):
    total = 200_000
    rows = drawn_rows(MILD, total, batch_size, seed=1)
    batches, counts = np.unique(rows, axis=0, return_counts=True)
    count = dict(zip(map(tuple, batches.tolist()), counts.tolist(), strict=True))
    for steered, close in ((True, True), (False, False)):
        expected = oracle.ordered_batches(MILD, Y, batch_size, steered)
        assert count.keys() <= expected.keys()
        away = [standard_errors(count.get(b, 0), total, pr) for b, pr in expected.items()]
        assert (max(away) < 5) == close


@pytest.mark.parametrize("batch_size", [2, 3])
def test_seeded_epochs_match_enumeration(batch_size):
    epochs = 1000
    drawn = [draw_correlated_epoch(MILD, Y, batch_size, 5, epoch) for epoch in range(epochs)]
    count = np.bincount(np.concatenate(drawn), minlength=6)
    expected = oracle.inclusion(oracle.ordered_batches(MILD, Y, batch_size), 6)
    assert standard_errors(count, epochs * 6 // batch_size, expected).max() < 5


def test_without_labels_batches_are_plain():
    rows = np.concatenate([draw_correlated_epoch(MILD, Y * 0, 2, 0, e) for e in range(500)])
    expected = oracle.inclusion(oracle.ordered_batches(MILD, Y * 0, 2), 6)
    assert standard_errors(np.bincount(rows, minlength=6), 1500, expected).max() < 5


GEOMETRIC = np.exp(-0.2 * np.arange(50))


@pytest.mark.parametrize("drop_remainder", [False, True])
@pytest.mark.parametrize(
    "p", [np.ones(50), GEOMETRIC, GEOMETRIC**10], ids=["flat", "steep", "steeper"]
)
@pytest.mark.parametrize("batch_size", [1, 8, 49, 50])
def test_an_epoch_is_n_draws_without_repeats_in_a_batch(p, batch_size, drop_remainder):
    y = make_data(np.random.default_rng(2), 50, 6)[0]
    p = p / p.sum()
    ids = draw_correlated_epoch(p, y, batch_size, 3, 4, drop_remainder)
    assert len(ids) == (50 // batch_size * batch_size if drop_remainder else 50)
    assert ids.dtype == np.int64
    assert ids.min() >= 0
    assert ids.max() < 50
    for batch in np.split(ids, range(batch_size, len(ids), batch_size)):
        assert len(set(batch)) == len(batch)
    whole = draw_correlated_epoch(p, y, batch_size, 3, 4)
    np.testing.assert_array_equal(ids, whole[: len(ids)])


def test_the_tail_of_a_steep_distribution_follows_the_formula():
    # The first is nearly always drawn first: the second pick is the exact p' of the rest.
    p = np.array([1 - 5e-9, 1e-9, 1e-9, 1e-9, 1e-9, 1e-9])
    rows = drawn_rows(p, 2000, 2)
    assert (rows[:, 0] == 0).all()
    weight = np.array([1 + oracle.pull([0], i, Y, A) for i in range(1, 6)])
    count = np.bincount(rows[:, 1], minlength=6)[1:]
    assert standard_errors(count, 2000, weight / weight.sum()).max() < 5
    assert standard_errors(count, 2000, np.full(5, 0.2)).max() > 5


def test_samples_of_zero_probability_are_never_drawn():
    p = np.array([0, 0.5, 0, 0.3, 0.2, 0])
    for epoch in range(50):
        assert set(draw_correlated_epoch(p, Y, 3, 0, epoch)) <= {1, 3, 4}


def test_the_draw_is_a_pure_function():
    first = draw_correlated_epoch(MILD, Y, 2, 0, 0)
    np.testing.assert_array_equal(first, draw_correlated_epoch(MILD, Y, 2, 0, 0))
    others = [draw_correlated_epoch(MILD, Y, 2, seed, e) for seed, e in ((1, 0), (0, 1), (2, 0))]
    assert any((first != other).any() for other in others)


def test_the_strategy_plans_sequences_only_when_asked():
    for correlations, draw in ((True, draw_correlated_epoch), (False, None)):
        strategy = built(correlations=correlations)
        p = strategy.probabilities(0)
        expected = draw(p, Y, 2, 7, 1, True) if draw else draw_epoch(p, 2, 7, 1, True)
        np.testing.assert_array_equal(strategy.plan(p, 2, 7, 1, drop_remainder=True), expected)


# Bad input.


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"pressure": 0.5}, "pressure"),
        ({"neighbors": 0}, "neighbors"),
        ({"neighbors": 2.5}, "neighbors"),
        ({"weighting": "global"}, "weighting"),
    ],
)
def test_settings_that_are_refused(settings, match):
    with pytest.raises(ValueError, match=match):
        HardImbalance(**settings)


def test_without_features_and_neighbors():
    with pytest.raises(ValueError, match="features"):
        HardImbalance().build(Y)


@pytest.mark.parametrize(
    "neighbors",
    [NEIGHBORS[:, :2], NEIGHBORS[:5], NEIGHBORS.ravel(), NEIGHBORS - 1, NEIGHBORS + 1.0],
    ids=["columns", "rows", "rank", "minus-one", "floats"],
)
def test_neighbors_that_are_refused(neighbors):
    with pytest.raises(ValueError, match="neighbors"):
        HardImbalance(neighbors=3).build(Y, neighbors=neighbors)


def test_neighbors_out_of_range():
    with pytest.raises(ValueError, match="neighbors"):
        HardImbalance(neighbors=3).build(Y, neighbors=NEIGHBORS + 1)


def test_more_neighbors_than_other_samples():
    with pytest.raises(ValueError, match="n - 1"):
        HardImbalance(neighbors=6).build(Y, np.arange(12.0).reshape(6, 2))


def test_a_batch_that_needs_samples_of_next_to_no_mass():
    """Three of 40 samples hold all but 1e-12 of the mass, and each batch takes eight."""
    rng = np.random.default_rng(0)
    p = np.full(40, 1e-12 / 37)
    p[:3] = (1 - 1e-12) / 3
    y = (rng.random((40, 5)) < 0.4).astype(np.uint8)
    for row in draw_correlated_epoch(p / p.sum(), y, 8, 0, 0).reshape(5, 8):
        assert {0, 1, 2} <= set(row)
        assert len(set(row)) == 8
