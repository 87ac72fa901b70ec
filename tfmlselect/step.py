"""What a layer or a loss can know of the training step that runs: that it is one, and its labels.

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
def training_step(labels: Any) -> Iterator[None]:
    """Inside, `is_running()` is true and `batch_labels()` gives `labels`."""
    before = getattr(_thread, "labels", ())
    _thread.labels = (labels,)
    try:
        yield
    finally:
        _thread.labels = before


def is_running() -> bool:
    """Whether a training step runs, or is traced, in this thread."""
    return bool(getattr(_thread, "labels", ()))


def batch_labels() -> Any:
    """The labels of the step's batch; None outside of a training step, or where it has none."""
    labels = getattr(_thread, "labels", ())
    return labels[0] if labels else None
