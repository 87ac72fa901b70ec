"""What a layer or a loss can know of the training step that runs: that there is one, its labels.

Keras gives labels to the loss only, and tells no loss whether it trains or evaluates. Whoever calls
`train_step` knows both, and notes them here for the thread that traces or runs the step. It changes
nothing about the step.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

_thread = threading.local()


@contextlib.contextmanager
def training_step(labels: Any, weights: Any = None) -> Iterator[None]:
    """Inside, `is_running()` is true, and the batch's labels and weights of samples are these."""
    before = getattr(_thread, "batch", ())
    _thread.batch = (labels, weights)
    try:
        yield
    finally:
        _thread.batch = before


def is_running() -> bool:
    """Whether a training step runs, or is traced, in this thread."""
    return bool(getattr(_thread, "batch", ()))


def batch_labels() -> Any:
    """The labels of the step's batch; None outside of a training step, or where it has none."""
    return _thread.batch[0] if is_running() else None


def batch_weights() -> Any:
    """The weights of the batch's samples; None outside of a training step, or where it has none."""
    return _thread.batch[1] if is_running() else None
