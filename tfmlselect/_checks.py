"""Checks of arguments that several rooms share; each raises what is wrong, received, and to do."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np
import tensorflow as tf
from scipy import sparse

_VALUES_AT_ONCE = 1 << 22


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


def check_argument(valid: bool, name: str, value: Any, wanted: str) -> None:
    """Raises a ValueError that names the argument and what is wanted, unless `valid`."""
    if not valid:
        raise ValueError(f"`{name}` is out of range. Received: {name}={value!r}. Pass {wanted}.")


def require(ok: bool, what: str, received: str, remedy: str) -> None:
    """Raises a ValueError of these three parts unless `ok`."""
    if not ok:
        raise ValueError(f"{what}. Received: {received}. {remedy}.")


def require_pressure(name: str, value: float) -> None:
    """A finite number >= 1."""
    require(
        1.0 <= value < math.inf,
        "The selection pressure must be a finite number >= 1",
        f"{name}={value}",
        "Use 1 for uniform batches, 2 to 100 for a mild to a strong preference",
    )


def require_vector(name: str, value: Any, values: bool = True) -> None:
    """Rank 1, not empty and, with `values`, finite."""
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


def require_distribution(p: np.ndarray) -> None:
    """A vector of probabilities that sums to 1."""
    require_vector("probabilities", p)
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


def require_whole(name: str, value: int, least: int, n: float = math.inf) -> None:
    """A whole number from `least` to `n`."""
    require(
        isinstance(value, numbers.Integral) and least <= value <= n,
        f"`{name}` must be a whole number >= {least}" + f" and at most n={n}" * (n < math.inf),
        f"{name}={value!r}",
        "Pass a Python int in these bounds",
    )
