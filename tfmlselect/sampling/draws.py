"""The draw of an epoch: sample ids, batch after batch, none twice in a batch.

An epoch is exactly n draws, and a pure function of its arguments; all of it is in float64. How the
probabilities were made is not known here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tfmlselect._checks import (
    check_distribution,
    check_flag,
    check_seed,
    check_whole,
    require,
)

DRAW, PERMUTE = 0, 1  # the random streams of one (seed, epoch)
_BLOCK = 1 << 18  # slots drawn at a time: keeps the temporaries near 30 MB


def draw_epoch(
    probabilities: Any, batch_size: int, seed: int, epoch: int, drop_remainder: bool = False
) -> np.ndarray:
    """The ids of one adaptive epoch, batch after batch: exactly n draws.

    Each batch is drawn without replacement by successive sampling (draw, remove, renormalise).
    Batches are independent of each other: a sample may be in many of them, or in none. Datasets
    draw like this with `adaptive_dataset(..., draws="independent")`.

    Args:
        probabilities: (n,) array or eager tensor that sums to 1.
        batch_size: B. The epoch has ceil(n / B) batches, the last one of n mod B.
        seed: a whole number >= 0 of any size.
        epoch: the number of the epoch, a whole number >= 0. Same arguments, same ids.
        drop_remainder: leave the short last batch out; the others stay as they are.

    Returns:
        (n,) int64 ids in [0, n), or (n // B · B,) with `drop_remainder`.

    Raises:
        ValueError: `probabilities` is not of rank 1, is empty, has a NaN, infinite or negative
            entry, or does not sum to 1 within 1e-6.
        ValueError: `batch_size` is not a whole number from 1 to n, or more than the number of
            probabilities above 0.
        ValueError: `seed` or `epoch` is not a whole number >= 0, or `drop_remainder` neither True
            nor False.

    Example:
        >>> draw_epoch([0.1, 0.2, 0.3, 0.4, 0.0], batch_size=2, seed=7, epoch=0)
        array([2, 1, 2, 0, 1])

    References:
        Rosén, "Asymptotic theory for successive sampling with varying probabilities without
        replacement", Annals of Mathematical Statistics 43, 1972.
    """
    check_flag("drop_remainder", drop_remainder)
    p = checked_distribution(probabilities, batch_size)
    ids, edges = cumulate(p)
    rng = epoch_generator(seed, epoch, DRAW)
    rows, rest = divmod(p.size, batch_size)
    drawn = _draw_rows(edges, rows, batch_size, rng).ravel()
    # The short batch is drawn last, so that leaving it out changes no other.
    if rest and not drop_remainder:
        drawn = np.append(drawn, _draw_rows(edges, 1, rest, rng))
    return ids.take(drawn)


def permute_epoch(
    n: int, batch_size: int, seed: int, epoch: int, drop_remainder: bool = False
) -> np.ndarray:
    """The ids of one uniform epoch: a shuffled permutation of range(n).

    With `drop_remainder` cut to n // B whole batches. Arguments, int64 result and errors are those
    of `draw_epoch`, the random stream is another.

    Raises:
        ValueError: `batch_size` is not a whole number from 1 to n, or `n` not one >= 1.
        ValueError: `seed` or `epoch` is not a whole number >= 0, or `drop_remainder` neither True
            nor False.

    Example:
        >>> sorted(permute_epoch(5, batch_size=2, seed=0, epoch=0).tolist())
        [0, 1, 2, 3, 4]
    """
    check_whole("n", n, 1)
    check_whole("batch_size", batch_size, 1, n)
    check_flag("drop_remainder", drop_remainder)
    ids = epoch_generator(seed, epoch, PERMUTE).permutation(n).astype(np.int64, copy=False)
    return ids[: n // batch_size * batch_size] if drop_remainder else ids


def checked_distribution(probabilities: Any, batch_size: int) -> np.ndarray:
    """`probabilities` as (n,) float64, if batches of `batch_size` can be drawn from it.

    Raises:
        ValueError: as `draw_epoch`.
    """
    p = check_distribution(probabilities)
    check_whole("batch_size", batch_size, 1, p.size)
    check_enough(p, batch_size)
    return p


def check_enough(p: np.ndarray, batch_size: int) -> None:
    """Whether as many samples as a batch has can be drawn from probabilities (n,).

    Raises:
        ValueError: they cannot.
    """
    positive = int(np.count_nonzero(p))
    require(
        positive >= batch_size,
        "A batch without repeats needs `batch_size` samples of non-zero probability",
        f"batch_size={batch_size}, non-zero probabilities={positive} of {p.size}",
        "Use a smaller batch, or give more samples a probability above 0",
    )


def epoch_generator(seed: int, epoch: int, stream: int) -> np.random.Generator:
    """The random numbers of one epoch; `stream` keeps different uses of them apart.

    Raises:
        ValueError: `seed` or `epoch` is not a whole number >= 0.
    """
    entropy, key = check_seed("seed", seed), (stream, check_whole("epoch", epoch))
    sequence = np.random.SeedSequence(entropy, spawn_key=key)
    return np.random.Generator(np.random.PCG64(sequence))


def cumulate(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ids (m,) of the positive entries in ascending order, the edges (m + 1,) of their intervals.

    Ascending, an edge is at most n times the entry that follows it. So each interval and each sum
    of neighbouring ones is right to a relative n · eps, and none vanishes beside a larger one.
    """
    ids = np.argsort(p, kind="stable").astype(np.int64, copy=False)
    ids = ids[np.count_nonzero(p == 0.0) :]
    # A power of two changes no ratio; this one keeps all differences of edges out of underflow.
    return ids, np.concatenate([[0.0], np.cumsum(np.ldexp(p[ids], 1000))])


def _draw_rows(edges: np.ndarray, rows: int, columns: int, rng: np.random.Generator) -> np.ndarray:
    """Positions (rows, columns) of independent successive samples, one a row.

    The first occurrences in an endless sequence of independent draws are a successive sample: that
    draws of what is held are skipped is the renormalisation. The first round makes `columns` draws
    a row. Of the later ones only those that would not be skipped need making: each round draws
    from what the row does not hold, and repeats among the new draws stay open. So every round
    fills at least one slot of an open row, and `columns` rounds are enough for every p.
    """
    if columns == edges.size - 1:  # nothing to choose
        return rng.permuted(np.tile(np.arange(columns), (rows, 1)), axis=1)
    drawn = np.empty((rows, columns), np.int64)
    step = max(1, _BLOCK // columns)
    for first in range(0, rows, step):
        block = drawn[first : first + step]
        block[:] = locate(edges, rng.random(block.shape) * edges[-1])
        open_rows, current = np.arange(len(block)), block
        while open_rows.size:
            held, repeats = _repeats(current)
            still = repeats.any(axis=1)
            open_rows, current, held = open_rows[still], current[still], held[still]
            row, slot = np.nonzero(repeats[still])
            current[row, slot] = draw_outside(edges, held, row, rng)
            block[open_rows] = current
    return drawn


def _repeats(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows sorted, and a mask of the entries that their row has further left already."""
    # Position and column in one integer: sorts faster than argsort, and leftmost first.
    bits = rows.shape[1].bit_length()
    keys = np.sort(rows << bits | np.arange(rows.shape[1]), axis=1)
    held, order = keys >> bits, keys & ((1 << bits) - 1)
    repeats = np.zeros(rows.shape, bool)
    np.put_along_axis(repeats, order[:, 1:], held[:, 1:] == held[:, :-1], axis=1)
    return held, repeats


def draw_outside(
    edges: np.ndarray, held: np.ndarray, row: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """For each entry of `row` a position drawn from p without what that row of `held` has.

    The held positions, sorted (repeats do no harm), cut all positions into gaps [start, stop).
    """
    stop = np.pad(held, ((0, 0), (0, 1)), constant_values=edges.size - 1)
    start = np.minimum(np.pad(held + 1, ((0, 0), (1, 0))), stop)
    mass = np.cumsum(edges[stop] - edges[start], axis=1)
    value = rng.random(row.size) * mass[row, -1]
    gap = _count_at_most(mass, row, value)
    value -= np.where(gap > 0, mass[row, gap - 1], 0.0)
    start, stop = start[row, gap], stop[row, gap]
    # Rounding may carry a value over the end of its gap, onto a held position.
    return np.asarray(np.clip(locate(edges, edges[start] + value), start, stop - 1))


def _count_at_most(sums: np.ndarray, row: np.ndarray, value: np.ndarray) -> np.ndarray:
    """How many of the ascending `sums[row]` are at most the value; the last one never is."""
    width, count = sums.shape[1], np.zeros_like(row)
    before = row * width - 1
    for bit in reversed(range(width.bit_length())):
        ahead = np.minimum(count + (1 << bit), width)
        count = np.where(sums.ravel().take(before + ahead) <= value, ahead, count)
    return count


def locate(edges: np.ndarray, value: np.ndarray) -> np.ndarray:
    """The positions whose interval holds each value, 0 <= value < edges[-1]."""
    return np.searchsorted(edges, value, side="right") - 1
