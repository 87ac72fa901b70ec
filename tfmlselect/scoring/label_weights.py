"""Label weights of a signal, from its mean and spread over the samples."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfmlselect.distributed import workers
from tfmlselect.scoring.rows import fold_rows


def label_weights(mean: tf.Tensor, std: tf.Tensor) -> tf.Tensor:
    """v = exp(1/2 mean + 1/2 std) of a signal over the samples, (q,) (section 5.4)."""
    return tf.exp(0.5 * (mean + std))


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
