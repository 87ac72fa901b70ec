"""What can be wrong with a fit on an adaptive dataset: each check raises or warns."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect._checks import shown
from tfmlselect._running_fit import calling_list
from tfmlselect._training_step import batch_weights
from tfmlselect._warn import warn
from tfmlselect.callbacks.run_state import RunState
from tfmlselect.callbacks.training_progress import TrainingProgress
from tfmlselect.distributed import workers
from tfmlselect.labels import Labels
from tfmlselect.losses import Masked, PartialLabelMasking, PositiveWeights, ThinnedLikelihood
from tfmlselect.losses.balancing import BalancingLoss
from tfmlselect.losses.base import LabelLoss
from tfmlselect.pipeline.dataset import AdaptiveDataset
from tfmlselect.pipeline.plan import Plan
from tfmlselect.pipeline.selection import Selection
from tfmlselect.recording.hooks import listening
from tfmlselect.strategies import RareEvents, Strategy

_LIBRARIES_OF_LOSSES = ("keras", "tf_keras", "tensorflow", "tensorflow_addons")


def check_steps(steps: int | None, dataset: AdaptiveDataset) -> None:
    """Raises if an epoch of Keras, `steps` long where that is known, is not one of the dataset."""
    if steps is not None and steps != len(dataset):
        raise ValueError(
            "An epoch of this fit is not an epoch of the callback's dataset. Received: "
            f"{steps} steps an epoch, len(dataset)={len(dataset)}. Leave "
            "`steps_per_epoch` out, and pass fit the dataset that the callback was made for."
        )


def check_one_leader(selection: Selection, callback: tf.keras.callbacks.Callback) -> None:
    """Raises if a second callback leads the dataset: each counts the dataset's epochs."""
    others = [each for each in listening(callback.model) if each is not callback]
    if any(getattr(each, "_selection", None) is selection for each in others):
        raise ValueError(
            "One callback leads an adaptive dataset. Received: two AdaptiveBatchSelection "
            "callbacks for the same dataset in one fit. Leave one of them out."
        )


def warn_of_model_on_one_machine(model: tf.keras.Model) -> None:
    """Warns if TF_CONFIG names several machines, and the model is trained on this one alone."""
    machines = workers.machines_in_tf_config()
    if machines > 1 and workers.strategy_of(model) is None:
        warn(
            "This model trains on this machine alone, with the samples that this machine has. "
            f"Received: {machines} machines in TF_CONFIG, and a model made outside of a "
            "MultiWorkerMirroredStrategy. Make and compile it inside of strategy.scope().",
        )


def start_backups(model: tf.keras.Model, state: RunState | None) -> None:
    """Has the fit keep its run; where one of several workers cannot, all raise: none waits for it.

    Args:
        model: that is trained.
        state: of this worker's run, or None.

    Raises:
        ValueError, RuntimeError: as `RunState.start`; a ValueError on the other workers.
    """
    problem = None
    try:
        if state is not None:
            state.start(model)
    except (ValueError, RuntimeError) as error:
        problem = error
    with workers.together(workers.strategy_of(model)):
        said = set(workers.each_text(str(problem is None)))
    if problem is not None:
        raise problem
    if "False" in said:
        if state is not None:
            state.end()
        raise ValueError(
            "Another worker cannot keep its run. Received: an error there. Look at what that "
            "worker prints."
        )


def warn_of_keras_backups(selection: Selection, kept: bool) -> None:
    """Warns if Keras' BackupAndRestore goes along with the fit that calls a callback at its start.

    Args:
        selection: of the dataset.
        kept: whether the fit keeps its run in a `backup_dir`.
    """
    kind = tf.keras.callbacks.BackupAndRestore
    there = any(isinstance(each, kind) for each in getattr(calling_list(), "callbacks", ()))
    if there and selection.first_time("BackupAndRestore"):
        remedy = "Leave it out: backup_dir= keeps the model too"
        if not kept:
            remedy = (
                "Keep the run with AdaptiveBatchSelection(train, backup_dir=...) in its place, "
                "and go on with fit(initial_epoch=selection.restore(model), ...)"
            )
        warn(
            "Keras' BackupAndRestore puts the model back and not the selection: after an "
            "interruption the strategy has lost what it recorded, and plans begin anew. Received: "
            f"BackupAndRestore in `callbacks`, {'a' if kept else 'no'} backup_dir. {remedy}."
        )


