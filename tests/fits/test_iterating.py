"""Iterating disturbs nothing: whoever goes through the dataset while a fit runs, and whenever."""

import threading
import weakref

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml
from tests.support.recorded_fits import KERNEL, adaptive, linear, numbered, run

N = 11  # three batches an epoch
HOOKS = (
    "on_epoch_begin",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_epoch_end",
    "on_test_begin",
    "on_test_end",
)


def numbers(batches):
    rows = [np.asarray(batch[0])[:, 0] for batch in batches]
    return np.rint(np.concatenate(rows) * (N + 1) - 1).astype(int).tolist()


@pytest.fixture(scope="module")
def undisturbed():
    """The samples that the steps of three epochs get, if nobody disturbs the fit."""
    train = adaptive(N)
    run(linear(run_eagerly=True), train)
    return train.strategy.planned(0, 1, 2).tolist()


class Disturbs(tf.keras.callbacks.Callback):
    """Does something in all hooks of a fit."""

    def __init__(self, do, hooks=HOOKS):
        super().__init__()
        for name in hooks:
            setattr(self, name, lambda *_, **__: do())


class KeepsBatches(tf.keras.Sequential):
    """A linear model that does not learn, and keeps the samples that its steps got."""

    def __init__(self):
        start = tf.keras.initializers.Constant(KERNEL)
        super().__init__([tf.keras.layers.Input([1]), tf.keras.layers.Dense(5, None, False, start)])
        self.batches = []
        self.compile(tf.keras.optimizers.SGD(0.0), "mse", run_eagerly=True)

    def train_step(self, data):
        self.batches.append(data)
        return super().train_step(data)


def check_undisturbed(undisturbed, do, hooks=HOOKS, **options):
    """Fits while `do(train)` is done in all hooks: the steps got what they would have got."""
    model, train = KeepsBatches(), adaptive(N)
    fit = {"validation_data": numbered(4)}
    run(model, train, callbacks=[Disturbs(lambda: do(train), hooks)], fit=fit, **options)
    assert numbers(model.batches) == undisturbed
    assert train.epoch == 3


def keep_unread():
    kept = []
    return lambda train: kept.append(iter(train))


def read_later():
    """Reads an iterator only when the next is made, at any later moment of the fit."""
    kept = []

    def do(train):
        if kept:
            numbers(kept.pop())
        kept.append(iter(train))

    return do


def one_by_one():
    """Takes one batch after the other of one iterator, over epochs."""
    kept = []

    def do(train):
        if not kept or next(kept[0], None) is None:
            kept[:] = [iter(train)]

    return do


WAYS = {
    "keep_unread": keep_unread,
    "read_later": read_later,
    "one_by_one": one_by_one,
    "a_batch": lambda: lambda train: next(iter(train)),
    "all": lambda: numbers,
    "take": lambda: lambda train: list(train.take(2)),
    "map": lambda: lambda train: list(train.map(lambda x, y: (x + 1, y))),
}


@pytest.mark.parametrize("way", WAYS)
def test_in_callbacks(undisturbed, way):
    check_undisturbed(undisturbed, WAYS[way]())


class TakesAlong(tf.keras.callbacks.Callback):
    """Makes an iterator at an epoch's end, and goes through it beside the steps of the next."""

    def __init__(self, train):
        super().__init__()
        self.train, self.batches, self.rows = train, iter(()), []

    def on_epoch_end(self, epoch, logs=None):
        self.batches = iter(self.train)

    def on_train_batch_end(self, batch, logs=None):
        self.rows += [each for each in [next(self.batches, None)] if each is not None]


@pytest.mark.parametrize("check_order", [True, False])
@pytest.mark.parametrize("ours_first", [True, False])
def test_an_iterator_made_between_two_epochs(undisturbed, ours_first, check_order):
    model, train = KeepsBatches(), adaptive(N)
    ours = tfml.AdaptiveBatchSelection(train, check_order=check_order)
    other = TakesAlong(train)
    callbacks = [ours, other] if ours_first else [other, ours]
    model.fit(train, epochs=3, verbose=0, callbacks=callbacks)
    assert numbers(model.batches) == undisturbed
    assert numbers(other.rows) == undisturbed[N:]


def test_without_a_record_of_the_steps(undisturbed):
    check_undisturbed(undisturbed, read_later(), scores="predict")


def test_with_a_length_of_epochs_that_is_given(undisturbed):
    """Keras 3 then makes the iterator of an epoch at the end of the one before."""
    model, train, do = KeepsBatches(), adaptive(N), read_later()
    disturbs = Disturbs(lambda: do(train))
    run(model, train, callbacks=[disturbs], fit={"steps_per_epoch": len(train)})
    assert numbers(model.batches) == undisturbed


