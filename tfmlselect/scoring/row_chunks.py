"""The walk over all samples in chunks of rows that fit into the processor's cache.

So no table (n, q) is computed whole, and scoring needs little more memory than what is remembered.
What is computed of a chunk, the caller says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import tensorflow as tf

CHUNK_ENTRIES = 1 << 19  # 2 MiB of float32; smaller chunks cost more allocations (measured)

State = TypeVar("State")


def chunk_rows(q: int) -> int:
    """How many rows of q labels make a chunk."""
    return max(1, CHUNK_ENTRIES // q)


def fold_rows(n: int, q: int, body: Callable[[tf.Tensor, State], State], state: State) -> State:
    """Calls `state = body(ids, state)` for one chunk of rows after the other.

    Args:
        n: number of samples.
        q: numbers in a row.
        body: takes the ids of a chunk, (size,) int64 of a size that is known when it is traced.
        state: a tensor or a tuple of tensors, the first one.

    Returns:
        The last state.
    """
    size = min(chunk_rows(q), n)
    first = tf.range(size, dtype=tf.int64)
    whole = n // size
    if whole == 1:
        state = body(first, state)
    else:
        _, state = tf.while_loop(
            lambda chunk, _: chunk < whole,
            lambda chunk, state: (chunk + 1, body(first + chunk * size, state)),
            (tf.constant(0, tf.int64), state),
            parallel_iterations=1,
        )
    if n % size:
        state = body(tf.range(whole * size, n, dtype=tf.int64), state)
    return state


def map_rows(
    n: int, q: int, score: Callable[[tf.Tensor], Sequence[tf.Tensor]], count: int
) -> list[tf.Tensor]:
    """Computes one or several numbers of each sample, chunk by chunk.

    Args:
        n: number of samples.
        q: numbers in a row.
        score: takes the ids (b,) of a chunk and gives `count` tensors (b,) float32.
        count: how many.

    Returns:
        `count` tensors (n,) float32.
    """

    def body(ids: tf.Tensor, scores: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        return tuple(
            tf.tensor_scatter_nd_update(whole, ids[:, None], part)
            for whole, part in zip(scores, score(ids), strict=True)
        )

    scores = fold_rows(n, q, body, tuple(tf.zeros([n]) for _ in range(count)))
    return list(scores)
