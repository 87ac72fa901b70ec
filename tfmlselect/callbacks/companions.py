"""What goes along with a fit on an adaptive dataset: one companion for each thing that is done.

`AdaptiveBatchSelection` keeps a list of them and calls each at the same points of the fit, in the
order of the list. What they do is in other modules; here is when they do it.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect import _training_step
from tfmlselect._progress import verbosity
from tfmlselect._warn import warn
from tfmlselect.callbacks.masking_update import RatioUpdate
from tfmlselect.callbacks.positive_weights_update import ExponentUpdate
from tfmlselect.callbacks.run_state import RunState
from tfmlselect.distributed import replicas, workers
from tfmlselect.labels import variance_ratio
from tfmlselect.losses import PartialLabelMasking, PositiveWeights
from tfmlselect.losses.balancing import BalancingLoss
from tfmlselect.pipeline.distribution import Distribution
from tfmlselect.pipeline.selection import Selection
from tfmlselect.recording.exact_predictions import Scorer
from tfmlselect.recording.label_errors import LabelErrors
from tfmlselect.recording.outputs import Nested, OutputReader, ProbabilityCheck
from tfmlselect.recording.recorder import Recorder
from tfmlselect.recording.squared_errors import ErrorRecorder
from tfmlselect.strategies import RareEvents


@dataclasses.dataclass
class Epoch:
    """An epoch that was trained, handed from companion to companion.

    Attributes:
        distribution: that it was drawn from.
        refresh: whether the next epoch is to have a new one.
        logs: of Keras, or None.
        verbose: whether long work shows its progress.
        numbers, arrays: figures of the epoch, by name; companions add theirs.
    """

    distribution: Distribution
    refresh: bool
    logs: dict[str, Any] | None
    verbose: bool
    numbers: dict[str, float] = dataclasses.field(default_factory=dict)
    arrays: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    @property
    def in_force(self) -> dict[str, float]:
        """What the strategy's schedules and shares were in the epoch, by name."""
        values = self.distribution.schedule_values
        return {f"selection/{name}": value for name, value in values.items()}


class Companion:
    """One thing that is done beside a fit; a subclass overrides the moments at which it acts.

    Attributes:
        records: whether `record` is to be called; the step stays as it is where none asks for it.
    """

    records = False

    def start(self) -> None:
        """The fit begins: the dataset is attached, and its first plan is drawn."""

    def start_epoch(self) -> None:
        """Called after each plan is drawn: after `start`, and after each `finish_epoch`."""

    def before_steps(self) -> None:
        """Called before an epoch's first step, when the length of the run is known."""

    def record(self, y: Nested, y_pred: Nested, p: tf.Tensor) -> None:
        """One training step, as it is traced: labels and outputs as they are, p (b, q)."""

    def watch(self, y: Nested, y_pred: Nested) -> None:
        """The same step, for what must go on where outputs are no probabilities (b, q)."""

    def check(self, done: int, over: bool) -> None:
        """After 1, 2, 4, 8, ... steps, and when the epoch is over: `done` steps were done."""

    def finish_epoch(self, epoch: Epoch) -> None:
        """An epoch was trained. Called in the order of the list.

        Before `NextDistribution` the selection stands at the epoch that was trained, behind it at
        the next one.
        """

    def validate(self, begins: bool) -> None:
        """A validation inside the fit begins, or ends."""

    def close(self) -> None:
        """The fit is over, however it ended."""


class PredictionLog(Companion):
    """Has the strategy observe what the training steps predicted."""

    records = True

    def __init__(self, selection: Selection, recorder: Recorder, errors: LabelErrors | None):
        self._selection, self._recorder, self._errors = selection, recorder, errors

    def start_epoch(self) -> None:
        """Empties the log."""
        self._recorder.start_epoch()

    def record(self, y: Nested, y_pred: Nested, p: tf.Tensor) -> None:
        """Writes a batch into the log."""
        self._recorder.record(y, y_pred, p)

    def check(self, done: int, over: bool) -> None:
        """Looks whether each sample was recorded, in the planned order."""
        self._recorder.check(done, over)

    def finish_epoch(self, epoch: Epoch) -> None:
        """Hands the log over."""
        warn_of_rows_left_out(self._selection, self._recorder.hand_over())
        if self._errors is not None:
            self._recorder.add_errors(self._errors)

    def close(self) -> None:
        """Gives the memory back."""
        self._recorder.close()


