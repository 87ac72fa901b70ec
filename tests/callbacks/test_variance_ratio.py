"""The variance ratio of a model in training, estimated from what each epoch drew."""

import warnings

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import tfmlselect as tfml
from tests.support.recorded_fits import KERNEL, Spy, Untrained, linear, numbered, run
from tests.support.watching import Watch
from tfmlselect.labels import variance_ratio

KEY = "selection/variance_ratio"
FULL = pytest.mark.full
N = 27
X, Y = numbered(N)
P = X * KERNEL  # what `linear()` predicts


def ratio(y, p, weights=None):
    """R, sample by sample: the mean of g^2 over the square of the mean of g."""
    weights = np.ones(len(y)) if weights is None else weights
    total = first = second = 0.0
    for labels, predicted, weight in zip(y, np.asarray(p, float), weights, strict=True):
        g = np.sqrt(sum((a - b) ** 2 for a, b in zip(labels, predicted, strict=True)))
        total, first, second = total + weight, first + weight * g, second + weight * g * g
    return (second / total) / (first / total) ** 2


def of_draws(watch, epoch, y=Y, p=P):
    """The estimate from an epoch's plan and the distribution that it was drawn from."""
    plan = watch.plans[epoch]
    return ratio(y[plan], p[plan], 1 / watch.distributions[epoch][plan])


def test_a_small_table_by_hand():
    # g is 1, 1, 2: 3 * 6 / 4^2. With weights 1, 1, 2: (4 * 10) / 6^2.
    assert variance_ratio(np.array([3, 4, 6])) == 18 / 16
    assert variance_ratio(np.array([4, 6, 10])) == 40 / 36
    assert ratio([[0, 0], [1, 0], [0, 0]], [[1, 0], [0, 0], [0, 2]]) == pytest.approx(18 / 16)
    assert variance_ratio(np.array([3, 0, 0])) == 1.0


@given(arrays(float, st.integers(1, 20), elements=st.floats(0.01, 10)), st.floats(0.1, 10))
def test_any_errors(g, scale):
    def of(g, w):
        return variance_ratio(np.array([w.sum(), w @ g, w @ g**2]))

    ones = np.ones(len(g))
    found = of(g, ones)
    assert 1 - 1e-9 <= found <= len(g) + 1e-9
    assert of(scale * g[::-1], scale * ones) == pytest.approx(found)
    assert of(np.append(g, g), np.append(ones, ones)) == pytest.approx(found)
    assert of(g, 2 * ones) == pytest.approx(found)


# A model that does not learn: the figure is known.


@pytest.mark.parametrize(
    ("compiled", "options"),
    [
        ({}, {}),
        ({"run_eagerly": True}, {}),
        ({"jit_compile": False}, {"scores": "predict"}),
        ({"jit_compile": False, "steps_per_execution": 3}, {}),
        pytest.param({"jit_compile": True}, {}, marks=FULL),
        pytest.param({"jit_compile": True, "steps_per_execution": 3}, {}, marks=FULL),
    ],
    ids=str,
)
def test_uniform_batches_give_that_of_the_whole_set(compiled, options):
    train = tfml.adaptive_dataset((X, Y), "uniform", 4, seed=1)
    history = run(linear(**compiled), train, **options).history
    np.testing.assert_allclose(history[KEY], ratio(Y, P), rtol=1e-5)


@pytest.mark.parametrize(
    ("compiled", "options", "drawn"),
    [
        ({"run_eagerly": True}, {}, {}),
        ({"jit_compile": False}, {"scores": "predict"}, {}),
        ({"jit_compile": False, "steps_per_execution": 3}, {}, {"samples_per_epoch": 13}),
        ({"jit_compile": False}, {}, {"drop_remainder": True, "importance_weights": 1.0}),
        ({"jit_compile": False}, {}, {"draws": "independent"}),
        pytest.param({"jit_compile": True}, {}, {}, marks=FULL),
    ],
    ids=str,
)
def test_draws_weigh_by_their_probabilities(compiled, options, drawn):
    train = tfml.adaptive_dataset((X, Y), Spy(), 4, seed=1, **drawn)
    watch = Watch(train)
    history = run(linear(**compiled), train, callbacks=[watch], **options).history
    expected = [of_draws(watch, epoch) for epoch in range(3)]
    np.testing.assert_allclose(history[KEY], expected, rtol=1e-5)
    assert np.ptp(expected) > 0.001
    unweighted = [ratio(Y[plan], P[plan]) for plan in watch.plans]
    assert np.abs(np.subtract(expected, unweighted)).max() > 0.002


@pytest.mark.parametrize("name", ["label_balanced", "repeat_factor"])
def test_strategies_that_need_no_predictions(name):
    train = tfml.adaptive_dataset((X, Y), name, 4, seed=1)
    watch = Watch(train)
    history = run(linear(), train, callbacks=[watch]).history
    np.testing.assert_allclose(history[KEY], [of_draws(watch, e) for e in range(3)], rtol=1e-5)


