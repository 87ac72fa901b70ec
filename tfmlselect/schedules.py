"""Knots of schedules: a float is a fraction of the run, an int is a number of epochs."""

from __future__ import annotations

import math


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
