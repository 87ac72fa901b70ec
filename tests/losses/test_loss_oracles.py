"""The oracles of the losses and of the feature weakening, by hand and by what must hold.

Only oracles here, none of the package: a wrong oracle would take a right package along.
"""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import tests.support.oracles.asymmetric_loss as asymmetric
import tests.support.oracles.feature_weakening as weakening
import tests.support.oracles.loss_tables as table
import tests.support.oracles.partial_label_masking as masking

EXACT = {"rtol": 1e-12, "atol": 1e-15}


def random_problem(seed=0, n=60, q=7):
    rng = np.random.default_rng(seed)
    y = (rng.random((n, q)) < np.linspace(0.05, 0.8, q)).astype(np.uint8)
    y[:2] = [[1], [0]]
    return rng, y, rng.dirichlet(np.ones(n))


def central_difference(loss, at, step=1e-6):
    gradient = np.zeros(at.shape)
    for entry in np.ndindex(*at.shape):
        move = np.zeros(at.shape)
        move[entry] = step
        gradient[entry] = (loss(at + move) - loss(at - move)) / (2 * step)
    return gradient


def cross_entropy(y, p):
    return -(y * np.log(p) + (1 - y) * np.log(1 - p))


# Partial Label Masking


def test_odds_by_hand():
    assert_allclose(masking.odds(table.Y), table.ODDS, **EXACT)
    assert_allclose(masking.odds(table.Y, table.SAMPLE_PROBABILITIES), table.ODDS_OF_DRAWS, **EXACT)


def test_odds_without_negatives_are_none():
    assert_array_equal(masking.odds([[1, 0], [1, 1]]), [np.nan, 1])
    # Neither has what the distribution never draws.
    assert_array_equal(masking.odds([[1, 0], [0, 1], [1, 1]], [0.5, 0, 0.5]), [np.nan, 1])


@pytest.mark.parametrize(
    ("actual", "keep"),
    [(table.ODDS, table.KEEP), (table.ODDS_OF_DRAWS, table.KEEP_OF_DRAWS)],
    ids=["training set", "draws"],
)
def test_keep_probability_by_hand(actual, keep):
    assert_allclose(masking.keep_probability(table.Y, actual, table.IDEAL), keep, **EXACT)


@pytest.mark.parametrize("denominator", ["all", "kept"])
def test_losses_by_hand(denominator):
    assert_allclose(cross_entropy(table.Y, table.P), table.ELEMENTWISE, **EXACT)
    loss = masking.expected_loss(table.ELEMENTWISE, table.KEEP, denominator)
    assert_allclose(loss, table.EXPECTED_LOSS[denominator], **EXACT)
    loss = masking.masked_loss(table.ELEMENTWISE, table.MASK, denominator)
    assert_allclose(loss, table.MASKED_LOSS[denominator], **EXACT)


def test_histograms_by_hand():
    assert_array_equal(masking.histograms(table.Y, table.P, table.BINS), table.HISTOGRAMS)
    edges = masking.histograms(np.ones((6, 1)), table.EDGE_P, 10)
    assert_array_equal(edges, [[np.zeros(10), table.EDGE_HISTOGRAM]])


@pytest.mark.parametrize(
    ("direction", "expected"),
    [("truth_predicted", table.TRUTH_PREDICTED), ("predicted_truth", table.PREDICTED_TRUTH)],
)
def test_divergences_by_hand(direction, expected):
    d = masking.divergences(table.COUNTS, direction, table.SMOOTHING)
    assert_allclose(d, expected, **EXACT)


@pytest.mark.parametrize(
    ("limit", "expected"), [(100, table.IDEAL_AFTER), (table.CLAMPED_LIMIT, table.IDEAL_CLAMPED)]
)
def test_update_by_hand(limit, expected):
    d = table.D_POSITIVE, table.D_NEGATIVE
    ideal = masking.update(table.IDEAL_BEFORE, table.ACTUAL_BEFORE, *d, table.RATE, limit)
    assert_allclose(ideal, expected, **EXACT)


@pytest.mark.parametrize("drawn", [False, True])
def test_expected_kept_odds_are_the_ideal(drawn):
    rng, y, p = random_problem()
    p = p if drawn else np.full(len(y), 1 / len(y))
    actual = masking.odds(y, p if drawn else None)
    ideal = actual * np.exp(rng.normal(0, 2, actual.size))
    kept = p[:, None] * masking.keep_probability(y, actual, ideal)
    assert_allclose((kept * y).sum(axis=0) / (kept * (1 - y)).sum(axis=0), ideal, rtol=1e-10)


