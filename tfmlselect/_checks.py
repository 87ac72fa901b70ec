"""The only validators of arguments. Each error says what is wrong, what was received, what to do.

A validator returns the value as the plain type that was asked for. All raise a ValueError.
"""

from __future__ import annotations

import difflib
import math
import numbers
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from scipy import sparse

_VALUES_AT_ONCE = 1 << 22
_LONGEST = 200  # letters of a value that an error shows


def require(ok: Any, what: str, received: str, remedy: str) -> None:
    """Raises a ValueError of these three parts unless `ok`."""
    if not ok:
        raise ValueError(f"{what}. Received: {received}. {remedy}.")


def shown(value: Any) -> str:
    """The value as an error shows it: its repr, cut where it is long."""
    try:
        text = " ".join(repr(value).split())
    except Exception:
        text = f"an object of {type(value).__name__} without a repr"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def check_argument(
    valid: Any, name: str, value: Any, wanted: str, remedy: str | None = None
) -> None:
    """An argument with a rule of its own: it must be `wanted`, and `remedy` says what to do."""
    remedy = remedy or f"Pass {wanted}"
    require(valid, f"`{name}` must be {wanted}", f"{name}={shown(value)}", remedy)


def is_whole(value: Any) -> bool:
    """Whether it is a whole number by its type, and no truth value."""
    return isinstance(value, numbers.Integral) and not isinstance(value, (bool, np.bool_))


def is_number(value: Any) -> bool:
    """Whether it is a finite real number, and no truth value."""
    real = isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_))
    return real and math.isfinite(value)


def check_whole(name: str, value: Any, least: int = 0, most: int | None = None) -> int:
    """A whole number from `least` to `most`, of any integer type."""
    bounds = f">= {least}" if most is None else f"from {least} to {most}"
    ok = is_whole(value) and least <= value and (most is None or value <= most)
    example = most if is_number(value) and most is not None and value > most else least
    check_argument(ok, name, value, f"a whole number {bounds}", _example(name, example))
    return int(value)


def check_number(
    name: str,
    value: Any,
    least: float = -math.inf,
    most: float = math.inf,
    *,
    above: float = -math.inf,
    below: float = math.inf,
    example: float = 0.5,
) -> float:
    """A finite number with `least <= value <= most` and `above < value < below`."""
    ok = is_number(value) and least <= value <= most and above < value < below
    limits = {">=": least, ">": above, "<=": most, "<": below}
    bounds = " and ".join(f"{sign} {end:g}" for sign, end in limits.items() if math.isfinite(end))
    wanted = f"a finite number {bounds}".rstrip()
    check_argument(ok, name, value, wanted, _example(name, example))
    return float(value)


def check_numbers(name: str, value: Any, count: int, least: float, most: float) -> tuple:
    """A sequence of `count` finite numbers from `least` to `most`."""
    sequence = isinstance(value, (tuple, list, np.ndarray)) and len(value) == count
    ok = sequence and all(is_number(each) and least <= each <= most for each in value)
    wanted = f"{count} numbers from {least:g} to {most:g}"
    check_argument(ok, name, value, wanted, _example(name, (least,) * (count - 1) + (most,)))
    return tuple(map(float, value))


def check_choice(name: str, value: Any, choices: Sequence[Any]) -> Any:
    """One of some values; 1 is not taken for True."""
    known = any(type(value) is type(each) and value == each for each in choices)
    wanted = f"one of {', '.join(map(repr, choices))}"
    close = difflib.get_close_matches(
        str(value), [each for each in choices if isinstance(each, str)], 1
    )
    check_argument(known, name, value, wanted, _example(name, (close or choices)[0]))
    return value


def check_flag(name: str, value: Any) -> bool:
    """True or False."""
    ok = isinstance(value, (bool, np.bool_))
    check_argument(ok, name, value, "True or False", _example(name, True))
    return bool(value)


