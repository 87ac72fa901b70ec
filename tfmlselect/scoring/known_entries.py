"""Which entries of the labels are known: values of the others count for nothing.

Which they are is read from y, in `labels`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf


class KnownEntries:
    """The known entries of labels (n, q), for rows of values.

    Args:
        known: (n, q) bool, or None: all are.
    """

    def __init__(self, known: np.ndarray | None):
        self._known = None if known is None else tf.constant(known)
        self._counts = None if known is None else tf.constant(known.sum(axis=1), tf.float32)

    def keep(self, ids: Any, values: tf.Tensor) -> tf.Tensor:
        """The rows of `ids` (b,), values (b, q), with 0 in place of what is unknown."""
        if self._known is None:
            return values
        return tf.where(tf.gather(self._known, ids), values, tf.zeros_like(values))

    def mean(self, ids: Any, values: tf.Tensor) -> tf.Tensor:
        """The mean of each row (b, q) float32 over its known labels, 0 where there are none."""
        if self._known is None:
            return tf.reduce_mean(values, axis=1)
        sums = tf.reduce_sum(self.keep(ids, values), axis=1)
        return tf.math.divide_no_nan(sums, tf.gather(self._counts, ids))

    def shares(self, n: int) -> tf.Tensor:
        """The share of each of the n rows that is known: (n,) float64."""
        if self._known is None:
            return tf.ones([n], tf.float64)
        return tf.cast(self._counts, tf.float64) / self._known.shape[1]

    def of_rows(self, ids: Any) -> tf.Tensor | None:
        """Which are known in the rows of `ids` (b,): (b, q) bool; None: all are."""
        return None if self._known is None else tf.gather(self._known, ids)
