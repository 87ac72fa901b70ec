"""What a run is known by: the same in whatever process, another where plans or state are."""

import copy
import enum
import functools
import json
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

import tfmlselect as tfml
from tfmlselect.callbacks.run_identity import checksum, of_model, plain

layers = tf.keras.layers


class Holder:
    """An object without a repr of its own."""

    def __init__(self, value):
        self.value = value


class Slotted:
    """One without `__dict__`."""

    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


class Configured:
    """One that tells what it is made of, and holds what says nothing."""

    def __init__(self, value):
        self.value, self.noise = value, object()

    def get_config(self):
        return {"value": self.value}


class Trainer:
    """One that holds what it trains, and whose method is a signal."""

    def __init__(self):
        self.token = np.random.default_rng().normal()
        self.model = tf.keras.Sequential([layers.Dense(2)])
        self.train = tf.data.Dataset.range(3)

    def loss(self, y_true, y_pred):
        return y_true - y_pred

    @tf.function
    def traced(self, y_true, y_pred):
        return y_true - y_pred

    @tf.function
    def traced_too(self, y_true, y_pred):
        return y_pred - y_true


class Pair(NamedTuple):
    """Two values."""

    first: object
    second: object


class Colour(enum.Enum):
    """Two of them."""

    RED = 1
    BLUE = 2


def long_array(last=0.0):
    """NumPy's repr leaves out what is in its middle."""
    array = np.zeros(5000)
    array[2500] = last
    return array


def closure(value):
    return lambda x: x * value


def over(made):
    """A function, as a notebook's cell makes it anew each time, with what it closes over."""

    def distilled(y_true, y_pred):
        return y_true - y_pred, made

    return distilled


def shared(make, depth):
    """One object in two places of another, again and again: 2**depth ways to it."""
    value = make(1, 1)
    for _ in range(depth):
        value = make(value, value)
    return value


def twice(first, second):
    value = Holder(first)
    value.second = second
    return value


def itself():
    value = Holder(None)
    value.value = value
    return value


def named(x, y=1):
    return x + y


