"""Importance weights: by hand, unbiased over many plans, and what a model gets of them."""

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml
from tests.support.recorded_fits import linear, numbered, run
from tfmlselect.pipeline.plan import Plan, PlanOptions
from tfmlselect.schedules import Ramp
from tfmlselect.strategies import Strategy, Uniform


class Fixed(Strategy):
    """Draws from one distribution."""

    uses_predictions = False

    def __init__(self, p=(), **options):
        super().__init__(**options)
        self.p = np.asarray(p, np.float64)

    def build(self, y, features=None, neighbors=None):
        pass

    def observe(self, ids, y_pred, loss=None):
        pass

    def probabilities(self, epoch):
        return tf.constant(self.p)


P = np.array([0.25, 0.25, 0.125, 0.125, 0.125, 0.125, 0, 0])


def test_weights_by_hand():
    plan = Plan(8, PlanOptions(2, 0))
    ids = np.array([0, 1, 2, 3, 4, 5, 0, 1])
    # n p is 2 or 1: weights 1/2 and 1, of mean (4/2 + 4) / 8 = 3/4.
    expected = np.array([2, 2, 4, 4, 4, 4, 2, 2]) / 3
    np.testing.assert_allclose(plan.importance_weights(P, ids, 1.0), expected, rtol=1e-6)
    root = np.sqrt(expected)
    found = plan.importance_weights(P, ids, 0.5)
    np.testing.assert_allclose(found, root / root.mean(), rtol=1e-6)
    np.testing.assert_allclose(plan.importance_weights(P, ids, 0.0), 1.0)


def test_a_sample_whose_probability_is_zero_now_has_the_largest_weight():
    weights = Plan(8, PlanOptions(2, 0)).importance_weights(P, np.array([0, 2, 7]), 1.0)
    assert np.isfinite(weights).all()
    assert weights[2] == weights[1] > weights[0]


def test_weighted_gradients_are_those_of_uniform_batches():
    """Over many plans the mean of the weighted gradients is that of all samples alike."""
    rng = np.random.default_rng(0)
    n, draws = 60, 60
    gradients = rng.normal(1.0, 2.0, (n, 3))  # of each sample, at fixed weights of a model
    p = rng.dirichlet(np.full(n, 3.0))
    weighted, plain = [], []
    for seed in range(3000):
        plan = Plan(n, PlanOptions(10, seed))
        in_force = plan.in_force(Uniform(), p)
        ids = plan.drawn(Uniform(), in_force, 0)
        weights = plan.importance_weights(in_force, ids, 1.0)
        weighted.append((weights[:, None] * gradients[ids]).sum(axis=0) / draws)
        plain.append(gradients[ids].mean(axis=0))
    error = np.std(weighted, axis=0) / np.sqrt(len(weighted))
    # The mean of the weights is that of one epoch: a bias of the order of 1 / draws is left.
    wanted = gradients.mean(axis=0)
    np.testing.assert_allclose(np.mean(weighted, axis=0), wanted, atol=4 * error.max() + 0.02)
    assert np.abs(np.mean(plain, axis=0) - wanted).max() > 0.1


def batches(train, **options):
    """The third elements of the batches of each epoch that a fit sees, and its planned ids."""
    seen = []
    spy = train.map(lambda x, y, w: (x, y, w))

    class Look(tf.keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            weights = np.concatenate([w.numpy() for _, _, w in spy])
            seen.append((spy.plan, weights, spy.probabilities))

    run(linear(), spy, callbacks=[Look()], **options)
    return seen


def test_batches_hold_them():
    x, y = numbered(27)
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(27, 5.0))
    train = tfml.adaptive_dataset((x, y), Fixed(p), 4, seed=0, importance_weights=1.0)
    for ids, weights, in_force in batches(train):
        expected = 1 / (27 * in_force[ids])
        np.testing.assert_allclose(weights, expected / expected.mean(), rtol=1e-5)
        assert weights.mean() == pytest.approx(1.0, rel=1e-5)


def test_they_are_multiplied_into_the_user_s_own():
    x, y = numbered(27)
    own = np.linspace(0.5, 2.0, 27)
    p = np.random.default_rng(0).dirichlet(np.full(27, 5.0))
    options = {"seed": 0, "importance_weights": 1.0, "sample_weight": own}
    train = tfml.adaptive_dataset((x, y), Fixed(p), 4, **options)
    ids, weights, in_force = batches(train)[0]
    expected = 1 / (27 * in_force[ids])
    np.testing.assert_allclose(weights, own[ids] * expected / expected.mean(), rtol=1e-5)
    in_order = np.concatenate([w.numpy() for _, _, w in train.in_order()])
    np.testing.assert_allclose(in_order, own, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["int64", "int32", "float64", "bool"])
