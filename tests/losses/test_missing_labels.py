"""Losses of labels of which some are unknown: by hand, and by what must not matter."""

import json

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml
from tfmlselect import _training_step
from tfmlselect._training_step import training_step
from tfmlselect.losses import (
    AsymmetricLoss,
    Masked,
    PartialLabelMasking,
    PositiveWeights,
    ThinnedLikelihood,
)

RNG = np.random.default_rng(0)
B, Q = 7, 5
TRUTH = (RNG.random((B, Q)) < 0.4).astype("float32")
KNOWN = RNG.random((B, Q)) < 0.6
KNOWN[0], KNOWN[1], KNOWN[2] = True, False, [True, False, False, False, False]
P = RNG.uniform(0.05, 0.95, (B, Q)).astype("float32")
ODDS = [0.5, 0.2, 1.0, 2.0, 0.1]


def positive_weights(**options):
    return PositiveWeights(odds=ODDS, exponent=0.5, **options)


def expected_masking(**options):
    return PartialLabelMasking(odds=ODDS, initial=1.0, mask="expected", **options)


def kept_masking(**options):
    return PartialLabelMasking(odds=ODDS, initial=1.0, denominator="kept", **options)


def around_a_masked(missing, **options):
    return PositiveWeights(Masked(missing=missing), odds=ODDS, exponent=0.5, **options)


LOSSES = {
    "masked": Masked,
    "masked focal": lambda **options: Masked("binary_focal_crossentropy", **options),
    "masked function": lambda **options: Masked(tf.keras.backend.binary_crossentropy, **options),
    "asymmetric": AsymmetricLoss,
    "masked asymmetric": lambda **options: Masked(AsymmetricLoss(), **options),
    "positive weights": positive_weights,
    "weights around masked": around_a_masked,
    "partial label masking, expected": expected_masking,
    "partial label masking, kept": kept_masking,
    "thinned likelihood": ThinnedLikelihood,
}
every_loss = pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)
either = pytest.mark.parametrize("missing", [-1, float("nan")], ids=str)


def filled(missing):
    return np.where(KNOWN, TRUTH, np.float32(missing))


def weighed(make, missing):
    """The entries of a loss, weighed, as if all were known."""
    entries = np.array(make(missing=missing).entries(TRUTH, P))
    if make in (positive_weights, around_a_masked):
        return entries * np.array(positive_weights().entry_weights(TRUTH))
    if make is expected_masking:
        return entries * np.array(expected_masking().keep_probability(TRUTH))
    return entries


def of_step(loss, y, p, weight=None):
    """The loss and its slope in a training step that knows the rates of thinning."""
    p = tf.constant(p)
    with training_step(y), tf.GradientTape() as tape:
        _training_step.note_rates(tf.constant(0.3, shape=[len(y)]))
        tape.watch(p)
        value = loss(y, p, weight)
    return np.asarray(value), np.asarray(tape.gradient(value, p))


def test_by_hand():
    # 1/2 and 1/4 of a positive, 1/4 of a negative: ln 2, 2 ln 2, ln 4/3.
    y = [[1, 1, 0, -1], [-1, 0, -1, -1], [-1, -1, -1, -1]]
    p = [[1 / 2, 1 / 4, 1 / 4, 0.9], [0.9, 1 / 4, 0.9, 0.9], [0.9, 0.9, 0.9, 0.9]]
    found = Masked(reduction="none")(np.array(y, "f"), np.array(p, "f"))
    first = (3 * np.log(2) + np.log(4 / 3)) / 3
    np.testing.assert_allclose(found, [first, np.log(4 / 3), 0], rtol=1e-5)


@pytest.mark.parametrize(
    "make",
    [make for make in LOSSES.values() if make is not kept_masking],  # its masks are drawn
    ids=[name for name in LOSSES if not name.endswith("kept")],
)
@either
def test_the_known_labels_alone(make, missing):
    """A sample's loss is that of a loss made for its known labels."""
    found, _ = of_step(make(missing=missing, reduction="none"), filled(missing), P)
    expected = np.zeros(B)  # also where nothing is known
    for i, known in enumerate(KNOWN):
        if known.any() and make is ThinnedLikelihood:
            one = slice(i, i + 1)
            expected[i], _ = of_step(ThinnedLikelihood(), TRUTH[one, known], P[one, known])
        elif known.any():
            expected[i] = weighed(make, missing)[i, known].mean()
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "plain"),
    {
        "masked": tf.keras.losses.BinaryCrossentropy,
        "masked focal": tf.keras.losses.BinaryFocalCrossentropy,
        "asymmetric": AsymmetricLoss,
        "masked asymmetric": AsymmetricLoss,
        "positive weights": positive_weights,
        "weights around masked": positive_weights,
        "partial label masking, expected": expected_masking,
        "partial label masking, kept": kept_masking,
        "thinned likelihood": ThinnedLikelihood,
    }.items(),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_all_known_is_as_if_nothing_was_said(name, plain):
    found, slope = of_step(LOSSES[name](missing=-1), TRUTH, P)
    expected, expected_slope = of_step(plain(), TRUTH, P)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_allclose(slope, expected_slope, rtol=1e-5, atol=1e-8)


