"""Positive hardness as its formulas say it: float64, loops, no thought of speed.

Written from the formulas alone, never from the package. Section 9; hardness, flip average and
pressure law are those of sections 5.2, 5.3 and 1, in the oracle of D2ACE.
"""

import numpy as np

from tests.support.oracles.d2ace import (
    binary_cross_entropy,
    clamp,
    decayed_pressure,
    flip_average,
    hardness,
    pressure_probabilities,
)
from tests.support.oracles.hard_imbalance import imbalance_ratios
from tests.support.oracles.visits import make_known, mean_known


def label_weights(h, y):
    """9.1: v, with mean 1 over the labels that have positives; 0 for one that has none."""
    ratios = imbalance_ratios(y)
    present = [j for j in range(y.shape[1]) if y[:, j].any()]
    v = np.zeros(y.shape[1])
    for j in present:
        v[j] = np.mean(h[y[:, j] == 1, j]) * np.sqrt(ratios[j])
    return v / np.mean(v[present])


def score(h, v, y, known=None):
    """9.2: the weighted hardness of the positives, and a quarter of the overall hardness.

    Both means of the overall hardness are of the known entries.
    """
    y, known = make_known(y, known)
    everywhere = mean_known(h, known)
    values = []
    for i in range(len(y)):
        positives = np.flatnonzero(y[i])
        own = np.mean(v[positives] * h[i, positives]) if len(positives) else 0.0
        overall = mean_known(h[i], known[i]) / everywhere if everywhere else 0.0
        values.append(own + 0.25 * overall)
    return np.array(values)


class PositiveHardnessOracle:
    """Positive hardness on `y` (n, q); `decay_start` is a fraction of `epochs`, not rounded.

    A sample without a visit counts as p = 0.5: F = 0 and l = ln 2.
    """

    def __init__(
        self,
        y,
        known=None,
        *,
        pressure=16.0,
        decay_start=0.02,
        epochs=100,
        hardness="bounded",
        flip_weight=0.7,
    ):
        self.y, self.known = make_known(y, known)
        self.pressure, self.decay_start, self.epochs = pressure, decay_start, epochs
        self.kind, self.flip_weight = hardness, flip_weight
        self.history = [[] for _ in self.y]  # every visit of a sample, in order
        self.loss = np.full(self.y.shape, np.log(2))  # of the latest visit

    def observe(self, ids, y_pred, loss=None):
        """Record one visit of each sample of a batch."""
        for row, i in enumerate(ids):
            p = clamp(y_pred[row])
            self.history[i].append(p)
            self.loss[i] = binary_cross_entropy(self.y[i], p) if loss is None else loss[row]

    def hardness(self):
        """5.3: h, (n, q)."""
        flips = [flip_average(history, self.flip_weight) for history in self.history]
        return np.array(
            [hardness(loss, flip, self.kind) for loss, flip in zip(self.loss, flips, strict=True)]
        )

    def scores(self):
        """9.1 and 9.2: (n,)."""
        h = self.hardness()
        return score(h, label_weights(h, self.y), self.y, self.known)

    def pressure_at(self, epoch):
        """9.3: s(e)."""
        start = self.decay_start * self.epochs
        return decayed_pressure(epoch, self.pressure, start, self.epochs)

    def probabilities(self, epoch):
        """9.3: (n,)."""
        return pressure_probabilities(self.scores(), self.pressure_at(epoch))
