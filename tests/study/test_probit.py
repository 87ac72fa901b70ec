"""The probit head against slow versions in NumPy and against Monte Carlo."""

import numpy as np
import tensorflow as tf
from scipy.special import log_ndtr, ndtr

from benchmarks.study.models.probit import Probit, joint_nll, ranking, right_ones

RNG = np.random.default_rng(0)
Y = np.array([[1, 0, 1, 0], [0, 0, 0, 1], [1, 1, 1, 1], [0, 0, 0, 0]], "float32")
THRESHOLDS = (2 * RNG.normal(size=(5, 4, 4))).astype("float32")


def test_joint_nll_against_numpy():
    likelihood = np.zeros((5, 4))
    for s in range(5):
        for i in range(4):
            p = ndtr(np.float64(THRESHOLDS[s, i]))
            likelihood[s, i] = np.prod(np.where(Y[i] == 1, p, 1 - p))
    found = joint_nll(right_ones(Y, THRESHOLDS))
    np.testing.assert_allclose(found, -np.log(likelihood.mean(axis=0)), rtol=1e-5)


def test_ranking_against_numpy():
    expected = np.zeros(4)
    for i in range(4):
        values = []
        for s in range(5):
            p = ndtr(np.float64(THRESHOLDS[s, i]))
            values += [
                np.exp(-5 * (positive - negative))
                for positive in p[Y[i] == 1]
                for negative in p[Y[i] == 0]
            ]
        expected[i] = np.mean(values) if values else 0
    assert np.all(expected[2:] == 0)  # samples without pairs
    found = ranking(Y, right_ones(Y, THRESHOLDS))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_tails():
    far = np.float32([[[9.0, -9.0, -200.0]]])
    y = np.ones((1, 3), "float32")
    with tf.GradientTape() as tape:
        t = tf.constant(far)
        tape.watch(t)
        value = joint_nll(right_ones(y, t))
    np.testing.assert_allclose(value, [-log_ndtr(-9.0) - log_ndtr(-10.0)], rtol=1e-4)
    gradient = tape.gradient(value, t).numpy()[0, 0]
    np.testing.assert_allclose(gradient[1], -9.0, rtol=0.02)
    np.testing.assert_allclose(gradient[[0, 2]], 0, atol=1e-6)


def test_prediction_is_the_mean_over_the_noise():
    tf.keras.utils.set_random_seed(0)
    layer = Probit(3, 16)
    layer.factor.assign(RNG.normal(size=(3, 16)) * 0.4)
    means = np.float32([[0.5, -1.5, 2.0]])
    samples = ndtr(layer.thresholds(means, 100_000).numpy())
    assert samples.std(axis=0).min() > 0.05
    np.testing.assert_allclose(layer(means), samples.mean(axis=0), atol=0.005)


def test_thresholds_have_the_covariance_of_the_factor():
    tf.keras.utils.set_random_seed(0)
    layer = Probit(3, 16)
    layer.factor.assign(RNG.normal(size=(3, 16)) * 0.4)
    means = np.float32([[0.5, -1.5, 2.0], [0, 0, 0]])
    samples = layer.thresholds(means, 100_000).numpy()
    np.testing.assert_allclose(samples.mean(axis=0), means, atol=0.03)
    factor = layer.factor.numpy()
    np.testing.assert_allclose(np.cov(samples[:, 0].T), factor @ factor.T, atol=0.06)
    assert np.abs(layer.thresholds(means, 5) - samples[:5]).max() > 0.1


def test_factor_learns_that_two_labels_come_together():
    tf.keras.utils.set_random_seed(0)
    layer = Probit(2, 16)
    y = tf.repeat([[1.0, 1.0], [0.0, 0.0]], 8, axis=0)
    optimizer = tf.keras.optimizers.Adam(0.05)
    for _ in range(60):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(joint_nll(right_ones(y, layer.thresholds(tf.zeros((16, 2)), 50))))
        optimizer.apply_gradients([(tape.gradient(loss, layer.factor.value), layer.factor)])
    first, second = layer.factor.numpy()
    assert first @ second / np.linalg.norm(first) / np.linalg.norm(second) > 0.8
    assert loss < 2 * np.log(2) - 0.2  # that of independent labels of probability one half
