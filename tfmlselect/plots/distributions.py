"""Draws the distribution over samples, from the most to the least drawn.

How scores become probabilities is decided elsewhere.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, PercentFormatter

from tfmlselect._checks import check_argument, check_distribution
from tfmlselect.pipeline.dataset import AdaptiveDataset
from tfmlselect.plots._arguments import Numbers, as_numbers, check_axes
from tfmlselect.plots._drawing import BLUE, GREY, VERMILION, axes_or_new, factor_text

_QUANTILES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
_POINTS = 2000  # of the line: more cannot be seen, and make a large file


def distribution(train: AdaptiveDataset | Numbers, *, ax: Axes | None = None) -> Axes:
    """How often samples are drawn against uniform, p n, from the most to the least drawn.

    The scale is one of factors, since the selection pressure is one: under the pressure law a
    straight line means evenly spread scores. Quantiles are marked; the effective sample size
    `1 / sum p^2`, n where all samples are drawn alike, stands in the legend. Samples that are never
    drawn have no place on the scale; the legend counts them.

    Args:
        train: an `AdaptiveDataset`, or probabilities (n,) that sum to 1.
        ax: where to draw; None: in a new figure.

    Returns:
        The axes.

    Raises:
        ValueError: neither a dataset nor probabilities that sum to 1, or `ax` that is no Axes.

    Example:
        >>> import tfmlselect as tfml
        >>> p = tfml.sampling.pressure_probabilities([0.0, 1.0, 2.0, 3.0], pressure=16.0)
        >>> ax = tfml.plots.distribution(p)
        >>> ax.get_lines()[0].get_ydata().round(2).tolist()
        [2.13, 1.07, 0.53, 0.27]
    """
    check_axes(ax)
    title = "Distribution over samples"
    if isinstance(train, AdaptiveDataset):
        title += f", {type(train.strategy).__name__} after {train.epoch} epochs"
        p = train._selection.distribution.probabilities
    else:
        p = _probabilities(train)
    relative = np.sort(p * len(p))[::-1]
    drawn = relative[relative > 0]
    share = (np.arange(len(drawn)) + 0.5) / len(p)
    shown = np.unique(np.linspace(0, len(drawn) - 1, min(len(drawn), _POINTS)).astype(int))
    ax = axes_or_new(ax, 6.0, 4.0)
    size = 1.0 / np.sum(p**2)
    never = f", {len(p) - len(drawn)} never drawn" if len(drawn) < len(p) else ""
    label = f"{len(p)} samples, effective {size:.0f} ({size / len(p):.0%}){never}"
    ax.plot(share[shown], drawn[shown], color=BLUE, label=label)
    ax.axhline(1.0, color=GREY, linestyle="--", linewidth=1, label="uniform")
    marked = [q for q in _QUANTILES if q * len(p) < len(drawn)]
    values = [relative[int(q * len(p))] for q in marked]
    ax.plot(marked, values, ".", color=VERMILION, markersize=9, label="quantiles")
    for q, value in zip(marked, values, strict=True):
        left = q < 0.9  # at the right the text would leave the axes
        ax.annotate(
            f"{value:.2f}",
            (q, value),
            xytext=(4 if left else 0, 4),
            textcoords="offset points",
            ha="left" if left else "right",
            fontsize=8,
        )
    ax.set_yscale("log", base=2)
    ax.set_ylim(min(0.5, drawn.min() / 1.1), max(2.0, drawn.max() * 1.25))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: factor_text(value)))
    ax.xaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set(
        title=title,
        xlabel="share of the samples, the most drawn first",
        ylabel="drawn, uniform = 1 (p n)",
        xlim=(-0.02, 1.02),
    )
    ax.grid(color="0.9")
    ax.legend(loc="upper right")
    return ax


def _probabilities(train: Numbers) -> np.ndarray:
    """(n,) float64 that sums to 1."""
    p = as_numbers("train", train)
    check_argument(
        p.ndim == 1 and p.size > 0,
        "train",
        train,
        "an AdaptiveDataset, or one probability for each sample",
        "Pass train = tfmlselect.adaptive_dataset(...), or an array (n,) that sums to 1",
    )
    check_distribution(p)
    return p
