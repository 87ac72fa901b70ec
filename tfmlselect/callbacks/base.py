"""The base of this package's callbacks: they hear of each training step while a fit runs."""

from __future__ import annotations

import contextlib
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf

from tfmlselect.distributed import workers
from tfmlselect.recording.hooks import (
    arm_hook,
    end_interrupted_fit,
    listening,
    remove_hook,
)
from tfmlselect.recording.outputs import Nested

Loss = TypeVar("Loss", bound=tf.keras.losses.Loss)


class StepListener(tf.keras.callbacks.Callback):
    """A callback whose `_record` is called with y and y_pred in each training step.

    A subclass sets `_running` in `on_train_begin`. `_fit_over` is called at the end of the fit, or
    when it is noticed that it raised (`recording.hooks` says when).
    """

    _running = False

    def set_model(self, model: tf.keras.Model) -> None:
        """Puts the hook on the model, before its train function is made.

        Raises:
            RuntimeError: a fit of another model runs with this callback.
        """
        if self.model is not None and self.model is not model and self in listening(self.model):
            end_interrupted_fit(self.model)
            if self.is_running:
                raise RuntimeError(
                    "A callback goes along with one fit at a time. Received: a second model for "
                    f"{type(self).__name__}, while the fit of the first runs. Make a callback for "
                    "each fit."
                )
        super().set_model(model)
        arm_hook(model, self._record, self._fit_over)

    @property
    def is_running(self) -> bool:
        """Whether a fit runs with this callback; one that raised is ended here."""
        if self._running:
            end_interrupted_fit(self.model)
        return self._running

    def on_train_end(self, logs: dict | None = None) -> None:
        """Takes the hook off."""
        self._fit_over()
        remove_hook(self.model)

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Notes that the fit validates."""
        if self._running:
            self._validates(True)

    def on_test_end(self, logs: dict | None = None) -> None:
        """Notes that it is over; takes the hook off, where `evaluate` had the callback."""
        if self._running:
            self._validates(False)
        else:
            end_interrupted_fit(self.model)

    def on_predict_end(self, logs: dict | None = None) -> None:
        """Takes the hook off, where `predict` was called with the callback."""
        if not self._running:
            end_interrupted_fit(self.model)

    def _validates(self, begins: bool) -> None:
        """Called when a validation inside the fit begins, and when it ends."""

    def _together(self) -> contextlib.AbstractContextManager:
        """Inside, sums are over all machines that train the model."""
        return workers.together(workers.strategy_of(self.model))

    def _show(self, logs: dict | None, numbers: dict, arrays: dict) -> None:
        """Adds numbers to the epoch's logs, and arrays to History alone.

        Keras and other callbacks expect nothing but numbers in the logs.
        """
        if logs is not None:
            logs.update(numbers)
        history = getattr(getattr(self.model, "history", None), "history", None)
        if history is not None:
            for name, array in arrays.items():
                history.setdefault(name, []).append(array)

    def _record(self, y: Nested, y_pred: Nested) -> None:
        """Called in each training step, as it is traced or run eagerly."""

    def _fit_over(self) -> None:
        self._running = False


def mean_known(values: np.ndarray) -> float:
    """The mean without NaN; NaN where nothing else is there."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def compiled_loss(
    model: tf.keras.Model, kind: type[Loss], output: str | int | None
) -> tuple[Loss | None, Any]:
    """The loss of this kind that a model was compiled with, if any, and the output it is for.

    Args:
        model: that is trained.
        kind: class of the loss.
        output: name or index of the output; None: where one output alone has such a loss.
    """
    losses = getattr(model, "loss", None)
    if isinstance(losses, kind):
        return losses, output
    if isinstance(losses, (list, tuple, dict)):
        items = losses.items() if isinstance(losses, dict) else enumerate(losses)
        found = [(each, key) for key, each in items if isinstance(each, kind)]
        chosen = [pair for pair in found if output in (None, pair[1])]
        if len(chosen) == 1:
            return chosen[0]
    return None, output
