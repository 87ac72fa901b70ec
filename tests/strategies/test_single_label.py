"""Every strategy trains a softmax model on integer class ids: per-class entries, one-hot."""

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml
from tfmlselect import strategies

N, CLASSES = 40, 4


def make_data():
    """2-D features, and classes from frequent to rare; each one is there."""
    rng = np.random.default_rng(0)
    ids = rng.choice(CLASSES, N, p=[0.5, 0.3, 0.15, 0.05])
    ids[:CLASSES] = range(CLASSES)
    return rng.normal(ids[:, None], 1, (N, 2)).astype(np.float32), ids


def softmax_model():
    start = tf.keras.initializers.RandomUniform(-1, 1, seed=0)
    dense = tf.keras.layers.Dense(CLASSES, "softmax", kernel_initializer=start)
    model = tf.keras.Sequential([tf.keras.layers.Input([2]), dense])
    # At a rate that moves decisions from epoch to epoch.
    model.compile(tf.keras.optimizers.SGD(0.5), tf.keras.losses.SparseCategoricalCrossentropy())
    return model


def few_epochs(name):
    if name == "learnability":
        return strategies.Learnability(np.linspace(0, 1, N), warmup=1)
    if name == "rare_events":
        return strategies.RareEvents([CLASSES - 1], empty_share=0.8)
    strategy = strategies.get(name)
    if name in ("uniform", "label_balanced"):
        return strategy
    return type(strategy)(warmup=1)


@pytest.mark.filterwarnings("ignore:RareEvents leaves most empty samples out")
@pytest.mark.parametrize("name", strategies.names())
def test_every_strategy_fits_class_ids(name):
    x, ids = make_data()
    train = tfml.adaptive_dataset((x, ids), few_epochs(name), 8, seed=0)
    selection = tfml.AdaptiveBatchSelection(train)
    history = softmax_model().fit(train, epochs=3, verbose=0, callbacks=[selection])
    assert np.isfinite(history.history["loss"]).all()
    assert train.epoch == 3
    p = np.asarray(train.probabilities)
    assert p.shape == (N,)
    assert (p >= 0).all()
    assert p.sum() == pytest.approx(1)
    assert (np.ptp(p) > 0) == (name != "uniform")


@pytest.mark.filterwarnings("ignore:RareEvents leaves most empty samples out")
@pytest.mark.parametrize("name", strategies.names())
def test_class_ids_are_one_hot_labels(name):
    x, ids = make_data()
    labels = np.eye(CLASSES, dtype=np.uint8)[ids]
    distributions = []
    for y, kind in ((ids, "Sparse"), (labels, "")):
        train = tfml.adaptive_dataset((x, y), few_epochs(name), 8, seed=0)
        model = softmax_model()
        model.compile("sgd", getattr(tf.keras.losses, f"{kind}CategoricalCrossentropy")())
        model.fit(train, epochs=2, verbose=0, callbacks=[tfml.AdaptiveBatchSelection(train)])
        distributions.append(np.asarray(train.probabilities))
    # Two losses that round apart may pass a step of the quantised pressure law.
    np.testing.assert_allclose(*distributions, rtol=1.2 * np.log(100) / N)
