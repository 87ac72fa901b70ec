"""The recorder: keeps what each training step predicted, in the order of the plan.

In the step, predictions are written one after the other into a log, `(draws, q)`, on the step's
device; the k-th row of the log belongs to the k-th id of the plan. Once per epoch the strategy
observes the log, each sample's visits in order. So a strategy's state changes at epoch ends alone,
can live on another device than the step, and need not be made for XLA.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfmlselect.distributed import replicas
from tfmlselect.recording.label_errors import LabelErrors
from tfmlselect.recording.outputs import OutputReader, no_probabilities, rows_outside
from tfmlselect.recording.visits import observe_finite, visit_rounds
from tfmlselect.scoring.rows import chunk_rows


class Recorder:
    """The log of one fit.

    Args:
        selection: the dataset's selection.
        reader: what the model's outputs mean.
        losses: whether per-label losses are logged beside the predictions.
        check_order: whether the labels that arrive are compared with the planned samples'.
        replica_count: how many replicas record.
    """

    def __init__(
        self,
        selection: Any,
        reader: OutputReader,
        losses: bool,
        check_order: bool,
        replica_count: int = 1,
    ):
        self._selection = selection
        self._reader = reader
        shape = [selection.plan.draws, selection.labels.q]
        self._predictions = _empty(shape, tf.float32)
        self._losses = _empty(shape, tf.float32) if losses else None
        # Of all replicas together; each counts for itself. int64: what XLA is to touch must be
        # on the step's device, and int32 stays on the host.
        self._rows = _empty([replica_count], tf.int64)
        self._checked = 0  # rows
        self._hashes: Any = None
        self._expected: Any = None
        if check_order:
            self._hashes = reader.hashes_of_rows(selection.labels.matrix)
            self._expected = _empty([selection.plan.draws, 1], tf.float64)
        vector = tf.TensorSpec([None], tf.int64)
        self._observe = tf.function(self._observe_rows, [vector, vector], autograph=False)

    def start_epoch(self) -> None:
        """Empties the log and notes the labels that the plan's samples have."""
        self._rows.assign(tf.zeros_like(self._rows))
        self._checked = 0
        if self._hashes is not None:
            self._expected.assign(self._hashes[self._selection.plan.ids, None])

    def record(self, y: Any, y_pred: Any, p: tf.Tensor) -> None:
        """Adds one batch to the log; traced into the train step.

        TensorFlow keeps the graph of every train step that was ever compiled: so there are few ops
        here, and what can wait is looked at in `check`.

        Args:
            y, y_pred: as the train step has them.
            p: what `OutputReader.probabilities` makes of y_pred.
        """
        size = tf.unstack(tf.shape(p, out_type=tf.int64))[0]
        replica, start, total = replicas.place_in_batch(self._rows, size)
        rows = tf.range(start, start + size, tf.constant(1, tf.int64))
        self._predictions.scatter_update(tf.IndexedSlices(p, rows))
        if self._losses is not None:
            losses = self._reader.losses(y, y_pred)
            self._losses.scatter_update(tf.IndexedSlices(losses, rows))
        if self._hashes is not None:
            self._expected.scatter_sub(tf.IndexedSlices(self._reader.hashes(y), rows))
        self._rows.scatter_add(tf.IndexedSlices(total, replica))

    def check(self, done: int, over: bool) -> None:
        """Reads the counters; called after steps 1, 2, 4, 8, ... and at an epoch's end.

        Args:
            done: steps done.
            over: whether the epoch is; of the last execution, which may have been of several steps,
                `done` then counts the first one.

        Raises:
            RuntimeError: steps recorded nothing or not each sample once, or got samples in another
                order than planned.
            ValueError: the predictions are no probabilities.
        """
        rows, plan = int(self._rows[0]), self._selection.plan
        if rows == 0:
            raise RuntimeError(
                "No prediction was recorded: the model's train_step calls neither compute_loss nor "
                "compute_metrics. Received: 0 recorded rows. Call one of them in it, or pass "
                'AdaptiveBatchSelection(train, scores="predict").'
            )
        outside, moved = self._check_rows(self._checked, rows)
        new, self._checked = rows - self._checked, rows
        if outside:
            raise _no_probabilities(outside, new)
        if moved:
            raise RuntimeError(
                "The samples that arrive are not the planned ones. Received: "
                f"{moved} of {new} rows with other labels than planned. "
                "Something between the dataset and the model changes the order (shuffling, "
                "filtering, a wrapper that drops batches) or the labels. If labels are changed on "
                "purpose (mixup), pass AdaptiveBatchSelection(train, check_order=False)."
            )
        planned = min(done * plan.batch_size, plan.draws)
        later = rows == plan.draws or (planned < rows < plan.draws and rows % plan.batch_size == 0)
        if rows != planned and not (over and later):
            raise RuntimeError(
                "The train_step does not hand over one prediction of each sample in every step. "
                f"Received: {rows} predictions in {done} steps, of batches of "
                f"{plan.batch_size}. Let its first call of compute_loss or "
                "compute_metrics be for the whole batch, outside of branches, or pass "
                'AdaptiveBatchSelection(train, scores="predict").'
            )

    def close(self) -> None:
        """Gives the log's memory back.

        Keras' optimizers keep the graph of each train function alive, and with it all variables
        that the graph reads or writes, also those that nobody else refers to any more.
        """
        for variable in (self._predictions, self._losses, self._expected):
            if variable is not None:
                nothing = tf.zeros([0, *variable.shape[1:]], variable.dtype)
                tf.raw_ops.AssignVariableOp(resource=variable.handle, value=nothing)

    def _check_rows(self, first: int, stop: int) -> tuple[int, int]:
        """Of rows of the log, how many are no probabilities, and of other samples than planned."""
        outside = moved = 0
        size = chunk_rows(self._selection.labels.q)
        for start in range(first, min(stop, self._selection.plan.draws), size):
            rows = tf.range(start, min(start + size, stop), dtype=tf.int64)
            outside += int(rows_outside(tf.gather(self._predictions, rows)))
            if self._hashes is not None:
                # Of the planned hashes those that arrived were taken off.
                moved += int(tf.math.count_nonzero(tf.gather(self._expected, rows)))
        return outside, moved

    def hand_over(self) -> int:
        """Has the strategy observe the epoch's log; returns how many rows were not finite."""
        if not self._selection.strategy.uses_predictions:
            return 0
        ids = self._selection.plan.ids[: int(self._rows[0])]
        dropped = tf.constant(0, tf.int64)
        for rows in visit_rounds(ids, chunk_rows(self._selection.labels.q)):
            dropped += self._observe(tf.constant(rows), tf.constant(ids[rows]))
        return int(dropped)

    def add_errors(self, errors: LabelErrors) -> None:
        """Adds up how far the epoch's predictions are off."""
        count, size = int(self._rows[0]), chunk_rows(self._selection.labels.q)
        for start in range(0, count, size):
            stop = min(start + size, count)
            rows = tf.range(start, stop, dtype=tf.int64)
            errors.add(self._selection.plan.ids[start:stop], tf.gather(self._predictions, rows))

    def _observe_rows(self, rows: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
        losses = None if self._losses is None else tf.gather(self._losses, rows)
        predictions = tf.gather(self._predictions, rows)
        return observe_finite(self._selection.strategy, ids, predictions, losses)


def _empty(shape: list[int], dtype: tf.DType) -> tf.Variable:
    return replicas.unmirrored(lambda: tf.Variable(tf.zeros(shape, dtype), trainable=False))


def _no_probabilities(rows: int, of: int) -> ValueError:
    remedy = (
        "Make the loss with from_logits=True (where it is your own: "
        "AdaptiveBatchSelection(train, from_logits=True))"
    )
    return no_probabilities(f"{rows} of {of}", remedy)