def test_weights_of_the_user_s_own_may_be_of_any_type(dtype):
    x, y = numbered(27)
    p = np.random.default_rng(0).dirichlet(np.full(27, 5.0))
    options = {"seed": 0, "importance_weights": 1.0}
    own = np.ones(27, dtype)
    train = tfml.adaptive_dataset((x, y), Fixed(p), 4, sample_weight=own, **options)
    plain = tfml.adaptive_dataset((x, y), Fixed(p), 4, **options)
    np.testing.assert_allclose(batches(train)[0][1], batches(plain)[0][1], rtol=1e-6)


@pytest.mark.parametrize("weight", [np.ones(5), {"a": 1.0}], ids=["a label", "a dict"])
def test_a_stream_has_one_weight_a_sample(weight):
    x, y = numbered(64)
    source = tf.data.Dataset.from_tensor_slices((x, y)).map(lambda x, y: (x, y, weight))
    with pytest.raises(TypeError, match=r"Received: sample_weight of .*one number a sample"):
        source.apply(tfml.adaptive("uniform", 4, window=32, importance_weights=1.0))


@pytest.mark.parametrize("stream", [False, True])
def test_in_order_all_weigh_one(stream):
    x, y = numbered(27)
    if stream:
        source = tf.data.Dataset.from_tensor_slices((x, y))
        train = source.apply(tfml.adaptive("uniform", 4, window=16, importance_weights=1.0))
    else:
        train = tfml.adaptive_dataset((x, y), "uniform", 4, importance_weights=1.0)
    mapped = train.map(lambda x, y, w: (x, y, 2 * w))
    weights = np.concatenate([w.numpy() for _, _, w in mapped.in_order()])
    np.testing.assert_array_equal(weights, np.full(27, 2.0))
    run(linear(), mapped, epochs=2, scores="predict")


def test_their_exponent_may_rise():
    x, y = numbered(27)
    p = np.random.default_rng(0).dirichlet(np.full(27, 5.0))
    train = tfml.adaptive_dataset(
        (x, y), Fixed(p), 4, seed=0, importance_weights=Ramp(0.0, 1.0, end=2)
    )
    for (ids, weights, in_force), exponent in zip(batches(train), (0.0, 0.5, 1.0), strict=True):
        expected = (27 * in_force[ids]) ** -exponent
        np.testing.assert_allclose(weights, expected / expected.mean(), rtol=1e-5)


def test_warm_up_and_unattached_iterations_weigh_alike():
    x, y = numbered(27)
    p = np.random.default_rng(0).dirichlet(np.full(27, 5.0))
    train = tfml.adaptive_dataset((x, y), Fixed(p, warmup=1), 4, seed=0, importance_weights=1.0)
    assert all((w.numpy() == 1).all() for _, _, w in train.take(99))
    first, second, _ = batches(train)
    assert (first[1] == 1).all()
    assert (second[1] != 1).any()


def test_a_stream_s_batches_hold_them():
    x, y = numbered(64)
    p = np.random.default_rng(0).dirichlet(np.full(64, 5.0))
    source = tf.data.Dataset.from_tensor_slices((x, y))
    select = tfml.adaptive(Fixed(p), 4, window=32, seed=0, importance_weights=1.0)
    for ids, weights, in_force in batches(source.apply(select)):
        expected = 1 / (64 * in_force[ids])
        np.testing.assert_allclose(weights, expected / expected.mean(), rtol=1e-5)


def test_a_model_is_trained_with_them():
    """One step of SGD on all samples of an epoch is that of the weighted loss."""
    x, y = numbered(24)
    p = np.random.default_rng(0).dirichlet(np.full(24, 5.0))
    train = tfml.adaptive_dataset((x, y), Fixed(p), 24, seed=0, importance_weights=1.0)
    model = linear(rate=0.1)
    kernel = model.get_weights()[0].astype(np.float64)
    ids, weights, _ = batches(
        tfml.adaptive_dataset((x, y), Fixed(p), 24, seed=0, importance_weights=1.0)
    )[0]
    run(model, train, epochs=1)
    error = (x[ids] @ kernel - y[ids]) * weights[:, None]
    gradient = 2 * x[ids].T @ error / 24 / 5
    np.testing.assert_allclose(model.get_weights()[0], kernel - 0.1 * gradient, rtol=1e-4)


def test_without_them_batches_are_pairs():
    train = tfml.adaptive_dataset(numbered(27), "label_balanced", 4, seed=0)
    assert len(train.element_spec) == 2
    of_zero = tfml.adaptive_dataset(numbered(27), "uniform", 4, importance_weights=0)
    assert len(of_zero.element_spec) == 2


@pytest.mark.parametrize("value", [-0.1, 1.5, "1", True, Ramp(0.0, 2.0)])
def test_exponents_that_are_refused(value):
    with pytest.raises(ValueError, match=r"`importance_weights`.*Received: importance_weights="):
        tfml.adaptive_dataset(numbered(27), "uniform", 4, importance_weights=value)
