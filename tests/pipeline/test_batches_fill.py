"""Batches that a strategy can never fill are refused before the first step, not after a warm-up."""

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml
from tfmlselect.schedules import Ramp
from tfmlselect.strategies import LabelBalanced, Mixture, OnlineBatch, Switch

N, BATCH, EPOCHS = 24, 4, 5
X = np.random.default_rng(0).normal(size=(N, 3)).astype("float32")
Y = np.zeros((N, 2))
Y[:3] = [[1, 0], [0, 1], [1, 1]]  # three samples with labels: a batch has four
SAID = "batch_size=4, non-zero probabilities=3 of 24"

NEVER_FILLED = {
    "at once": lambda: LabelBalanced(),
    "after a warm-up": lambda: LabelBalanced(warmup=2),
    "after a warm-up, by a fraction": lambda: LabelBalanced(warmup=0.4),
    "at the end": lambda: LabelBalanced(Ramp(0.0, 1.0, 0.0, 0.5)),
    "as the only part": lambda: Mixture([(LabelBalanced(warmup=2), 1.0)]),
    "in turn": lambda: Switch([("uniform", 0.5), ("label_balanced", 1.0)]),
    "in turn behind predictions": lambda: Switch([(OnlineBatch(), 0.5), ("label_balanced", 1.0)]),
}
FILLED = {
    "with a uniform part": lambda: LabelBalanced(0.9, warmup=1),
    "until before the end": lambda: LabelBalanced(Ramp(0.0, 1.0)),
    "in a turn that never comes": lambda: Switch(
        [("uniform", 9), ("label_balanced", 10), ("uniform", 1.0)], epochs=EPOCHS
    ),
    "beside another part": lambda: Mixture([(LabelBalanced(), 0.5), (OnlineBatch(), 0.5)]),
}


def dataset(strategy, draws="independent", y=Y):
    return tfml.adaptive_dataset((X, y), strategy, BATCH, seed=0, draws=draws, epochs=EPOCHS)


def epochs_of_fit(train):
    model = tf.keras.Sequential([tf.keras.layers.Dense(2, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    callbacks = [tfml.AdaptiveBatchSelection(train)]
    return len(model.fit(train, epochs=EPOCHS, verbose=0, callbacks=callbacks).epoch)


@pytest.mark.parametrize("kind", NEVER_FILLED)
def test_never_filled(kind):
    with pytest.raises(ValueError, match=f"non-zero probability. Received: {SAID}. Use a smaller"):
        dataset(NEVER_FILLED[kind]())


@pytest.mark.parametrize("kind", FILLED)
def test_filled(kind):
    assert epochs_of_fit(dataset(FILLED[kind]())) == EPOCHS


def test_when_the_length_of_the_run_says_so():
    """Known only at the start of the fit, and then before the first step."""
    steps = []
    strategy = Switch([("uniform", 100), ("label_balanced", 101), ("uniform", 1.0)])
    train = tfml.adaptive_dataset((X, Y), strategy, BATCH, seed=0, draws="independent")
    model = tf.keras.Sequential([tf.keras.layers.Dense(2, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy")

    class Steps(tf.keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            steps.append(batch)

    callbacks = [tfml.AdaptiveBatchSelection(train), Steps()]
    with pytest.raises(ValueError, match=SAID):
        model.fit(train, epochs=102, verbose=0, callbacks=callbacks)
    assert steps == []


@pytest.mark.parametrize("kind", NEVER_FILLED)
def test_systematic_draws_go_to_the_other_samples(kind):
    assert dataset(NEVER_FILLED[kind](), draws="systematic").probabilities.sum() == pytest.approx(1)
