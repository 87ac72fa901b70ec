"""AdaptiveBalance against its slow oracle and tables worked by hand."""

import json

import numpy as np
import pytest
import tensorflow as tf

import tests.support.oracles.adaptive_balance as oracle
from tests.support.oracles.visits import epoch_of_visits, make_labels, observe_epoch
from tfmlselect.schedules import Constant, Decay, Ramp
from tfmlselect.strategies import AdaptiveBalance, Mixture
from tfmlselect.testing import check_strategy

# The table: n = 6 samples, q = 3 labels. Label 2 has no positives, sample 4 no labels.
Y = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0], [0, 0, 0], [0, 1, 0]], np.uint8)
# Sample 0 is seen twice, sample 5 never.
BATCHES = [
    ([3, 0, 1], [[0.7, 0.2, 0.6], [0.1, 0.9, 0.2], [0.8, 0.4, 0.1]]),
    ([2, 0, 4], [[0.4, 0.5, 0.3], [0.5, 0.2, 0.2], [0.2, 0.1, 0.5]]),
]
# Label 0: its positives have .5 .8 .4 .7, mean .6; sample 4 has .2. D = .4.
# Label 1: of its positives, sample 0 alone was seen: .2. The others have .4 .5 .2 .1, mean .3.
# D = -.1, and 1 - D = 1.1 is cut to 1.
LACKS = [0.6, 1.0, 0.0]
# The usual D is (4 * .4 - 2 * .1) / 6 = .7 / 3, which label 0 is over and label 1 is under by more
# than all of it: the mean of what they lack beside it is 1/2.
# Labels are drawn with .6 / 1.6 = .375 and .625; 4 and 2 positives share that: .09375, .3125.
B = np.array([0.40625, 0.09375, 0.09375, 0.09375, 0, 0.3125])
# Before any visit both lack all, and are drawn with 1/2: 1/8 and 1/4 each.
B_BEFORE = np.array([0.375, 0.125, 0.125, 0.125, 0, 0.25])
# At 0.5, label 0 is said of samples 0, 1, 3, and not of 2: F1 = 6 / 7. Label 1 is said of 2 alone.
LACKS_F1 = [1 / 7, 1.0, 0.0]
B_F1 = np.array([1 / 32 + 7 / 16, 1 / 32, 1 / 32, 1 / 32, 0, 7 / 16])  # labels by 1/8 and 7/8


def built(y=Y, **settings):
    strategy = AdaptiveBalance(**settings)
    strategy.build(y)
    return strategy


def shown(strategy, batches=BATCHES):
    for ids, y_pred in batches:
        strategy.observe(np.array(ids), np.array(y_pred, np.float32))
    return strategy


def mixed(share, b):
    return (1 - share) / len(b) + share * b


def test_table_of_the_oracle():
    expected = shown(oracle.AdaptiveBalanceOracle(Y))
    np.testing.assert_allclose(expected.lacks(), LACKS, rtol=1e-6)
    np.testing.assert_allclose(expected.balance(), B, rtol=1e-6)
    np.testing.assert_allclose(expected.probabilities(0), mixed(0.45, B), rtol=1e-6)
    expected = shown(oracle.AdaptiveBalanceOracle(Y, lack="f1"))
    np.testing.assert_allclose(expected.lacks(), LACKS_F1, rtol=1e-12)


@pytest.mark.parametrize("epochs", [None, 4])
def test_table_however_long_the_run_is(epochs):
    strategy = shown(built(epochs=epochs))
    for epoch in (0, 3, 500):
        assert strategy.figures(epoch) == pytest.approx({"share": 0.45, "lack": 0.8}, rel=1e-6)
        np.testing.assert_allclose(strategy.probabilities(epoch), mixed(0.45, B), rtol=1e-6)


def test_lacks_beside_the_usual_label_by_hand():
    """D = .8 of 3 positives, .4 of 1: the usual is .7, and label 1 lacks 3/7 beside it."""
    y = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], np.uint8)
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.1, 0.5]], np.float32)
    strategy = built(y)
    strategy.observe(np.arange(4), p)
    share = 0.9 * (3 / 7) / 2
    assert strategy.figures(7) == pytest.approx({"share": share, "lack": 0.4}, rel=1e-6)
    b = np.array([0.2 / 3, 0.2 / 3, 0.2 / 3, 0.6]) / 0.8
    np.testing.assert_allclose(strategy.probabilities(7), mixed(share, b), rtol=1e-6)