def check_function(name: str, value: Any, called: str) -> Callable:
    """Something that can be called, and no class; `called` shows how: `(y, y_pred) -> (b, q)`."""
    ok = callable(value) and not isinstance(value, type)
    check_argument(ok, name, value, f"a function {called}", f"Pass a function {called}")
    return value


def check_text(name: str, value: Any) -> str:
    """A string that is not empty."""
    ok = isinstance(value, str) and value != ""
    check_argument(ok, name, value, "a string that is not empty", "Pass a string")
    return value


def check_path(name: str, value: Any, what: str = "directory") -> str:
    """A path, as a string or an `os.PathLike` of one, that is not empty."""
    path = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    ok = isinstance(path, str) and path != ""
    check_argument(ok, name, value, f"the path of a {what}", f"Name a {what}")
    return str(path)


def check_device(name: str, value: Any) -> str:
    """The name of a device that is there, as `tf.device` takes it: "CPU:0", "/GPU:1"."""
    known = [device.name.removeprefix("/device:") for device in tf.config.list_logical_devices()]
    try:
        spec = tf.DeviceSpec.from_string(value)
        there = f"{spec.device_type}:{spec.device_index or 0}" in known
    except (AttributeError, TypeError, ValueError):
        there = False
    wanted = f"one of the devices {', '.join(known)}"
    check_argument(there, name, value, wanted, _example(name, known[0]))
    return value


def _example(name: str, value: Any) -> str:
    return f"Pass for example {name}={value!r}"


def check_pressure(name: str, value: Any) -> float:
    """A selection pressure: a finite number >= 1."""
    require(
        is_number(value) and value >= 1.0,
        "The selection pressure must be a finite number >= 1",
        f"{name}={shown(value)}",
        "Use 1 for uniform batches, 2 to 100 for a mild to a strong preference",
    )
    return float(value)


def check_finite(array: Any, name: str) -> None:
    """Scans numbers for NaN and infinity in chunks of rows, so that a memory map is not loaded.

    Raises:
        ValueError: a value that is not finite, with its row.
    """
    if array.dtype.kind not in "fc":
        return
    values = array.tocsr().data if sparse.issparse(array) else array
    step = max(1, _VALUES_AT_ONCE // max(1, int(np.prod(values.shape[1:]))))
    for start in range(0, len(values), step):
        chunk = np.asarray(values[start : start + step])
        finite = np.isfinite(chunk)
        if not finite.all():
            first = np.argwhere(~finite)[0]
            where = "its stored values" if sparse.issparse(array) else f"row {start + first[0]}"
            raise ValueError(
                f"`{name}` must be finite. Received: {chunk[tuple(first)]} in {where}. "
                "Fill missing values first, for example with sklearn.impute.SimpleImputer."
            )


def check_vector(name: str, value: Any, values: bool = True) -> None:
    """An array or tensor of rank 1, not empty and, with `values`, finite."""
    shape = tf.TensorShape(value.shape)
    require(
        shape.rank in (None, 1) and shape.num_elements() != 0,
        f"`{name}` must have one entry for each sample",
        f"{name}.shape={shape}",
        "Give it the shape (n,) with n >= 1",
    )
    bad = np.flatnonzero(~np.isfinite(value)) if values else np.empty(0)
    require(
        bad.size == 0,
        f"`{name}` must be finite",
        f"{bad.size} NaN or infinite entries, the first {name}{bad[:1]}",
        "Look for the loss or the prediction that diverged",
    )


def check_distribution(p: np.ndarray) -> None:
    """A vector of probabilities that sums to 1."""
    check_vector("probabilities", p)
    require(
        p.min() >= 0.0,
        "`probabilities` must not be negative",
        f"probabilities[{p.argmin()}]={p.min()}",
        "Make probabilities of scores with `pressure_probabilities`",
    )
    require(
        abs(p.sum() - 1.0) <= 1e-6,
        "`probabilities` must sum to 1 within 1e-6",
        f"sum={p.sum()}",
        "Make one entry positive at least and normalise in float64: p / p.sum()",
    )
