"""How far off each draw's prediction was, one number a draw: what the variance ratio is made of.

The predictions themselves are not kept here: that is `recorder`'s business.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmlselect.distributed import replicas
from tfmlselect.losses.cross_entropy import finite_rows
from tfmlselect.recording.outputs import Nested, OutputReader, are_outside


class SquaredErrors:
    """||p - y||_2^2 of each draw of an epoch, over its known labels, in the order of the plan.

    Args:
        draws: samples an epoch.
        reader: what the model's outputs and labels mean.
    """

    def __init__(self, draws: int, reader: OutputReader):
        self._draws, self._reader = draws, reader
        # Infinity: not known. The last place is for rows beyond the plan.
        self._values = replicas.outside_scopes(
            lambda: tf.Variable(tf.fill([draws + 1], np.float32(np.inf)), trainable=False)
        )

    def note(self, y: Nested, p: tf.Tensor, rows: tf.Tensor) -> bool:
        """Takes in one batch of predictions, (b, q), if its labels can be read.

        Args:
            y: as the train step has it; other rows than predictions make a batch that is not known.
            p: probabilities (b, q); a row with others is not known.
            rows: their places in the epoch, (b,) int64.

        Returns:
            Whether its labels can be read, known when the step is traced.
        """
        try:
            labels = tf.cast(self._reader.matrix(y), tf.float32)
            shape = tf.shape(p, out_type=tf.int64)
            size, given = (tf.unstack(each)[0] for each in (shape, tf.shape(labels, tf.int64)))
            # As many rows as p has: a batch that has others must not fail inside the step.
            padded = tf.concat([labels, tf.zeros_like(p)], axis=0)
            labels = tf.slice(padded, tf.constant([0, 0], tf.int64), shape)
            squares = tf.math.squared_difference(labels, p)
            if self._reader.missing is not None:
                squares = tf.where(tf.math.is_nan(labels), tf.zeros_like(squares), squares)
            values = tf.reduce_sum(squares, axis=1)
            values = tf.where(finite_rows(p), values, tf.constant(np.nan, tf.float32))
            unknown = are_outside(p) | (given != size)
            self.write(tf.where(unknown, tf.constant(np.inf, tf.float32), values), rows)
        except Exception:  # a `.map`, or a user's own train_step, may have made anything of them
            return False
        return True

    def write(self, values: tf.Tensor, rows: tf.Tensor) -> None:
        """Writes values (b,) float32 to their places (b,) int64."""
        self._values.scatter_update(tf.IndexedSlices(values, rows))

    def read(self, rows: int) -> np.ndarray:
        """The values of an epoch in which `rows` rows were recorded.

        Returns:
            (draws,) float32, NaN where the prediction was not finite, infinity where it is not
            known; all infinity if the rows are not those of the plan; empty if there were none.
        """
        if rows in (0, self._draws):
            return self._values.numpy()[:rows]
        return np.full(self._draws, np.inf, np.float32)

    def close(self) -> None:
        """Gives the memory back."""
        replicas.free(self._values)


class ErrorRecorder:
    """Records squared errors alone, in a fit that goes on whatever the model's outputs are.

    Args:
        draws: samples an epoch.
        reader: what the model's outputs and labels mean.
        replica_count: how many replicas record.
    """

    def __init__(self, draws: int, reader: OutputReader, replica_count: int = 1):
        self._draws, self._reader = draws, reader
        self._errors = SquaredErrors(draws, reader)
        self._rows = replicas.zeros([replica_count], tf.int64)  # as in `recorder.Recorder`

    def start_epoch(self) -> None:
        """Counts from 0."""
        self._rows.assign(tf.zeros_like(self._rows))

    def record(self, y: Nested, y_pred: Nested) -> None:
        """Takes in one batch, if it can be read; traced into the train step.

        Args:
            y, y_pred: as the train step has them.
        """
        try:
            p = self._reader.probabilities(y_pred)
            if p.shape.rank != 2 or p.shape[1] != self._reader.q:
                return
            size = tf.unstack(tf.shape(p, out_type=tf.int64))[0]
            replica, start, total = replicas.place_in_batch(self._rows, size)
            rows = tf.range(start, start + size, tf.constant(1, tf.int64))
            if self._errors.note(y, p, tf.minimum(rows, self._draws)):
                self._rows.scatter_add(tf.IndexedSlices(total, replica))
        except Exception:  # outputs of a user's own train_step may be anything
            return

    def squared_errors(self) -> np.ndarray:
        """Of the epoch's draws, as `SquaredErrors.read` gives them."""
        return self._errors.read(int(self._rows[0]))

    def close(self) -> None:
        """Gives the memory back."""
        self._errors.close()
