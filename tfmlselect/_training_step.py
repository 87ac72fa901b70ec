"""What a layer or a loss can know of the training step that runs: that there is one, its labels.

Keras gives labels to the loss only, and tells no loss whether it trains or evaluates. Whoever calls
`train_step` knows both, and notes them here for the thread that traces or runs the step. It changes
nothing about the step.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Iterator
from typing import Any

_thread = threading.local()


@dataclasses.dataclass
class _Step:
    labels: Any
    weights: Any
    rates: Any = None


@contextlib.contextmanager
def training_step(labels: Any, weights: Any = None) -> Iterator[None]:
    """Inside, `is_running()` is true, and the batch's labels and weights of samples are these."""
    before = _running()
    _thread.step = _Step(labels, weights)
    try:
        yield
    finally:
        _thread.step = before


def is_running() -> bool:
    """Whether a training step runs, or is traced, in this thread."""
    return _running() is not None


def batch_labels() -> Any:
    """The labels of the step's batch; None outside of a training step, or where it has none."""
    step = _running()
    return None if step is None else step.labels


def batch_weights() -> Any:
    """The weights of the batch's samples; None outside of a training step, or where it has none."""
    step = _running()
    return None if step is None else step.weights


def note_rates(rates: Any) -> None:
    """Notes, for the rest of the step, the rates at which the batch's samples are kept if empty.

    Args:
        rates: (b,) float32, or one number for all samples.
    """
    step = _running()
    if step is not None:
        step.rates = rates


def batch_rates() -> Any:
    """What `note_rates` was given in this step; None where it was not called."""
    step = _running()
    return None if step is None else step.rates


def _running() -> _Step | None:
    step: _Step | None = getattr(_thread, "step", None)
    return step
