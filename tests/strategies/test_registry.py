"""Strategies by name, and what is said of names and arguments that are nearly right."""

import inspect

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml
from tfmlselect import strategies

Y = np.eye(4, dtype="uint8")[np.arange(32) % 4] | np.eye(4, dtype="uint8")[np.arange(32) % 3]
X = np.arange(64, dtype="float32").reshape(32, 2)


def on_arrays(strategy, **options):
    return tfml.adaptive_dataset((X, Y), strategy, **{"batch_size": 4, **options})


def on_a_stream(strategy, **options):
    source = tf.data.Dataset.from_tensor_slices((X, Y))
    return source.apply(tfml.adaptive(strategy=strategy, **{"batch_size": 4, **options}))


@pytest.mark.parametrize(
    ("strategy", "arguments", "said"),
    [
        ("online_batch", {"pressure": 4.0}, r"strategies\.OnlineBatch\(pressure=4\.0\) as the str"),
        (
            "rare_events",
            {"draw": "predicted"},  # close to `draws`, which is the dataset's
            r"Pass tfmlselect\.strategies\.RareEvents\(draw='predicted'\)",
        ),
        (
            strategies.D2ACE(),
            {"warmup": 0},
            r"Pass tfmlselect\.strategies\.D2ACE\(warmup=0\) as the strategy",
        ),
        ("uniform", {"batchsize": 4}, r"Received: batchsize=4\. Did you mean 'batch_size'\? `adap"),
        ("uniform", {"Seed": 4}, r"Received: Seed=4\. Did you mean 'seed'\?"),
        ("uniform", {"feature": X}, r"Received: feature=array.*Did you mean 'features'\?"),
        ("uniform", {"qqq": 4}, r"No such argument\. Received: qqq=4\. `adaptive.* takes .*seed, "),
        ("no strategy", {"qqq": 4}, r"Received: qqq=4\. `adaptive"),
        (X, {"pressure": 4.0}, r"Received: pressure=4\.0\. It is an argument of strat.* `adaptive"),
        (X, {}, r"`strategy` is a name or a Strategy object\. Received: strategy=array"),
    ],
)
@pytest.mark.parametrize("make", [on_arrays, on_a_stream])
def test_arguments_that_nobody_has(make, strategy, arguments, said):
    with pytest.raises(TypeError, match=said):
        make(strategy, **arguments)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("online_bach", "online_batch"), ("D2ACE", "d2ace"), ("AdaptiveBalance", "adaptive_balance")],
)
def test_a_name_that_is_nearly_one(name, meant):
    with pytest.raises(ValueError, match=f"Received: strategy='{name}'. Did you mean '{meant}'"):
        strategies.get(name)


def test_x_and_y_as_two_arguments():
    with pytest.raises(TypeError, match=r"Received: ndarray of length 32\. Pass .*\(\(x, y\), "):
        tfml.adaptive_dataset(X, Y)


@pytest.mark.parametrize("function", [tfml.adaptive_dataset, tfml.adaptive])
def test_the_signature_names_what_there_is(function):
    parameters = inspect.signature(function).parameters.values()
    assert all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters)
    assert "seed" in inspect.signature(function).parameters
