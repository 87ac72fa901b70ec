"""Uncertainty against its slow oracle and by hand."""

import numpy as np
import pytest

import tests.support.oracles.uncertainty as oracle
from tests.support.oracles.visits import (
    assert_probabilities_agree,
    make_labels,
    observe_epoch,
    observe_rows,
)
from tfmlselect.schedules import Constant
from tfmlselect.strategies import Uncertainty, uncertainty

EPOCHS = 4

# Bins of n = 4 samples and q = 2 labels, their mutual information and C.
TABLES = {
    # Joint 00: 1/2, 01: 1/4, 11: 1/4; first column 3/4 1/4, second 1/2 1/2.
    # 1/2 ln(4/3) + 1/4 ln(2/3) + 1/4 ln 2 = .14384104 - .10136628 + .17328680 = .21576156.
    "dependent": (
        [[0, 0], [0, 0], [0, 1], [1, 1]],
        0.21576156,
        [[1, 0.21576156], [0.21576156, 1]],
    ),
    # Each bin of the one is a bin of the other: ln 4 = 1.38629436 > 1, so the rows are divided.
    "alike": (
        [[0, 0], [1, 1], [2, 3], [3, 2]],
        1.38629436,
        [[0.72134752, 1], [1, 0.72134752]],
    ),
    # All four pairs once: 0.
    "independent": ([[0, 0], [0, 1], [1, 0], [1, 1]], 0.0, [[1, 0], [0, 1]]),
}

# Two visits that put U into a bin: U = |p2 - p1| / 2 + H2(p2) / 2.
VISITS_OF_BIN = {
    0: (0.99, 0.99),  # 0 + .0808 / 2 = .04, centre .1
    1: (0.9, 0.9),  # 0 + .4690 / 2 = .23, centre .3
    2: (0.5, 0.5),  # 0 + 1 / 2 = .5, centre .5
    3: (0.9, 0.1),  # .8 / 2 + .4690 / 2 = .63, centre .7
}
# The sum of the centres of each sample, times the row sum of C (the same in both rows).
SCORES = {
    "dependent": np.array([0.2, 0.2, 0.4, 0.6]) * 1.21576156,
    "alike": np.array([0.2, 0.6, 1.2, 1.2]) * 1.72134752,
    "independent": np.array([0.2, 0.4, 0.4, 0.6]),
}


def observed_table(name, **settings):
    strategy = Uncertainty(**settings)
    strategy.build(np.eye(4, 2, dtype=np.uint8))
    for i, bins in enumerate(TABLES[name][0]):
        for visit in range(2):
            observe_rows(strategy, [(i, [VISITS_OF_BIN[each][visit] for each in bins])])
    return strategy


@pytest.mark.parametrize("name", TABLES)
def test_oracle_by_hand(name):
    bins, information, c = map(np.array, TABLES[name])
    assert oracle.mutual_information(*bins.T) == pytest.approx(information, abs=1e-8)
    np.testing.assert_allclose(oracle.correlation(bins), c, atol=1e-8)
    scores = oracle.weighted_sum(oracle.centre_of(bins), c)
    np.testing.assert_allclose(scores, SCORES[name], rtol=1e-7)


def test_oracle_order_of_the_product():
    # w = (U C) 1: each label's U times the sum of its row, 1 and 1.5.
    c = np.array([[1, 0], [0.5, 1]])
    np.testing.assert_allclose(oracle.weighted_sum(np.array([[0.3, 0.1]]), c), [0.45])


@pytest.mark.parametrize("name", TABLES)
def test_package_by_hand(name):
    np.testing.assert_allclose(observed_table(name).scores(), SCORES[name], rtol=1e-6)


def test_package_probabilities_by_hand():
    # u = 0 .4 1 1; 4 (1 - u) = 4, 2.4, 0, 0; Q = 4 3 1 1; 16^(-Q/4) = 2^-Q: 1 2 8 8, of 19.
    p = observed_table("alike", pressure=16.0).probabilities(0)
    np.testing.assert_allclose(p, np.array([1, 2, 8, 8]) / 19, rtol=1e-12)


