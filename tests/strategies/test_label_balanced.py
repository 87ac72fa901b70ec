"""LabelBalanced against its formula, a table worked by hand, and what it must never draw."""

import numpy as np
import pytest

from tests.support.oracles.label_balanced import probabilities
from tfmlselect.schedules import Decay, Ramp
from tfmlselect.strategies import LabelBalanced, Mixture

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


def built(y, *args, **options):
    strategy = LabelBalanced(*args, **options)
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


def test_table_of_a_quarter_uniform():
    p = 0.75 * P + 0.05  # 1/4 of 1/5
    assert p[4] == 0.05  # without labels
    np.testing.assert_allclose(probabilities(Y, 0.75), p, rtol=1e-12)
    np.testing.assert_allclose(built(Y, 0.75).probabilities(0), p, rtol=1e-12)


@pytest.mark.parametrize("share", [0, 0.3, 1])
def test_oracle_of_a_share(share):
    rng = np.random.default_rng(3)
    y = (rng.random((60, 7)) < np.linspace(0, 0.5, 7)).astype(np.uint8)
    p = np.asarray(built(y, share).probabilities(3))
    assert p.dtype == np.float64
    assert p.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(p, probabilities(y, share), rtol=1e-12)


def test_the_default_is_the_published_form_to_the_last_bit():
    balanced = Y[:, [0, 1, 3]] @ (1.0 / np.array([4, 1, 2]))
    np.testing.assert_array_equal(built(Y).probabilities(0), balanced / balanced.sum())
    assert built(Y).probabilities(0)[4] == 0


def test_nothing_balanced_is_uniform():
    np.testing.assert_allclose(built(Y, 0.0).probabilities(0), 0.2, rtol=1e-12)


def test_a_share_is_a_mixture_with_uniform():
    mixture = Mixture([("label_balanced", 0.4), ("uniform", 0.6)])
    mixture.build(Y)
    expected = mixture.probabilities(0)
    np.testing.assert_allclose(built(Y, 0.4).probabilities(0), expected, rtol=1e-12)


def test_a_share_that_falls_over_the_run():
    strategy = built(Y, Ramp(1.0, 0.0, 0.0, 0.5), epochs=8)
    for epoch, share in [(0, 1.0), (1, 0.75), (2, 0.5), (4, 0.0), (7, 0.0)]:
        expected = probabilities(Y, share)
        np.testing.assert_allclose(strategy.probabilities(epoch), expected, rtol=1e-12)
    strategy.run_epochs = 99  # of the constructor: it stays 8
    np.testing.assert_allclose(strategy.probabilities(2), probabilities(Y, 0.5), rtol=1e-12)


def test_whole_numbers_of_a_share_are_passes_over_the_data():
    strategy = built(Y, Ramp(1.0, 0.0, 0, 2))
    strategy.run_epochs = 40
    strategy.describe_run(length_is_known=True, passes_per_epoch=0.25)
    np.testing.assert_allclose(strategy.probabilities(2), probabilities(Y, 0.75), rtol=1e-12)


@pytest.mark.parametrize("share", [-0.1, 1.1, True, "half", Ramp(1.0, 2.0), Decay(4.0)], ids=str)
def test_no_share(share):
    with pytest.raises(ValueError, match=r"`share` .*Received: .+\. Pass .+\."):
        LabelBalanced(share)


def test_a_share_that_only_leaves_its_range_in_a_longer_run():
    strategy = built(Y, Ramp(0.5, 2.0, 0, 300), epochs=300)
    strategy.probabilities(100)
    with pytest.raises(ValueError, match=r"`share` .*Received: share=1\.25\."):
        strategy.probabilities(150)


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
