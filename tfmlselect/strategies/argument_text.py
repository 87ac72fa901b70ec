"""Arguments as one would type them, for the `repr` of a strategy.

What a run is known by in backups is not this text but `get_config`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from tfmlselect import schedules
from tfmlselect._checks import is_number
from tfmlselect.schedules import Constant, Decay, Ramp, Schedule


def value_as_typed(value: Any) -> str:
    """A plain value; a NumPy number as the Python number that it is."""
    if isinstance(value, tuple):
        entries = ", ".join(map(value_as_typed, value))
        return f"({entries},)" if len(value) == 1 else f"({entries})"
    return repr(value.item() if isinstance(value, np.generic) else value)


def schedule_as_typed(
    schedule: Schedule, from_number: Callable[[float], Schedule] = schedules.get
) -> str:
    """A schedule: `Ramp(0.7, 0.3, start=0.1, end=0.7)`, or `8.0` where that gives the same.

    Args:
        schedule: the schedule to be shown.
        from_number: the schedule that a number stands for.
    """
    if type(schedule) not in (Constant, Decay, Ramp):
        return repr(schedule)  # a class of the user's own
    text = _call(schedule)
    first = next(iter(vars(schedule).values()))
    if type(schedule) is not Ramp and is_number(first) and _call(from_number(first)) == text:
        return value_as_typed(float(first))
    return text


def _call(schedule: Any) -> str:
    arguments = []
    for field in dataclasses.fields(schedule):
        text = value_as_typed(getattr(schedule, field.name))
        optional = field.default is not dataclasses.MISSING
        arguments.append(f"{field.name}={text}" if optional else text)
    return f"{type(schedule).__name__}({', '.join(arguments)})"
