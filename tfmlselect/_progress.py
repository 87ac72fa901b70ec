"""Progress of long work outside of `fit`: nothing for short work, a bar in a terminal, else lines.

The bar is that of `fit`. Into a file it would write what only a terminal can read, so there a line
is printed now and then.
"""

from __future__ import annotations

import contextlib
import contextvars
import sys
import time
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from tfmlselect._checks import check_argument

SHORT = 2.0  # s; work that is done by then shows nothing
BETWEEN_LINES = 10.0  # s

_verbose: contextvars.ContextVar[int] = contextvars.ContextVar("verbose", default=1)


@contextlib.contextmanager
def verbosity(verbose: int) -> Iterator[None]:
    """Inside, in this thread, long work shows its progress, 1, or is silent, 0."""
    before = _verbose.set(verbose)
    try:
        yield
    finally:
        _verbose.reset(before)


def check_verbose(verbose: Any) -> int:
    """Returns `verbose` if it is 0 or 1.

    Raises:
        ValueError: it is not.
    """
    known = isinstance(verbose, int) and verbose in (0, 1)
    check_argument(known, "verbose", verbose, "1 to show the progress of long work, 0 for silence")
    return int(verbose)


class Progress:
    """How far a piece of work is.

    Args:
        what: is being done, the beginning of a line.
        total: samples that it is done to.
    """

    def __init__(self, what: str, total: int):
        self._what, self._total, self._done = what, total, 0
        self._silent = not _verbose.get()
        self._begun = False
        self._next = time.monotonic() + SHORT
        self._bar = tf.keras.utils.Progbar(total, unit_name="sample")  # whose clock starts here

    def add(self, samples: int) -> None:
        """So many more samples are done."""
        self._done += samples
        over = self._done >= self._total
        waiting = not self._begun if over else time.monotonic() < self._next
        if self._silent or waiting:
            return
        if _in_terminal():
            if not self._begun:
                print(f"\n{self._what}")  # below the bar of a fit that runs
            self._bar.update(self._done)
        else:
            print(f"{self._what}: {self._done:,} of {self._total:,} samples", flush=True)
            self._next = time.monotonic() + BETWEEN_LINES
        self._begun = True


def _in_terminal() -> bool:
    """Whether what was printed can be printed over."""
    return sys.stdout.isatty() or "ipykernel" in sys.modules
