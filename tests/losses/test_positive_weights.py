"""Positive weights as a loss: weights, entries and means, by hand and against a slow oracle."""

import json
import warnings

import numpy as np
import pytest
import tensorflow as tf

import tests.support.oracles.loss_tables as table
import tests.support.oracles.positive_weights as oracle
import tfmlselect as tfml
from tfmlselect.losses import AsymmetricLoss, PartialLabelMasking, PositiveWeights
from tfmlselect.schedules import Constant, Decay, Ramp

N, Q = 40, 5
RNG = np.random.default_rng(0)
Y = (RNG.random((N, Q)) < [0.03, 0.3, 0.5, 0.7, 0.9]).astype("float32")
Y[:2] = [[1], [0]]
LOGITS = RNG.normal(size=(N, Q)).astype("float32")
P = 1 / (1 + np.exp(-LOGITS))
ODDS = Y.mean(axis=0) / (1 - Y.mean(axis=0))
EXPONENTS = [0.0, 0.25, 0.5, 1.0]


def weighted(loss="binary_crossentropy", **arguments):
    return PositiveWeights(loss, **{"odds": ODDS, "exponent": 0.5, **arguments})


def cross_entropy(y, p):
    return -(y * np.log(p) + (1 - y) * np.log(1 - p))


def table_loss(elementwise=None, **arguments):
    settings = {
        "odds": table.WEIGHTS_ODDS,
        "exponent": table.WEIGHTS_EXPONENT,
        "limit": table.WEIGHTS_LIMIT,
    }
    return PositiveWeights(elementwise or "binary_crossentropy", **{**settings, **arguments})


# By hand


def test_the_oracle_by_hand():
    settings = table.WEIGHTS_ODDS, table.WEIGHTS_EXPONENT, table.WEIGHTS_LIMIT
    assert [oracle.weight(odds, *settings[1:]) for odds in settings[0]] == pytest.approx(
        table.WEIGHTS, rel=1e-12
    )
    found = oracle.weights(table.WEIGHTS_Y, *settings)
    np.testing.assert_allclose(found, table.ENTRY_WEIGHTS, rtol=1e-12)
    found = oracle.loss(table.WEIGHTS_ELEMENTWISE, table.WEIGHTS_Y, *settings)
    np.testing.assert_allclose(found, table.WEIGHTED_LOSS, rtol=1e-12)


def test_full_weights_balance_each_label():
    w = oracle.weights(Y, ODDS, 1.0)
    np.testing.assert_allclose((w * Y).sum(axis=0), (1 - Y).sum(axis=0), rtol=1e-6)


def test_weights_by_hand():
    loss = table_loss()
    np.testing.assert_allclose(loss.positive_weights(), table.WEIGHTS, rtol=1e-6)
    np.testing.assert_allclose(loss.entry_weights(table.WEIGHTS_Y), table.ENTRY_WEIGHTS, rtol=1e-6)


def test_loss_by_hand():
    loss = table_loss(lambda y, p: tf.constant(table.WEIGHTS_ELEMENTWISE, tf.float32))
    values = loss.call(table.WEIGHTS_Y, np.full(table.WEIGHTS_Y.shape, 0.5))
    np.testing.assert_allclose(values, table.WEIGHTED_LOSS, rtol=1e-6)


@pytest.mark.parametrize("odds", [0.0, np.nan, np.inf])
def test_labels_without_one_kind_are_not_weighed(odds):
    loss = PositiveWeights(odds=[0.25, odds, 4.0], exponent=0.5)
    np.testing.assert_allclose(loss.positive_weights(), [2, 1, 0.5], rtol=1e-6)


# Against the oracle


@pytest.mark.parametrize("exponent", EXPONENTS)
@pytest.mark.parametrize("limit", [100.0, 1.5])
def test_against_the_oracle(exponent, limit):
    expected = oracle.loss(cross_entropy(Y, P), Y, ODDS, exponent, limit)
    loss = weighted(exponent=exponent, limit=limit)
    np.testing.assert_allclose(loss.call(Y, P), expected, rtol=1e-5)
    assert float(loss(Y, P)) == pytest.approx(expected.mean(), rel=1e-5)


