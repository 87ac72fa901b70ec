"""Fits that were interrupted, by whatever and wherever: nothing of them is left."""

import contextlib
import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml
from tests.support.recorded_fits import (
    KERNEL,
    Spy,
    Untrained,
    adaptive,
    is_clean,
    linear,
    numbered,
    run,
)

N = 11  # three batches an epoch
HOOKS = (
    "on_train_begin",
    "on_epoch_begin",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_epoch_end",
    "on_test_begin",
    "on_test_batch_end",
    "on_test_end",
    "on_train_end",
)


class Stop(Exception):
    """Ends a fit."""


class Raises(tf.keras.callbacks.Callback):
    """Raises in one of Keras' hooks, in the second epoch where there are epochs."""

    def __init__(self, hook, error=Stop):
        super().__init__()
        self.error, self.epoch = error, 0
        setattr(self, hook, self.stop)
        self.always = hook in ("on_train_begin", "on_train_end")
        self.counts = hook != "on_epoch_begin"

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def stop(self, number=None, logs=None):
        if not self.counts:
            self.epoch = number
        if self.always or self.epoch == 1:
            raise self.error


class Reads(Untrained):
    """Keeps the numbers of the samples that it is trained on, epoch by epoch."""

    def __init__(self):
        super().__init__(lambda x: x * KERNEL)
        self.seen = []
        self.compile(loss="mse", run_eagerly=True)

    def train_step(self, data):
        self.seen += np.rint(data[0].numpy()[:, 0] * (N + 1) - 1).astype(int).tolist()
        return super().train_step(data)


def check_released(train):
    """A plain fit, of a model that has nothing to do with it, gets fresh permutations."""
    model = Reads()
    with pytest.warns(UserWarning, match="not attached"):
        model.fit(train, epochs=2, verbose=0)
    first, second = model.seen[:N], model.seen[N:]
    assert sorted(first) == sorted(second) == list(range(N))
    assert first != second
    assert train.plan is None


def check_goes_on(model, train, completed):
    """A fit with our callback does the epoch again that was broken, and goes on."""
    assert train.epoch == completed
    spy = train.strategy
    spy.plans.clear(), spy.ids.clear(), spy.rows.clear()
    run(model, train, epochs=2)
    assert is_clean(model)
    assert sorted(spy.plans) == [completed, completed + 1]
    assert sorted(spy.ids) == sorted(spy.planned(completed, completed + 1))
    for number, row in zip(spy.ids, spy.rows, strict=True):
        np.testing.assert_allclose(row, (number + 1) / (N + 1) * KERNEL[0], rtol=1e-6)


@pytest.mark.parametrize("ours_first", [True, False])
@pytest.mark.parametrize("hook", HOOKS)
def test_an_error_in_any_hook_of_a_callback(hook, ours_first):
    model, train = linear(run_eagerly=True), adaptive(N)
    callbacks = [tfml.AdaptiveBatchSelection(train), Raises(hook)]
    with pytest.raises(Stop) as kept:  # and with it all that the fit had
        model.fit(
            train,
            epochs=2,
            verbose=0,
            validation_data=numbered(4),
            callbacks=callbacks[:: 1 if ours_first else -1],
        )
    check_released(train)
    model.evaluate(*numbered(4), verbose=0)
    assert is_clean(model)
    completed = {"on_train_begin": 0, "on_train_end": 2, "on_epoch_end": 1 + ours_first}
    check_goes_on(model, train, completed.get(hook, 1))
    assert kept.value.__traceback__ is not None


class BreaksStep(tf.keras.Model):
    """Predicts what `linear` does; its step raises when it is told to."""

    def __init__(self):
        super().__init__()
        start = tf.keras.initializers.Constant(KERNEL)
        self.dense = tf.keras.layers.Dense(5, None, False, start)
        self.left = 5
        self.compile(tf.keras.optimizers.SGD(0.0), "mse", run_eagerly=True)

    def call(self, x):
        return self.dense(x)

    def train_step(self, data):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return super().train_step(data)


def test_an_interruption_in_the_middle_of_a_step():
    model, train = BreaksStep(), adaptive(N)
    with pytest.raises(KeyboardInterrupt):
        run(model, train)
    check_released(train)
    check_goes_on(model, train, 1)


