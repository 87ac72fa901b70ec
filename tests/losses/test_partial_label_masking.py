"""Partial Label Masking as a loss: entries, masks, weights and means, against a slow oracle."""

import itertools
import json

import numpy as np
import pytest
import tensorflow as tf

import tests.support.oracles.loss_tables as table
import tests.support.oracles.partial_label_masking as oracle
import tfmlselect as tfml
from tfmlselect.losses import AsymmetricLoss, PartialLabelMasking

N, Q = 40, 5
RNG = np.random.default_rng(0)
Y = (RNG.random((N, Q)) < [0.1, 0.3, 0.5, 0.7, 0.9]).astype("float32")
Y[:2] = [[1], [0]]
LOGITS = RNG.normal(size=(N, Q)).astype("float32")
P = 1 / (1 + np.exp(-LOGITS))
ODDS = oracle.odds(Y)
IDEAL = np.array([1.0, 0.2, 1.0, 0.5, 2.0])


def masking(loss="binary_crossentropy", **arguments):
    return PartialLabelMasking(loss, **{"odds": ODDS, "initial": IDEAL, **arguments})


def cross_entropy(y, p):
    return -(y * np.log(p) + (1 - y) * np.log(1 - p))


def test_keep_probability_by_hand():
    loss = PartialLabelMasking(odds=table.ODDS, initial=table.IDEAL)
    np.testing.assert_allclose(loss.keep_probability(table.Y), table.KEEP, rtol=1e-6)


@pytest.mark.parametrize("denominator", ["all", "kept"])
def test_expected_loss_by_hand(denominator):
    loss = PartialLabelMasking(
        odds=table.ODDS, initial=table.IDEAL, mask="expected", denominator=denominator
    )
    values = loss.call(table.Y.astype("float32"), table.P.astype("float32"))
    np.testing.assert_allclose(values, table.EXPECTED_LOSS[denominator], rtol=1e-5)


@pytest.mark.parametrize("denominator", ["all", "kept"])
def test_expected_mask_is_weighted_cross_entropy(denominator):
    keep = oracle.keep_probability(Y, ODDS, IDEAL)
    expected = oracle.expected_loss(cross_entropy(Y, P), keep, denominator)
    loss = masking(mask="expected", denominator=denominator)
    np.testing.assert_allclose(loss.call(Y, P), expected, rtol=1e-5)
    assert float(loss(Y, P)) == pytest.approx(expected.mean(), rel=1e-5)


def test_random_masks_average_to_the_expectation():
    expected = float(masking(mask="expected")(Y, P))
    loss = masking(mask="sample")
    step = tf.function(lambda: loss(Y, P))
    draws = np.array([step() for _ in range(600)])
    assert draws.std() > 0
    assert abs(draws.mean() - expected) < 4 * draws.std() / np.sqrt(len(draws))


def drawn_masks(loss, y, draws):
    """What is kept in each draw: ones through a loss that is 1 everywhere."""
    step = tf.function(
        lambda: tf.where(loss._uniform(tf.shape(y)) < loss.keep_probability(y), 1, 0)
    )
    return np.array([step() for _ in range(draws)])


@pytest.mark.parametrize("plan", ["uniform", "adaptive"])
def test_kept_odds_are_the_ideal_ones(plan):
    """Within 1 %, over many draws of samples and masks."""
    rng = np.random.default_rng(1)
    n = 4000
    y = (rng.random((n, Q)) < [0.05, 0.2, 0.5, 0.8, 0.95]).astype("float32")
    p = np.full(n, 1 / n)
    if plan == "adaptive":
        p = tfml.sampling.pressure_probabilities(rng.random(n) + y[:, 0], 8.0).numpy()
    loss = PartialLabelMasking(odds=oracle.odds(y, p), initial=[0.3, 0.2, 2.0, 1.0, 5.0])
    ids = np.tile(np.arange(n), 400)  # of permutations
    if plan == "adaptive":
        ids = np.concatenate([tfml.sampling.draw_epoch(p, 8, 0, epoch) for epoch in range(400)])
    drawn = y[ids].astype(float)
    mask = drawn_masks(loss, drawn, 1)[0]
    kept = (mask * drawn).sum(axis=0), (mask * (1 - drawn)).sum(axis=0)
    np.testing.assert_allclose(kept[0] / kept[1], [0.3, 0.2, 2.0, 1.0, 5.0], rtol=0.01)
    masked = 1 - mask.mean(axis=0)
    assert masked.max() > 0.3


