"""DELA's gates, their rate, its KL by hand, and the one pass of its decoder."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.study.models import dela
from tests.support.model_checks import (
    check_adaptive_fit,
    check_inference,
    check_moved,
    check_seed,
    gradients,
    make,
    small_data,
    yeast_macro_auc,
)


@pytest.mark.full
def test_seed():
    check_seed("dela")


def test_inference():
    check_inference("dela")


def test_all_variables_move():
    check_moved("dela")


def test_adaptive_fit():
    check_adaptive_fit("dela")


@pytest.mark.full
def test_yeast():
    assert yeast_macro_auc("dela", epochs=25, learning_rate=3e-3) >= 0.68


def test_kl_by_hand():
    mean = np.array([[1.0, -2.0], [0.5, 0.0]])
    log_variance = np.array([[0.0, 1.0], [-1.0, 0.5]])
    gates = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 0.5]])
    expected = np.mean(
        [
            0.5 * np.sum(-s - 2 * np.log(g + 1e-6) - 1 + np.exp(s) * g**2 + z**2)
            for z, s in zip(mean, log_variance, strict=True)
            for g in gates
        ]
    )
    found = dela.gated_kl(*(tf.constant(a, tf.float32) for a in (mean, log_variance, gates)))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_kl_of_open_gates_is_that_of_gaussians():
    rng = np.random.default_rng(0)
    mean, s = np.array([0.7, -0.3]), np.array([0.4, -1.0])
    z = mean + np.exp(s / 2) * rng.normal(size=(200_000, 2))
    log_ratio = -((z - mean) ** 2) / np.exp(s) / 2 - s / 2 + z**2 / 2
    kl = dela.gated_kl(*(tf.constant(a[None], tf.float32) for a in (mean, s, np.ones(2))))
    np.testing.assert_allclose(kl, log_ratio.sum(axis=1).mean(), atol=0.01)


def test_gates_are_bernoulli_samples():
    tf.keras.utils.set_random_seed(0)
    gates = dela.Gates(3, 20)
    gates()
    gates.stored_logits.assign(gates.stored_logits / 20)  # most start at 0 or 1 for sure
    samples = np.array([gates() for _ in range(400)])
    assert set(np.unique(samples)) == {0.0, 1.0}
    probability = tf.sigmoid(gates.logits()).numpy()
    assert probability.min() < 0.9
    np.testing.assert_allclose(samples.mean(axis=0), probability, atol=0.12)


def test_gates_start():
    tf.keras.utils.set_random_seed(0)
    gates = dela.Gates(30, 40)
    gates()
    raw = dela.GATE_RATE * gates.stored_logits.numpy()
    assert -10 <= raw.min() < -9.9
    assert 9.9 < raw.max() <= 10
    np.testing.assert_allclose(dela.GATE_RATE * gates.stored_bias.numpy(), 2, rtol=1e-6)
    kernel = dela.GATE_RATE * gates.stored_kernel.numpy()
    np.testing.assert_allclose(np.abs(kernel).max(), np.sqrt(6 / 80), rtol=0.01)  # Glorot's limit


def test_gates_learn_at_their_share_of_the_rate():
    gates = dela.Gates(3, 20)
    gates()
    before = [dela.GATE_RATE * variable.numpy() for variable in gates.trainable_variables]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(gates.logits())
    gradient = tape.gradient(loss, gates.trainable_variables)
    tf.keras.optimizers.Adam(1e-2).apply_gradients(
        zip(gradient, gates.trainable_variables, strict=True)
    )
    for variable, value in zip(gates.trainable_variables, before, strict=True):
        # The first step of Adam is the learning rate, wherever there is a gradient.
        step = np.abs(dela.GATE_RATE * variable.numpy() - value)
        np.testing.assert_allclose(step, 0.8e-2, rtol=0.01)


def test_each_term_moves_its_own_variables():
    x, y = small_data()
    model = make("dela", x, y)
    model(x, training=True)

    def kl():
        model(x, training=True)
        return model.losses[0]

    moved = {path for path, largest in gradients(model, kl).items() if largest > 0}
    own = [*model.encoder.trainable_variables, *model.latent.trainable_variables]
    own += model.gates.trainable_variables
    assert moved == {variable.path for variable in own}
    cross_entropy = gradients(
        model, lambda: model.sample_losses(x, y, model(x, training=True), True)
    )
    assert min(cross_entropy.values()) > 0


def test_loss_is_the_sum_of_its_terms():
    x, y = small_data()
    model = make("dela", x, y)
    p = model(x, training=True)
    loss = model.compute_loss(tf.constant(x), tf.constant(y), p)
    p = np.clip(np.float64(p), 1e-7, 1 - 1e-7)
    cross_entropy = -np.sum(y * np.log(p) + (1 - y) * np.log(1 - p)) / len(x)
    (kl,) = model.losses
    assert kl > 1e-5
    np.testing.assert_allclose(loss, cross_entropy + kl, rtol=1e-4)


def test_closed_gates_have_no_noise_and_one_pass_serves_all_labels():
    x, y = small_data()
    model = make("dela", x, y)
    for layer in model.encoder.layers[1::2]:
        layer.rate = 0.0  # of dropout: what noise is left is that of the gates
    model.gates.stored_bias.assign(model.gates.stored_bias * 0 - 1e4)
    closed = model(x, training=True).numpy()
    np.testing.assert_allclose(closed, model(x, training=False), atol=1e-6)
    model.gates.stored_bias.assign(model.gates.stored_bias * 0 + 1e4)
    assert np.abs(model(x, training=True) - closed).max() > 1e-3
