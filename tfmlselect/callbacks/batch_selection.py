"""The callback that leads a fit: after each epoch, records become a distribution and a plan.

What is done at each moment of a fit is in `companions`; which of them a fit has, and in which
order, is decided here, in `_make_companions`.
"""

from __future__ import annotations

import contextlib
import inspect
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect import _checks
from tfmlselect.callbacks import fit_checks
from tfmlselect.callbacks.companions import (
    Backup,
    Companion,
    Epoch,
    ErrorLog,
    ExactPredictions,
    MaskingRatios,
    NextDistribution,
    OutputCheck,
    PredictionLog,
    ThinningRates,
    VarianceRatio,
    WeightsExponent,
)
from tfmlselect.callbacks.directory_checks import check_directory
from tfmlselect.callbacks.held_out_check import ValidationDataWarning
from tfmlselect.callbacks.run_state import RunState
from tfmlselect.callbacks.tensorboard import SelectionSummaries, checked_names
from tfmlselect.distributed import replicas
from tfmlselect.labels import Labels
from tfmlselect.losses import PartialLabelMasking, PositiveWeights
from tfmlselect.losses.balancing import BalancingLoss
from tfmlselect.pipeline.dataset import AdaptiveDataset
from tfmlselect.pipeline.selection import Selection
from tfmlselect.recording.exact_predictions import Scorer
from tfmlselect.recording.hooks import running_fit
from tfmlselect.recording.label_errors import LabelErrors
from tfmlselect.recording.order_check import OrderCheck
from tfmlselect.recording.outputs import (
    FROM_LOGITS,
    AveragedOutputs,
    JoinedOutputs,
    Nested,
    NoOutputNamed,
    OutputReader,
    check_output,
)
from tfmlselect.recording.recorder import Recorder
from tfmlselect.recording.squared_errors import ErrorRecorder
from tfmlselect.strategies import RareEvents


