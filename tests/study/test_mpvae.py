"""MPVAE's terms and what each moves; its probit head is tested in test_probit.py."""

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
    check_seed("mpvae")


def test_inference():
    check_inference("mpvae")


def test_all_variables_move():
    check_moved("mpvae")


@pytest.mark.full
def test_adaptive_fit():
    check_adaptive_fit("mpvae")


@pytest.mark.full
def test_yeast():
    assert yeast_macro_auc("mpvae", 25, 2e-3, batch_size=64, labels=4) >= 0.68


def test_sizes():
    for d, size, rank in ((1, 1, 16), (9, 4, 16), (40, 20, 20)):
        model = make("mpvae", *small_data(d=d))
        assert model.features.latent.mean.units == size
        assert model.labels.latent.mean.units == size
        assert model.probit.factor.shape == (4, rank)


def test_loss_is_the_sum_of_its_terms():
    x, y = small_data()
    model = make("mpvae", x, y)
    model.probit.factor.assign(model.probit.factor * 0)  # no noise: each call is the same
    terms = {name: np.mean(value) for name, value in model.terms(x, y, False).items()}
    assert set(terms) == {
        "kl",
        *(f"{branch}_{term}" for branch in ("features", "labels") for term in ("nll", "ranking")),
    }
    assert min(terms.values()) > 0
    expected = 0.1 * (terms["features_nll"] + terms["labels_nll"]) + 1.1 * terms["kl"]
    expected += 200 * (terms["features_ranking"] + terms["labels_ranking"])
    loss = model.compute_loss(tf.constant(x), tf.constant(y), model(x), training=False)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    p = np.float64(model(x))
    nll = -np.sum(y * np.log(p) + (1 - y) * np.log(1 - p), axis=1)
    np.testing.assert_allclose(terms["features_nll"], nll.mean(), rtol=1e-4)


def test_each_term_moves_its_own_variables():
    x, y = small_data()
    model = make("mpvae", x, y)
    both = {}
    for branch in (model.features, model.labels):
        for term in ("nll", "ranking"):
            name = f"{branch.name}_{term}"
            found = gradients(
                model, lambda name=name: tf.reduce_mean(model.terms(x, y, True)[name])
            )
            assert moved(found) == paths(branch, model.probit), name
        both[branch.name] = paths(branch.encoder, branch.latent)
    kl = gradients(model, lambda: tf.reduce_mean(model.terms(x, y, True)["kl"]))
    assert moved(kl) == both["features"] | both["labels"]


def test_labels_are_not_seen_by_the_prediction():
    x, y = small_data()
    model = make("mpvae", x, y)
    before = model(x).numpy()
    for variable in model.labels.trainable_variables:
        variable.assign(variable + 1.0)
    np.testing.assert_array_equal(model(x), before)
