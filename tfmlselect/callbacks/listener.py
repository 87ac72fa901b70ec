"""What all our callbacks share: they hear of the training steps while a fit runs."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfmlselect.hooks import arm_hook, remove_hook


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

    def _record(self, y: Any, y_pred: Any) -> None:
        """Called while a step is traced, or run eagerly."""

    def _give_up(self) -> None:
        self._running = False
