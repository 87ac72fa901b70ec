"""What a run is known by: the same in whatever process, another where plans or state are."""

import enum
import functools
import json
from typing import NamedTuple

import numpy as np
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