def test_soft_labels_against_the_oracle():
    y = RNG.random((N, Q)).astype("float32")
    expected = oracle.loss(cross_entropy(y, P), y, ODDS, 0.5)
    np.testing.assert_allclose(weighted().call(y, P), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "inner", ["binary_crossentropy", AsymmetricLoss(1.0, 3.0)], ids=["bce", "asl"]
)
def test_exponent_0_is_the_plain_loss(inner):
    loss = weighted(inner, exponent=0.0)
    np.testing.assert_array_equal(loss.entry_weights(Y), np.ones((N, Q)))
    plain = tf.keras.losses.BinaryCrossentropy() if isinstance(inner, str) else inner
    assert float(loss(Y, P)) == pytest.approx(float(plain(Y, P)), rel=1e-6)


def focal(y, p, gamma=2.0):
    truth = np.where(y == 1, p, 1 - p)
    return -((1 - truth) ** gamma) * np.log(truth)


INNER = {
    "name": ("binary_crossentropy", cross_entropy),
    "object": (tf.keras.losses.BinaryCrossentropy(), cross_entropy),
    "focal name": ("binary_focal_crossentropy", focal),
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
    expected = oracle.loss(slow(Y, P), Y, ODDS, 0.5)
    np.testing.assert_allclose(weighted(inner).call(Y, P), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "inner",
    ["binary_crossentropy", tf.keras.losses.BinaryCrossentropy(from_logits=True)],
    ids=["name", "object"],
)
def test_logits(inner):
    of_logits = weighted(inner, from_logits=True)
    assert of_logits.from_logits
    np.testing.assert_allclose(of_logits.call(Y, LOGITS), weighted().call(Y, P), rtol=1e-5)


def test_softmax_of_class_ids_is_weighed_one_vs_all():
    ids = RNG.integers(0, Q, N)
    onehot = np.eye(Q, dtype="float32")[ids]
    odds = onehot.mean(axis=0) / (1 - onehot.mean(axis=0))
    softmax = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    expected = oracle.loss(cross_entropy(onehot, softmax), onehot, odds, 0.5)
    settings = {"odds": odds, "exponent": 0.5}
    of_logits = PositiveWeights(from_logits=True, activation="softmax", **settings)
    for y in (ids, ids[:, None], onehot):
        np.testing.assert_allclose(PositiveWeights(**settings).call(y, softmax), expected, 1e-4)
        np.testing.assert_allclose(of_logits.call(y, LOGITS), expected, rtol=1e-4)


# The gradient


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("exponent", EXPONENTS)
def test_gradient_is_that_of_cross_entropy_weighted_by_hand(jit_compile, exponent):
    """Keras weighs entries where each is a sample of its own: (b q, 1) and weights (b q,)."""
    keras = tf.keras.losses.BinaryCrossentropy(from_logits=True)
    w = oracle.weights(Y, ODDS, exponent).astype("float32")
    logits = tf.Variable(LOGITS)
    with tf.GradientTape() as tape:
        value = keras(Y.reshape(-1, 1), tf.reshape(logits, [-1, 1]), w.reshape(-1))
    expected = tape.gradient(value, logits)
    loss = weighted(exponent=exponent, from_logits=True)

    @tf.function(jit_compile=jit_compile)
    def step():
        with tf.GradientTape() as tape:
            value = loss(Y, logits)
        return value, tape.gradient(value, logits)

    found, gradient = step()
    assert float(found) == pytest.approx(float(value), rel=1e-5)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("exponent", [0.25, 1.0])
def test_what_the_weights_do_to_probabilities(exponent):
    """A constant prediction is best at the odds times the weight; the card says how to go back."""
    loss = weighted(exponent=exponent)
    w = loss.positive_weights().numpy().astype(float)
    best = w * ODDS / (1 + w * ODDS)
    p = tf.Variable(best[None], dtype=tf.float32)
    with tf.GradientTape() as tape:
        value = loss(Y, tf.repeat(p, N, axis=0))
    np.testing.assert_allclose(tape.gradient(value, p), 0.0, atol=1e-6)
    np.testing.assert_allclose(best / (best + w * (1 - best)), Y.mean(axis=0), rtol=1e-5)


# What must not matter, and what must


def test_permuting_labels_changes_nothing():
    order = RNG.permutation(Q)
    loss = weighted(odds=ODDS[order])
    value = float(weighted()(Y, P))
    assert float(loss(Y[:, order], P[:, order])) == pytest.approx(value, rel=1e-6)
    assert float(weighted(odds=ODDS[::-1])(Y, P)) != pytest.approx(value, rel=1e-2)


def test_permuting_samples_permutes_losses():
    order = RNG.permutation(N)
    values = weighted().call(Y, P).numpy()
    np.testing.assert_allclose(weighted().call(Y[order], P[order]), values[order], rtol=1e-6)


@pytest.mark.parametrize("form", [(N,), (N, 1)], ids=["(b,)", "(b, 1)"])
def test_sample_weights(form):
    weight = RNG.random(N).astype("float32")
    values = weighted().call(Y, P).numpy()
    value = weighted()(Y, P, weight.reshape(form))
    assert float(value) == pytest.approx((values * weight).mean(), rel=1e-5)


@pytest.mark.parametrize("n", [N, Q])
def test_label_weights_also_where_b_is_q(n):
    y, p, weight = Y[:n], P[:n], RNG.random((n, Q)).astype("float32")
    expected = oracle.loss(cross_entropy(y, p) * weight, y, ODDS, 0.5)
    for reduction, value in (("sum_over_batch_size", expected.mean()), ("sum", expected.sum())):
        loss = weighted(reduction=reduction)
        assert float(loss(y, p, weight)) == pytest.approx(value, rel=1e-5)


def test_half_precision_predictions():
    for dtype, tolerance in ((tf.float16, 1e-2), (tf.bfloat16, 5e-2)):
        value = weighted()(Y, tf.cast(P, dtype))
        assert value.dtype == tf.float32
        assert float(value) == pytest.approx(float(weighted()(Y, P)), rel=tolerance)


# The exponent


def test_a_schedule_starts_at_its_first_value():
    loss = weighted(exponent=Ramp(0.75, 0.0))
    assert float(loss.exponent) == 0.75
    np.testing.assert_allclose(loss.call(Y, P), weighted(exponent=0.75).call(Y, P), rtol=1e-6)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_moved_exponent_is_taken_at_once(compiled):
    loss = weighted(exponent=Ramp(0.5, 0.0))
    call = tf.function(lambda: loss(Y, P)) if compiled else (lambda: loss(Y, P))
    for exponent in (0.5, 0.25, 0.0):
        assert loss.set_exponent(exponent) == exponent
        expected = float(weighted(exponent=exponent)(Y, P))
        assert float(call()) == pytest.approx(expected, rel=1e-6)


def test_an_exponent_moved_out_of_range():
    with pytest.raises(ValueError, match=r"Received: exponent=1\.5"):
        weighted().set_exponent(1.5)


def train_step(loss, eagerly):
    logits = tf.Variable(LOGITS)

    def step():
        with tf.GradientTape() as tape:
            value = loss(Y, tf.sigmoid(logits))
        return value, tape.gradient(value, logits)

    return step if eagerly else tf.function(step)


@pytest.mark.parametrize("eagerly", [True, False])
def test_training_with_a_schedule_that_nobody_moves_warns_once(eagerly):
    loss = weighted(exponent=Ramp(0.5, 0.0))
    assert float(loss(Y, P)) > 0  # no training step: no warning, which here would be an error
    step = train_step(loss, eagerly)
    with pytest.warns(UserWarning, match=r"no callback moves it.* Received: .*Ramp\("):
        value, gradient = step()
    step()  # no second warning, which here would be an error
    plain = weighted(exponent=0.5)
    expected = train_step(plain, eagerly)()
    assert float(value) == pytest.approx(float(expected[0]), rel=1e-6)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-6)