def test_no_mask_where_ideal_ratios_are_the_odds():
    for mask, denominator in itertools.product(("sample", "expected"), ("all", "kept")):
        loss = PartialLabelMasking(odds=ODDS, mask=mask, denominator=denominator)
        expected = float(tf.keras.losses.BinaryCrossentropy()(Y, P))
        assert float(loss(Y, P)) == pytest.approx(expected, rel=1e-6)


def test_gradients_flow_through_kept_entries_alone():
    loss = masking(seed=3)
    keep = drawn_masks(masking(seed=3), Y, 1)[0]
    p = tf.constant(P)
    with tf.GradientTape() as tape:
        tape.watch(p)
        value = loss(Y, p)
    gradient = tape.gradient(value, p).numpy()
    assert 0 < keep.mean() < 1
    np.testing.assert_array_equal(gradient != 0, keep == 1)


@pytest.mark.parametrize("odds", [[0.5, np.nan, 2.0], [0.5, 0.0, 2.0], [0.5, np.inf, 2.0]])
def test_labels_without_one_kind_leave_the_rest_alone(odds):
    loss = PartialLabelMasking(odds=odds, initial=1.0, mask="expected")
    y = np.array([[1, 1, 1], [0, 1, 0]], "float32")
    p = np.full((2, 3), 0.25, "float32")
    keep = [[1, 1, 0.5], [0.5, 1, 1]]
    np.testing.assert_allclose(loss.keep_probability(y), keep, rtol=1e-6)
    expected = oracle.expected_loss(cross_entropy(y, p), keep)
    np.testing.assert_allclose(loss.call(y, p), expected, rtol=1e-6)


def focal(y, p, gamma=2.0):
    truth = np.where(y == 1, p, 1 - p)
    return -((1 - truth) ** gamma) * np.log(truth)


INNER = {
    "name": ("binary_crossentropy", cross_entropy),
    "object": (tf.keras.losses.BinaryCrossentropy(), cross_entropy),
    "focal name": ("binary_focal_crossentropy", focal),
    "focal object": (
        tf.keras.losses.BinaryFocalCrossentropy(gamma=3.0),
        lambda y, p: focal(y, p, 3),
    ),
    "asymmetric": (
        AsymmetricLoss(1.0, 2.0, 0.0),
        lambda y, p: cross_entropy(y, p) * np.where(y == 1, 1 - p, p**2),
    ),
    "function": (
        lambda y, p: (y - p) ** 2 * tf.range(1.0, Q + 1),
        lambda y, p: (y - p) ** 2 * np.arange(1, Q + 1),
    ),
}


@pytest.mark.parametrize("kind", INNER)
def test_any_elementwise_loss(kind):
    inner, slow = INNER[kind]
    loss = masking(inner, mask="expected")
    expected = oracle.expected_loss(slow(Y, P), oracle.keep_probability(Y, ODDS, IDEAL))
    np.testing.assert_allclose(loss.call(Y, P), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "inner",
    [
        "binary_crossentropy",
        "binary_focal_crossentropy",
        tf.keras.losses.BinaryCrossentropy(from_logits=True),
        tf.keras.losses.BinaryFocalCrossentropy(from_logits=True),
        AsymmetricLoss(from_logits=True),
        lambda y, p: tf.abs(y - p),
    ],
)
def test_logits_are_probabilities_before_the_sigmoid(inner):
    of_logits = None if isinstance(inner, tf.keras.losses.Loss) else True
    from_logits = masking(inner, mask="expected", from_logits=of_logits)
    assert from_logits.from_logits
    plain = inner
    if of_logits is None:
        plain = type(inner).from_config({**inner.get_config(), "from_logits": False})
    expected = masking(plain, mask="expected").call(Y, P)
    np.testing.assert_allclose(from_logits.call(Y, LOGITS), expected, rtol=1e-4)


