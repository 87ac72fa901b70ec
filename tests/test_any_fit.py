"""What people do in `fit`: several outputs averaged, and weights that Keras makes of classes."""

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml

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
    with pytest.raises(ValueError, match=r"`class_weight` is for one class.* Received: .*into the"):
        fit(Y, Q, "binary_crossentropy", "sigmoid", **weights)


def test_class_weight_with_class_ids():
    ids = np.arange(N) % Q
    plain = fit(ids, Q, "sparse_categorical_crossentropy", "softmax").history["loss"]
    weights = {"class_weight": {0: 2.0, 1: 2.0, 2: 2.0}}
    doubled = fit(ids, Q, "sparse_categorical_crossentropy", "softmax", **weights).history["loss"]
    assert doubled[0] == pytest.approx(2 * plain[0], rel=0.1)
