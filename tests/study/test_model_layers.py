"""The parts that models share are what they are said to be."""

import numpy as np
import tensorflow as tf

from benchmarks.study.models.layers import Gaussian, JointDense, PerLabelLogits, gaussian_kl, mlp


def test_joint_dense_is_a_dense_layer_on_both():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 1, 3)).astype("float32")
    z = rng.normal(size=(5, 4, 2)).astype("float32")
    layer = JointDense(6)
    out = layer(x, z)
    layer.bias.assign(rng.normal(size=6))
    both = np.concatenate([np.repeat(x, 4, axis=1), z], axis=2)
    kernel = np.concatenate([layer.of_x, layer.of_z])
    np.testing.assert_allclose(layer(x, z), both @ kernel + layer.bias.numpy(), atol=1e-5)
    assert out.shape == (5, 4, 6)


def test_joint_dense_starts_as_a_dense_layer():
    tf.keras.utils.set_random_seed(0)
    layer = JointDense(50)
    layer(np.zeros((1, 300), "float32"), np.zeros((1, 200), "float32"))
    limit = np.sqrt(6 / 550)
    for part in (layer.of_x, layer.of_z):
        np.testing.assert_allclose(np.abs(part).max(), limit, rtol=0.01)
        np.testing.assert_allclose(np.std(part), limit / np.sqrt(3), rtol=0.05)


def test_logits_of_each_label_are_of_its_own_vector():
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(5, 3, 7)).astype("float32")
    layer = PerLabelLogits(3)
    layer(hidden)
    layer.bias.assign([1.0, 2.0, 3.0])
    expected = [[h[j] @ layer.kernel.numpy()[j] + j + 1 for j in range(3)] for h in hidden]
    np.testing.assert_allclose(layer(hidden), expected, atol=1e-5)
    shared = layer(hidden[:, :1])
    np.testing.assert_allclose(shared[:, 0], layer(hidden)[:, 0], atol=1e-5)
    assert shared.shape == (5, 3)


def test_samples_have_mean_and_variance():
    tf.keras.utils.set_random_seed(0)
    layer = Gaussian(2)
    mean, log_variance = np.float32([[1.0, -2.0]]), np.float32([[0.5, -1.0]])
    rows = np.repeat(mean, 50_000, axis=0), np.repeat(log_variance, 50_000, axis=0)
    samples = layer.sample(*rows).numpy()
    np.testing.assert_allclose(samples.mean(axis=0), mean[0], atol=0.02)
    np.testing.assert_allclose(np.log(samples.var(axis=0)), log_variance[0], atol=0.03)
    assert np.abs(layer.sample(*rows) - samples).max() > 1


def test_mlp():
    stack = mlp([8, 3], dropout=0.5)
    x = np.ones((4, 5), "float32")
    kinds = [type(layer).__name__ for layer in stack.layers]
    assert kinds == ["Dense", "Dropout", "Dense", "Dropout"]
    assert stack(x).shape == (4, 3)
    assert stack(x).numpy().min() >= 0


def test_kl_against_monte_carlo():
    rng = np.random.default_rng(0)
    mean, s, other_mean, other_s = rng.normal(size=(4, 3)) * 0.7
    z = mean + np.exp(s / 2) * rng.normal(size=(400_000, 3))

    def log_density(mean, s):
        return -0.5 * np.sum((z - mean) ** 2 / np.exp(s) + s, axis=1)

    estimate = np.mean(log_density(mean, s) - log_density(other_mean, other_s))
    assert estimate > 0.5
    rows = [tf.constant(part[None], tf.float32) for part in (mean, s, other_mean, other_s)]
    np.testing.assert_allclose(gaussian_kl(*rows), [estimate], rtol=0.02)
    np.testing.assert_allclose(gaussian_kl(*rows[:2], *rows[:2]), [0], atol=1e-6)
