"""Recorder: every row that the strategy observes is the prediction of exactly that sample.

The models here do not learn, or learn as NumPy or a second model does; so each prediction is a
known function of x. All samples have different labels: a batch in a wrong order is an error.
"""

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml
from tests.support.recorded_fits import (
    KERAS_3,
    KERNEL,
    Spy,
    Untrained,
    check_rows,
    check_visits,
    linear,
    numbered,
    run,
)
from tfmlselect.recording.visits import visit_rounds

# What is recorded.


@pytest.mark.parametrize(
    ("n", "drop_remainder"), [(24, False), (25, False), (27, False), (27, True)]
)
def test_rows_are_the_planned_samples_predictions(n, drop_remainder):
    x, y = numbered(n)
    train = tfml.adaptive_dataset((x, y), Spy(), 4, seed=1, drop_remainder=drop_remainder)
    run(linear(), train)
    assert len(train.strategy.ids) == 3 * (n // 4 * 4 if drop_remainder else n)
    check_rows(train.strategy, x)


@pytest.mark.parametrize(
    "options",
    [
        {"steps_per_execution": 4},  # 7 steps
        {"steps_per_execution": 7},
        {"steps_per_execution": 9},
        {"jit_compile": True},
        pytest.param({"jit_compile": True, "steps_per_execution": 4}, marks=pytest.mark.full),
        {"jit_compile": False},
        pytest.param(
            {"jit_compile": "auto"},
            marks=pytest.mark.skipif(not KERAS_3, reason='"auto" is of Keras 3'),
        ),
        {"run_eagerly": True},
    ],
    ids=str,
)
def test_rows_however_the_step_is_compiled(options):
    x, y = numbered(27)
    train = tfml.adaptive_dataset((x, y), Spy(), 4, seed=1)
    run(linear(**options), train)
    check_rows(train.strategy, x)


@pytest.mark.parametrize(
    "chain",
    [
        lambda train: train.prefetch(4),
        lambda train: train.map(lambda x, y: (x, y), num_parallel_calls=4).prefetch(2),
        lambda train: train.prefetch(1).map(lambda x, y: (x, y)).with_options(tf.data.Options()),
    ],
    ids=["prefetch", "map-prefetch", "prefetch-map-options"],
)
def test_rows_after_a_chain(chain):
    x, y = numbered(27)
    base = tfml.adaptive_dataset((x, y), Spy(), 4, seed=1)
    train = chain(base)
    run(linear(), train)
    check_rows(train.strategy, x)
    # The callback may as well be given the dataset at the chain's beginning.
    linear().fit(train, epochs=4, verbose=0, callbacks=[tfml.AdaptiveBatchSelection(base)])
    check_rows(train.strategy, x, epochs=range(4))


def test_rows_of_a_warmup_are_a_permutation():
    x, y = numbered(27)
    train = tfml.adaptive_dataset((x, y), Spy(warmup=2), 4, seed=1)
    run(linear(), train)
    spy = train.strategy
    assert sorted(spy.ids[:27]) == sorted(spy.ids[27:54]) == list(range(27))
    assert sorted(spy.ids[54:]) == sorted(spy.plans[2])
    np.testing.assert_allclose(np.stack(spy.rows), x[spy.ids] * KERNEL, rtol=1e-6)


@pytest.mark.parametrize(("policy", "rtol"), [("mixed_float16", 2e-3), ("mixed_bfloat16", 2e-2)])
def test_rows_are_float32_under_mixed_precision(policy, rtol):
    x, y = numbered(27)
    train = tfml.adaptive_dataset((x, y), Spy(), 4, seed=1)
    tf.keras.mixed_precision.set_global_policy(policy)
    try:
        run(linear(), train)
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    assert train.strategy.rows[0].dtype == np.float32
    check_rows(train.strategy, x, rtol=rtol)


def test_validation_batches_are_not_recorded():
    x, y = numbered(27)
    train = tfml.adaptive_dataset((x, y), Spy(), 4, seed=1)
    run(linear(), train, fit={"validation_data": (x[::-1], y[::-1]), "validation_batch_size": 5})
    check_rows(train.strategy, x)


def test_validation_on_the_training_set_itself():
    x, y = numbered(27)
    train = tfml.adaptive_dataset((x, y), Spy(), 4, seed=1)
    with pytest.warns(UserWarning, match="validates on the samples"):  # and does no harm
        run(linear(), train, fit={"validation_data": train})
    check_rows(train.strategy, x)


def test_predictions_are_those_before_the_update():
    x, y = numbered(11)
    train = tfml.adaptive_dataset((x, y), Spy(), 4, seed=1)
    model, twin = linear(rate=0.5), linear(rate=0.5)
    run(model, train)
    expected = []
    for plan in (train.strategy.plans[epoch] for epoch in range(3)):
        for batch in np.split(plan, [4, 8]):
            expected.append(x[batch] @ twin.get_weights()[0])
            twin.train_on_batch(x[batch], y[batch])
    check_visits(
        train.strategy, train.strategy.planned(0, 1, 2), np.concatenate(expected), rtol=1e-5
    )


def test_structured_inputs_and_sample_weights():
    x, y = numbered(11)
    train = tfml.adaptive_dataset(
        ({"a": x, "b": x}, y), Spy(), 4, seed=1, sample_weight=np.arange(1.0, 12)
    )
    a, b = (tf.keras.layers.Input([1], name=name) for name in "ab")
    start = tf.keras.initializers.Constant(KERNEL)
    mean = tf.keras.layers.Average()([a, b])
    model = tf.keras.Model({"a": a, "b": b}, tf.keras.layers.Dense(5, None, False, start)(mean))
    model.compile(tf.keras.optimizers.SGD(0.0), "mse")
    run(model, train)
    check_rows(train.strategy, x)


def test_stop_in_mid_epoch_observes_what_was_trained():
    class Stop(tf.keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 2

    x, y = numbered(27)
    train = tfml.adaptive_dataset((x, y), Spy(), 4, seed=1)
    run(linear(), train, callbacks=[Stop()])
    assert sorted(train.strategy.ids) == sorted(train.strategy.plans[0][:12])


# What is trained.


class Witness(tf.keras.Model):
    """Notes the x of every training step."""

    def train_step(self, data):
        tf.numpy_function(lambda x: self.seen.extend(x), [data[0]], [])
        return super().train_step(data)


def witness(**options):
    inputs = tf.keras.layers.Input([1])
    start = tf.keras.initializers.Constant(KERNEL)
    model = Witness(inputs, tf.keras.layers.Dense(5, None, False, start)(inputs))
    model.seen = []
    model.compile(tf.keras.optimizers.SGD(0.0), "mse", jit_compile=False, **options)
    return model


@pytest.mark.parametrize(
    ("options", "fit", "scores"),
    [
        ({}, {}, "record"),
        ({}, {}, "predict"),
        ({}, {"steps_per_epoch": 7}, "record"),
        ({}, {"validation_data": True}, "record"),
        ({"steps_per_execution": 4}, {}, "record"),
        ({"steps_per_execution": 4}, {"steps_per_epoch": 7}, "predict"),
    ],
    ids=str,
)
def test_batches_trained_are_the_epochs_plan(options, fit, scores):
    x, y = numbered(27)
    train = tfml.adaptive_dataset((x, y), Spy(), 4, seed=1).prefetch(4)
    model = witness(**options)
    if "validation_data" in fit:
        fit = {"validation_data": (x, y)}
    run(model, train, epochs=4, scores=scores, fit=fit)
    np.testing.assert_array_equal(model.seen, x[train.strategy.planned(0, 1, 2, 3)])


def test_an_unbuilt_model_trains_the_plan():
    x, y = numbered(27)
    train = tfml.adaptive_dataset((x, y), Spy(), 4, seed=1).prefetch(4)
    start = tf.keras.initializers.Constant(KERNEL)
    model = tf.keras.Sequential([tf.keras.layers.Dense(5, None, False, start)])
    model.compile(tf.keras.optimizers.SGD(0.0), "mse")
    run(model, train)
    check_rows(train.strategy, x)


class Peeks(tf.keras.callbacks.Callback):
    """Looks at a batch wherever it can."""

    def __init__(self, train):
        super().__init__()
        self.train = train

    def peek(self, *_, **__):
        next(iter(self.train))

    on_epoch_begin = on_train_batch_end = on_epoch_end = peek


@pytest.mark.parametrize("first", [True, False])
def test_peeking_disturbs_nothing(first):
    x, y = numbered(27)
    train = tfml.adaptive_dataset((x, y), Spy(), 4, seed=1)
    callbacks = [Peeks(train), tfml.AdaptiveBatchSelection(train)]
    linear().fit(train, epochs=3, verbose=0, callbacks=callbacks if first else callbacks[::-1])
    check_rows(train.strategy, x)


# What cannot be recorded.


@pytest.mark.parametrize("scores", ["record", "predict"])
def test_predictions_that_are_not_finite_are_left_out_with_one_warning(scores):
    x, y = numbered(27)
    train = tfml.adaptive_dataset((x, y), Spy(warmup=2), 4, seed=1)
    model = Untrained(lambda x: tf.where(x > 0.8, np.nan, x) * KERNEL)
    model.compile(loss="mse")
    bad = np.flatnonzero(x > 0.8)
    with pytest.warns(UserWarning, match=f"Received: {len(bad)} rows with NaN") as caught:
        run(model, train, scores=scores)
    assert sum("not finite" in str(w.message) for w in caught) == 1
    assert not set(bad) & set(train.strategy.ids)
    assert set(range(27)) - set(bad) <= set(train.strategy.ids)


class Halves(Untrained):
    """Trains on each batch in two halves."""

    def train_step(self, data):
        x, y = data
        half = tf.shape(x)[0] // 2
        self.compute_loss(x[:half], y[:half], self(x[:half]))
        return {"loss": self.compute_loss(x[half:], y[half:], self(x[half:]))}


class Sometimes(Untrained):
    """Computes a loss in every second step alone."""

    turn = 0

    def train_step(self, data):
        self.turn += 1
        return super().train_step(data) if self.turn % 2 else {"loss": 0.0}


class Twice(Untrained):
    """Trains on each batch and its double at once."""

    def train_step(self, data):
        return super().train_step([tf.concat([part, part], axis=0) for part in data])


@pytest.mark.parametrize("kind", [Halves, Sometimes, Twice])
def test_a_step_that_hands_over_too_little_or_too_much(kind):
    train = tfml.adaptive_dataset(numbered(27), Spy(), 4, seed=1)
    model = kind(lambda x: x * KERNEL)
    model.compile(loss="mse", run_eagerly=kind is Sometimes)
    received = r"(2|4|8) predictions in [12] steps"  # at the first or second check
    wanted = rf'one prediction of each sample.*Received: {received}.*scores="predict"'
    with pytest.raises(RuntimeError, match=wanted):
        run(model, train, check_order=False)


class Permutes(Untrained):
    """Trains on each batch the other way round."""

    def train_step(self, data):
        return super().train_step([part[::-1] for part in data])


def test_a_step_that_permutes_its_batch():
    train = tfml.adaptive_dataset(numbered(27), Spy(), 4, seed=1)
    model = Permutes(lambda x: x * KERNEL)
    model.compile(loss="mse")
    with pytest.raises(RuntimeError, match=r"not the planned ones.*Received: 4 of 4 rows"):
        run(model, train)


# One sample's visits.


def test_visit_rounds_keep_each_samples_visits_in_order():
    ids = np.array([3, 1, 3, 0, 1, 3, 2])
    rounds = [positions.tolist() for positions in visit_rounds(ids, size=3)]
    assert rounds == [[0, 1, 3], [6], [2, 4], [5]]
    assert list(visit_rounds(ids[:0], size=3)) == []
