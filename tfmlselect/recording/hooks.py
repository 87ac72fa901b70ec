"""The hook on a model's train step: put on before a fit, taken off after it, without a trace.

A model instance gets its own `train_step`, `compute_loss` and `compute_metrics`, and its own
`make_train_function`, `make_test_function` and `make_predict_function`: all are public and made to
be overridden. Within a training step the first call of `compute_loss` or `compute_metrics` hands y
and y_pred to all callbacks that listen; layers and losses find the batch's labels in
`_training_step`.

A fit that raises leaves the hook on the model, and a compiled train function that contains it.
Keras then calls no callback any more. The hook comes off, and the callbacks hear that the fit is
over, as soon as one of these happens: the exception is forgotten, and with it the list of callbacks
that the fit had made; the model is fitted, evaluated or predicts, which calls `make_..._function`;
somebody asks for it, with `end_interrupted_fit`.
"""

from __future__ import annotations

import contextlib
import inspect
import threading
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from tfmlselect._running_fit import RunningFit, calling_list, current_fit
from tfmlselect._training_step import training_step

_HANDED = ("compute_loss", "compute_metrics")
_NAMES = (
    "make_train_function",  # which the hook is found by
    *_HANDED,
    "train_step",
    "make_test_function",
    "make_predict_function",
)


class Listener(NamedTuple):
    """What one callback wants to be called with.

    Attributes:
        record: called with (y, y_pred) in each training step, as it is traced or run eagerly.
        fit_over: called when a fit is over: when the hook comes off, or the next fit begins.
    """

    record: Callable
    fit_over: Callable


class TrainStepHook:
    """Hands y and y_pred to its listeners once in every training step of a model.

    Attributes:
        listeners: of the fit that runs.
        fit: that fit; None before it begins, and where another loop than `model.fit` trains.
        next_listeners: of the fit that is about to begin.
        next_list: refers to the `CallbackList` of which they are; None where there is none.
    """

    def __init__(self, model: tf.keras.Model):
        remove_hook(model)
        self.listeners: list[Listener] = []
        self.fit: RunningFit | None = None
        self.next_listeners: list[Listener] = []
        self.next_list: weakref.ref | None = None
        # Replicas are traced in turns, each in its thread: each notes the step that it traces.
        self._step = threading.local()
        self._own = {name: model.__dict__[name] for name in _NAMES if name in model.__dict__}
        originals = {name: getattr(model, name) for name in _NAMES}
        orders = {name: _argument_names(originals[name]) for name in _HANDED}
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
            fit = current_fit(model)
            if self.fit is not None and self.fit.is_running():
                if fit is None or fit.callbacks is self.fit.callbacks:  # in the middle of it
                    return originals["make_train_function"](force=force)
                raise RuntimeError(
                    "A model is trained by one fit at a time. Received: a second fit "
                    "while one runs with callbacks of tfmlselect, within it or in another thread. "
                    "Wait until the first one is over."
                )
            if self.next_listeners and (fit is None or fit.callbacks is _referred(self.next_list)):
                self._begin(model, fit)
                return originals["make_train_function"](force=True)
            remove_hook(model)
            return model.make_train_function(force=True)

        def make_test_function(force=False):
            return made_after_the_fit("make_test_function", force)

        def make_predict_function(force=False):
            return made_after_the_fit("make_predict_function", force)

        def made_after_the_fit(name, force):
            if not self.is_over():
                return originals[name](force=force)
            remove_hook(model)
            return getattr(model, name)(force=force)

        make_train_function.hook = self  # type: ignore[attr-defined]
        made = locals()
        for name in _NAMES:
            setattr(model, name, made[name])

    def _begin(self, model: tf.keras.Model, fit: RunningFit | None) -> None:
        """The fit begins for which listeners were added."""
        self._tell_fit_is_over()
        self.listeners, self.next_listeners = self.next_listeners, []
        self.fit = fit
        if fit is not None:
            end = weakref.finalize(
                fit.callbacks, _end_forgotten_fit, weakref.ref(model), weakref.ref(self)
            )
            end.atexit = False

    def is_over(self) -> bool:
        """Whether no fit is known to run that the hook is for."""
        return not self.listeners or (self.fit is not None and not self.fit.is_running())

    def is_kept_for(self, listener: Listener) -> bool:
        """Whether the hook is that of a fit that runs, or may run, with this listener."""
        return listener in self.listeners if self.fit is None else not self.is_over()

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
        told = list(dict.fromkeys(self.listeners + self.next_listeners))
        # This may be called while something else is traced.
        with tf.init_scope(), contextlib.ExitStack() as stack:
            for listener in reversed(told):  # each is told, also where another raises
                stack.callback(listener.fit_over)

    def take_off(self, model: tf.keras.Model) -> None:
        """Gives the model its own methods back and drops its train function."""
        # Ctrl-C may come between any two of these lines: what is compiled goes first, and last the
        # function that the hook is found by, so that the next call goes on from there.
        model.train_function = None
        try:
            for name in reversed(_NAMES):
                if name in self._own:
                    setattr(model, name, self._own[name])
                elif name in model.__dict__:
                    delattr(model, name)
        finally:
            self._tell_fit_is_over()


