"""The frozen embedding is that of principal components, stays as it is, and its head learns."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.study.models import compile_model
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
    check_seed("frozen_head")


def test_inference():
    check_inference("frozen_head")


def test_all_variables_of_the_head_move():
    check_moved("frozen_head")


def test_adaptive_fit():
    check_adaptive_fit("frozen_head")


@pytest.mark.full
def test_yeast():
    assert yeast_macro_auc("frozen_head", epochs=20, learning_rate=3e-3) >= 0.68


def test_embedding_is_the_singular_vectors_of_the_centred_features():
    x, y = small_data(n=40, d=12)
    embedded = make("frozen_head", x, y).get_layer("embedding")(x).numpy()
    centred = np.float64(x) - x.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(embedded), np.abs(u * s), atol=1e-4)


def test_embedding_is_frozen_and_the_same_under_every_seed():
    x, y = small_data()
    model, other = make("frozen_head", x, y, seed=0), make("frozen_head", x, y, seed=1)
    before = model.get_layer("embedding").get_weights()
    compile_model(model, tf.keras.optimizers.Adam(1e-2))
    model.fit(x, y, batch_size=32, epochs=2, verbose=0)
    after, others = (m.get_layer("embedding").get_weights() for m in (model, other))
    for first, second, third in zip(before, after, others, strict=True):
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first, third)


def test_width():
    for n, d, width in ((20, 30, 19), (40, 12, 12), (300, 290, 256)):
        x, y = small_data(n=n, d=d)
        assert make("frozen_head", x, y).get_layer("embedding").units == width
