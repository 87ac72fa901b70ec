"""Strategies on labels of which some entries are unknown: these have no part in anything."""

import warnings

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.support.oracles import (
    baselines,
    hard_imbalance,
    label_balanced,
    rare_events,
    repeat_factor,
)
from tests.support.oracles.adaptive_balance import AdaptiveBalanceOracle
from tests.support.oracles.d2ace import D2ACEOracle
from tests.support.oracles.positive_hardness import PositiveHardnessOracle
from tests.support.oracles.uncertainty import UncertaintyOracle, near_an_edge
from tests.support.oracles.visits import assert_probabilities_agree
from tfmlselect import strategies
from tfmlselect.sampling.correlated_draws import label_affinity
from tfmlselect.testing import check_strategy

N, Q, K, EPOCHS = 40, 5, 4, 4
RNG = np.random.default_rng(0)
TRUTH = (RNG.random((N, Q)) < np.linspace(0.1, 0.5, Q)).astype(np.uint8)
TRUTH[:2] = 1
KNOWN = RNG.random((N, Q)) < 0.6
KNOWN[0] = False  # a sample that is known of nothing
KNOWN[1:3] = True
KNOWN[:, 3] = False  # a label that is known of nobody
Y = np.where(KNOWN, TRUTH, np.nan)
FEATURES = RNG.normal(size=(N, 3))
NEIGHBORS = np.array([RNG.choice(np.delete(np.arange(N), i), 6, False) for i in range(N)])
REFERENCE = RNG.random((N, Q))


class Static:
    """The oracle of a strategy that looks at labels alone, in the form of the others."""

    def __init__(self, p):
        self.p = p

    def observe(self, ids, y_pred, loss=None):
        pass

    def probabilities(self, epoch):
        return self.p


class RareEventsOracle:
    """The oracle of RareEvents, with the latest prediction of each sample."""

    def __init__(self, protected, share, predicted):
        self.settings = (protected, share, KNOWN)
        self.predicted, self.latest = predicted, [None] * N

    def observe(self, ids, y_pred, loss=None):
        for i, row in zip(ids, y_pred, strict=True):
            self.latest[i] = np.clip(row, 1e-7, 1 - 1e-7) if self.predicted else None

    def probabilities(self, epoch):
        return np.array(rare_events.probabilities(TRUTH, self.latest, *self.settings))


class HardImbalanceOracle(hard_imbalance.HardImbalanceOracle):
    """Its oracle, of an epoch that does not matter."""

    def probabilities(self, epoch):
        return super().probabilities()

    def pressure_at(self, epoch):
        return self.pressure


