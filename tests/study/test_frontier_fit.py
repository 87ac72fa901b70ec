"""The fast fits of the frontiers: the same as those of Keras, and their controls are controls."""

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml
from benchmarks.study.frontier import fit, methods
from benchmarks.study.frontier.methods import METHODS
from benchmarks.study.frontier.tasks import Task
from benchmarks.study.frontier.trainer import FILTERS, HIDDEN, ON_TOP, Clock, one_cycle

RATE = {"adam": 0.004, "sgd": 0.2}


@pytest.fixture(scope="module")
def task():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(420, 6)).astype("float32")
    y = (x[:, :4] + rng.normal(size=(420, 4)) > [0.5, 1.5, 2.0, 2.5]).astype("uint8")
    parts = [(x[rows], y[rows]) for rows in np.split(np.arange(420), [230, 320])]
    return Task("made up", *parts)


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(200, 9, 8, 2)).astype("float32")
    y = np.eye(3, dtype="uint8")[np.digitize(x.mean(axis=(1, 2, 3)), [0.51, 0.53])]
    parts = [(x[rows], y[rows]) for rows in np.split(np.arange(200), [100, 150])]
    return Task("made up images", *parts)


class InSteps(tf.keras.optimizers.schedules.LearningRateSchedule):
    """Given rates, one a step."""

    def __init__(self, rates):
        self.rates = rates

    def __call__(self, step):
        return tf.gather(tf.constant(self.rates, tf.float32), tf.cast(step, tf.int32))


def by_keras(task, optimizer, strategy, loss, passes, seed, weights):
    """The weights after a fit of Keras with the package's callback."""
    x, y = task.train
    length = fit.length(task, passes)
    strategy = strategy()
    strategy.build(y)
    length = fit.shortened(length, (strategy.epoch_draws() or len(y)) // task.batch_size)
    train = tfml.adaptive_dataset(
        (x, y.astype("float32")),
        strategy,
        task.batch_size,
        seed=seed,
        drop_remainder=True,
        samples_per_epoch=length.steps * task.batch_size,
    )
    layers = tf.keras.layers
    first, widths = [], HIDDEN
    if x.ndim == 4:
        first, widths = [], ON_TOP
        for filters in FILTERS:
            first += [layers.Conv2D(filters, 3, padding="same", activation="relu")]
            first += [layers.MaxPooling2D(2)]
        first += [layers.Flatten()]
    on_top = [layers.Dense(width, "relu") for width in widths]
    model = tf.keras.Sequential([*first, *on_top, layers.Dense(y.shape[1], "sigmoid")])
    model.build((None, *x.shape[1:]))
    model.set_weights(weights)
    rates = InSteps(one_cycle(RATE[optimizer], length.epochs * length.steps))
    made = {
        "adam": lambda: tf.keras.optimizers.Adam(rates),
        "sgd": lambda: tf.keras.optimizers.SGD(rates, momentum=0.9),
    }[optimizer]()
    model.compile(made, loss(y))
    model.fit(
        train, epochs=length.epochs, verbose=0, callbacks=[tfml.AdaptiveBatchSelection(train)]
    )
    return model.get_weights()


def falling(y):
    """`PositiveWeights` as the recipe has them."""
    odds = tfml.label_statistics(y).odds
    return tfml.losses.PositiveWeights("binary_crossentropy", odds=odds, exponent=methods.FALLING)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_fit_leaves_nothing_behind(task, name):
    fits = fit.Fits(task, "adam")
    first, other, again = (fits.run(name, 2, 0.01, seed=seed) for seed in (3, 4, 3))
    assert first["dev_ap"] == again["dev_ap"] != other["dev_ap"]
    assert fits.run(name, 1, 0.01, seed=3)["steps"] < first["steps"]


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("uniform", lambda y: "binary_crossentropy"),
        ("adaptive_balance", lambda y: "binary_crossentropy"),
        ("recipe", falling),
        ("rare_events", lambda y: tfml.losses.ThinnedLikelihood()),
        ("asymmetric loss", lambda y: tfml.losses.AsymmetricLoss()),
    ],
)
def test_a_fit_is_that_of_keras(task, optimizer, name, loss):
    same_as_keras(task, optimizer, name, loss)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_fit_on_images_is_that_of_keras(images, optimizer):
    same_as_keras(images, optimizer, "recipe", falling)


def same_as_keras(task, optimizer, name, loss):
    """Compares two fits."""
    fits, method, passes = fit.Fits(task, optimizer), METHODS[name], 3
    fits.run(name, 2, RATE[optimizer], seed=4)  # which leaves nothing behind
    network = fits._network(method.loss)
    network.start(seed=5)
    before = network.weights
    assert [*fits._train(network, name, passes, RATE[optimizer], 5, Clock())][-1][1]
    there = by_keras(task, optimizer, method.strategy, loss, passes, 5, before)
    for here, other, first in zip(network.weights, there, before, strict=True):
        assert np.abs(here - first).max() > 0.01
        # Rounding differs, and where a gradient is about 0 Adam makes much of it.
        assert np.mean(np.abs(here - other) > 1e-3) < 0.01
