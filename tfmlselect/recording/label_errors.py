"""Mean loss and hardness of each label over the predictions that an epoch recorded."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmlselect.distributed import workers
from tfmlselect.losses.cross_entropy import binary_cross_entropy, clamp, finite_rows


class LabelErrors:
    """Adds up how far predictions are off, label by label.

    Args:
        matrix: the labels, (n, q) uint8.
    """

    def __init__(self, matrix: np.ndarray):
        self._matrix = matrix
        self._sums = np.zeros(1 + 2 * matrix.shape[1])  # rows, losses, hardnesses

    def add(self, ids: np.ndarray | slice, p: tf.Tensor) -> None:
        """Adds predictions (b, q) of the samples `ids` (b,), without rows that are not finite."""
        self._sums += _compiled_sums(tf.constant(self._matrix[ids]), p).numpy()

    def finish(self) -> dict[str, np.ndarray]:
        """Ends an epoch.

        Returns:
            "label_loss", the mean binary cross-entropy in nats, and "label_hardness", the mean
            `|y - p|`, over the predictions of all workers: (q,) float64 each. Empty where there
            were none.
        """
        rows, *sums = workers.total(self._sums).numpy()
        self._sums[:] = 0.0
        if rows == 0:
            return {}
        loss, hardness = np.reshape(sums, [2, -1]) / rows
        return {"label_loss": loss, "label_hardness": hardness}


def _row_sums(y: tf.Tensor, p: tf.Tensor) -> tf.Tensor:
    finite = finite_rows(p)
    y, p = tf.boolean_mask(y, finite), tf.boolean_mask(p, finite)
    loss = tf.reduce_sum(binary_cross_entropy(y, clamp(p)), axis=0)
    hardness = tf.reduce_sum(tf.abs(tf.cast(y, tf.float32) - p), axis=0)
    rows = tf.cast(tf.shape(p)[:1], tf.float32)
    return tf.cast(tf.concat([rows, loss, hardness], axis=0), tf.float64)


_compiled_sums = tf.function(
    _row_sums,
    [tf.TensorSpec([None, None], tf.uint8), tf.TensorSpec([None, None], tf.float32)],
    autograph=False,
)
