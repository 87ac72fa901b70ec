"""`build`: labels of any form are checked once and left alone; a `build` of ones own counts."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import sparse

import tfmlselect as tfml
from tests.support.oracles import baselines
from tests.support.oracles.visits import observe_epoch
from tfmlselect import strategies
from tfmlselect.strategies import (
    D2ACE,
    HardImbalance,
    Learnability,
    Mixture,
    Strategy,
    Switch,
    base,
)

N, Q = 30, 4
MAKERS = {
    **{name: lambda name=name: strategies.get(name) for name in strategies.names()},
    "learnability": lambda: Learnability(np.linspace(0, 1, N)),
    "correlations": lambda: HardImbalance(correlations=True),
    "mixture": lambda: Mixture([("d2ace", 0.5), ("label_balanced", 0.5)]),
    "switch": lambda: Switch([("label_balanced", 3), ("d2ace", 1.0)]),
}


def make_data():
    """Labels, each with a positive, and features."""
    rng = np.random.default_rng(0)
    y = (rng.random((N, Q)) < np.linspace(0.1, 0.5, Q)).astype(np.uint8)
    y[range(Q), range(Q)] = 1
    return y, rng.normal(size=(N, 2))


def outcome(strategy, y):
    """The distribution after an epoch of visits, and a plan."""
    observe_epoch(strategy, baselines.Visits(y), np.random.default_rng(1))
    p = np.asarray(strategy.probabilities(5))
    return p, strategy.plan(p, 7, seed=0, epoch=1)


def expected(make):
    strategy, (y, features) = make(), make_data()
    strategy.build(y.tolist(), features=features)
    return outcome(strategy, y)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize(
    "form",
    [
        np.asarray,
        np.asfortranarray,
        sparse.csr_matrix,
        lambda y: y.astype(bool),
        lambda y: y.astype(np.float64),
        lambda y: y[:, ::-1][:, ::-1],
    ],
    ids=["uint8", "columns first", "sparse", "bool", "float64", "a view"],
)
def test_labels_of_any_form(make, form):
    strategy, (y, features) = make(), make_data()
    strategy.build(form(y), features=features)
    for found, wanted in zip(outcome(strategy, y), expected(make), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_labels_are_neither_written_to_nor_kept(make):
    strategy, (y, features) = make(), make_data()
    given = y.copy()
    given.flags.writeable = False
    strategy.build(given, features=features)
    given.flags.writeable = True
    given[:] = 1 - given
    for found, wanted in zip(outcome(strategy, y), expected(make), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize(
    "wrong",
    [
        np.full((N, Q), 2, np.uint8),
        np.zeros((N, 1), np.uint8),
        np.zeros((0, Q), np.uint8),
        np.zeros((N, Q, 1), np.uint8),
        np.full((N, Q), 0.5),
        np.zeros(N, np.int64),
    ],
    ids=["2", "one column", "no rows", "three dimensions", "one half", "one class"],
)
def test_what_are_no_labels(make, wrong):
    with pytest.raises(ValueError, match=r"Received: .*y.*\. [A-Z]"):
        make().build(wrong)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_dataset_has_checked_its_labels_already(make, monkeypatch):
    monkeypatch.setattr(base, "check_labels", None)
    y, x = make_data()
    tfml.adaptive_dataset((x, y.astype(np.float64)), strategy=make(), batch_size=8, seed=0)


class Remembers(Strategy):
    """Somebody's own, which takes what it is given."""

    def build(self, y, features=None, neighbors=None):
        self.given = y, features, neighbors

    def observe(self, ids, y_pred, loss=None):
        pass

    def probabilities(self, epoch):
        return tf.fill([N], tf.constant(1 / N, tf.float64))


class Scaled(D2ACE):
    """Somebody's own, which adds to `build` and to `figures`."""

    def build(self, y, features=None, neighbors=None):
        super().build(y, features, neighbors)
        self.scale = 2.0

    def figures(self, epoch):
        return {"scale": self.scale, **super().figures(epoch)}


def test_strategies_of_ones_own_override_build():
    y, x = make_data()
    alone, part, of_dataset = Remembers(), Remembers(), Remembers()
    alone.build(y, features=x)
    assert alone.given == (y, x, None)
    Mixture([(part, 1.0)]).build(y.argmax(axis=1), neighbors=[[1]])
    np.testing.assert_array_equal(part.given[0], np.eye(Q)[y.argmax(axis=1)])
    assert part.given[1:] == (None, [[1]])
    tfml.adaptive_dataset((x, y), strategy=of_dataset, batch_size=8)
    assert type(of_dataset.given[0]) is np.ndarray
    np.testing.assert_array_equal(of_dataset.given[0], y)


def test_a_strategy_of_the_package_with_a_build_of_ones_own():
    y, x = make_data()
    scaled, plain = Scaled(), D2ACE()
    for strategy in (scaled, plain):
        strategy.build(y, features=x)
    np.testing.assert_array_equal(scaled.probabilities(3), plain.probabilities(3))
    assert scaled.figures(3) == {"scale": 2.0, **plain.figures(3)}


def test_what_a_strategy_of_ones_own_must_have():
    y = make_data()[0]
    for call, name in [
        (lambda: Strategy().build(y), "build"),
        (lambda: Strategy().observe([0], y[:1]), "observe"),
        (lambda: Strategy().probabilities(0), "probabilities"),
    ]:
        with pytest.raises(NotImplementedError, match=f"Strategy needs an? `{name}` method"):
            call()


@pytest.mark.parametrize("kind", [D2ACE, Learnability])
def test_warnings_point_at_the_caller_of_build(kind):
    with pytest.warns(UserWarning, match="Received: ") as warned:
        kind().build(make_data()[0])
    assert [warning.filename for warning in warned] == [__file__]
