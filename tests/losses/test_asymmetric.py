"""The asymmetric loss, by hand and against a slow oracle."""

import json

import numpy as np
import pytest
import tensorflow as tf

import tests.support.oracles.asymmetric_loss as oracle
import tests.support.oracles.loss_tables as table
from tfmlselect.losses import AsymmetricLoss

RNG = np.random.default_rng(0)
Y = (RNG.random((12, 5)) < 0.3).astype("float32")
LOGITS = (3 * RNG.normal(size=(12, 5))).astype("float32")
P = 1 / (1 + np.exp(-LOGITS))
SETTINGS = [
    {},
    {"gamma_positive": 1.0},
    {"gamma_negative": 0.0},
    {"margin": 0.0},
    {"gamma_positive": 0.5, "gamma_negative": 0.5, "margin": 0.2},
    {"gamma_negative": 0.0, "margin": 0.0},
]


def test_by_hand():
    y, p = table.ASL_Y.astype("float32"), table.ASL_P.astype("float32")
    np.testing.assert_allclose(AsymmetricLoss(**table.ASL).entries(y, p), table.ASL_LOSS, 1e-5)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_against_the_oracle(settings):
    expected = oracle.asymmetric_loss(Y, P.astype(float), **settings)
    loss = AsymmetricLoss(**settings)
    np.testing.assert_allclose(loss.entries(Y, P), expected, rtol=2e-4, atol=1e-7)
    assert float(loss(Y, P)) == pytest.approx(expected.mean(), rel=1e-4)
    of_logits = AsymmetricLoss(**settings, from_logits=True)
    np.testing.assert_allclose(of_logits.entries(Y, LOGITS), expected, rtol=2e-4, atol=1e-7)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("jit_compile", [False, True])
def test_gradient(settings, jit_compile):
    loss = AsymmetricLoss(**settings, from_logits=True)

    @tf.function(jit_compile=jit_compile)
    def slope(logits):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = tf.reduce_sum(loss.entries(Y, logits))
        return tape.gradient(value, logits)

    expected = oracle.logit_gradient(Y, LOGITS.astype(float), **settings)
    np.testing.assert_allclose(slope(tf.constant(LOGITS)), expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("from_logits", [False, True])
def test_extreme_predictions_stay_finite(settings, from_logits):
    y = tf.constant([[1.0, 0.0, 1.0, 0.0]])
    extreme = [[-200.0, -200.0, 200.0, 200.0]] if from_logits else [[0.0, 0.0, 1.0, 1.0]]
    x = tf.constant(extreme)
    loss = AsymmetricLoss(**settings, from_logits=from_logits)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = loss.entries(y, x)
    assert np.all(np.isfinite(value))
    assert np.all(np.isfinite(tape.gradient(value, x)))


def test_binary_cross_entropy_is_a_case():
    loss = AsymmetricLoss(0.0, 0.0, 0.0)
    expected = float(tf.keras.losses.BinaryCrossentropy()(Y, P))
    assert float(loss(Y, P)) == pytest.approx(expected, rel=1e-5)


def test_easy_negatives_count_nothing():
    assert float(AsymmetricLoss(margin=0.3)([[0.0, 0.0]], [[0.1, 0.29]])) == 0


@pytest.mark.parametrize("n", [12, 5])
def test_label_weights_also_where_b_is_q(n):
    weight = RNG.random((n, 5)).astype("float32")
    expected = (oracle.asymmetric_loss(Y[:n], P[:n].astype(float)) * weight).mean()
    assert float(AsymmetricLoss()(Y[:n], P[:n], weight)) == pytest.approx(expected, rel=1e-4)


def test_config_round_trip():
    loss = AsymmetricLoss(1.0, 3.0, 0.1, from_logits=True, reduction="sum")
    again = AsymmetricLoss.from_config(json.loads(json.dumps(loss.get_config())))
    assert again.get_config() == loss.get_config()
    assert float(again(Y, LOGITS)) == float(loss(Y, LOGITS))


@pytest.mark.parametrize(
    "settings", [{"gamma_positive": -1}, {"gamma_negative": -1}, {"margin": 1}, {"margin": -0.1}]
)
def test_bad_arguments(settings):
    with pytest.raises(ValueError, match=r"Received: \w+=.*\. Pass"):
        AsymmetricLoss(**settings)