@pytest.mark.parametrize("eager", [True, False])
def test_an_error_in_the_data(eager):
    broken = [True]

    def read(x):
        if broken[0] and x.numpy()[0, 0] > 0.8:
            raise ValueError("a file that cannot be read")
        return x

    def parsed(x, y):
        return tf.ensure_shape(tf.py_function(read, [x], tf.float32), [None, 1]), y

    model, train = linear(run_eagerly=eager), adaptive(N).map(parsed)
    with pytest.raises(tf.errors.OpError, match="a file that cannot be read"):
        run(model, train)
    broken[0] = False
    check_released(train)
    check_goes_on(model, train, 0)


def interrupted(model, train):
    """What the interrupted fit's error refers to, which keeps its frame and all in it."""
    callbacks = [
        tfml.AdaptiveBatchSelection(train),
        Raises("on_train_batch_end", KeyboardInterrupt),
    ]
    with pytest.raises(KeyboardInterrupt) as kept:
        model.fit(train, epochs=2, verbose=0, callbacks=callbacks)
    return kept


def orders(dataset):
    return np.rint(np.concatenate([x for x, _ in dataset])[:, 0] * (N + 1) - 1).astype(int)


@pytest.mark.filterwarnings("ignore:This adaptive dataset is not attached")
@pytest.mark.parametrize(
    "view",
    [
        lambda train: train,
        lambda train: train.take(9),
        lambda train: train.map(lambda x, y: (x, y)),
        lambda train: tf.data.Dataset.range(1).flat_map(lambda _: train),
    ],
    ids=["itself", "take", "map", "flat_map"],
)
@pytest.mark.parametrize("before", [True, False])
def test_whoever_iterates_after_it_gets_permutations(view, before):
    """Also a pipeline that was made before: it asks in a thread of TensorFlow's."""
    model, train = linear(run_eagerly=True), adaptive(N)
    dataset = view(train) if before else None
    kept = interrupted(model, train)
    dataset = view(train) if dataset is None else dataset
    first, second = orders(dataset), orders(dataset)
    assert sorted(first) == sorted(second) == list(range(N))
    assert not np.array_equal(first, second)
    assert kept


def test_the_plan_is_gone_with_the_fit():
    model, train = linear(run_eagerly=True), adaptive(N)
    kept = interrupted(model, train)
    assert train.plan is None
    assert is_clean(model)
    assert kept


def test_a_forgotten_error_is_enough():
    """Nobody touches dataset or model: the hook comes off when the error is forgotten."""
    model, train = linear(), adaptive(N)
    ours = tfml.AdaptiveBatchSelection(train)
    with contextlib.suppress(Stop):
        model.fit(train, epochs=2, verbose=0, callbacks=[ours, Raises("on_epoch_begin")])
    gc.collect()
    assert is_clean(model)
    assert train.plan is None


@pytest.mark.parametrize("then", ["the same fit", "another model"])
def test_what_a_fit_refers_to_dies_after_the_next(then):
    model, train = linear(run_eagerly=True), adaptive(N)
    ours = tfml.AdaptiveBatchSelection(train)
    companions = []
    note = tf.keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda *_: companions.extend(map(weakref.ref, ours._companions))
    )
    with pytest.raises(Stop):
        model.fit(train, epochs=2, verbose=0, callbacks=[ours, note, Raises("on_epoch_end")])
    other = model if then == "the same fit" else linear(run_eagerly=True)
    other.fit(train, verbose=0, callbacks=[ours])
    assert is_clean(model)
    gc.collect()
    assert companions
    assert [each() for each in companions] == [None] * len(companions)


# Losses that a callback adapts.


def falling(odds=(0.5, 0.25, 1.0, 0.5, 0.25)):
    schedule = tfml.schedules.Ramp(0.5, 0.25)
    return tfml.losses.PositiveWeights(odds=list(odds), exponent=schedule)


def masking(odds=(0.5, 0.25, 1.0, 0.5, 0.25)):
    return tfml.losses.PartialLabelMasking(odds=list(odds), initial=1.0, mask="expected")


def trained_with(loss):
    model = linear(run_eagerly=True)
    model.compile(tf.keras.optimizers.SGD(0.0), loss, run_eagerly=True)
    return model


UPDATES = {
    falling: tfml.callbacks.PositiveWeightsUpdate,
    masking: tfml.callbacks.PartialLabelMaskingUpdate,
}