def test_ideal_as_actual_keeps_all():
    _, y, _ = random_problem()
    r = masking.odds(y)
    assert_array_equal(masking.keep_probability(y, r, r), 1)


def test_expected_loss_is_the_mean_over_all_masks():
    expected = np.zeros(len(table.Y))
    for row in itertools.product([0, 1], repeat=3):
        mask = np.tile(row, (len(table.Y), 1))
        chance = np.prod(np.where(mask, table.KEEP, 1 - table.KEEP), axis=1)
        expected += chance * masking.masked_loss(table.ELEMENTWISE, mask)
    assert_allclose(expected, masking.expected_loss(table.ELEMENTWISE, table.KEEP), **EXACT)


def test_expected_loss_is_the_weighted_one():
    rng, y, _ = random_problem()
    r = masking.odds(y)
    ideal = r * np.exp(rng.normal(0, 2, r.size))
    weight = np.where(y == 1, np.minimum(1, ideal / r), np.minimum(1, r / ideal))
    losses = cross_entropy(y, rng.uniform(0.01, 0.99, y.shape))
    keep = masking.keep_probability(y, r, ideal)
    assert_allclose(masking.expected_loss(losses, keep), (losses * weight).mean(axis=1), **EXACT)


@pytest.mark.parametrize("direction", masking.DIRECTIONS)
def test_the_level_of_the_ideal_ratios_stays(direction):
    rng, y, p = random_problem()
    r = masking.odds(y, p)
    d = masking.divergences(masking.histograms(y, rng.random(y.shape)), direction)
    after = masking.update(r, r, *d, rate=0.1)
    assert np.all(after != r)
    assert_allclose(np.log(after).sum(), np.log(r).sum(), rtol=1e-12)
    clamped = masking.update(r, r, *d, rate=5, limit=2)
    assert_allclose(np.max(np.abs(np.log(clamped / r))), np.log(2), rtol=1e-12)


def test_equal_divergences_leave_the_ideal_ratios():
    # Three times .1 has a rounded mean and a standard deviation above 0.
    r = np.array([0.5, 0.2, 0.1])
    assert_allclose(masking.update(r, r, np.full(3, 0.1), np.full(3, 0.7), rate=1), r, **EXACT)


@pytest.mark.parametrize("direction", masking.DIRECTIONS)
def test_a_right_prediction_diverges_least(direction):
    counts = np.array([[[9, 0, 0], [0, 0, 9]], [[8, 1, 0], [0, 1, 8]], [[0, 0, 9], [9, 0, 0]]])
    for d in masking.divergences(counts, direction):
        assert d[0] < d[1] < d[2]
        assert abs(d[0]) < 1e-2


# Major feature weakening


@pytest.mark.parametrize(
    ("y", "sizes", "strength"),
    [
        (table.Y_ONEHOT, table.SIZES_ONEHOT, table.STRENGTH),
        (table.Y_MULTILABEL, table.SIZES_MULTILABEL, table.STRENGTH_MULTILABEL),
    ],
    ids=["single-label", "multi-label"],
)
def test_strength_by_hand(y, sizes, strength):
    found = weakening.sample_sizes(y, table.SIZES)
    assert_array_equal(found, sizes)
    settings = table.LARGEST_STRENGTH, table.EXPONENT
    assert_allclose(weakening.strength(found, 1, *settings), strength, **EXACT)


def test_relative_strength_by_hand():
    sizes = table.SIZES_ONEHOT
    settings = table.LARGEST_STRENGTH, table.EXPONENT
    a = weakening.relative_strength(sizes, sizes[table.PARTNERS_RELATIVE], *settings)
    assert_allclose(a, table.RELATIVE_STRENGTH, **EXACT)


def test_weakened_features_by_hand():
    mixed = weakening.weaken(table.FEATURES, table.PARTNERS, table.STRENGTH)
    assert_allclose(mixed, table.WEAKENED, **EXACT)
    mixed = weakening.weaken(table.FEATURES, table.PARTNERS_RELATIVE, table.RELATIVE_STRENGTH)
    assert_allclose(mixed, table.WEAKENED_RELATIVE, **EXACT)