def warn_of_fresh_start(selection: Selection, model: tf.keras.Model) -> None:
    """Warns if a dataset that was used forgets all for a model that was trained elsewhere.

    Args:
        selection: of the dataset, before the model is attached.
        model: that is trained.
    """
    lost = selection.epoch - selection.completed_by(model)
    iterations = getattr(getattr(model, "optimizer", None), "iterations", None)
    steps = 0 if iterations is None else int(iterations.numpy())
    if lost and steps:
        warn(
            "The dataset starts afresh with this model: what its strategy recorded in "
            f"{lost} epochs is lost. Received: a model that was trained for {steps} steps, and is "
            "not the object of those epochs; a loaded one is another, too. To go on with it, make "
            "the callback with backup_dir=... from the first fit on, and call "
            "selection.restore(model) before fit."
        )


def check_all_write_summaries(model: tf.keras.Model, writes: bool) -> None:
    """Raises if some machines write summaries and others not: they are sums over all."""
    with workers.together(workers.strategy_of(model)):
        said = set(workers.each_text(str(writes)))
    if len(said) > 1:
        raise ValueError(
            "Some workers were given a `log_dir` and others not. Received: "
            f"{'a' if writes else 'no'} `log_dir` on this one. Pass it to all of them; only the "
            "first writes."
        )


def warn_of_late_progress(callback: tf.keras.callbacks.Callback) -> None:
    """Warns if `TrainingProgress` comes after the callback that is to write what it shows."""
    callbacks = listening(callback.model)
    later = callbacks[callbacks.index(callback) + 1 :]
    if any(isinstance(each, TrainingProgress) for each in later):
        warn(
            "AdaptiveBatchSelection writes what TrainingProgress shows, if that comes before it. "
            "Received: log_dir, and TrainingProgress after it. Put TrainingProgress first.",
        )


def check_dataset_is_read(plan: Plan) -> None:
    """Raises if the fit does not read the dataset that the callback was made for."""
    if plan.reads == 0:
        raise RuntimeError(
            "This fit does not read the dataset that the callback was made for. Received: "
            "batches from elsewhere, or another fit on the dataset within this one. Pass the "
            "same object to both: model.fit(train, callbacks=[AdaptiveBatchSelection(train)])."
        )


def check_weights(spec: Any, labels: Labels, y: Any, loss: Any) -> None:
    """Raises if the weights of a step are not one number for each of its samples.

    Called as the step is traced.

    Args:
        spec: element_spec of the dataset.
        labels: of the training set.
        y: of the step.
        loss: of the recorded output, as it was compiled, or None.
    """
    weights = batch_weights()
    if weights is None:
        return
    if tf.is_tensor(weights) and weights.shape.rank:
        _check_weight_shape(weights.shape, tf.nest.flatten(y)[0].shape, loss)
    _check_class_weight(spec, labels)


def _check_weight_shape(shape: tf.TensorShape, labels: tf.TensorShape, loss: Any) -> None:
    """Weights are (b,) or (b, 1); (b, q) only for a loss of one's own, or ours, of b q entries."""
    of_entries = shape.rank > 1 and shape[-1] != 1 and _averages(loss)
    length = labels[0] if labels.rank else None
    # Of fixed length beside batches of any length: one number a label, or the like.
    of_others = shape[0] is not None and shape[0] not in (1, length)
    if of_entries or of_others:
        raise _not_of_samples(f"weights of shape {shape} beside labels of shape {labels}")


def _averages(loss: Any) -> bool:
    """Whether it is one of Keras' own losses, which are means over the labels."""
    module = getattr(loss, "__module__", "")
    return isinstance(loss, str) or (".losses" in module and "keras" in module.partition(".")[0])


def _not_of_samples(received: str) -> ValueError:
    return ValueError(
        f"`sample_weight` must be one number a sample, (b,). Received: {received}. Keras "
        "multiplies them with a loss that is already averaged over labels, which weighs nothing as "
        "meant; put weights of labels into the loss function."
    )


def check_added_weights(dataset: AdaptiveDataset) -> None:
    """Raises if a `.map` gives each batch the same weights, one a label, as those of its samples.

    Where a batch has as many samples as there are labels, shapes do not tell.
    """
    spec, selection = dataset.element_spec, dataset._selection
    q = selection.source.labels.q
    mapped = dataset._transforms and isinstance(spec, tuple) and len(spec) == 3
    if not mapped or selection.plan.batch_size != q or not isinstance(spec[2], tf.TensorSpec):
        return
    own = selection.source.in_order(q).element_spec
    if spec[2].shape.rank not in (None, 1) or len(own) == 3:
        return
    found = [weights.numpy() for _, _, weights in dataset.in_order().take(2)]
    if len(found) == 2 and np.array_equal(*found) and np.ptp(found[0]) > 0:
        raise _not_of_samples(f"batches of {q} samples with {q} labels, all with {found[0]}")


