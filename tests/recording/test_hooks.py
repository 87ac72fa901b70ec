"""The hook: on for a fit, off after it, and in any custom model's way of training."""

import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml
from tests.support.recorded_fits import (
    KERAS_3,
    KERNEL,
    Breaks,
    Spy,
    adaptive,
    check_rows,
    is_clean,
    linear,
    numbered,
    run,
)
from tfmlselect.callbacks.companions import PredictionLog
from tfmlselect.recording import hooks
from tfmlselect.recording.hooks import arm_hook, listening, remove_hook
from tfmlselect.recording.recorder import Recorder


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
    with pytest.warns(UserWarning, match="not attached"):
        model.fit(train, verbose=0)
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
    class Fails(Custom):
        def train_step(self, data):
            raise ZeroDivisionError

    model, train = Fails(), adaptive()
    model.compile(loss="mse", run_eagerly=True)
    with pytest.raises(ZeroDivisionError):
        run(model, train)
    model.evaluate(*numbered(500), verbose=0)  # many more samples than the log has rows


def test_evaluate_with_the_callback_leaves_no_hook():
    model, train = linear(), adaptive()
    model.evaluate(*numbered(9), verbose=0, callbacks=[tfml.AdaptiveBatchSelection(train)])
    model.predict(numbered(9)[0], verbose=0, callbacks=[tfml.AdaptiveBatchSelection(train)])
    assert is_clean(model)
    model.fit(*numbered(500), verbose=0)
    assert train.strategy.ids == []


class Evaluates(tf.keras.callbacks.Callback):
    """Evaluates with a callback at the end of each epoch."""

    def __init__(self, callback):
        super().__init__()
        self.callback = callback

    def on_epoch_end(self, epoch, logs=None):
        self.model.evaluate(*numbered(9), verbose=0, callbacks=[self.callback])


def test_evaluate_with_the_callback_within_a_fit():
    model, train = linear(), adaptive()
    callback = tfml.AdaptiveBatchSelection(train)
    model.fit(train, epochs=3, verbose=0, callbacks=[callback, Evaluates(callback)])
    check_rows(train.strategy, numbered(27)[0])
    assert is_clean(model)


def test_evaluate_with_the_callback_within_a_fit_that_raised():
    model, train = linear(), adaptive()
    callback = tfml.AdaptiveBatchSelection(train)
    callbacks = [callback, Evaluates(callback), Breaks(ZeroDivisionError)]
    with pytest.raises(ZeroDivisionError):
        model.fit(train, epochs=3, verbose=0, callbacks=callbacks)
    model.fit(*numbered(500), verbose=0)
    assert len(train.strategy.ids) == 27


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


# Several listeners.


class Listens(tf.keras.callbacks.Callback):
    """Counts the steps in which it is told of y, and the times it is told that a fit is over."""

    def __init__(self):
        super().__init__()
        self.steps, self.overs = [], []

    def set_model(self, model):
        super().set_model(model)
        arm_hook(model, self.record, self.over)

    def on_train_begin(self, logs=None):
        self.overs.clear()  # of what was before this fit

    def on_train_end(self, logs=None):
        remove_hook(self.model)

    def record(self, y, y_pred):
        tf.numpy_function(lambda y: self.steps.append(len(y)), [y], [])

    def over(self):
        self.overs.append(len(self.steps))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
@pytest.mark.parametrize("eager", [False, True])
def test_all_listeners_hear_of_every_step_and_once_of_the_end(order, eager):
    model, train = linear(run_eagerly=eager), adaptive()
    listeners = Listens(), Listens()
    callbacks = [*listeners, tfml.AdaptiveBatchSelection(train)]
    model.fit(train, epochs=3, verbose=0, callbacks=[callbacks[each] for each in order])
    for each in listeners:
        assert sum(each.steps) == 81
        assert each.overs == [21]
    check_rows(train.strategy, numbered(27)[0])
    assert is_clean(model)