CASES = {
    "uniform": [(strategies.Uniform, lambda: Static(np.full(N, 1 / N)))],
    "label_balanced": [
        (
            lambda: strategies.LabelBalanced(0.7),
            lambda: Static(label_balanced.probabilities(TRUTH, 0.7, KNOWN)),
        )
    ],
    "repeat_factor": [
        (
            lambda: strategies.RepeatFactor(0.4),
            lambda: Static(repeat_factor.probabilities(TRUTH, 0.4, KNOWN)),
        )
    ],
    "online_batch": [
        (
            lambda: strategies.OnlineBatch(epochs=EPOCHS),
            lambda: baselines.OnlineBatchOracle(TRUTH, KNOWN, epochs=EPOCHS),
        )
    ],
    "active_bias": [
        (strategies.ActiveBias, lambda: baselines.ActiveBiasOracle(TRUTH, KNOWN)),
    ],
    "recency_bias": [
        (
            lambda: strategies.RecencyBias(epochs=EPOCHS, warmup=0.1),
            lambda: baselines.RecencyBiasOracle(TRUTH, KNOWN, epochs=EPOCHS),
        )
    ],
    "learnability": [
        (
            lambda reference=reference: strategies.Learnability(reference),
            lambda reference=reference: baselines.LearnabilityOracle(TRUTH, reference, KNOWN),
        )
        for reference in (REFERENCE, REFERENCE[:, 0])
    ],
    "hard_imbalance": [
        (
            lambda weighting=weighting: strategies.HardImbalance(weighting=weighting, neighbors=K),
            lambda weighting=weighting: HardImbalanceOracle(
                TRUTH, NEIGHBORS[:, :K], KNOWN, weighting=weighting
            ),
        )
        for weighting in ("normalized", "local")
    ],
    "uncertainty": [
        (
            lambda correlation=correlation: strategies.Uncertainty(
                correlation=correlation, epochs=EPOCHS, warmup=0.1
            ),
            lambda correlation=correlation: UncertaintyOracle(
                TRUTH, KNOWN, correlated=correlation is not None, epochs=EPOCHS
            ),
        )
        for correlation in ("mutual_information", None)
    ],
    "d2ace": [
        (
            lambda k=k, kind=kind: strategies.D2ACE(neighbors=k, hardness=kind, epochs=EPOCHS),
            lambda k=k, kind=kind: D2ACEOracle(
                TRUTH, NEIGHBORS[:, :k], KNOWN, hardness=kind, epochs=EPOCHS
            ),
        )
        for k, kind in ((K, "bounded"), (0, "released"))
    ],
    "positive_hardness": [
        (
            lambda kind=kind: strategies.PositiveHardness(hardness=kind, epochs=EPOCHS),
            lambda kind=kind: PositiveHardnessOracle(
                TRUTH, KNOWN, hardness=kind, decay_start=0.0, epochs=EPOCHS
            ),
        )
        for kind in ("bounded", "loss")
    ],
    "adaptive_balance": [
        (
            lambda lack=lack, rounds=rounds: strategies.AdaptiveBalance(
                lack=lack, correction_rounds=rounds
            ),
            lambda lack=lack, rounds=rounds: AdaptiveBalanceOracle(
                TRUTH, KNOWN, lack=lack, correction_rounds=rounds
            ),
        )
        for lack, rounds in (("tjur", 0), ("f1", 2))
    ],
    "rare_events": [
        (
            lambda draw=draw, columns=columns: strategies.RareEvents(
                columns, empty_share=0.3, draw=draw
            ),
            lambda draw=draw, columns=columns: RareEventsOracle(columns, 0.3, draw == "predicted"),
        )
        for draw, columns in (("predicted", [0, 1, 3]), ("even", [0, 1, 3]))
    ],
}
BOTH = [
    pytest.param(*pair, id=f"{name}-{i}") for name, c in CASES.items() for i, pair in enumerate(c)
]
MAKERS = [
    *[pytest.param(c[0][0], id=name) for name, c in CASES.items()],
    pytest.param(lambda: strategies.HardImbalance(correlations=True), id="correlations"),
    pytest.param(
        lambda: strategies.Mixture([(strategies.AdaptiveBalance(), 0.5), ("d2ace", 0.5)]),
        id="mixture",
    ),
    pytest.param(
        lambda: strategies.Switch([("online_batch", 0.5), ("uncertainty", 1.0)], epochs=2),
        id="switch",
    ),
]


def test_every_registered_strategy_is_here():
    assert set(CASES) == set(strategies.names())


def visits(seed=1, epochs=2, q=Q):
    """Batches of ids and predictions; sample 5 never, others 0 to 2 times an epoch."""
    rng = np.random.default_rng(seed)
    for _ in range(epochs):
        times = rng.choice([0, 1, 2], N, p=[0.2, 0.5, 0.3])
        times[5] = 0
        for visit in range(2):
            ids = rng.permutation(np.flatnonzero(times > visit))
            for part in np.array_split(ids, 3):
                p = 1 / (1 + np.exp(-rng.normal(0, 2, (len(part), q))))
                yield part, p.astype(np.float32)


def built(make, y=Y):
    strategy = make()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        strategy.build(y, features=FEATURES, neighbors=NEIGHBORS)
    return strategy


def distributions(strategy):
    first = strategy.before_first_epoch
    return np.stack([strategy.probabilities(epoch) for epoch in (first, EPOCHS - 1)])


@pytest.mark.parametrize(("make", "make_oracle"), BOTH)
def test_against_the_oracle(make, make_oracle):
    strategy, oracle = built(make), make_oracle()
    for _ in range(2):
        for epoch in range(EPOCHS):
            if hasattr(oracle, "pressure_at"):
                assert_probabilities_agree(strategy, oracle, epoch)
            else:
                expected = oracle.probabilities(epoch)
                np.testing.assert_allclose(strategy.probabilities(epoch), expected, rtol=2e-5)
        if hasattr(oracle, "uncertainties"):
            assert not near_an_edge(oracle.uncertainties()).any()
        for ids, p in visits():
            strategy.observe(tf.constant(ids), tf.constant(p))
            oracle.observe(ids, p)


