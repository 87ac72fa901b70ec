"""What people do in `fit`: models, inputs, settings and other callbacks, one test a row.

The rows are those of docs/any_fit.md; others are tested where their part of the package is.
"""

import inspect

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml
from tests.support.recorded_fits import KERNEL, Spy, Untrained, check_rows, linear, numbered, run

KERAS_3 = hasattr(tf.keras, "version")
N, Q = 36, 3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 4)).astype("float32")
Y = (X[:, :Q] > [0.0, 0.5, 1.0]).astype("float32")


def dense(q, name, seed, activation="sigmoid"):
    start = tf.keras.initializers.RandomUniform(-1, 1, seed=seed)
    return tf.keras.layers.Dense(q, activation, kernel_initializer=start, name=name)


def test_two_outputs_of_one_label_space_are_averaged_when_asked():
    inputs = tf.keras.Input((4,))
    outputs = {name: dense(Q, name, seed)(inputs) for seed, name in enumerate("ab")}
    model = tf.keras.Model(inputs, outputs)
    model.compile(tf.keras.optimizers.SGD(0.0), {"a": "binary_crossentropy", "b": "mse"})
    strategy = tfml.strategies.Uncertainty(warmup=1)
    train = tfml.adaptive_dataset((X, Y), strategy=strategy, batch_size=9, seed=0)
    twice = train.map(lambda x, y: (x, {"a": y, "b": y}))
    callback = tfml.AdaptiveBatchSelection(train, output=["a", "b"])
    model.fit(twice, epochs=2, verbose=0, callbacks=[callback])
    p = model.predict(X, verbose=0)
    expected = (p["a"] + p["b"]) / 2
    np.testing.assert_allclose(strategy.state["prediction"], expected, rtol=1e-5)
    assert np.abs(p["a"] - p["b"]).max() > 0.1


def fit(y, q, loss, activation, **options):
    train = tfml.adaptive_dataset((X, y), strategy="uniform", batch_size=9, seed=0)
    model = tf.keras.Sequential([tf.keras.Input((4,)), dense(q, "head", 0, activation)])
    model.compile("sgd", loss)
    callbacks = [tfml.AdaptiveBatchSelection(train)]
    return model.fit(train, epochs=1, verbose=0, callbacks=callbacks, **options)


def test_class_weight_with_several_labels_a_sample():
    weights = {"class_weight": {0: 1.0, 1: 2.0, 2: 5.0}}
    with pytest.raises(
        ValueError, match=r"`class_weight` is for one class.* Received: .*PositiveWeights"
    ):
        fit(Y, Q, "binary_crossentropy", "sigmoid", **weights)


def test_class_weight_with_class_ids():
    ids = np.arange(N) % Q
    plain = fit(ids, Q, "sparse_categorical_crossentropy", "softmax").history["loss"]
    weights = {"class_weight": {0: 2.0, 1: 2.0, 2: 2.0}}
    doubled = fit(ids, Q, "sparse_categorical_crossentropy", "softmax", **weights).history["loss"]
    assert doubled[0] == pytest.approx(2 * plain[0], rel=0.1)


# Models.


def check_all_rows(spy, expected):
    """Every visit is observed with that sample's prediction; the model learns nothing."""
    assert sorted(spy.ids) == sorted(spy.planned(0, 1, 2))
    np.testing.assert_allclose(np.stack(spy.rows), expected[spy.ids], rtol=1e-5)


def test_several_inputs_in_a_tuple():
    x, y = numbered(27)
    inputs = [tf.keras.layers.Input([1]) for _ in range(2)]
    start = tf.keras.initializers.Constant(KERNEL)
    head = tf.keras.layers.Dense(5, None, False, start)(tf.keras.layers.Average()(inputs))
    model = tf.keras.Model(inputs, head)
    model.compile(tf.keras.optimizers.SGD(0.0), "mse")
    train = tfml.adaptive_dataset(((x, 0.5 * x), y), Spy(), 4, seed=1)
    run(model, train)
    check_all_rows(train.strategy, 0.75 * x * KERNEL)


def test_strings_with_the_vectorizer_in_the_model():
    _, y = numbered(27)
    x = np.array([" ".join(f"w{digit}" for digit in np.flatnonzero(row)) for row in y])
    words = tf.keras.layers.TextVectorization(output_mode="multi_hot")
    words.adapt(x)
    inputs = tf.keras.Input((), dtype="string")
    model = tf.keras.Model(inputs, dense(5, "head", 0)(words(inputs)))
    model.compile(tf.keras.optimizers.SGD(0.0), "binary_crossentropy")
    train = tfml.adaptive_dataset((x, y), Spy(), 4, seed=1)
    run(model, train)
    check_all_rows(train.strategy, model.predict(tf.constant(x), verbose=0))


