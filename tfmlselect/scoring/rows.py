"""From an (n, q) signal to an (n,) score: label weights, label correlations, row chunks.

A signal table is never held whole: `fold_rows` walks over it in chunks that stay in the
processor's cache, so that scoring needs the memory of its state and little more.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

CHUNK_ENTRIES = 1 << 19  # of float32: 2 MiB a table; smaller chunks cost allocations (measured)


def chunk_rows(q: int) -> int:
    """How many rows of q labels make a chunk."""
    return max(1, CHUNK_ENTRIES // q)


def fold_rows(n: int, q: int, body: Callable, state):
    """state <- body(ids, state) over chunks of rows: ids (size,) int64, `size` a Python int."""
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


def map_rows(n: int, q: int, score: Callable, count: int) -> list[tf.Tensor]:
    """Collects `score(ids)`, `count` tensors (b,) float32 a chunk, into `count` tensors (n,)."""

    def body(ids, scores):
        return tuple(
            tf.tensor_scatter_nd_update(whole, ids[:, None], part)
            for whole, part in zip(scores, score(ids), strict=True)
        )

    return list(fold_rows(n, q, body, tuple(tf.zeros([n]) for _ in range(count))))
