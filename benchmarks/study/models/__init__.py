"""The deep multi-label models of the benchmark: made by name, compiled with the loss they need.

Every model takes features (b, d) float32 and gives probabilities (b, q) float32, in `model(x)`, in
`model.predict`, and as the y_pred of a training step. A plain `model.fit` trains it.

Example:
    ```python
    tf.keras.utils.set_random_seed(0)
    model = build("mlp", x, y)
    compile_model(model, tf.keras.optimizers.Adam(1e-3))
    model.fit(train, epochs=100, shuffle=False, callbacks=[tfml.AdaptiveBatchSelection(train)])
    ```
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.study.models import clif, dela, frozen_head, mlp, mpvae, paca
from benchmarks.study.models.base import OwnLossModel

MODELS: dict[str, Callable[[np.ndarray, np.ndarray], tf.keras.Model]] = {
    "mlp": mlp.build,
    "frozen_head": frozen_head.build,
    "clif": clif.build,
    "dela": dela.build,
    "paca": paca.build,
    "mpvae": mpvae.build,
}


def build(name: str, x: np.ndarray, y: np.ndarray) -> tf.keras.Model:
    """Makes a model with all its weights; their random values come from the seed of Keras.

    Args:
        name: one of `MODELS`.
        x: (n, d) float32 features of the training part, scaled to [0, 1].
        y: (n, q) its labels, 0 or 1.

    Raises:
        ValueError: there is no such model, or x and y are no matrices of one length.
    """
    if name not in MODELS:
        raise ValueError(f"No such model. Received: name={name!r}. Take one of {sorted(MODELS)}.")
    if np.ndim(x) != 2 or np.ndim(y) != 2 or len(x) != len(y):
        raise ValueError(
            "A model is built from features (n, d) and labels (n, q). Received: shapes "
            f"{np.shape(x)} and {np.shape(y)}."
        )
    return MODELS[name](np.asarray(x, "float32"), np.asarray(y, "float32"))


def compile_model(model: tf.keras.Model, optimizer: Any, **options: Any) -> None:
    """Compiles a model with its own loss where it has one, else with mean binary cross-entropy.

    Args:
        model: made by `build`.
        optimizer: a Keras optimizer.
        **options: for `model.compile`; `loss` takes the place of the cross-entropy.

    Raises:
        ValueError: `loss` is given, and the model has a loss of its own.
    """
    if not isinstance(model, OwnLossModel):
        options = {"loss": "binary_crossentropy", **options}
    elif "loss" in options:
        raise ValueError(
            f"{type(model).__name__} is trained with the loss of its paper. Received: "
            f"loss={options['loss']!r}. Leave it out, or take the model 'mlp' or 'frozen_head'."
        )
    model.compile(optimizer, **options)
