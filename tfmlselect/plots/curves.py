"""Draws learning curves of several runs, and the epochs at which they reach a target.

Whether one run is better than another is not judged here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from tfmlselect._checks import check_argument, check_flag, is_number, require, shown
from tfmlselect.plots._arguments import History, as_numbers, check_axes, keys_shown, recorded
from tfmlselect.plots._drawing import COLORS, GREY, axes_or_new

_STYLES = ("-", "--", ":", "-.")
_LOWER_IS_BETTER = ("loss", "error")


def learning_curves(
    histories: Mapping[str, History],
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
        histories: name of a run -> what `model.fit` returned, the run's `AdaptiveBatchSelection`
            for its own figures, or the `.history` of either.
        metric: key of the histories, such as "val_macro_auc".
        target: a value of the metric, or the name of the run whose best value is the target.
        higher_is_better: None: unless the metric's name has "loss" or "error" in it.
        ax: where to draw; None: in a new figure.

    Returns:
        The axes.

    Raises:
        TypeError: one of `histories` is no history.
        ValueError: no histories, one without the metric, a metric that is no number an epoch, a
            target that is neither a number nor a run, `higher_is_better` that is neither None nor a
            truth value, or `ax` that is no Axes.

    Example:
        >>> import tfmlselect as tfml
        >>> runs = {"uniform": {"auc": [0.5, 0.6, 0.7]}, "d2ace": {"auc": [0.6, 0.7, 0.7]}}
        >>> ax = tfml.plots.learning_curves(runs, "auc", target="uniform")
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['uniform: epoch 3', 'd2ace: epoch 2', 'target 0.7, best of uniform']
    """
    check_axes(ax)
    curves = _curves(histories, metric)
    if higher_is_better is None:
        higher_is_better = not any(word in metric for word in _LOWER_IS_BETTER)
    higher_is_better = check_flag("higher_is_better", higher_is_better)
    wanted, target_text = _target(target, curves, np.nanmax if higher_is_better else np.nanmin)
    ax = axes_or_new(ax, 6.0, 4.0)
    styles = itertools.cycle(itertools.product(_STYLES, COLORS))
    for (name, curve), (style, color) in zip(curves.items(), styles, strict=False):
        epochs = np.arange(1, len(curve) + 1)
        label = name
        if wanted is not None:
            reached = np.flatnonzero(curve >= wanted if higher_is_better else curve <= wanted)
            label = f"{name}: epoch {reached[0] + 1}" if reached.size else f"{name}: not reached"
            first = reached[:1]
            ax.plot(epochs[first], curve[first], "o", color=color, markersize=9, mec="black")
        marker = "." if len(curve) <= 60 else ""
        ax.plot(epochs, curve, color=color, linestyle=style, marker=marker, label=label)
    if wanted is not None:
        ax.axhline(wanted, color=GREY, linestyle="--", linewidth=1, label=target_text)
    ax.set(title=f"Learning curves, {metric}", xlabel="epoch", ylabel=metric)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.grid(color="0.9")
    ax.legend(fontsize=9 if len(curves) <= 8 else 7)
    return ax


def _curves(histories: Mapping[str, History], metric: str) -> dict[str, np.ndarray]:
    """One number an epoch of each run."""
    named = isinstance(histories, Mapping) and len(histories) > 0
    example = 'Pass a dictionary with one run or more: {"d2ace": history}'
    check_argument(named, "histories", histories, "runs by name", example)
    runs = {name: recorded(f"histories[{shown(name)}]", run) for name, run in histories.items()}
    curves = {}
    for name, values in runs.items():
        require(
            isinstance(metric, str) and metric in values,
            "`metric` must be a key of each history",
            f"metric={shown(metric)}, where histories[{shown(name)}]={keys_shown(values)}",
            "Name a key that all of them have, such as 'loss'",
        )
        found = values[metric]
        curve = curves[name] = as_numbers("metric", found)
        require(
            curve.ndim == 1 and np.isfinite(curve).any(),
            "`metric` must be a key under which each history has one number an epoch",
            f"metric={metric!r}, where histories[{shown(name)}][{metric!r}]={shown(found)}",
            "Name another key; arrays, one number a label, have plots of their own",
        )
    return curves


def _target(
    target: float | str | None,
    curves: dict[str, np.ndarray],
    best: Callable[[np.ndarray], float],
) -> tuple[float | None, str]:
    """The value to reach, None without one, and what the legend says of it."""
    if target is None:
        return None, ""
    if isinstance(target, str) and target in curves:
        value = float(best(curves[target]))
        return value, f"target {value:.4g}, best of {target}"
    check_argument(
        is_number(target),
        "target",
        target,
        "a finite number, or the name of one of the runs",
        f"Name one of {', '.join(map(shown, curves))}, or pass a number",
    )
    return float(target), f"target {float(target):.4g}"
