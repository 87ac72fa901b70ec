"""The only validators of arguments: each says what is wrong, what was received and what to do.

They judge a value by itself. What depends on a file, on a model or on another argument is judged
where that is known, and said in the same form by `require` or `check_argument`.

A validator returns the value as the plain type that was asked for. All raise a ValueError.
"""

from __future__ import annotations

import difflib
import math
import numbers
import os
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf
from scipy import sparse

_LARGEST = 2**63 - 1  # of the whole numbers that NumPy and TensorFlow hold
_VALUES_AT_ONCE = 1 << 22
_LONGEST = 200  # letters of a value that an error shows

T = TypeVar("T")


def require(ok: Any, what: str, received: str, remedy: str) -> None:
    """Raises a ValueError of these three parts unless `ok`."""
    if not ok:
        raise ValueError(f"{what}. Received: {received}. {remedy}.")


def shown(value: Any) -> str:
    """The value as an error shows it: its repr on one line, cut where it is long."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # of the object's own making
        text = f"a value of type {type(value).__name__} that cannot be shown"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def check_argument(valid: Any, name: str, value: Any, wanted: str, remedy: str) -> None:
    """An argument with a rule of its own: it must be `wanted`, and `remedy` says what to do."""
    require(valid, f"`{name}` must be {wanted}", f"{name}={shown(value)}", remedy)


def is_whole(value: Any) -> bool:
    """Whether it is a whole number by its type, and no truth value."""
    return isinstance(value, numbers.Integral) and not isinstance(value, (bool, np.bool_))


def is_number(value: Any) -> bool:
    """Whether it is a real number that a float can hold, finite, and no truth value."""
    if not isinstance(value, numbers.Real) or isinstance(value, (bool, np.bool_)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number above the largest float
        return False


def check_whole(name: str, value: Any, least: int = 0, most: int | None = None) -> int:
    """A whole number from `least` to `most`, or to what 64 bits hold, of any integer type."""
    limit, limit_text = (_LARGEST, "2**63 - 1") if most is None else (most, str(most))
    ok = is_whole(value) and least <= value <= limit
    too_large = is_whole(value) and value > limit
    bounded = most is not None or too_large  # who passes -1 need not read of 64 bits
    bounds = f"from {least} to {limit_text}" if bounded else f">= {least}"
    example = most if too_large and most is not None else least
    check_argument(ok, name, value, f"a whole number {bounds}", _example(name, example))
    return int(value)


def check_seed(name: str, value: Any) -> int:
    """A whole number >= 0 of any size: NumPy takes seeds of more than 64 bits."""
    ok = is_whole(value) and value >= 0
    check_argument(ok, name, value, "a whole number >= 0", _example(name, 0))
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


def check_missing(name: str, value: Any) -> float | None:
    """What stands for an unknown label, as a float; None: nothing does.

    Raises:
        ValueError: neither NaN nor a number below 0.
    """
    is_nan = isinstance(value, (float, np.floating)) and math.isnan(value)
    check_argument(
        value is None or is_nan or (is_number(value) and math.isfinite(value) and value < 0),
        name,
        value,
        "NaN, or a number below 0: what stands in y where a label is unknown",
        f"Pass {name}=np.nan or {name}=-1, whichever y has; None where all labels are known",
    )
    return None if value is None else float(value)


def check_numbers(
    name: str, value: Any, count: int, least: float, most: float
) -> tuple[float, ...]:
    """A sequence of `count` finite numbers from `least` to `most`."""
    sequence = isinstance(value, (tuple, list))
    sequence = sequence or (isinstance(value, np.ndarray) and value.ndim == 1)
    ok = sequence and len(value) == count
    ok = ok and all(is_number(each) and least <= each <= most for each in value)
    wanted = f"{count} numbers from {least:g} to {most:g}"
    check_argument(ok, name, value, wanted, _example(name, (least,) * (count - 1) + (most,)))
    return tuple(map(float, value))


def check_columns(name: str, value: Any) -> tuple[int, ...] | None:
    """Columns of the labels: different whole numbers >= 0, one at least; None for all of them."""
    if value is None:
        return None
    sequence = isinstance(value, (tuple, list))
    sequence = sequence or (isinstance(value, np.ndarray) and value.ndim == 1)
    ok = sequence and len(value) > 0
    ok = ok and all(is_whole(each) and 0 <= each <= _LARGEST for each in value)
    ok = ok and len(set(map(int, value))) == len(value)
    wanted = "None, or different columns of the labels, whole numbers >= 0"
    check_argument(ok, name, value, wanted, _example(name, [0]))
    return tuple(map(int, value))


def check_choice(name: str, value: Any, choices: Sequence[T]) -> T:
    """One of some values; 1 is not taken for True."""
    found = [choice for choice in choices if _is_same(value, choice)]
    texts = [choice for choice in choices if isinstance(choice, str)]
    close = difflib.get_close_matches(value, texts, 1) if isinstance(value, str) else []
    wanted = f"one of {', '.join(map(repr, choices))}"
    check_argument(found, name, value, wanted, _example(name, (close or choices)[0]))
    return found[0]


def _is_same(value: Any, choice: Any) -> bool:
    value = bool(value) if isinstance(value, np.bool_) else value
    kind = isinstance(value, str) if isinstance(choice, str) else type(value) is type(choice)
    return kind and value == choice


def check_flag(name: str, value: Any) -> bool:
    """True or False."""
    check_argument(_is_flag(value), name, value, "True or False", _example(name, True))
    return bool(value)


def _is_flag(value: Any) -> bool:
    return isinstance(value, (bool, np.bool_))


def check_text(name: str, value: Any) -> str:
    """A string that is not empty."""
    ok = isinstance(value, str) and value != ""
    check_argument(ok, name, value, "a string that is not empty", "Pass a string")
    return str(value)


def check_path(name: str, value: Any, what: str = "directory") -> str:
    """A path, as a string or an `os.PathLike` of one, that is not empty."""
    path = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    ok = isinstance(path, str) and path != ""
    check_argument(ok, name, value, f"the path of a {what}", f"Name a {what}")
    return str(path)


def check_device(name: str, value: Any) -> str:
    """The name of a device that is there, as `tf.device` takes it: "CPU:0", "/GPU:1"."""
    known = [tf.DeviceSpec.from_string(one.name) for one in tf.config.list_logical_devices()]
    try:
        there = any(_names_device(tf.DeviceSpec.from_string(value), one) for one in known)
    except (AttributeError, TypeError, ValueError):
        there = False
    texts = list(dict.fromkeys(f"{one.device_type}:{one.device_index}" for one in known))
    wanted = f"one of the devices {', '.join(texts)}"
    check_argument(there, name, value, wanted, _example(name, texts[0]))
    return str(value)


def _names_device(given: Any, known: Any) -> bool:
    """Whether a name, which may leave out the machine and the number, is that of a device."""
    parts = ("job", "replica", "task", "device_index")
    same = all(getattr(given, part) in (None, getattr(known, part)) for part in parts)
    return same and given.device_type == known.device_type


def check_pressure(name: str, value: Any) -> float:
    """A selection pressure: a finite number >= 1; also as an array without dimensions."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    require(
        is_number(value) and value >= 1.0,
        "The selection pressure must be a finite number >= 1",
        f"{name}={shown(value)}",
        "Use 1 for uniform batches, 2 to 100 for a mild to a strong preference",
    )
    return float(value)


