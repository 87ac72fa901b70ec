"""Partial Label Masking as its formulas say it: float64, loops, no speed.

Written from the formulas alone (section 7), never from the package.

What must hold (section 7, steps 1 and 5 and the known facts):

* E[kept positives] / E[kept negatives] = r̂, of each label that takes part, under the same
  distribution over samples that `odds` was given.
* The expected loss over all entries is the loss with the weights min(1, r̂/r) on positives and
  min(1, r/r̂) on negatives.
* Σ ln r̂ over the updated labels does not change while no clamp binds.
* r̂ = r masks nothing; a label without positives, or negatives, leaves the others finite.
"""

import numpy as np

DENOMINATORS = ("all", "kept")
DIRECTIONS = ("truth_predicted", "predicted_truth")


def odds(y, p=None):
    """7: r (q,), positives over negatives of `y` (n, q), or of samples drawn from `p` (n,).

    NaN for a label without positives or negatives: it takes no part.
    """
    y = np.asarray(y, np.float64)
    weight = np.ones(len(y)) if p is None else np.asarray(p, np.float64)
    r = np.full(y.shape[1], np.nan)
    for c in range(y.shape[1]):
        positives = np.sum(weight * y[:, c])
        negatives = np.sum(weight * (1 - y[:, c]))
        if positives > 0 and negatives > 0:
            r[c] = positives / negatives
    return r


def keep_probability(y, actual, ideal):
    """7.1: (b, q), of each entry of `y`, from r `actual` and r̂ `ideal` (q,); a NaN in either: 1."""
    y = np.asarray(y)
    keep = np.ones(y.shape)
    for i, c in np.ndindex(*y.shape):
        if np.isnan(actual[c]) or np.isnan(ideal[c]):
            continue
        if y[i, c] == 1 and actual[c] > ideal[c]:
            keep[i, c] = ideal[c] / actual[c]
        if y[i, c] == 0 and actual[c] < ideal[c]:
            keep[i, c] = actual[c] / ideal[c]
    return keep


def expected_loss(elementwise, keep, denominator="all"):
    """7.2: per sample (b,), each entry of `elementwise` (b, q) weighted by `keep` (b, q).

    Over "all" entries this is the expectation of `masked_loss`. Over "kept" it is the expected
    sum divided by the expected number of kept entries: not the expectation of the quotient.
    """
    if denominator not in DENOMINATORS:
        raise ValueError(f"Received: denominator={denominator!r}. Pass one of {DENOMINATORS}.")
    elementwise, keep = np.asarray(elementwise, np.float64), np.asarray(keep, np.float64)
    losses = np.zeros(len(keep))
    for i, weights in enumerate(keep):
        below = weights.size if denominator == "all" else weights.sum()
        if below > 0:
            losses[i] = np.sum(elementwise[i] * weights) / below
    return losses


def masked_loss(elementwise, mask, denominator="all"):
    """7.2: per sample (b,), under a drawn `mask` (b, q) of 0 and 1; a row with nothing kept: 0."""
    return expected_loss(elementwise, mask, denominator)


def histograms(y, p, bins=10):
    """7.3: (q, 2, bins), how many `p` (n, q) lie in each bin.

    [c, 1] counts positives of label c, [c, 0] negatives. A value at an inner edge belongs to the
    upper bin, 1 to the last.
    """
    y, p = np.asarray(y).astype(int), np.asarray(p, np.float64)
    edges = np.arange(1, bins) / bins
    counts = np.zeros((y.shape[1], 2, bins))
    for i, c in np.ndindex(*y.shape):
        counts[c, y[i, c], np.sum(edges <= p[i, c])] += 1
    return counts


def smoothed(counts, smoothing):
    """7.3: the masses (bins,) of counts (bins,), `smoothing` added to each mass."""
    return (counts / counts.sum() + smoothing) / (1 + counts.size * smoothing)


def divergence(counts, true_bin, direction, smoothing):
    """7.3: of one histogram (bins,) whose truth lies in `true_bin`; NaN if it is empty."""
    if direction not in DIRECTIONS:
        raise ValueError(f"Received: direction={direction!r}. Pass one of {DIRECTIONS}.")
    if counts.sum() == 0:
        return np.nan
    predicted = smoothed(counts, smoothing)
    if direction == "truth_predicted":
        return -np.log(predicted[true_bin])
    truth = np.zeros(counts.size)
    truth[true_bin] = counts.sum()
    truth = smoothed(truth, smoothing)
    return sum(m * np.log(m / t) for m, t in zip(predicted, truth, strict=True) if m > 0)


def divergences(histograms, direction="truth_predicted", smoothing=1e-3):
    """7.3: D+ (q,) and D- (q,), of histograms (q, 2, bins)."""
    histograms = np.asarray(histograms, np.float64)
    last = histograms.shape[2] - 1
    d_positive = [divergence(of[1], last, direction, smoothing) for of in histograms]
    d_negative = [divergence(of[0], 0, direction, smoothing) for of in histograms]
    return np.array(d_positive), np.array(d_negative)


def z_scores(values):
    """7.4: by the population standard deviation; all 0 where the values are all the same."""
    # Not `std == 0`: the mean of equal numbers may be rounded, and then z would be ±1.
    if values.size == 0 or values.max() == values.min():
        return np.zeros(values.shape)
    return (values - values.mean()) / values.std()


def update(ideal, actual, d_positive, d_negative, rate=0.01, limit=100.0):
    """7.4: the next r̂ (q,), with |ln(r̂ / r)| <= ln `limit`.

    A label without r, r̂, D+ or D- (NaN) takes no part: not in the z-scores, nor is it clamped.
    """
    ideal, actual = np.array(ideal, np.float64), np.asarray(actual, np.float64)
    d_positive, d_negative = np.asarray(d_positive), np.asarray(d_negative)
    part = ~np.isnan(ideal + actual + d_positive + d_negative)
    d = z_scores(d_positive[part]) - z_scores(d_negative[part])
    for c, d_c in zip(np.flatnonzero(part), d, strict=True):
        distance = np.log(ideal[c]) + rate * d_c - np.log(actual[c])
        distance = min(max(distance, -np.log(limit)), np.log(limit))
        ideal[c] = actual[c] * np.exp(distance)
    return ideal
