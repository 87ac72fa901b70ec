"""The hook on a model's train step: put on before a fit, taken off after it, without a trace.

A model instance gets its own `train_step`, `compute_loss`, `compute_metrics` and
`make_train_function`: all four are public and made to be overridden. Within a training step the
first call of `compute_loss` or `compute_metrics` hands y and y_pred to all callbacks that listen;
layers and losses find the batch's labels in `_training_step`.

A fit that raises leaves the hook on the model, and a compiled train function that contains it. The
next fit calls `make_train_function`. If no callback was added for that fit, the hook takes itself
off there and has the train function compiled anew.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from tfmlselect._training_step import training_step

_NAMES = ("train_step", "compute_loss", "compute_metrics", "make_train_function")


class Listener(NamedTuple):
    """What one callback wants to be called with.

    Attributes:
        record: called with (y, y_pred) in each training step, as it is traced or run eagerly.
        fit_over: called when a fit is over: when the hook comes off, or the next fit begins.
    """

    record: Callable
    fit_over: Callable


class TrainStepHook:
    """Hands y and y_pred to its listeners once in every training step of a model."""

    def __init__(self, model: tf.keras.Model):
        remove_hook(model)
        self.listeners: list[Listener] = []
        self.next_listeners: list[Listener] = []  # of the fit that is about to begin
        # Replicas are traced in turns, each in its thread: each notes the step that it traces.
        self._step = threading.local()
        self._own = {name: model.__dict__[name] for name in _NAMES if name in model.__dict__}
        originals = {name: getattr(model, name) for name in _NAMES}
        orders = {name: _argument_names(originals[name]) for name in _NAMES[1:3]}
        own_step = originals["train_step"]
        compiled = isinstance(own_step, tf.types.experimental.PolymorphicFunction)
        if compiled:  # its traces would outlive the hook: trace the function under it anew
            own_step = own_step.python_function

        def run_step(data):
            self._step.graph = tf.compat.v1.get_default_graph()
            try:
                with training_step(*_labels_and_weights(data)):
                    return own_step(data)
            finally:
                self._step.graph = None

        run = tf.function(run_step) if compiled else run_step

        def train_step(data):
            return run(data)

        def compute_loss(*args, **kwargs):
            self._hand_over(orders["compute_loss"], args, kwargs)
            return originals["compute_loss"](*args, **kwargs)

        def compute_metrics(*args, **kwargs):
            self._hand_over(orders["compute_metrics"], args, kwargs)
            return originals["compute_metrics"](*args, **kwargs)

        def make_train_function(force=False):
            if self.next_listeners:
                self._tell_fit_is_over()
                self.listeners, self.next_listeners = self.next_listeners, []
                return originals["make_train_function"](force=True)
            remove_hook(model)
            return model.make_train_function(force=True)

        make_train_function.hook = self  # type: ignore[attr-defined]
        for function in (train_step, compute_loss, compute_metrics, make_train_function):
            setattr(model, function.__name__, function)

    @tf.autograph.experimental.do_not_convert
    def _hand_over(self, names: list[str], args: tuple, kwargs: dict) -> None:
        # A call inside a branch of the step, or inside a function of its own, is passed over: it
        # need not run in every step. The next call outside is taken.
        if getattr(self._step, "graph", None) is not tf.compat.v1.get_default_graph():
            return
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        y, y_pred = given.get("y"), given.get("y_pred")
        if y is not None and y_pred is not None:
            self._step.graph = None
            y_pred = tf.nest.map_structure(tf.stop_gradient, y_pred)
            for listener in self.listeners:
                listener.record(y, y_pred)

    def _tell_fit_is_over(self) -> None:
        for listener in dict.fromkeys(self.listeners + self.next_listeners):
            listener.fit_over()

    def take_off(self, model: tf.keras.Model) -> None:
        """Gives the model its own methods back and drops its train function."""
        self._tell_fit_is_over()
        for name in _NAMES:
            delattr(model, name)
        for name, own in self._own.items():
            setattr(model, name, own)
        model.train_function = None


def remove_hook(model: tf.keras.Model) -> None:
    """Takes the hook off a model, if there is one, and has its train function compiled anew."""
    hook = getattr(model.__dict__.get("make_train_function"), "hook", None)
    if hook is not None:
        hook.take_off(model)


def arm_hook(model: tf.keras.Model, record: Callable, fit_over: Callable) -> None:
    """Adds a listener for the fit that is about to begin, beside others added for the same fit.

    A hook without listeners for a next fit is left over from an earlier fit, and is replaced. A
    hook that has this listener already is kept: the fit that runs may be evaluating with the same
    callback.
    """
    hook = getattr(model.__dict__.get("make_train_function"), "hook", None)
    listener = Listener(record, fit_over)
    if hook is None or not (hook.next_listeners or listener in hook.listeners):
        hook = TrainStepHook(model)
    if listener not in hook.next_listeners:
        hook.next_listeners.append(listener)


def listening(model: tf.keras.Model) -> list[tf.keras.callbacks.Callback]:
    """The objects whose methods listen to the model's training steps."""
    hook = getattr(model.__dict__.get("make_train_function"), "hook", None)
    return [listener.record.__self__ for listener in hook.listeners] if hook else []


def _labels_and_weights(data: Any) -> tuple[Any, Any]:
    parts = tuple(data) if isinstance(data, (tuple, list)) else (data,)
    return (*parts[1:3], None, None)[:2]


def _argument_names(function: Callable) -> list[str]:
    """The names of positional arguments; Keras' own where the function takes any."""
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return ["x", "y", "y_pred"]
    return [parameter.name for parameter in parameters]
