"""The hook on a model's train step: put on before a fit, taken off after it, traceless.

A model instance gets its own `train_step`, `compute_loss`, `compute_metrics` and
`make_train_function`: all four public and made to be overridden. Within a training step the first
call of `compute_loss` or `compute_metrics` hands over y and y_pred. A fit that raises leaves the
hook behind, and a compiled train function that contains it; the next fit without the callback calls
`make_train_function`, which is not armed then, takes everything off and compiles anew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import tensorflow as tf

_NAMES = ("train_step", "compute_loss", "compute_metrics", "make_train_function")


class TrainStepHook:
    """Calls `record(y, y_pred)` once in every training step of a model.

    Args:
        model: a Keras model.
        record: called while the step is traced, or run, eagerly.
        abandoned: called when the hook is found on a model whose fit is over.
    """

    def __init__(self, model: Any, record: Callable, abandoned: Callable):
        remove_hook(model)
        self._record = record
        self._abandoned = abandoned
        self._armed = True
        # Replicas are traced in turns, each in its thread: what step it is must be the thread's.
        self._step = threading.local()
        self._own = {name: model.__dict__[name] for name in _NAMES if name in model.__dict__}
        originals = {name: getattr(model, name) for name in _NAMES}

        def train_step(data):
            self._step.waits = True
            result = originals["train_step"](data)
            self._step.waits = False
            return result

        def compute_loss(x=None, y=None, y_pred=None, *args, **kwargs):
            self._hand_over(y, y_pred)
            return originals["compute_loss"](x, y, y_pred, *args, **kwargs)

        def compute_metrics(x, y, y_pred, *args, **kwargs):
            self._hand_over(y, y_pred)
            return originals["compute_metrics"](x, y, y_pred, *args, **kwargs)

        def make_train_function(force=False):
            if self._armed:
                self._armed = False
                return originals["make_train_function"](force=True)
            remove_hook(model)
            self._abandoned()
            return model.make_train_function(force=True)

        make_train_function.hook = self
        for function in (train_step, compute_loss, compute_metrics, make_train_function):
            setattr(model, function.__name__, function)

    @tf.autograph.experimental.do_not_convert
    def _hand_over(self, y: Any, y_pred: Any) -> None:
        if getattr(self._step, "waits", False) and y_pred is not None:
            self._step.waits = False
            self._record(y, tf.nest.map_structure(tf.stop_gradient, y_pred))

    def _take_off(self, model: Any) -> None:
        for name in _NAMES:
            delattr(model, name)
        for name, own in self._own.items():
            setattr(model, name, own)
        model.train_function = None


def remove_hook(model: Any) -> None:
    """Takes the hook off a model, if there is one, and has its train function compiled anew."""
    hook = getattr(model.__dict__.get("make_train_function"), "hook", None)
    if hook is not None:
        hook._take_off(model)
