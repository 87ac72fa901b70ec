"""Repeat factors as their formula says them: sample by sample, label by label.

Written from section 13 of the formulas alone, never from the package.
"""

import math

import numpy as np


def probabilities(y, threshold):
    """13: r_i = max over i's labels of max(1, sqrt(t / f_j)), 1 without labels; p ∝ r."""
    n, q = y.shape
    f = [sum(int(y[i, j]) for i in range(n)) / n for j in range(q)]
    r = []
    for i in range(n):
        own = [max(1.0, math.sqrt(threshold / f[j])) for j in range(q) if y[i, j] == 1]
        r.append(max(own, default=1.0))
    return np.array([each / sum(r) for each in r])
