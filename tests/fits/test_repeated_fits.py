"""Many fits in one process: each model starts afresh, and nothing of a fit is kept alive."""

import copy
import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml
from tests.support.recorded_fits import Spy, linear, numbered
from tfmlselect.strategies import D2ACE


class Trials(Spy):
    """Keeps the plans of each model: the strategy is built anew where a model is new to it."""

    def build(self, y, features=None, neighbors=None):
        super().build(y, features, neighbors)
        self.trials = [*getattr(self, "trials", []), self.plans]

    def check_same_plans(self, trials, epochs):
        """All trials had the same plans."""
        first, *others = self.trials
        assert len(self.trials) == trials
        assert sorted(first) == list(range(epochs))
        for other in others:
            assert sorted(other) == sorted(first)
            for epoch, plan in first.items():
                np.testing.assert_array_equal(other[epoch], plan)


def learner(rate):
    model = linear()
    model.compile(tf.keras.optimizers.SGD(rate), "mse")
    return model


def test_each_deep_copy_with_a_model_of_its_own_starts_afresh():
    train = tfml.adaptive_dataset(numbered(27), Trials(), 4, seed=1)
    callback = tfml.AdaptiveBatchSelection(train)
    for rate in (0.0, 0.01, 0.02):
        learner(rate).fit(train, epochs=2, verbose=0, callbacks=copy.deepcopy([callback]))
        assert train.epoch == 2
    train.strategy.check_same_plans(trials=3, epochs=2)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_search_by_keras_tuner(tmp_path):
    tuner = pytest.importorskip("keras_tuner")
    pytest.importorskip("tensorboard")  # which a search with callbacks imports
    if not issubclass(tf.keras.Model, __import__("keras").Model):
        pytest.skip("keras-tuner is of Keras, and the models are of tf_keras")
    x, y = numbered(27)
    train = tfml.adaptive_dataset((x, y), Trials(), 4, seed=1)
    search = tuner.GridSearch(
        lambda hp: learner(hp.Choice("rate", [0.0, 0.01, 0.02])),
        objective=tuner.Objective("val_loss", "min"),
        directory=tmp_path,
    )
    callbacks = [tfml.AdaptiveBatchSelection(train)]
    search.search(train, epochs=2, validation_data=(x, y), callbacks=callbacks, verbose=0)
    assert train.epoch == 2
    train.strategy.check_same_plans(trials=3, epochs=2)
    (best,) = search.get_best_hyperparameters()
    assert best.get("rate") > 0


@pytest.mark.parametrize("broken", [False, True])
def test_model_hook_state_and_all_else_die(broken):
    def fit():
        train = tfml.adaptive_dataset(numbered(27), D2ACE(neighbors=2, warmup=1), 4, seed=1)
        model, callback, hooks = linear(), tfml.AdaptiveBatchSelection(train), []

        def note(epoch, logs):
            hooks.append(model.make_train_function.hook)
            if broken and epoch == 1:
                raise ZeroDivisionError

        notes = tf.keras.callbacks.LambdaCallback(on_epoch_begin=note)
        try:
            model.fit(train, epochs=2, verbose=0, callbacks=[callback, notes])
        except ZeroDivisionError:
            assert broken
        state = list(train.strategy.state.values())
        assert len(hooks) == 2
        assert state
        return [weakref.ref(each) for each in (model, callback, hooks[0], train, *state)]

    references = [reference for _ in range(3) for reference in fit()]
    for _ in range(3):
        gc.collect()
    assert [reference() for reference in references] == [None] * len(references)
