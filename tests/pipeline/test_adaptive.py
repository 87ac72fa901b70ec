"""What both entry functions do where no strategy is named."""

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml

Y = np.eye(2, dtype="float32")[[0, 0, 0, 1] * 4]
TEXTS = [f"text {i}" for i in range(len(Y))]  # nothing to search neighbours in


def of_arrays(**options):
    return tfml.adaptive_dataset((TEXTS, Y), **options)


def of_a_stream(**options):
    source = tf.data.Dataset.from_tensor_slices((TEXTS, Y))
    return source.apply(tfml.adaptive(window=16, **options))


@pytest.mark.parametrize("make", [of_arrays, of_a_stream])
def test_the_default_strategy(make):
    train = make(batch_size=4)  # warnings are errors: it misses no features
    assert type(train.strategy) is tfml.strategies.AdaptiveBalance
    assert train.strategy.get_config() == tfml.strategies.AdaptiveBalance().get_config()


@pytest.mark.parametrize("make", [of_arrays, of_a_stream])
def test_it_is_made_anew_for_each_dataset(make):
    assert make(batch_size=4).strategy is not make(batch_size=4).strategy
