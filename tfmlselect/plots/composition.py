"""Draws what an epoch's draws hold of each label, against uniform draws.

Which samples are drawn is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator

from tfmlselect._checks import check_argument, check_distribution, require, shown
from tfmlselect.labels import check_labels
from tfmlselect.pipeline.dataset import AdaptiveDataset
from tfmlselect.plots._arguments import (
    Numbers,
    as_array,
    as_numbers,
    check_axes,
    names_of,
    rarest_first,
    statistics_of,
)
from tfmlselect.plots._drawing import (
    BLUE,
    VERMILION,
    axes_or_new,
    height_for,
    name_labels,
    shortened,
)

_MANY = 60  # labels, above which circles would touch


def batch_composition(
    drawn: AdaptiveDataset | Numbers,
    y: Any = None,
    *,
    label_names: Sequence[str] | None = None,
    missing: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The share of draws that have each label, a line from uniform draws to those of an epoch.

    Labels are ordered by IRLbl, the rarest on top; minority labels (IRLbl > MeanIR) have a colour
    of their own. The scale is logarithmic: lines of one length are one factor. A label with
    positives that was never drawn has its end at the left edge. Labels without positives are left
    out. Where labels are unknown, shares are of the draws of which the label is known.

    Args:
        drawn: an `AdaptiveDataset`, or probabilities (n,) floats: what an epoch holds in
            expectation; or sample ids (m,) integers: what these draws hold, such as a batch or,
            while a fit runs, `train.plan`.
        y: the labels of the samples, as for `label_statistics`, or the `AdaptiveDataset` that has
            them; None where `drawn` is one.
        label_names: q names; None: those of the dataset or of a DataFrame's columns, or numbers.
        missing: what stands in y where a label is unknown, as for `adaptive_dataset`.
        ax: where to draw; None: in a new figure.

    Returns:
        The axes.

    Raises:
        ValueError: no `y` where it is needed, or one where it is not; draws of other samples than
            it has; wrong labels, not q names, or `ax` that is no Axes.

    Example:
        >>> import numpy as np, tfmlselect as tfml
        >>> y = np.array([[1, 0], [1, 0], [1, 1], [1, 0]])
        >>> ax = tfml.plots.batch_composition(np.array([2, 2, 0, 1]), y)
        >>> [line.get_xdata().tolist() for line in ax.get_lines()]  # per cent; minority, others
        [[25.0, 100.0], [50.0], [100.0]]
    """
    check_axes(ax)
    if isinstance(drawn, AdaptiveDataset):
        no_other = "None where `drawn` is an AdaptiveDataset, which has its labels"
        check_argument(y is None, "y", y, no_other, "Leave `y` out")
        y, labels = drawn, check_labels(drawn.label_matrix, missing=np.nan)
        weight, title = drawn.probabilities, "What the next epoch is expected to hold"
    else:
        require(y is not None, "`y` is needed for draws", "y=None", "Pass the labels (n, q)")
        if isinstance(y, AdaptiveDataset):
            labels = check_labels(y.label_matrix, missing=np.nan)
        else:
            labels = check_labels(y, missing=missing)
        weight, title = _share_of_draws(drawn, labels.n), "What the draws hold"
    statistics = statistics_of(y, missing)
    names = names_of(statistics, label_names)
    order = np.array([j for j in rarest_first(statistics) if statistics.counts[j]], int)
    require(
        order.size > 0,
        "No label has positives",
        f"y={shown(labels.matrix)} of shape {labels.matrix.shape}",
        "Pass the labels of a training set",
    )
    shares = 100.0 * labels.sums(weight)[order]
    if labels.known is not None:
        drawn_known = labels.known_sums(weight)[order]
        shares = np.divide(shares, drawn_known, out=np.zeros_like(shares), where=drawn_known > 0)
    uniform = 100.0 * statistics.counts[order] / statistics.known[order]
    never = shares == 0
    edge = 0.7 * min(uniform.min(), shares[~never].min(initial=np.inf))
    shares[never] = edge

    ax = axes_or_new(ax, 7.0, height_for(len(order)))
    size, width = (2, 0.6) if len(order) > _MANY else (6, 1.5)
    rows = np.arange(len(order))
    ax.plot(uniform, rows, "|", color="0.2", markersize=2 + size, label="uniform draws")
    minority = statistics.minority[order]
    for kind, color, label in (
        (minority, VERMILION, "minority labels"),
        (~minority, BLUE, "other labels"),
    ):
        ax.hlines(rows[kind], uniform[kind], shares[kind], color=color, linewidth=width)
        at = kind & ~never
        ax.plot(shares[at], rows[at], "o", color=color, markersize=size, label=label)
    if never.any():
        label = f"never drawn ({never.sum()})"
        look: dict[str, Any] = {"color": "0.2", "markersize": 2 + size, "clip_on": False}
        ax.plot(shares[never], rows[never], "<", label=label, **look)
    ax.set_xscale("log")
    ax.set_xlim(left=edge)
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    left_out = name_labels(ax.yaxis, [shortened(names[j]) for j in order])
    ax.set(
        title=title,
        xlabel="share of the draws that have the label (%)",
        ylabel=f"label, rarest on top{left_out}",
        ylim=(len(order) - 0.5, -0.5),
    )
    ax.grid(axis="x", color="0.9")
    ax.legend(loc="lower left")
    return ax


def _share_of_draws(drawn: Numbers, n: int) -> np.ndarray:
    """(n,) float64 that sums to 1, of sample ids or of probabilities."""
    ids = as_array("drawn", drawn)
    received = f"drawn={shown(drawn)} of shape {ids.shape} for labels of {n} samples"
    remedy = "Pass ids of samples 0 to n - 1 as integers, or n probabilities as floats"
    if ids.dtype.kind in "iu":
        ok = ids.ndim == 1 and ids.size > 0 and ids.min() >= 0 and ids.max() < n
        require(ok, "`drawn` must be ids of the samples that `y` has", received, remedy)
        return np.bincount(ids, minlength=n) / ids.size
    probabilities = as_numbers("drawn", drawn)
    ok = probabilities.shape == (n,)
    require(ok, "`drawn` must be an AdaptiveDataset, sample ids or probabilities", received, remedy)
    check_distribution(probabilities)
    return probabilities
