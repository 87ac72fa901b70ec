"""PACA's terms and what each moves; its flows are tested in test_flows.py."""

import numpy as np
import pytest
import tensorflow as tf

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


def moved(found):
    return {path for path, largest in found.items() if largest > 0}


def paths(*parts):
    return {variable.path for part in parts for variable in part.trainable_variables}


@pytest.mark.full
def test_seed():
    check_seed("paca")


def test_inference():
    check_inference("paca")


@pytest.mark.full
def test_all_variables_move():
    check_moved("paca")


@pytest.mark.full
def test_adaptive_fit():
    check_adaptive_fit("paca")


@pytest.mark.full
def test_yeast():
    assert yeast_macro_auc("paca", 5, 2e-3, batch_size=64, labels=4) >= 0.68


def test_prediction_is_the_softmax_of_the_densities():
    x, y = small_data()
    model = make("paca", x, y)
    z, _ = model.latent(model.encoder(x))
    u = model.embedding_out(tf.nn.relu(model.embedding_in(x, z)))
    pair = tf.stack([model.negative(u), model.positive(u)], axis=-1)
    np.testing.assert_allclose(model(x), tf.nn.softmax(pair)[..., 1], atol=1e-5)


def test_loss_is_the_sum_of_its_terms():
    x, y = small_data()
    model = make("paca", x, y)
    p = model(x, training=False)
    loss = model.compute_loss(tf.constant(x), tf.constant(y), p, training=False)

    def cross_entropy(p):
        p = np.float64(p)
        return -np.sum(y * np.log(p) + (1 - y) * np.log(1 - p), axis=1)

    mean, s = map(np.float64, model.latent(model.encoder(x)))
    label_mean, label_s = map(np.float64, model.label_latent(model.label_encoder(y)))
    ratio = np.exp(s - label_s) + (mean - label_mean) ** 2 / np.exp(label_s)
    kl = 0.5 * np.sum(ratio - 1 - s + label_s, axis=1)
    u = model.embedding_out(tf.nn.relu(model.embedding_in(x, np.float32(mean))))
    rebuilt = np.sum((model.rebuild(u).numpy() - x) ** 2, axis=1)
    of_labels = cross_entropy(model.label_decoder(np.float32(label_mean)))
    expected = np.mean(rebuilt + 10 * (kl + of_labels) + 2 * cross_entropy(p))
    np.testing.assert_allclose(loss, expected, rtol=1e-4)


def test_each_term_moves_its_own_variables():
    x, y = small_data()
    model = make("paca", x, y)

    def term(index):
        return lambda: tf.reduce_sum(model.label_terms(x, y, True)[index])

    def rebuilding():
        model(x, training=True)
        return model.losses[0]

    encoders = paths(model.encoder, model.latent), paths(model.label_encoder, model.label_latent)
    assert moved(gradients(model, term(0))) == encoders[0] | encoders[1]
    of_labels = encoders[1] | paths(model.label_decoder)
    assert moved(gradients(model, term(1))) == of_labels
    embedding = encoders[0] | paths(model.embedding_in, model.embedding_out)
    assert moved(gradients(model, rebuilding)) == embedding | paths(model.rebuild)
    prediction = gradients(model, lambda: tf.reduce_sum(tf.math.log(model(x, training=True))))
    assert moved(prediction) == embedding | paths(model.positive, model.negative)


def test_labels_are_not_seen_by_the_prediction():
    x, y = small_data()
    model = make("paca", x, y)
    inputs = paths(model.label_encoder, model.label_latent, model.label_decoder)
    before = model(x).numpy()
    for variable in model.trainable_variables:
        if variable.path in inputs:
            variable.assign(variable + 1.0)
    np.testing.assert_array_equal(model(x), before)
