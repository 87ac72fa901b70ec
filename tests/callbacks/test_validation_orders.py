"""The loss of validation and of `evaluate` is the same, whatever was trained or evaluated before.

Keras compiles an evaluation once and keeps it: what it was compiled for must not show.
"""

import warnings

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml
from tests.support.oracles.partial_label_masking import odds
from tfmlselect import losses
from tfmlselect.callbacks import (
    LabelsForLayers,
    PartialLabelMaskingUpdate,
    PositiveWeightsUpdate,
)

N, Q = 32, 3
X = np.random.default_rng(0).normal(size=(N, 4)).astype("float32")
Y = (X[:, :Q] > [0, 0.5, 1]).astype("float32")
Y[0] = 1
ODDS = odds(Y)
FALLING = tfml.schedules.Ramp(1.0, 0.5)

# How a loss is made, which callback goes with it, and whether validation takes it as it is.
KINDS = {
    "masked": (
        lambda: losses.PartialLabelMasking(odds=ODDS, initial=5.0, mask="expected"),
        PartialLabelMaskingUpdate,
        False,
    ),
    "weights that move": (
        lambda: losses.PositiveWeights(odds=ODDS, exponent=FALLING),
        PositiveWeightsUpdate,
        False,
    ),
    "weights that stay": (
        lambda: losses.PositiveWeights(odds=ODDS, exponent=0.5),
        PositiveWeightsUpdate,
        True,
    ),
    "corrected": (lambda: losses.ThinnedLikelihood(rate=0.3), LabelsForLayers, True),
    "asymmetric": (losses.AsymmetricLoss, LabelsForLayers, True),
    "weakened features": (losses.AsymmetricLoss, LabelsForLayers, True),
}


class OwnStep(tf.keras.Sequential):
    """A model whose training step and test step are its own."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        variables = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return {"own": loss}

    def test_step(self, data):
        x, y = data
        return {"own": self.compute_loss(x, y, self(x, training=False))}


def make_model(kind, own_step):
    start = tf.keras.initializers.RandomUniform(-1, 1, seed=1)
    layers = [tf.keras.Input((4,))]
    if kind == "weakened features":
        layers.append(tfml.layers.FeatureWeakening(class_counts=Y.sum(axis=0), strength=0.5))
    layers.append(tf.keras.layers.Dense(Q, activation="sigmoid", kernel_initializer=start))
    return (OwnStep if own_step else tf.keras.Sequential)(layers)


def results(model, loss, callback, before, **compiled):
    """What a fit shows, and an evaluation after it, once something was done before."""
    model.compile(tf.keras.optimizers.SGD(0.0), loss, **compiled)
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(N)
    if before == "evaluate":
        model.evaluate(data, verbose=0)
    if before == "fit":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nobody moves the exponent
            model.fit(data, verbose=0, validation_data=data, callbacks=[])
    seen = model.fit(data, epochs=2, verbose=0, validation_data=data, callbacks=[callback()])
    name = "own" if isinstance(model, OwnStep) else "loss"
    history = seen.history[name] + seen.history[f"val_{name}"]
    return history, model.evaluate(data, verbose=0, return_dict=True)[name]


def check(kind, own_step=False, **compiled):
    make_loss, callback, as_it_is = KINDS[kind]
    orders = ["nothing", "evaluate"]
    if kind != "weakened features":  # which is told no labels in a fit without a callback
        orders.append("fit")
    found = []
    for before in orders:
        model, loss = make_model(kind, own_step), make_loss()
        found.append(results(model, loss, callback, before, **compiled))
    (first, evaluated), *others = found
    for history, again in others:
        np.testing.assert_allclose(history, first, rtol=1e-5)
        assert again == pytest.approx(evaluated, rel=1e-5)
    called = float(loss(Y, model(X)))
    assert evaluated == pytest.approx(called, rel=1e-5)  # outside of a fit the loss is what it is
    plain = float(np.mean(tf.keras.losses.binary_crossentropy(Y, model(X))))
    validated = first[2:]
    np.testing.assert_allclose(validated, called if as_it_is else plain, rtol=1e-5)
    if not as_it_is:
        assert abs(called - plain) > 0.05
    if kind in ("masked", "weights that move", "corrected"):
        assert abs(first[0] - validated[0]) > 1e-3  # in training they do something


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_ran_before(kind):
    check(kind)


@pytest.mark.parametrize(
    "settings",
    [
        {"run_eagerly": True},
        {"steps_per_execution": 2},
        {"own_step": True},
        pytest.param({"jit_compile": True}, marks=pytest.mark.full),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "kind",
    [kind if kind == "masked" else pytest.param(kind, marks=pytest.mark.full) for kind in KINDS],
)
def test_whatever_ran_before_and_however_it_is_compiled(kind, settings):
    check(kind, **settings)


def test_a_selection_too():
    """`AdaptiveBatchSelection` leads a masked loss as its own callback does."""
    train = tfml.adaptive_dataset((X, Y), strategy="uniform", batch_size=16, seed=0)
    model = make_model("masked", False)
    loss = KINDS["masked"][0]()
    model.compile(tf.keras.optimizers.SGD(0.0), loss)
    masked = model.evaluate(X, Y, verbose=0)
    callbacks = [tfml.AdaptiveBatchSelection(train)]
    fit = model.fit(train, epochs=2, verbose=0, validation_data=(X, Y), callbacks=callbacks)
    plain = float(np.mean(tf.keras.losses.binary_crossentropy(Y, model(X))))
    np.testing.assert_allclose(fit.history["val_loss"], plain, rtol=1e-5)
    assert abs(masked - plain) > 0.05
    assert abs(model.evaluate(X, Y, verbose=0) - plain) > 0.05


def test_between_epochs_evaluations_are_validation_and_draw_no_mask():
    """Random masks of the training are the same ones, with and without evaluations."""
    drawn, seen = [], []

    class Evaluate(tf.keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(self.model.evaluate(X, Y, verbose=0))

    for extra in ([], [Evaluate()]):
        loss = losses.PartialLabelMasking(odds=ODDS, initial=5.0)
        model = make_model("masked", False)
        model.compile(tf.keras.optimizers.SGD(0.0), loss)
        callbacks = [PartialLabelMaskingUpdate(), *extra]
        model.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0, callbacks=callbacks)
        drawn.append(int(loss.state["drawn"]))
    plain = float(np.mean(tf.keras.losses.binary_crossentropy(Y, model(X))))
    np.testing.assert_allclose(seen, plain, rtol=1e-5)
    assert drawn == [8, 8]


class Interrupts(tf.keras.callbacks.Callback):
    """Ctrl-C in the second epoch."""

    def on_train_batch_end(self, batch, logs=None):
        if self.model.history.epoch:
            raise KeyboardInterrupt


def test_after_an_interrupted_fit_the_loss_masks():
    model, loss = make_model("masked", False), KINDS["masked"][0]()
    model.compile(tf.keras.optimizers.SGD(0.0), loss)
    callbacks = [PartialLabelMaskingUpdate(), Interrupts()]
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=3, verbose=0, validation_data=(X, Y), callbacks=callbacks)
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(float(loss(Y, model(X))), rel=1e-5)