def test_feature_gradients_by_hand():
    g = weakening.softmax_feature_gradient(table.LOGITS_SOFTMAX, table.Y_ONEHOT, table.KERNEL)
    assert_allclose(g, table.GRADIENT_SOFTMAX, **EXACT)
    assert_allclose(weakening.mean_norms(g, table.Y_ONEHOT), table.MEAN_NORMS_SOFTMAX, **EXACT)
    g = weakening.sigmoid_feature_gradient(table.LOGITS_SIGMOID, table.Y_MULTILABEL, table.KERNEL)
    assert_allclose(g, table.GRADIENT_SIGMOID, **EXACT)
    assert_allclose(weakening.mean_norms(g, table.Y_MULTILABEL), table.MEAN_NORMS_SIGMOID, **EXACT)


def test_feature_gradients_are_gradients():
    rng = np.random.default_rng(0)
    features, kernel, bias = rng.normal(size=(5, 4)), rng.normal(size=(4, 3)), rng.normal(size=3)
    logits = features @ kernel + bias
    y = np.eye(3)[[0, 1, 2, 1, 0]]

    def categorical(f):
        return -np.sum(y * np.log(weakening.softmax(f @ kernel + bias)))

    g = weakening.softmax_feature_gradient(logits, y, kernel)
    assert_allclose(g, central_difference(categorical, features), atol=1e-8)
    y = (rng.random((5, 3)) < 0.5).astype(float)

    def binary(f):
        return cross_entropy(y, weakening.sigmoid(f @ kernel + bias)).sum()

    g = weakening.sigmoid_feature_gradient(logits, y, kernel)
    assert_allclose(g, central_difference(binary, features), atol=1e-8)


def test_the_smallest_class_is_never_weakened():
    sizes = np.array([3, 3, 50, 700])
    absolute = weakening.strength(sizes, 3)
    assert_array_equal(absolute[:2], 0)
    assert np.all(np.diff(absolute[1:]) > 0)
    for partner in sizes:
        relative = weakening.relative_strength(sizes, np.full(4, partner))
        assert_array_equal(relative[:2], 0)
        assert np.all((relative >= 0) & (relative < 0.5))


# Asymmetric loss


def test_asymmetric_loss_by_hand():
    loss = asymmetric.asymmetric_loss(table.ASL_Y, table.ASL_P, **table.ASL)
    assert_allclose(loss, table.ASL_LOSS, **EXACT)
    gradient = asymmetric.logit_gradient(table.ASL_Y, table.ASL_LOGITS, **table.ASL)
    assert_allclose(gradient, table.ASL_GRADIENT, **EXACT)


def test_asymmetric_loss_without_focus_is_cross_entropy():
    rng, y, _ = random_problem()
    p = rng.uniform(0.001, 0.999, y.shape)
    assert_allclose(asymmetric.asymmetric_loss(y, p, 0, 0, 0), cross_entropy(y, p), rtol=1e-12)
    logits = np.log(p / (1 - p))
    assert_allclose(asymmetric.logit_gradient(y, logits, 0, 0, 0), p - y, rtol=1e-10)


def test_asymmetric_loss_is_finite_at_both_ends():
    loss = asymmetric.asymmetric_loss([[1, 0, 1, 0]], [[0.0, 1.0, 1.0, 0.0]], 0, 4, 0)
    # In float64, 1 - (1 - 1e-7) is 1e-7 to nine digits.
    ends = -np.log(1e-7) * np.array([[1, (1 - 1e-7) ** 4, 0, 0]])
    assert_allclose(loss, ends, rtol=1e-8, atol=2e-7)


@pytest.mark.parametrize(
    "settings",
    [(0, 0, 0), (0, 4, 0.05), (1, 4, 0.05), (2, 2, 0), (0, 1, 0.2), (0.5, 0.5, 0), (0, 0, 0.2)],
    ids=str,
)
def test_asymmetric_gradients_agree(settings):
    # None of the grid's points lies within a step of p = m.
    logits = np.tile(np.linspace(-8, 8, 81), (2, 1))
    y = np.repeat([[0], [1]], 81, axis=1)
    closed = asymmetric.logit_gradient(y, logits, *settings)
    numeric = asymmetric.numeric_logit_gradient(y, logits, *settings)
    assert_allclose(closed, numeric, rtol=1e-6, atol=1e-9)


def test_asymmetric_gradient_is_zero_where_clamped():
    logits, y = np.array([[-20.0, 20.0, -20.0, 20.0]]), np.array([[1, 1, 0, 0]])
    for gradient in (asymmetric.logit_gradient, asymmetric.numeric_logit_gradient):
        assert_array_equal(gradient(y, logits), 0)
