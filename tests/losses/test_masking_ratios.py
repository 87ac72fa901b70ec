"""Histograms, divergences and the update of the ideal ratios, against a slow oracle."""

import numpy as np
import pytest
import tensorflow as tf

import tests.support.oracles.loss_tables as table
import tests.support.oracles.partial_label_masking as oracle
from tfmlselect.losses.masking_ratios import (
    DIRECTIONS,
    LabelHistograms,
    divergences,
    updated_ratios,
)


def random_batch(seed=0, n=300, q=6):
    rng = np.random.default_rng(seed)
    y = (rng.random((n, q)) < np.linspace(0.05, 0.8, q)).astype("float32")
    return y, rng.random((n, q), "float32")


def test_histograms_by_hand():
    histograms = LabelHistograms(3, table.BINS)
    histograms.add(table.Y.astype("float32"), table.P.astype("float32"))
    np.testing.assert_array_equal(histograms.read(), table.HISTOGRAMS)


def test_edges_belong_to_the_upper_bin():
    histograms = LabelHistograms(1, 10)
    histograms.add(np.ones((6, 1), "float32"), table.EDGE_P.astype("float32"))
    np.testing.assert_array_equal(histograms.read()[0, 1], table.EDGE_HISTOGRAM)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_batches_add_up(jit_compile):
    y, p = random_batch()
    histograms = LabelHistograms(6, 10)
    add = tf.function(histograms.add, jit_compile=jit_compile)
    for part in (slice(0, 100), slice(100, 300)):
        add(y[part], p[part])
    np.testing.assert_array_equal(histograms.read(), oracle.histograms(y, p))
    histograms.reset()
    assert histograms.read().sum() == 0


def test_rows_that_are_not_finite_are_left_out():
    y, p = random_batch()
    p[[3, 7], [0, 5]] = np.nan, np.inf
    histograms = LabelHistograms(6, 10)
    histograms.add(y, p)
    good = np.isfinite(p).all(axis=1)
    np.testing.assert_array_equal(histograms.read(), oracle.histograms(y[good], p[good]))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_divergences(direction):
    by_hand = dict(zip(DIRECTIONS, (table.TRUTH_PREDICTED, table.PREDICTED_TRUTH), strict=True))
    found = divergences(table.COUNTS, direction, table.SMOOTHING)
    np.testing.assert_allclose(found, by_hand[direction], rtol=1e-12, atol=1e-15)
    y, p = random_batch()
    counts = oracle.histograms(y, p)
    expected = oracle.divergences(counts, direction, 1e-3)
    np.testing.assert_allclose(divergences(counts, direction, 1e-3), expected, rtol=1e-12)


def test_divergence_does_not_know_how_many_there_are():
    once, often = np.array([[[3, 1, 0], [0, 0, 1]]]), np.array([[[300, 100, 0], [0, 0, 100]]])
    for direction in DIRECTIONS:
        np.testing.assert_allclose(
            divergences(once, direction, 1e-3), divergences(often, direction, 1e-3), rtol=1e-12
        )


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(100.0, table.IDEAL_AFTER), (table.CLAMPED_LIMIT, table.IDEAL_CLAMPED)],
    ids=["free", "clamped"],
)
def test_update_by_hand(limit, expected):
    after = updated_ratios(
        table.IDEAL_BEFORE,
        table.ACTUAL_BEFORE,
        table.D_POSITIVE,
        table.D_NEGATIVE,
        table.RATE,
        limit,
    )
    np.testing.assert_allclose(after, expected, rtol=1e-12)


def random_ratios(seed=2, q=9):
    rng = np.random.default_rng(seed)
    actual = rng.lognormal(size=q)
    return actual * rng.lognormal(0, 0.1, q), actual, rng.random(q), rng.random(q)


def test_update_against_the_oracle():
    ideal, actual, positive, negative = random_ratios()
    positive[2], actual[5] = np.nan, np.nan
    for rate, limit in ((0.01, 100.0), (1.0, 1.5)):
        after = updated_ratios(ideal, actual, positive, negative, rate, limit)
        expected = oracle.update(ideal, actual, positive, negative, rate, limit)
        np.testing.assert_allclose(after, expected, rtol=1e-12)


def test_the_sum_of_logarithms_stays():
    ideal, actual, positive, negative = random_ratios()
    after = updated_ratios(ideal, actual, positive, negative, 0.3, 1e6)
    assert np.abs(after / ideal - 1).max() > 0.1
    assert np.log(after).sum() == pytest.approx(np.log(ideal).sum(), abs=1e-12)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 7.0])
def test_equal_divergences_move_nothing(value):
    ideal, actual, _, _ = random_ratios()
    same = np.full(9, value)
    np.testing.assert_allclose(updated_ratios(ideal, actual, same, same, 1.0, 100), ideal, 1e-12)


def test_permuting_labels_permutes_ratios():
    order = np.random.default_rng(0).permutation(9)
    arrays = random_ratios()
    moved = updated_ratios(*(each[order] for each in arrays), 0.3, 100)
    np.testing.assert_allclose(moved, updated_ratios(*arrays, 0.3, 100)[order], rtol=1e-12)


def test_labels_of_any_type():
    y, p = random_batch()
    for dtype in ("uint8", "bool", "int64", "float64"):
        histograms = LabelHistograms(6, 10)
        histograms.add(tf.constant(y.astype(dtype)), p)
        np.testing.assert_array_equal(histograms.read(), oracle.histograms(y, p))