@pytest.mark.parametrize("exponent", [0.5, Constant(0.5), Ramp(0.5, 0.0)], ids=str)
def test_no_warning_where_none_is_due(exponent):
    loss = weighted(exponent=exponent)
    if isinstance(exponent, Ramp):
        loss.set_exponent(0.25)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train_step(loss, eagerly=True)()


# Saved and loaded


@pytest.mark.parametrize("exponent", [0.25, Ramp(0.5, 0.0, start=2, end=0.75)], ids=str)
def test_config_through_json(exponent):
    loss = weighted("binary_focal_crossentropy", exponent=exponent, limit=5, odds_of="draws")
    loss.set_exponent(0.125)
    loss.odds.assign([0.1, 0.5, 0.3, 0.5, np.nan])
    again = PositiveWeights.from_config(json.loads(json.dumps(loss.get_config())))
    assert again.get_config() == loss.get_config()
    assert float(again.exponent) == 0.125
    assert again.schedule == loss.schedule
    assert float(again(Y, P)) == pytest.approx(float(loss(Y, P)), rel=1e-6)


def test_config_keeps_the_inner_object():
    loss = weighted(AsymmetricLoss(1.0, 3.0))
    again = PositiveWeights.from_config(json.loads(json.dumps(loss.get_config())))
    assert float(again(Y, P)) == pytest.approx(float(loss(Y, P)), rel=1e-6)


