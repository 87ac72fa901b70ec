"""The parts of each score: from the formulas, and as the score that the distribution is made of."""

import numpy as np
import pytest

import tests.support.oracles.baselines as baselines
from tests.support.oracles import d2ace as oracle
from tests.support.oracles import hard_imbalance, positive_hardness, uncertainty
from tests.support.oracles.visits import make_labels, observe_epoch
from tfmlselect import strategies

N, Q = 37, 5
IDS = np.array([4, 0, 36, 11, 7])
REFERENCE = np.linspace(0.1, 0.9, N)


def neighbors_of_all():
    return np.stack([(i + np.arange(1, 7)) % N for i in range(N)])


def make_y():
    return make_labels(np.random.default_rng(0), N, Q)


def seen(strategy, slow, epochs=3):
    """Both after the same visits."""
    strategy.build(make_y(), neighbors=neighbors_of_all())
    rng = np.random.default_rng(1)
    for _ in range(epochs):
        observe_epoch(strategy, slow, rng)
    return strategy, slow


def assert_parts(strategy, expected, rtol=1e-4, atol=1e-6):
    parts = strategy.score_parts(IDS)
    assert list(parts) == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(parts[name], values[IDS], rtol, atol, err_msg=name)


def added_up(strategy, ids):
    return sum(np.asarray(values, np.float64) for values in strategy.score_parts(ids).values())


@pytest.mark.parametrize("epochs", [0, 3])
def test_d2ace(epochs):
    slow = oracle.D2ACEOracle(make_y(), neighbors_of_all())
    strategy, slow = seen(strategies.D2ACE(), slow, epochs)
    expected = {}
    for name, m in zip(("uncertainty", "hardness"), slow.signals(), strict=True):
        v = oracle.label_weights(m)
        s = oracle.label_support(slow.context, oracle.cosine_correlation(m * slow.y))
        expected[name] = (m * v).sum(axis=1)
        expected[f"{name}_correlation"] = (slow.y * m * v * s).sum(axis=1)
    assert_parts(strategy, expected, atol=1e-5)
    parts = {name: np.asarray(values) for name, values in strategy.score_parts(IDS).items()}
    of_uncertainty, of_hardness = (score.numpy()[IDS] for score in strategy.scores())
    added = parts["uncertainty"] + parts["uncertainty_correlation"]
    np.testing.assert_allclose(added, of_uncertainty, rtol=1e-6)
    added = parts["hardness"] + parts["hardness_correlation"]
    np.testing.assert_allclose(added, of_hardness, rtol=1e-6)


def test_uncertainty():
    strategy, slow = seen(strategies.Uncertainty(), uncertainty.UncertaintyOracle(make_y()))
    bins = uncertainty.bin_of(slow.uncertainties())
    c, u = uncertainty.correlation(bins), uncertainty.centre_of(bins)
    correlation = (u * (c.sum(axis=1) - 1)).sum(axis=1)
    assert correlation.min() >= 0
    assert_parts(strategy, {"uncertainty": u.sum(axis=1), "correlation": correlation})


def test_uncertainty_without_correlation():
    slow = uncertainty.UncertaintyOracle(make_y(), correlated=False)
    strategy, slow = seen(strategies.Uncertainty(correlation=None), slow)
    assert_parts(strategy, {"uncertainty": slow.uncertainties().sum(axis=1)})


def test_hard_imbalance():
    y, neighbors = make_y(), neighbors_of_all()
    first, second = np.flatnonzero(y[:, 0])  # of the minority label; neither is the other's yet
    neighbors[first, 0] = second
    strategy = strategies.HardImbalance(neighbors=6, weighting="local")
    strategy.build(y, neighbors=neighbors)
    slow = hard_imbalance.HardImbalanceOracle(y, neighbors, weighting="local")
    observe_epoch(strategy, slow, np.random.default_rng(1))
    loss, weights = slow.loss.mean(axis=1), np.array(slow.weights)
    assert weights[first] == pytest.approx(1 + 5 / 6)
    ids = np.append(IDS, first)
    expected = {"loss": loss, "imbalance": (weights - 1) * loss}
    for name, values in strategy.score_parts(ids).items():
        np.testing.assert_allclose(values, expected[name][ids], 1e-4, 1e-6)


