"""Positive weights as their formulas say it: float64, loops, no speed.

Written from the formulas alone (section 17), never from the package. What must hold: a = 0 is the
plain mean; with a = 1 the weights of a label's positives add up to the number of its negatives; the
weighted cross-entropy of a label with share f is least at the odds `w f / (1 - f)`.
"""

import numpy as np


def weight(odds, exponent, limit=100.0):
    """17: w of a positive of one label: ((1 - f) / f)^a with f = o / (1 + o), at most `limit`.

    1 for odds that say nothing: 0, NaN, infinity.
    """
    if not (0 < odds < np.inf):
        return 1.0
    share = odds / (1 + odds)
    w = ((1 - share) / share) ** exponent
    return min(max(w, 1 / limit), limit)


def weights(y, odds, exponent, limit=100.0):
    """(b, q), of each entry of `y` (b, q); a soft label is as much positive as it says."""
    y = np.asarray(y, np.float64)
    w = np.zeros(y.shape)
    for i, j in np.ndindex(*y.shape):
        w[i, j] = 1 + y[i, j] * (weight(odds[j], exponent, limit) - 1)
    return w


def loss(elementwise, y, odds, exponent, limit=100.0):
    """17: L_i (b,), of the entries' losses (b, q) and labels (b, q)."""
    elementwise = np.asarray(elementwise, np.float64)
    w = weights(y, odds, exponent, limit)
    b, q = elementwise.shape
    return np.array([sum(w[i, j] * elementwise[i, j] for j in range(q)) / q for i in range(b)])