@pytest.mark.parametrize("at_once", [1, 2, 3, 4, 5])
def test_joint_counts_in_blocks_of_labels(at_once, monkeypatch):
    """The same scores, however many labels' counts are held together; eagerly and compiled."""
    n, q, bins = 40, 5, 4
    y = make_labels(np.random.default_rng(0), n, q)
    strategies = []
    for size in (q, at_once):
        monkeypatch.setattr(uncertainty, "_COUNTS_AT_ONCE", size * q * bins**2)
        strategy = Uncertainty(bins=bins)
        strategy.build(y)
        for epoch in range(3):
            p = np.random.default_rng(epoch).random((n, q)).astype("float32")
            strategy.observe(np.arange(n), p**3)
        assert uncertainty.labels_at_once(q, bins) == size
        strategies.append((strategy.scores().numpy(), strategy.probabilities(0).numpy()))
    whole, blocks = strategies
    assert np.ptp(whole[0]) > 0.1
    np.testing.assert_array_equal(blocks[0], whole[0])
    np.testing.assert_array_equal(blocks[1], whole[1])


@pytest.mark.parametrize("q", [2, 100, 900, 20_000, 10**6])
def test_joint_counts_do_not_grow_with_the_square_of_labels(q):
    size = uncertainty.labels_at_once(q, 5)
    assert 1 <= size <= q
    assert size * 5 * q * 5 * 8 <= max(128e6 * 1.05, 200 * q)


@pytest.mark.parametrize("correlation", ["mutual_information", None])
@pytest.mark.parametrize(("n", "q"), [(37, 5), (200, 9)])
def test_every_epoch_agrees(n, q, correlation):
    rng = np.random.default_rng(n)
    y = make_labels(rng, n, q)
    strategy = Uncertainty(correlation=correlation, epochs=EPOCHS)
    slow = oracle.UncertaintyOracle(y, correlated=correlation is not None, epochs=EPOCHS)
    strategy.build(y)
    for epoch in range(EPOCHS):
        observe_epoch(strategy, slow, rng)
        assert not oracle.near_an_edge(slow.uncertainties()).any()  # else: another seed
        np.testing.assert_allclose(strategy.scores(), slow.scores(), rtol=1e-5)
        assert_probabilities_agree(strategy, slow, epoch)


@pytest.mark.parametrize("settings", [{"window": 2}, {"window": 12}, {"pressure": 64.0}], ids=str)
def test_settings(settings):
    rng = np.random.default_rng(1)
    y = make_labels(rng, 37, 5)
    strategy, slow = Uncertainty(**settings), oracle.UncertaintyOracle(y, **settings)
    strategy.build(y)
    for _ in range(2):
        observe_epoch(strategy, slow, rng)
    np.testing.assert_allclose(strategy.scores(), slow.scores(), rtol=1e-5)
    for epoch in (0, 10, 11, 55, 99, 100):
        assert_probabilities_agree(strategy, slow, epoch)


def test_a_pressure_schedule_replaces_the_decay():
    strategy = observed_table("alike", pressure=Constant(16.0))
    np.testing.assert_allclose(strategy.probabilities(99), np.array([1, 2, 8, 8]) / 19, rtol=1e-12)


@pytest.mark.parametrize(("warmup", "decay_start"), [(0.3, 0.3), (25, 0.25), (0, 0)])
def test_the_decay_starts_where_the_warmup_ends(warmup, decay_start):
    rng = np.random.default_rng(2)
    y = make_labels(rng, 37, 5)
    strategy = Uncertainty(warmup=warmup)
    slow = oracle.UncertaintyOracle(y, decay_start=decay_start)
    strategy.build(y)
    observe_epoch(strategy, slow, rng)
    for epoch in (0, 24, 25, 26, 30, 60):
        assert_probabilities_agree(strategy, slow, epoch)


def test_before_any_visit_all_are_alike():
    strategy = Uncertainty()
    strategy.build(np.eye(5, dtype=np.uint8))
    np.testing.assert_allclose(strategy.scores(), 5 * 0.5, rtol=1e-6)
    np.testing.assert_allclose(strategy.probabilities(0), 1 / 5, rtol=1e-12)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pressure": 0.5}, "pressure=0.5"),
        ({"pressure": float("nan")}, "nan"),
        ({"window": 1}, "window=1"),
        ({"bins": 1}, "bins=1"),
        ({"correlation": "cosine"}, "correlation='cosine'"),
        ({"warmup": 1.5}, "warmup=1.5"),
        ({"epochs": 0}, "epochs=0"),
    ],
)
def test_arguments_out_of_range(settings, message):
    with pytest.raises(ValueError, match=rf"Received: .*{message}.*\. \w+"):
        Uncertainty(**settings)