def test_where_labels_are_learnt_alike_the_share_has_let_go():
    y = np.eye(3)[[0, 0, 0, 0, 1, 1, 2]]
    strategy = built(y)
    strategy.observe(np.arange(7), (0.2 + 0.4 * y).astype(np.float32))
    assert strategy.figures(0) == pytest.approx({"share": 0.0, "lack": 0.6}, abs=1e-6)
    np.testing.assert_allclose(strategy.probabilities(0), 1 / 7, rtol=1e-5)


def test_the_first_epoch_s_distribution():
    strategy = built()
    assert strategy.before_first_epoch == -1
    assert strategy.figures(-1) == {"share": 0.9, "lack": 1.0}
    np.testing.assert_allclose(strategy.probabilities(-1), mixed(0.9, B_BEFORE), rtol=1e-12)


def test_a_share_of_ones_own():
    assert shown(built(share=0.25)).figures(0)["share"] == pytest.approx(0.125, rel=1e-6)
    np.testing.assert_allclose(shown(built(share=0.0)).probabilities(0), 1 / 6, rtol=1e-12)


def test_a_schedule_is_the_share_of_the_coming_epoch():
    strategy = built(share=Ramp(0.8, 0.0), epochs=4)
    assert strategy.figures(-1)["share"] == 0.8  # of the first epoch, before any visit
    shown(strategy)
    for epoch, share in enumerate([0.6, 0.4, 0.2, 0.0]):
        assert strategy.figures(epoch)["share"] == pytest.approx(share)
        np.testing.assert_allclose(strategy.probabilities(epoch), mixed(share, B), rtol=1e-6)


def test_the_rule_of_art():
    strategy = shown(built(share=Constant(0.6), lack="f1", epochs=4))
    for epoch in range(4):
        assert strategy.figures(epoch)["share"] == 0.6
        np.testing.assert_allclose(strategy.probabilities(epoch), mixed(0.6, B_F1), rtol=1e-12)


def test_the_rule_of_art_for_classes():
    """Class shares c Π + (1 - c) w, w by 1 - F1; a class uniformly over its samples."""
    classes = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    said = np.array([0, 0, 0, 1, 1, 1, 0, 0])  # F1: 2 3 / (4 + 5), 2 2 / (2 + 3), 0
    strategy = built(classes, share=Constant(0.3), lack="f1")
    strategy.observe(np.arange(8), np.eye(3, dtype=np.float32)[said])
    w = 1 - np.array([6 / 9, 4 / 5, 0])
    shares = 0.7 * np.array([4, 2, 2]) / 8 + 0.3 * w / w.sum()
    expected = shares[classes] / np.array([4, 2, 2])[classes]
    np.testing.assert_allclose(strategy.probabilities(5), expected, rtol=1e-12)


def test_no_sample_is_repeated_too_often():
    strategy = shown(built(max_repeats=1.5))
    p = mixed(0.45, B)
    assert p[0] > 1.5 / 6 > p[5]  # of all samples the first alone is over the cap
    expected = np.append(0.25, p[1:] * 0.75 / p[1:].sum())
    assert expected.max() == 0.25
    np.testing.assert_allclose(strategy.probabilities(0), expected, rtol=1e-6)
    np.testing.assert_allclose(shown(built(max_repeats=1)).probabilities(0), 1 / 6, rtol=1e-12)


# For the correction: counts 3 3 1 2, their median 2.5. Labels 2 and 3 are below it.
Y_TOGETHER = np.array(
    [[0, 0, 1, 1], [0, 0, 0, 1], [1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0]], np.uint8
)