TAKES_LOSSES = {"online_batch", "learnability", "hard_imbalance", "d2ace", "positive_hardness"}


@pytest.mark.parametrize(
    ("make", "with_loss"),
    [pytest.param(*each.values, False, id=each.id) for each in MAKERS]
    + [
        pytest.param(*each.values, True, id=f"{each.id}-loss")
        for each in MAKERS
        if each.id in TAKES_LOSSES
    ],
)
def test_what_is_predicted_of_unknown_entries_changes_nothing(make, with_loss):
    rng = np.random.default_rng(3)
    one, other = built(make), built(make)
    np.testing.assert_array_equal(distributions(one), distributions(other))
    for ids, p in visits():
        known = KNOWN[ids]
        garbage = np.where(known, p, rng.random(p.shape, np.float32))
        losses = (p - TRUTH[ids]) ** 2
        for strategy, y_pred, loss in (
            (one, p, np.where(known, losses, np.nan)),
            (other, garbage, np.where(known, losses, rng.random(p.shape))),
        ):
            given = (tf.constant(loss, tf.float32),) if with_loss else ()
            strategy.observe(tf.constant(ids), tf.constant(y_pred), *given)
    np.testing.assert_array_equal(distributions(one), distributions(other))
    p = one.probabilities(1)
    for drawn, also in zip(one.plan(p, 8, 0, 1), other.plan(p, 8, 0, 1), strict=True):
        assert drawn == also
    for name, values in one.score_parts(np.arange(N)).items():
        np.testing.assert_array_equal(values, other.score_parts(np.arange(N))[name])
        assert np.isfinite(values).all()
    assert one.figures(1) == other.figures(1)


@pytest.mark.parametrize("make", MAKERS)
def test_a_label_unknown_everywhere_is_as_if_it_were_not_there(make):
    without = np.delete(np.arange(Q), 3)

    def make_without():
        strategy = make()
        if isinstance(strategy, strategies.Learnability):
            return strategies.Learnability(REFERENCE[:, without])
        if isinstance(strategy, strategies.RareEvents):
            return strategies.RareEvents([0, 1], empty_share=0.3, draw="predicted")
        return strategy

    whole, cut = built(make), built(make_without, Y[:, without])
    for ids, p in visits():
        whole.observe(tf.constant(ids), tf.constant(p))
        cut.observe(tf.constant(ids), tf.constant(p[:, without]))
    np.testing.assert_allclose(distributions(whole), distributions(cut), rtol=1e-4)


@pytest.mark.parametrize("value", [0, 1, np.nan])
@pytest.mark.parametrize("make", [each for each in MAKERS if each.id in CASES])
def test_only_unknown_entries_beside_one_value(make, value):
    y = np.full((N, Q), np.nan)
    y[::2, :2] = value
    strategy = built(make, y)
    for ids, p in [*visits()][:4]:
        strategy.observe(tf.constant(ids), tf.constant(p))
    p = strategy.probabilities(1).numpy()
    np.testing.assert_allclose(p.sum(), 1.0)
    assert (p >= 0).all()


@pytest.mark.parametrize("make", [strategies.AdaptiveBalance, strategies.D2ACE])
def test_where_all_are_known_nothing_changes(make):
    of_ints, of_floats = built(make, TRUTH), built(make, TRUTH.astype(np.float32))
    for ids, p in visits():
        of_ints.observe(tf.constant(ids), tf.constant(p))
        of_floats.observe(tf.constant(ids), tf.constant(p))
    np.testing.assert_array_equal(distributions(of_ints), distributions(of_floats))


