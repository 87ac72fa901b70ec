"""The plain model, and how models are made and compiled."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.study.models import MODELS, build, compile_model
from tests.support.model_checks import (
    check_adaptive_fit,
    check_inference,
    check_moved,
    check_seed,
    make,
    small_data,
    yeast_macro_auc,
)


def test_seed():
    check_seed("mlp")


def test_inference():
    check_inference("mlp")


def test_all_variables_move():
    check_moved("mlp")


def test_adaptive_fit():
    check_adaptive_fit("mlp")


def test_yeast():
    assert yeast_macro_auc("mlp", epochs=25, learning_rate=3e-3) >= 0.68


def test_layers():
    x, y = small_data()
    shapes = [tuple(weight.shape) for weight in make("mlp", x, y).weights]
    assert shapes == [(10, 256), (256,), (256, 256), (256,), (256, 4), (4,)]


def test_loss_is_the_mean_binary_cross_entropy_unless_one_is_given():
    x, y = small_data()
    model = make("mlp", x, y)
    compile_model(model, "sgd")
    p = np.float64(model.predict(x, verbose=0))
    cross_entropy = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), cross_entropy, rtol=1e-5)
    compile_model(model, "sgd", loss=tf.keras.losses.MeanSquaredError())
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), np.mean((y - p) ** 2), rtol=1e-5)


def test_options_reach_compile():
    x, y = small_data()
    model = make("mlp", x, y)
    compile_model(model, "sgd", steps_per_execution=3)
    assert model.steps_per_execution == 3


def test_errors():
    x, y = small_data()
    with pytest.raises(ValueError, match=r"Received: name='bert'.*'mlp'"):
        build("bert", x, y)
    with pytest.raises(ValueError, match=r"Received: shapes \(96, 10\) and \(95, 4\)"):
        build("mlp", x, y[1:])
    assert "mlp" in MODELS
