"""From what users call a loss to one value for each sample and label, and to plain values and back.

No weights and no means: those are `LabelLoss`'s.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfmlselect._checks import check_flag, require, shown
from tfmlselect.losses.base import LabelLoss
from tfmlselect.losses.thinned_likelihood import ThinnedLikelihood

_KERAS = ("keras.", "tf_keras.")


def elementwise(loss: Any, from_logits: bool) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """A function of labels and predictions (b, q) that gives the loss entry by entry, (b, q).

    Keras' own losses average over the last axis; given entries as (b, q, 1), they average over
    nothing. A function of the user's is called as it is, and has to give (b, q) itself.

    Args:
        loss: the name of a Keras loss, an object of one, a `LabelLoss`, or a function.
        from_logits: whether predictions are logits. An object is taken at its own word; a function
            of the user's is given probabilities.

    Raises:
        ValueError: none of these; or a categorical loss or a `ThinnedLikelihood`, whose value
            is no sum over labels.
    """
    require(
        kind_of(loss) != "categorical",
        "A categorical loss has one value for a sample and none for each label",
        f"loss={shown(loss)}",
        "Pass loss='binary_crossentropy', which takes each class against the others; with "
        "from_logits=True, activation='softmax' where the model ends in logits of classes",
    )
    require(
        not isinstance(loss, ThinnedLikelihood),
        "The correction of ThinnedLikelihood is of a sample, and of none of its labels",
        f"loss={shown(loss)}",
        "Pass loss='binary_crossentropy', or use ThinnedLikelihood by itself",
    )
    if isinstance(loss, LabelLoss):
        return loss.entries
    if isinstance(loss, tf.keras.losses.Loss) and type(loss).__module__.startswith(_KERAS):
        return lambda y, p: loss.call(y[..., None], p[..., None])
    if isinstance(loss, str):
        function = _named(loss)
        if not from_logits:
            return lambda y, p: function(y[..., None], p[..., None])
        if "from_logits" in inspect.signature(function).parameters:
            return lambda y, p: function(y[..., None], p[..., None], from_logits=True)
        return lambda y, p: function(y[..., None], tf.sigmoid(p)[..., None])
    require(
        callable(loss) and not isinstance(loss, (type, tf.keras.losses.Loss)),
        "The loss must be one that can be taken entry by entry",
        f"loss={shown(loss)}",
        "Pass the name of a Keras loss, an object of one of Keras' loss classes, tfmlselect's "
        "AsymmetricLoss, or a function (y, y_pred) -> (b, q)",
    )
    activation = tf.sigmoid if from_logits else tf.identity
    return lambda y, p: _checked(loss, y, activation(p))


def is_from_logits(loss: Any) -> bool | None:
    """What the loss object says about its predictions; None where it says nothing."""
    # Keras 2 has it, of some losses, in their config and not as an attribute.
    config = loss.get_config() if isinstance(loss, tf.keras.losses.Loss) else {}
    if isinstance(loss, functools.partial):
        config = loss.keywords
    value = getattr(loss, "from_logits", config.get("from_logits"))
    return None if value is None else bool(value)


def kind_of(loss: Any) -> str | None:
    """ "categorical" or "binary" of a loss that is Keras' own; None of any other.

    By what the loss is, never by what it is called: a function of the user's may have any name.

    Args:
        loss: a name, an object, a class or a function, also inside `functools.partial`.
    """
    while isinstance(loss, functools.partial):
        loss = loss.func
    if isinstance(loss, str):
        with contextlib.suppress(ValueError):
            loss = tf.keras.losses.get(loss)
    loss = getattr(loss, "fn", loss)  # what Keras wraps a function in
    for kind in ("categorical", "binary"):
        classes, functions = _keras_losses(kind)
        # An array compares element by element, so: by identity.
        if any(loss is each for each in functions) or isinstance(loss, classes):
            return kind
        if isinstance(loss, type) and issubclass(loss, classes):
            return kind
    return None


@functools.cache
def _keras_losses(kind: str) -> tuple[tuple[type, ...], list[Any]]:
    """Classes and functions of Keras whose public name holds a word."""
    names = [name for name in dir(tf.keras.losses) if kind in name.lower()]
    found = [getattr(tf.keras.losses, name) for name in names]
    classes = tuple(each for each in found if isinstance(each, type))
    return classes, [each for each in found if callable(each) and not isinstance(each, type)]


def settled_logits(from_logits: bool | None, loss: Any) -> bool:
    """Whether predictions are logits: what the inner loss says, else the argument, else no.

    Raises:
        ValueError: both say something, and not the same.
    """
    said = is_from_logits(loss)
    given = said if from_logits is None else check_flag("from_logits", from_logits)
    require(
        said in (None, given),
        "Two answers to whether predictions are logits",
        f"from_logits={given}, and {said} from the loss object",
        "Leave from_logits out: the loss object's own word is taken",
    )
    return bool(given)


def settled_missing(missing: float | None, loss: Any) -> float | None:
    """What stands for an unknown label: what is given, else what the inner loss says.

    Raises:
        ValueError: both say something, and not the same.
    """
    said = getattr(loss, "missing", None) if isinstance(loss, LabelLoss) else None
    require(
        None in (missing, said) or missing == said or (missing != missing and said != said),
        "Two answers to what stands for an unknown label",
        f"missing={missing}, and missing={said} of the inner loss",
        "Say it once",
    )
    return said if missing is None else missing


def serialize(loss: Any) -> Any:
    """A loss as plain values: a name as it is, a function by its registered name."""
    if isinstance(loss, str):
        return loss
    if isinstance(loss, tf.keras.losses.Loss):
        return tf.keras.losses.serialize(loss)
    return tf.keras.utils.get_registered_name(loss)


def deserialize(config: Any) -> Any:
    """The loss again: the reverse of `serialize`."""
    if isinstance(config, str):
        return tf.keras.utils.get_registered_object(config) or config
    if isinstance(config, dict) and "class_name" in config:
        return tf.keras.losses.deserialize(config)
    return config


def one_vs_all_logits(logits: tf.Tensor) -> tf.Tensor:
    """Logits of each class against all others together: `sigmoid` of them is the softmax.

    `x_c - ln sum_{k != c} exp x_k`, without the cancellation that 1 - softmax suffers near 1.
    """
    largest = tf.stop_gradient(tf.reduce_max(logits, axis=-1, keepdims=True))
    shifted = logits - largest
    each = tf.exp(shifted)
    top = tf.one_hot(tf.argmax(logits, axis=-1), logits.shape[-1], dtype=logits.dtype)
    others = tf.reduce_sum(each, axis=-1, keepdims=True) - each  # at least 1 but for the largest
    without_top = tf.reduce_sum(each * (1.0 - top), axis=-1, keepdims=True)
    return shifted - tf.math.log(tf.maximum(tf.where(top > 0, without_top, others), 1e-30))


def _named(name: str) -> Any:
    function: Any = None
    with contextlib.suppress(ValueError):
        function = tf.keras.losses.get(name)
    require(
        function is not None,
        "Keras knows no such loss",
        f"loss={shown(name)}",
        "Use 'binary_crossentropy', 'binary_focal_crossentropy', or a function (y, y_pred) -> "
        "(b, q), which to be loaded again is registered: "
        "@tf.keras.utils.register_keras_serializable()",
    )
    return function


def _checked(function: Callable[..., Any], y: tf.Tensor, p: tf.Tensor) -> tf.Tensor:
    values = tf.convert_to_tensor(function(y, p))
    require(
        values.shape.is_compatible_with(p.shape) and values.shape.rank == 2,
        "The loss function must give one value for each sample and label, before any mean",
        f"shape {values.shape} from {shown(function)}, for predictions of shape {p.shape}",
        "For Keras' own losses pass the name, such as loss='binary_crossentropy'",
    )
    return tf.cast(values, tf.float32)
