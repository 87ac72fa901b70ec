"""RareEvents as its formulas say it: lists of Python floats, no speed.

A sample is empty if it has none of the protected labels. m = round(n1 / (1 - h)) draws an epoch, at
least n1 + 1 and at most n; K = m - n1 of them for the n0 empty samples, and ρ = K / n0.

    π_i = clip(ρ' g_i / mean g, 0.1 ρ, 1),    g_i = ||p_i||_2 over the protected labels,

ρ' such that Σ π over the empty samples is K.
"""

import math


def empties(y, protected):
    """Which samples have none of the protected labels."""
    return [not any(row[j] for j in protected) for row in y]


def draws(n0, n1, share):
    """m; all samples where none is empty, or all are."""
    if n0 == 0 or n1 == 0:
        return n0 + n1
    return min(max(round(n1 / (1 - share)), n1 + 1), n0 + n1)


def rates(y, p, protected, share, known=None):
    """π of each sample, or what it would have as an empty one; p has None where there was no visit.

    An unvisited sample counts with the mean g of the visited empty ones. g is over the protected
    labels that are `known`; a sample without any is as one that was not visited.
    """
    known = [[True] * len(row) for row in y] if known is None else known
    y = [[bool(v and k) for v, k in zip(*row, strict=True)] for row in zip(y, known, strict=True)]
    empty = empties(y, protected)
    n0 = sum(empty)
    keep = draws(n0, len(empty) - n0, share) - (len(empty) - n0)
    if n0 == 0 or keep == n0:
        return [1.0] * len(empty)
    rho = keep / n0
    g = []
    for row, ok in zip(p, known, strict=True):
        entries = [] if row is None else [row[j] for j in protected if ok[j]]
        g.append(math.sqrt(sum(value**2 for value in entries)) if entries else None)
    seen = [g[i] for i, is_empty in enumerate(empty) if is_empty and g[i] is not None]
    if not seen:
        return [rho] * len(empty)
    mean = sum(seen) / len(seen)
    g = [mean if length is None else length for length in g]

    def clipped(scale):
        return [min(max(scale * length / mean, 0.1 * rho), 1.0) for length in g]

    low, high = 0.0, mean / min(g)
    for _ in range(300):
        middle = (low + high) / 2
        found = clipped(middle)
        kept = math.fsum(found[i] for i, is_empty in enumerate(empty) if is_empty)
        low, high = (middle, high) if kept < keep else (low, middle)
    return clipped((low + high) / 2)


def probabilities(y, p, protected, share, known=None):
    """π, or 1 for a sample that is not empty, over the sum of all of them."""
    found = rates(y, p, protected, share, known)
    if known is not None:
        y = [[v and k for v, k in zip(*row, strict=True)] for row in zip(y, known, strict=True)]
    empty = empties(y, protected)
    weights = [found[i] if is_empty else 1.0 for i, is_empty in enumerate(empty)]
    return [weight / math.fsum(weights) for weight in weights]