def test_samples_that_never_come_are_left_out():
    train = tfml.adaptive_dataset((X, Y), "label_balanced", 4, seed=1)
    watch = Watch(train)
    history = run(linear(), train, epochs=40, callbacks=[watch]).history[KEY]
    assert watch.distributions[0][0] == 0  # it has no label
    assert np.mean(history) == pytest.approx(ratio(Y[1:], P[1:]), rel=0.003)
    assert abs(ratio(Y, P) / ratio(Y[1:], P[1:]) - 1) > 0.01


@pytest.mark.parametrize("kind", [tfml.strategies.D2ACE, tfml.strategies.OnlineBatch])
def test_the_estimate_is_near_that_of_the_whole_set(kind):
    """Within 4 standard errors, of draws that are each off by one visit at most."""
    rng = np.random.default_rng(0)
    x = rng.random([400, 1]).astype("f")
    y = (rng.random([400, 5]) < [0.5, 0.2, 0.1, 0.05, 0.02]).astype("f")
    p = np.asarray(x * KERNEL, float)
    train = tfml.adaptive_dataset((x, y), kind(pressure=8.0, warmup=1), 20, seed=0)
    watch = Watch(train)
    history = run(linear(), train, epochs=6, callbacks=[watch]).history[KEY]
    exact, g = ratio(y, p), np.linalg.norm(y - p, axis=1)
    # The derivative of ln R by one more visit of each sample, for sums A of w, B of wg, C of wg^2.
    of_visit = 1 / 400 + g**2 / (g @ g) - 2 * g / g.sum()
    for epoch, probabilities in enumerate(watch.distributions):
        error = np.linalg.norm(of_visit / (400 * probabilities))
        assert error < 0.1
        assert history[epoch] == pytest.approx(exact, rel=4 * error)
    assert history[0] == pytest.approx(exact, rel=1e-5)
    seen = [ratio(y[plan], p[plan]) for plan in watch.plans[1:]]
    assert np.abs(np.array(history[1:]) - exact).mean() < np.abs(np.array(seen) - exact).mean()


def test_a_warm_up_is_uniform_also_where_it_begins_again():
    """A longer second fit makes the warm-up longer: the distribution waits, and is not in force."""
    train, model = tfml.adaptive_dataset((X, Y), Spy(warmup=0.5), 4, seed=1), linear()
    watch = Watch(train)
    first = run(model, train, epochs=4, callbacks=[watch]).history[KEY]
    second = run(model, train, epochs=16, callbacks=[watch]).history[KEY]
    assert train.strategy.warmup == 10
    np.testing.assert_allclose(first[:2] + second[:6], ratio(Y, P), rtol=1e-5)
    assert np.ptp(watch.distributions[5]) > 0.01
    expected = [of_draws(watch, epoch) for epoch in (2, 3, 10, 19)]
    np.testing.assert_allclose([*first[2:], second[6], second[15]], expected, rtol=1e-5)


def test_class_ids():
    ids = np.arange(N) % 3
    train = tfml.adaptive_dataset((X, ids), "uniform", 4, seed=1)
    model = tf.keras.Sequential([tf.keras.Input((1,)), tf.keras.layers.Dense(3)])
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(tf.keras.optimizers.SGD(0.0), loss)
    history = run(model, train).history
    p = tf.nn.softmax(model.predict(X, verbose=0)).numpy()
    np.testing.assert_allclose(history[KEY], ratio(np.eye(3)[ids], p), rtol=1e-5)


@pytest.mark.parametrize("strategy", [tfml.strategies.Uniform, Spy])
def test_several_outputs_averaged(strategy):
    inputs = tf.keras.Input((1,))
    heads = [tf.keras.layers.Dense(5, "sigmoid", name=name)(inputs) for name in "ab"]
    model = tf.keras.Model(inputs, heads)
    model.compile(tf.keras.optimizers.SGD(0.0), ["mse", "mse"])
    train = tfml.adaptive_dataset((X, Y), strategy(), 4, seed=1)
    twice, watch = train.map(lambda x, y: (x, (y, y))), Watch(train)
    history = run(model, twice, callbacks=[watch], output=["a", "b"]).history
    p = np.mean(model.predict(X, verbose=0), axis=0)
    expected = [of_draws(watch, epoch, p=p) for epoch in range(3)]
    np.testing.assert_allclose(history[KEY], expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["uniform", "online_batch"])
def test_a_stream(name):
    source = tf.data.Dataset.from_tensor_slices((X, Y))
    train = source.apply(tfml.adaptive(name, batch_size=4, window=16, seed=0))
    watch = Watch(train)
    history = run(linear(), train, callbacks=[watch]).history
    np.testing.assert_allclose(history[KEY], [of_draws(watch, e) for e in range(3)], rtol=1e-5)


