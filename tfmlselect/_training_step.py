"""What a layer or a loss can know of the training step that runs: that it is one, and its batch.

Keras hands labels to the loss alone, and tells no loss whether it trains or evaluates. Both are
known where `train_step` is called, so whoever calls it says so here, for the thread that traces or
runs the step.
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
