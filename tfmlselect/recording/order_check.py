"""Do the samples that arrive in the training steps come in the planned order? Their labels tell.

Each sample's labels have a hash, that of its positives: what is unknown is none of them. Those of
the planned samples are written down when an epoch begins, those that arrive are taken off in the
steps, and what is left is 0 where both agree.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfmlselect.distributed import replicas

_ROWS_AT_ONCE = 65536


class OrderCheck:
    """Compares the labels of an epoch's steps with those of the planned samples.

    Args:
        matrix: labels of all samples, (n, q) uint8 0/1, 0 where unknown.
        draws: samples an epoch.
    """

    def __init__(self, matrix: np.ndarray, draws: int):
        self._planned = LabelHash(matrix.shape[1])
        self._hashes = self._planned.of_rows(matrix)
        self._difference = replicas.zeros([draws, 1], tf.float64)

    def start_epoch(self, ids: np.ndarray) -> None:
        """Notes the hash that each place of a plan, (draws,) ids, should get."""
        self._difference.assign(self._hashes[ids, None])

    def note(self, labels: Sequence[tf.Tensor], rows: tf.Tensor) -> None:
        """Subtracts the hashes that arrived; traced into the train step.

        Args:
            labels: of one batch, (b, q) for each output that is recorded; NaN where unknown.
            rows: their places in the epoch, (b,) int64.
        """
        self._difference.scatter_sub(tf.IndexedSlices(self._planned.of_batch(labels), rows))

    def count_moved(self, rows: tf.Tensor) -> int:
        """How many of these places, (b,) int64, got other labels than planned."""
        return int(tf.math.count_nonzero(tf.gather(self._difference, rows)))

    def close(self) -> None:
        """Gives the memory back."""
        replicas.free(self._difference)


class LabelHash:
    """A number for each row of labels: the sum of the labels' own random numbers.

    The numbers are integers of 32 bits, kept in float64, which holds their sums exactly and
    multiplies faster than int64.

    Args:
        q: number of labels.
    """

    def __init__(self, q: int):
        numbers = np.random.default_rng(0).integers(-(2**31), 2**31, q)
        self._numbers = numbers.astype(np.float64)

    def of_rows(self, matrix: np.ndarray) -> np.ndarray:
        """The hash of each row of a 0/1 matrix (n, q): (n,) float64."""
        hashes = np.empty(len(matrix))
        for start in range(0, len(matrix), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            hashes[part] = matrix[part].astype(np.float64) @ self._numbers
        return hashes

    def of_batch(self, labels: Sequence[tf.Tensor]) -> tf.Tensor:
        """The same of labels in a train step, (b, q) for each output: (b, 1) float64.

        NaN, which is no row's hash, where the outputs' labels differ.
        """
        hashes = [self._of_one(each) for each in labels]
        if len(hashes) == 1:
            return hashes[0]
        stacked = tf.stack(hashes)
        same = tf.reduce_all(stacked == stacked[0], axis=0)
        return tf.where(same, stacked[0], tf.constant(np.nan, tf.float64))

    def _of_one(self, labels: tf.Tensor) -> tf.Tensor:
        positive = tf.cast(labels, tf.float32) > 0.5
        return tf.cast(positive, tf.float64) @ self._numbers[:, None]