# Each makes a value; values of different entries must differ, those of one entry must not.
VALUES = {
    "None": lambda: None,
    "True": lambda: True,
    "1": lambda: 1,
    "2": lambda: 2,
    "1.5": lambda: 1.5,
    "text": lambda: "1",
    "bytes": lambda: b"1",
    "other bytes": lambda: b"2",
    "list": lambda: [1, 2],
    "other list": lambda: [2, 1],
    "list of lists": lambda: [[1], [2]],
    "set": lambda: {"a", "b", "c"},
    "other set": lambda: {"a", "b"},
    "keys that are no text": lambda: {1: "a", (2, 3): "b"},
    "other keys": lambda: {1: "a", (2, 4): "b"},
    "long array": long_array,
    "other long array": lambda: long_array(1.0),
    "array": lambda: np.arange(4),
    "array of another shape": lambda: np.arange(4).reshape(2, 2),
    "array of another dtype": lambda: np.arange(4).astype("int16"),
    "array of objects": lambda: np.array([Holder(1), None], dtype=object),
    "array of other objects": lambda: np.array([Holder(2), None], dtype=object),
    "bfloat16": lambda: tf.constant([1.5], tf.bfloat16),
    "tensor": lambda: tf.constant([1.5]),
    "sparse": lambda: sparse.csr_matrix(np.eye(3)),
    "other sparse": lambda: sparse.csr_matrix(2 * np.eye(3)),
    "function": lambda: named,
    "other function": lambda: closure,
    "closure": lambda: closure(2),
    "closure of another value": lambda: closure(long_array()),
    "partial": lambda: functools.partial(named, y=2),
    "other partial": lambda: functools.partial(named, y=3),
    "method": lambda: Holder(1).__init__,
    "method of one that holds its model": lambda: Trainer().loss,
    "traced method": lambda: Trainer().traced,
    "another traced method": lambda: Trainer().traced_too,
    "partial of a method": lambda: functools.partial(Trainer().loss, y_pred=1),
    "function over a function": lambda: over(named),
    "function over a tensor": lambda: over(tf.constant([1.0, 2.0])),
    "function over another tensor": lambda: over(tf.constant([1.0, 3.0])),
    "function over a list": lambda: over([1.0, 2.0]),
    "function over a loss": lambda: over(tf.keras.losses.BinaryCrossentropy()),
    "function over another loss": lambda: over(
        tf.keras.losses.BinaryCrossentropy(label_smoothing=0.1)
    ),
    "function over a model": lambda: over(tf.keras.Sequential([layers.Dense(2)])),
    "function over models": lambda: over([tf.keras.Sequential([layers.Dense(2)])] * 2),
    "function over a subclassed model": lambda: over(Subclassed()),
    "function over a layer": lambda: over(layers.Dense(2)),
    "function over a variable": lambda: over(tf.Variable(np.random.default_rng().normal())),
    "function over a dataset": lambda: over(tf.data.Dataset.range(3)),
    "function over an object": lambda: over(Holder(np.random.default_rng().normal())),
    "function over objects in objects": lambda: over({"a": [Trainer()]}),
    "object with a model": lambda: Holder(tf.keras.Sequential([layers.Dense(2)])),
    "object with a dataset": lambda: Holder(tf.data.Dataset.range(3)),
    "shared objects": lambda: shared(twice, 30),
    "shared lists": lambda: shared(lambda a, b: [a, b], 30),
    "shared lists in lists": lambda: shared(lambda a, b: [a, b], 31),
    "function over shared lists": lambda: over(shared(lambda a, b: [a, b], 30)),
    "class": lambda: Holder,
    "object": lambda: Holder(long_array()),
    "other object": lambda: Holder(long_array(1.0)),
    "object in itself": itself,
    "slots": lambda: Slotted(1),
    "other slots": lambda: Slotted(2),
    "config": lambda: Configured(1),
    "other config": lambda: Configured(2),
    "colour": lambda: Colour.RED,
    "other colour": lambda: Colour.BLUE,
    "nothing in it": object,
    "schedule": lambda: tfml.schedules.Ramp(0.0, 1.0),
    "other schedule": lambda: tfml.schedules.Ramp(0.0, 0.5),
}


def test_values_are_told_apart_and_addresses_are_not():
    found = {}
    for name, make in VALUES.items():
        one, other = make(), make()
        assert checksum(one) == checksum(other), name
        assert found.setdefault(checksum(one), name) == name
    assert checksum(Pair(1, 2)) == checksum((1, 2)) == checksum([1, 2])
    assert checksum(np.float64(1.5)) == checksum(1.5)
    assert checksum(np.arange(4, dtype=">i8")) == checksum(np.arange(4, dtype="<i8"))


def test_shared_objects_are_what_copies_of_them_are():
    value = Holder([[1.0]])
    copies = [Holder([[1.0]]), Holder([[1.0]])]
    assert checksum([value, value]) == checksum(copies)
    assert checksum(shared(twice, 4)) == checksum(copy.deepcopy(shared(twice, 4)))


def test_what_is_very_deep_ends():
    value = Holder(0)
    for _ in range(10_000):
        value = Holder(value)
    assert checksum(value) == checksum(Holder(value))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_what_json_can_hold_stays_as_it_is(value):
    """So configs that earlier versions took a checksum of have the same."""
    assert json.dumps(plain(value)) == json.dumps(value)


def functional(activation="relu", rate=0.1, crossed=False, nested=True, extra=None):
    """A model with two branches, a model in it, and layers inside of others."""
    inputs = tf.keras.Input((4, 3))
    rnn = layers.Bidirectional(layers.LSTM(2, kernel_initializer="zeros"))(inputs)
    flat = layers.Flatten()(inputs)
    a, b = layers.Dense(4, activation)(rnn), layers.Dense(4, activation)(rnn)
    a = layers.Dropout(rate)(a)
    if crossed:
        a, b = b, a
    x = layers.Concatenate()([a, b, flat])
    if nested:
        x = tf.keras.Sequential([tf.keras.Input((20,)), layers.Dense(3), layers.Softmax()])(x)
    if extra is not None:
        x = extra(x)
    outputs = layers.Dense(2, "softmax")(x)
    return tf.keras.Model(inputs, outputs)


