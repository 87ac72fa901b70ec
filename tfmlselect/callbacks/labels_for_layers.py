"""A callback that does nothing but let layers see the labels of each batch."""

from __future__ import annotations

from tfmlselect.callbacks.base import StepListener


class LabelsForLayers(StepListener):
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

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Notes that a fit runs."""
        self._running = True