def test_one_round_of_the_correction_by_hand():
    # Each label is drawn with 1/4. Sample 0 gets 1/4 + 1/8 = .375, sample 1 1/8; so label 2 gets
    # .375 and label 3 .5, and each should get half of their .875.
    w = np.array([1, 1, (0.4375 / 0.375) ** 0.3, (0.4375 / 0.5) ** 0.3])
    assert w[2:] == pytest.approx([1.0473312, 0.9607324])
    share = w / w.sum()
    b = np.array(
        [
            share[2] + share[3] / 2,
            share[3] / 2,
            share[0] / 3,
            share[0] / 3 + share[1] / 3,
            share[0] / 3 + share[1] / 3,
            share[1] / 3,
        ]
    )
    strategy = built(Y_TOGETHER, share=1.0, correction_rounds=1)
    np.testing.assert_allclose(strategy.score_parts(np.arange(6))["lacking_labels"], 6 * b)
    slow = oracle.AdaptiveBalanceOracle(Y_TOGETHER, correction_rounds=1)
    np.testing.assert_allclose(slow.balance(), b, rtol=1e-12)


def shares_of_rare_labels(strategy, y):
    """What each of the labels below the median gets of what all of them get."""
    counts = y.sum(axis=0)
    rare = (counts > 0) & (counts < np.median(counts[counts > 0]))
    gets = np.asarray(strategy.score_parts(np.arange(len(y)))["lacking_labels"]) @ y[:, rare]
    return gets / gets.sum()


def test_the_correction_brings_labels_nearer_to_their_targets():
    rng = np.random.default_rng(0)
    y = make_labels(rng, 300, 12)
    y[:, 3] |= y[:, 2] & (rng.random(300) < 0.5).astype(np.uint8)  # two rare ones, together
    away = []
    for rounds in (0, 1, 3, 10, 60):
        gets = shares_of_rare_labels(built(y, correction_rounds=rounds), y)
        away.append(np.abs(gets - 1 / len(gets)).sum())
    assert (np.diff(away) < 0).all()
    assert away[-1] < 0.3 * away[0]


def test_a_correction_has_nothing_to_do_where_no_label_is_rarer():
    y = np.repeat(np.eye(4), 3, axis=0)
    for labels in (y, np.zeros((4, 2), np.uint8)):
        plain, changed = built(labels), built(labels, correction_rounds=5)
        np.testing.assert_allclose(plain.probabilities(0), changed.probabilities(0), rtol=1e-12)


