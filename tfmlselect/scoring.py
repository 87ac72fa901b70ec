"""From an (n, q) signal to an (n,) score: label weights, label correlations, row chunks.

A signal table is never held whole: `fold_rows` walks over it in chunks that stay in the
processor's cache, so that scoring needs the memory of its state and little more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfmlselect import workers

CHUNK_ENTRIES = 1 << 19  # of float32: 2 MiB a table; smaller chunks cost allocations (measured)


def label_weights(mean: tf.Tensor, std: tf.Tensor) -> tf.Tensor:
    """v = exp(1/2 mean + 1/2 std) of a signal over the samples, (q,) (section 5.4)."""
    return tf.exp(0.5 * (mean + std))


def cosine_correlation(gram: tf.Tensor) -> tf.Tensor:
    """C from the Gram matrix K'K (q, q): cosines, each row divided by its sum (section 5.5)."""
    small = tf.constant(1e-8, gram.dtype)
    norm = tf.sqrt(tf.linalg.diag_part(gram)) + small
    cosine = gram / (norm[:, None] * norm[None, :])
    return cosine / (tf.reduce_sum(cosine, axis=1, keepdims=True) + small)


def label_context(y: np.ndarray, neighbors: np.ndarray | None) -> np.ndarray:
    """Z (n, q) uint8: 1 where a sample or one of its neighbours has the label (section 5.6).

    Args:
        y: labels (n, q), uint8 0/1.
        neighbors: ids (n, k), or None for Z = Y.
    """
    context = np.array(y, dtype=np.uint8)
    if neighbors is not None:
        for column in np.asarray(neighbors).T:
            np.maximum(context, y[column], out=context)
    return context


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


class Moments(NamedTuple):
    """Of the rows seen so far: their number, column means, and sums of squares about them.

    Chunks are centred before they are squared and combined by the parallel update of Chan, Golub
    and LeVeque (1979), in float64: a spread far below the mean keeps its digits.
    """

    seen: tf.Tensor
    mean: tf.Tensor
    square: tf.Tensor

    @classmethod
    def start(cls, q: int) -> Moments:
        """Of no rows yet."""
        zero = tf.zeros([q], tf.float64)
        return cls(tf.constant(0.0, tf.float64), zero, zero)

    def add(self, table: tf.Tensor) -> Moments:
        """With the rows of `table` (b, q) float32."""
        size = table.shape[0]
        ones = tf.ones([size])
        mean = tf.linalg.matvec(table, ones, transpose_a=True) / size
        square = tf.math.squared_difference(table, mean)
        square = tf.cast(tf.linalg.matvec(square, ones, transpose_a=True), tf.float64)
        total = self.seen + size
        delta = tf.cast(mean, tf.float64) - self.mean
        between = delta**2 * (self.seen * size / total)
        return Moments(total, self.mean + delta * (size / total), self.square + square + between)

    def of_all_workers(self) -> Moments:
        """Those of all workers' rows together."""
        if not workers.several():
            return self
        seen = workers.total(self.seen)
        mean = workers.total(self.seen / seen * self.mean)
        between = self.seen * (self.mean - mean) ** 2
        return Moments(seen, mean, workers.total(self.square + between))


def signal_weights(signal, n: int, q: int) -> tf.Tensor:
    """`label_weights` of a signal's columns: (q,) float32; `signal.gather(ids)` gives rows."""
    here = fold_rows(n, q, lambda ids, seen: seen.add(signal.gather(ids)), Moments.start(q))
    moments = here.of_all_workers()
    std = tf.sqrt(moments.square / moments.seen)
    return tf.cast(label_weights(moments.mean, std), tf.float32)
