"""Hard-imbalance selection as its formulas say it: float64, loops, no thought of speed.

Written from the formulas alone, never from the package. The section numbers are those of the
formulas: 2 are the label statistics, 3.1 to 3.5 hard-imbalance selection. Section 3.5, the batch
built as a sequence, is enumerated exactly: every ordered batch with its probability.
"""

import itertools

import numpy as np

from tests.support.oracles.d2ace import binary_cross_entropy, clamp
from tests.support.oracles.visits import make_known, mean_known


def imbalance_ratios(y):
    """2: IRLbl, NaN for a label without positives."""
    counts = y.sum(axis=0)
    return np.array([counts.max() / c if c > 0 else np.nan for c in counts])


def minority_labels(y):
    """2: the labels whose IRLbl is above the mean; one without positives is not among them."""
    ratios = imbalance_ratios(y)
    mean = np.mean([ratio for ratio in ratios if not np.isnan(ratio)])
    return [j for j, ratio in enumerate(ratios) if ratio > mean]


def local_imbalance(y, neighbors, known=None):
    """3.1: C, the share of the neighbours that do not have the minority label that i has.

    Of the neighbours of which it is known; without any, 0.
    """
    y, known = make_known(y, known)
    c = np.zeros(y.shape)
    for j in minority_labels(y):
        for i in np.flatnonzero(y[:, j]):
            c[i, j] = mean_known([y[m, j] != y[i, j] for m in neighbors[i]], known[neighbors[i], j])
    return c


def without_outliers(c):
    """3.2: C with the outliers at 0."""
    return np.where(c < 1, c, 0.0)


def normalized_imbalance(c):
    """3.2: T, each label's C over its sum, the outliers left out."""
    kept = without_outliers(c)
    t = np.zeros(c.shape)
    for j in range(c.shape[1]):
        if kept[:, j].sum() > 0:
            t[:, j] = kept[:, j] / kept[:, j].sum()
    return t


def sample_weights(y, neighbors, weighting="normalized", known=None):
    """3.3: W."""
    c = local_imbalance(y, neighbors, known)
    table = {"normalized": normalized_imbalance(c), "local": without_outliers(c)}[weighting]
    return np.array([1 + row.sum() for row in table])


def share_of_largest_probabilities(score, pressure):
    """3.4: the pressure law with u = score / max score, in n steps."""
    n = len(score)
    # score / Δ with Δ = max / n, in an order that gives exactly n for the largest score.
    level = np.ceil(n * (score / score.max())) if score.max() > 0 else np.zeros(n)
    weight = np.exp(np.log(pressure) / n) ** level
    return weight / weight.sum()


def affinity(y, known=None):
    """3.5: A, the mean share of either label's positives that have the other label too.

    Of the positives of which the other label is known.
    """
    y, known = make_known(y, known)
    q = y.shape[1]
    a = np.zeros((q, q))
    for j in range(q):
        for k in range(q):
            both = np.sum(y[:, j] * y[:, k])
            if j != k and both > 0:
                ones, others = y[known[:, k], j].sum(), y[known[:, j], k].sum()
                a[j, k] = 0.5 * (both / ones + both / others)
    return a


def pull(members, i, y, a):
    """3.5: r_i, how strongly the labels of the members so far go with those of i."""
    values = []
    for b in members:
        mine, yours = np.flatnonzero(y[b]), np.flatnonzero(y[i])
        pairs = [a[j, k] for j in mine for k in yours]
        values.append(np.mean(pairs) if pairs else 0.0)
    return np.mean(values) if values else 0.0


def sequence_probability(sequence, p, y, a, steered=True):
    """3.5: the probability of this ordered batch; unsteered: plain successive sampling."""
    total = 1.0
    for position, pick in enumerate(sequence):
        members = sequence[:position]
        weight = {
            i: p[i] * (1 + (pull(members, i, y, a) if steered else 0.0))
            for i in range(len(p))
            if i not in members
        }
        total *= weight[pick] / sum(weight.values())
    return total


def ordered_batches(p, y, batch_size, steered=True):
    """3.5: every ordered batch of distinct samples and its probability."""
    a = affinity(y)
    return {
        sequence: sequence_probability(sequence, p, y, a, steered)
        for sequence in itertools.permutations(range(len(p)), batch_size)
    }


def inclusion(batches, n):
    """The probability of each sample to be somewhere in the batch."""
    return np.array([sum(pr for batch, pr in batches.items() if i in batch) for i in range(n)])


class HardImbalanceOracle:
    """Hard-imbalance selection on `y` (n, q) and `neighbors` (n, k).

    A sample without a visit counts as p = 0.5: its loss is ln 2.
    """

    def __init__(self, y, neighbors, known=None, *, weighting="normalized", pressure=2.0):
        self.y, self.known = make_known(y, known)
        self.weights = sample_weights(self.y, neighbors, weighting, self.known)
        self.pressure = pressure
        self.loss = np.full(self.y.shape, np.log(2))  # of the latest visit

    def observe(self, ids, y_pred, loss=None):
        """Record one visit of each sample of a batch."""
        for row, i in enumerate(ids):
            p = clamp(y_pred[row])
            self.loss[i] = binary_cross_entropy(self.y[i], p) if loss is None else loss[row]

    def scores(self):
        """3.4: the weighted mean loss, (n,)."""
        rows = zip(self.weights, self.loss, self.known, strict=True)
        return np.array([w * mean_known(row, known) for w, row, known in rows])

    def probabilities(self):
        """3.4: (n,)."""
        return share_of_largest_probabilities(self.scores(), self.pressure)