@pytest.mark.parametrize("then", ["nothing", "others", "one of them"])
def test_listeners_of_a_fit_that_raised_hear_no_more(then):
    model = linear()
    x, y = numbered(27)
    first, second, third = Listens(), Listens(), Listens()
    broken = [first, second, Breaks(ZeroDivisionError)]
    with pytest.raises(ZeroDivisionError):
        model.fit(x, y, epochs=2, batch_size=4, verbose=0, callbacks=broken)
    heard = [list(each.steps) for each in (first, second)]
    again = {"nothing": [], "others": [third], "one of them": [second]}[then]
    model.fit(x, y, batch_size=9, verbose=0, callbacks=again)
    assert first.steps == heard[0]
    assert first.overs == [len(first.steps)]
    assert second.steps == heard[1] + [9] * 3 * (second in again)
    assert second.overs == [len(second.steps)]
    assert third.steps == [9] * 3 * (third in again)
    assert is_clean(model)


def test_a_new_fit_with_other_callbacks():
    model = linear()
    x, y = numbered(27)
    first, second = Listens(), Listens()
    for callbacks in ([first], [second], [first, second], [second, first]):
        model.fit(x, y, batch_size=9, verbose=0, callbacks=callbacks)
    assert first.steps == second.steps == [9] * 9


def test_it_is_known_who_listens():
    model = linear()
    first, second = Listens(), Listens()
    assert listening(model) == []
    seen = tf.keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: during.extend(listening(model))
    )
    during = []
    model.fit(*numbered(9), verbose=0, callbacks=[first, seen, second])
    assert during == [first, second]
    assert listening(model) == []


# What is saved.


def saved_bytes(path):
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return b"".join(file.read_bytes() for file in files)


class SavesDuringFit(tf.keras.callbacks.Callback):
    def __init__(self, save):
        super().__init__()
        self.save = save

    def on_train_batch_end(self, batch, logs=None):
        if batch == 1:
            self.save(self.model)


def save_functions():
    saves = {"keras": lambda model, path: model.save(f"{path}.keras")}
    if KERAS_3:
        saves["export"] = lambda model, path: model.export(path, verbose=False)
    else:
        saves["savedmodel"] = lambda model, path: model.save(path, save_format="tf")
    return [pytest.param(save, id=name) for name, save in saves.items()]


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
@pytest.mark.parametrize("save", save_functions())
@pytest.mark.parametrize("during", [True, False])
def test_nothing_of_ours_is_saved(save, during, tmp_path):
    x, y = numbered(270)
    train = tfml.adaptive_dataset((x, y), Spy(), 90, seed=1)
    model = linear()
    save_here = [SavesDuringFit(lambda model: save(model, tmp_path / "saved"))]
    run(model, train, epochs=1, callbacks=save_here if during else [])
    if not during:
        save(model, tmp_path / "saved")
    (path,) = tmp_path.iterdir()
    # A log of predictions would hold those of the first sample of the plan.
    row = (x[train.strategy.plans[0][:1]] * KERNEL).astype("<f4").tobytes()
    assert row not in saved_bytes(path)
    assert b"tfmlselect" not in saved_bytes(path)
    if path.suffix == ".keras":
        loaded = tf.keras.models.load_model(path)
        assert is_clean(loaded)
        loaded.fit(x, y, verbose=0)
        np.testing.assert_allclose(loaded.predict(x, verbose=0), x * KERNEL, rtol=1e-6)
    else:
        loaded = tf.saved_model.load(str(path))
        assert len(loaded.variables) == len(model.variables) or KERAS_3


def recorder_of(callback):
    """The log of the fit that runs."""
    found = [each for each in callback._companions if isinstance(each, PredictionLog)]
    return found[0]._recorder


