"""Label-balanced drawing as its formula says it: a label uniformly, then one of its positives.

Written from section 6 of the formulas and from the share alone, never from the package.
"""

import numpy as np

from tests.support.oracles.visits import make_known


def probabilities(y, share=1.0, known=None):
    """6: the sum over the drawn label; labels without positives cannot be drawn.

    A share below 1: with what is left of 1, any sample instead.
    """
    y, _ = make_known(y, known)
    n, q = y.shape
    present = [j for j in range(q) if y[:, j].sum() > 0]
    p = np.zeros(n)
    for j in present:
        for i in range(n):
            if y[i, j] == 1:
                p[i] += share * 1 / len(present) * 1 / y[:, j].sum()
    for i in range(n):
        p[i] += (1 - share) / n
    return p
