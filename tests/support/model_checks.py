"""What is checked of every model of the benchmark."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

import tfmlselect as tfml
from benchmarks.study.models import build, compile_model


def small_data(n=96, d=10, q=4, seed=0):
    """Features (n, d) in [0, 1], and labels (n, q) that a linear rule gives."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=(n, d)).astype("float32")
    scores = x @ rng.normal(size=(d, q))
    return x, (scores > np.quantile(scores, np.linspace(0.4, 0.8, q), axis=0).diagonal()).astype(
        "float32"
    )


def make(name, x, y, seed=0):
    tf.keras.utils.set_random_seed(seed)
    return build(name, x, y)


def check_seed(name):
    """One seed gives the same weights and another one others; all weights are there from build."""
    x, y = small_data()
    model, again, other = make(name, x, y), make(name, x, y), make(name, x, y, seed=1)
    count = len(model.weights)
    for first, second in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)
    pairs = zip(model.get_weights(), other.get_weights(), strict=True)
    assert any(not np.array_equal(first, second) for first, second in pairs)
    compile_model(model, tf.keras.optimizers.Adam(1e-3))
    model.fit(x, y, batch_size=32, epochs=1, verbose=0)
    assert len(model.weights) == count


def check_inference(name):
    """Predictions are probabilities (n, q), the same in each call; training steps have noise."""
    x, y = small_data()
    model = make(name, x, y)
    first = model(x, training=False).numpy()
    assert first.shape == y.shape
    assert first.min() >= 0
    assert first.max() <= 1
    assert first.std() > 0
    np.testing.assert_array_equal(model(x, training=False), first)
    np.testing.assert_allclose(model.predict(x, verbose=0), first, atol=1e-6)
    assert np.abs(model(x, training=True) - first).max() > 1e-6


def check_adaptive_fit(name, epochs=8, learning_rate=3e-3):
    """Adaptive batches record every sample, and the loss falls; a second run is the same."""
    x, y = small_data()
    runs = []
    for _ in range(2):
        model = make(name, x, y)
        compile_model(model, tf.keras.optimizers.Adam(learning_rate))
        train = tfml.adaptive_dataset((x, y), strategy="d2ace", batch_size=24, seed=0)
        callbacks = [tfml.AdaptiveBatchSelection(train)]
        history = model.fit(train, epochs=epochs, shuffle=False, verbose=0, callbacks=callbacks)
        runs.append((history.history["loss"], train.strategy.state["prediction"]))
    losses, recorded = runs[0]
    assert recorded.shape == y.shape
    assert np.all((recorded >= 0) & (recorded <= 1))
    assert np.isfinite(losses).all()
    assert min(losses[-2:]) < losses[0]
    np.testing.assert_allclose(runs[1][0], losses, rtol=1e-3)
    np.testing.assert_allclose(runs[1][1], recorded, atol=1e-2)


def check_moved(name, epochs=1):
    """A few steps change every trainable variable, and no other except statistics of batches."""
    x, y = small_data()
    model = make(name, x, y)
    before = [variable.numpy() for variable in model.trainable_variables]
    compile_model(model, tf.keras.optimizers.Adam(1e-2))
    model.fit(x, y, batch_size=32, epochs=epochs, verbose=0)
    for variable, value in zip(model.trainable_variables, before, strict=True):
        assert not np.array_equal(variable.numpy(), value), variable.path


def gradients(model, loss):
    """The largest absolute gradient of loss(), by path of the trainable variable."""
    with tf.GradientTape() as tape:
        value = loss()
    found = tape.gradient(value, model.trainable_variables)
    return {
        variable.path: 0.0 if gradient is None else float(np.abs(gradient).max())
        for variable, gradient in zip(model.trainable_variables, found, strict=True)
    }


@functools.cache
def load_yeast():
    """Yeast scaled to [0, 1], as (x, y) to train on and (x, y) to test on (30 %)."""
    samples = list(pytest.importorskip("river.datasets").Yeast())
    x = np.array([list(features.values()) for features, _ in samples], "float32")
    y = np.array([list(labels.values()) for _, labels in samples], "float32")
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.3, random_state=0)
    low, high = x_train.min(axis=0), x_train.max(axis=0)
    return ((x_train - low) / (high - low), y_train), ((x_test - low) / (high - low), y_test)


def yeast_macro_auc(name, epochs, learning_rate, batch_size=128, labels=14):
    """The macro-AUC on the test part of Yeast after a short fit with uniform batches.

    Models whose steps are long, or many, get its first labels only, and smaller batches.
    """
    (x, y), (x_test, y_test) = load_yeast()
    y, y_test = y[:, :labels], y_test[:, :labels]
    model = make(name, x, y)
    compile_model(model, tf.keras.optimizers.Adam(learning_rate))
    model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0)
    return roc_auc_score(y_test, model.predict(x_test, verbose=0), average="macro")
