"""Colours that colour-blind readers can tell apart, new axes, and as many label names as fit.

It knows neither what is drawn nor what of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure

# Okabe and Ito's colours, without black and the yellow that is too pale for a line.
BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY = COLORS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#E69F00",
    "#CC79A7",
    "#56B4E9",
)
GREY, MISSING = "0.45", "0.82"
_NAME_SIZE = 8  # points
_LONGEST_NAME = 24  # letters


def axes_or_new(ax: Axes | None, width: float, height: float) -> Axes:
    """The axes that were given, or those of a new figure of this size in inches."""
    if ax is not None:
        return ax
    return Figure(figsize=(width, height), layout="constrained").subplots()


def height_for(q: int) -> float:
    """Inches for a figure with a row for each label."""
    return float(np.clip(1.5 + 0.16 * q, 3.0, 9.0))


def name_labels(axis: Axis, names: Sequence[str]) -> str:
    """Ticks with names at 0 to q - 1, as many as fit without touching each other.

    Returns:
        What to add to the axis' own label: nothing, or which names are left out.
    """
    ax = axis.axes
    box = ax.get_window_extent()
    length = box.height if axis is ax.yaxis else box.width
    fitting = max(1, int(length / ax.figure.dpi * 72 / (1.2 * _NAME_SIZE)))
    step = -(-len(names) // fitting)
    shown = [*names[::step]]
    options: dict[str, Any] = {"rotation": 90} if axis is ax.xaxis else {}
    axis.set_ticks(range(0, len(names), step), labels=shown, fontsize=_NAME_SIZE, **options)
    return "" if step == 1 else f", one in {step} named"


def factor_text(value: float) -> str:
    """A factor as a reader says it: 4, 2, 1, 1/2, 1/4; others to two digits."""
    if 0 < value < 1 and abs(1 / value - round(1 / value)) < 1e-9:
        return f"1/{round(1 / value)}"
    return f"{value:.3g}"


def shortened(name: str) -> str:
    """A name that leaves room for the picture, with both of its ends."""
    half = _LONGEST_NAME // 2
    return name if len(name) <= _LONGEST_NAME else f"{name[: half - 1]}…{name[-half:]}"
