"""Adaptive balance as its formulas say it: float64, loops, no thought of speed.

Written from the formulas alone, never from the package: sections 10.1 and 11.
"""

import numpy as np

from tests.support.oracles.d2ace import clamp
from tests.support.oracles.visits import make_known


def water_filled(p, cap):
    """10.1: min(cap, c p) with c such that the sum is 1, by capping the largest, one by one."""
    p = np.asarray(p, np.float64)
    order = sorted(range(len(p)), key=lambda i: -p[i])
    filled = np.zeros(len(p))
    left, mass = 1.0, sum(p)
    for place, i in enumerate(order):
        if mass <= 0:  # nothing positive is left: the rest is shared alike
            for other in order[place:]:
                filled[other] = left / (len(p) - place)
            break
        if left * p[i] / mass <= cap:
            for other in order[place:]:
                filled[other] = left * p[other] / mass
            break
        filled[i] = cap
        left, mass = left - cap, sum(p[other] for other in order[place + 1 :])
    return filled


def discrimination(y, known, history, j):
    """11.1: Tjur's D of one label, of the samples that were visited; an empty mean is 0."""
    seen = [i for i, visits in enumerate(history) if visits and known[i][j]]
    positive = [history[i][-1][j] for i in seen if y[i][j] == 1]
    negative = [history[i][-1][j] for i in seen if y[i][j] == 0]
    means = [sum(values) / len(values) if values else 0.0 for values in (positive, negative)]
    return means[0] - means[1]


def f1(y, known, history, j):
    """F1 of one label at a threshold of 0.5, of the samples that were visited."""
    right = wrong = missed = 0
    for i, visits in enumerate(history):
        if not visits or not known[i][j]:
            continue
        said = visits[-1][j] >= 0.5
        right += said and y[i][j] == 1
        wrong += said and y[i][j] == 0
        missed += not said and y[i][j] == 1
    return 0.0 if right == 0 else 2 * right / (2 * right + wrong + missed)


def drawn_by_labels(y, weights):
    """11.2: b: a label by its weight, then one of its positives uniformly."""
    b = np.zeros(len(y))
    for j in range(y.shape[1]):
        if weights[j] > 0:
            for i in np.flatnonzero(y[:, j]):
                b[i] += weights[j] / sum(weights) / y[:, j].sum()
    return b


def corrected(y, lacks, rounds):
    """11.4: weights of the labels after some rounds; targets sum to what they share out now."""
    counts = y.sum(axis=0)
    rare = [j for j in range(len(counts)) if 0 < counts[j] < np.median(counts[counts > 0])]
    weights = list(lacks)
    for _ in range(rounds):
        b = drawn_by_labels(y, weights)
        gets = {j: sum(b[i] for i in range(len(y)) if y[i, j] == 1) for j in rare}
        scale = sum(gets.values()) / max(sum(lacks[j] for j in rare), 1e-300)
        for j in rare:
            if lacks[j] > 0:
                moved = weights[j] * (scale * lacks[j] / gets[j]) ** 0.3
                weights[j] = min(max(moved, lacks[j] / 10), lacks[j] * 10)
    return weights


class AdaptiveBalanceOracle:
    """Adaptive balance on `y` (n, q), in a run of `epochs`.

    `share` is the largest share, or a function of the part of the run that is done.
    """

    def __init__(
        self,
        y,
        known=None,
        *,
        share=0.9,
        max_repeats=20.0,
        correction_rounds=0,
        lack="tjur",
        epochs=None,
    ):
        self.y, self.known = make_known(y, known)
        self.share, self.max_repeats, self.rounds = share, max_repeats, correction_rounds
        self.kind, self.epochs = lack, epochs
        self.history = [[] for _ in self.y]  # every visit of a sample, in order

    def observe(self, ids, y_pred, loss=None):
        """Record one visit of each sample of a batch."""
        for row, i in enumerate(ids):
            self.history[i].append(clamp(y_pred[row]))

    def learnt(self):
        """11.1: D of each label, or its F1."""
        measure = f1 if self.kind == "f1" else discrimination
        return [measure(self.y, self.known, self.history, j) for j in range(self.y.shape[1])]

    def lacks(self, usual=1.0):
        """11.1: what each label lacks, beside what is usual; 0 where it takes no part."""
        taking_part = self.y.sum(axis=0) > 0
        lacks = [min(max(1 - learnt / usual, 0.0), 1.0) for learnt in self.learnt()]
        return [lack if part else 0.0 for lack, part in zip(lacks, taking_part, strict=True)]

    def usual(self):
        """How well the label of a positive entry that is picked at random is learnt; or 0.01."""
        entries = np.argwhere(self.y == 1)
        learnt = self.learnt()
        return max(np.mean([learnt[j] for _, j in entries]) if len(entries) else 0.0, 0.01)

    def mean_lack(self, usual=1.0):
        """The mean over labels with positives."""
        present = self.y.sum(axis=0) > 0
        return np.mean(np.array(self.lacks(usual))[present]) if present.any() else 0.0

    def share_at(self, epoch):
        """11.2: λ of the epoch after `epoch`, which is -1 before the first one."""
        if self.mean_lack() == 0:
            return 0.0
        if callable(self.share):
            return self.share(min(1.0, (epoch + 1) / self.epochs))
        return self.share * self.mean_lack(self.usual())

    def balance(self):
        """11.2 and 11.4: b."""
        return drawn_by_labels(self.y, corrected(self.y, self.lacks(), self.rounds))

    def probabilities(self, epoch):
        """11.2 and 11.3."""
        n, share = len(self.y), self.share_at(epoch)
        return water_filled((1 - share) / n + share * self.balance(), self.max_repeats / n)
