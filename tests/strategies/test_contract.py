"""The contract suite on every strategy of the registry, and what D2ACE promises beyond it."""

import json
import math

import numpy as np
import pytest
import tensorflow as tf

from tfmlselect import strategies
from tfmlselect.schedules import Ramp
from tfmlselect.scoring.correlations import PairContext, ProductContext, make_context
from tfmlselect.strategies import D2ACE, LabelBalanced, Mixture, RepeatFactor, Switch
from tfmlselect.testing import check_strategy

QUICK_VARIANTS = [
    LabelBalanced(Ramp(1.0, 0.25)),
    RepeatFactor(0.5, warmup=0.1),
    Mixture([("online_batch", 0.5), ("label_balanced", 0.5)]),
    Switch([("online_batch", 0.3), ("label_balanced", 1.0)]),
]
VARIANTS = [
    D2ACE(neighbors=0, hardness="loss", window=2, epochs=30),
    D2ACE(neighbors=9, hardness="released", flip_weight=1.0, window=9, pressure=100.0),
    D2ACE(warmup=2, decay_start=3, mix=(1.0, 0.0), mix_span=(0, 5)),
]
HARDNESS_BEFORE_ANY_VISIT = {"bounded": 0.5, "loss": math.log(2), "released": 1.5}


def make_data(n=60, q=7, density=0.6):
    """Labels with holes, features, and three visits of 40 of the samples."""
    rng = np.random.default_rng(0)
    y = (rng.random((n, q)) < np.linspace(0.0, density, q)).astype(np.uint8)
    y[::7], y[:, 1] = 0, 0
    visits = [(rng.permutation(n)[:40], np.float32(rng.random((40, q)))) for _ in range(3)]
    return y, rng.normal(size=(n, 3)), visits


def observe_all(strategy, visits, jit_compile=False):
    observe = tf.function(strategy.observe, jit_compile=jit_compile)
    for visit in visits:
        observe(*map(tf.constant, visit))


@pytest.mark.parametrize(
    "strategy",
    [
        *strategies.names(),
        *QUICK_VARIANTS,
        *(pytest.param(each, marks=pytest.mark.full) for each in VARIANTS),
    ],
    ids=str,
)
def test_contract(strategy):
    check_strategy(strategy)


def test_config_of_numpy_arguments_is_plain_python():
    strategy = D2ACE(np.float32(4), mix=np.float32([1, 0.5]), epochs=np.int64(30), warmup=0.5)
    assert json.loads(json.dumps(strategy.get_config()))["mix"] == [1.0, 0.5]
    assert type(strategy.get_config()["epochs"]) is int


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "name",
    [
        name if name == "d2ace" else pytest.param(name, marks=pytest.mark.full)
        for name in strategies.names()
    ],
)
def test_probabilities_compiled_by_xla(name):
    y, features, visits = make_data()
    strategy = strategies.get(name)
    strategy.build(y, features=features)
    observe_all(strategy, visits)
    p = strategy.probabilities(10).numpy()
    compiled = tf.function(strategy.probabilities, jit_compile=True)(10).numpy()
    np.testing.assert_array_equal(compiled > 0, p > 0)
    p, compiled = p[p > 0], compiled[p > 0]
    step = np.log(p.max() / p.min()) / len(p)  # of the quantised pressure law
    assert np.abs(np.log(compiled / p)).max() <= 2 * step + 1e-5


@pytest.mark.parametrize("data", [{}, {"q": 120, "density": 0.02}], ids=["products", "pairs"])
def test_d2ace_compiled_by_xla(data):
    y, features, visits = make_data(**data)
    assert isinstance(make_context(y, y), PairContext if data else ProductContext)
    plain, compiled = D2ACE(neighbors=2), D2ACE(neighbors=2)
    for each in (plain, compiled):
        each.build(y, features=features)
    observe_all(plain, visits)
    observe_all(compiled, visits, jit_compile=True)
    for name, variable in plain.state.items():
        np.testing.assert_allclose(compiled.state[name], variable, rtol=1e-5, atol=1e-6)
    scores = tf.function(plain.scores, jit_compile=True)()
    for score, expected in zip(scores, plain.scores(), strict=True):
        np.testing.assert_allclose(score, expected, rtol=1e-5)


