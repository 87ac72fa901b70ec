"""D2ACE as its formulas say it: float64, one small function per step, loops, no thought of speed.

Written from the formulas alone, never from the package. The section numbers are those of the
formulas: 1 is the shared pressure law, 4.1 the uncertainty, 5.1 to 5.9 D2ACE.
"""

import itertools

import numpy as np

from .visits import make_known, mean_known


def clamp(p):
    """Notation: probabilities stay inside [1e-7, 1 - 1e-7]."""
    return np.clip(np.asarray(p, np.float64), 1e-7, 1 - 1e-7)


def binary_cross_entropy(y, p):
    """Notation: l, per label, in nats."""
    return -(y * np.log(p) + (1 - y) * np.log(1 - p))


def binary_entropy(p):
    """4.1: H2, in bits."""
    return -(p * np.log2(p) + (1 - p) * np.log2(1 - p))


def mean_difference(history, window):
    """4.1: d of one sample, over its last `window` recorded predictions; none yet: 0."""
    recent = history[-window:]
    differences = [np.abs(after - before) for before, after in itertools.pairwise(recent)]
    return np.mean(differences, axis=0) if differences else 0.0


def uncertainty(p, d):
    """5.1: E."""
    return np.clip(0.5 * d + 0.5 * binary_entropy(p), 0.0, 1.0)


def flip_step(flip, p_new, p_old, weight=0.7):
    """5.2: F after one visit; `p_old` is None at the first."""
    change = 0.0 if p_old is None else np.abs(p_new - p_old)
    return weight * change + (1 - weight) * flip


def flip_average(history, weight=0.7):
    """5.2: F of one sample, replayed from its first visit to its last."""
    flip, previous = 0.0, None
    for p in history:
        flip, previous = flip_step(flip, p, previous, weight), p
    return flip


def hardness(loss, flip, kind="bounded"):
    """5.3: h = g(l) (1 - F)."""
    g = {"bounded": 1 - np.exp(-loss), "loss": loss, "released": 2 - np.exp(-loss)}[kind]
    return g * (1 - flip)


def label_weights(m, known=None):
    """5.4: v from the mean and the population standard deviation of each column of M.

    Of its known entries; a column without any has 1.
    """
    m, known = make_known(m, known)
    v = []
    for column, ok in zip(m.T, known.T, strict=True):
        mean = mean_known(column, ok)
        deviation = np.sqrt(mean_known((column - mean) ** 2, ok))
        v.append(np.exp(0.5 * mean + 0.5 * deviation))
    return np.array(v)


def cosine_correlation(k, known=None):
    """5.5: C, the cosines of the columns of K, then each row divided by its sum.

    A cosine is over the samples where both labels are known.
    """
    k, known = make_known(k, known)
    q = k.shape[1]
    c = np.zeros((q, q))
    for i in range(q):
        for j in range(q):
            both = known[:, i] & known[:, j]
            one, other = k[both, i], k[both, j]
            norms = [np.sqrt(np.sum(part**2)) + 1e-8 for part in (one, other)]
            c[i, j] = np.sum(one * other) / (norms[0] * norms[1])
    return c / (c.sum(axis=1, keepdims=True) + 1e-8)


def label_context(y, neighbors=None):
    """5.6: Z, the labels of a sample and of its neighbours; without neighbours its own."""
    z = np.array(y, np.float64)
    if neighbors is not None:
        for i, ids in enumerate(neighbors):
            for other in ids:
                z[i] = np.maximum(z[i], y[other])
    return z


def label_support(z, c):
    """5.6: S = Z Cᵀ."""
    return np.stack([c @ row for row in z])


def score(m, v, y, s):
    """5.7: all labels weighted, and the positive ones once more by their support."""
    return np.array([np.sum(m[i] * v) + np.sum(y[i] * m[i] * v * s[i]) for i in range(len(m))])


def min_max(values):
    """1: u in [0, 1]; all equal: 0."""
    span = values.max() - values.min()
    return (values - values.min()) / span if span > 0 else np.zeros_like(values)


def pressure_probabilities(values, pressure):
    """1 and 5.8: the quantised pressure law."""
    n = len(values)
    level = np.clip(np.ceil((1 - min_max(values)) * n), 1, n)
    weight = np.exp(-np.log(pressure) / n * level)
    return weight / weight.sum()


def decayed_pressure(epoch, initial, start, end):
    """1 and 5.8: s(e), constant before `start`, 1 from `end` on."""
    if epoch < start or end <= start:
        return initial
    return max(1.0, initial * initial ** (-(epoch - start) / (end - start)))


def mixture_weight(epoch, first, last, start, end):
    """5.9: β(e), a straight line from `first` to `last` between two points of the run."""
    return first + (last - first) * (np.clip(epoch, start, end) - start) / (end - start)


class D2ACEOracle:
    """D2ACE on `y` (n, q), `neighbors` (n, k); points of the run are fractions of it, not rounded.

    A sample without a visit counts as p = 0.5: d = 0, F = 0 and l = ln 2.
    """

    def __init__(
        self,
        y,
        neighbors=None,
        known=None,
        *,
        pressure=8.0,
        decay_start=0.1,
        epochs=100,
        hardness="bounded",
        window=5,
        flip_weight=0.7,
        mix=(0.7, 0.3),
        mix_span=(0.1, 0.7),
    ):
        self.y, self.known = make_known(y, known)
        self.context = label_context(self.y, neighbors)
        self.pressure, self.decay_start, self.epochs = pressure, decay_start, epochs
        self.kind, self.window, self.flip_weight = hardness, window, flip_weight
        self.mix, self.mix_span = mix, mix_span
        self.history = [[] for _ in self.y]  # every visit of a sample, in order
        self.loss = np.full(self.y.shape, np.log(2))  # of the latest visit

    def observe(self, ids, y_pred, loss=None):
        """Record one visit of each sample of a batch."""
        for row, i in enumerate(ids):
            p = clamp(y_pred[row])
            self.history[i].append(p)
            self.loss[i] = binary_cross_entropy(self.y[i], p) if loss is None else loss[row]

    def signals(self):
        """5.1 to 5.3: E and h, each (n, q)."""
        e, h = np.zeros(self.y.shape), np.zeros(self.y.shape)
        for i, history in enumerate(self.history):
            p = history[-1] if history else np.full(self.y.shape[1], 0.5)
            e[i] = uncertainty(p, mean_difference(history, self.window))
            h[i] = hardness(self.loss[i], flip_average(history, self.flip_weight), self.kind)
        return np.where(self.known, e, 0.0), np.where(self.known, h, 0.0)  # 0: no part of a sum

    def scores(self, epoch=None):
        """5.4 to 5.7: (score of E, score of h), each (n,); no step of them looks at the epoch."""
        scores = []
        for m in self.signals():
            support = label_support(self.context, cosine_correlation(m * self.y, self.known))
            weights = label_weights(m, self.known)
            scores.append(score(m, weights, self.y, support))
        return tuple(scores)

    def pressure_at(self, epoch):
        """5.8: s(e)."""
        start = self.decay_start * self.epochs
        return decayed_pressure(epoch, self.pressure, start, self.epochs)

    def probabilities(self, epoch):
        """5.8 and 5.9: the mixture of both distributions, (n,)."""
        s = self.pressure_at(epoch)
        p_e, p_h = (pressure_probabilities(values, s) for values in self.scores(epoch))
        beta = mixture_weight(epoch, *self.mix, *(point * self.epochs for point in self.mix_span))
        return beta * p_e + (1 - beta) * p_h
