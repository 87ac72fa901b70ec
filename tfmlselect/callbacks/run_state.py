"""Saves and restores a run: all that it needs to go on as if it had never stopped.

What is saved, and what a backup must agree with; how files are written is in `backup_files`.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect.callbacks import backup_files
from tfmlselect.callbacks.directory_lock import DirectoryLock
from tfmlselect.losses.balancing import BalancingLoss
from tfmlselect.pipeline.distribution import Distribution
from tfmlselect.pipeline.selection import Selection


class RunState:
    """Saves and restores one run: model, optimizer, strategy, distribution, loss, epoch.

    Keras 3's random seeds, those of dropout, are among a model's variables. Keras 2 and `tf_keras`
    keep theirs out of reach: weights and plans go on the same, dropout does not.

    Args:
        directory: where backups lie.
        selection: of the dataset.
    """

    def __init__(self, directory: str, selection: Selection):
        self._directory = directory
        self._selection = selection
        self._place = os.path.realpath(directory)
        self._lock = DirectoryLock(directory)
        self._iterations: int | None = None  # the optimizer's, right after `restore`

    def save(self, model: tf.keras.Model, loss: BalancingLoss | None) -> None:
        """Writes a backup of what is now, between two epochs.

        Args:
            model: that is trained.
            loss: one that is adapted in the run, or None.
        """
        named = list(self._variables(model, loss))
        distribution = self._selection.distribution
        named.append(("probabilities", distribution.probabilities))
        named.append(("mass", np.float64(distribution.mass)))
        named.append(("owed", self._selection.plan.owed))
        # Backups have the schedule values by this name.
        facts = {**self._identity, "in_force": dict(distribution.schedule_values)}
        backup_files.write(self._directory, self._selection.epoch, named, facts)
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
        self._check_identity(backup.facts)
        variables = dict(self._variables(model, loss))
        shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
        probabilities, mass = (backup.arrays.pop(name) for name in ("probabilities", "mass"))
        # Not in backups of before epochs were drawn systematically.
        owed = backup.arrays.pop("owed", np.zeros(self._selection.source.n))
        saved = {name: array.shape for name, array in backup.arrays.items()}
        if shapes != saved:
            differing = sorted(shapes.items() ^ saved.items())[:4]
            raise ValueError(
                "The backup is of another model, optimizer or loss. Received: variables that "
                f"differ: {differing}. Make the model as it was, or empty the directory "
                f"{self._directory!r}."
            )
        for name, variable in variables.items():
            variable.assign(backup.arrays[name])
        if loss is not None:
            loss.restored()
        self._iterations = _steps_of(model)
        epoch, values = backup.facts["epoch"], backup.facts.get("in_force", {})
        distribution = Distribution(probabilities, float(mass), values)
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
            ValueError: the directory holds backups that this run neither wrote nor restored.
            RuntimeError: another fit writes into the directory.
        """
        os.makedirs(self._directory, exist_ok=True)
        if not self._lock.take():
            raise RuntimeError(
                "Another fit that runs now keeps its backups in this directory. Received: "
                f"backup_dir={self._directory!r}. Name a directory for each run, or wait until "
                "the other is over."
            )
        completed = self._selection.completed_by(model)
        known = self._selection.newest_backups.get(self._place, 0) if completed else 0
        newest = max(backup_files.epochs(self._directory), default=0)
        if newest > known:
            self.end()
            raise ValueError(
                "The directory of the backups holds a run already. Received: "
                f"backup_dir={self._directory!r}, which holds epoch {newest}, and a fit that "
                f"starts at epoch {completed}. Go on with it: "
                "fit(initial_epoch=selection.restore(model), ...); or empty it."
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

    @functools.cached_property
    def _identity(self) -> dict[str, Any]:
        """What must be the same for a backup to be of this run."""
        selection = self._selection
        plan, strategy = selection.plan, selection.strategy
        config = json.dumps(strategy.get_config(), sort_keys=True, default=repr)
        return {
            "labels": hashlib.sha256(selection.source.labels.matrix.tobytes()).hexdigest(),
            "x": selection.source.fingerprint(),
            "n": plan.n,
            "batch_size": plan.batch_size,
            "drop_remainder": plan.drop_remainder,
            "samples_per_epoch": plan.options.samples_per_epoch,
            "draws": plan.options.draws,
            "importance_weights": plan.options.exponent.get_config(),
            "seed": plan.run_seed,
            "strategy": type(strategy).__name__,
            "config": hashlib.sha256(config.encode()).hexdigest(),
        }

    def _check_identity(self, facts: dict[str, Any]) -> None:
        here = self._identity
        # Backups of before these could be chosen say nothing of them.
        later = ("samples_per_epoch", "draws", "importance_weights")
        saved = {name: facts.get(name, here[name] if name in later else None) for name in here}
        differing = [name for name, value in here.items() if saved[name] != value]
        if differing:
            hashed = ("labels", "x", "config")
            said = [
                f"other {name}"
                if name in hashed
                else f"{name}={facts.get(name)!r} -> {here[name]!r}"
                for name in differing
            ]
            raise ValueError(
                "The backup is of another run. Received: "
                f"{', '.join(said)} (backup -> here). Make the dataset as it was, seed= and "
                "strategy too, or empty the "
                f"directory {self._directory!r}."
            )


def _steps_of(model: tf.keras.Model) -> int:
    return int(model.optimizer.iterations.numpy())  # also where each replica has a copy


def _build_optimizer(model: tf.keras.Model) -> None:
    """Its variables are made with the first step, or here."""
    build = getattr(model.optimizer, "build", None)
    if build is not None and not getattr(model.optimizer, "built", False):
        build(model.trainable_variables)