class AdaptiveBatchSelection(ValidationDataWarning):
    """Makes `model.fit` on an adaptive dataset adaptive.

    Records what the training steps predict, hands it to the dataset's strategy at the end of each
    epoch, and draws the next epoch from the distribution that the strategy gives. Adds two figures
    to the epoch's logs, and so to the progress bar and to History:

    * `ess`: how many samples an epoch counts for, as a share of all n: the effective sample size
      1 / sum p^2, divided by n. 1 where all are equally likely, less the more unequal they are;
    * `rare`: share of the draws that have a minority label (IRLbl > MeanIR).

    All figures of each epoch are in the attribute `history`, and with `verbose_logs=True` in the
    logs and in History too:

    * `selection/effective_sample_size`: 1 / sum p^2, n where all samples are equally likely;
    * `selection/entropy`: of the distribution, in nats, divided by ln n;
    * `selection/unique_samples`: share of the n samples that were drawn at least once;
    * `selection/passes`: samples drawn since the run began, divided by n;
    * `selection/minority_share`: the same as `rare`;
    * `selection/variance_ratio`: R = 1 + CV^2 of g_i = ||p_i - y_i||_2, the size of each sample's
      gradient, over the whole training set, however it was drawn: a draw of sample i weighs 1/p_i
      of the epoch's distribution. The predictions are those that the steps made, each by the model
      of its step. An estimate, and of the samples with p_i > 0 alone. It says what drawing
      by g could at most save in the variance of the gradients. NaN where the outputs are no
      probabilities, or the steps hand over other rows than planned; left out where they hand over
      none that can be read;
    * `selection/shard_imbalance`, on several machines: the largest mass of a worker's shard over
      its share of the draws;

    * `selection/label_attention`, an array (q,): how often positives of each label were drawn,
      divided by what uniform draws would have given; NaN without positives. Arrays go into History
      and not into the logs, in which Keras expects numbers.

    Where the model is compiled with a `tfmlselect.losses.PartialLabelMasking`, its ratios are
    adapted too, to the odds of the labels in the draws. The exponent of a
    `tfmlselect.losses.PositiveWeights` is moved, by the dataset's own count of epochs. Their
    figures have the names that `tfmlselect.callbacks.PartialLabelMaskingUpdate` and
    `tfmlselect.callbacks.PositiveWeightsUpdate` show them by.
    A `tfmlselect.losses.ThinnedLikelihood` is told, in each step, at which rates
    `strategies.RareEvents` keeps the batch's samples.

    Args:
        dataset: the `AdaptiveDataset` that is passed to `fit`, or one mapped from it.
        scores: "record" takes the predictions of the training steps themselves, at no further
            forward pass; "predict" predicts every sample anew, in inference mode, after every
            `every` epochs, and shows how far it is as `fit(verbose=...)` does.
        every: refresh the distribution every so many epochs, the first time after the warm-up.
        signal: "probability", or an element-wise loss `(y, y_pred) -> (b, q)` on the model's
            output as it is, when hardness is to be the loss that is really trained.
        output: name or index of the output that is recorded, for models with several; a list of
            them, all of the dataset's labels, is recorded as the mean of their probabilities. None:
            the model's only output, or those that the dataset's `labels=` names. Of a strategy that
            needs no predictions none is asked for.
        from_logits: whether that output is logits; "auto" asks the compiled loss. "sigmoid" and
            "softmax" say that it is logits, and what makes probabilities of them, where the loss
            is not Keras' own and each sample has one label.
        check_order: compare the labels that arrive in the steps with those of the planned samples.
            Turn it off where a `.map` changes labels on purpose (mixup).
        backup_dir: a directory to keep the run in, written after each epoch, for `restore`; the
            dataset needs a `seed`. None: the run is not kept.
        backup_required: whether the fit stops with a RuntimeError where a backup cannot be written,
            such as on a full disk. False: it goes on with a warning, and tries again each epoch.
        state_device: where the strategy's state lives and scores are computed, such as "CPU:0";
            None: where TensorFlow puts variables.
        log_dir: a directory for TensorBoard, which may be that of Keras' own callback. After each
            epoch, what is above and more, label by label, is written into its subdirectory
            `selection`. Needs the package tensorboard. None: nothing is written.
        label_names: q names of the labels, for TensorBoard; None: those of the dataset, or the
            columns' numbers.
        verbose_logs: whether the logs get all figures beside the short two, for the progress bar
            and for `EarlyStopping(monitor="selection/...")`.

    Attributes:
        history: name -> list of that figure, an entry an epoch, NaN in one that has none: of all
            epochs of this callback's fits since the dataset's run began or was restored. Those
            above; `plm/...` and `positive_weights/...` of a loss that is adapted; and what the
            strategy shows of itself, such as `selection/pressure`.

    Raises:
        TypeError: `dataset` is no `AdaptiveDataset`.
        ImportError: a `log_dir`, and tensorboard is not installed.
        ValueError: an argument outside its range, or a file where a directory is to be. At the
            start of training: an epoch of another length, or a model of another width than the
            dataset; a directory that cannot be written into, or holds another run.

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
        >>> sorted(history.history)
        ['ess', 'loss', 'rare']
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
        backup_required: bool = False,
        state_device: str | None = None,
        log_dir: str | os.PathLike | None = None,
        label_names: Sequence[str] | None = None,
        verbose_logs: bool = False,
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
            "backup_required": backup_required,
            "state_device": state_device,
            "log_dir": log_dir,
            "label_names": label_names,
            "verbose_logs": verbose_logs,
        }
        _check_options(dataset, self._options)
        selection = dataset._selection
        labels = selection.source.labels
        self._state: RunState | None = None
        if backup_dir is not None:
            self._state = RunState(os.fspath(backup_dir), selection, self._options)
        self._summaries: SelectionSummaries | None = None
        names = checked_names(labels.names if label_names is None else label_names, labels.q)
        if log_dir is not None:
            self._summaries = SelectionSummaries(log_dir, names, selection)
        self._reader = _make_reader(labels, output, from_logits, signal)
        self.history: dict[str, list[Any]] = {}
        self._companions: list[Companion] = []
        self._begun = 0  # steps of the epoch that were begun
        self._warned = False  # of a warm-up as long as the fit
        self._next_check = 1

    def __deepcopy__(self, memo: dict) -> AdaptiveBatchSelection:
        return type(self)(self.dataset, **self._options)

    def __repr__(self) -> str:
        usual = inspect.signature(AdaptiveBatchSelection).parameters
        given = [
            f", {name}={_checks.shown(value)}"
            for name, value in self._options.items()
            if type(value) is not type(usual[name].default) or value != usual[name].default
        ]
        return f"{type(self).__name__}({self.dataset!r}{''.join(given)})"

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Attaches the dataset and draws its next epoch."""
        selection = self._selection
        fit_checks.check_one_leader(selection, self)
        fit_checks.check_steps(self.params.get("steps"), self.dataset)
        fit_checks.check_added_weights(self.dataset)
        fit_checks.warn_of_model_on_one_machine(self.model)
        self._prepare(self.model)
        fit_checks.check_thinning(self.model, self._recorded_loss(self.model), self.dataset)
        fit_checks.warn_of_unmasked_loss(self._recorded_loss(self.model), self.dataset)
        fit_checks.check_all_write_summaries(self.model, self._summaries is not None)
        if self._summaries is not None:
            fit_checks.warn_of_late_progress(self)
        with contextlib.ExitStack() as on_error:
            if self._state is not None:
                on_error.callback(self._state.end)
            fit_checks.start_backups(self.model, self._state)
            fit_checks.warn_of_keras_backups(selection, self._state is not None)
            fit_checks.warn_of_fresh_start(selection, self.model)
            fit = running_fit(self.model)
            selection.attach(self, self.model, self._options["state_device"], fit)
            if selection.epoch == 0:
                self.history = {}
            self._running = True
            self._first_epoch: int | None = None
            self._completed_before = selection.epoch
            self._stop = fit_checks.earliest_stop()
            self._set_run_length(
                max(self.params["epochs"] - selection.epoch, 0) or self.params["epochs"]
            )
            self._companions = self._make_companions()
            selection.start(self._is_due(selection.epoch))
            with self._together():
                for companion in self._companions:
                    companion.start()
            self._start_epoch()
            on_error.pop_all()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Notes which epoch Keras starts with, the first time it can be known."""
        if self._first_epoch is None:
            self._first_epoch = epoch
            if self._state is not None:
                self._state.check_first_epoch(self.model, epoch, self.params["epochs"])
            completed = self._selection.epoch
            self._set_run_length(self.params["epochs"] - epoch)
            fit_checks.warn_of_other_epoch(epoch, completed)
        with self._together():
            for companion in self._companions:
                companion.before_steps()

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Checks what was recorded, after 1, 2, 4, 8, ... steps."""
        self._begun = batch + 1
        if batch >= self._next_check:
            self._check(done=batch, over=False)
            self._next_check = 2 * batch

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """What was recorded becomes a distribution, and the distribution the next plan."""
        selection = self._selection
        self._check(done=self._begun, over=True)
        refresh = self._is_due(selection.epoch + 1)
        verbose = self.params.get("verbose") in (1, "auto")
        trained = Epoch(selection.distribution, refresh, logs, verbose)
        with self._together():
            for companion in self._companions:
                companion.finish_epoch(trained)
        short = self._short_figures(trained)
        self._keep({**short, **trained.numbers, **trained.in_force, **trained.arrays})
        unlike = {name: value for name, value in short.items() if name not in (logs or {})}
        self._show(logs, unlike, {})  # a metric of that name stays
        if self._options["verbose_logs"]:
            self._show(logs, trained.numbers, trained.arrays)
        selection.draw()
        self._start_epoch()

    def on_train_end(self, logs: dict | None = None) -> None:
        """Says so if hardly an epoch was adaptive, and lets the dataset go."""
        selection = self._selection
        given = selection.epochs or selection.strategy.epochs  # more fits of the run may follow
        if not self._warned and not given:
            fit_checks.warn_of_few_adaptive_epochs(
                selection.strategy, self._completed_before, selection.epoch
            )
        super().on_train_end(logs)

    def restore(self, model: tf.keras.Model) -> int:
        """Puts model, optimizer, strategy and distribution back as the newest backup has them.

        Args:
            model: compiled, made as it was; one that is not built yet is called on a batch.

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
        if not model.built or not model.variables:
            with contextlib.suppress(Exception):  # said below, with what to do
                model(next(iter(self.dataset.in_order().take(1)))[0])
        self._state.check_model(model)
        self._prepare(model)
        epoch = self._state.restore(model, self._balancing_loss(model))
        self.history = {}
        if self._summaries is not None:
            self._summaries.restored = True
        return epoch

    def _keep(self, figures: dict[str, Any]) -> None:
        """Adds an epoch to `history`: an entry to each list, NaN where there is no figure."""
        epochs = max(map(len, self.history.values()), default=0)
        for name, value in figures.items():
            self.history.setdefault(name, [value * np.nan] * epochs)
        for name, values in self.history.items():
            values.append(figures[name] if name in figures else values[-1] * np.nan)

    def _short_figures(self, epoch: Epoch) -> dict[str, float]:
        """What the progress bar shows of each epoch."""
        return {
            "ess": epoch.numbers["selection/effective_sample_size"] / self._selection.statistics.n,
            "rare": epoch.numbers["selection/minority_share"],
        }

    def _is_due(self, epoch: int) -> bool:
        """Whether an epoch is to have a new distribution."""
        # Counted from the warm-up's end, where the first adaptive epoch needs its distribution.
        warmup = self._selection.strategy.warmup
        return bool((epoch - warmup) % self._options["every"] == 0)

    @property
    def _selection(self) -> Selection:
        return self.dataset._selection

    def _prepare(self, model: tf.keras.Model) -> None:
        """Looks what the model's outputs mean; of one of which none is named, if it matters."""
        try:
            self._reader.prepare(model)
            if isinstance(self._reader, JoinedOutputs):
                fit_checks.check_joined_losses(self._reader.loss_of(model))
        except NoOutputNamed:
            needed = self._selection.strategy.uses_predictions or self._summaries is not None
            if needed or fit_checks.has_label_loss(model):
                raise

    def _balancing_loss(self, model: tf.keras.Model) -> BalancingLoss | None:
        """The loss of the recorded output, if it is one to be adapted."""
        loss = self._recorded_loss(model)
        return loss if isinstance(loss, BalancingLoss) else None

    def _recorded_loss(self, model: tf.keras.Model) -> Any:
        """The loss of the recorded output, a list where several are joined; None: none."""
        try:
            return self._reader.loss_of(model)
        except NoOutputNamed:  # and none is needed
            return list(tf.nest.flatten(model.loss))

    def _set_run_length(self, epochs_left: int) -> None:
        """Tells the strategy how long the run is, and says if it is too short to adapt."""
        selection = self._selection
        done = selection.epoch
        # Keras says where it starts with the first epoch. Until then a fit of more epochs than are
        # completed counts as one that goes on.
        first = self._first_epoch
        goes_on = first == done if first is not None else self.params["epochs"] > done
        known = self._stop is None and (done == 0 or selection.resumed or goes_on)
        selection.describe_run(done + epochs_left, length_is_known=known)
        if self._first_epoch is not None and epochs_left > 0:
            self._warned = fit_checks.warn_if_too_short(selection.strategy, done, self._stop)

    def _make_companions(self) -> list[Companion]:
        """What goes along with the fit that begins, in the order in which an epoch is finished."""
        selection, options, summaries = self._selection, self._options, self._summaries
        strategy, labels = selection.strategy, selection.source.labels
        losses = callable(options["signal"])
        errors = None if summaries is None else LabelErrors(labels)
        loss = self._balancing_loss(self.model)
        masking = loss if isinstance(loss, PartialLabelMasking) else None
        used = strategy.uses_predictions
        count = replicas.count(self.model)
        companions: list[Companion] = []
        recorder: Recorder | ErrorRecorder
        if options["scores"] == "record" and (used or summaries is not None):
            order = None
            if options["check_order"]:
                order = OrderCheck(labels.matrix, selection.plan.draws)
            log = Recorder(selection.plan, strategy, self._reader, losses, order, count)
            companions.append(PredictionLog(selection, log, errors))
            recorder = log
        else:
            recorder = ErrorRecorder(selection.plan.draws, self._reader, count)
            companions.append(ErrorLog(recorder))
            if used:
                n = selection.source.n
                samples = self.dataset._in_order(kept_alone=True)
                scorer = Scorer(self.model, samples, n, strategy, self._reader, losses, errors)
                companions.append(ExactPredictions(selection, scorer))
            if masking is not None:
                companions.append(OutputCheck())
        companions += [VarianceRatio(selection, recorder), NextDistribution(selection)]
        if isinstance(strategy, RareEvents):
            companions.append(ThinningRates(selection, strategy, count))
        if masking is not None:
            companions.append(MaskingRatios(selection, self._reader, masking, self))
        if isinstance(loss, PositiveWeights):
            companions.append(WeightsExponent(selection, loss, self))
        if summaries is not None and errors is not None:
            summaries.errors = errors
            companions.append(summaries)
        if self._state is not None:  # last: no epoch is kept that the summaries lack
            required = options["backup_required"]
            companions.append(Backup(self._state, self.model, loss, required))
        return companions

    def _start_epoch(self) -> None:
        self._next_check = 1
        for companion in self._companions:
            companion.start_epoch()

    def _record(self, y: Nested, y_pred: Nested) -> None:
        if not self._running:
            return
        labels, loss = self._selection.source.labels, self._recorded_loss(self.model)
        fit_checks.check_weights(self.dataset.element_spec, labels, y, loss)
        for companion in self._companions:
            companion.watch(y, y_pred)
        recording = [companion for companion in self._companions if companion.records]
        if recording:
            p = self._reader.probabilities(y_pred)
            for companion in recording:
                companion.record(y, y_pred, p)

    def _check(self, done: int, over: bool) -> None:
        fit_checks.check_dataset_is_read(self._selection.plan)
        self._selection.source.check_read()
        for companion in self._companions:
            companion.check(done, over)

    def _validates(self, begins: bool) -> None:
        for companion in self._companions:
            companion.validate(begins)

    def _fit_over(self) -> None:
        """The fit is over, however it ended."""
        super()._fit_over()
        companions, self._companions = self._companions, []
        with contextlib.ExitStack() as stack:  # all of it is done, also where something raises
            stack.callback(self._selection.release, self)
            if self._state is not None:
                stack.callback(self._state.end)
            for companion in companions:
                stack.callback(companion.close)


