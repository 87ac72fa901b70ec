"""What is wrong with the arguments of a selection, said when it is made."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
import tensorflow as tf
from scipy import sparse

from tfmlselect.strategies import Strategy


def check_window(window: Any, batch_size: int, strategy: Strategy) -> None:
    """Copies of a sample are to land in different batches of a window: it must hold some."""
    if not is_whole(window) or window < 4 * batch_size:
        raise ValueError(
            "`window` is the number of samples that are shuffled together, and it must hold "
            f"four batches or more. Received: window={window!r}, batch_size={batch_size}. Pass "
            f"a whole number >= {4 * batch_size}; larger is closer to a draw from all."
        )
    if strategy.own_plan:
        raise ValueError(
            "A stream is read from front to back, and this strategy composes its own batches. "
            f"Received: strategy={strategy!r}. Use it on arrays, or turn that off "
            "(HardImbalance: correlations=False)."
        )


def check_batch_size(batch_size: Any, n: int) -> None:
    """A batch is no larger than the training set."""
    if not is_whole(batch_size) or batch_size < 1:
        raise ValueError(
            "`batch_size` is the number of samples a batch. "
            f"Received: batch_size={batch_size!r}. Pass a whole number >= 1."
        )
    if n < batch_size:
        raise ValueError(
            "A batch is drawn without replacement and cannot be larger than the training set. "
            f"Received: batch_size={batch_size}, n={n} samples. Pass batch_size <= {n}."
        )


def is_whole(value: Any) -> bool:
    """Whether it is a whole number, and no truth value."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def checked_seed(seed: int | None) -> int:
    """The seed, or a new one."""
    if seed is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    if not is_whole(seed) or seed < 0:
        raise ValueError(
            "`seed` makes the order of samples repeatable. "
            f"Received: seed={seed!r}. Pass a whole number >= 0, or None for a new one."
        )
    return int(seed)


def searchable(x: Any) -> Any:
    """x itself, where neighbours can be searched in it: one matrix of numbers in memory."""
    if sparse.issparse(x):
        return x
    if isinstance(x, tf.Tensor):
        x = x.numpy()
    if isinstance(x, np.ndarray) and not isinstance(x, np.memmap):
        return x if x.ndim == 2 and x.dtype.kind in "biuf" else None
    return None
