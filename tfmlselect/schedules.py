"""Numbers that change over a run of training, and how a point of the run is given.

A point is a float, a fraction of the run, or an int, a number of epochs (of passes over the data,
where `samples_per_epoch` makes epochs shorter). What a schedule's number
is used for is its owner's business; only `pressure` knows that it is a selection pressure.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from tfmlselect._checks import (
    check_argument,
    check_number,
    check_pressure,
    is_number,
    is_whole,
    require,
    shown,
)
from tfmlselect.sampling.pressure import decayed_pressure

__all__ = ["Constant", "Decay", "Ramp", "Schedule", "get"]


def check_point(name: str, value: Any) -> float:
    """A point of the run, as an int or a float: the two mean different things.

    Raises:
        ValueError: neither a whole number of epochs >= 0 nor a fraction in [0, 1].
    """
    ok = is_number(value) and value >= 0 and (is_whole(value) or value <= 1)
    remedy = "Pass a float in [0, 1] (a fraction of the run) or an int >= 0 (epochs)"
    check_argument(ok, name, value, "a point of the run", remedy)
    point: float = _plain(value)
    return point


def epoch_of_point(value: float, epochs: float) -> float:
    """The epoch, not rounded, at which a point of the run lies in a run of `epochs` epochs."""
    return float(value) if is_whole(value) else value * epochs


def warmup_epochs(value: float, epochs: int, passes_per_epoch: float = 1.0) -> int:
    """How many epochs a warm-up takes; a fraction above 0 is rounded up, to at least one.

    Args:
        value: the point of the run at which it ends; a whole number counts passes over the data.
        epochs: of the run.
        passes_per_epoch: which part of a pass an epoch is.
    """
    end = value / passes_per_epoch if is_whole(value) else value * epochs
    return math.ceil(round(end, 9))


def ramp(epoch: float, first: float, last: float, start: float, end: float) -> float:
    """`first` until `start`, `last` from `end` on, a straight line between."""
    if epoch <= start:
        return first
    if epoch >= end:
        return last
    if math.isfinite(last - first):
        return first + (last - first) * (epoch - start) / (end - start)
    reached = (epoch - start) / (end - start)
    return first * (1.0 - reached) + last * reached


def _plain(value: Any) -> Any:
    """A NumPy number as an int or a float, which JSON can hold; all else as it is."""
    foreign = isinstance(value, np.generic) and not isinstance(value, float)
    return value.item() if foreign else value


class Schedule:
    """A number that changes over the run: `schedule(epoch, epochs)` at an epoch, from 0.

    Points of the run (`start`, `end`) are floats, fractions of the run, or ints, epochs; passes
    over the data, where `samples_per_epoch` makes epochs shorter.
    """

    def __call__(self, epoch: float, epochs: float) -> float:
        """The value at `epoch` of a run of `epochs`."""
        raise NotImplementedError(f"{type(self).__name__} needs a `__call__` method.")

    def get_config(self) -> dict[str, Any]:
        """The name and the arguments, as plain values; `get` makes the schedule of it again."""
        arguments = {name: _plain(value) for name, value in vars(self).items()}
        return {"schedule": type(self).__name__, **arguments}


@dataclasses.dataclass(frozen=True)
class Constant(Schedule):
    """The same value always.

    Example:
        >>> Constant(2.0)(50, epochs=100)
        2.0
    """

    value: float

    def __post_init__(self) -> None:
        check_number("value", self.value)

    def __call__(self, epoch: float, epochs: float) -> float:
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

    def __post_init__(self) -> None:
        check_number("first", self.first)
        check_number("last", self.last)
        check_point("start", self.start)
        check_point("end", self.end)

    def __call__(self, epoch: float, epochs: float) -> float:
        """The value at `epoch`."""
        check_number("epoch", epoch)
        check_number("epochs", epochs, 0)
        start, end = epoch_of_point(self.start, epochs), epoch_of_point(self.end, epochs)
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

    def __post_init__(self) -> None:
        check_pressure("initial", self.initial)
        check_point("start", self.start)
        check_point("end", self.end)

    def __call__(self, epoch: float, epochs: float) -> float:
        """The pressure at `epoch`."""
        check_number("epoch", epoch)
        check_number("epochs", epochs, 0)
        start, end = epoch_of_point(self.start, epochs), epoch_of_point(self.end, epochs)
        return decayed_pressure(epoch, self.initial, start, end)


def get(value: float | dict[str, Any] | Schedule) -> Schedule:
    """A schedule from a number (constant), from `get_config()`, or as it is.

    Raises:
        ValueError: none of these.
    """
    if isinstance(value, Schedule):
        return value
    config = dict(value) if isinstance(value, dict) else {}
    name = config.pop("schedule", None)
    kind = _SCHEDULES.get(name) if isinstance(name, str) else None
    fits = is_number(value)
    if kind is not None:
        fields = dataclasses.fields(kind)
        needed = {field.name for field in fields if field.default is dataclasses.MISSING}
        fits = needed <= {*config} <= {field.name for field in fields}
    require(
        fits,
        "A schedule is a number or a Schedule object",
        shown(value),
        f"Pass a number, or one of {', '.join(_SCHEDULES)} of tfmlselect.schedules",
    )
    return Constant(check_number("value", value)) if kind is None else kind(**config)


_SCHEDULES = {kind.__name__: kind for kind in (Constant, Ramp, Decay)}


def fraction(name: str, value: float | dict[str, Any] | Schedule) -> Schedule:
    """A schedule of fractions; a number is one that stays.

    Raises:
        ValueError: neither a number nor a schedule; a value outside [0, 1], of a schedule at any
            epoch of a run of 100.
    """
    require(
        is_number(value) or isinstance(value, (dict, Schedule)),
        f"`{name}` is a number or a Schedule object",
        f"{name}={shown(value)}",
        f"Pass a number from 0 to 1, or one of {', '.join(_SCHEDULES)} of tfmlselect.schedules",
    )
    schedule = get(value)
    for epoch in range(101):
        check_number(name, schedule(epoch, 100), 0, 1)
    return schedule


def pressure(value: float | dict[str, Any] | Schedule, decay_start: float | None) -> Schedule:
    """A schedule of selection pressures: a number falls to 1 from `decay_start` on (None: stays).

    Raises:
        ValueError: neither a number nor a schedule; a pressure below 1, of a schedule at any epoch
            of a run of 100.
    """
    if isinstance(value, (dict, Schedule)):
        schedule = get(value)
        for epoch in range(101):
            check_pressure("pressure", schedule(epoch, 100))
        return schedule
    require(
        is_number(value),
        "The selection pressure is a number or a Schedule object",
        f"pressure={shown(value)}",
        f"Pass a number >= 1, or one of {', '.join(_SCHEDULES)} of tfmlselect.schedules",
    )
    initial = check_pressure("pressure", value)
    return Constant(initial) if decay_start is None else Decay(initial, decay_start)


def __dir__() -> list[str]:
    return [*__all__]
