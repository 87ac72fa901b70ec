"""The baselines of section 6 as their formulas say them: float64, loops, no thought of speed.

Written from the formulas alone, never from the package. Every oracle keeps all visits of all
samples and replays them.
"""

import numpy as np

from .d2ace import (
    binary_cross_entropy,
    binary_entropy,
    clamp,
    decayed_pressure,
    min_max,
    pressure_probabilities,
)
from .visits import make_known, mean_known


class Visits:
    """Every prediction of every sample, in order, and its latest losses (ln 2 without a visit)."""

    def __init__(self, y, known=None):
        self.y, self.known = make_known(y, known)
        self.history = [[] for _ in self.y]
        self.loss = np.full(self.y.shape, np.log(2))

    def observe(self, ids, y_pred, loss=None):
        """Record one visit of each sample of a batch."""
        for row, i in enumerate(ids):
            p = clamp(y_pred[row])
            self.history[i].append(p)
            self.loss[i] = binary_cross_entropy(self.y[i], p) if loss is None else loss[row]

    def mean_losses(self):
        """The mean over the labels of each sample that are known."""
        return np.array([mean_known(*row) for row in zip(self.loss, self.known, strict=True)])


def average_ranks(values):
    """Rank 1 for the largest; those that are equal share the mean of their ranks."""
    ranks = np.zeros(len(values))
    for i, value in enumerate(values):
        larger = sum(other > value for other in values)
        equal = sum(other == value for other in values)
        ranks[i] = larger + (equal + 1) / 2  # the mean of larger + 1 .. larger + equal
    return ranks


def rank_probabilities(ranks, pressure):
    """p proportional to exp(ln(s)/n)^(-r)."""
    weight = np.exp(np.log(pressure) / len(ranks)) ** -ranks
    return weight / weight.sum()


class OnlineBatchOracle(Visits):
    """Ranks of the latest mean loss; pressure 100, decaying to 1 over the whole run."""

    def __init__(self, y, known=None, *, pressure=100.0, epochs=100):
        super().__init__(y, known)
        self.pressure, self.epochs = pressure, epochs

    def scores(self):
        return self.mean_losses()

    def pressure_at(self, epoch):
        return decayed_pressure(epoch, self.pressure, 0, self.epochs)

    def probabilities(self, epoch):
        return rank_probabilities(average_ranks(self.scores()), self.pressure_at(epoch))


def spread(history):
    """sum over labels of sqrt(v + v^2 / k), v the sample variance of k recorded probabilities."""
    k = len(history)
    mean = sum(history) / k
    variance = sum((p - mean) ** 2 for p in history) / (k - 1)
    return np.sum(np.sqrt(variance + variance**2 / k))


class ActiveBiasOracle(Visits):
    """Spread of the probability of the true outcome, plus the mean spread."""

    def scores(self):
        n = len(self.y)
        first = np.full(n, np.nan)
        for i, history in enumerate(self.history):
            if len(history) >= 2:
                true = [np.where(self.y[i] == 1, p, 1 - p)[self.known[i]] for p in history]
                first[i] = spread(true)
        if np.all(np.isnan(first)):
            return np.zeros(n)
        first[np.isnan(first)] = np.nanmean(first)
        return first + first.mean()

    def probabilities(self, epoch):
        scores = self.scores()
        if scores.sum() == 0:
            return np.full(len(scores), 1 / len(scores))
        return scores / scores.sum()


def share_entropy(share):
    """Binary entropy in bits; shares of 0 and 1 have none."""
    inner = (share > 0) & (share < 1)
    return np.where(inner, binary_entropy(np.where(inner, share, 0.5)), 0.0)


class RecencyBiasOracle(Visits):
    """Entropy of the last decisions; pressure 100, decaying to 1 from 0.1 of the run on."""

    def __init__(self, y, known=None, *, window=10, pressure=100.0, decay_start=0.1, epochs=100):
        super().__init__(y, known)
        self.window, self.pressure = window, pressure
        self.decay_start, self.epochs = decay_start, epochs

    def scores(self):
        scores = np.zeros(len(self.y))
        for i, history in enumerate(self.history):
            decisions = [p >= 0.5 for p in history[-self.window :]]
            if decisions:  # otherwise nothing is there, and its entropy is 0
                scores[i] = share_entropy(np.mean(decisions, axis=0))[self.known[i]].sum()
        return scores

    def pressure_at(self, epoch):
        return decayed_pressure(epoch, self.pressure, self.decay_start * self.epochs, self.epochs)

    def probabilities(self, epoch):
        return pressure_probabilities(min_max(self.scores()), self.pressure_at(epoch))


class LearnabilityOracle(Visits):
    """Mean loss minus the mean loss of a reference; a constant pressure of 8."""

    def __init__(self, y, reference=None, known=None, *, pressure=8.0):
        super().__init__(y, known)
        self.reference = np.zeros(len(self.y)) if reference is None else np.asarray(reference)
        self.pressure = pressure

    def scores(self):
        reference = self.reference
        if reference.ndim == 2:
            rows = zip(reference, self.known, strict=True)
            reference = np.array([mean_known(*row) for row in rows])
        return self.mean_losses() - reference

    def pressure_at(self, epoch):
        return self.pressure

    def probabilities(self, epoch):
        return pressure_probabilities(self.scores(), self.pressure)


def mixture(weights, probabilities):
    """The weighted sum of distributions."""
    return sum(w * p for w, p in zip(weights, probabilities, strict=True))