class Bags(tf.keras.Model):
    """Takes ragged rows of numbers from 1 to 4."""

    def __init__(self):
        super().__init__()
        self.lookup = tf.keras.layers.IntegerLookup(
            vocabulary=[1, 2, 3, 4], output_mode="multi_hot"
        )
        self.head = dense(5, "head", 0)

    def call(self, x):
        return self.head(self.lookup(x.to_tensor(shape=[None, 3])))


def test_ragged_rows_with_a_preprocessing_layer_in_the_model():
    x = tf.ragged.constant([[k % 5, k % 4, k % 3][: k % 3 + 1] for k in range(27)])
    train = tfml.adaptive_dataset((x, numbered(27)[1]), Spy(), 4, seed=1)
    model = Bags()
    model.compile(tf.keras.optimizers.SGD(0.0), "binary_crossentropy", jit_compile=False)
    run(model, train)
    check_all_rows(train.strategy, model(x).numpy())


def test_ragged_rows_are_not_for_xla():
    x = tf.ragged.constant([[k % 5] * (k % 3 + 1) for k in range(27)])
    train = tfml.adaptive_dataset((x, numbered(27)[1]), Spy(), 4, seed=1)
    model = Untrained(lambda x: tf.reduce_mean(tf.one_hot(x.to_tensor(), 5), axis=1))
    model.compile(loss="mse", jit_compile=True)
    with pytest.raises(tf.errors.InvalidArgumentError, match="unsupported operation"):
        run(model, train)
    model.compile(loss="mse", jit_compile=False)
    run(model, train, epochs=1)
    assert len(train.strategy.ids) == 27


def test_averaged_outputs_must_have_the_same_labels():
    inputs = tf.keras.Input((4,))
    model = tf.keras.Model(inputs, [dense(Q, name, 0)(inputs) for name in "ab"])
    model.compile("sgd", ["mse", "mse"])
    train = tfml.adaptive_dataset((X, Y), Spy(), 9, seed=0)
    other = train.map(lambda x, y: (x, (y, 1.0 - y)))
    with pytest.raises(RuntimeError, match=r"Received: 9 of 9 rows with other labels"):
        model.fit(other, verbose=0, callbacks=[tfml.AdaptiveBatchSelection(train, output=[0, 1])])


def test_an_average_of_no_output():
    train = tfml.adaptive_dataset((X, Y), "d2ace", 9)
    with pytest.raises(ValueError, match=r"`output`.*Received: output=\[\]"):
        tfml.AdaptiveBatchSelection(train, output=[])


# Settings.


ACCUMULATES = "gradient_accumulation_steps" in inspect.signature(tf.keras.optimizers.SGD).parameters


@pytest.mark.skipif(not ACCUMULATES, reason="Keras 3 alone accumulates gradients")
def test_gradient_accumulation():
    x, y = numbered(24)
    models = linear(), linear()
    for model in models:
        model.compile(tf.keras.optimizers.SGD(0.5, gradient_accumulation_steps=3), "mse")
    train = tfml.adaptive_dataset((x, y), Spy(), 4, seed=1)
    run(models[0], train, epochs=2)
    for ids in np.split(train.strategy.planned(0, 1), 12):
        models[1].train_on_batch(x[ids], y[ids])
    weights = [model.get_weights()[0] for model in models]
    np.testing.assert_allclose(*weights, rtol=1e-5)
    assert len(train.strategy.ids) == 48
    assert np.ptp(weights[0] - KERNEL) > 0


@pytest.mark.parametrize("options", [{"run_eagerly": True}, {"steps_per_execution": 2}], ids=str)
@pytest.mark.parametrize("scores", ["record", "predict"])
def test_class_weight_is_seen_in_every_way_of_training(scores, options):
    train = tfml.adaptive_dataset((X, Y), Spy(), 9, seed=0)
    model = tf.keras.Sequential([tf.keras.Input((4,)), dense(Q, "head", 0)])
    model.compile("sgd", "binary_crossentropy", **options)
    callbacks = [tfml.AdaptiveBatchSelection(train, scores=scores)]
    with pytest.raises(ValueError, match="`class_weight` is for one class"):
        model.fit(train, verbose=0, callbacks=callbacks, class_weight={0: 1.0, 1: 2.0, 2: 5.0})