def test_in_a_step(undisturbed):
    train, kept = adaptive(N), []

    class Peeks(KeepsBatches):
        def train_step(self, data):
            kept.append(iter(train))
            if len(kept) % 3 == 0:
                next(kept[-2])
            return super().train_step(data)

    model = Peeks()
    run(model, train)
    assert numbers(model.batches) == undisturbed


def test_a_compiled_fit():
    train, do = adaptive(N), read_later()
    run(linear(), train, callbacks=[Disturbs(lambda: do(train))])
    assert sorted(train.strategy.ids) == sorted(train.strategy.planned(0, 1, 2))


@pytest.mark.filterwarnings("ignore:This fit validates on the samples that it trains on")
@pytest.mark.parametrize("steps", [None, 3])
def test_validation_on_the_dataset_itself(undisturbed, steps):
    model, train = KeepsBatches(), adaptive(N)
    run(model, train, fit={"validation_data": train, "validation_steps": steps})
    assert numbers(model.batches) == undisturbed


@pytest.mark.filterwarnings("ignore:This fit validates on the samples that it trains on")
@pytest.mark.parametrize("name", ["evaluate", "predict"])
def test_evaluate_and_predict_on_the_dataset_itself(undisturbed, name):
    model, train, kept = KeepsBatches(), adaptive(N), []

    def do():
        kept.append((train.plan, getattr(model, name)(train, verbose=0)))

    run(model, train, callbacks=[Disturbs(do, ["on_epoch_begin", "on_epoch_end"])])
    assert numbers(model.batches) == undisturbed
    for plan, rows in kept:
        if name == "predict":
            np.testing.assert_allclose(rows, (plan[:, None] + 1) / (N + 1) * KERNEL, rtol=1e-6)


def test_what_it_sees_is_the_plan_of_the_epoch(undisturbed):
    seen, train = [], adaptive(N)
    disturbs = Disturbs(lambda: seen.append(numbers(train)), ["on_epoch_begin"])
    run(linear(run_eagerly=True), train, callbacks=[disturbs])
    assert sum(seen[1:], seen[0]) == undisturbed


@pytest.mark.filterwarnings("ignore:This adaptive dataset is not attached")
def test_from_another_thread(undisturbed):
    """A thread goes through the dataset without a pause, from before the fit to after it."""
    model, train = KeepsBatches(), adaptive(N, importance_weights=1.0)
    over, seen, errors, drawn = threading.Event(), [], [], []
    note = tf.keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: drawn.append(train.plan))

    def iterate():
        try:
            while not over.is_set():
                seen.append(list(train.as_numpy_iterator()))
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=iterate)
    thread.start()
    try:
        run(model, train, callbacks=[note])
    finally:
        over.set()
        thread.join()
    assert not errors
    assert numbers(model.batches) == undisturbed
    # Each time it saw one plan with the weights that belong to it, or a permutation without. The
    # last plan is drawn and not trained.
    steps = len(train)
    plans = {tuple(numbers(each)): weights_of(each) for each in cut(model.batches, steps)}
    assert seen
    for batches in seen:
        order = tuple(numbers(batches))
        if order in plans:
            np.testing.assert_array_equal(weights_of(batches), plans[order])
        elif order != tuple(drawn[-1]):
            assert sorted(order) == list(range(N))
            np.testing.assert_array_equal(weights_of(batches), 1)


def cut(batches, size):
    return [batches[start : start + size] for start in range(0, len(batches), size)]


def weights_of(batches):
    return np.concatenate([weights for _, _, weights in batches])


def test_a_plain_fit_in_another_thread(undisturbed):
    model, train, other = KeepsBatches(), adaptive(N), KeepsBatches()
    threads = []

    def start(epoch, logs):
        threads.append(threading.Thread(target=other.fit, args=(train,), kwargs={"verbose": 0}))
        threads[-1].start()

    starts = tf.keras.callbacks.LambdaCallback(on_epoch_begin=start)
    ends = tf.keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: threads[-1].join())
    model.fit(
        train, epochs=3, verbose=0, callbacks=[starts, ends, tfml.AdaptiveBatchSelection(train)]
    )
    assert numbers(model.batches) == undisturbed
    assert numbers(other.batches) == undisturbed


def test_the_fit_s_own_iterator_is_not_made_twice_an_epoch(monkeypatch):
    """Keras 3 makes one at an epoch's end and drops it unread; it is the next epoch's."""
    train, made = adaptive(N), []
    inner = type(train._inner)
    iterate = inner.__iter__

    def count(self):
        iterator = iterate(self)
        made.append(weakref.ref(iterator))
        return iterator

    monkeypatch.setattr(inner, "__iter__", count)
    run(linear(run_eagerly=True), train, epochs=4)
    assert len(made) == 5