@pytest.mark.parametrize("hardness", HARDNESS_BEFORE_ANY_VISIT)
def test_d2ace_before_any_visit(hardness):
    y, features, _ = make_data()
    strategy = D2ACE(hardness=hardness)
    strategy.build(y, features=features)
    np.testing.assert_array_equal(strategy.state["uncertainty"], 0.5)
    np.testing.assert_allclose(strategy.state["hardness"], HARDNESS_BEFORE_ANY_VISIT[hardness])
    p, without_labels = strategy.probabilities(0).numpy(), y.sum(axis=1) == 0
    np.testing.assert_array_equal(p[without_labels], p.min())
    assert p[~without_labels].max() > 7 * p.min()  # the pressure, but for rounding to 1/n


def test_d2ace_without_any_positive_is_uniform():
    strategy = D2ACE(neighbors=0)
    strategy.build(np.zeros((60, 7), np.uint8))
    np.testing.assert_allclose(strategy.probabilities(0), 1 / 60, rtol=1e-12)


def test_d2ace_with_predictions_of_one_half_is_as_before_any_visit():
    y, features, _ = make_data()
    strategy = D2ACE()
    strategy.build(y, features=features)
    before = strategy.probabilities(0)
    observe_all(strategy, [(np.arange(60), np.full(y.shape, 0.5, np.float32))] * 3)
    np.testing.assert_allclose(strategy.probabilities(0), before, rtol=1e-12)


def test_d2ace_with_constant_predictions_depends_on_labels_and_context_alone():
    y = np.repeat(np.random.default_rng(0).integers(0, 2, (20, 7), np.uint8), 3, axis=0)
    strategy = D2ACE(neighbors=0)
    strategy.build(y)
    constant = np.broadcast_to(np.linspace(0.01, 0.9, 7, dtype=np.float32), y.shape)
    observe_all(strategy, [(np.arange(60), constant)] * 3)
    uncertainty, hardness = (
        strategy.state["uncertainty"].numpy(),
        strategy.state["hardness"].numpy(),
    )
    np.testing.assert_allclose(uncertainty, uncertainty[:1].repeat(60, axis=0), rtol=1e-6)
    np.testing.assert_allclose(hardness, np.where(y == 1, 1 - constant, constant), rtol=1e-5)
    p = strategy.probabilities(0).numpy().reshape(20, 3)
    np.testing.assert_allclose(p, p[:, :1].repeat(3, axis=1), rtol=1e-12)
    assert len(np.unique(p[:, 0].round(9))) > 10


@pytest.mark.parametrize(
    ("q", "labels_per_sample", "k"), [(2, 1, 6), (5, 3, 0), (30, 3, 6), (300, 1, 70), (300, 9, 0)]
)
def test_d2ace_takes_at_most_40_bytes_per_sample_and_label(q, labels_per_sample, k):
    n = 400
    y = np.zeros((n, q), np.uint8)
    for label in range(labels_per_sample):
        y[np.arange(n), (np.arange(n) + label) % q] = 1
    strategy = D2ACE(neighbors=k)
    strategy.build(y, neighbors=(np.arange(n)[:, None] + np.arange(1, 71)) % n)
    signals = sum(each.numpy().nbytes for each in strategy.state.values())
    assert signals == 32 * n * q + 8 * n
    assert signals < sum(held_bytes(strategy).values()) <= 40 * n * q


def held_bytes(holder):
    """The bytes of all tensors and variables that an object holds, by identity."""
    if isinstance(holder, (tf.Tensor, tf.Variable, np.ndarray)):
        return {id(holder): np.asarray(holder).nbytes}
    found = {}
    if type(holder).__module__.startswith("tfmlselect"):
        for attribute in vars(holder).values():
            found.update(held_bytes(attribute))
    return found
