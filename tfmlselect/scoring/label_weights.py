"""How much each label counts in a score, by the mean and the spread of a signal over the samples.

The weights of D2ACE; other strategies have their own.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfmlselect.distributed import workers
from tfmlselect.scoring.memories import Memory
from tfmlselect.scoring.row_chunks import fold_rows


def label_weights(mean: tf.Tensor, std: tf.Tensor) -> tf.Tensor:
    """v = exp((mean + std) / 2), of the mean and the standard deviation of each label: (q,)."""
    return tf.exp(0.5 * (mean + std))


class Moments(NamedTuple):
    """The mean and the spread of each column of a table, of the entries that were added so far.

    Each chunk of rows is centred before it is squared, and chunks are combined by the parallel
    update of Chan, Golub and LeVeque (1979), in float64: a spread far below the mean keeps its
    digits.

    Attributes:
        seen: number of entries of each column, (q,) float64.
        mean: of each column, (q,) float64.
        square: the sum of squared differences from the mean, (q,) float64.
    """

    seen: tf.Tensor
    mean: tf.Tensor
    square: tf.Tensor

    @classmethod
    def start(cls, q: int) -> Moments:
        """The moments of no rows, of q columns."""
        zero = tf.zeros([q], tf.float64)
        return cls(zero, zero, zero)

    def add(self, table: tf.Tensor, known: tf.Tensor | None = None) -> Moments:
        """The moments with the rows of `table` (b, q) float32 added.

        Args:
            known: which entries count, (b, q) bool; `table` is 0 elsewhere. None: all.
        """
        ones = tf.ones([table.shape[0]])
        size = tf.fill([table.shape[1]], float(table.shape[0]))
        if known is not None:
            size = tf.math.count_nonzero(known, axis=0, dtype=tf.float32)
        mean = tf.math.divide_no_nan(tf.linalg.matvec(table, ones, transpose_a=True), size)
        square = tf.math.squared_difference(table, mean)
        if known is not None:
            square = tf.where(known, square, 0.0)
        square = tf.cast(tf.linalg.matvec(square, ones, transpose_a=True), tf.float64)
        size = tf.cast(size, tf.float64)
        total = self.seen + size
        delta = tf.cast(mean, tf.float64) - self.mean
        between = delta**2 * tf.math.divide_no_nan(self.seen * size, total)
        mean = self.mean + delta * tf.math.divide_no_nan(size, total)
        return Moments(total, mean, self.square + square + between)

    def of_all_workers(self) -> Moments:
        """The moments of the rows of all workers together."""
        if not workers.are_several():
            return self
        seen = workers.total(self.seen)
        mean = workers.total(tf.math.divide_no_nan(self.seen, seen) * self.mean)
        between = self.seen * (self.mean - mean) ** 2
        return Moments(seen, mean, workers.total(self.square + between))


def signal_weights(signal: Memory, n: int, q: int) -> tf.Tensor:
    """`label_weights` of a signal (n, q), of its known entries: (q,) float32."""

    def add(ids: tf.Tensor, moments: Moments) -> Moments:
        return moments.add(signal.gather(ids), signal.known.of_rows(ids))

    moments = fold_rows(n, q, add, Moments.start(q)).of_all_workers()
    std = tf.sqrt(tf.math.divide_no_nan(moments.square, moments.seen))
    return tf.cast(label_weights(moments.mean, std), tf.float32)
