"""Schedules over a run, and its knots: a float is a fraction of it, an int a number of epochs."""

from __future__ import annotations

import dataclasses
import math
import numbers

from tfmlselect._checks import check_pressure
from tfmlselect.sampling.pressure import decayed_pressure

__all__ = ["Constant", "Decay", "Ramp", "Schedule", "get"]


def check_knot(name: str, value: float) -> float:
    """Returns `value` if it can be a knot.

    Raises:
        ValueError: not an int >= 0 and not a float in [0, 1].
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        valid = False
    elif isinstance(value, int):
        valid = value >= 0
    else:
        valid = 0.0 <= value <= 1.0
    if not valid:
        raise ValueError(
            f"`{name}` is a point of the run. Received: {name}={value!r}. "
            "Pass a float in [0, 1] (a fraction of the run) or an int >= 0 (epochs)."
        )
    return value


def knot_epoch(value: float, epochs: int) -> float:
    """The epoch, not rounded, at which a knot lies in a run of `epochs` epochs."""
    return float(value) if isinstance(value, int) else value * epochs


def warmup_epochs(value: float, epochs: int) -> int:
    """How many epochs a warm-up takes; a fraction above 0 is rounded up, to at least one."""
    return math.ceil(round(knot_epoch(value, epochs), 9))


def ramp(epoch: float, first: float, last: float, start: float, end: float) -> float:
    """`first` until `start`, `last` from `end` on, a straight line between."""
    if epoch <= start:
        return first
    if epoch >= end:
        return last
    return first + (last - first) * (epoch - start) / (end - start)


class Schedule:
    """A number that changes over the run: `schedule(epoch, epochs)` at an epoch, from 0.

    Points of the run (`start`, `end`) are floats, fractions of the run, or ints, epochs.
    """

    def __call__(self, epoch: float, epochs: int) -> float:
        """The value at `epoch` of a run of `epochs`."""
        raise NotImplementedError(f"{type(self).__name__} needs a `__call__` method.")

    def get_config(self) -> dict:
        """The name and the arguments, as plain values; `get` makes the schedule of it again."""
        return {"schedule": type(self).__name__, **vars(self)}


@dataclasses.dataclass(frozen=True)
class Constant(Schedule):
    """The same value always.

    Example:
        >>> Constant(2.0)(50, epochs=100)
        2.0
    """

    value: float

    def __call__(self, epoch: float, epochs: int) -> float:
        """The value."""
        return float(self.value)


@dataclasses.dataclass(frozen=True)
class Ramp(Schedule):
    """`first` until `start`, `last` from `end` on, a straight line between.

    Example:
        >>> Ramp(0.7, 0.3, start=0.1, end=0.7)(40, epochs=100)
        0.5
    """

    first: float
    last: float
    start: float = 0.0
    end: float = 1.0

    def __post_init__(self):
        check_knot("start", self.start)
        check_knot("end", self.end)

    def __call__(self, epoch: float, epochs: int) -> float:
        """The value at `epoch`."""
        start, end = knot_epoch(self.start, epochs), knot_epoch(self.end, epochs)
        return float(ramp(epoch, self.first, self.last, start, end))


@dataclasses.dataclass(frozen=True)
class Decay(Schedule):
    """A pressure: `initial` until `start`, then falling exponentially to 1 at `end`.

    Example:
        >>> Decay(4.0, start=0.0)(50, epochs=100)
        2.0
    """

    initial: float
    start: float = 0.0
    end: float = 1.0

    def __post_init__(self):
        check_knot("start", self.start)
        check_knot("end", self.end)
        decayed_pressure(0, self.initial, 0, 1)

    def __call__(self, epoch: float, epochs: int) -> float:
        """The pressure at `epoch`."""
        start, end = knot_epoch(self.start, epochs), knot_epoch(self.end, epochs)
        return decayed_pressure(epoch, self.initial, start, end)


def get(value: float | dict | Schedule) -> Schedule:
    """A schedule from a number (constant), from `get_config()`, or as it is.

    Raises:
        ValueError: none of these.
    """
    if isinstance(value, Schedule):
        return value
    if isinstance(value, dict) and value.get("schedule") in _SCHEDULES:
        arguments = {name: part for name, part in value.items() if name != "schedule"}
        return _SCHEDULES[value["schedule"]](**arguments)
    if isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value):
        return Constant(float(value))
    raise ValueError(
        f"A schedule is a number or a Schedule object. Received: {value!r}. "
        f"Pass a number, or one of {', '.join(_SCHEDULES)} of tfmlselect.schedules."
    )


_SCHEDULES = {kind.__name__: kind for kind in (Constant, Ramp, Decay)}


def pressure(value: float | dict | Schedule, decay_start: float | None) -> Schedule:
    """A pressure schedule: a number falls from `decay_start` on (None: stays), others as `get`.

    Raises:
        ValueError: a pressure below 1, of a schedule at any epoch of a run of 100.
    """
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        check_pressure("pressure", float(value))
    schedule = get(value)
    if isinstance(value, (dict, Schedule)):
        for epoch in range(101):
            check_pressure("pressure", schedule(epoch, 100))
        return schedule
    return schedule if decay_start is None else Decay(schedule(0, 1), decay_start)


def __dir__() -> list[str]:
    return [*__all__]
