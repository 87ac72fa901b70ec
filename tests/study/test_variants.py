"""Variants leave out what they say, and nothing else."""

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml
from benchmarks.study.grid import ABLATIONS
from benchmarks.study.training import build_variant, run_cell
from benchmarks.study.variants import VARIANTS, AblatedD2ACE

RNG = np.random.default_rng(0)
N, Q = 40, 4
Y = (RNG.random((N, Q)) < [0.5, 0.4, 0.2, 0.1]).astype("uint8")
P = RNG.uniform(0.02, 0.98, (N, Q)).astype("float32")


def distribution(strategy):
    strategy.epochs = 100
    strategy.build(Y, features=P)
    strategy.observe(np.arange(N), P)
    return strategy.probabilities(5).numpy()


def entropy(p):
    return -(p * np.log2(p) + (1 - p) * np.log2(1 - p))


def test_with_nothing_left_out_it_is_d2ace():
    expected = distribution(tfml.strategies.D2ACE())
    np.testing.assert_array_equal(distribution(AblatedD2ACE()), expected)
    for switch in ("label_weights", "correlations"):
        assert abs(distribution(AblatedD2ACE(**{switch: False})) - expected).max() > 1e-4


@pytest.mark.parametrize("label_weights", [False, True])
def test_without_correlations_by_the_formula(label_weights):
    # after one visit nothing has changed yet: E is half of the binary entropy in bits
    uncertainty = entropy(P.astype("float64")) / 2
    v = np.exp((uncertainty.mean(axis=0) + uncertainty.std(axis=0)) / 2) if label_weights else 1
    expected = tfml.sampling.pressure_probabilities((uncertainty * v).sum(axis=1), 8.0)
    strategy = AblatedD2ACE(label_weights=label_weights, correlations=False, mix=(1.0, 1.0))
    np.testing.assert_allclose(distribution(strategy), expected, atol=2 / N / N)


def test_one_signal_alone_is_one_end_of_the_mixture():
    parts = [
        distribution(VARIANTS[f"d2ace-{name}-only"].strategy())
        for name in ("uncertainty", "hardness")
    ]
    both = 0.7 * parts[0] + 0.3 * parts[1]  # beta is 0.7 up to a tenth of the run
    np.testing.assert_allclose(distribution(tfml.strategies.D2ACE()), both, atol=1e-12)


def test_each_can_be_made_again():
    for variant in VARIANTS.values():
        strategy = variant.strategy()
        again = type(strategy).from_config(strategy.get_config())
        assert again.get_config() == strategy.get_config()
    assert {*ABLATIONS, *tfml.strategies.names()} == {*VARIANTS}


def test_an_unknown_one_is_refused():
    with pytest.raises(ValueError, match=r"Received: 'd2ace-x'\. Known: uniform, "):
        run_cell("yeast", "mlp", "d2ace-x", 0, "paper")


@pytest.mark.parametrize("name", ["plm", "focal", "asymmetric"])
def test_losses_differ_from_cross_entropy(name):
    loss = VARIANTS[name].loss(Y)
    plain = tf.keras.losses.BinaryCrossentropy()(Y, P)
    value = float(loss(tf.constant(Y, tf.float32), tf.constant(P)))
    if name == "plm":  # nothing is masked before the first update
        assert value == pytest.approx(float(plain), rel=1e-5)
        assert isinstance(loss, tfml.losses.PartialLabelMasking)
    else:
        assert value < 0.9 * float(plain)


def test_weakening_stands_before_the_head():
    model = build_variant("mlp", VARIANTS["feature_weakening"], P, Y, seed=0)
    assert isinstance(model.layers[-2], tfml.layers.FeatureWeakening)
    assert model.layers[-1].units == Q
    plain = build_variant("mlp", VARIANTS["uniform"], P, Y, seed=0)
    assert not any(isinstance(layer, tfml.layers.FeatureWeakening) for layer in plain.layers)