def _check_class_weight(spec: Any, labels: Labels) -> None:
    """Raises if `class_weight` meets several labels: Keras makes one weight a sample of it."""
    if not isinstance(spec, tuple) or len(spec) == 3:
        return
    if not labels.single_label and not labels.has_one_each():
        raise ValueError(
            "`class_weight` is for one class a sample: Keras takes an argmax over the labels "
            "and weighs a sample by its first positive one. Received: weights in the train step "
            "that are not from the dataset, and samples of several labels or none. Weigh labels in "
            "the loss, tfmlselect.losses.PositiveWeights, and samples by adaptive_dataset(..., "
            "sample_weight=...). If a `.map` adds the weights, pass the callback the mapped "
            "dataset."
        )


def has_label_loss(model: tf.keras.Model) -> bool:
    """Whether an output has a loss that this package adapts, or tells of the draws."""
    kinds = (BalancingLoss, ThinnedLikelihood)
    return any(isinstance(loss, kinds) for loss in tf.nest.flatten(model.loss))


def check_joined_losses(losses: Any) -> None:
    """Raises if the loss of one of several joined outputs has to be told of all the labels.

    Args:
        losses: of the outputs, a list; anything else is the loss of a single output.
    """
    for loss in losses if isinstance(losses, list) else ():
        moves = isinstance(loss, PositiveWeights) and loss._moves
        if moves or isinstance(loss, (PartialLabelMasking, ThinnedLikelihood)):
            raise ValueError(
                "A loss that is adapted in training is that of one output, of all the labels. "
                f"Received: loss={shown(loss)} of one of {len(losses)} outputs that hold the "
                "labels together. Give the model one output for all labels, or compile it with "
                "another loss; PositiveWeights with a fixed exponent will do."
            )


def check_thinning(model: tf.keras.Model, recorded: Any, dataset: AdaptiveDataset) -> None:
    """Raises if the loss corrects for another thinning than the strategy's, and warns if for none.

    Args:
        model: that is trained.
        recorded: the compiled loss of its recorded output, a list of several, or None.
        dataset: that it is trained on.
    """
    selection = dataset._selection
    strategy, q = selection.strategy, selection.source.labels.q
    weighs = selection.plan.options.weighs
    losses = tf.nest.flatten(model.loss)
    for loss in (each for each in losses if isinstance(each, ThinnedLikelihood)):
        if not isinstance(strategy, RareEvents):
            raise ValueError(
                "ThinnedLikelihood corrects for empty samples that RareEvents leaves out. "
                f"Received: strategy={strategy!r}. Make the dataset with strategy='rare_events', "
                "or compile the model with 'binary_crossentropy'."
            )
        if weighs:
            raise ValueError(
                "Thinned data are corrected for once: by ThinnedLikelihood, or by importance "
                f"weights. Received: importance_weights={selection.plan.options.exponent!r}, and "
                "that loss. Leave importance_weights out, or compile the model with "
                "'binary_crossentropy'."
            )
        if set(strategy.protected) != set(loss.labels or range(q)):
            raise ValueError(
                "The loss and the strategy protect different labels. Received: "
                f"labels={loss.labels and list(loss.labels)} of ThinnedLikelihood, and "
                f"labels={strategy.labels and list(strategy.labels)} of RareEvents. Pass both the "
                "same."
            )
        if loss.rate is not None and abs(loss.rate - strategy.rate) > 1e-6 * strategy.rate:
            raise ValueError(
                "The rate of the loss is not that of the strategy. Received: "
                f"rate={loss.rate:g} of ThinnedLikelihood, and {strategy.rate:g} of RareEvents. "
                "Pass rate=train.strategy.rate, or leave it out: the callback tells each step."
            )
    thins = isinstance(strategy, RareEvents) and strategy.rate < 1
    corrects = recorded is None or isinstance(recorded, ThinnedLikelihood)
    if thins and not corrects and not weighs and selection.first_time("thinned"):
        warn(
            "RareEvents leaves most empty samples out, and this loss does not know it: the model "
            "will predict probabilities of the thinned data, which are too large. Received: "
            f"loss={shown(recorded)}. Compile the model with tfmlselect.losses."
            "ThinnedLikelihood(), or pass importance_weights=1.0 to adaptive_dataset.",
        )


