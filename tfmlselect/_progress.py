"""Shows how far long work outside of `fit` is: by a bar in a terminal, by lines elsewhere.

Short work shows nothing. What `fit` itself shows is Keras' business: the bar looks the same. In a
file a bar would leave what only a terminal can read, so there a line is printed now and then.
"""

from __future__ import annotations

import contextlib
import contextvars
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect._checks import check_argument

SHORT = 2.0  # s; work that is done by then shows nothing
BETWEEN_LINES = 10.0  # s

_verbose: contextvars.ContextVar[int] = contextvars.ContextVar("verbose", default=1)


@contextlib.contextmanager
def verbosity(verbose: int) -> Iterator[None]:
    """Inside, in this thread, long work shows its progress (`verbose` 1) or is silent (0)."""
    before = _verbose.set(verbose)
    try:
        yield
    finally:
        _verbose.reset(before)


def check_verbose(verbose: Any) -> int:
    """`verbose` as 0 or 1; True and False are the same.

    Raises:
        ValueError: it is neither.
    """
    ok = isinstance(verbose, (int, np.integer, np.bool_)) and verbose in (0, 1)
    remedy = "Pass verbose=1 to show the progress of long work, verbose=0 for silence"
    check_argument(ok, "verbose", verbose, "1 or 0", remedy)
    return int(verbose)


class Progress:
    """How far a piece of work is.

    Args:
        what: what is done, such as "Searching neighbours": the beginning of a line.
        total: the number of samples that it is done to; None where that is not known.
    """

    def __init__(self, what: str, total: int | None):
        self._what, self._total, self._done = what, total, 0
        self._silent = not _verbose.get()
        self._begun = False
        self._next = time.monotonic() + SHORT
        self._bar = tf.keras.utils.Progbar(total, unit_name="sample")  # whose clock starts here

    def add(self, samples: int) -> None:
        """Counts samples that are done, and shows how far the work is."""
        self._done += samples
        over = self._total is not None and self._done >= self._total
        waiting = not self._begun if over else time.monotonic() < self._next
        if self._silent or waiting:
            return
        if _in_terminal():
            if not self._begun:
                print(f"\n{self._what}")  # below the bar of a fit that runs
            self._bar.update(self._done)
        else:
            of = "" if self._total is None else f" of {self._total:,}"
            print(f"{self._what}: {self._done:,}{of} samples", flush=True)
            self._next = time.monotonic() + BETWEEN_LINES
        self._begun = True


def _in_terminal() -> bool:
    """Whether a bar can be drawn over its earlier state."""
    return sys.stdout.isatty() or "ipykernel" in sys.modules