SETTINGS = [
    {},
    {"share": 0.3, "max_repeats": 2.0},
    {"lack": "f1"},
    {"share": 1.0, "max_repeats": 3.0, "correction_rounds": 3},
    {"correction_rounds": 40},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize(("n", "q"), [(37, 5), (200, 12)])
def test_every_epoch_agrees(n, q, settings):
    rng = np.random.default_rng(n)
    y = make_labels(rng, n, q)
    slow = oracle.AdaptiveBalanceOracle(y, **settings)
    strategy = built(y, **settings)
    for epoch in range(-1, 4):
        if epoch >= 0:
            observe_epoch(strategy, slow, rng)
        p = np.asarray(strategy.probabilities(epoch))
        assert p.dtype == np.float64
        assert p.sum() == pytest.approx(1, abs=1e-14)
        assert p.max() <= strategy.max_repeats / n * (1 + 1e-12)
        np.testing.assert_allclose(p, slow.probabilities(epoch), 2e-6, 2e-6 / n)
        figures = strategy.figures(epoch)
        assert figures["share"] == pytest.approx(slow.share_at(epoch), rel=1e-5)
        assert figures["lack"] == pytest.approx(slow.mean_lack(), rel=1e-5)


def test_a_schedule_agrees():
    y = make_labels(np.random.default_rng(1), 50, 6)
    slow = oracle.AdaptiveBalanceOracle(y, share=lambda done: 0.5 * (1 - done), epochs=5)
    strategy = built(y, share=Ramp(0.5, 0.0), epochs=5)
    for epoch in range(5):
        observe_epoch(strategy, slow, np.random.default_rng(epoch))
        np.testing.assert_allclose(
            strategy.probabilities(epoch), slow.probabilities(epoch), rtol=2e-6
        )


def test_many_rows_are_taken_in_chunks(monkeypatch):
    monkeypatch.setattr("tfmlselect.scoring.row_chunks.CHUNK_ENTRIES", 64)
    y = make_labels(np.random.default_rng(1), 50, 6)  # chunks of 10 rows
    slow, strategy = oracle.AdaptiveBalanceOracle(y), built(y)
    observe_epoch(strategy, slow, np.random.default_rng(2))
    np.testing.assert_allclose(strategy.probabilities(0), slow.probabilities(0), rtol=2e-6)


def test_class_ids():
    rng = np.random.default_rng(1)
    classes = rng.choice(4, 60, p=[0.5, 0.3, 0.1, 0.1])
    slow = oracle.AdaptiveBalanceOracle(np.eye(4)[classes])
    strategy = built(classes)
    for ids in epoch_of_visits(rng, 60, 16):
        y_pred = rng.dirichlet(np.ones(4), len(ids)).astype(np.float32)
        slow.observe(ids, y_pred)
        strategy.observe(ids, y_pred)
    np.testing.assert_allclose(strategy.probabilities(5), slow.probabilities(5), rtol=2e-6)


def test_without_any_positive_it_is_uniform():
    strategy = built(np.zeros((4, 2), np.uint8))
    np.testing.assert_array_equal(strategy.probabilities(0), 0.25)
    assert strategy.figures(0) == {"share": 0.0, "lack": 0.0}
    strategy = built(np.zeros((4, 2), np.uint8), share=Constant(0.5))
    np.testing.assert_array_equal(strategy.probabilities(0), 0.25)


@pytest.mark.parametrize(
    "settings", [{}, {"lack": "f1"}, {"lack": "f1", "share": Constant(0.5)}], ids=str
)
def test_labels_that_lack_nothing_are_drawn_uniformly(settings):
    y = np.array([[1, 0], [1, 0], [1, 1], [0, 0]], np.uint8)
    strategy = built(y, **settings)
    strategy.observe(np.arange(4), y.astype(np.float32))
    np.testing.assert_allclose(strategy.probabilities(0), 0.25, rtol=1e-5)


def test_a_label_that_is_learnt_hands_its_draws_to_the_others():
    y = np.array([[1, 0], [1, 0], [0, 1], [0, 0]], np.uint8)
    p = np.full((4, 2), 0.5, np.float32)
    p[:, 0] = y[:, 0]
    strategy = built(y)
    strategy.observe(np.arange(4), p)
    found = strategy.probabilities(0).numpy()
    # Label 0 lacks nothing, label 1 all: λ = .9 * .5, which sample 2 gets alone.
    np.testing.assert_allclose(found, np.full(4, 0.55 / 4) + np.array([0, 0, 0.45, 0]), rtol=1e-5)


def test_a_label_without_negatives_is_judged_by_its_positives():
    y = np.array([[1, 1], [1, 0], [1, 0], [1, 0]], np.uint8)
    strategy = built(y)
    p = np.full((4, 2), 0.5, np.float32)
    p[:, 0] = 0.9
    strategy.observe(np.arange(4), p)
    assert strategy.figures(0)["lack"] == pytest.approx((0.1 + 1.0) / 2, rel=1e-5)


def test_samples_without_labels_keep_the_floor():
    p = shown(built()).probabilities(0).numpy()
    assert p[4] == p.min() == pytest.approx(0.55 / 6, rel=1e-6)


@pytest.mark.parametrize("rounds", [0, 3])
def test_the_same_labels_twice_change_nothing(rounds):
    rng = np.random.default_rng(4)
    y, p = make_labels(rng, 60, 7), rng.random((60, 7)).astype(np.float32)
    found = []
    for times in (1, 2):
        strategy = built(np.tile(y, times), correction_rounds=rounds)
        strategy.observe(np.arange(60), np.tile(p, times))
        found.append(strategy.probabilities(0).numpy())
    np.testing.assert_allclose(*found, rtol=1e-6)


@pytest.mark.parametrize("rounds", [0, 3])
def test_the_same_samples_twice_get_half_each(rounds):
    rng = np.random.default_rng(5)
    y, p = make_labels(rng, 60, 7), rng.random((60, 7)).astype(np.float32)
    once, twice = (
        built(np.tile(y, (k, 1)), correction_rounds=rounds, max_repeats=2) for k in (1, 2)
    )
    once.observe(np.arange(60), p)
    twice.observe(np.arange(120), np.tile(p, (2, 1)))
    expected = np.tile(once.probabilities(0).numpy() / 2, 2)
    np.testing.assert_allclose(twice.probabilities(0), expected, rtol=1e-6)


def test_the_latest_visit_counts():
    first, both = built(), built()
    rng = np.random.default_rng(6)
    early, late = rng.random((2, 6, 3)).astype(np.float32)
    both.observe(np.arange(6), early)
    both.observe(np.arange(6), late)
    first.observe(np.arange(6), late)
    np.testing.assert_array_equal(first.probabilities(0), both.probabilities(0))
    np.testing.assert_allclose(both.latest_predictions(np.array([4])), late[[4]])


def test_parts_and_latest_predictions():
    strategy = shown(built())
    parts = strategy.score_parts(np.array([5, 0, 4]))
    np.testing.assert_allclose(parts["lacking_labels"], 6 * B[[5, 0, 4]], rtol=1e-6)
    p = strategy.latest_predictions(np.array([0, 5]))
    np.testing.assert_allclose(p, [[0.5, 0.2, 0.2], [np.nan] * 3], rtol=1e-6)


def test_a_run_that_was_put_back_knows_that_it_has_begun():
    strategy, again = shown(built()), built()
    for name, variable in strategy.state.items():
        again.state[name].assign(variable)
    assert again.figures(1) == strategy.figures(1) != built().figures(1)


@pytest.mark.parametrize(
    "strategy",
    [
        AdaptiveBalance(max_repeats=1.5, correction_rounds=3),
        AdaptiveBalance(Ramp(1.0, 0.0), lack="f1", warmup=2),
    ],
    ids=["by lack", "schedule"],
)
def test_contract(strategy):
    check_strategy(strategy)


def test_compiled_by_xla():
    y = make_labels(np.random.default_rng(1), 50, 6)
    strategy = built(y, correction_rounds=2, max_repeats=2)
    observe_epoch(strategy, oracle.AdaptiveBalanceOracle(y), np.random.default_rng(2))
    compiled = tf.function(strategy.probabilities, jit_compile=True)(1)
    np.testing.assert_allclose(compiled, strategy.probabilities(1), rtol=1e-6)


def test_inside_a_mixture():
    mixture = Mixture([(AdaptiveBalance(), 0.5), ("uniform", 0.5)], epochs=4)
    mixture.build(Y)
    shown(mixture)
    expected = 0.5 * mixed(0.45, B) + 0.5 / 6
    np.testing.assert_allclose(mixture.probabilities(0), expected, rtol=1e-6)
    assert mixture.figures(0)["0/share"] == pytest.approx(0.45, rel=1e-6)


@pytest.mark.parametrize(
    ("strategy", "text"),
    [
        (AdaptiveBalance(), "share=0.9"),
        (AdaptiveBalance(0.5), "share=0.5"),
        (AdaptiveBalance(Constant(0.5)), "share=Constant(0.5)"),
        (AdaptiveBalance(Ramp(0.5, 0)), "share=Ramp(0.5, 0, start=0.0, end=1.0)"),
    ],
    ids=["default", "number", "constant", "ramp"],
)
def test_config_and_repr(strategy, text):
    config = json.loads(json.dumps(strategy.get_config()))
    again = AdaptiveBalance.from_config(config)
    rest = "max_repeats=20.0, correction_rounds=0, lack='tjur', warmup=0, epochs=None"
    assert repr(again) == repr(strategy) == f"AdaptiveBalance({text}, {rest})"
    assert again.share == strategy.share


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"share": 1.5}, r"`share` must be a finite number >= 0 and <= 1\. Received: share=1.5"),
        ({"share": Ramp(0.5, -0.5)}, r"`share` must be .* <= 1\. Received: share=-0.01"),
        ({"share": Decay(4.0)}, r"`share` must be .* <= 1\. Received: share=4"),
        ({"share": "half"}, "share"),
        ({"max_repeats": 0.5}, "max_repeats"),
        ({"correction_rounds": -1}, "correction_rounds"),
        ({"lack": "auc"}, "lack"),
    ],
    ids=["too large", "negative", "decay", "text", "repeats", "rounds", "lack"],
)
def test_settings_that_are_refused(settings, match):
    with pytest.raises(ValueError, match=match):
        AdaptiveBalance(**settings)