def test_positive_hardness():
    slow = positive_hardness.PositiveHardnessOracle(make_y())
    strategy, slow = seen(strategies.PositiveHardness(), slow)
    h, y = slow.hardness(), slow.y
    v = positive_hardness.label_weights(h, y)
    own = (y * h * v).sum(axis=1) / np.maximum(y.sum(axis=1), 1)
    assert_parts(strategy, {"positives": own, "all_labels": 0.25 * h.mean(axis=1) / h.mean()})


def test_online_batch():
    strategy, slow = seen(strategies.OnlineBatch(), baselines.OnlineBatchOracle(make_y()))
    assert_parts(strategy, {"loss": slow.scores()})


def test_recency_bias():
    strategy, slow = seen(strategies.RecencyBias(), baselines.RecencyBiasOracle(make_y()))
    assert_parts(strategy, {"entropy": slow.scores()})


def test_learnability():
    slow = baselines.LearnabilityOracle(make_y(), REFERENCE)
    strategy, slow = seen(strategies.Learnability(REFERENCE), slow)
    assert_parts(strategy, {"loss": slow.loss.mean(axis=1), "reference": -REFERENCE})


def test_active_bias():
    strategy, slow = seen(strategies.ActiveBias(), baselines.ActiveBiasOracle(make_y()))
    scores = slow.scores()  # the spread and its mean, which together are twice as large on average
    mean = np.full(N, scores.mean() / 2)
    assert_parts(strategy, {"spread": scores - mean, "mean_spread": mean})


@pytest.mark.parametrize(
    "strategy",
    [
        strategies.Uncertainty(),
        strategies.HardImbalance(),
        strategies.PositiveHardness(),
        strategies.OnlineBatch(),
        strategies.RecencyBias(),
        strategies.Learnability(REFERENCE),
    ],
    ids=lambda strategy: type(strategy).__name__,
)
def test_parts_add_up_to_the_score(strategy):
    seen(strategy, baselines.Visits(make_y()))
    scores = np.asarray(strategy.scores(), np.float64)
    assert np.ptp(scores) > 0
    np.testing.assert_allclose(added_up(strategy, np.arange(N)), scores, rtol=1e-5, atol=1e-6)


def test_parts_of_active_bias_add_up_to_its_distribution():
    strategy, _ = seen(strategies.ActiveBias(), baselines.Visits(make_y()))
    weight = added_up(strategy, np.arange(N))
    np.testing.assert_allclose(strategy.probabilities(0), weight / weight.sum(), rtol=1e-6)


def test_a_mixture_has_the_parts_of_its_parts_by_number():
    pair = strategies.OnlineBatch(), strategies.PositiveHardness()
    mixture = strategies.Mixture([("uniform", 0.2), (pair[0], 0.3), (pair[1], 0.5)])
    seen(mixture, baselines.Visits(make_y()))
    parts = mixture.score_parts(IDS)
    assert list(parts) == ["1/loss", "2/positives", "2/all_labels"]
    np.testing.assert_array_equal(parts["1/loss"], pair[0].score_parts(IDS)["loss"])
    np.testing.assert_array_equal(mixture.latest_predictions(IDS), pair[1].latest_predictions(IDS))


@pytest.mark.parametrize("name", ["uniform", "label_balanced", "repeat_factor"])
def test_without_a_score_there_are_no_parts(name):
    strategy = strategies.get(name)
    strategy.build(make_y())
    assert strategy.score_parts(IDS) == {}
    assert strategy.latest_predictions(IDS) is None


@pytest.mark.parametrize("name", ["d2ace", "uncertainty", "positive_hardness"])
def test_latest_predictions(name):
    strategy, slow = seen(strategies.get(name), baselines.Visits(make_y()))
    p = strategy.latest_predictions(IDS)
    assert p.dtype == np.float32
    for row, i in zip(p, IDS, strict=True):
        wanted = slow.history[i][-1] if slow.history[i] else np.full(Q, np.nan)
        np.testing.assert_allclose(row, wanted, rtol=1e-6)
    assert np.isnan(p[1]).all()  # sample 0 is never visited