def test_class_weight_with_one_hot_rows():
    y = np.eye(Q)[np.arange(N) % Q]
    plain = fit(y, Q, "categorical_crossentropy", "softmax").history["loss"]
    weights = {"class_weight": dict.fromkeys(range(Q), 2.0)}
    doubled = fit(y, Q, "categorical_crossentropy", "softmax", **weights).history["loss"]
    assert doubled[0] == pytest.approx(2 * plain[0], rel=0.1)


def test_sample_weights_weigh_the_loss_and_not_the_record():
    x, y = numbered(28)
    w = np.arange(1.0, 29)
    train = tfml.adaptive_dataset((x, y), Spy(), 4, seed=1, sample_weight=w)
    history = run(linear(), train).history
    losses = w * np.mean((x * KERNEL - y) ** 2, axis=1)
    steps = losses[train.strategy.planned(0, 1, 2)].reshape(3, 7, 4).mean(axis=2)
    np.testing.assert_allclose(history["loss"], steps.mean(axis=1), rtol=1e-5)
    check_rows(train.strategy, x)


def test_class_weight_beside_sample_weight():
    x, ids = numbered(28)[0], np.arange(28) % 5
    losses = []
    for given in ({}, {"class_weight": dict.fromkeys(range(5), 2.0)}):
        model = tf.keras.Sequential([tf.keras.Input((1,)), dense(5, "head", 0, "softmax")])
        model.compile(tf.keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
        train = tfml.adaptive_dataset((x, ids), Spy(), 4, seed=1, sample_weight=np.arange(1.0, 29))
        if given and KERAS_3:
            with pytest.raises(ValueError, match=r"`class_weight` and `sample_weight`"):
                run(model, train, fit=given)
            return
        losses.append(run(model, train, fit=given).history["loss"])
    np.testing.assert_allclose(losses[1], 2 * np.array(losses[0]), rtol=1e-5)


@pytest.mark.parametrize("batch_size", [5, 4])  # as many as labels, or fewer
@pytest.mark.parametrize("n", [40, 39])
@pytest.mark.parametrize(
    "weigh",
    [
        lambda x, y: tf.range(1.0, 6.0),
        lambda x, y: tf.numpy_function(lambda: np.arange(5, dtype="f"), [], tf.float32),
        lambda x, y: y + 1.0,
    ],
    ids=["(q,)", "unknown", "(b, q)"],
)
def test_a_map_that_adds_weights_of_labels(weigh, n, batch_size):
    train = tfml.adaptive_dataset(numbered(n), "uniform", batch_size, seed=1)
    weighted = train.map(lambda x, y: (x, y, weigh(x, y)))
    with pytest.raises(Exception) as error:  # noqa: PT011
        run(linear(), weighted, epochs=1)
    own = "`sample_weight` must be one number a sample, (b,). Received: "
    if weighted.element_spec[2].shape.rank or batch_size == 5:
        assert own in str(error.value)


@pytest.mark.parametrize(
    "weigh",
    [lambda x: x[:, 0], lambda x: x, lambda x: tf.ones_like(x[:, 0]), lambda x: tf.constant(2.0)],
    ids=["(b,)", "(b, 1)", "ones", "one number"],
)
@pytest.mark.parametrize("batch_size", [5, 4])
def test_a_map_that_adds_weights_of_samples(weigh, batch_size):
    train = tfml.adaptive_dataset(numbered(40), "uniform", batch_size, seed=1)
    run(linear(), train.map(lambda x, y: (x, y, weigh(x))), epochs=1)


@pytest.mark.parametrize(
    "loss", [tfml.losses.AsymmetricLoss(), tf.keras.backend.binary_crossentropy]
)
def test_a_map_that_adds_weights_of_labels_for_a_loss_of_entries(loss):
    train = tfml.adaptive_dataset((X, Y), "uniform", 9, seed=1)
    model = tf.keras.Sequential([tf.keras.Input((4,)), dense(Q, "head", 0)])
    model.compile("sgd", loss)
    run(model, train.map(lambda x, y: (x, y, y + 1.0)), epochs=1)


def test_weights_that_a_map_adds():
    train = tfml.adaptive_dataset(numbered(27), Spy(), 4, seed=1)
    weighted = train.map(lambda x, y: (x, y, x[:, 0]))
    run(linear(), weighted, epochs=1)
    assert len(train.strategy.ids) == 27
    with pytest.raises(ValueError, match=r"If a `.map` adds the weights, pass the callback"):
        linear().fit(weighted, verbose=0, callbacks=[tfml.AdaptiveBatchSelection(train)])


def test_ten_fits_of_one_epoch_are_one_fit_of_ten():
    weights, plans = [], []
    for fits, epochs in ((10, 1), (1, 10)):
        model = tf.keras.Sequential([tf.keras.Input((4,)), dense(Q, "head", 0)])
        model.compile("adam", "binary_crossentropy", run_eagerly=True)
        strategy = tfml.strategies.D2ACE(neighbors=2, epochs=10)
        train = tfml.adaptive_dataset((X, Y), strategy, 9, seed=0)
        for _ in range(fits):
            run(model, train, epochs=epochs)
        weights.append(model.get_weights()[0])
        plans.append(train.probabilities)
    np.testing.assert_array_equal(*weights)
    np.testing.assert_array_equal(*plans)
    assert np.ptp(plans[0]) > 0


def test_keras_refuses_validation_split_and_nothing_is_spoilt():
    train, model = tfml.adaptive_dataset(numbered(27), Spy(), 4, seed=1), linear()
    with pytest.raises(ValueError, match="validation_split"):
        run(model, train, fit={"validation_split": 0.2})
    run(model, train)
    check_rows(train.strategy, numbered(27)[0])


# Beside other callbacks.


def test_other_callbacks_in_any_order(tmp_path):
    after, results = [], []
    for place in range(5):
        train, path = tfml.adaptive_dataset((X, Y), Spy(), 9, seed=0), str(tmp_path / "m.keras")
        model = tf.keras.Sequential([tf.keras.Input((4,)), dense(Q, "head", 0)])
        model.compile(tf.keras.optimizers.SGD(0.5), "binary_crossentropy", run_eagerly=True)
        callbacks = [
            tf.keras.callbacks.EarlyStopping(
                "loss", min_delta=9.0, patience=2, restore_best_weights=True
            ),
            tf.keras.callbacks.ReduceLROnPlateau("loss", min_delta=9.0, patience=1),
            tf.keras.callbacks.ModelCheckpoint(path, "loss"),
            tf.keras.callbacks.TerminateOnNaN(),
        ]
        callbacks.insert(place, tfml.AdaptiveBatchSelection(train))
        note = tf.keras.callbacks.LambdaCallback(
            on_epoch_end=lambda *_, model=model: after.append(model.get_weights()[0])
        )
        after.clear()
        history = model.fit(train, epochs=9, verbose=0, callbacks=[note, *callbacks]).history
        assert train.epoch == len(history["loss"]) == len(history["ess"]) == 3
        np.testing.assert_array_equal(model.get_weights()[0], after[0])  # the best epoch's
        last = tf.keras.models.load_model(path).get_weights()[0]
        results.append(np.concatenate([after[2].ravel(), np.ravel(train.strategy.rows)]))
        # Keras 2 puts the best weights back before the checkpoint is written, Keras 3 after it.
        assert any(np.array_equal(last, after[epoch]) for epoch in (0, 2))
    for each in results[1:]:
        np.testing.assert_array_equal(each, results[0])


@pytest.mark.parametrize("first", [True, False])
def test_terminate_on_nan(first):
    train = tfml.adaptive_dataset(numbered(27), Spy(), 4, seed=1)
    model = Untrained(lambda x: tf.where(x > 0.8, np.nan, x) * KERNEL)
    model.compile(loss="mse")
    callbacks = [tf.keras.callbacks.TerminateOnNaN(), tfml.AdaptiveBatchSelection(train)]
    with pytest.warns(UserWarning, match="not finite"):
        model.fit(train, epochs=9, verbose=0, callbacks=callbacks[:: -1 if first else 1])
    plan = train.strategy.plans[0]
    steps = np.flatnonzero(plan >= 22)[0] // 4 + 1  # (k + 1) / 28 > 0.8
    seen = plan[: 4 * steps]
    assert sorted(train.strategy.ids) == sorted(seen[seen < 22])
    assert train.epoch == 1


@pytest.mark.filterwarnings("ignore:This adaptive dataset is not attached")
def test_a_fit_within_a_fit_on_the_same_dataset():
    train = tfml.adaptive_dataset(numbered(27), Spy(), 4, seed=1)

    class Nested(tf.keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            run(linear(), train, epochs=1)

    with pytest.raises(RuntimeError, match="another fit on the dataset within this one"):
        run(linear(), train, callbacks=[Nested()])
