"""Mean loss and hardness of each label over the predictions that an epoch recorded."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmlselect.distributed import workers
from tfmlselect.labels import Labels
from tfmlselect.losses.cross_entropy import binary_cross_entropy, clamp, finite_rows


class LabelErrors:
    """Adds up how far predictions are off, label by label, where the label is known.

    Args:
        labels: of the samples here.
    """

    def __init__(self, labels: Labels):
        self._labels = labels
        self._sums = np.zeros([3, labels.q])  # entries, losses, hardnesses

    def add(self, ids: np.ndarray | slice, p: tf.Tensor) -> None:
        """Adds predictions (b, q) of the samples `ids` (b,), without rows that are not finite."""
        y = tf.constant(self._labels.table(ids).astype(np.float32, copy=False))
        self._sums += _compiled_sums(y, p).numpy()

    def finish(self) -> dict[str, np.ndarray]:
        """Ends an epoch.

        Returns:
            "label_loss", the mean binary cross-entropy in nats, and "label_hardness", the mean
            `|y - p|`, over the predictions of all workers: (q,) float64 each, NaN for a label of
            which no entry was known. Empty where there were no predictions.
        """
        entries, *sums = workers.total(self._sums).numpy()
        self._sums[:] = 0.0
        if not entries.any():
            return {}
        unknown = np.full(len(entries), np.nan)
        loss, hardness = (
            np.divide(each, entries, out=unknown.copy(), where=entries > 0) for each in sums
        )
        return {"label_loss": loss, "label_hardness": hardness}


def _row_sums(y: tf.Tensor, p: tf.Tensor) -> tf.Tensor:
    finite = finite_rows(p)
    y, p = tf.boolean_mask(y, finite), tf.boolean_mask(p, finite)
    known = ~tf.math.is_nan(y)
    values = [
        tf.ones_like(p),
        binary_cross_entropy(y > 0.5, clamp(p)),
        tf.abs(y - p),
    ]
    sums = [tf.reduce_sum(tf.where(known, each, 0.0), axis=0) for each in values]
    return tf.cast(tf.stack(sums), tf.float64)


_compiled_sums = tf.function(
    _row_sums,
    [tf.TensorSpec([None, None], tf.float32), tf.TensorSpec([None, None], tf.float32)],
    autograph=False,
)