def test_softmax_of_class_ids_is_masked_one_vs_all():
    ids = RNG.integers(0, Q, N)
    onehot = np.eye(Q, dtype="float32")[ids]
    odds = oracle.odds(onehot)
    softmax = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    keep = oracle.keep_probability(onehot, odds, np.full(Q, 0.2))
    expected = oracle.expected_loss(cross_entropy(onehot, softmax), keep)
    settings = {"odds": odds, "initial": 0.2, "mask": "expected"}
    of_logits = PartialLabelMasking(from_logits=True, activation="softmax", **settings)
    for y in (ids, ids[:, None], onehot, ids.astype("float32")):
        np.testing.assert_allclose(PartialLabelMasking(**settings).call(y, softmax), expected, 1e-4)
        np.testing.assert_allclose(of_logits.call(y, LOGITS), expected, rtol=1e-4)


def test_softmax_of_far_logits_keeps_loss_and_gradient():
    loss = PartialLabelMasking(odds=[1.0, 1.0, 1.0], from_logits=True, activation="softmax")
    logits = tf.constant([[40.0, 0.0, -3.0], [-30.0, 50.0, 50.0]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = loss.call(np.array([1, 0]), logits)
    # Row 0: -ln p_1 = 40, -ln(1 - p_0) = 40 - ln(1 + e^-3). Row 1: 80 + ln 2, and ln 2 twice.
    expected = [(80 - np.log1p(np.exp(-3))) / 3, (80 + 3 * np.log(2)) / 3]
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    gradient = tape.gradient(value, logits).numpy()
    assert np.all(np.isfinite(gradient))
    assert gradient[0, 1] < -0.3


@pytest.mark.parametrize("form", [(N,), (N, 1)], ids=["(b,)", "(b, 1)"])
def test_sample_weights(form):
    weight = RNG.random(N).astype("float32")
    values = masking(mask="expected").call(Y, P).numpy()
    weighted = masking(mask="expected")(Y, P, weight.reshape(form))
    assert float(weighted) == pytest.approx((values * weight).mean(), rel=1e-5)


@pytest.mark.parametrize("n", [N, Q])
def test_label_weights_also_where_b_is_q(n):
    y, p, weight = Y[:n], P[:n], RNG.random((n, Q)).astype("float32")
    keep = oracle.keep_probability(y, ODDS, IDEAL)
    expected = oracle.expected_loss(cross_entropy(y, p) * weight, keep)
    for reduction, value in (("sum_over_batch_size", expected.mean()), ("sum", expected.sum())):
        loss = masking(mask="expected", reduction=reduction)
        assert float(loss(y, p, weight)) == pytest.approx(value, rel=1e-5)
    values = masking(mask="expected", reduction="none")(y, p, weight)
    np.testing.assert_allclose(values, expected, rtol=1e-5)


def test_numeric_gradient():
    loss = masking("binary_focal_crossentropy", mask="expected", from_logits=True)
    logits = tf.constant(LOGITS[:3])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = loss(Y[:3], logits)
    gradient = tape.gradient(value, logits).numpy()
    for entry in np.ndindex(3, Q):
        move = np.zeros((3, Q), "float32")
        move[entry] = 1e-2
        slope = (loss(Y[:3], LOGITS[:3] + move) - loss(Y[:3], LOGITS[:3] - move)) / 2e-2
        assert float(slope) == pytest.approx(gradient[entry], rel=2e-2, abs=2e-5)


@pytest.mark.parametrize("settings", [{"mask": "sample"}, {"mask": "expected"}], ids=str)
def test_compiled_by_xla(settings):
    plain, compiled = masking(**settings), masking(**settings)
    step = tf.function(lambda y, p: compiled(y, p), jit_compile=True)
    for _ in range(3):
        assert float(step(Y, P)) == pytest.approx(float(plain(Y, P)), rel=1e-5)


def test_half_precision_predictions():
    for dtype, tolerance in ((tf.float16, 1e-2), (tf.bfloat16, 5e-2)):
        value = masking(mask="expected")(Y, tf.cast(P, dtype))
        assert value.dtype == tf.float32
        assert float(value) == pytest.approx(float(masking(mask="expected")(Y, P)), rel=tolerance)


def test_permuting_labels_changes_nothing():
    order = RNG.permutation(Q)
    loss = masking(mask="expected", odds=ODDS[order], initial=IDEAL[order])
    value = masking(mask="expected")(Y, P)
    assert float(loss(Y[:, order], P[:, order])) == pytest.approx(float(value), rel=1e-6)


def test_seeds_and_steps_draw_other_masks():
    first, again, other = masking(seed=0), masking(seed=0), masking(seed=1)
    draws = [float(first(Y, P)) for _ in range(3)]
    assert draws == [float(again(Y, P)) for _ in range(3)]
    assert len(set(draws) | {float(other(Y, P))}) == 4


def test_global_odds():
    y = np.array([[1, 0], [1, 1], [1, 0], [0, 0]])  # 4 positives, 4 negatives
    loss = PartialLabelMasking(odds=tfml.label_statistics(y).odds, initial="global")
    np.testing.assert_allclose(loss.ideal, [1, 1], rtol=1e-6)


def test_config_keeps_ratios_through_json():
    loss = masking("binary_focal_crossentropy", mask="expected", rate=0.5, reduction="sum")
    loss.ideal.assign([0.1, 0.2, 0.3, 0.4, np.nan])
    loss.actual.assign([0.1, 0.5, 0.3, 0.5, np.nan])
    again = PartialLabelMasking.from_config(json.loads(json.dumps(loss.get_config())))
    assert again.get_config() == loss.get_config()
    assert float(again(Y, P)) == pytest.approx(float(loss(Y, P)), rel=1e-6)


@pytest.mark.parametrize(
    "inner", [tf.keras.losses.BinaryFocalCrossentropy(gamma=3.0), AsymmetricLoss(1.0, 3.0)]
)
def test_config_keeps_the_inner_object(inner):
    config = json.loads(json.dumps(masking(inner, mask="expected").get_config()))
    again = PartialLabelMasking.from_config(config)
    expected = masking(inner, mask="expected")
    assert float(again(Y, P)) == pytest.approx(float(expected(Y, P)), rel=1e-6)


@tf.keras.utils.register_keras_serializable("tests")
def squared(y, p):
    return (y - p) ** 2


def test_config_finds_a_registered_function():
    again = PartialLabelMasking.from_config(masking(squared).get_config())
    assert again.loss is squared


@pytest.mark.parametrize(
    "settings",
    [
        {"odds": None},
        {"odds": 0.5},
        {"odds": [0.5]},
        {"odds": [0.5, -1]},
        {"mask": "random"},
        {"denominator": "b"},
        {"direction": "both"},
        {"activation": "tanh"},
        {"initial": "odds"},
        {"initial": 0.0},
        {"initial": [1.0, 1.0]},
        {"initial": [1, 1, 1, 1, -1]},
        {"initial": [1, 1, 1, 1, np.nan]},
        {"initial": np.inf},
        {"initial": ["1"] * 5},
        {"odds": [0.5, None]},
        {"odds": ["0.5", "1"]},
        {"rate": True},
        {"bins": 10.0},
        {"seed": -1},
        {"seed": 0.5},
        {"from_logits": "no"},
        {"loss": {}},
        {"name": 3},
        {"rate": -0.1},
        {"limit": 1.0},
        {"bins": 1},
        {"smoothing": 0.0},
        {"loss": "no such loss"},
        {"loss": 3},
        {"loss": tf.keras.losses.BinaryCrossentropy},
        {"loss": tf.keras.losses.BinaryCrossentropy(), "from_logits": True},
    ],
    ids="-".join,  # of the names
)
def test_bad_arguments(settings):
    with pytest.raises(ValueError, match=r"Received: .*\. \w+"):
        masking(**settings)


def test_a_function_that_takes_the_mean_itself():
    with pytest.raises(ValueError, match=r"before any mean. Received: shape"):
        masking(tf.keras.losses.binary_crossentropy)(Y, P)


def test_predictions_of_another_width():
    with pytest.raises(ValueError, match=r"made for 5 labels. Received: y_pred of shape"):
        masking()(Y[:, :4], P[:, :4])
    with pytest.raises(ValueError, match=r"Received: y_true of shape"):
        masking()(Y[:, :4], P)
