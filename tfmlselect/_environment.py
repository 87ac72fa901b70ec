"""Checks, at import, that TensorFlow is there, new enough, and what Keras runs on.

It installs nothing and changes no setting.
"""

from __future__ import annotations

import importlib.util
import os


def require_tensorflow() -> None:
    """Raises an ImportError that says what to install, or which setting to change.

    Raises:
        ImportError: TensorFlow is not installed, is older than 2.15, or Keras 3 runs on another
            backend.
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise ImportError(
            "tfmlselect needs TensorFlow >= 2.15 and does not choose the wheel for you. "
            "Received: no module named 'tensorflow'. "
            "Install one: pip install tensorflow; on Linux also 'tensorflow[and-cuda]', which "
            "brings what a GPU needs, or tensorflow-cpu, which is smaller."
        )
    wanted = os.environ.get("KERAS_BACKEND", "tensorflow")
    legacy = os.environ.get("TF_USE_LEGACY_KERAS", "").lower() in ("1", "true")
    if wanted != "tensorflow" and not legacy:
        raise ImportError(_other_backend(wanted))

    import tensorflow as tf

    if tuple(int(part) for part in tf.__version__.split(".")[:2]) < (2, 15):
        raise ImportError(
            "tfmlselect needs TensorFlow >= 2.15. "
            f"Received: tensorflow {tf.__version__}. "
            "Upgrade it: pip install --upgrade 'tensorflow>=2.15'."
        )
    backend = tf.keras.backend.backend()
    if backend != "tensorflow":
        raise ImportError(_other_backend(backend))


def _other_backend(name: str) -> str:
    return (
        "tfmlselect records inside TensorFlow train steps and needs Keras on the TensorFlow "
        f"backend. Received: Keras backend {name!r}. "
        'Set the environment variable KERAS_BACKEND=tensorflow (or "backend": "tensorflow" in '
        "~/.keras/keras.json) before Python starts."
    )
