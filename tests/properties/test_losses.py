"""Losses of any labels, predictions and arguments, against their formulas in float64."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import tests.support.oracles.asymmetric_loss as asymmetric
import tests.support.oracles.partial_label_masking as masking
import tests.support.oracles.positive_weights as positive
import tests.support.oracles.thinned_likelihood as thinned
from tests.properties.examples import examples
from tfmlselect.losses import (
    AsymmetricLoss,
    PartialLabelMasking,
    PositiveWeights,
    ThinnedLikelihood,
)

CLOSE = {"rtol": 2e-4, "atol": 2e-5}
ODDS = st.one_of(st.sampled_from([0.0, np.inf, np.nan, 1.0]), st.floats(1e-4, 1e4))


@st.composite
def batches(draw):
    """Labels, logits, and what a model may give of them: (y, p, y_pred, from_logits)."""
    shape = draw(st.tuples(st.integers(1, 5), st.integers(2, 4)))
    y = draw(arrays("uint8", shape, elements=st.integers(0, 1)))
    logits = draw(arrays("float32", shape, elements=st.floats(-8, 8, width=32)))
    p = 1.0 / (1.0 + np.exp(-logits.astype(float)))
    from_logits = draw(st.booleans())
    kind = draw(st.sampled_from(["bool", "uint8", "float32"]))
    y_pred = logits if from_logits else p.astype("float32")
    return y.astype(kind), p, y_pred, from_logits


def cross_entropy(y, p):
    return -np.where(y, np.log(p), np.log1p(-p))


def odds_of(data, q):
    return np.array(data.draw(st.lists(ODDS, min_size=q, max_size=q), "odds"))


@examples(50)
@given(batches(), st.floats(0, 4), st.floats(0, 4), st.floats(0, 0.5))
def test_asymmetric_loss(batch, gamma_positive, gamma_negative, margin):
    y, p, y_pred, from_logits = batch
    loss = AsymmetricLoss(gamma_positive, gamma_negative, margin, from_logits, reduction="none")
    expected = asymmetric.asymmetric_loss(y, p, gamma_positive, gamma_negative, margin)
    np.testing.assert_allclose(loss(y, y_pred), expected.mean(axis=1), **CLOSE)


@examples(30)
@given(batches(), st.data(), st.floats(0, 1), st.floats(1.5, 1e3))
def test_positive_weights(batch, data, exponent, limit):
    y, p, y_pred, from_logits = batch
    odds = odds_of(data, y.shape[1])
    loss = PositiveWeights(
        odds=odds, exponent=exponent, limit=limit, from_logits=from_logits, reduction="none"
    )
    expected = positive.loss(cross_entropy(y, p), y, odds, exponent, limit)
    np.testing.assert_allclose(loss(y, y_pred), expected, **CLOSE)


@examples(30)
@given(batches(), st.data(), st.sampled_from(masking.DENOMINATORS))
def test_partial_label_masking(batch, data, denominator):
    y, p, y_pred, from_logits = batch
    q = y.shape[1]
    odds = odds_of(data, q)
    ideal = np.array(data.draw(st.lists(st.floats(1e-3, 1e3), min_size=q, max_size=q), "ideal"))
    loss = PartialLabelMasking(
        odds=odds,
        initial=ideal,
        mask="expected",
        denominator=denominator,
        from_logits=from_logits,
        reduction="none",
    )
    known = np.where(np.isfinite(odds) & (odds > 0), odds, np.nan)
    keep = masking.keep_probability(y, known, ideal)
    expected = masking.expected_loss(cross_entropy(y, p), keep, denominator)
    np.testing.assert_allclose(loss.call(y, y_pred), expected, **CLOSE)


@examples(30)
@given(batches(), st.data())
def test_thinned_likelihood(batch, data):
    y, p, y_pred, from_logits = batch
    b, q = y.shape
    labels = data.draw(st.none() | st.sets(st.integers(0, q - 1), min_size=1).map(sorted), "labels")
    rates = np.array(data.draw(st.lists(st.floats(0.01, 1), min_size=b, max_size=b), "rates"))
    loss = ThinnedLikelihood(labels=labels, from_logits=from_logits, reduction="none")
    columns = range(q) if labels is None else labels
    expected = [thinned.loss(y[i], p[i], rates[i], columns) / q for i in range(b)]
    np.testing.assert_allclose(loss.corrected(y, y_pred, rates.astype("f")), expected, **CLOSE)
    plain = cross_entropy(y, p).mean(axis=1)
    np.testing.assert_allclose(loss(y, y_pred), plain, **CLOSE)
