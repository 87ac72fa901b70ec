"""The recorder: keeps what each training step predicted, in the order of the plan.

In the step, predictions are written one after the other into a log, `(draws, q)`, on the step's
device; the k-th row of the log belongs to the k-th id of the plan. Once per epoch the strategy
observes the log, each sample's visits in order. So a strategy's state changes at epoch ends alone,
can live on another device than the step, and need not be made for XLA.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import tensorflow as tf

from tfmlselect.distributed import replicas
from tfmlselect.recording.label_errors import LabelErrors
from tfmlselect.recording.order_check import OrderCheck
from tfmlselect.recording.outputs import Nested, OutputReader, no_probabilities, rows_outside
from tfmlselect.recording.squared_errors import SquaredErrors
from tfmlselect.recording.visits import observe_finite, visit_rounds
from tfmlselect.scoring.row_chunks import chunk_rows
from tfmlselect.strategies import Strategy


class PlanLike(Protocol):
    """What the recorder knows of a plan: how long an epoch is, and which samples it holds.

    A protocol, since `recording` may not import `pipeline`.
    """

    draws: int
    batch_size: int

    @property
    def followed(self) -> np.ndarray:
        """The ids of the epoch that runs, (draws,) int64."""
        ...


class Recorder:
    """The log of one fit.

    Args:
        plan: of the dataset.
        strategy: that observes the log.
        reader: what the model's outputs mean.
        losses: whether per-label losses are logged beside the predictions.
        order: compares the labels that arrive with the planned samples'; None: nobody does.
        replica_count: how many replicas record.
    """

    def __init__(
        self,
        plan: PlanLike,
        strategy: Strategy,
        reader: OutputReader,
        losses: bool,
        order: OrderCheck | None,
        replica_count: int = 1,
    ):
        self._plan, self._strategy, self._reader, self._order = plan, strategy, reader, order
        self._predictions = replicas.zeros([plan.draws, reader.q], tf.float32)
        self._losses = replicas.zeros([plan.draws, reader.q], tf.float32) if losses else None
        self._errors = SquaredErrors(plan.draws, reader)
        # How many rows all replicas have written; each keeps a count of its own. int64: what XLA
        # is to touch must be on the step's device, and int32 stays on the host.
        self._rows = replicas.zeros([replica_count], tf.int64)
        self._checked = 0  # rows
        vector = tf.TensorSpec([None], tf.int64)
        self._observe = tf.function(self._observe_rows, [vector, vector], autograph=False)

    def start_epoch(self) -> None:
        """Empties the log for the plan that is followed now."""
        self._rows.assign(tf.zeros_like(self._rows))
        self._checked = 0
        if self._order is not None:
            self._order.start_epoch(self._plan.followed)

    def record(self, y: Nested, y_pred: Nested, p: tf.Tensor) -> None:
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
        self._errors.note(y, p, rows)
        if self._order is not None:
            self._order.note(self._reader.matrices(y), rows)
        self._rows.scatter_add(tf.IndexedSlices(total, replica))

    def check(self, done: int, over: bool) -> None:
        """Reads the counters; called after steps 1, 2, 4, 8, ... and at an epoch's end.

        Args:
            done: steps done.
            over: whether this is the check at the epoch's end. With `steps_per_execution` above 1,
                `done` then counts the first step alone of the last group, and more rows are right.

        Raises:
            RuntimeError: steps recorded nothing or not each sample once, or got samples in another
                order than planned.
            ValueError: the predictions are no probabilities.
        """
        rows, plan = int(self._rows[0]), self._plan
        if rows == 0:
            raise RuntimeError(
                "No prediction was recorded: the model's train_step calls neither compute_loss nor "
                "compute_metrics. Received: 0 recorded rows. Call one of them in it, or pass "
                'AdaptiveBatchSelection(train, scores="predict").'
            )
        outside, moved = self._check_rows(self._checked, rows)
        new, self._checked = rows - self._checked, rows
        if outside:
            raise no_probabilities(outside, new)
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
                f"{plan.batch_size}. A `.map` must leave a batch its rows. Let the first call of "
                "compute_loss or "
                "compute_metrics be for the whole batch, outside of branches, or pass "
                'AdaptiveBatchSelection(train, scores="predict").'
            )

    def _check_rows(self, first: int, stop: int) -> tuple[int, int]:
        """Of rows of the log, how many are no probabilities, and of other samples than planned."""
        outside = moved = 0
        size = chunk_rows(self._reader.q)
        for start in range(first, min(stop, self._plan.draws), size):
            rows = tf.range(start, min(start + size, stop), dtype=tf.int64)
            outside += int(rows_outside(tf.gather(self._predictions, rows)))
            if self._order is not None:
                moved += self._order.count_moved(rows)
        return outside, moved

    def hand_over(self) -> int:
        """Has the strategy observe the epoch's log; returns how many rows were not finite."""
        if not self._strategy.uses_predictions:
            return 0
        ids = self._plan.followed[: int(self._rows[0])]
        left_out = tf.constant(0, tf.int64)
        for rows in visit_rounds(ids, chunk_rows(self._reader.q)):
            left_out += self._observe(tf.constant(rows), tf.constant(ids[rows]))
        return int(left_out)

    def add_errors(self, errors: LabelErrors) -> None:
        """Adds up how far the epoch's predictions are off."""
        count, size = int(self._rows[0]), chunk_rows(self._reader.q)
        for start in range(0, count, size):
            stop = min(start + size, count)
            rows = tf.range(start, stop, dtype=tf.int64)
            errors.add(self._plan.followed[start:stop], tf.gather(self._predictions, rows))

    def squared_errors(self) -> np.ndarray:
        """Of the epoch's draws, as `SquaredErrors.read` gives them."""
        return self._errors.read(int(self._rows[0]))

    def close(self) -> None:
        """Gives the log's memory back."""
        self._errors.close()
        for variable in (self._predictions, self._losses):
            if variable is not None:
                replicas.free(variable)
        if self._order is not None:
            self._order.close()

    def _observe_rows(self, rows: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
        losses = None if self._losses is None else tf.gather(self._losses, rows)
        predictions = tf.gather(self._predictions, rows)
        return observe_finite(self._strategy, ids, predictions, losses)
