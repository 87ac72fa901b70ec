"""What all our callbacks share: they hear of the training steps while a fit runs."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect.distributed import workers
from tfmlselect.recording.hooks import arm_hook, remove_hook


class StepListener(tf.keras.callbacks.Callback):
    """A callback whose `_record` hears y and y_pred of each training step.

    A subclass sets `_running` in `on_train_begin`; `_give_up` is called when the fit is over,
    however it ended.
    """

    _running = False

    def set_model(self, model: Any) -> None:
        """Puts the hook on the model, before its train function is made."""
        super().set_model(model)
        arm_hook(model, self._record, self._give_up)

    def on_train_end(self, logs: dict | None = None) -> None:
        """Takes the hook off."""
        self._give_up()
        remove_hook(self.model)

    def on_test_end(self, logs: dict | None = None) -> None:
        """Takes the hook off, where `evaluate` or `predict` was called with the callback."""
        if not self._running:
            remove_hook(self.model)

    on_predict_end = on_test_end

    def _together(self) -> contextlib.AbstractContextManager:
        """Inside, figures are of all workers that train the model."""
        return workers.sharing(workers.of_model(self.model))

    def _show(self, logs: dict | None, numbers: dict, arrays: dict) -> None:
        """Numbers into the epoch's logs; arrays into History alone: others expect numbers there."""
        if logs is not None:
            logs.update(numbers)
        history = getattr(getattr(self.model, "history", None), "history", None)
        if history is not None:
            for name, array in arrays.items():
                history.setdefault(name, []).append(array)

    def _record(self, y: Any, y_pred: Any) -> None:
        """Called while a step is traced, or run eagerly."""

    def _give_up(self) -> None:
        self._running = False


def mean_known(values: np.ndarray) -> float:
    """The mean of what is not NaN; NaN where nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