def check_array(name: str, value: Any, wanted: str, remedy: str, flags: bool = False) -> np.ndarray:
    """What NumPy makes of an array, a tensor or nested lists, if that holds real numbers.

    Args:
        name: of the argument.
        value: of the argument.
        wanted: what it must be, in words.
        remedy: what to do otherwise.
        flags: whether truth values will do too.
    """
    check_unmasked(name, value)
    try:
        array = np.asarray(value)
    except Exception:  # rows of different lengths, a tensor without a value, ...
        array = np.asarray(None)
    if array.dtype == object and all(is_number(each) or _is_flag(each) for each in array.flat):
        array = array.astype(np.float64)  # columns of several types, as pandas has them
    ok = holds_numbers(array.dtype) or (flags and array.dtype.kind == "b")
    check_argument(ok, name, value, wanted, remedy)
    return array


def check_unmasked(name: str, value: Any, remedy: str | None = None) -> None:
    """Refuses NumPy arrays with masked entries, and lists of them, before the mask gets lost.

    Nothing here knows masks: `np.asarray` would hand on whatever stands behind them. An array whose
    mask masks nothing is taken.

    Args:
        name: of the argument.
        value: of the argument.
        remedy: what to do; None: fill it.
    """
    parts = value if isinstance(value, (list, tuple)) else [value]
    found = [np.ma.getmaskarray(part) for part in parts if isinstance(part, np.ma.MaskedArray)]
    masks = [mask for mask in found if mask.dtype == bool]  # else of records, which nobody takes
    count = sum(np.count_nonzero(mask) for mask in masks)
    require(
        count == 0,
        f"`{name}` must not be a masked array: its mask would be ignored",
        f"{count} masked of {sum(mask.size for mask in masks)} entries",
        remedy or f"Fill it, np.ma.filled({name}, value), or leave those samples out",
    )


