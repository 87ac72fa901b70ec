"""Draws label attention: how often each label's positives were drawn, epoch by epoch.

The callback counts them; here they are only drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from tfmlselect._checks import require
from tfmlselect.plots._arguments import (
    History,
    as_numbers,
    check_axes,
    keys_shown,
    names_of,
    rarest_first,
    recorded,
    statistics_of,
)
from tfmlselect.plots._drawing import (
    MISSING,
    axes_or_new,
    factor_text,
    height_for,
    name_labels,
    shortened,
)

KEY = "selection/label_attention"
_LARGEST = 4  # powers of 2 at the ends of the scale


def label_attention(
    history: History,
    y: Any,
    *,
    label_names: Sequence[str] | None = None,
    missing: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """A heat map of labels and epochs: positives drawn, over those of uniform draws.

    Labels are ordered by IRLbl, the rarest on top. White is as often as uniform draws, orange more
    often, purple less. The scale is one of factors; what lies beyond it has the colours of its
    ends. Labels without positives are grey, at the bottom.

    Args:
        history: the `AdaptiveBatchSelection` callback of the fit, or its `.history`, with
            `selection/label_attention`: a (q,) array an epoch. With `verbose_logs=True` also what
            `model.fit` returned.
        y: the training labels, as for `label_statistics`; or these statistics, or the
            `AdaptiveDataset` of the fit.
        label_names: q names; None: those that `y` has, or numbers.
        missing: what stands in y where a label is unknown, as for `adaptive_dataset`.
        ax: where to draw; None: in a new figure.

    Returns:
        The axes.

    Raises:
        TypeError: `history` is no history.
        ValueError: no such figures in the history, or of another number of labels; wrong labels,
            not q names, or `ax` that is no Axes.

    Example:
        >>> import numpy as np, tfmlselect as tfml
        >>> y = np.array([[1, 0], [1, 0], [1, 1]])
        >>> history = {"selection/label_attention": [np.array([1.0, 1.0]), np.array([0.9, 1.8])]}
        >>> ax = tfml.plots.label_attention(history, y, label_names=["sea", "boat"])
        >>> [tick.get_text() for tick in ax.get_yticklabels()]  # IRLbl 3 and 1
        ['boat (3)', 'sea (1)']
    """
    check_axes(ax)
    statistics = statistics_of(y, missing)
    names = names_of(statistics, label_names)
    attention = _attention(history, statistics.q)
    order = rarest_first(statistics)
    with np.errstate(divide="ignore"):
        powers = np.log2(attention.T[order])  # never drawn: -inf, which the scale cuts
    limit = _limit(powers)
    ax = axes_or_new(ax, 7.0, height_for(statistics.q))
    image = ax.imshow(
        np.clip(powers, -limit, limit),
        cmap=colormaps["PuOr_r"].with_extremes(bad=MISSING),
        vmin=-limit,
        vmax=limit,
        aspect="auto",
        extent=(0.5, len(attention) + 0.5, statistics.q - 0.5, -0.5),
    )
    over, under = np.any(powers > limit), np.any(powers < -limit)
    extend = {(False, False): "neither", (True, True): "both", (True, False): "max"}
    bar = ax.figure.colorbar(image, ax=ax, extend=extend.get((bool(over), bool(under)), "min"))
    ticks = range(-int(limit), int(limit) + 1)
    bar.set_ticks([*ticks], labels=[factor_text(2.0**power) for power in ticks])
    bar.set_label("drawn, uniform = 1")
    left_out = name_labels(
        ax.yaxis, [_with_irlbl(names[j], float(statistics.irlbl[j])) for j in order]
    )
    ax.set(
        title="Label attention",
        xlabel="epoch",
        ylabel=f"label (IRLbl), rarest on top{left_out}",
    )
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return ax


def _attention(history: History, q: int) -> np.ndarray:
    """(epochs, q) float64 of a history."""
    values = recorded("history", history)
    require(
        KEY in values,
        f"`history` must have the key {KEY!r}",
        f"history={keys_shown(values)}",
        "Pass the AdaptiveBatchSelection callback of the fit, which keeps it; or make that with "
        "verbose_logs=True, for the history that `fit` returns",
    )
    attention = as_numbers("history", values[KEY])
    shape = attention.shape
    require(
        len(shape) == 2 and shape[0] > 0 and shape[1] == q and not (attention < 0).any(),
        f"`history` must hold, under {KEY!r}, {q} numbers >= 0 an epoch, one for each label of `y`",
        f"history={keys_shown(values)} with {KEY!r} of shape {shape}",
        "Pass the labels that were trained on",
    )
    return attention


def _limit(powers: np.ndarray) -> float:
    """The end of the scale, in powers of 2: what 98 % of the entries stay within, 1 at least."""
    finite = np.abs(powers[np.isfinite(powers)])
    largest = np.quantile(finite, 0.98, method="higher") if finite.size else 0.0
    return float(np.clip(largest, 1, _LARGEST))


def _with_irlbl(name: str, irlbl: float) -> str:
    return shortened(name) + (f" ({irlbl:.3g})" if np.isfinite(irlbl) else " (none)")
