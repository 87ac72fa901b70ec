"""Saves and restores a run: all that it needs to go on as if it had never stopped.

What is saved, and what a backup must agree with; how files are written is in `backup_files`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import weakref
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect._checks import shown
from tfmlselect.callbacks import backup_files, run_identity
from tfmlselect.callbacks.directory_checks import require_directory
from tfmlselect.callbacks.directory_lock import DirectoryLock
from tfmlselect.losses.balancing import BalancingLoss
from tfmlselect.pipeline.distribution import Distribution
from tfmlselect.pipeline.selection import Selection
from tfmlselect.recording.hooks import running_fit


class RunState:
    """Saves and restores one run: model, optimizer, strategy, distribution, loss, epoch.

    Keras 3's random seeds, those of dropout, are among a model's variables. Keras 2 and `tf_keras`
    keep theirs out of reach: weights and plans go on the same, dropout does not.

    Args:
        directory: where backups lie.
        selection: of the dataset.
        options: of the callback.
    """

    def __init__(self, directory: str, selection: Selection, options: Mapping[str, Any]):
        self._directory = directory
        self._selection = selection
        self._place = os.path.realpath(directory)
        self._lock = DirectoryLock(directory)
        # Now, before training changes what objects of the user's own may hold.
        self._of_dataset = run_identity.of_dataset(selection, options)
        self._of_model: tuple[weakref.ref | None, dict[str, Any]] = (None, {})
        self._iterations: int | None = None  # the optimizer's, right after `restore`

    def save(self, model: tf.keras.Model, loss: BalancingLoss | None) -> None:
        """Writes a backup of what is now, between two epochs.

        Args:
            model: that is trained.
            loss: one that is adapted in the run, or None.

        Raises:
            OSError: it could not be written.
        """
        named = list(self._variables(model, loss))
        distribution = self._selection.distribution
        named.append(("probabilities", distribution.probabilities))
        named.append(("mass", np.float64(distribution.mass)))
        named.append(("owed", self._selection.plan.owed))
        facts = {**self._of_dataset, **self._facts_of(model)}
        facts["in_force"] = dict(distribution.schedule_values)  # backups know them by this name
        try:
            backup_files.write(self._directory, self._selection.epoch, named, facts)
        finally:  # an interrupted or failed write may have put it in place
            with contextlib.suppress(OSError):
                self._note_newest()

    def restore(self, model: tf.keras.Model, loss: BalancingLoss | None) -> int:
        """Puts everything back; returns the epochs completed, 0 where there is no backup.

        Raises:
            ValueError: the backup is of another dataset, strategy or model, or damaged.
        """
        _build_optimizer(model)  # on all of several machines, whether they have a backup or not
        backup = backup_files.read(self._directory, ("probabilities", "mass"))
        if backup is None:
            return 0
        self._check_identity(self._of_dataset, backup.facts)
        variables = dict(self._variables(model, loss))
        shapes = {name: _form(name, variable) for name, variable in variables.items()}
        probabilities, mass = (backup.arrays.pop(name) for name in ("probabilities", "mass"))
        # Not in backups of before epochs were drawn systematically.
        owed = backup.arrays.pop("owed", np.zeros(self._selection.source.n))
        saved = {name: _form(name, array) for name, array in backup.arrays.items()}
        if shapes != saved:
            differing = sorted(shapes.items() ^ saved.items())[:4]
            raise ValueError(
                "The backup is of another model, optimizer or loss. Received: variables that "
                f"differ: {differing}. Make the model as it was, or name another "
                f"directory than {self._directory!r}."
            )
        self._check_identity(self._facts_of(model), backup.facts)
        for name, variable in variables.items():
            variable.assign(backup.arrays[name])
        if loss is not None:
            loss.restored()
        self._iterations = _steps_of(model)
        epoch, values = backup.facts["epoch"], backup.facts.get("in_force")
        known = values if isinstance(values, dict) else {}
        distribution = Distribution(probabilities, float(mass), known)
        self._selection.resume(model, epoch, distribution, owed)
        self._note_newest()
        return epoch

    def _note_newest(self) -> None:
        newest = max(backup_files.epochs(self._directory), default=0)
        self._selection.newest_backups[self._place] = newest

    def check_model(self, model: tf.keras.Model) -> None:
        """What `restore` needs to put a run back into.

        Raises:
            ValueError: the model is not compiled, or has no weights yet.
        """
        if getattr(model, "optimizer", None) is None:
            raise ValueError(
                "A run is put back with its optimizer. Received: a model that is not compiled. "
                "Call model.compile(...) before restore."
            )
        if not model.built or not model.variables:
            raise ValueError(
                "The model has no weights yet to put back. Received: a model that is not built. "
                "Call it on one batch, or model.build(input_shape), before restore."
            )

    def start(self, model: tf.keras.Model) -> None:
        """A fit begins: the directory is its own, and goes on from where this run is.

        Raises:
            ValueError: the directory cannot be written into, or it holds backups that this run
                neither wrote nor restored.
            RuntimeError: another fit writes into the directory.
        """
        self._of_model = (None, {})  # layers may have been frozen, or no longer
        try:
            os.makedirs(self._directory, exist_ok=True)
            free = self._lock.take(running_fit(model))
            newest = max(backup_files.epochs(self._directory), default=0)
        except OSError as error:
            self.end()
            problem = str(error)
        else:
            problem = ""
        require_directory("backup_dir", self._directory, problem)
        if not free:
            raise RuntimeError(
                "Another fit that runs now keeps its backups in this directory. Received: "
                f"backup_dir={self._directory!r}. Name a directory for each run, or wait until "
                "the other is over. It may also be a fit that was interrupted in a process that "
                "still runs: end that process, or use the dataset there."
            )
        completed = self._selection.completed_by(model)
        known = self._selection.newest_backups.get(self._place, 0) if completed else 0
        if newest > known:
            self.end()
            raise ValueError(
                "The directory of the backups holds a run already. Received: "
                f"backup_dir={self._directory!r}, which holds epoch {newest}, and a fit that "
                f"starts at epoch {completed}. Go on with it: "
                "fit(initial_epoch=selection.restore(model), ...); or name another directory."
            )

    def end(self) -> None:
        """The fit is over, however it ended."""
        self._lock.release()

    def check_first_epoch(self, model: tf.keras.Model, epoch: int, end: int) -> None:
        """A fit after `restore` must go on where the backup stopped, and find room for its own.

        Args:
            model: that is trained.
            epoch: that Keras starts with.
            end: that Keras ends before.

        Raises:
            ValueError: Keras starts elsewhere; or something that is not ours has the name of a
                backup that the fit will write.
            RuntimeError: the optimizer has done another number of steps: something else has put
                other weights back since.
        """
        here = _steps_of(model)
        completed = self._selection.epoch
        if self._iterations is not None and epoch != completed:
            raise ValueError(
                "The fit does not start where the restored run stopped. Received: "
                f"initial_epoch={epoch}, and {completed} completed epochs. Pass what restore "
                "returned: fit(initial_epoch=selection.restore(model), ...)."
            )
        if self._iterations not in (None, here):
            raise RuntimeError(
                "The model is not where the selection is. Received: optimizer.iterations="
                f"{here}, and {self._iterations} in the restored backup. Leave out "
                "BackupAndRestore: restore() puts weights and optimizer back too."
            )
        self._iterations = None
        first = completed + 1
        in_the_way = backup_files.obstacles(self._directory, range(first, first + end - epoch))
        if in_the_way:
            raise ValueError(
                "Backups of this fit cannot be written. Received: "
                f"backup_dir={self._directory!r}, which holds {', '.join(in_the_way)}, no backups "
                "of this package or with other files in them. Move them away, or name another "
                "directory."
            )

    def _variables(
        self, model: tf.keras.Model, loss: BalancingLoss | None
    ) -> Iterator[tuple[str, Any]]:
        for number, variable in enumerate(model.variables):
            yield f"model/{number}", variable
        optimizer = model.optimizer.variables
        for number, variable in enumerate(optimizer() if callable(optimizer) else optimizer):
            yield f"optimizer/{number}", variable
        for name, variable in self._selection.strategy.state.items():
            yield f"strategy/{name}", variable
        if loss is not None:
            for name, variable in loss.state.items():
                yield f"loss/{name}", variable

    def _facts_of(self, model: tf.keras.Model) -> dict[str, Any]:
        known, facts = self._of_model
        if known is None or known() is not model:
            facts = run_identity.of_model(model)
            self._of_model = (weakref.ref(model), facts)
        return facts

    def _check_identity(self, here: dict[str, Any], facts: dict[str, Any]) -> None:
        """What is known here must be the same for a backup to be of this run."""
        if "config" in here and "layers" not in facts:  # of before arguments were known by value
            config = self._selection.strategy.get_config()
            text = json.dumps(config, sort_keys=True, default=repr)
            here = {**here, "config": hashlib.sha256(text.encode()).hexdigest()}
        # Earlier backups say nothing of what came later.
        saved = {name: facts.get(name, None if name in _FIRST else here[name]) for name in here}
        differing = [name for name, value in here.items() if saved[name] != value]
        if "stream" in differing and _sketches_agree(here["stream"], saved["stream"]):
            differing.remove("stream")
        if differing:
            said = [_difference(name, saved[name], here[name]) for name in differing]
            raise ValueError(
                "The backup is of another run. Received: "
                f"{', '.join(said)} (backup -> here). Make the dataset as it was, seed= and "
                "strategy too, and the model, or name another "
                f"directory than {self._directory!r}."
            )


# Facts of which a text of hexadecimal digits would tell nobody anything.
_CHECKSUMS = {"labels", "x", "stream", "config", "features", "features_made_by", "neighbors"}
_CHECKSUMS |= {"sample_weight", "left_out", "layers", "vocabularies"}
# Facts that every backup has.
_FIRST = {"labels", "x", "n", "batch_size", "drop_remainder", "seed", "strategy", "config"}


def _difference(name: str, saved: Any, here: Any) -> str:
    before, now = shown(saved), shown(here)
    is_told = name not in _CHECKSUMS and before != now and "sha256" not in before + now
    return f"{name}={before} -> {now}" if is_told else f"other {name}"


def _sketches_agree(here: list, saved: Any) -> bool:
    """Whether samples of two streams are the same but for rounding; some are not known."""
    if not here or not saved:
        return True
    a, b = np.array(here), np.array(saved)
    if a.shape != b.shape:
        return False
    sizes = a[:, 1:]
    with np.errstate(invalid="ignore"):  # infinity less infinity
        near = np.abs(a - b) <= 1e-3 * sizes
    return bool(np.all(near | (a == b) | (np.isnan(a) & np.isnan(b))))


def _form(name: str, variable: Any) -> tuple:
    """The shape, and of a model's own variables the dtype, which another policy changes."""
    dtype = tf.as_dtype(variable.dtype).name if name.startswith("model/") else ""
    return (tuple(variable.shape), dtype)


def _steps_of(model: tf.keras.Model) -> int:
    return int(model.optimizer.iterations.numpy())  # also where each replica has a copy


def _build_optimizer(model: tf.keras.Model) -> None:
    """Its variables are made with the first step, or here."""
    build = getattr(model.optimizer, "build", None)
    if build is not None and not getattr(model.optimizer, "built", False):
        build(model.trainable_variables)