def _make_reader(
    labels: Labels, output: Any, from_logits: bool | str, signal: str | Callable
) -> OutputReader:
    """What reads the model's outputs and the y of its steps."""
    rest = (from_logits, signal if callable(signal) else None, labels.has_one_each)
    if output is None and len(labels.parts) > 1:
        return JoinedOutputs(labels.q, labels.parts, *rest, missing=labels.missing)
    known = (labels.q, labels.single_label, output, *rest)
    if isinstance(output, (list, tuple)):
        return AveragedOutputs(*known, missing=labels.missing)
    return OutputReader(*known, labels.parts, labels.missing)


def _check_options(dataset: Any, options: dict[str, Any]) -> None:
    """Checks the options that nobody else checks."""
    if not isinstance(dataset, AdaptiveDataset):
        raise TypeError(
            "AdaptiveBatchSelection needs the adaptive dataset that `fit` trains on. Received: "
            f"dataset of type {type(dataset).__name__}. Make one: train = "
            "tfmlselect.adaptive_dataset((x, y)), and pass it to both."
        )
    _checks.check_choice("scores", options["scores"], ("record", "predict"))
    _checks.check_whole("every", options["every"], 1)
    signal = options["signal"]
    _checks.check_argument(
        (isinstance(signal, str) and signal == "probability")
        or (callable(signal) and not isinstance(signal, type)),
        "signal",
        signal,
        '"probability" or a function (y, y_pred) -> (b, q)',
        "Pass an element-wise loss, such as tf.keras.backend.binary_crossentropy, or leave it out",
    )
    check_output(options["output"], several=True)
    _checks.check_choice("from_logits", options["from_logits"], FROM_LOGITS)
    _checks.check_flag("check_order", options["check_order"])
    _checks.check_flag("verbose_logs", options["verbose_logs"])
    if options["state_device"] is not None:
        _checks.check_device("state_device", options["state_device"])
    required = _checks.check_flag("backup_required", options["backup_required"])
    _checks.require(
        options["backup_dir"] is not None or not required,
        "`backup_required=True` needs a directory for the backups",
        "backup_required=True, backup_dir=None",
        "Pass backup_dir=...",
    )
    if options["backup_dir"] is not None:
        path = _checks.check_path("backup_dir", options["backup_dir"])
        check_directory("backup_dir", path, writes=False)
        _checks.require(
            dataset._selection.plan.repeatable,
            "The dataset has no seed, and `backup_dir` keeps a run whose draws can be repeated",
            f"backup_dir={path!r}, and a dataset with seed=None",
            "Make the dataset with a seed: adaptive_dataset(..., seed=0)",
        )