class ErrorLog(Companion):
    """Records how far predictions are off, where no log of the predictions is kept."""

    def __init__(self, recorder: ErrorRecorder):
        self._recorder = recorder

    def start_epoch(self) -> None:
        """Starts at the first draw."""
        self._recorder.start_epoch()

    def watch(self, y: Nested, y_pred: Nested) -> None:
        """Takes in a batch, if it can be read."""
        self._recorder.record(y, y_pred)

    def close(self) -> None:
        """Gives the memory back."""
        self._recorder.close()


class VarianceRatio(Companion):
    """Shows how unequal the gradients of all samples are, estimated from those that were drawn.

    Args:
        selection: of the dataset.
        recorder: of the predictions' errors.
    """

    def __init__(self, selection: Selection, recorder: Recorder | ErrorRecorder):
        self._selection, self._recorder = selection, recorder
        self._warms_up = False

    def start_epoch(self) -> None:
        """Notes whether the plan that was drawn is one of the warm-up."""
        self._warms_up = self._selection.epoch < self._selection.strategy.warmup

    def finish_epoch(self, epoch: Epoch) -> None:
        """Adds R, unless no prediction was recorded."""
        squares = self._recorder.squared_errors().astype(np.float64)
        weights = self._weights(epoch.distribution)[: len(squares)]
        known = np.isfinite(squares)
        w, g2 = weights[known], squares[known]
        sums = [w.sum(), w @ np.sqrt(g2), w @ g2]
        counts = [len(squares), np.isinf(squares).sum()]
        draws, unknown, *sums = workers.total(np.array([*counts, *sums])).numpy()
        if draws:
            readable = unknown == 0 and sums[0] > 0
            ratio = variance_ratio(np.array(sums)) if readable else np.nan
            epoch.numbers["selection/variance_ratio"] = ratio

    def _weights(self, distribution: Distribution) -> np.ndarray:
        """What each draw of the epoch stands for, in samples of this machine: 1 / (draws p_i)."""
        plan, p = self._selection.plan, distribution.probabilities
        if self._warms_up:
            return np.full(plan.draws, plan.n / plan.draws)
        lowest = p[p > 0].min()  # a plan of a strategy's own may draw p = 0
        return 1.0 / (plan.draws * np.maximum(p, lowest)[plan.followed])


class ExactPredictions(Companion):
    """Has the strategy observe a prediction of every sample, made anew."""

    def __init__(self, selection: Selection, scorer: Scorer):
        self._selection, self._scorer = selection, scorer

    def finish_epoch(self, epoch: Epoch) -> None:
        """Predicts, if a new distribution is due."""
        if epoch.refresh:
            with verbosity(int(epoch.verbose)):
                warn_of_rows_left_out(self._selection, self._scorer.score_all())


class OutputCheck(Companion):
    """Looks whether outputs are probabilities, where no log of them is kept."""

    records = True

    def __init__(self) -> None:
        self._probabilities = ProbabilityCheck()

    def record(self, y: Nested, y_pred: Nested, p: tf.Tensor) -> None:
        """Looks at a batch."""
        self._probabilities.add(p)

    def check(self, done: int, over: bool) -> None:
        """Raises a ValueError if there was one."""
        self._probabilities.check()


class NextDistribution(Companion):
    """Measures how the epoch was drawn, counts it, and asks the strategy for the next one."""

    def __init__(self, selection: Selection):
        self._selection = selection

    def finish_epoch(self, epoch: Epoch) -> None:
        """Turns what was observed into the distribution of the next epoch."""
        selection = self._selection
        numbers, arrays = selection.statistics.of_epoch(epoch.distribution, selection.plan.followed)
        epoch.numbers.update(numbers)
        epoch.arrays.update(arrays)
        selection.advance(epoch.refresh)
        epoch.numbers["selection/passes"] = selection.passes


class MaskingRatios(Companion):
    """Adapts the ratios of a `PartialLabelMasking` loss, to the odds of the draws."""

    records = True

    def __init__(
        self,
        selection: Selection,
        reader: OutputReader,
        loss: PartialLabelMasking,
        leader: tf.keras.callbacks.Callback,
    ):
        self._selection, self._reader = selection, reader
        self._update = RatioUpdate(loss, leader)

    def start(self) -> None:
        """Takes the odds of the first epoch."""
        self._update.start(self._odds())

    def before_steps(self) -> None:
        """From here on, evaluations are validation only where Keras says so."""
        self.validate(False)

    def record(self, y: Nested, y_pred: Nested, p: tf.Tensor) -> None:
        """Counts a batch."""
        self._update.record(self._reader.matrix(y), p)

    def finish_epoch(self, epoch: Epoch) -> None:
        """Moves the ratios, and takes the odds of the next epoch."""
        numbers, arrays = self._update.finish(self._odds())
        epoch.numbers.update(numbers)
        epoch.arrays.update(arrays)

    def validate(self, begins: bool) -> None:
        """Has the loss leave the mask out."""
        self._update.validate(begins)

    def close(self) -> None:
        """Nobody adapts the loss any more."""
        self._update.close()

    def _odds(self) -> np.ndarray:
        return self._selection.statistics.odds(self._selection.distribution)


