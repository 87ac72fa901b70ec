"""Labels for layers: those of the batch, in training steps alone, and no trace after the fit."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support.recorded_fits import Breaks, is_clean, numbered
from tfmlselect import _training_step
from tfmlselect.callbacks import LabelsForLayers


def seeing(**options):
    seen = []

    class Sees(tf.keras.layers.Layer):
        """Notes x and the labels of the step that runs, if any, whenever it is called."""

        def call(self, x):
            labels = _training_step.batch_labels()
            note = [x] if labels is None else [x, labels]
            tf.numpy_function(lambda *arrays: seen.append(arrays), note, [])
            return x

        def compute_output_shape(self, shape):
            return shape

    model = tf.keras.Sequential([tf.keras.layers.Input([1]), Sees(), tf.keras.layers.Dense(5)])
    model.compile("sgd", "mse", **options)
    return model, seen


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("weights", [None, np.ones(9)], ids=["", "sample weights"])
def test_training_steps_see_the_labels_of_their_batch_and_others_none(eager, weights):
    model, seen = seeing(run_eagerly=eager)
    x, y = numbered(9)
    fit = {"batch_size": 4, "verbose": 0, "callbacks": [LabelsForLayers()]}
    model.fit(x, y, sample_weight=weights, validation_data=(x[:2], y[:2]), **fit)
    steps = [arrays for arrays in seen if len(arrays) == 2]
    assert [len(arrays[0]) for arrays in steps] == [4, 4, 1]
    for part, labels in steps:
        np.testing.assert_array_equal(labels, y[np.searchsorted(x[:, 0], part[:, 0])])
    (validated,) = (arrays for arrays in seen if len(arrays) == 1)
    np.testing.assert_array_equal(validated[0], x[:2])


def test_the_hook_comes_off_after_a_fit_evaluate_and_predict():
    model, seen = seeing()
    x, y = numbered(9)
    model.fit(x, y, verbose=0, callbacks=[LabelsForLayers()])
    assert is_clean(model)
    model.evaluate(x, y, verbose=0, callbacks=[LabelsForLayers()])
    assert is_clean(model)
    model.predict(x, verbose=0, callbacks=[LabelsForLayers()])
    assert is_clean(model)
    seen.clear()
    model.fit(x, y, verbose=0)
    assert [len(arrays) for arrays in seen] == [1]


def test_a_second_fit_with_the_same_callback_after_a_fit_that_raised():
    model, seen = seeing()
    x, y = numbered(9)
    callback = LabelsForLayers()
    fit = {"batch_size": 3, "epochs": 2, "verbose": 0}
    with pytest.raises(ZeroDivisionError):
        model.fit(x, y, **fit, callbacks=[callback, Breaks(ZeroDivisionError)])
    seen.clear()
    model.fit(x, y, **fit, callbacks=[callback])
    assert [len(arrays) for arrays in seen] == [2] * 6
    assert is_clean(model)