def warn_of_unmasked_loss(recorded: Any, dataset: AdaptiveDataset) -> None:
    """Says so if a loss that leaves nothing out is trained on labels of which some are unknown.

    Args:
        recorded: the compiled loss of the recorded output, or of several; or None. What a loss of
            the user's own leaves out is not known.
        dataset: that is trained on.
    """
    selection = dataset._selection
    labels = selection.source.labels
    if labels.known is None or labels.missing is None:
        return
    losses = tf.nest.flatten([recorded])
    if dataset._transforms:  # which may put another number there
        losses = [each for each in losses if getattr(each, "missing", None) is None]
    taking = [each for each in losses if _takes_as_label(each, labels.missing)]
    if taking and selection.first_time("unmasked"):
        number = "np.nan" if np.isnan(labels.missing) else f"{labels.missing:g}"
        warn(
            "The loss takes what stands for unknown labels for a label. Received: "
            f"missing={number} of the dataset, and loss={shown(taking[0])}. Compile the model with "
            + (
                f"{type(taking[0]).__name__}(..., missing={number})."
                if isinstance(taking[0], LabelLoss) and not isinstance(taking[0], Masked)
                else f"tfmlselect.losses.Masked(loss, missing={number})."
            )
            + " Keras' own metrics count what is unknown as labels too: their figures are wrong.",
        )


def _takes_as_label(loss: Any, missing: float) -> bool:
    """Whether it is known that a loss does not leave entries of this value out."""
    own = getattr(loss, "missing", None)
    if isinstance(own, (int, float, np.number)):
        return not np.array_equal(own, missing, equal_nan=True)
    library = (getattr(loss, "__module__", None) or "").split(".")[0]
    return isinstance(loss, (str, LabelLoss)) or library in _LIBRARIES_OF_LOSSES


def warn_of_other_epoch(epoch: int, completed: int) -> None:
    """Warns if Keras starts with another epoch than the dataset's own counter says."""
    if epoch not in (0, completed):
        warn(
            f"Keras starts with epoch {epoch}, and the dataset has completed {completed}. "
            f"Received: initial_epoch={epoch}. Selection goes by the dataset's own count; pass "
            f"initial_epoch={completed} where both are to agree. To go on with a run of before, "
            "keep it with backup_dir=... and call selection.restore(model)."
        )


def earliest_stop() -> int | None:
    """After how many epochs an EarlyStopping may end the fit that calls a callback at its start.

    None where the fit has none. One epoch is compared with, then `patience` that are no better.
    """
    return min(
        (
            getattr(each, "start_from_epoch", 0) + each.patience + 1
            for each in getattr(calling_list(), "callbacks", ())
            if isinstance(each, tf.keras.callbacks.EarlyStopping)
        ),
        default=None,
    )


def warn_if_too_short(strategy: Strategy, completed: int, stop: int | None) -> bool:
    """Warns if the warm-up takes all epochs of the run, or may; returns whether it did.

    Args:
        strategy: that was told of the run.
        completed: epochs that the dataset has completed.
        stop: after how many epochs the fit may stop early, or None.
    """
    run, warmup = strategy.run_epochs, strategy.warmup
    if warmup >= run:
        warn(
            "No adaptive epoch is left after the warm-up. Received: a run of "
            f"{run} epochs, the first {warmup} of them uniform. "
            "Train longer, make the strategy with a shorter `warmup`, or, where more fits follow, "
            "pass the length of them all: adaptive_dataset(..., epochs=...).",
        )
        return True
    if stop is not None and warmup > completed and warmup - completed >= stop:
        warn(
            "EarlyStopping may end this fit before an adaptive epoch. Received: "
            f"an end after {stop} epochs, and a warm-up of {warmup - completed}. Use a larger "
            "patience, make the strategy with a shorter `warmup`, or pass the dataset the length "
            "that you expect: adaptive_dataset(..., epochs=...).",
        )
        return True
    return False


def warn_of_few_adaptive_epochs(strategy: Strategy, first: int, completed: int) -> None:
    """Warns at the end of a fit if less than a quarter of its epochs were adaptive.

    Args:
        strategy: that selected.
        first: epochs that the dataset had completed before the fit.
        completed: epochs that it has completed now.
    """
    trained = completed - first
    adaptive = max(0, completed - max(first, strategy.warmup))
    if trained and 4 * adaptive < trained:
        warn(
            "Few epochs of this fit were adaptive. Received: "
            f"{adaptive} adaptive epochs of {trained}, after a warm-up of {strategy.warmup}, for a "
            f"run of {strategy.run_epochs}. Make the strategy with a shorter `warmup`, or pass the "
            "dataset the length that runs really have: adaptive_dataset(..., epochs=...).",
        )
