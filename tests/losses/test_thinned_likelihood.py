"""The likelihood of thinned data: by hand, against enumeration, and what a model learns by it."""

import json

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import minimize

import tests.support.oracles.thinned_likelihood as oracle
import tfmlselect as tfml
from tfmlselect import _training_step
from tfmlselect.losses import ThinnedLikelihood

RNG = np.random.default_rng(0)
Q = 3
Y = np.array(oracle.vectors(Q), "float32")  # all label vectors, the first one empty
LOGITS = RNG.normal(-1, 2, (len(Y), Q)).astype("float32")
P = 1 / (1 + np.exp(-LOGITS.astype(float)))
RATES = RNG.uniform(0.05, 1, len(Y)).astype("float32")
PROTECTED = [None, [0], [1, 2], [2, 0]]
BCE = tf.keras.losses.BinaryCrossentropy


def thinned(y=Y, y_pred=LOGITS, rates=RATES, labels=None, from_logits=True):
    """L of each sample, the sum over labels."""
    loss = ThinnedLikelihood(labels=labels, from_logits=from_logits, reduction="none")
    return np.asarray(loss.corrected(y, y_pred, rates)) * y_pred.shape[-1]


def columns(labels):
    return range(Q) if labels is None else labels


def test_by_hand():
    # p = 1/2: the cross-entropy is ln 2 a label; P(kept) = 1/5 + 4/5 (1 - 1/8) = 9/10.
    expected = 3 * np.log(2) + np.log(9 / 10)
    np.testing.assert_allclose(thinned(Y, np.zeros((8, 3), "f"), 0.2), expected, rtol=1e-6)
    # One protected label of p = 1/4, π = 1/3: 1/3 + 2/3 · 1/4 = 1/2. Labels 1 0 0: 2 ln 2 + 2 ln 2.
    p = np.array([[1 / 4, 1 / 2, 1 / 2]], "f")
    found = thinned(np.array([[1, 0, 0]], "f"), p, 1 / 3, [0], from_logits=False)
    np.testing.assert_allclose(found, 4 * np.log(2) - np.log(2), rtol=1e-6)


@pytest.mark.parametrize("labels", PROTECTED, ids=str)
def test_it_is_the_likelihood_given_that_a_sample_was_kept(labels):
    of_logits = thinned(labels=labels)
    of_probabilities = thinned(y_pred=P.astype("float32"), labels=labels, from_logits=False)
    for i, y in enumerate(Y):
        expected = oracle.loss(y, P[i], float(RATES[i]), columns(labels))
        assert of_logits[i] == pytest.approx(expected, rel=1e-5)
        assert of_probabilities[i] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("labels", PROTECTED, ids=str)
def test_the_likelihoods_of_all_label_vectors_sum_to_one(labels):
    z = np.tile(LOGITS[:1], (8, 1))
    constant = np.where(Y[:, list(columns(labels))].any(axis=1), 0, np.log(0.3))
    likelihood = np.exp(constant - thinned(y_pred=z, rates=0.3, labels=labels))
    assert likelihood.sum() == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("labels", PROTECTED, ids=str)
def test_gradient(labels, jit_compile):
    loss = ThinnedLikelihood(labels=labels, from_logits=True, reduction="sum")

    @tf.function(jit_compile=jit_compile)
    def slope(logits):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss.corrected(Y, logits, RATES)
        return tape.gradient(value, logits)

    found = np.asarray(slope(tf.constant(LOGITS))) * Q
    for i, y in enumerate(Y):
        given = (y, P[i], float(RATES[i]), columns(labels))
        np.testing.assert_allclose(found[i], oracle.logit_gradient(*given), rtol=1e-4, atol=1e-6)
        for j in range(Q):
            step = 1e-5 * np.eye(Q)[j]
            above, below = (1 / (1 + np.exp(-LOGITS[i] - s)) for s in (step, -step))
            both = (oracle.loss(y, p, *given[2:]) for p in (above, below))
            assert found[i, j] == pytest.approx((next(both) - next(both)) / 2e-5, abs=1e-4)


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("labels", PROTECTED, ids=str)
def test_a_rate_of_one_is_binary_cross_entropy(from_logits, labels):
    y_pred = LOGITS if from_logits else P.astype("float32")
    loss = ThinnedLikelihood(labels=labels, from_logits=from_logits)
    expected = float(BCE(from_logits=from_logits)(Y, y_pred))
    for rates in (1.0, np.ones(8, "f")):
        assert float(loss.corrected(Y, y_pred, rates)) == float(loss(Y, y_pred))
    assert float(loss(Y, y_pred)) == pytest.approx(expected, rel=1e-5)