@every_loss
@either
@pytest.mark.parametrize("jit_compile", [False, True])
def test_what_is_predicted_for_unknown_labels_does_not_matter(make, missing, jit_compile):
    y = filled(missing)
    found = []
    for wrong in (0.5, 0.0, 1.0, float("nan"), float("inf")):
        loss = make(missing=missing, reduction="none")
        step = tf.function(lambda p, loss=loss: of_graph(loss, y, p), jit_compile=jit_compile)
        found.append([each.numpy() for each in step(np.where(KNOWN, P, np.float32(wrong)))])
    for value, slope in found[1:]:
        np.testing.assert_array_equal(value, found[0][0])
        np.testing.assert_array_equal(slope, found[0][1])
    assert np.all(found[0][1][~KNOWN] == 0)
    assert np.all(np.isfinite(found[0][1]))


def of_graph(loss, y, p):
    with training_step(y), tf.GradientTape() as tape:
        _training_step.note_rates(tf.constant(0.3, shape=[len(y)]))
        tape.watch(p)
        value = loss(y, p)
    return value, tape.gradient(value, p)


@every_loss
def test_weights_of_samples_and_of_entries(make):
    y, weight = filled(-1), RNG.uniform(0.1, 1, B).astype("float32")
    each, _ = of_step(make(missing=-1, reduction="none"), y, P)
    found, _ = of_step(make(missing=-1, reduction="sum"), y, P, weight)
    assert found == pytest.approx(each @ weight, rel=1e-5)
    if make is ThinnedLikelihood:
        return  # takes none of entries
    entries = np.repeat(weight[:, None], Q, axis=1)
    found, _ = of_step(make(missing=-1, reduction="none"), y, P, entries)
    np.testing.assert_allclose(found, each * weight, rtol=1e-5, atol=1e-7)
    entries[~KNOWN] = np.nan
    found, _ = of_step(make(missing=-1, reduction="none"), y, P, entries)
    np.testing.assert_allclose(found, each * weight, rtol=1e-5, atol=1e-7)


@every_loss
@either
def test_config_round_trip(make, missing):
    loss = make(missing=missing)
    if make is LOSSES["masked function"]:
        return  # a function is registered by whoever wants to load it
    again = type(loss).from_config(json.loads(json.dumps(loss.get_config())))
    assert json.dumps(again.get_config()) == json.dumps(loss.get_config())
    y = filled(missing)
    assert of_step(again, y, P)[0] == of_step(make(missing=missing), y, P)[0]


@pytest.mark.parametrize("from_logits", [False, True])
def test_a_model_learns_from_what_is_known_and_is_saved(tmp_path, from_logits):
    x = RNG.normal(size=(64, 3)).astype("float32")
    y = (x > 0).astype("float32")
    y[RNG.random(y.shape) < 0.5] = np.nan
    last = tf.keras.layers.Dense(3, activation=None if from_logits else "sigmoid")
    model = tf.keras.Sequential([tf.keras.Input((3,)), last])
    loss = Masked(missing=float("nan"), from_logits=from_logits)
    model.compile(tf.keras.optimizers.Adam(0.1), loss)
    losses = model.fit(x, y, epochs=20, verbose=0).history["loss"]
    assert np.all(np.isfinite(losses))
    assert losses[-1] < 0.5 * losses[0]
    assert tfml.metrics.macro_auc(y, model.predict(x, verbose=0), float("nan")) > 0.95
    model.save(tmp_path / "model.keras")
    again = tf.keras.models.load_model(tmp_path / "model.keras")
    assert again.evaluate(x, y, verbose=0) == pytest.approx(model.evaluate(x, y, verbose=0))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Masked(missing=None), "missing=None"),
        (lambda: Masked(expected_masking()), "leaves unknown ones out itself"),
        (lambda: Masked(AsymmetricLoss(missing=-2)), "missing=-1.0, and missing=-2.0"),
        (lambda: positive_weights(loss=Masked(missing=-2), missing=-1), "Two answers"),
        (lambda: positive_weights(from_logits=True, activation="softmax", missing=-1), "softmax"),
        (lambda: Masked("categorical_crossentropy"), "categorical"),
        (lambda: Masked(tf.keras.losses.BinaryCrossentropy(), from_logits=True), "Two answers"),
        (lambda: Masked()(np.array([0, 1]), np.full((2, 3), 0.5, "f")), "class ids"),
    ],
    ids=["none", "balancing", "inner", "around", "softmax", "categorical", "logits", "ids"],
)
def test_refused(make, said):
    with pytest.raises(ValueError, match=r"Received: .+\. [A-Z].+\.") as error:
        make()
    assert said in str(error.value)