@given(
    arrays(np.int8, st.tuples(st.integers(1, 8), st.integers(2, 4)), elements=st.integers(-1, 1))
)
def test_static_strategies_on_any_labels(labels):
    known, y = labels >= 0, np.where(labels >= 0, labels, np.nan)
    protected = range(y.shape[1])
    none = [None] * len(y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for strategy, expected in (
            (
                strategies.RepeatFactor(0.7),
                repeat_factor.probabilities(labels, 0.7, known),
            ),
            (
                strategies.RareEvents(empty_share=0.4),
                rare_events.probabilities(labels, none, protected, 0.4, known),
            ),
        ):
            strategy.build(y)
            np.testing.assert_allclose(strategy.probabilities(0), expected, rtol=1e-9)


def test_affinity_is_of_pairs_known_together():
    y = np.where(KNOWN, TRUTH, 0)
    expected = hard_imbalance.affinity(TRUTH, KNOWN)
    np.testing.assert_allclose(label_affinity(y, KNOWN), expected, rtol=1e-12)
    assert np.abs(label_affinity(y) - expected).max() > 0.05


def test_tables_by_hand():
    nan = np.nan
    # c = 1, 2; known 2, 4: shares 1/2, 1/2. Rarer than t = 0.8 by sqrt(0.8 / 0.5).
    strategy = strategies.RepeatFactor(0.8)
    strategy.build([[1, 0], [0, 1], [nan, 1], [nan, 0]])
    factor = np.sqrt(1.6)
    weights = np.array([factor, factor, factor, 1.0])
    np.testing.assert_allclose(strategy.probabilities(0), weights / weights.sum())
    # Empty is without a known positive: 2 of 4, and 2 / (1 - 1/3) = 3 draws.
    rare = strategies.RareEvents(empty_share=1 / 3)
    rare.build([[1, nan], [0, 1], [nan, 0], [nan, nan]])
    assert (rare.epoch_draws(), rare.rate) == (3, 0.5)
    # Mean losses over the known label: ln 2, and 0 for the sample of nothing.
    online = strategies.OnlineBatch()
    online.build([[1, nan], [nan, nan]])
    np.testing.assert_allclose(online.scores(), [np.log(2), 0.0], rtol=1e-6)
    online.observe([0, 1], np.array([[0.25, 0.9], [0.5, 0.5]], np.float32))
    np.testing.assert_allclose(online.scores(), [np.log(4), 0.0], rtol=1e-6)
    # D of the first label: 0.8 - 0.2, of samples 0 and 1; of the second nothing is known to be 0.
    balance = strategies.AdaptiveBalance()
    balance.build([[1, nan], [0, nan], [nan, 1]])
    balance.observe([0, 1, 2], np.array([[0.8, 0.1], [0.2, 0.1], [0.5, 0.7]], np.float32))
    # lacks 0.4 and 0.3, D̄ 0.65: relative lacks 1 - 0.6 / 0.65 and 0; λ is 0.9 of their mean.
    share = 0.9 * (1 - 0.6 / 0.65) / 2
    drawn = np.array([4 / 7, 0, 3 / 7])
    np.testing.assert_allclose(balance.probabilities(0), (1 - share) / 3 + share * drawn, rtol=1e-5)


def test_reference_losses_of_a_model():
    class Model:
        def predict(self, x, **options):
            return np.array([[0.5, 0.1], [0.25, 0.125]])

    y = [[1, -1], [1, 0]]
    strategy = strategies.Learnability.from_model(Model(), None, y, missing=-1)
    expected = [np.log(2), (np.log(4) - np.log(0.875)) / 2]
    np.testing.assert_allclose(strategy.reference_losses, expected)


@pytest.mark.parametrize("wrong", [-1, 2])
def test_other_numbers_are_refused(wrong):
    with pytest.raises(ValueError, match=rf"unknown, nan only\. Received: y\[0, 1\]={wrong}"):
        strategies.Uniform().build(np.array([[1.0, wrong], [0, np.nan]]))


def test_a_strategy_of_ones_own_may_use_what_is_known():
    class Known(strategies.Strategy):
        """Draws by how many labels of a sample are known."""

        def build(self, y, features=None, neighbors=None):
            self.known = (~np.isnan(np.asarray(y, np.float32))).sum(axis=1) + 1.0

        def observe(self, ids, y_pred, loss=None):
            pass

        def probabilities(self, epoch):
            return tf.constant(self.known / self.known.sum(), tf.float64)

    check_strategy(Known())
