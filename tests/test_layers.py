"""Feature weakening: what is mixed with what, and that only training sees any of it."""

import json

import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal

import tests.support.oracles.feature_weakening as oracle
import tests.support.oracles.loss_tables as table
import tfmlselect as tfml
from tests.support.recorded_fits import Spy
from tfmlselect.callbacks import LabelsForLayers, TrainingProgress
from tfmlselect.layers import FeatureWeakening, training_step

KERAS_3 = hasattr(tf.keras, "version")
B, D = 12, 4
RATE = 0.5
KERNEL = np.random.default_rng(1).normal(size=(D, 3)).astype(np.float32)
IDS = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2])
ONEHOT = np.eye(3)[IDS]
MULTILABEL = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1]] * 2)
FORMS = {
    "ids": (IDS, ONEHOT),
    "ids in a column": (IDS[:, None], ONEHOT),
    "float ids": (IDS.astype(np.float32), ONEHOT),
    "one-hot": (ONEHOT, ONEHOT),
    "multi-label": (MULTILABEL, MULTILABEL),
}


def data(shape=(D,), seed=0):
    return np.random.default_rng(seed).normal(size=(B, *shape)).astype(np.float32)


def step(layer, features, labels):
    """What the layer gives in a training step."""
    with training_step(tf.constant(labels)):
        return layer(tf.constant(features), training=True)


def partners(layer, b=B):
    """The partner of each of b samples in the layer's next step, of the most frequent class."""
    ids = np.full(b, np.argmax(layer.class_counts))
    mixed = step(layer, np.eye(b, dtype=np.float32), ids).numpy()
    others = mixed * (1 - np.eye(b))
    return np.where(others.any(axis=1), others.argmax(axis=1), np.arange(b))


def expected(features, y, partner, mode="absolute"):
    """The oracle's weakened features, of labels y (b, q)."""
    sizes = oracle.sample_sizes(y, table.SIZES)
    if mode == "relative":
        return oracle.weaken(features, partner, oracle.relative_strength(sizes, sizes[partner]))
    return oracle.weaken(features, partner, oracle.strength(sizes, min(table.SIZES)))


# What is mixed.


@pytest.mark.parametrize(
    ("mode", "partner", "y", "weakened"),
    [
        ("absolute", table.PARTNERS, table.Y_ONEHOT, table.WEAKENED),
        ("relative", table.PARTNERS_RELATIVE, table.Y_ONEHOT, table.WEAKENED_RELATIVE),
    ],
)
def test_by_hand(mode, partner, y, weakened, monkeypatch):
    layer = FeatureWeakening(table.SIZES, 0.5, mode=mode)
    monkeypatch.setattr(layer, "_permutation", lambda size: tf.constant(partner))
    mixed = step(layer, table.FEATURES.astype(np.float32), y)
    assert_allclose(mixed, weakened, rtol=1e-6, atol=1e-6)


def test_strength_with_many_labels_by_hand(monkeypatch):
    layer = FeatureWeakening(table.SIZES, 0.5)
    monkeypatch.setattr(layer, "_permutation", lambda size: tf.constant(table.PARTNERS))
    mixed = step(layer, np.eye(4, dtype=np.float32), table.Y_MULTILABEL).numpy()
    assert_allclose(mixed[range(4), table.PARTNERS], table.STRENGTH_MULTILABEL, rtol=1e-6)
    assert_allclose(np.diag(mixed), 1 - table.STRENGTH_MULTILABEL, rtol=1e-6)