AFTER_AN_ERROR = {
    "fit": lambda model, train, callback: model.fit(*numbered(9), verbose=0),
    "evaluate": lambda model, train, callback: model.evaluate(*numbered(9), verbose=0),
    "predict": lambda model, train, callback: model.predict(numbered(9)[0], verbose=0),
    "iterate": lambda model, train, callback: list(train),
    "fit another": lambda model, train, callback: linear().fit(
        train, verbose=0, callbacks=[callback]
    ),
    "forget": lambda model, train, callback: gc.collect(),
}


@pytest.mark.filterwarnings("ignore:This adaptive dataset is not attached")
@pytest.mark.parametrize("then", [None, *AFTER_AN_ERROR])
def test_the_memory_of_the_log_is_given_back(then):
    """Keras' optimizers keep every train function's graph and its variables alive for ever."""
    model, train, kept = linear(), adaptive(), []
    callback = tfml.AdaptiveBatchSelection(train, signal=lambda y, p: y - p)
    recorders = []

    def on_epoch_begin(epoch, logs):
        recorders.append(recorder_of(callback))
        if then is not None:
            raise ZeroDivisionError

    note = tf.keras.callbacks.LambdaCallback(on_epoch_begin=on_epoch_begin)
    try:
        model.fit(train, verbose=0, callbacks=[callback, note])
    except ZeroDivisionError as error:
        assert recorders[0]._predictions.numpy().size == 27 * 5
        kept.append(error)  # as a notebook does
    if then is not None:
        if then == "forget":
            kept.clear()
        AFTER_AN_ERROR[then](model, train, callback)
        assert is_clean(model)
    log = recorders[0]
    for variable in (log._predictions, log._losses, log._order._difference):
        assert variable.numpy().size == 0


def test_nothing_is_kept_alive():
    model = linear()
    died = []
    for _ in range(5):
        train = adaptive()
        callback = tfml.AdaptiveBatchSelection(train)
        recorders = []
        peek = tf.keras.callbacks.LambdaCallback(
            on_epoch_end=lambda *_, seen=recorders, ours=callback: seen.append(recorder_of(ours))
        )
        run_callbacks = [callback, peek]
        model.fit(train, epochs=1, verbose=0, callbacks=run_callbacks)
        assert isinstance(recorders[0], Recorder)
        died += [weakref.ref(recorders[0]), weakref.ref(train)]
        del train, callback, recorders, peek, run_callbacks
    gc.collect()
    assert [ref() for ref in died] == [None] * len(died)
    died = weakref.ref(model)
    del model
    gc.collect()
    assert died() is None


# Ways of training.


class Custom(tf.keras.Model):
    """A linear model with a step of its own."""

    def __init__(self):
        super().__init__()
        start = tf.keras.initializers.Constant(KERNEL)
        self.dense = tf.keras.layers.Dense(5, None, False, start)

    def call(self, x):
        return self.dense(x)


class CallsLoss(Custom):
    def train_step(self, data):
        x, y = data
        return {"loss": self.compute_loss(x=x, y=y, y_pred=self(x))}


class CallsMetrics(Custom):
    def train_step(self, data):
        x, y = data
        return self.compute_metrics(x, y, self(x), None)


class CallsNeither(Custom):
    def train_step(self, data):
        x, y = data
        return {"loss": tf.reduce_mean(tf.square(y - self(x)))}


class OwnMetrics(Custom):
    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        super().compute_metrics(x, y, y_pred, sample_weight)
        return {"own": tf.reduce_mean(y_pred)}


class OwnArguments(Custom):
    """A compute_loss that is its own affair: other arguments in another order."""

    def compute_loss(self, y_pred, y):
        return tf.reduce_mean(tf.square(y - y_pred))

    def train_step(self, data):
        x, y = data
        return {"loss": self.compute_loss(self(x), y)}


class AnyArguments(Custom):
    def compute_loss(self, *args, **kwargs):
        return super().compute_loss(*args, **kwargs)


