"""RareEvents against its formulas, tables worked by hand, and what must not change."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.oracles import rare_events as oracle
from tfmlselect.strategies import RareEvents
from tfmlselect.testing import check_strategy

# Two samples with labels, four empty: m = 2 / (1 - 1/2) = 4 draws, K = 2, ρ = 1/2, least π 1/20.
Y = np.array([[1, 0], [0, 1], [0, 0], [0, 0], [0, 0], [0, 0]], np.uint8)
UNSEEN = np.nan
# g of the six samples, and their π, the first two's as if they were empty.
TABLES = {
    "no bound": ([0.1, 0.9, 0.2, 0.2, 0.3, 0.3], [0.2, 1, 0.4, 0.4, 0.6, 0.6]),  # s = 2
    # The last is kept: one more of three, of g = 0.1 + 0.1 + 0.2.
    "upper": ([0.3, 0.01, 0.1, 0.1, 0.2, 0.8], [0.75, 0.05, 0.25, 0.25, 0.5, 1]),  # s = 2.5
    # s = 2 would give the first empty one 0.02; 1.95 are left for g = 0.24 + 0.25 + 0.5.
    "lower": (
        [0.33, 0.02, 0.01, 0.24, 0.25, 0.5],
        [0.65, 0.05, 0.05, 15.6 / 33, 16.25 / 33, 32.5 / 33],  # s = 65 / 33
    ),
    "both": ([0.1, 0.1, 0.01, 0.1, 0.1, 0.8], [0.475, 0.475, 0.05, 0.475, 0.475, 1]),  # s = 4.75
    # Two empty samples were visited: the others count with their mean, 0.3.
    "unseen": ([UNSEEN, 0.6, UNSEEN, 0.2, 0.4, UNSEEN], [0.5, 1, 0.5, 1 / 3, 2 / 3, 0.5]),
    "no empty one seen": ([0.1, 0.9, *[UNSEEN] * 4], [0.5] * 6),
    "nothing seen": ([UNSEEN] * 6, [0.5] * 6),
}


def built(y=Y, **options):
    strategy = RareEvents(**{"draw": "predicted", **options})
    strategy.build(y)
    return strategy


def show(strategy, p):
    """Has it observe the rows of p that are known."""
    ids = np.flatnonzero(~np.isnan(p).any(axis=1))
    if ids.size:
        strategy.observe(ids, p[ids].astype(np.float32))


def random_case(seed, n=60, q=5):
    """Labels of rare events, protected columns, and predictions, some of them missing."""
    rng = np.random.default_rng(seed)
    y = (rng.random((n, q)) < rng.choice([0.01, 0.05, 0.1], q)).astype(np.uint8)
    protected = sorted(rng.choice(q, rng.integers(1, q + 1), replace=False).tolist())
    y[0, protected[0]] = 1
    p = 1 / (1 + np.exp(-rng.normal(-2, rng.choice([0.1, 2, 6]), (n, q))))
    p = np.clip(p, 1e-7, 1 - 1e-7).astype(np.float32).astype(float)
    p[rng.random(n) < rng.choice([0, 0.3, 0.9])] = np.nan
    return y, protected, p, float(rng.choice([0.1, 0.5, 0.8]))


def rows(p):
    """As the oracle has them."""
    return [None if np.isnan(row).any() else row.tolist() for row in p]


@pytest.mark.parametrize("name", TABLES)
def test_tables(name):
    g, rates = map(np.array, TABLES[name])
    p = g[:, None] * [0.6, 0.8]  # of length g
    strategy = built()
    show(strategy, p)
    expected = np.array([1, 1, *rates[2:]]) / 4
    np.testing.assert_allclose(strategy.probabilities(0), expected, rtol=1e-6)
    np.testing.assert_allclose(strategy.rates(), rates, rtol=1e-6)
    np.testing.assert_allclose(oracle.rates(Y, rows(p), (0, 1), 0.5), rates, rtol=1e-9)
    np.testing.assert_allclose(oracle.probabilities(Y, rows(p), (0, 1), 0.5), expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("empties", "others", "share", "draws"),
    [
        (4, 2, 0.5, 4),
        (100, 10, 0.3, 14),  # 14.29
        (100, 10, 0.9, 100),
        (100, 10, 0.95, 110),  # 200, and there are no more
        (1, 9, 0.5, 10),
        (100, 1, 0.1, 2),  # 1.1, but one empty sample at least
        (7, 0, 0.5, 7),
        (0, 7, 0.5, 7),
    ],
)
@pytest.mark.filterwarnings("ignore:No sample has a protected label")
def test_draws_of_an_epoch(empties, others, share, draws):
    y = np.zeros((empties + others, 2), np.uint8)
    y[:others, 1] = 1
    strategy = built(y, empty_share=share)
    assert strategy.epoch_draws() == draws == oracle.draws(empties, others, share)
    all_alike = draws == len(y)
    assert strategy.rate == (1.0 if all_alike else (draws - others) / empties)
    if all_alike:
        show(strategy, np.random.default_rng(0).random(y.shape))
        np.testing.assert_allclose(strategy.probabilities(3), 1 / len(y), rtol=1e-12)
        np.testing.assert_array_equal(strategy.rates(), 1.0)


@pytest.mark.parametrize("seed", range(12))
def test_oracle(seed):
    y, protected, p, share = random_case(seed)
    strategy = built(y, labels=protected, empty_share=share)
    show(strategy, p)
    wanted = oracle.probabilities(y, rows(p), protected, share)
    np.testing.assert_allclose(strategy.probabilities(1), wanted, rtol=1e-5)
    wanted = oracle.rates(y, rows(p), protected, share)
    np.testing.assert_allclose(strategy.rates(), wanted, rtol=1e-5)


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_an_epoch_has_the_same_draws_whatever_is_predicted(seed):
    y, protected, p, share = random_case(seed, n=400)
    strategy = built(y, labels=protected, empty_share=share)
    m, empty = strategy.epoch_draws(), np.array(oracle.empties(y, protected))
    for again in range(3):
        show(strategy, p**again)
        expected = m * np.asarray(strategy.probabilities(again))
        np.testing.assert_allclose(expected[~empty], 1, rtol=1e-12)  # each is drawn once
        assert expected[empty].sum() == pytest.approx(m - (~empty).sum(), rel=1e-12)
        assert expected.max() <= 1 + 1e-12
        assert expected.min() >= 0.1 * strategy.rate * (1 - 1e-12)
        np.testing.assert_allclose(strategy.rates()[empty], expected[empty], rtol=1e-6)


def test_the_larger_the_prediction_the_more_often_drawn():
    p = np.random.default_rng(0).random((6, 2))
    strategy = built()
    show(strategy, p)
    order = np.argsort(np.linalg.norm(p[2:], axis=1))
    assert (np.diff(np.asarray(strategy.probabilities(0))[2:][order]) >= 0).all()
    assert np.ptp(strategy.probabilities(0)) > 0.05


def test_even_draws_look_at_no_prediction():
    strategy = built(draw="even")
    assert not strategy.uses_predictions
    assert strategy.state == {}
    show(strategy, np.random.default_rng(0).random((6, 2)))
    np.testing.assert_allclose(strategy.probabilities(0), [1 / 4, 1 / 4, *[1 / 8] * 4], rtol=1e-12)
    np.testing.assert_array_equal(strategy.rates(), np.full(6, 0.5, np.float32))
    np.testing.assert_array_equal(strategy.rates(np.array([3, 3])), [0.5, 0.5])


def test_only_protected_labels_count():
    y = np.array([[1, 0], [0, 1], [0, 1], [0, 0], [0, 0]])
    strategy = built(y, labels=[0], empty_share=0.6)  # m = round(1 / 0.4) = 2, K = 1 of 4
    p = np.array([[0.5, 0.5], [0.1, 0.9], [0.2, 0.9], [0.3, 0.1], [0.4, 0.1]])
    show(strategy, p)
    expected = [1, 0.1, 0.2, 0.3, 0.4]
    np.testing.assert_allclose(strategy.probabilities(0), np.array(expected) / 2, rtol=1e-6)
    assert strategy.protected == (0,)


def test_labels_and_protected_columns_permuted_alike():
    y, protected, p, share = random_case(3)
    order = np.random.default_rng(0).permutation(5)
    first = built(y, labels=protected, empty_share=share)
    moved = [int(np.flatnonzero(order == j)[0]) for j in protected]
    second = built(y[:, order], labels=moved, empty_share=share)
    show(first, p)
    show(second, p[:, order])
    np.testing.assert_allclose(second.probabilities(0), first.probabilities(0), rtol=1e-6)


def test_rates_are_those_of_the_distribution_in_force():
    rng = np.random.default_rng(0)
    strategy = built()
    show(strategy, rng.random((6, 2)))
    p = np.asarray(strategy.probabilities(0))
    rates = strategy.rates()
    show(strategy, rng.random((6, 2)))
    np.testing.assert_array_equal(strategy.rates(), rates)
    np.testing.assert_allclose(rates[2:], 4 * p[2:], rtol=1e-6)
    np.testing.assert_array_equal(strategy.rates(np.array([5, 0])), rates[[5, 0]])
    assert rates.dtype == np.float32
    restored = built()
    for name, variable in strategy.state.items():
        restored.state[name].assign(variable)
    np.testing.assert_array_equal(restored.rates(), rates)
    np.testing.assert_array_equal(restored.probabilities(1), strategy.probabilities(1))
    assert np.abs(strategy.rates() - rates).max() > 0.01


@pytest.mark.parametrize("share", [0.02, 0.05])
@pytest.mark.parametrize("draw", ["predicted", "even"])
def test_contract_where_samples_are_left_out(share, draw):
    check_strategy(RareEvents(empty_share=share, draw=draw))


def test_without_a_protected_positive_all_are_drawn_alike():
    with pytest.warns(UserWarning, match=r"No sample has.*labels=\[1\].*Protect") as warned:
        strategy = built(np.eye(4)[:, :3] * [1, 0, 1], labels=[1])
    assert [each.filename for each in warned] == [__file__]
    np.testing.assert_allclose(strategy.probabilities(0), 1 / 4, rtol=1e-12)
    assert (strategy.epoch_draws(), strategy.rate) == (4, 1.0)


def test_a_protected_column_that_is_not_there():
    with pytest.raises(ValueError, match=r"labels=\[0, 2\].*2 labels\. Pass columns from 0 to 1"):
        built(labels=[0, 2])