def test_thinned_data():
    protected = [4]
    strategy = tfml.strategies.RareEvents(protected, empty_share=0.35, draw="even")
    train = tfml.adaptive_dataset((X, Y), strategy, 4, seed=1)
    model, watch = linear(), Watch(train)
    model.compile(tf.keras.optimizers.SGD(0.0), tfml.losses.ThinnedLikelihood(labels=protected))
    history = run(model, train, callbacks=[watch]).history
    assert train.strategy.epoch_draws() < N
    np.testing.assert_allclose(history[KEY], [of_draws(watch, e) for e in range(3)], rtol=1e-5)
    assert np.mean(history[KEY]) == pytest.approx(ratio(Y, P), rel=0.02)


def test_a_model_that_is_always_right():
    model = Untrained(lambda x: tf.cast(tf.cast(28 * x - 0.5, tf.int32) // DIGITS % 2, tf.float32))
    model.compile(loss="mse")
    for name in ("uniform", "online_batch"):
        train = tfml.adaptive_dataset((X, Y), name, 4, seed=1)
        assert run(model, train).history[KEY] == [1.0] * 3


DIGITS = 2 ** np.arange(5)


@pytest.mark.parametrize("strategy", [Spy, tfml.strategies.Uniform])
def test_predictions_that_are_not_finite_are_left_out(strategy):
    model = Untrained(lambda x: tf.where(x > 0.8, np.nan, x) * KERNEL)
    model.compile(loss="mse")
    train = tfml.adaptive_dataset((X, Y), strategy(), 4, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that they are not finite
        history = run(model, train, epochs=1).history
    kept = X[:, 0] <= 0.8
    expected = ratio(Y[kept], P[kept])
    if strategy is Spy:  # whose p_i is as i + 1
        plan = train.strategy.plans[0]
        plan = plan[kept[plan]]
        expected = ratio(Y[plan], P[plan], 1 / (1.0 + plan))
    np.testing.assert_allclose(history[KEY], [expected], rtol=1e-5)


def test_a_model_that_learns_is_measured_step_by_step():
    """Each prediction is of the model of its step, as a replay in NumPy has it."""
    train = tfml.adaptive_dataset((X, Y), "uniform", 4, seed=1)
    watch = Watch(train)
    history = run(linear(rate=0.5), train, epochs=1, callbacks=[watch]).history
    kernel, rows = np.array(KERNEL, float), []
    for start in range(0, N, 4):
        ids = watch.plans[0][start : start + 4]
        p = X[ids] * kernel
        rows.append(p)
        kernel = kernel - 0.5 * (X[ids].T @ (p - Y[ids])) * 2 / p.size
    expected = ratio(Y[watch.plans[0]], np.concatenate(rows))
    np.testing.assert_allclose(history[KEY], [expected], rtol=1e-5)
    assert abs(expected - ratio(Y, P)) > 0.005


# Whatever works without the figure goes on working.


class Steps(tf.keras.Model):
    """A model whose step hands over what `given(y, p)` makes of labels and outputs."""

    def __init__(self, given):
        super().__init__()
        self.given = given
        self.head = tf.keras.layers.Dense(5, "sigmoid", kernel_initializer="zeros")

    def call(self, x):
        return self.head(x)

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            p = self(x)
            loss = tf.reduce_mean((p - y) ** 2)
        self.compute_loss(x, *self.given(y, p))
        variables = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return {"error": loss}

    def compute_loss(self, x=None, y=None, y_pred=None, *others, **more):
        return tf.constant(0.0)


HANDED_OVER = {
    "logits": (lambda y, p: (y, 9.0 * p - 8.0), "unknown"),
    "more predictions than labels": (lambda y, p: (y, tf.concat([p, p], 0)), "unknown"),
    "more labels than predictions": (lambda y, p: (tf.concat([y, y], 0), p), "unknown"),
    "twice the rows": (lambda y, p: (tf.concat([y, y], 0), tf.concat([p, p], 0)), "unknown"),
    "half the rows": (lambda y, p: (y[::2], p[::2]), "unknown"),
    "another width": (lambda y, p: (y, p[:, :3]), "nothing"),
    "three dimensions": (lambda y, p: (y, p[:, None]), "nothing"),
    "two outputs": (lambda y, p: (y, {"a": p, "b": p}), "nothing"),
    "other labels": (lambda y, p: (y[:, :2], p), "nothing"),
    "text": (lambda y, p: (y, tf.strings.as_string(p)), "nothing"),
    "nothing at all": (lambda y, p: (None, None), "nothing"),
}


@pytest.mark.parametrize(
    "compiled",
    [
        {"run_eagerly": True},
        {"jit_compile": False},
        pytest.param({"jit_compile": True}, marks=FULL),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", HANDED_OVER)
def test_a_step_of_ones_own_trains_as_it_did(kind, compiled):
    given, figure = HANDED_OVER[kind]
    if compiled.get("jit_compile") and kind == "text":
        pytest.skip("XLA has no strings")
    train = tfml.adaptive_dataset((X, Y), "uniform", 4, seed=1)
    model = Steps(given)
    model.compile(tf.keras.optimizers.SGD(0.5), **compiled)
    history = run(model, train).history
    assert history["selection/unique_samples"] == [1.0] * 3
    assert np.abs(model.get_weights()[0]).min() > 0  # it learnt
    if figure == "nothing":
        assert KEY not in history
    else:
        assert np.isnan(history[KEY]).all()
        assert len(history[KEY]) == 3


def test_a_step_that_hands_over_nothing():
    class Silent(Untrained):
        def train_step(self, data):
            return {"loss": tf.reduce_mean(self(data[0]))}

    model = Silent(lambda x: x * KERNEL)
    model.compile()
    train = tfml.adaptive_dataset((X, Y), "uniform", 4, seed=1)
    history = run(model, train).history
    assert "selection/entropy" in history
    assert KEY not in history


def test_labels_that_a_map_makes_into_others():
    def widen(x, y):
        return x, tf.concat([y, y], axis=1)

    model = tf.keras.Sequential([tf.keras.Input((1,)), tf.keras.layers.Dense(5, "sigmoid")])
    model.compile(tf.keras.optimizers.SGD(0.0), lambda y, p: tf.reduce_mean((y[:, :5] - p) ** 2))
    train = tfml.adaptive_dataset((X, Y), "uniform", 4, seed=1).map(widen)
    assert KEY not in run(model, train).history
    recorded = tfml.adaptive_dataset((X, Y), Spy(), 4, seed=1).map(widen)
    history = run(model, recorded, check_order=False).history
    assert len(recorded.strategy.ids) == 3 * N
    assert np.isnan(history[KEY]).all()


class HalfOfTheLabels(tf.keras.Model):
    """Takes two sets of labels, one below the other, and trains on their mean, as mixup does."""

    def __init__(self):
        super().__init__()
        self.dense = tf.keras.layers.Dense(Y.shape[1], activation="sigmoid")

    def call(self, x):
        return self.dense(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):
        first, second = tf.split(y, 2)
        return tf.reduce_mean(tf.square((first + second) / 2.0 - y_pred))


@pytest.mark.parametrize("strategy", ["uniform", "online_batch", "adaptive_balance"])
def test_two_sets_of_labels_in_a_batch_train_as_they_did(strategy):
    def stack(x, y):
        return x, tf.concat([y, tf.reverse(y, [0])], axis=0)

    train = tfml.adaptive_dataset((X, Y), strategy, 4, seed=1).map(stack)
    model = HalfOfTheLabels()
    model.compile("sgd")
    model(X)
    before = model.get_weights()[0]
    callback = tfml.AdaptiveBatchSelection(
        train, verbose_logs=True, check_order=False, from_logits=False
    )
    history = model.fit(train, epochs=2, verbose=0, shuffle=False, callbacks=[callback]).history
    assert np.abs(model.get_weights()[0] - before).max() > 0
    assert np.isnan(history["selection/variance_ratio"]).all()


def test_two_outputs_of_which_none_is_named():
    inputs = tf.keras.Input((1,))
    model = tf.keras.Model(inputs, [tf.keras.layers.Dense(5)(inputs) for _ in range(2)])
    model.compile("sgd", loss=None)
    step = tf.keras.losses.MeanSquaredError()

    class Own(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = model

        def call(self, x):
            return self.inner(x)

        def compute_loss(self, x=None, y=None, y_pred=None, *others, **more):
            return step(y, y_pred[0]) + step(y, y_pred[1])

    own = Own()
    own.compile("sgd")
    train = tfml.adaptive_dataset((X, Y), "uniform", 4, seed=1)
    history = run(own, train).history
    assert history["selection/unique_samples"] == [1.0] * 3
    assert KEY not in history


def test_an_epoch_that_ends_early_has_none():
    class Stop(tf.keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 2

    for strategy in (Spy(), tfml.strategies.Uniform()):
        train = tfml.adaptive_dataset((X, Y), strategy, 4, seed=1)
        history = run(linear(), train, callbacks=[Stop()]).history
        np.testing.assert_array_equal(history[KEY], [np.nan])


def test_callbacks_that_watch_the_logs_get_a_number():
    seen = []
    note = tf.keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(logs[KEY])
    )
    train = tfml.adaptive_dataset((X, Y), "uniform", 4, seed=1)
    run(linear(), train, callbacks=[note])
    assert [type(value) for value in seen] == [float] * 3
