"""CLIF's graph by hand, its two loss terms, and its per-label features."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.study.models import clif, compile_model
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
    check_seed("clif")


def test_inference():
    check_inference("clif")


@pytest.mark.full
def test_all_variables_move():
    check_moved("clif")


@pytest.mark.full
def test_adaptive_fit():
    check_adaptive_fit("clif", epochs=6, learning_rate=1e-3)


@pytest.mark.full
def test_yeast():
    assert yeast_macro_auc("clif", epochs=15, learning_rate=2e-3) >= 0.68


def test_graph_by_hand():
    # c = (4, 2, 1, 0); pairs 0-1: 1, 0-2: 1, 1-2: 0.
    y = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]])
    a, b = (1 / 4 + 1 / 2) / 2, (1 / 4 + 1) / 2
    expected = [[0, a, b, 0], [a, 0, 0, 0], [b, 0, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(clif.label_graph(y), expected, rtol=1e-6)


def test_correlation_term_by_hand():
    model = clif.CLIF(np.array([[0, 0.5], [0.5, 0]], "float32"))
    embedding = tf.constant([[3.0, 4.0], [2.0, 0.0]])  # the cosine is 0.6
    np.testing.assert_allclose(model.correlation_term(embedding), 2 * 0.1**2 / 4, rtol=1e-5)


def test_loss_is_the_sum_of_its_terms():
    x, y = small_data()
    model = make("clif", x, y)
    compile_model(model, "sgd")
    p = np.float64(model.predict(x, verbose=0))
    cross_entropy = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
    embedding = model.embed_labels().numpy()
    unit = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    correlation = np.mean((unit @ unit.T - clif.label_graph(y) - np.eye(4)) ** 2)
    assert correlation > 0.01
    expected = cross_entropy + 1e-3 * correlation
    np.testing.assert_allclose(model.evaluate(x, y, batch_size=96, verbose=0), expected, rtol=1e-5)


def test_each_term_moves_its_own_variables():
    x, y = small_data()
    model = make("clif", x, y)
    correlation = gradients(model, lambda: model.correlation_term(model.embed_labels()))
    graph = {path for path in correlation if "graph_isomorphism" in path}
    assert {path for path, largest in correlation.items() if largest > 0} == graph
    assert len(graph) == 2 * (1 + 8)  # ε, and two times dense and batch norm
    cross_entropy = gradients(
        model, lambda: model.sample_losses(x, y, model(x, training=True), True)
    )
    assert min(cross_entropy.values()) >= 0
    without_bias_before_norm = [
        largest for path, largest in cross_entropy.items() if path not in graph
    ]
    assert min(without_bias_before_norm) > 0


def test_correlation_term_alone_learns_the_graph():
    x, y = small_data()
    model = make("clif", x, y)
    optimizer = tf.keras.optimizers.Adam(1e-2)
    values = []
    for _ in range(60):
        with tf.GradientTape() as tape:
            value = model.correlation_term(model.embed_labels())
        optimizer.apply_gradients(
            (gradient, variable)
            for gradient, variable in zip(
                tape.gradient(value, model.trainable_variables),
                model.trainable_variables,
                strict=True,
            )
            if gradient is not None
        )
        values.append(float(value))
    assert values[-1] < values[0] / 2


def test_labels_have_features_of_their_own():
    x, y = small_data()
    model = make("clif", x, y)
    gates = model.gate(model.embed_labels())
    hidden = model.specific(model.encoder(x)[:, None] * gates)
    assert hidden.shape == (96, 4, 768)
    assert np.abs(hidden[:, 0] - hidden[:, 1]).max() > 1e-3


def test_identity_is_the_other_graph():
    x, y = small_data()
    model = clif.build(x, y, adjacency="identity")
    np.testing.assert_array_equal(model.target, 2 * np.eye(4))
    with pytest.raises(ValueError, match=r"Received: adjacency='full'.*'identity'"):
        clif.build(x, y, adjacency="full")


def test_another_loss_is_refused():
    x, y = small_data()
    with pytest.raises(ValueError, match=r"Received: loss='mse'"):
        compile_model(make("clif", x, y), "sgd", loss="mse")
