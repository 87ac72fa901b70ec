"""Uncertainty with dynamic label correlations as its formulas say it: float64, loops, no speed.

Written from the formulas alone (section 4, and section 1 for the pressure law), never from the
package.
"""

import numpy as np

from .d2ace import (
    binary_cross_entropy,
    clamp,
    decayed_pressure,
    mean_difference,
    pressure_probabilities,
    uncertainty,
)
from .visits import make_known

BINS = 5


def bin_of(u):
    """4.2: the bin of each entry, 0 to 4; the last bin holds 1 as well."""
    return np.minimum(np.floor(u * BINS).astype(int), BINS - 1)


def centre_of(bins):
    """4.2: the centre of each entry's bin."""
    return (bins + 0.5) / BINS


def near_an_edge(u, distance=1e-6):
    """Which entries lie so close to an inner edge of two bins that float32 may pass it."""
    edges = np.arange(1, BINS) / BINS
    return np.min(np.abs(u[..., None] - edges), axis=-1) <= distance


def mutual_information(a, b):
    """4.2: of two columns of bins, in nats: the sum of p(x, y) ln(p(x, y) / (p(x) p(y)))."""
    total = 0.0
    for x in range(BINS):
        for y in range(BINS):
            p_xy = np.mean((a == x) & (b == y))
            if p_xy > 0:
                total += p_xy * np.log(p_xy / (np.mean(a == x) * np.mean(b == y)))
    return total


def correlation(bins, known=None):
    """4.2: C, the mutual informations with a diagonal of 1, each row divided by its maximum.

    Each of the samples where both labels are known; without any, 0.
    """
    known = make_known(bins, known)[1]
    q = bins.shape[1]
    c = np.eye(q)
    for j in range(q):
        for k in range(q):
            both = known[:, j] & known[:, k]
            if j != k and both.any():
                c[j, k] = mutual_information(bins[both, j], bins[both, k])
    return c / c.max(axis=1, keepdims=True)


def weighted_sum(u, c):
    """4.2: w = (U C) 1."""
    return np.array([np.sum(row @ c) for row in u])


class UncertaintyOracle:
    """Uncertainty on `y` (n, q); `decay_start` is a fraction of `epochs`.

    A sample without a visit counts as p = 0.5 with d = 0.
    """

    def __init__(
        self,
        y,
        known=None,
        *,
        pressure=8.0,
        decay_start=0.1,
        epochs=100,
        window=5,
        correlated=True,
    ):
        self.y, self.known = make_known(y, known)
        self.pressure, self.decay_start, self.epochs = pressure, decay_start, epochs
        self.window, self.correlated = window, correlated
        self.history = [[] for _ in self.y]
        self.loss = np.full(self.y.shape, np.log(2))

    def observe(self, ids, y_pred):
        """Record one visit of each sample of a batch."""
        for row, i in enumerate(ids):
            p = clamp(y_pred[row])
            self.history[i].append(p)
            self.loss[i] = binary_cross_entropy(self.y[i], p)

    def uncertainties(self):
        """4.1: U (n, q)."""
        u = np.zeros(self.y.shape)
        for i, history in enumerate(self.history):
            p = history[-1] if history else np.full(self.y.shape[1], 0.5)
            u[i] = uncertainty(p, mean_difference(history, self.window))
        return u

    def scores(self):
        """4.2: w, or the plain sum of U."""
        u = self.uncertainties()
        if not self.correlated:
            return np.where(self.known, u, 0.0).sum(axis=1)
        bins = bin_of(u)
        centres = np.where(self.known, centre_of(bins), 0.0)  # 0: no part of the sum
        return weighted_sum(centres, correlation(bins, self.known))

    def pressure_at(self, epoch):
        """4.3: s(e)."""
        start = self.decay_start * self.epochs
        return decayed_pressure(epoch, self.pressure, start, self.epochs)

    def probabilities(self, epoch):
        """4.3: the pressure law."""
        return pressure_probabilities(self.scores(), self.pressure_at(epoch))
