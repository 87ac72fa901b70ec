"""Checks what the plots are given: axes, numbers, histories, labels and their names.

It draws nothing.
"""

from __future__ import annotations

import contextlib
import math
import numbers
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf
from matplotlib.axes import Axes

from tfmlselect._checks import check_argument, check_missing, check_unmasked, shown
from tfmlselect.callbacks import AdaptiveBatchSelection
from tfmlselect.labels import LabelStatistics, check_label_names, label_statistics
from tfmlselect.pipeline.dataset import AdaptiveDataset

History: TypeAlias = (
    tf.keras.callbacks.History | AdaptiveBatchSelection | Mapping[str, Sequence[Any]]
)
Numbers: TypeAlias = Sequence[float] | np.ndarray | tf.Tensor


def check_axes(ax: Axes | None) -> None:
    """Axes to draw in, or None.

    Raises:
        ValueError: anything else, such as an array of several axes.
    """
    ok = ax is None or isinstance(ax, Axes)
    check_argument(ok, "ax", ax, "matplotlib Axes", "Pass one Axes, or leave it out")


def as_array(name: str, value: Any) -> np.ndarray:
    """The value as an array; without dimensions if it cannot be one, such as a ragged list.

    Raises:
        ValueError: an array with masked entries.
    """
    check_unmasked(name, value)
    try:
        return np.asarray(value)
    except (TypeError, ValueError, OverflowError):
        return np.array(math.nan)


def as_numbers(name: str, value: Any) -> np.ndarray:
    """The value as float64, NaN for None; without dimensions if anything in it is no number.

    Raises:
        ValueError: an array with masked entries.
    """
    array = as_array(name, value)
    if array.dtype.kind in "iuf" or (
        array.dtype.kind == "O" and all(map(_is_real_or_none, array.flat))
    ):
        with contextlib.suppress(OverflowError):  # a whole number that no float can hold
            return array.astype(np.float64)
    return np.array(math.nan)


def _is_real_or_none(value: Any) -> bool:
    return value is None or (isinstance(value, numbers.Real) and not isinstance(value, bool))


def recorded(name: str, history: Any) -> Mapping[str, Any]:
    """What a History or a callback recorded, by its names; a dictionary is taken as it is.

    Raises:
        TypeError: none of these.
    """
    values = getattr(history, "history", history)
    if not isinstance(values, Mapping):
        raise TypeError(
            f"`{name}` must be what `model.fit` returns, an AdaptiveBatchSelection callback, or "
            f"the `.history` of either. Received: {name}={shown(history)}. Pass history = "
            "model.fit(...)."
        )
    return values


def keys_shown(values: Mapping[str, Any]) -> str:
    """A dictionary as an error shows it: its keys, without what they hold."""
    return "{" + ", ".join(f"{shown(key)}: ..." for key in values) + "}"


def statistics_of(y: Any, missing: float | None = None) -> LabelStatistics:
    """The statistics of labels, those of a dataset, or those that were given; with their names.

    Args:
        y: labels, a dataset or statistics.
        missing: what stands in labels where one is unknown, or None.
    """
    missing = check_missing("missing", missing)
    if isinstance(y, LabelStatistics):
        return y
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # labels without positives are drawn as such
        if isinstance(y, AdaptiveDataset):
            return y.label_statistics()
        return label_statistics(y, missing=missing)


def names_of(statistics: LabelStatistics, label_names: Sequence[str] | None) -> list[str]:
    """Names as given, as the statistics have them, or numbers: q strings.

    Raises:
        ValueError: not q names.
    """
    given = check_label_names(label_names, statistics.q)
    return list(given or statistics.label_names or map(str, range(statistics.q)))


def rarest_first(statistics: LabelStatistics) -> np.ndarray:
    """The labels by IRLbl, descending; those without positives, which have none, at the end."""
    return np.argsort(-statistics.irlbl, kind="stable")  # NaN goes to the end
