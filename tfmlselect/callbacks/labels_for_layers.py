"""Lets layers see the labels of the batch, in a fit without another of our callbacks."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfmlselect.hooks import arm_hook, remove_hook


class LabelsForLayers(tf.keras.callbacks.Callback):
    """Hands each training step's labels to layers that need them, such as `FeatureWeakening`.

    For a fit that has none of the package's other callbacks: each of them does it too.

    Example:
        >>> import numpy as np, tensorflow as tf, tfmlselect as tfml
        >>> x = np.random.default_rng(0).normal(size=(48, 4)).astype("float32")
        >>> y = (x[:, 0] > 1).astype("int64")
        >>> model = tf.keras.Sequential(
        ...     [
        ...         tf.keras.layers.Dense(8, activation="relu"),
        ...         tfml.layers.FeatureWeakening(class_counts=np.bincount(y)),
        ...         tf.keras.layers.Dense(2, activation="softmax"),
        ...     ]
        ... )
        >>> model.compile("adam", "sparse_categorical_crossentropy")
        >>> history = model.fit(x, y, verbose=0, callbacks=[tfml.callbacks.LabelsForLayers()])
    """

    _running = False

    def set_model(self, model: Any) -> None:
        """Puts the hook on the model, before its train function is made."""
        super().set_model(model)
        arm_hook(model, self._nothing, self._over)

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Notes that a fit runs."""
        self._running = True

    def on_train_end(self, logs: dict | None = None) -> None:
        """Takes the hook off."""
        remove_hook(self.model)

    def on_test_end(self, logs: dict | None = None) -> None:
        """Takes the hook off, where `evaluate` or `predict` was called with the callback."""
        if not self._running:
            remove_hook(self.model)

    on_predict_end = on_test_end

    def _nothing(self, y: Any, y_pred: Any) -> None:
        pass

    def _over(self) -> None:
        self._running = False
