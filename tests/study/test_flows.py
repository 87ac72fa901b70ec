"""The flows are densities: they integrate to 1, increase, and look at earlier dimensions alone."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import ndtr

from benchmarks.study.models.flows import LabelDensity, SigmoidalFlow, mixture_logit


def shaken(layer, size, spread, seed=0):
    """The layer, its weights moved away from the identity that it starts at."""
    tf.keras.utils.set_random_seed(seed)
    layer(np.zeros((1, size), "float32"))
    rng = np.random.default_rng(seed)
    for variable in layer.trainable_variables:
        scale = spread / np.sqrt(variable.shape[0])
        variable.assign_add(scale * rng.normal(size=variable.shape).astype("float32"))
    return layer


def grid(size, limit, step):
    axis = np.arange(-limit, limit, step)
    points = np.stack(np.meshgrid(*[axis] * size, indexing="ij"), axis=-1)
    return points.reshape(-1, size).astype("float32")


@pytest.mark.parametrize("spread", [0.0, 1.0, 2.0])
def test_density_of_one_dimension_integrates_to_one(spread):
    layer = shaken(LabelDensity(3, 1), 1, spread)
    limit, step = 60, 0.02
    total = np.exp(np.float64(layer(grid(1, limit, step)))).sum(axis=0) * step
    ends, _ = layer.flow(np.float32([[-limit], [limit]]))
    base = ((ends + layer.shift) * tf.exp(layer.log_scale)).numpy()[:, :, 0]
    left, right = ndtr(np.float64(base))  # what the base has left of both ends of the grid
    assert np.all(left < right)
    np.testing.assert_allclose(total, right - left, atol=1e-3)


@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_density_of_two_dimensions_integrates_to_one(spread):
    layer = shaken(LabelDensity(3, 2), 2, spread)
    step = 0.2
    total = np.zeros(3)
    for points in np.array_split(grid(2, 30, step), 10):
        total += np.exp(np.float64(layer(points))).sum(axis=0) * step**2
    np.testing.assert_allclose(total, 1, atol=0.01)


def test_start_is_near_the_base():
    layer = shaken(LabelDensity(2, 3), 3, 0.0)
    u = np.random.default_rng(0).normal(size=(50, 3)).astype("float32")
    base = -0.5 * np.sum(u**2 + np.log(2 * np.pi), axis=1)
    assert np.corrcoef(layer(u)[:, 0], base)[0, 1] > 0.8


def test_log_rise_is_the_derivative():
    layer = shaken(SigmoidalFlow(2, 4), 4, 1.0)
    u = tf.constant(np.random.default_rng(0).normal(size=(6, 4)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(u)
        v, log_rise = layer(u)
    jacobian = tape.jacobian(v, u)  # (b, q, D, b, D)
    for i in range(6):
        for j in range(2):
            of_sample = jacobian[i, j, :, i].numpy()
            np.testing.assert_allclose(np.diag(of_sample), np.exp(log_rise[i, j]), rtol=1e-3)
            np.testing.assert_array_equal(of_sample, np.tril(of_sample))
            assert np.abs(np.tril(of_sample, -1)).max() > 1e-4


def test_labels_condition_the_density():
    layer = shaken(LabelDensity(2, 3), 3, 1.0)
    densities = layer(np.random.default_rng(0).normal(size=(9, 3)).astype("float32"))
    assert np.abs(densities[:, 0] - densities[:, 1]).min() > 1e-4


def test_mixture_against_numpy():
    rng = np.random.default_rng(0)
    slopes, weights = np.exp(rng.normal(size=(2, 7, 5)))
    inner = rng.normal(size=(7, 5)) * 4
    sigmoid = 1 / (1 + np.exp(-inner))
    normal = weights / weights.sum(axis=1, keepdims=True)
    mixture = np.sum(normal * sigmoid, axis=1)
    rise = np.sum(normal * slopes * sigmoid * (1 - sigmoid), axis=1) / (mixture * (1 - mixture))
    value, log_rise = mixture_logit(*(tf.constant(a, tf.float32) for a in (slopes, weights, inner)))
    np.testing.assert_allclose(value, np.log(mixture / (1 - mixture)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(log_rise, np.log(rise), rtol=1e-4, atol=1e-5)


def test_both_tails_are_exact_in_float32():
    one = tf.ones((2, 1))
    inner = tf.constant([[40.0], [-40.0]])
    value, log_rise = mixture_logit(one, one, inner)
    np.testing.assert_allclose(value, [40, -40], rtol=1e-6)
    np.testing.assert_allclose(log_rise, [0, 0], atol=1e-5)


def test_far_points_have_finite_densities_and_gradients():
    layer = shaken(LabelDensity(2, 3), 3, 2.0)
    u = tf.constant([[1e3, -1e3, 1e2]])
    with tf.GradientTape() as tape:
        densities = layer(u)
    assert np.isfinite(densities).all()
    for gradient in tape.gradient(densities, layer.trainable_variables):
        assert np.isfinite(gradient).all()
