"""The hook: on for a fit, off after it, and in any custom model's way of training."""

import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf
from test_recorder import Spy, check_rows, linear, numbered, run

import tfmlselect as tfml
from tfmlselect.recorder import Recorder

KERAS_3 = hasattr(tf.keras, "version")


class Breaks(tf.keras.callbacks.Callback):
    """Ends a fit in its second epoch, after the third batch."""

    def __init__(self, error):
        super().__init__()
        self.error, self.epoch = error, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == 1 and batch == 2:
            raise self.error("stop")


def adaptive(n=27, **options):
    return tfml.adaptive_dataset(numbered(n), Spy(), 4, seed=1, **options)


def is_clean(model):
    names = {"train_step", "compute_loss", "compute_metrics", "make_train_function"}
    return not names & set(model.__dict__)


def broken_fit(model, train, error=ZeroDivisionError, **options):
    callback = tfml.AdaptiveBatchSelection(train, **options)
    with pytest.raises(error):
        model.fit(train, epochs=3, verbose=0, callbacks=[callback, Breaks(error)])
    return callback


# On and off.


def test_nothing_is_left_on_the_model():
    model, train = linear(), adaptive()
    before = set(model.__dict__)
    run(model, train)
    assert is_clean(model)
    assert set(model.__dict__) - before <= {"history", "_epoch_iterator", "_eval_epoch_iterator"}


def test_two_fits_in_a_row_each_record_their_own():
    model, first, second = linear(), adaptive(), adaptive(31)
    run(model, first)
    run(model, second)
    check_rows(first.strategy, numbered(27)[0])
    check_rows(second.strategy, numbered(31)[0])


def test_second_fit_with_the_same_callback():
    model, train = linear(), adaptive()
    callback = tfml.AdaptiveBatchSelection(train)
    for _ in range(2):
        model.fit(train, epochs=2, verbose=0, callbacks=[callback])
    check_rows(train.strategy, numbered(27)[0], epochs=range(4))


def test_plain_fit_after_a_fit():
    model, train = linear(), adaptive()
    run(model, train)
    model.fit(*numbered(500), verbose=0)
    assert len(train.strategy.ids) == 81


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
@pytest.mark.parametrize("eager", [False, True])
def test_plain_fit_after_a_fit_that_raised(error, eager):
    model, train = linear(run_eagerly=eager), adaptive()
    broken_fit(model, train, error)
    model.fit(*numbered(500), verbose=0)  # many more samples than the log has rows
    assert is_clean(model)
    assert len(train.strategy.ids) == 27


@pytest.mark.parametrize("scores", ["record", "predict"])
def test_a_fit_that_raised_is_over_for_the_dataset_too(scores):
    model, train = linear(), adaptive()
    callback = broken_fit(model, train, scores=scores)
    model.fit(train, verbose=0)
    with pytest.warns(UserWarning, match="not attached"):
        orders = [np.concatenate([x for x, _ in train]).ravel() for _ in range(2)]
    assert not np.array_equal(*orders)
    assert callback.dataset is train


@pytest.mark.parametrize("same", [True, False])
def test_fit_with_a_callback_after_a_fit_that_raised(same):
    model, train = linear(), adaptive()
    callback = broken_fit(model, train)
    train.strategy.ids.clear(), train.strategy.rows.clear()
    again = callback if same else tfml.AdaptiveBatchSelection(train)
    model.fit(train, epochs=2, verbose=0, callbacks=[again])
    assert is_clean(model)
    assert train.epoch == 3
    check_rows(train.strategy, numbered(27)[0], epochs=(1, 2))  # the broken epoch is done again


def test_same_callback_on_another_model_after_a_fit_that_raised():
    train = adaptive()
    broken, other = linear(), linear()
    callback = broken_fit(broken, train)
    other.fit(train, epochs=2, verbose=0, callbacks=[callback])
    check_rows(train.strategy, numbered(27)[0], epochs=(0, 1))  # starts afresh
    broken.fit(*numbered(500), verbose=0)
    assert is_clean(broken)
    assert is_clean(other)


def test_evaluate_after_a_step_that_raised_records_nothing():
    model = linear()
    wide = tfml.adaptive_dataset((numbered(27)[0], numbered(27)[1][:, :4]), Spy(), 4)
    with pytest.raises(Exception, match="4"):
        run(model, wide)
    model.evaluate(*numbered(500), verbose=0)
    assert wide.strategy.ids == []


def test_evaluate_with_the_callback_leaves_no_hook():
    model, train = linear(), adaptive()
    model.evaluate(*numbered(9), verbose=0, callbacks=[tfml.AdaptiveBatchSelection(train)])
    model.predict(numbered(9)[0], verbose=0, callbacks=[tfml.AdaptiveBatchSelection(train)])
    assert is_clean(model)
    model.fit(*numbered(500), verbose=0)
    assert train.strategy.ids == []


def test_evaluate_with_the_callback_within_a_fit():
    class Evaluates(tf.keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.evaluate(*numbered(9), verbose=0, callbacks=[callback])

    model, train = linear(), adaptive()
    callback = tfml.AdaptiveBatchSelection(train)
    model.fit(train, epochs=3, verbose=0, callbacks=[callback, Evaluates()])
    check_rows(train.strategy, numbered(27)[0])
    assert is_clean(model)


def test_the_users_own_overrides_survive():
    model, train = linear(), adaptive()
    calls = []
    original = model.train_step

    def train_step(data):
        calls.append("train_step")
        return original(data)

    model.train_step = train_step
    run(model, train)
    assert model.train_step is train_step
    assert calls
    check_rows(train.strategy, numbered(27)[0])