@pytest.mark.filterwarnings("ignore:Labels without positives or without negatives")
@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("loss", UPDATES)
@pytest.mark.parametrize("hook", ["on_test_begin", "on_epoch_end"])
@pytest.mark.parametrize("then", ["called", "evaluate"])
def test_an_adapted_loss_is_itself_again(loss, alone, hook, then):
    """In a validation of the fit it is the plain one; that must not stay."""
    x, y = numbered(6)
    train, update = adaptive(N), UPDATES[loss]()
    model = trained_with(loss())
    ours = update if alone else tfml.AdaptiveBatchSelection(train)
    with pytest.raises(Stop) as kept:
        model.fit(
            train if not alone else tf.data.Dataset.from_tensor_slices((x, y)).batch(4),
            epochs=2,
            verbose=0,
            validation_data=(x, y),
            callbacks=[ours, Raises(hook)],
        )
    config = model.loss.get_config()
    expected = float(type(model.loss).from_config(config)(y, x * KERNEL))
    if then == "called":
        found = float(model.loss(y, x * KERNEL))
    else:
        found = model.evaluate(x, y, batch_size=6, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert model.loss.leader is None
    assert kept


class Inside(tf.keras.callbacks.Callback):
    """Does something within a fit, once, and keeps what it raises."""

    def __init__(self, do):
        super().__init__()
        self.do, self.error = do, None

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0:
            try:
                self.do()
            except (RuntimeError, ValueError) as error:
                self.error = str(error)


@pytest.mark.filterwarnings("ignore:Labels without positives or without negatives")
@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("loss", UPDATES)
def test_one_loss_in_two_fits_at_once(loss, alone):
    shared, train, other = loss(), adaptive(N), adaptive(N)
    x, y = numbered(6)
    ours = UPDATES[loss]() if alone else tfml.AdaptiveBatchSelection(other)

    def second():
        trained_with(shared).fit(
            other if not alone else x, None if not alone else y, verbose=0, callbacks=[ours]
        )

    inside = Inside(second)
    run(trained_with(shared), train, callbacks=[inside])
    assert inside.error.startswith("A loss object is adapted by one callback at a time. Received: ")
    assert train.epoch == 3
    assert shared.leader is None
    second()


def test_one_callback_in_two_fits_at_once():
    train = adaptive(N)
    ours = tfml.AdaptiveBatchSelection(train)
    second = linear(run_eagerly=True)
    inside = Inside(lambda: second.fit(train, verbose=0, callbacks=[ours]))
    model = linear(run_eagerly=True)
    model.fit(train, epochs=3, verbose=0, callbacks=[ours, inside])
    assert inside.error.startswith("A callback goes along with one fit at a time. Received: ")
    assert train.epoch == 3
    assert is_clean(model)
    assert is_clean(second)


@pytest.mark.parametrize("plain", [True, False])
def test_one_model_in_two_fits_at_once(plain):
    model, train, other = linear(run_eagerly=True), adaptive(N), adaptive(N)
    callbacks = [] if plain else [tfml.AdaptiveBatchSelection(other)]
    x, y = numbered(6)
    inside = Inside(lambda: model.fit(x, y, verbose=0, callbacks=callbacks))
    ours = tfml.AdaptiveBatchSelection(train)
    model.fit(train, epochs=3, verbose=0, callbacks=[ours, inside])
    assert inside.error.startswith("A model is trained by one fit at a time. Received: ")
    assert train.epoch == 3
    assert is_clean(model)


def test_one_dataset_in_a_fit_within_a_fit():
    train = adaptive(N)
    inside = Inside(lambda: run(linear(run_eagerly=True), train))
    model = linear(run_eagerly=True)
    run(model, train, callbacks=[inside])
    assert inside.error.startswith("An adaptive dataset follows one fit at a time. Received: ")
    assert train.epoch == 3
    assert sorted(train.strategy.ids) == sorted(train.strategy.planned(0, 1, 2))


def test_evaluate_with_another_of_our_callbacks_within_a_fit():
    model, train, x = linear(run_eagerly=True), adaptive(N), numbered(6)
    others = [tfml.AdaptiveBatchSelection(adaptive(N)), tfml.callbacks.LabelsForLayers()]
    inside = Inside(lambda: model.evaluate(*x, verbose=0, callbacks=others))
    run(model, train, callbacks=[inside])
    assert inside.error is None
    assert sorted(train.strategy.ids) == sorted(train.strategy.planned(0, 1, 2))
    assert is_clean(model)


def test_the_train_function_made_anew_within_a_fit():
    model, train = linear(), adaptive(N)
    inside = Inside(lambda: model.make_train_function(force=True))
    run(model, train, callbacks=[inside])
    assert inside.error is None
    assert sorted(train.strategy.ids) == sorted(train.strategy.planned(0, 1, 2))
    assert isinstance(train.strategy, Spy)
