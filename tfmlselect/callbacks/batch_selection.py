"""The crank: once per epoch, records become a distribution, and the distribution a plan."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from tfmlselect._progress import verbosity
from tfmlselect.callbacks import fit_checks
from tfmlselect.callbacks.arguments import check_arguments
from tfmlselect.callbacks.held_out import HeldOutCheck
from tfmlselect.callbacks.partial_label_masking import RatioUpdate
from tfmlselect.callbacks.run_state import RunState
from tfmlselect.callbacks.tensorboard import SelectionSummaries, checked_names
from tfmlselect.distributed import replicas
from tfmlselect.losses import PartialLabelMasking
from tfmlselect.pipeline.dataset import AdaptiveDataset
from tfmlselect.recording.outputs import AveragedOutputs, OutputReader
from tfmlselect.recording.recorder import Recorder
from tfmlselect.recording.scorer import Scorer


class AdaptiveBatchSelection(HeldOutCheck):
    """Makes `model.fit` on an adaptive dataset adaptive.

    Records what the training steps predict, hands it to the dataset's strategy at the end of each
    epoch, and draws the next epoch from the distribution that the strategy gives. Adds to the
    epoch's logs, and so to History, what was drawn in it:

    * `selection/effective_sample_size`: 1 / sum p^2, n where all samples are equally likely;
    * `selection/entropy`: of the distribution, in nats, divided by ln n;
    * `selection/unique_samples`: share of the n samples that were drawn at least once;
    * `selection/minority_share`: share of the draws that have a minority label (IRLbl > MeanIR);
    * `selection/shard_imbalance`, on several machines: the largest mass of a worker's shard over
      its share of the draws;

    and to History alone `selection/label_attention`, an array (q,) an epoch: how often positives of
    each label were drawn, divided by what uniform draws would have given; NaN without positives.

    Where the model is compiled with a `tfmlselect.losses.PartialLabelMasking`, its ratios are
    adapted too, to the odds of the labels in the draws, with the figures that
    `tfmlselect.callbacks.PartialLabelMaskingUpdate` shows.

    Args:
        dataset: the `AdaptiveDataset` that is passed to `fit`, or one mapped from it.
        scores: "record" takes the predictions of the training steps themselves, at no further
            forward pass; "predict" predicts every sample anew, in inference mode, after every
            `every` epochs, and shows how far it is as `fit(verbose=...)` does.
        every: refresh the distribution every so many epochs, the first time after the warm-up.
        signal: "probability", or an element-wise loss `(y, y_pred) -> (b, q)` on the model's
            output as it is, when hardness is to be the loss that is really trained.
        output: name or index of the output that is recorded, for models with several; a list of
            them, all of the dataset's labels, is recorded as the mean of their probabilities.
        from_logits: whether that output is logits; "auto" asks the compiled loss.
        check_order: compare the labels that arrive in the steps with those of the planned samples.
            Turn it off where a `.map` changes labels on purpose (mixup).
        backup_dir: a directory to keep the run in, written after each epoch, for `restore`; the
            dataset needs a `seed`. None: the run is not kept.
        state_device: where the strategy's state lives and scores are computed, such as "CPU:0";
            None: where TensorFlow puts variables.
        log_dir: a directory for TensorBoard, which may be that of Keras' own callback. After each
            epoch, what is above and more, label by label, is written into its subdirectory
            `selection`. Needs the package tensorboard. None: nothing is written.
        label_names: q names of the labels, for TensorBoard; None: the columns' numbers.

    Raises:
        TypeError: `dataset` is no `AdaptiveDataset`.
        ImportError: a `log_dir`, and tensorboard is not installed.
        ValueError: an argument outside its range. At the start of training: an epoch of another
            length, or a model of another width than the dataset.

    Example:
        >>> import numpy as np, tensorflow as tf, tfmlselect as tfml
        >>> x = np.random.default_rng(0).normal(size=(48, 4)).astype("float32")
        >>> y = (x[:, :2] > 0).astype("float32")
        >>> train = tfml.adaptive_dataset((x, y), batch_size=16, seed=0)
        >>> model = tf.keras.Sequential([tf.keras.layers.Dense(2, activation="sigmoid")])
        >>> model.compile("adam", "binary_crossentropy")
        >>> history = model.fit(
        ...     train, epochs=2, verbose=0, callbacks=[tfml.AdaptiveBatchSelection(train)]
        ... )
        >>> len(history.history["selection/unique_samples"])
        2
    """

    adapts_ratios = True  # of a PartialLabelMasking loss, where the model has one

    def __init__(
        self,
        dataset: AdaptiveDataset,
        *,
        scores: str = "record",
        every: int = 1,
        signal: str | Callable = "probability",
        output: str | int | Sequence[str | int] | None = None,
        from_logits: bool | str = "auto",
        check_order: bool = True,
        backup_dir: str | None = None,
        state_device: str | None = None,
        log_dir: str | os.PathLike | None = None,
        label_names: Sequence[str] | None = None,
    ):
        super().__init__()
        self.dataset = dataset
        self._options: dict[str, Any] = {
            "scores": scores,
            "every": every,
            "signal": signal,
            "output": output,
            "from_logits": from_logits,
            "check_order": check_order,
            "backup_dir": backup_dir,
            "state_device": state_device,
            "log_dir": log_dir,
            "label_names": label_names,
        }
        check_arguments(dataset, self._options)
        self._state: RunState | None = None
        if backup_dir is not None:
            self._state = RunState(os.fspath(backup_dir), dataset._selection)
        self._board: SelectionSummaries | None = None
        names = checked_names(label_names, dataset._selection.labels.q)
        if log_dir is not None:
            self._board = SelectionSummaries(log_dir, names, dataset._selection)
        self._restored = False
        self._signal = signal if callable(signal) else None
        labels = dataset._selection.labels
        reader: Any = AveragedOutputs if isinstance(output, (list, tuple)) else OutputReader
        self._reader = reader(labels.q, labels.single_label, output, from_logits, self._signal)
        self._recorder: Recorder | None = None
        self._scorer: Scorer | None = None
        self._ratios: RatioUpdate | None = None
        self._next_check = 1

    def __deepcopy__(self, memo: dict) -> AdaptiveBatchSelection:
        return type(self)(self.dataset, **self._options)

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Attaches the dataset and draws its next epoch."""
        selection = self._selection
        fit_checks.check_alone(selection, self)
        fit_checks.check_steps(self.params.get("steps"), self.dataset)
        fit_checks.warn_if_apart(self.model)
        if self._state is not None:
            self._state.check_start()
        self._reader.prepare(self.model)
        selection.attach(self, self.model, self._options["state_device"])
        self._running = True
        self._first_epoch: int | None = None
        self._plan_run(max(self.params["epochs"] - selection.epoch, 0) or self.params["epochs"])
        self._recorder = self._scorer = None
        self._start_counting()
        loss = self._masking_loss(self.model)
        self._ratios = None if loss is None else RatioUpdate(loss, self)
        fit_checks.check_boards(self.model, self._board is not None)
        if self._board is not None:
            fit_checks.warn_of_late_progress(self)
            with self._together():
                self._board.start(self._restored)
        self._restored = False
        losses = self._signal is not None
        used = selection.strategy.uses_predictions
        if self._options["scores"] == "record" and (used or self._board is not None):
            check_order, count = self._options["check_order"], replicas.count(self.model)
            self._recorder = Recorder(selection, self._reader, losses, check_order, count)
        elif used:
            errors = None if self._board is None else self._board.errors
            self._scorer = Scorer(self.model, self.dataset, self._reader, losses, errors)
        self._draw()
        if self._ratios is not None:
            self._ratios.start(selection.odds())

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Notes which epoch Keras starts with, the first time it can be known."""
        if self._first_epoch is not None:
            return
        self._first_epoch = epoch
        if self._state is not None:
            self._state.check_first_step(self.model, epoch)
        completed = self._selection.epoch
        self._plan_run(self.params["epochs"] - epoch)
        fit_checks.warn_of_other_epoch(epoch, completed)

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Checks what was recorded, after 1, 2, 4, 8, ... steps."""
        self._begun = batch + 1
        if batch >= self._next_check:
            self._check_records(done=batch, over=False)
            self._next_check = 2 * batch

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Turns the crank."""
        selection = self._selection
        self._check_records(done=self._begun, over=True)
        # Counted from the warm-up's end, where the first adaptive epoch needs its distribution.
        refresh = (selection.epoch + 1 - selection.strategy.warmup) % self._options["every"] == 0
        dropped = 0
        if self._recorder is not None:
            dropped = self._recorder.hand_over()
            if self._board is not None:
                self._recorder.add_errors(self._board.errors)
        elif refresh and self._scorer is not None:
            with verbosity(self.params.get("verbose") in (1, "auto")):
                dropped = self._scorer.score_all()
        if dropped:
            selection.warn_not_finite(dropped)
        numbers, arrays = selection.figures()
        if self._board is not None:
            self._board.note_distribution()
        selection.advance(refresh)
        if self._ratios is not None:
            with self._together():
                of_loss = self._ratios.finish(selection.odds())
            numbers, arrays = {**numbers, **of_loss[0]}, {**arrays, **of_loss[1]}
        self._show(logs, numbers, arrays)
        if self._board is not None:
            with self._together():  # before the backup: no epoch is lost between the two
                self._board.write(logs, numbers, arrays)
        if self._state is not None:
            self._state.save(self.model, self._masking_loss(self.model))
        self._draw()

    def restore(self, model: Any) -> int:
        """Puts model, optimizer, strategy and distribution back as the newest backup has them.

        Args:
            model: compiled and built, made as it was.

        Returns:
            The epochs completed, for `fit(initial_epoch=...)`; 0 where there is no backup yet.

        Raises:
            ValueError: no `backup_dir`; a backup of another dataset, strategy or model; or none
                that is whole.
        """
        if self._state is None:
            raise ValueError(
                "There is nothing to restore from. Received: backup_dir=None. Pass "
                "AdaptiveBatchSelection(train, backup_dir=...)."
            )
        self._state.check_model(model)
        self._reader.prepare(model)
        epoch = self._state.restore(model, self._masking_loss(model))
        self._restored = True
        return epoch

    @property
    def _selection(self) -> Any:
        return self.dataset._selection

    def _masking_loss(self, model: Any) -> PartialLabelMasking | None:
        """The loss of the recorded output, if its ratios are to be adapted."""
        loss = self._reader.pick(model.loss) if model.loss else None
        return loss if isinstance(loss, PartialLabelMasking) else None

    def _plan_run(self, epochs_left: int) -> None:
        """Tells the strategy how long the run is, and says if it is too short to adapt."""
        strategy = self._selection.strategy
        strategy.run_epochs = self._selection.epoch + epochs_left
        if self._first_epoch is not None and epochs_left > 0:
            fit_checks.warn_if_too_short(strategy)

    def _draw(self) -> None:
        self._selection.draw()
        self._next_check = 1
        if self._recorder is not None:
            self._recorder.start_epoch()

    def _record(self, y: Any, y_pred: Any) -> None:
        if not self._running:
            return
        fit_checks.check_weights(self.dataset.element_spec, self._selection.labels)
        if self._recorder is None and self._ratios is None:
            return
        p = self._reader.probabilities(y_pred)
        if self._recorder is not None:
            self._recorder.record(y, y_pred, p)
        else:
            self._count_outside(p)
        if self._ratios is not None:
            self._ratios.record(self._reader.matrix(y), p)

    def _check_records(self, done: int, over: bool) -> None:
        fit_checks.check_read(self._selection.plan)
        if self._recorder is not None:
            self._recorder.check(done, over)
        else:
            self._check_probabilities()

    def _give_up(self) -> None:
        """The fit is over, however it ended."""
        super()._give_up()
        if self._recorder is not None:
            self._recorder.close()
        if self._ratios is not None:
            self._ratios.over()
        if self._board is not None:
            self._board.close()
        self._recorder = self._scorer = self._ratios = None
        self._selection.release(self)