def hook_of(model: tf.keras.Model) -> TrainStepHook | None:
    """The hook that is on a model, if there is one."""
    hook: TrainStepHook | None = getattr(model.__dict__.get("make_train_function"), "hook", None)
    return hook


def remove_hook(model: tf.keras.Model) -> None:
    """Takes the hook off a model, if there is one, and has its train function compiled anew."""
    hook = hook_of(model)
    if hook is not None:
        hook.take_off(model)


def end_interrupted_fit(model: tf.keras.Model) -> None:
    """Takes the hook off a model, if there is one and no fit runs that it is for."""
    hook = hook_of(model)
    if hook is not None and hook.is_over():
        hook.take_off(model)


def arm_hook(model: tf.keras.Model, record: Callable, fit_over: Callable) -> None:
    """Adds a listener for the fit that is about to begin, beside others added for the same fit.

    A hook that is left over from an earlier fit is replaced. That of a fit that runs is kept: it
    may be evaluating, with the same callback or with another.
    """
    hook, callbacks = hook_of(model), calling_list()
    listener = Listener(record, fit_over)
    if hook is not None and _referred(hook.next_list) is not callbacks:
        hook.next_listeners = []  # of a fit that never began, or of an evaluation
    if hook is None or not (hook.next_listeners or hook.is_kept_for(listener)):
        hook = TrainStepHook(model)
    hook.next_list = None if callbacks is None else weakref.ref(callbacks)
    if listener not in hook.next_listeners:
        hook.next_listeners.append(listener)


def running_fit(model: tf.keras.Model) -> RunningFit | None:
    """The fit of a model that callbacks of ours listen to; None where it is not known."""
    hook = hook_of(model)
    return None if hook is None else hook.fit


def listening(model: tf.keras.Model) -> list[tf.keras.callbacks.Callback]:
    """The objects whose methods listen to the model's training steps."""
    hook = hook_of(model)
    listeners: list[Any] = [listener.record for listener in hook.listeners] if hook else []
    return [record.__self__ for record in listeners]


def _end_forgotten_fit(model: weakref.ref, hook: weakref.ref) -> None:
    """Called when the callbacks of a fit are gone; if it ended as it should, the hook is too."""
    left = model()
    if left is not None and hook_of(left) is hook():
        remove_hook(left)


def _referred(reference: weakref.ref | None) -> Any:
    return None if reference is None else reference()


def _labels_and_weights(data: Any) -> tuple[Any, Any]:
    parts = tuple(data) if isinstance(data, (tuple, list)) else (data,)
    return (*parts[1:3], None, None)[:2]


def _argument_names(function: Callable) -> list[str]:
    """The names of positional arguments; Keras' own where the function takes any."""
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return ["x", "y", "y_pred"]
    return [parameter.name for parameter in parameters]
