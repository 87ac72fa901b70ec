"""LabelBalanced against its formula, a table worked by hand, and what it must never draw."""

import numpy as np
import pytest

from tests.support.oracles.label_balanced import probabilities
from tfmlselect.strategies import LabelBalanced

# n = 5, q = 4; label 2 has no positives, sample 4 no labels. Counts 4 1 0 2, so the three other
# labels are drawn with 1/3 each.
Y = np.array([[1, 1, 0, 0], [1, 0, 0, 1], [1, 0, 0, 1], [1, 0, 0, 0], [0, 0, 0, 0]], np.uint8)
P = np.array(
    [
        5 / 12,  # (1/4 + 1) / 3
        1 / 4,  # (1/4 + 1/2) / 3
        1 / 4,
        1 / 12,  # (1/4) / 3
        0,
    ]
)


def built(y):
    strategy = LabelBalanced()
    strategy.build(y)
    return strategy


def test_table():
    np.testing.assert_allclose(probabilities(Y), P, rtol=1e-12)
    np.testing.assert_allclose(built(Y).probabilities(0), P, rtol=1e-12)


@pytest.mark.parametrize(("n", "q"), [(37, 5), (300, 20)])
def test_oracle(n, q):
    rng = np.random.default_rng(n)
    y = (rng.random((n, q)) < np.linspace(0, 0.5, q)).astype(np.uint8)
    y[::7] = 0
    p = np.asarray(built(y).probabilities(3))
    assert p.dtype == np.float64
    assert p.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(p, probabilities(y), rtol=1e-12)


def test_class_ids_draw_each_class_equally_often():
    p = np.asarray(built(np.array([0, 0, 0, 1, 2, 2])).probabilities(0))
    np.testing.assert_allclose(p, [1 / 9, 1 / 9, 1 / 9, 1 / 3, 1 / 6, 1 / 6], rtol=1e-12)


def test_visits_change_nothing():
    strategy = built(Y)
    strategy.observe(np.array([0, 1]), np.full((2, 4), 0.9, np.float32))
    for epoch in (0, 50, 200):
        np.testing.assert_allclose(strategy.probabilities(epoch), P, rtol=1e-12)


def test_samples_without_labels_are_never_drawn():
    strategy = built(Y)
    p = strategy.probabilities(0)
    drawn = np.concatenate([strategy.plan(p, 2, 0, epoch) for epoch in range(200)])
    assert set(drawn) == {0, 1, 2, 3}


def test_labels_that_are_all_empty_are_drawn_uniformly():
    np.testing.assert_allclose(built(np.zeros((4, 2), np.uint8)).probabilities(0), 0.25)
