"""An epoch by systematic sampling: how often each sample comes in it, and in which order.

Each sample comes as often as expected, rounded down or up, so that an epoch of equal probabilities
is a permutation. What a sample was owed and did not get is carried over by who calls this.
"""

from __future__ import annotations

import math

import numpy as np

_ROUNDING = 1e-9  # draws; a count that is this close to a whole number is that number


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
    positive = np.flatnonzero(expected > 0)
    counts = np.zeros(len(expected))
    if positive.size:
        share, limit = expected[positive] / expected[positive].max(), most[positive]
        scale = _scale(share, limit, draws)
        counts[positive] = limit if math.isinf(scale) else np.minimum(limit, scale * share)
    missing = draws - counts.sum()
    if missing > _ROUNDING and positive.size < len(expected):
        others = np.flatnonzero(expected <= 0)
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