def sequential(units=3, activation="relu", policy=None, build=None, trainable=True):
    model = tf.keras.Sequential(
        [
            *([] if build else [tf.keras.Input((4,))]),
            layers.Dense(units, activation, dtype=policy, trainable=trainable),
            layers.Dense(2),
        ]
    )
    if build:
        build(model)
    return model


class Subclassed(tf.keras.Model):
    """A model whose config says nothing of its layers."""

    def __init__(self, activation="relu", given=None):
        super().__init__()
        self.given = given
        self.first, self.second = layers.Dense(3, activation), layers.Dense(2)

    def call(self, x):
        return self.second(self.first(x))


def compiled(model, optimizer="adam"):
    model.compile(optimizer, "binary_crossentropy")
    return of_model(model)


MODELS = {
    "functional": functional,
    "another activation": lambda: functional("tanh"),
    "another rate": lambda: functional(rate=0.2),
    "otherwise connected": lambda: functional(crossed=True),
    "no model inside": lambda: functional(nested=False),
    "one layer more": lambda: functional(extra=layers.Softmax()),
    "a layer around a function": lambda: functional(extra=layers.Activation(tf.nn.relu)),
    "sequential": sequential,
    "sequential, linear": lambda: sequential(activation=None),
    "sequential, another policy": lambda: sequential(policy="mixed_float16"),
    "sequential, frozen": lambda: sequential(trainable=False),
    "subclassed": Subclassed,
    "subclassed, tanh": lambda: Subclassed("tanh"),
}


def test_models_are_told_apart_and_names_are_not():
    """Keras counts its names on, so that a second model has other ones."""
    found = {}
    for name, make in MODELS.items():
        one, other = compiled(make()), compiled(make())
        assert one == other, name
        assert found.setdefault(one["layers"], name) == name


def test_a_model_whose_config_cannot_be_made():
    one, other = (compiled(Subclassed(given=object())) for _ in range(2))
    assert one == other
    assert one != compiled(Subclassed("tanh", given=object()))


def test_the_batch_that_a_model_was_built_with_is_not_told():
    built = [
        compiled(sequential(build=build))
        for build in (
            lambda model: model.build((None, 4)),
            lambda model: model(np.zeros((16, 4), "float32")),
            lambda model: model(np.zeros((8, 4), "float32")),
        )
    ]
    assert built[0] == built[1] == built[2]


def test_weights_and_rates_are_not_told():
    model = sequential()
    before = compiled(model, tf.keras.optimizers.Adam(0.1))
    x = np.zeros((4, 4), "float32")
    model.fit(x, x[:, :2], verbose=0)
    assert compiled(model, tf.keras.optimizers.Adam(0.01)) == before
    assert compiled(model, "sgd") == {**before, "optimizer": "SGD"}


def test_the_optimizer_inside_of_one_that_scales_the_loss():
    scaled = tf.keras.mixed_precision.LossScaleOptimizer(tf.keras.optimizers.Adam())
    assert compiled(sequential(), scaled)["optimizer"] == f"{type(scaled).__name__} of Adam"


LOOKUPS = {
    "TextVectorization": layers.TextVectorization,
    "StringLookup": layers.StringLookup,
}


@pytest.mark.parametrize("make", LOOKUPS.values(), ids=LOOKUPS)
@pytest.mark.parametrize("nested", [False, True])
def test_the_vocabulary_that_a_layer_was_adapted_to(make, nested):
    def adapted(words):
        layer = make(max_tokens=20)
        layer.adapt(np.array(words))
        model = tf.keras.Sequential([tf.keras.Input((1,), dtype="string"), layer])
        if nested:
            model = tf.keras.Sequential([tf.keras.Input((1,), dtype="string"), model])
        return compiled(model)

    facts = adapted(["cat", "dog", "dog"])
    assert adapted(["dog", "cat", "dog"]) == facts
    other = adapted(["cat", "sun", "sun"])
    assert {name for name in facts if facts[name] != other[name]} == {"vocabularies"}
