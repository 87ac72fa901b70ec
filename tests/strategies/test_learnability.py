"""Learnability against its slow oracle and by hand, with given and with computed references."""

import json

import numpy as np
import pytest
import tensorflow as tf

import tests.support.oracles.baselines as oracle
from tests.support.oracles.visits import (
    assert_probabilities_agree,
    make_labels,
    observe_epoch,
    observe_rows,
)
from tfmlselect.schedules import Decay
from tfmlselect.strategies import Learnability

Y = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], np.uint8)
REFERENCE = np.array([[0.5, 0.5], [0.1, 0.3], [1.0, 0.0], [2.0, 0.0]])
VISITS = [(0, [0.25, 0.75]), (1, [0.5, 0.1]), (2, [0.5, 0.5])]
# Losses: ln 4 twice; ln 2 and ln 10; ln 2 twice; without a visit ln 2 twice.
# Means 1.38629436, 1.49786614, .69314718, .69314718; minus .5, .2, .5, 1.
SCORES = [0.88629436, 1.29786614, 0.19314718, -0.30685282]
# Span 1.60471896; u = .7435, 1, .3116, 0; 4 (1 - u) = 1.03, 0, 2.75, 4; Q = 2 1 3 4.
P = np.array([4, 8, 2, 1]) / 15


def keras_model():
    start = tf.keras.initializers.Constant([[1.0, -1.0], [0.5, 2.0]])
    dense = tf.keras.layers.Dense(2, "sigmoid", kernel_initializer=start)
    return tf.keras.Sequential([tf.keras.layers.Input([2]), dense])


X = np.array([[0, 0], [1, 0], [0, 1], [2, -1]], np.float32)
# Logits of the model, and its mean loss: ln(1 + e^-z) for a positive, ln(1 + e^z) for a negative.
LOGITS = np.array([[0, 0], [1, -1], [0.5, 2], [1.5, -4]])
MODEL_LOSSES = np.log1p(np.exp(np.where(Y == 1, -LOGITS, LOGITS))).mean(axis=1)


def test_oracle_by_hand():
    slow = oracle.LearnabilityOracle(Y, REFERENCE, pressure=16.0)
    for i, row in VISITS:
        slow.observe([i], np.array([row]))
    np.testing.assert_allclose(slow.scores(), SCORES, rtol=1e-7)
    np.testing.assert_allclose(slow.probabilities(0), P, rtol=1e-12)


@pytest.mark.parametrize("reference", [REFERENCE, REFERENCE.mean(axis=1).tolist()])
def test_package_by_hand(reference):
    strategy = Learnability(reference, pressure=16.0)
    strategy.build(Y)
    observe_rows(strategy, VISITS)
    np.testing.assert_allclose(strategy.scores(), SCORES, rtol=1e-6)
    for epoch in (0, 99):  # the pressure stays
        np.testing.assert_allclose(strategy.probabilities(epoch), P, rtol=1e-12)


@pytest.mark.parametrize("per_label", [False, True])
@pytest.mark.parametrize(("n", "q"), [(37, 5), (200, 9)])
def test_every_epoch_agrees(n, q, per_label):
    rng = np.random.default_rng(n)
    y = make_labels(rng, n, q)
    reference = rng.exponential(1, (n, q) if per_label else n)
    strategy, slow = Learnability(reference), oracle.LearnabilityOracle(y, reference)
    strategy.build(y)
    for epoch in range(4):
        observe_epoch(strategy, slow, rng)
        # A difference near 0 keeps the absolute error of its two losses.
        np.testing.assert_allclose(strategy.scores(), slow.scores(), rtol=1e-5, atol=1e-6)
        assert_probabilities_agree(strategy, slow, epoch)


@pytest.mark.parametrize("batch_size", [1, 3, 256])
def test_losses_of_a_reference_model(batch_size):
    strategy = Learnability.from_model(keras_model(), X, Y, batch_size=batch_size, pressure=4.0)
    assert strategy.get_config()["reference_losses"] == pytest.approx(MODEL_LOSSES, rel=1e-5)
    strategy.build(Y)
    np.testing.assert_allclose(strategy.scores(), np.log(2) - MODEL_LOSSES, rtol=1e-5, atol=1e-6)
    p = strategy.probabilities(0).numpy()
    assert p.max() / p.min() == pytest.approx(4.0 ** (3 / 4))


def test_losses_of_a_reference_model_for_class_ids():
    # Each class is an entry of its own: labels one-hot.
    model, ids = keras_model(), np.array([0, 1, 1, 0])
    one_hot = Learnability.from_model(model, X, np.eye(2, dtype=np.uint8)[ids])
    by_id = Learnability.from_model(model, X, ids)
    np.testing.assert_array_equal(
        by_id.get_config()["reference_losses"], one_hot.get_config()["reference_losses"]
    )


def test_a_model_of_logits():
    linear = tf.keras.Sequential([tf.keras.layers.Input([2]), tf.keras.layers.Dense(2)])
    linear.set_weights([np.array([[1.0, -1.0], [0.5, 2.0]]), np.zeros(2)])
    with pytest.raises(ValueError, match=r"Received: .*\. \w+"):
        Learnability.from_model(linear, X, Y)


def test_a_model_of_another_width():
    with pytest.raises(ValueError, match=r"Received: .*\(4, 2\).*\. \w+"):
        Learnability.from_model(keras_model(), X, np.eye(4, 3, dtype=np.uint8))


def test_without_a_reference_it_is_selection_by_loss():
    strategy, slow = Learnability(pressure=16.0), oracle.LearnabilityOracle(Y, pressure=16.0)
    with pytest.warns(UserWarning, match="from_model") as warned:
        strategy.build(Y)
    assert len(warned) == 1
    observe_epoch(strategy, slow, np.random.default_rng(0), 2)
    np.testing.assert_allclose(strategy.scores(), slow.scores(), rtol=1e-5)
    assert_probabilities_agree(strategy, slow, 0)


def test_config_round_trip():
    strategy = Learnability(REFERENCE, Decay(16.0), epochs=4)
    again = Learnability.from_config(json.loads(json.dumps(strategy.get_config())))
    assert again.get_config() == strategy.get_config()
    for each in (strategy, again):
        each.build(Y)
        observe_rows(each, VISITS)
    np.testing.assert_array_equal(again.probabilities(2), strategy.probabilities(2))


def with_entry(value):
    losses = REFERENCE.copy()
    losses[1, 1] = value
    return losses


@pytest.mark.parametrize(
    "losses", [1.0, np.zeros((4, 2, 1)), with_entry(np.nan), with_entry(np.inf)], ids=str
)
def test_no_reference_losses(losses):
    with pytest.raises(ValueError, match=r"reference_losses.* Received: .*\. \w+"):
        Learnability(losses)


@pytest.mark.parametrize("shape", [(3,), (5,), (4, 3), (2, 4), (3, 2), (4, 1)])
def test_reference_losses_of_another_training_set(shape):
    strategy = Learnability(np.ones(shape))
    with pytest.raises(ValueError, match=r"reference_losses.* Received: .*\. \w+"):
        strategy.build(Y)


def test_no_pressure():
    with pytest.raises(ValueError, match=r"Received: pressure=0\.5\. Use 1"):
        Learnability(REFERENCE, pressure=0.5)