def test_one_label_is_the_log_odds_correction():
    """Wang, Zhang and Wang: the logit of thinned data is z - ln π."""
    y, z = np.array([[0], [1], [0], [1]], "f"), np.array([[-3], [-1], [0.5], [2]], "f")
    rates = np.array([0.1, 0.2, 0.3, 0.9], "f")
    moved = z - np.log(rates)[:, None]
    expected = np.asarray(tf.nn.sigmoid_cross_entropy_with_logits(y, moved))[:, 0]
    constant = np.where(y[:, 0] == 1, 0, np.log(rates))
    np.testing.assert_allclose(thinned(y, z, rates) - constant, expected, rtol=1e-5)


@pytest.mark.parametrize("rate", [1e-6, 0.5, 1.0])
@pytest.mark.parametrize("from_logits", [False, True])
def test_extreme_predictions_stay_finite(from_logits, rate):
    size = 100.0 if from_logits else 1.0
    x = np.array(oracle.vectors(Q), "f") * (2 * size if from_logits else size)
    x = tf.constant(np.repeat(x - (size if from_logits else 0), 8, axis=0), tf.float32)
    y = tf.constant(np.tile(Y, (8, 1)))
    loss = ThinnedLikelihood(from_logits=from_logits, reduction="none")
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = loss.corrected(y, x, rate)
    assert np.isfinite(value).all()
    assert np.isfinite(tape.gradient(value, x)).all()


def test_small_rates_and_rare_events_keep_their_digits():
    """P(kept) = π + (1 - π)(1 - e^-S) with both terms near 1e-6, in float32."""
    z = np.full((1, Q), -14.0, "f")
    found = ThinnedLikelihood(from_logits=True).log_kept(z, np.float32(1e-6))
    some = -np.expm1(-3 * np.log1p(np.exp(-14.0)))
    np.testing.assert_allclose(found, np.log(1e-6 + (1 - 1e-6) * some), rtol=1e-6)


def grid():
    """x, all label vectors at each x, their weights among the kept samples, and the rates.

    Weights are expectations, so that the minimum of a loss that is right lies at the truth.
    """
    x = np.linspace(-2, 2, 9)
    truth = np.array([[-3.0, -2.0, -4.0], [1.0, -0.5, 0.3]])  # intercepts and slopes
    design = np.stack([np.ones(9), x], axis=1)
    p = 1 / (1 + np.exp(-design @ truth))
    rates = np.clip(2 * np.linalg.norm(p, axis=1), 0.05, 1)
    weight = [
        [oracle.probability(y, p[i]) * oracle.kept(y, rates[i], range(Q)) for y in Y]
        for i in range(9)
    ]
    each = (np.repeat(design, 8, axis=0), np.tile(Y, (9, 1)), np.ravel(weight))
    return truth, *(array.astype("float32") for array in (*each, np.repeat(rates, 8)))


