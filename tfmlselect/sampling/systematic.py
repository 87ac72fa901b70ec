"""An epoch by systematic sampling: how often each sample comes in it, and in which order.

A count is the expected one rounded down or up, so that an epoch of equal probabilities is a
permutation. What a sample was owed and did not get is kept by who calls this.
"""

from __future__ import annotations

import math

import numpy as np

_ROUNDING = 1e-9  # draws; a count that is this close to a whole number is that number
_NOTHING = 1e-200  # of the largest expected count: as good as 0


def capped(expected: np.ndarray, draws: float, most: np.ndarray | float) -> np.ndarray:
    """Expected counts `min(most, c expected)`, with the c by which they add up to `draws`.

    Where even that is too little, since too few samples have an expected count above 0, the others
    share what is left.

    Args:
        expected: (n,) float64 >= 0, up to a common factor.
        draws: what the counts add up to, at most n.
        most: the largest count of each sample, (n,) or one number >= 1.

    Returns:
        (n,) float64.
    """
    most = np.broadcast_to(np.asarray(most, np.float64), expected.shape)
    positive = np.flatnonzero(expected > _NOTHING * expected.max(initial=0.0))
    counts = np.zeros(len(expected))
    if positive.size:
        share, limit = expected[positive] / expected[positive].max(), most[positive]
        scale = _scale(share, limit, draws)
        counts[positive] = limit if math.isinf(scale) else np.minimum(limit, scale * share)
    missing = draws - counts.sum()
    if missing > _ROUNDING and positive.size < len(expected):
        others = np.setdiff1d(np.arange(len(expected)), positive, assume_unique=True)
        counts[others] = capped(np.ones(others.size), missing, most[others])
    return counts


def _scale(share: np.ndarray, limit: np.ndarray, draws: float) -> float:
    """The c with `sum min(limit, c share) = draws`; infinite where the limits add up to less."""
    first = draws / share.sum()
    if np.all(first * share <= limit):
        return float(first)
    with np.errstate(over="ignore"):
        reached = limit / share  # the c from which a sample is at its limit
    order = np.argsort(reached, kind="stable")
    full = np.concatenate([[0.0], np.cumsum(limit[order])])[
        :-1
    ]  # before each sample, in this order
    rest = np.cumsum(share[order][::-1])[::-1]
    scales = (draws - full) / rest
    enough = np.flatnonzero(scales <= reached[order])
    return float(scales[enough[0]]) if enough.size else math.inf


def due(
    owed: np.ndarray, expected: np.ndarray, draws: int, most: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """How often each sample is to come in an epoch, in the mean, by what it is owed.

    Of each whole visit that a sample is owed in the course of time it gets one, at a moment that is
    uniform in that time. So in every epoch it comes `expected` times in the mean, whatever came
    before, and its visits are never a whole one away from what it was owed. Let φ be how far the
    visit is that is being earned now, φ = `owed` if it has not come yet, else `owed` + 1. Then with
    e expected, `min(1, e / (1 - φ))` if it has not come yet, and `max(0, φ + e - 1)` of later ones.

    These add up to about the number of draws. They are made to by a factor on e that is the same
    for all samples that are owed something.

    Args:
        owed: (n,) float64 in [-1, 1): visits owed so far, less those that came.
        expected: (n,) float64 >= 0 that adds up to `draws`.
        draws: how many draws the epoch has.
        most: the largest count of each sample, (n,) or one number >= 1.

    Returns:
        The mean counts, which add up to `draws`, and what the samples are owed more, (n,) each.
    """
    waiting = owed >= 0.0
    room = np.maximum(np.where(waiting, 1.0 - owed, -owed), 1e-12)  # 1 - φ
    even = np.abs(owed) <= _ROUNDING  # these come as often as expected, and nothing else

    def at(factor: float) -> tuple[np.ndarray, np.ndarray]:
        more = np.where(even, expected, factor * expected)
        counts = np.where(waiting, np.minimum(1.0, more / room), 0.0)
        return np.minimum(counts + np.maximum(more - room, 0.0), most), more

    def excess(factor: float) -> float:
        return float(at(factor)[0].sum() - draws)

    near = _ROUNDING * draws
    low, high = 1.0, 1.0
    below = above = excess(1.0)
    if abs(below) <= near:
        return at(1.0)
    if below > 0:
        low, below = 0.0, excess(0.0)
        if below > 0:  # also those that are owed nothing
            even = np.zeros_like(even)
            below = -float(draws)
    while above < 0:
        low, below, high = high, above, 2.0 * high
        above = excess(high)
        if high > 1e12:  # nobody who is owed something can come more often
            return expected, expected
    for _ in range(100):  # false position, by halves where one end stays (the Illinois rule)
        factor = (low * above - high * below) / (above - below)
        found = excess(factor)
        if abs(found) <= near:
            break
        if found < 0:
            low, below, above = factor, found, above / 2.0
        else:
            high, above, below = factor, found, below / 2.0
    return at(factor)


def counts_of(expected: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Whole counts that add up to `draws`: systematic sampling in a random order of the samples.

    Each count is its expected one rounded down or up, and has it as its expectation.

    Args:
        expected: (n,) float64 >= 0 that adds up to `draws`.
        draws: how many draws the epoch has.
        rng: random numbers.

    Returns:
        (n,) int64.

    References:
        Madow, "On the theory of systematic sampling, II", Annals of Mathematical Statistics 20,
        1949.
    """
    counts = np.floor(expected + _ROUNDING).astype(np.int64)
    left = draws - int(counts.sum())
    if left > 0:
        parts = np.maximum(expected - counts, 0.0)
        parts[parts <= _ROUNDING] = 0.0
        order = rng.permutation(np.flatnonzero(parts))
        edges = np.cumsum(parts[order])
        marks = np.floor(edges / edges[-1] * left + rng.random()).astype(np.int64)
        marks[-1] = left
        counts[order] += np.diff(np.minimum(marks, left), prepend=0)
    return counts


def spread(counts: np.ndarray, batch_size: int, rng: np.random.Generator) -> np.ndarray:
    """The ids of an epoch, batch after batch: copies of a sample far apart, none twice in a batch.

    A list of all draws, copies side by side, is dealt out to the batches in turn, one place of each
    a round. Two places of one batch are then at least as far apart in the list as there are whole
    batches. The turns go through the epoch in steps of about 0.618 of it, so that neighbours in the
    list are far apart in time.

    Args:
        counts: (n,) int64, how often each sample comes: at most once for each whole batch.
        batch_size: the last batch may be shorter.
        rng: random numbers.

    Returns:
        (sum of counts,) int64.
    """
    shuffled = rng.permutation(len(counts))
    dealt = np.repeat(shuffled, counts[shuffled])
    whole, rest = divmod(len(dealt), batch_size)
    batches = whole + (rest > 0)
    turns = np.arange(batches) * _step(batches) % batches
    places = turns * batch_size + np.arange(batch_size)[:, None]  # (rounds, batches)
    ids = np.empty(len(dealt), np.int64)
    ids[places[places < len(dealt)]] = dealt
    return ids


def _step(batches: int) -> int:
    """A step that visits each of `batches` once, near 0.618 of them."""
    step = max(1, round(0.618 * batches))
    while math.gcd(step, batches) != 1:
        step += 1
    return step