def holds_numbers(dtype: Any) -> bool:
    """Whether a type of NumPy or TensorFlow is one of real numbers, and not of truth values."""
    if isinstance(dtype, np.dtype) and dtype.kind in "iuf":
        return True
    try:
        known = tf.as_dtype(dtype)  # which knows bfloat16 and the like
    except TypeError:
        return False
    return bool(known.is_floating or known.is_integer)


_FILL = "Fill missing values first, for example with sklearn.impute.SimpleImputer"


def check_finite(array: Any, name: str, remedy: str = _FILL) -> None:
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
            require(
                False,
                f"`{name}` must be finite",
                f"{chunk[tuple(first)]} in {where}",
                remedy,
            )


def check_vector(name: str, value: Any, values: bool = True) -> None:
    """An array or tensor of numbers, of rank 1, not empty and, with `values`, finite."""
    shape = tf.TensorShape(value.shape)
    require(
        shape.rank in (None, 1) and shape.num_elements() != 0,
        f"`{name}` must have one entry for each sample",
        f"{name}.shape={shape}",
        "Give it the shape (n,) with n >= 1",
    )
    require(
        holds_numbers(value.dtype),
        f"`{name}` must hold numbers",
        f"{name}.dtype={value.dtype.name}",
        "Pass numbers, not text or truth values",
    )
    bad = np.flatnonzero(~np.isfinite(value)) if values else np.empty(0)
    require(
        bad.size == 0,
        f"`{name}` must be finite",
        f"{bad.size} NaN or infinite entries, the first {name}{bad[:1]}",
        "Look for the loss or the prediction that diverged",
    )


def check_distribution(probabilities: Any) -> np.ndarray:
    """Probabilities that sum to 1, as (n,) float64."""
    remedy = "Make probabilities of scores with `pressure_probabilities`"
    wanted = "an array of numbers, one for each sample"
    given = check_array("probabilities", probabilities, wanted, remedy)
    p = np.asarray(given, np.float64)
    check_vector("probabilities", p)
    require(
        p.min() >= 0.0,
        "`probabilities` must not be negative",
        f"probabilities[{p.argmin()}]={p.min()}",
        remedy,
    )
    require(
        abs(p.sum() - 1.0) <= 1e-6,
        "`probabilities` must sum to 1 within 1e-6",
        f"sum={p.sum()}",
        "Make one entry positive at least and normalise in float64: p / p.sum()",
    )
    return p


def _example(name: str, value: Any) -> str:
    return f"Pass for example {name}={value!r}"