def fitted(loss):
    """The coefficients (2, q) that minimise a loss of them."""

    def value_and_slope(flat):
        coefficients = tf.constant(flat.reshape(2, Q), tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(coefficients)
            value = loss(coefficients)
        return float(value), np.asarray(tape.gradient(value, coefficients), float).ravel()

    options = {"maxiter": 1000, "gtol": 1e-8, "ftol": 1e-15}
    start = np.zeros(2 * Q)
    found = minimize(value_and_slope, start, jac=True, method="L-BFGS-B", options=options)
    return found.x.reshape(2, Q)


def test_thinned_data_give_the_coefficients_of_all_data():
    truth, design, y, weight, rates = grid()
    loss = ThinnedLikelihood(from_logits=True)
    corrected = fitted(lambda w: 100 * loss.corrected(y, design @ w, rates, weight))
    np.testing.assert_allclose(corrected, truth, atol=5e-4)
    plain = fitted(lambda w: 100 * loss(y, design @ w, weight))
    assert (plain[0] - truth[0] > 0.5).all()


def test_it_corrects_in_training_steps_alone():
    loss = ThinnedLikelihood(0.3, from_logits=True)
    plain = float(BCE(from_logits=True)(Y, LOGITS))
    assert float(loss(Y, LOGITS)) == pytest.approx(plain, rel=1e-5)
    with _training_step.training_step(Y):
        corrected = float(loss(Y, LOGITS))
        assert corrected == pytest.approx(float(thinned(rates=0.3).mean()) / Q, rel=1e-5)
        _training_step.note_rates(tf.constant(RATES))
        by_row = float(loss(Y, LOGITS))
    assert by_row == pytest.approx(float(thinned().mean()) / Q, rel=1e-5)
    assert len({plain, corrected, by_row}) == 3
    assert float(loss.corrected(Y, LOGITS)) == pytest.approx(corrected, rel=1e-6)
    assert float(loss(Y, LOGITS)) == pytest.approx(plain, rel=1e-5)


def test_a_step_without_rates_says_what_to_do():
    loss = ThinnedLikelihood()
    said = r"Received: rate=None.*AdaptiveBatchSelection.*rate=train\.strategy\.rate"
    with pytest.raises(RuntimeError, match=said):
        loss.corrected(Y, P)
    with pytest.raises(RuntimeError, match=said), _training_step.training_step(Y):
        loss(Y, P)


def test_weights_of_samples():
    weight = RNG.random(8).astype("float32")
    loss = ThinnedLikelihood(from_logits=True)
    expected = (thinned() / Q * weight).mean()
    for given in (weight, weight[:, None]):
        assert float(loss.corrected(Y, LOGITS, RATES, given)) == pytest.approx(expected, rel=1e-5)


def test_weights_of_labels_are_refused():
    for call in (ThinnedLikelihood(), ThinnedLikelihood(0.5).corrected):
        with pytest.raises(ValueError, match=r"all labels.*\(b, q\)\. Pass weights of samples"):
            call(Y, P, sample_weight=np.ones((8, 3), "f"))


def test_what_does_not_fit_together():
    with pytest.raises(ValueError, match=r"labels=\[0, 3\].*3 labels.*Pass the columns"):
        thinned(labels=[0, 3])
    with pytest.raises(ValueError, match=r"rates of shape \(8, 1\)\. Give them"):
        thinned(rates=RATES[:, None])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_computed_in_float32(dtype):
    half = tf.cast(LOGITS, dtype)
    found = ThinnedLikelihood(from_logits=True).corrected(Y, half, RATES)
    assert found.dtype == tf.float32
    assert float(found) == pytest.approx(thinned(y_pred=np.float32(half)).mean() / Q, rel=1e-5)


def test_class_ids_are_one_hot_rows():
    ids = np.arange(8) % Q
    loss = ThinnedLikelihood(0.4, [1], from_logits=True)
    rows = np.eye(Q, dtype="f")[ids]
    assert float(loss.corrected(ids, LOGITS)) == float(loss.corrected(rows, LOGITS))


def test_config_round_trip():
    loss = ThinnedLikelihood(0.25, np.array([2, 0]), from_logits=True, reduction="sum")
    config = json.loads(json.dumps(loss.get_config()))
    assert (config["rate"], config["labels"], config["from_logits"]) == (0.25, [2, 0], True)
    again = ThinnedLikelihood.from_config(config)
    assert again.get_config() == loss.get_config()
    assert float(again.corrected(Y, LOGITS)) == float(loss.corrected(Y, LOGITS))


def test_a_saved_model_has_it(tmp_path):
    model = tf.keras.Sequential([tf.keras.Input((2,)), tf.keras.layers.Dense(Q)])
    model.compile("sgd", ThinnedLikelihood(0.25, [0, 2], from_logits=True))
    model.save(tmp_path / "model.keras")
    loss = tf.keras.models.load_model(tmp_path / "model.keras").loss
    assert type(loss) is ThinnedLikelihood
    assert loss.get_config() == model.loss.get_config()


@pytest.mark.parametrize("arguments", [{"rate": 0.0}, {"rate": 1.5}, {"labels": [1, 1]}])
def test_bad_arguments(arguments):
    with pytest.raises(ValueError, match=r"Received: \w+=.*\. Pass"):
        tfml.losses.ThinnedLikelihood(**arguments)