class ThinningRates(Companion):
    """Tells each training step the rates of its batch, for a `ThinnedLikelihood` loss.

    Args:
        selection: of the dataset.
        strategy: that thins it.
        replica_count: how many replicas train.
    """

    def __init__(self, selection: Selection, strategy: RareEvents, replica_count: int):
        self._selection, self._strategy = selection, strategy
        # In the order of the plan. A recorder counts rows too, but not every fit has one.
        self._rates = replicas.zeros([selection.plan.draws], tf.float32)
        self._rows = replicas.zeros([replica_count], tf.int64)

    def start_epoch(self) -> None:
        """Takes the rates of the epoch that is planned."""
        self._rows.assign(tf.zeros_like(self._rows))
        self._rates.assign(self._strategy.rates(self._selection.plan.followed))

    def watch(self, y: Nested, y_pred: Nested) -> None:
        """Notes the rates of a batch, whatever the model's outputs are."""
        first = tf.nest.flatten(y_pred)[0]
        size = tf.unstack(tf.shape(first, out_type=tf.int64))[0]
        replica, start, total = replicas.place_in_batch(self._rows, size)
        rows = tf.range(start, start + size, tf.constant(1, tf.int64))
        _training_step.note_rates(tf.gather(self._rates, rows))
        self._rows.scatter_add(tf.IndexedSlices(total, replica))

    def close(self) -> None:
        """Gives the memory back."""
        replicas.free(self._rates)


class WeightsExponent(Companion):
    """Moves the exponent of a `PositiveWeights` loss, and its odds where they are of the draws."""

    def __init__(
        self, selection: Selection, loss: PositiveWeights, leader: tf.keras.callbacks.Callback
    ):
        self._selection, self._loss = selection, loss
        self._update = ExponentUpdate(loss, leader)

    def before_steps(self) -> None:
        """Takes the exponent of this epoch, counted by the dataset, and the odds of its draws."""
        selection = self._selection
        if self._loss.odds_of == "draws":
            self._loss.odds.assign(selection.statistics.odds(selection.distribution))
        self._update.start_epoch(selection.strategy._at(self._loss.schedule, selection.epoch))

    def finish_epoch(self, epoch: Epoch) -> None:
        """Shows the exponent that the epoch was trained with."""
        epoch.numbers.update(self._update.finish_epoch())

    def validate(self, begins: bool) -> None:
        """Has the loss leave out weights that move."""
        self._update.validate(begins)

    def close(self) -> None:
        """Nobody moves the exponent any more."""
        self._update.close()


class Backup(Companion):
    """Keeps the run in a directory.

    Args:
        state: of the run.
        model: that is trained.
        loss: one that is adapted, or None.
        required: whether the fit stops where a backup cannot be written.
    """

    def __init__(
        self, state: RunState, model: tf.keras.Model, loss: BalancingLoss | None, required: bool
    ):
        self._state, self._model, self._loss = state, model, loss
        self._required = required
        self._warned = False

    def finish_epoch(self, epoch: Epoch) -> None:
        """Writes what is now, between two epochs.

        Raises:
            RuntimeError: it cannot be written, and is required.

        Warns:
            UserWarning: it cannot be written; once a fit.
        """
        try:
            self._state.save(self._model, self._loss)
        except OSError as error:
            if self._required:
                raise RuntimeError(
                    f"A backup could not be written. Received: {error}. Make room, and go on from "
                    "the backup before it; or leave out backup_required=True."
                ) from error
            if not self._warned:
                self._warned = True
                warn(
                    f"A backup could not be written, and the fit goes on. Received: {error}. The "
                    "backups before it are kept, and each epoch tries again. Make room; "
                    "backup_required=True stops the fit instead.",
                )


def warn_of_rows_left_out(selection: Selection, rows: int) -> None:
    """Says once for each dataset that predictions were left out."""
    if rows and selection.first_time("not finite"):
        warn(
            f"Predictions were not finite and are left out. Received: {rows} rows with NaN "
            f"or infinity in epoch {selection.epoch}; their samples keep the last good value. "
            "Lower the learning rate or clip gradients.",
        )