def test_repr_says_where_the_exponent_is():
    loss = weighted(exponent=Ramp(0.5, 0.0))
    loss.set_exponent(0.25)
    assert repr(loss) == (
        "<PositiveWeights of 5 labels: "
        "exponent=Ramp(first=0.5, last=0.0, start=0.0, end=1.0), now 0.25>"
    )


# What is refused


@pytest.mark.parametrize(
    "settings",
    [
        {"odds": None},
        {"odds": [0.5]},
        {"odds": [0.5, -1]},
        {"exponent": -0.1},
        {"exponent": 1.1},
        {"exponent": "falling"},
        {"exponent": Ramp(0.5, 2.0)},
        {"exponent": Decay(8.0)},
        {"limit": 1.0},
        {"odds_of": "batch"},
        {"activation": "tanh"},
        {"loss": "no such loss"},
        {"loss": tf.keras.losses.BinaryCrossentropy},
        {"loss": tf.keras.losses.BinaryCrossentropy(), "from_logits": True},
    ],
    ids="-".join,  # of the names
)
def test_bad_arguments(settings):
    with pytest.raises(ValueError, match=r"Received: .*\. \w+"):
        weighted(**settings)


@pytest.mark.parametrize("outer", [PositiveWeights, PartialLabelMasking])
@pytest.mark.parametrize("inner", [PositiveWeights, PartialLabelMasking])
def test_a_balancing_loss_in_another(outer, inner):
    with pytest.raises(ValueError, match=r"balances the labels at a time. Received: loss="):
        outer(inner(odds=ODDS), odds=ODDS)


@pytest.mark.parametrize("outer", [PositiveWeights, PartialLabelMasking])
@pytest.mark.parametrize(
    "inner",
    ["sparse_categorical_crossentropy", tf.keras.losses.CategoricalCrossentropy()],
    ids=["name", "object"],
)
def test_a_categorical_loss(outer, inner):
    with pytest.raises(ValueError, match=r"none for each label. Received: .*activation='softmax'"):
        outer(inner, odds=ODDS)


def test_predictions_of_another_width():
    with pytest.raises(
        ValueError, match=r"PositiveWeights was made for 5 labels. Received: y_pred"
    ):
        weighted()(Y[:, :4], P[:, :4])


def test_odds_of_statistics():
    loss = PositiveWeights(odds=tfml.label_statistics(Y.astype(int)).odds, exponent=1.0)
    share = Y.mean(axis=0)
    np.testing.assert_allclose(loss.positive_weights(), (1 - share) / share, rtol=1e-5)