@pytest.mark.parametrize("mode", ["absolute", "relative"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", [(D,), (5, 3, 2)], ids=["vectors", "images"])
def test_as_the_oracle(mode, form, shape):
    labels, y = FORMS[form]
    features = data(shape)
    mixed = step(FeatureWeakening(table.SIZES, 0.5, mode=mode, seed=3), features, labels)
    partner = partners(FeatureWeakening(table.SIZES, 0.5, seed=3))
    assert_allclose(mixed, expected(features, y, partner, mode), rtol=1e-5, atol=1e-6)
    rare = y[:, 2] == 1
    assert_array_equal(mixed.numpy()[rare], features[rare])  # the rarest class: bit for bit
    assert not np.allclose(mixed.numpy()[~rare], features[~rare])


def test_strength_and_exponent_are_the_formulas():
    layer = FeatureWeakening([100, 10], strength=0.2, exponent=2.0)
    mixed = step(layer, np.eye(B, dtype=np.float32), np.zeros(B, int)).numpy()
    partner = partners(FeatureWeakening([100, 10], 0.5))
    strength = oracle.strength([100] * B, 10, 0.2, 2.0)
    assert_allclose(mixed, oracle.weaken(np.eye(B), partner, strength), rtol=1e-6)


@pytest.mark.parametrize("mode", ["absolute", "relative"])
@pytest.mark.parametrize("labels", [[0, 0, 1, 2], np.eye(3)[[0, 0, 1, 2]]])
def test_a_class_that_was_not_counted_is_as_rare_as_the_rarest(mode, labels, monkeypatch):
    layer = FeatureWeakening([4, 0, 1], 0.5, mode=mode)
    monkeypatch.setattr(layer, "_permutation", lambda size: tf.constant([2, 3, 0, 1]))
    mixed = step(layer, np.eye(4, dtype=np.float32), labels).numpy()
    assert_array_equal(mixed[2:], np.eye(4)[2:])
    strength = {"absolute": 1 / 4, "relative": 1 / 6}[mode]  # roots 2 and 1: 2 * 2/3 - 1 = 1/3
    assert_allclose(mixed[:2], np.eye(4)[:2] * (1 - strength) + np.eye(4)[2:] * strength, rtol=1e-6)


def test_half_precision_stays_half_precision():
    layer = FeatureWeakening(table.SIZES, 0.5, dtype="mixed_float16")
    features = data().astype(np.float16)
    mixed = step(layer, features, IDS)
    assert mixed.dtype == tf.float16
    partner = partners(FeatureWeakening(table.SIZES, 0.5))
    assert_allclose(mixed, expected(features, ONEHOT, partner), rtol=1e-2, atol=1e-2)


# Gradients.


def test_partners_get_no_gradient_and_own_features_the_rest():
    layer = FeatureWeakening(table.SIZES, 0.5, seed=3)
    features = tf.Variable(data())
    with training_step(tf.constant(IDS)), tf.GradientTape() as tape:
        logits = layer(features, training=True) @ KERNEL
        loss = tf.reduce_sum(tf.nn.softmax_cross_entropy_with_logits(ONEHOT, logits))
    mixed = expected(data(), ONEHOT, partners(FeatureWeakening(table.SIZES, 0.5, seed=3)))
    own = 1 - oracle.strength(oracle.sample_sizes(ONEHOT, table.SIZES), 1)
    gradient = oracle.softmax_feature_gradient(mixed @ KERNEL, ONEHOT, KERNEL)
    got = tape.gradient(loss, features)
    assert_allclose(got, own[:, None] * gradient, rtol=1e-4, atol=1e-6)


# The permutation.


def test_permutations_change_from_step_to_step_and_follow_the_seed():
    layer, twin, other = (FeatureWeakening([4, 1], 0.5, seed=seed) for seed in (7, 7, 8))
    drawn, again, others = ([partners(each) for _ in range(5)] for each in (layer, twin, other))
    for partner in drawn:
        assert_array_equal(np.sort(partner), np.arange(B))
    assert len({tuple(partner) for partner in drawn}) == 5
    assert_array_equal(drawn, again)
    assert not np.array_equal(drawn, others)


def test_all_permutations_are_equally_likely():
    layer = FeatureWeakening([4, 1], 0.5)
    layer.build([None, 1])
    draw = tf.function(lambda: layer._permutation(tf.constant(3)))
    drawn = np.array([draw().numpy() for _ in range(1200)])
    counts = np.bincount(drawn @ [9, 3, 1], minlength=27)
    assert_allclose(counts[counts > 0], [200] * 6, atol=5 * np.sqrt(200))


# In training.


def head(**options):
    """A softmax head of known weights behind the layer, which sees x itself."""
    start = tf.keras.initializers.Constant(KERNEL)
    model = tf.keras.Sequential(
        [
            tf.keras.layers.Input([D]),
            FeatureWeakening(table.SIZES, 0.5, seed=3),
            tf.keras.layers.Dense(3, "softmax", use_bias=False, kernel_initializer=start),
        ]
    )
    loss = "sparse_categorical_crossentropy"
    model.compile(tf.keras.optimizers.SGD(RATE), loss, **options)
    return model


def check_kernel(model, order=None, steps=2):
    """That of steps on the weakened features of the whole set, by the oracle."""
    order = np.arange(B) if order is None else order
    x, y = data()[order], ONEHOT[order]
    twin = FeatureWeakening(table.SIZES, 0.5, seed=3)
    kernel = KERNEL.astype(np.float64)
    for _ in range(steps):
        mixed = expected(x, y, partners(twin))
        kernel = kernel - RATE * mixed.T @ (oracle.softmax(mixed @ kernel) - y) / B
    assert_allclose(model.layers[-1].get_weights()[0], kernel, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [{}, {"run_eagerly": True}, pytest.param({"jit_compile": True}, marks=pytest.mark.full)],
    ids=str,
)
def test_fit_trains_on_weakened_features(options):
    model = head(**options)
    arrays = (data(), IDS)
    fit = {"batch_size": B, "shuffle": False, "epochs": 2, "verbose": 0}
    model.fit(*arrays, **fit, validation_data=arrays, callbacks=[LabelsForLayers()])
    check_kernel(model)


def test_any_of_the_packages_callbacks_does():
    model = head()
    fit = {"batch_size": B, "shuffle": False, "epochs": 2, "verbose": 0}
    model.fit(data(), IDS, **fit, callbacks=[TrainingProgress(table.SIZES)])
    check_kernel(model)


def test_adaptive_batch_selection_alone_does():
    model, spy = head(), Spy()
    train = tfml.adaptive_dataset((data(), IDS), spy, B, seed=1)
    model.fit(train, epochs=1, verbose=0, callbacks=[tfml.AdaptiveBatchSelection(train)])
    check_kernel(model, spy.plans[0], steps=1)


@pytest.mark.parametrize("compiled", [True, False])
def test_a_loop_of_ones_own(compiled):
    model = head()

    def train_step(x, y):
        with training_step(y), tf.GradientTape() as tape:
            loss = tf.keras.losses.sparse_categorical_crossentropy(y, model(x, training=True))
            loss = tf.reduce_mean(loss)
        (gradient,) = tape.gradient(loss, model.trainable_variables)
        model.layers[-1].kernel.assign_sub(RATE * gradient)

    train_step = tf.function(train_step) if compiled else train_step
    for _ in range(2):
        train_step(tf.constant(data()), tf.constant(IDS))
    check_kernel(model)


@pytest.mark.parametrize("before", [True, False], ids=["after a fit with labels", "at once"])
def test_training_without_labels_is_an_error_with_the_way_out(before):
    model = head()
    if before:
        model.fit(data(), IDS, verbose=0, callbacks=[LabelsForLayers()])
    with pytest.raises(RuntimeError, match=r"no labels.*LabelsForLayers.*training_step\(y\)"):
        model.fit(data(), IDS, verbose=0)


def test_several_outputs_need_a_word_which_labels_are_meant():
    class Picks(tf.keras.Model):
        def train_step(self, data):
            with training_step(data[1]["a"]):
                return super().train_step(data)

    def compiled(kind):
        x = tf.keras.Input([D])
        features = FeatureWeakening(table.SIZES, 0.5)(x)
        outputs = {name: tf.keras.layers.Dense(3, name=name)(features) for name in "ab"}
        model = kind(x, outputs)
        model.compile("sgd", {"a": "mse", "b": "mse"})
        return model

    y = {"a": ONEHOT, "b": ONEHOT}
    with pytest.raises(ValueError, match=r"one output.*Received: 2 arrays.*training_step\(y\["):
        compiled(tf.keras.Model).fit(data(), y, verbose=0, callbacks=[LabelsForLayers()])
    history = compiled(Picks).fit(data(), y, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_labels_of_another_width():
    with pytest.raises(ValueError, match=r"class_counts, 3 of them.*Received: .*\(12, 5\)"):
        step(FeatureWeakening(table.SIZES, 0.5), data(), np.zeros([B, 5]))


def test_labels_that_are_no_numbers():
    with pytest.raises(ValueError, match=r"Received: labels of dtype string\. Pass the labels"):
        step(FeatureWeakening(table.SIZES, 0.5), data(), ["a"] * B)


# Out of training, and saved.


@pytest.fixture(scope="module")
def trained():
    """A small ConvNet after two steps, and its twin without the layer."""
    x, layers = tf.keras.Input([6, 6, 1]), tf.keras.layers
    convolution, head = layers.Conv2D(3, 3, activation="relu"), layers.Dense(3, "softmax")
    features = convolution(x)
    weakened = FeatureWeakening(table.SIZES, 0.5)(features)
    model = tf.keras.Model(x, head(layers.Flatten()(weakened)))
    model.compile("adam", "sparse_categorical_crossentropy")
    fit = {"batch_size": B // 2, "verbose": 0, "callbacks": [LabelsForLayers()]}
    model.fit(data([6, 6, 1]), IDS, **fit)
    return model, tf.keras.Model(x, head(layers.Flatten()(features)))


def test_inference_is_that_of_the_model_without_the_layer(trained):
    model, plain = trained
    x = data([6, 6, 1])
    assert_array_equal(model.predict(x, verbose=0), plain.predict(x, verbose=0))
    for options in ({}, {"training": False}):
        assert_array_equal(model(x, **options), plain(x, **options))
    with training_step(tf.constant(IDS)):  # as where a step predicts for itself
        assert_array_equal(model(x, training=False), plain(x, training=False))


def test_export_needs_no_labels(trained, tmp_path):
    model, _ = trained
    model.export(tmp_path, **{"verbose": False} if KERAS_3 else {})
    x = data([6, 6, 1])
    exported = tf.saved_model.load(str(tmp_path))
    assert_array_equal(exported.serve(x), model.predict(x, verbose=0))


def test_a_saved_model_predicts_the_same_and_trains_on(trained, tmp_path):
    model, _ = trained
    model.save(tmp_path / "model.keras")
    loaded = tf.keras.models.load_model(tmp_path / "model.keras")
    x = data([6, 6, 1])
    assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    loaded.fit(x, IDS, verbose=0, callbacks=[LabelsForLayers()])
    (layer,) = (layer for layer in loaded.layers if isinstance(layer, FeatureWeakening))
    assert layer.get_weights() == [3]  # permutations drawn: goes on after those before


@pytest.mark.parametrize(
    "training",
    [
        None,
        False,
        pytest.param(
            True,
            marks=pytest.mark.skipif(not KERAS_3, reason="Keras 2 calls the layer, for real"),
        ),
    ],
)
def test_a_functional_model_is_built_without_labels(training):
    x = tf.keras.Input([6, 6, 2], dtype="float32")
    features = FeatureWeakening(table.SIZES, 0.5)(x, training=training)
    assert tuple(features.shape) == (None, 6, 6, 2)
    assert features.dtype == "float32"


def test_config_round_trip():
    arguments = {"class_counts": [9, 1], "strength": 0.25, "exponent": 2, "mode": "relative"}
    layer = FeatureWeakening(**arguments, seed=5, name="weak")
    config = json.loads(json.dumps(tf.keras.layers.serialize(layer)))
    twin = tf.keras.layers.deserialize(config)
    assert isinstance(twin, FeatureWeakening)
    assert twin.get_config() == layer.get_config()
    assert {**arguments, "seed": 5, "name": "weak"}.items() <= twin.get_config().items()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("class_counts", 3),
        ("class_counts", [5]),
        ("class_counts", [0, 0]),
        ("class_counts", [3, -1]),
        ("class_counts", [3, np.nan]),
        ("class_counts", [3, np.inf]),
        ("class_counts", [[3, 1]]),
        ("strength", -0.1),
        ("strength", 0.6),
        ("strength", np.nan),
        ("exponent", 0),
        ("exponent", np.inf),
        ("mode", "both"),
        ("class_counts", ["3", "1"]),
        ("class_counts", [True, False]),
        ("strength", "0.1"),
        ("strength", None),
        ("exponent", True),
        ("seed", -1),
        ("seed", 0.5),
    ],
)
def test_arguments_out_of_range(name, value):
    with pytest.raises(ValueError, match=rf"`{name}`.*Received: {name}=.*Pass"):
        FeatureWeakening(**{"class_counts": [3, 1], name: value})
