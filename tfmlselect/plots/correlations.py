"""Draws which labels come together: the matrix of their correlations.

D2ACE's own correlations, of its signals, are computed elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes

from tfmlselect._checks import require, shown
from tfmlselect.labels import LabelStatistics, check_label_names
from tfmlselect.plots._arguments import as_numbers, check_axes, names_of, statistics_of
from tfmlselect.plots._drawing import MISSING, axes_or_new, name_labels, shortened


def label_correlations(
    y: Any,
    *,
    label_names: Sequence[str] | None = None,
    missing: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The matrix of cosines between label columns, `n_jk / sqrt(n_j n_k)`.

    n_jk samples have both labels, n_j have label j; of those where both are known. These are the
    cosines of D2ACE's C where its signal is the same everywhere, before each row is divided by its
    sum. Labels are ordered by frequency, the most frequent first. The diagonal, which is 1, is left
    out, so that the scale is that of the rest; rows of labels without positives are grey too.

    Args:
        y: labels, as for `label_statistics`; these statistics; an `AdaptiveDataset`, for its
            labels; or a matrix of correlations (q, q): a square matrix with anything but 0 and 1 in
            it is drawn as it is, in its order.
        label_names: q names; None: those that `y` has, or numbers.
        missing: what stands in y where a label is unknown, as for `adaptive_dataset`: with it, y is
            labels, not correlations.
        ax: where to draw; None: in a new figure.

    Returns:
        The axes.

    Raises:
        ValueError: neither labels nor a square matrix, not q names, or `ax` that is no Axes.

    Example:
        >>> import numpy as np, tfmlselect as tfml
        >>> y = np.array([[0, 1, 0], [0, 1, 1], [1, 1, 1], [0, 1, 0]])
        >>> ax = tfml.plots.label_correlations(y, label_names=["boat", "sea", "gull"])
        >>> [tick.get_text() for tick in ax.get_yticklabels()]
        ['sea', 'gull', 'boat']
        >>> ax.images[0].get_array().round(2).filled(0.0).tolist()
        [[0.0, 0.71, 0.5], [0.71, 0.0, 0.71], [0.5, 0.71, 0.0]]
    """
    check_axes(ax)
    given = _as_correlations(y) if missing is None else None
    if given is not None:
        matrix, title = given, "Label correlations"
        names = check_label_names(label_names, len(matrix)) or [*map(str, range(len(matrix)))]
    else:
        statistics = statistics_of(y, missing)
        order = np.argsort(-statistics.counts, kind="stable")
        matrix, title = _cosines(statistics)[np.ix_(order, order)], "Label correlations, cosines"
        names = [names_of(statistics, label_names)[j] for j in order]
    cells = np.ma.masked_invalid(np.where(np.eye(len(matrix), dtype=bool), np.nan, matrix))
    largest = np.abs(cells).max() if cells.count() else 1.0
    negative = cells.count() > 0 and cells.min() < 0
    side = float(np.clip(3.0 + 0.16 * len(names), 4.0, 9.0))
    ax = axes_or_new(ax, side + 0.8, side)
    image = ax.imshow(
        cells,
        cmap=colormaps["PuOr_r" if negative else "Blues"].with_extremes(bad=MISSING),
        vmin=-largest if negative else 0.0,
        vmax=largest or 1.0,
        aspect="auto",
    )
    ax.figure.colorbar(image, ax=ax, label="cosine" if given is None else "correlation")
    ordered = "label, by frequency" if given is None else "label"
    texts = [shortened(name) for name in names]
    ax.set(
        title=title,
        xlabel=ordered + name_labels(ax.xaxis, texts),
        ylabel=ordered + name_labels(ax.yaxis, texts),
    )
    return ax


def _as_correlations(y: Any) -> np.ndarray | None:
    """The matrix (q, q) float64, if it is one of correlations and not one of labels."""
    if isinstance(y, LabelStatistics) or not hasattr(y, "__array__"):
        return None
    matrix = as_numbers("y", y)
    if matrix.ndim != 2 or np.isin(matrix, (0, 1)).all():
        return None
    require(
        matrix.shape[0] == matrix.shape[1],
        "`y` must be labels of 0 and 1, or a square matrix of correlations",
        f"y={shown(y)} of shape {matrix.shape}",
        "Pass labels (n, q) of 0 and 1, or correlations (q, q)",
    )
    return matrix


def _cosines(statistics: LabelStatistics) -> np.ndarray:
    """(q, q), NaN where a label has no positives, of samples where both are known."""
    norms = np.sqrt(statistics.counts_where_known)
    product = norms * norms.T
    cosines = np.full(product.shape, np.nan)
    np.divide(statistics.cooccurrence, product, out=cosines, where=product > 0)
    return cosines
