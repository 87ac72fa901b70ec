"""Which call of `model.fit` runs: Keras tells nobody when one ends with an exception.

The stack of the fit's thread does tell: the fit runs as long as its frame is there. That the frame
is still referred to says nothing, since a traceback keeps it, in a notebook until the next error;
so here it is known by its address, and by the `CallbackList` that it made. Nothing is kept alive.
"""

from __future__ import annotations

import inspect
import sys
import threading
import weakref
from collections.abc import Iterator
from types import FrameType
from typing import Any

import tensorflow as tf

_SUSPENDED = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_TRIES = 100


class RunningFit:
    """One call of `model.fit`; made in its thread, while it runs."""

    def __init__(self, frame: FrameType, callbacks: tf.keras.callbacks.CallbackList):
        self._thread = threading.get_ident()
        self._address = id(frame)
        self._callbacks = weakref.ref(callbacks)

    @property
    def callbacks(self) -> tf.keras.callbacks.CallbackList | None:
        """What calls the fit's callbacks; None where the fit is over and it is gone."""
        return self._callbacks()

    def is_running(self) -> bool:
        """Whether the fit runs; may be asked in any thread."""
        for _ in range(_TRIES):
            if self.callbacks is None:
                return False
            last = None
            for last in _upwards(sys._current_frames().get(self._thread)):
                if self._is(last):
                    return True
            # A generator that was left since has lost its callers: look again.
            if last is None or not last.f_code.co_flags & _SUSPENDED:
                return False
        return False

    def fetches_data(self) -> bool:
        """Whether it is the fit itself that asks, for its data.

        Not if a callback asks, nor a step, an evaluation, or another thread.
        """
        if threading.get_ident() != self._thread:
            return False
        for frame in _callers():
            if self._is(frame):
                return True
            asks = frame.f_locals.get("self")
            if isinstance(asks, (tf.keras.Model, tf.keras.callbacks.CallbackList)):
                return False
        return False

    def _is(self, frame: FrameType) -> bool:
        # A later frame may have the address of one that is gone.
        return id(frame) == self._address and self.callbacks in _lists(frame)


def current_fit(model: tf.keras.Model) -> RunningFit | None:
    """The innermost `model.fit` that runs in this thread; None where another loop trains."""
    for frame in _callers():
        if frame.f_code.co_name == "fit" and frame.f_locals.get("self") is model:
            for callbacks in _lists(frame):
                return RunningFit(frame, callbacks)
    return None


def evaluated() -> Any:
    """What the innermost `model.evaluate` that has called was given as `x`; None without one."""
    for frame in _callers():
        is_model = isinstance(frame.f_locals.get("self"), tf.keras.Model)
        if is_model and frame.f_code.co_name == "evaluate":
            return frame.f_locals.get("x")
    return None


def calling_list() -> tf.keras.callbacks.CallbackList | None:
    """The `CallbackList` that has called, found among the callers: Keras names it to no callback.

    None where a callback's method is called by hand.
    """
    for frame in _callers():
        caller = frame.f_locals.get("self")
        if isinstance(caller, tf.keras.callbacks.CallbackList):
            return caller
    return None


def _callers() -> Iterator[FrameType]:
    """Who called the function that asks for them, the nearest first.

    Without that function itself: the variables of a frame are copied where they are looked at, and
    those of one that holds itself would live on.
    """
    asks = sys._getframe(1)
    return _upwards(asks.f_back)


def _upwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _lists(frame: FrameType) -> list[tf.keras.callbacks.CallbackList]:
    """The callback lists among a frame's variables: a fit has one."""
    kind = tf.keras.callbacks.CallbackList
    return [value for value in frame.f_locals.values() if isinstance(value, kind)]
