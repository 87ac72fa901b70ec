"""The plan of an epoch over a stream: how often each sample is emitted, and in which order.

A source that is read from front to back gives each sample once. So an epoch is planned as counts:
sample i is emitted `c_i` times, as `systematic` draws them.
Emissions keep the order of the source from window to window, and are shuffled inside each. Reading
the stream is done elsewhere.
"""

from __future__ import annotations

import numpy as np


def window_sizes(n: int, window: int) -> np.ndarray:
    """Sizes of the windows that n samples are cut into: `window`, the last one up to twice that."""
    sizes = np.full(max(1, n // window), min(window, n), np.int64)
    sizes[-1] += n - sizes.sum()
    return sizes


def emission_order(
    counts: np.ndarray, sizes: np.ndarray, batch_size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The emissions of an epoch, shuffled window by window, no sample twice in a batch.

    Where a window has fewer batches than copies of a sample, the copies that are too many go to
    other samples of the window.

    Args:
        counts: (n,) how often each sample is emitted.
        sizes: of the windows; they add up to n.
        batch_size: emissions a batch; batches run on from window to window.

    Returns:
        ids (sum of counts,) int64, and how many of them each window emits.
    """
    parts = []
    first = emitted = 0
    for size in sizes:
        own = counts[first : first + size].copy()
        total = int(own.sum())
        group = (emitted + np.arange(total)) // batch_size  # of each place in the window
        full = np.count_nonzero(np.bincount(group - group[0]) == batch_size) if total else 0
        _spread(own, max(1, int(full)), rng)
        parts.append(first + _arranged(own, group, rng))
        first, emitted = first + size, emitted + total
    return np.concatenate(parts), np.array([len(part) for part in parts])


def _spread(counts: np.ndarray, limit: int, rng: np.random.Generator) -> None:
    """Gives copies of a sample above `limit` to other samples, in place."""
    surplus = int(np.maximum(counts - limit, 0).sum())
    np.minimum(counts, limit, out=counts)
    while surplus:
        below = np.flatnonzero(counts < limit)
        if not below.size:
            raise RuntimeError(
                "A window is to give out more draws than its batches can hold without a repeat. "
                f"Received: {surplus} draws too many, {limit} batches. Use a larger `window`."
            )
        chosen = rng.permutation(below)[:surplus]
        counts[chosen] += 1
        surplus -= len(chosen)


def _arranged(counts: np.ndarray, group: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sample ids for a window's places, so that copies of a sample are in different batches.

    A list of all emissions, copies side by side, is dealt out to the batches in turn, one place of
    each a round. Two places of one batch are then at least as far apart in the list as there are
    full batches, and no sample has more copies than that.

    Args:
        counts: (m,) how often each sample of the window is emitted.
        group: the batch of each place, ascending.
        rng: random numbers.
    """
    if not len(group):
        return group
    shuffled = rng.permutation(len(counts))
    dealt = np.repeat(shuffled, counts[shuffled])
    start = np.searchsorted(group, group)  # where each place's batch begins
    rounds = np.arange(len(group)) - start
    turns = np.lexsort((group, rounds))
    ids = np.empty(len(group), np.int64)
    ids[turns] = dealt
    return ids[np.lexsort((rng.random(len(group)), group))]
