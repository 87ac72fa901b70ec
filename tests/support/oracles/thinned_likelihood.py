"""The likelihood of thinned data by enumeration: float64, all 2^q label vectors, no speed.

A sample with features x has independent labels with probabilities p. It is kept for sure if it has
one of the protected labels, and with probability π if it has none. So, by Bayes,

    P(y | kept, x) = P(y | x) P(kept | y) / Σ_y' P(y' | x) P(kept | y').

What must hold of the loss: `L + ln π [y is empty] = -ln P(y | kept, x)`, of which ln π does not
depend on the model.
"""

import itertools
import math


def probability(y, p):
    """P(y | x) of labels that are independent given x."""
    return math.prod(pj if yj else 1 - pj for yj, pj in zip(y, p, strict=True))


def kept(y, rate, protected):
    """P(kept | y)."""
    return 1.0 if any(y[j] for j in protected) else rate


def vectors(q):
    """All label vectors."""
    return list(itertools.product((0, 1), repeat=q))


def conditional(y, p, rate, protected):
    """P(y | kept, x)."""
    whole = sum(probability(each, p) * kept(each, rate, protected) for each in vectors(len(p)))
    return probability(y, p) * kept(y, rate, protected) / whole


def loss(y, p, rate, protected):
    """L, the sum over labels."""
    constant = 0.0 if any(y[j] for j in protected) else math.log(rate)
    return constant - math.log(conditional(y, p, rate, protected))


def logit_gradient(y, p, rate, protected):
    """dL/dz_j = p_j (1 + r [j is protected]) - y_j; r = E / (1 - E), E = (1 - π) Π_R (1 - p)."""
    nothing = (1 - rate) * math.prod(1 - p[j] for j in protected)
    r = nothing / (1 - nothing)
    return [
        pj * (1 + r * (j in protected)) - yj for j, (yj, pj) in enumerate(zip(y, p, strict=True))
    ]
