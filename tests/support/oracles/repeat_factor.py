"""Repeat factors as their formula says them: sample by sample, label by label.

Written from section 13 of the formulas alone, never from the package.
"""

import math

import numpy as np

from tests.support.oracles.visits import make_known, mean_known


def probabilities(y, threshold, known=None):
    """13: r_i = max over i's labels of max(1, sqrt(t / f_j)), 1 without labels; p ∝ r.

    f_j is the share of positives among the samples where j is known.
    """
    y, known = make_known(y, known)
    n, q = y.shape
    f = [mean_known(y[:, j], known[:, j]) for j in range(q)]
    r = []
    for i in range(n):
        own = [max(1.0, math.sqrt(threshold / f[j])) for j in range(q) if y[i, j] == 1]
        r.append(max(own, default=1.0))
    return np.array([each / sum(r) for each in r])