class TwoPasses(Custom):
    """Two forward passes: the first one counts."""

    def train_step(self, data):
        x, y = data
        first = self.compute_loss(x, y, self(x))
        return {"loss": first + self.compute_loss(x, y, -self(x))}


class CompiledStep(Custom):
    """Python control flow on tensors, which only a step that is a `tf.function` may have."""

    @tf.function
    def train_step(self, data):
        x, y = data
        loss = self.compute_loss(x, y, self(x))
        for _ in tf.range(2):
            loss = loss + 1.0 if loss < 1.0 else loss
        return {"loss": loss}


class CompiledPart(Custom):
    """Its loss is computed in a function of its own, that is traced once and kept."""

    @tf.function
    def part(self, x, y):
        return self.compute_loss(x, y, self(x))

    def train_step(self, data):
        x, y = data
        return {"loss": self.part(x, y), **self.compute_metrics(x, y, self(x), None)}


class Branches(Custom):
    """Its loss is computed in one of two branches."""

    def train_step(self, data):
        x, y = data
        y_pred = self(x)
        loss = tf.cond(
            tf.reduce_mean(x) > 0.5,
            lambda: self.compute_loss(x, y, y_pred),
            lambda: 2.0 * self.compute_loss(x, y, y_pred),
        )
        return {"loss": loss, **self.compute_metrics(x, y, y_pred, None)}


STEPS = [
    Custom,  # with Keras' own step
    CallsLoss,
    CallsMetrics,
    OwnMetrics,
    OwnArguments,
    AnyArguments,
    TwoPasses,
    CompiledStep,
    CompiledPart,
    Branches,
]


@pytest.mark.parametrize("kind", STEPS)
def test_custom_models_are_recorded_in_every_fit(kind):
    model = kind()
    model.compile(tf.keras.optimizers.SGD(0.0), "mse")
    for _ in range(2):
        train = adaptive()
        history = run(model, train, epochs=2)
        check_rows(train.strategy, numbered(27)[0], epochs=(0, 1))
    assert ("own" in history.history) == (kind is OwnMetrics)
    model.fit(*numbered(500), verbose=0)
    assert len(train.strategy.ids) == 54


@pytest.mark.parametrize("batch_size", [4, 27])
def test_a_step_that_hands_over_nothing_is_an_error_with_the_way_out(batch_size):
    model = CallsNeither()
    model.compile(tf.keras.optimizers.SGD(0.0), "mse")
    train = tfml.adaptive_dataset(numbered(27), Spy(), batch_size, seed=1)
    with pytest.raises(RuntimeError, match='scores="predict"'):
        run(model, train, epochs=1)
    run(model, train, scores="predict", epochs=2)
    assert train.strategy.ids == [*range(27)] * 2
    x = numbered(27)[0]
    np.testing.assert_allclose(train.strategy.rows[:27], x * KERNEL, rtol=1e-6)


def test_ctrl_c_while_the_hook_comes_off():
    """Wherever it comes, the next call finds the hook and goes on, and a plain fit is plain."""
    names = ("train_step", "compute_loss", "compute_metrics", "make_train_function")

    class Model(tf.keras.Sequential):
        """One whose attributes cannot be deleted after some."""

        left = 99

        def __delattr__(self, name):
            if name in names or name.startswith("make_"):
                if self.left == 0:
                    raise KeyboardInterrupt
                type(self).left -= 1
            super().__delattr__(name)

    for left in range(6):
        model = Model([tf.keras.layers.Dense(2)])
        model.compile("sgd", "mse")
        x = np.ones((8, 3), "float32")
        hooks.arm_hook(model, lambda y, y_pred: None, lambda: None)
        Model.left = left
        with pytest.raises(KeyboardInterrupt):
            hooks.remove_hook(model)
        Model.left = 99
        model.fit(x, x[:, :2], verbose=0)
        assert not set(model.__dict__) & set(hooks._NAMES)
