"""Learning curves of several runs, and the epochs at which they reach a target."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from tfmlselect._checks import require
from tfmlselect.plots._inputs import series
from tfmlselect.plots._looks import COLORS, GREY, axes_or_new

_STYLES = ("-", "--", ":", "-.")
_LOWER_IS_BETTER = ("loss", "error")


def learning_curves(
    histories: Mapping[str, Any],
    metric: str,
    *,
    target: float | str | None = None,
    higher_is_better: bool | None = None,
    ax: Axes | None = None,
) -> Axes:
    """A metric of several runs over the epochs; with a target, where each run reaches it first.

    A single curve is one seed: two curves that differ by less than two seeds of one strategy say
    nothing.

    Args:
        histories: name of a run -> what `model.fit` returned, or its `.history`.
        metric: key of the histories, such as "val_macro_auc".
        target: a value of the metric, or the name of the run whose best value is the target.
        higher_is_better: None: unless the metric's name has "loss" or "error" in it.
        ax: where to draw; None: in a new figure.

    Returns:
        The axes.

    Raises:
        ValueError: no histories, one without the metric, a metric that is no number an epoch, or a
            target that is neither a number nor a run.

    Example:
        >>> import tfmlselect as tfml
        >>> runs = {"uniform": {"auc": [0.5, 0.6, 0.7]}, "d2ace": {"auc": [0.6, 0.7, 0.7]}}
        >>> ax = tfml.plots.learning_curves(runs, "auc", target="uniform")
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['uniform: epoch 3', 'd2ace: epoch 2', 'target 0.7, best of uniform']
    """
    curves = _curves(histories, metric)
    if higher_is_better is None:
        higher_is_better = not any(word in metric for word in _LOWER_IS_BETTER)
    best = np.nanmax if higher_is_better else np.nanmin
    wanted, said = _target(target, curves, best)
    ax = axes_or_new(ax, 6.0, 4.0)
    looks = itertools.cycle(itertools.product(_STYLES, COLORS))
    for (name, curve), (style, color) in zip(curves.items(), looks, strict=False):
        epochs = np.arange(1, len(curve) + 1)
        label = name
        if wanted is not None:
            there = np.flatnonzero(curve >= wanted if higher_is_better else curve <= wanted)
            label = f"{name}: epoch {there[0] + 1}" if there.size else f"{name}: not reached"
            ax.plot(
                epochs[there[:1]], curve[there[:1]], "o", color=color, markersize=9, mec="black"
            )
        marker = "." if len(curve) <= 60 else ""
        ax.plot(epochs, curve, color=color, linestyle=style, marker=marker, label=label)
    if wanted is not None:
        ax.axhline(wanted, color=GREY, linestyle="--", linewidth=1, label=said)
    ax.set(title=f"Learning curves, {metric}", xlabel="epoch", ylabel=metric)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.grid(color="0.9")
    ax.legend(fontsize=9 if len(curves) <= 8 else 7)
    return ax


def _curves(histories: Mapping[str, Any], metric: str) -> dict[str, np.ndarray]:
    require(
        isinstance(histories, Mapping) and len(histories) > 0,
        "`histories` are runs by name",
        f"{type(histories).__name__}",
        'Pass a dictionary with one run or more: {"d2ace": history}',
    )
    curves = {name: np.asarray(series(run, metric), float) for name, run in histories.items()}
    for name, curve in curves.items():
        require(
            curve.ndim == 1 and np.isfinite(curve).any(),
            "A learning curve has one number an epoch",
            f"{metric!r} of {name!r}, of shape {curve.shape}",
            "Name a key of the history that holds numbers; arrays, one number a label, have plots "
            "of their own",
        )
    return curves


def _target(target: Any, curves: dict[str, np.ndarray], best: Any) -> tuple[float | None, str]:
    if target is None:
        return None, ""
    if isinstance(target, str):
        require(
            target in curves,
            "`target` names one of the runs",
            f"target={target!r}",
            f"Name one of {', '.join(map(repr, curves))}, or pass a number",
        )
        value = float(best(curves[target]))
        return value, f"target {value:.4g}, best of {target}"
    return float(target), f"target {target:.4g}"
