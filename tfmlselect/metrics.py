"""Metrics for imbalanced labels: means over those labels for which the metric is defined.

scikit-learn's own refuse, or count as 0, a label without positives or without negatives. What else
it has is not repeated here: `roc_auc_score(average="micro")`, `f1_score`, `hamming_loss`,
`label_ranking_loss`, `coverage_error`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score, precision_recall_curve

from tfmlselect._checks import check_array, check_missing, require

__all__ = ["macro_auc", "macro_average_precision", "one_error", "tuned_thresholds"]


def macro_auc(y: Any, y_pred: Any, missing: float | None = None) -> float:
    """Area under the ROC curve, mean over the labels that have positives and negatives.

    Args:
        y: (n, q) 0/1 labels.
        y_pred: (n, q) scores, higher where the label is likelier.
        missing: what stands for an unknown label in y, such as -1 or NaN; such entries are left
            out. None: all labels are known.

    Returns:
        The mean, in [0, 1]; NaN if no label has both kinds.

    Raises:
        ValueError: arrays that are not (n, q), labels that are not 0/1, or scores with NaN.

    Example:
        >>> import tfmlselect as tfml
        >>> y = [[1, 0], [0, 0], [1, 0]]  # the second label has no positives
        >>> tfml.metrics.macro_auc(y, [[0.9, 0.2], [0.5, 0.4], [0.4, 0.1]])
        0.5
    """
    positive, known, y_pred = _checked(y, y_pred, missing)
    both = positive.any(axis=0) & (known & ~positive).any(axis=0)
    if not both.any():
        return float("nan")
    # All labels at once, unlike sklearn's. Unknown entries rank behind all others, where they
    # change no known one's rank.
    positive, known = positive[:, both], known[:, both]
    ranks = rankdata(np.where(known, y_pred[:, both], np.inf), axis=0)
    up = positive.sum(axis=0, dtype="float64")
    down = known.sum(axis=0) - up
    wins = (ranks * positive).sum(axis=0) - up * (up + 1) / 2  # Mann-Whitney's U, ties count half
    return float(np.mean(wins / (up * down)))


def macro_average_precision(y: Any, y_pred: Any, missing: float | None = None) -> float:
    """Average precision, mean over the labels that have positives.

    Args:
        y: (n, q) 0/1 labels.
        y_pred: (n, q) scores, higher where the label is likelier.
        missing: what stands for an unknown label in y, such as -1 or NaN; such entries are left
            out. None: all labels are known.

    Returns:
        The mean, in [0, 1]; NaN if no label has positives.

    Raises:
        ValueError: arrays that are not (n, q), labels that are not 0/1, or scores with NaN.

    Example:
        >>> import tfmlselect as tfml
        >>> y = [[1, 0], [0, 0], [1, 0]]
        >>> tfml.metrics.macro_average_precision(y, [[0.9, 0.2], [0.4, 0.4], [0.5, 0.1]])
        1.0
    """
    positive, known, y_pred = _checked(y, y_pred, missing)
    some = np.flatnonzero(positive.any(axis=0))
    if not some.size:
        return float("nan")
    with np.errstate(over="ignore"):  # scikit-learn asks only whether neighbours differ
        precision = [
            average_precision_score(positive[known[:, j], j], y_pred[known[:, j], j]) for j in some
        ]
    return float(np.mean(precision))


def one_error(y: Any, y_pred: Any, missing: float | None = None) -> float:
    """Share of samples whose highest-scored label is none of theirs.

    Samples without labels are left out. Of equal highest scores the first counts.

    Args:
        y: (n, q) 0/1 labels.
        y_pred: (n, q) scores, higher where the label is likelier.
        missing: what stands for an unknown label in y, such as -1 or NaN; such entries are left
            out. None: all labels are known.

    Returns:
        The share, in [0, 1]; NaN if no sample has labels.

    Raises:
        ValueError: arrays that are not (n, q), labels that are not 0/1, or scores with NaN.

    Example:
        >>> import tfmlselect as tfml
        >>> tfml.metrics.one_error([[1, 0], [0, 1], [0, 0]], [[0.9, 0.2], [0.8, 0.3], [0.5, 0.1]])
        0.5
    """
    positive, known, y_pred = _checked(y, y_pred, missing)
    labelled = positive.any(axis=1)
    if not labelled.any():
        return float("nan")
    first = np.where(known, y_pred, -np.inf)[labelled].argmax(axis=1)
    return float(np.mean(~positive[labelled, first]))


def tuned_thresholds(y: Any, y_pred: Any, missing: float | None = None) -> np.ndarray:
    """The threshold of each label that gives it the highest F1, to be found on validation data.

    Of a label without positives it is 0.5. Take `y_pred >= thresholds`.

    Args:
        y: (n, q) 0/1 labels.
        y_pred: (n, q) scores, higher where the label is likelier.
        missing: what stands for an unknown label in y, such as -1 or NaN; such entries are left
            out. None: all labels are known.

    Returns:
        (q,) float64 thresholds, each one of the label's scores; of equally good ones the largest.

    Raises:
        ValueError: arrays that are not (n, q), labels that are not 0/1, or scores with NaN.

    Example:
        >>> import tfmlselect as tfml
        >>> y = [[1, 0], [0, 0], [1, 0], [0, 0]]
        >>> y_pred = [[0.9, 0.2], [0.1, 0.4], [0.3, 0.1], [0.2, 0.2]]
        >>> tfml.metrics.tuned_thresholds(y, y_pred).tolist()
        [0.3, 0.5]
    """
    positive, known, y_pred = _checked(y, y_pred, missing)
    thresholds = np.full(positive.shape[1], 0.5)
    for j in np.flatnonzero(positive.any(axis=0)):
        rows = known[:, j]
        with np.errstate(over="ignore"):
            precision, recall, cuts = precision_recall_curve(positive[rows, j], y_pred[rows, j])
        # Cuts are ascending; the curve's last point has none.
        f1 = (2 * precision * recall / np.maximum(precision + recall, 1e-12))[:-1]
        thresholds[j] = cuts[len(f1) - 1 - np.argmax(f1[::-1])]
    return thresholds


def _checked(
    y: Any, y_pred: Any, missing: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which entries are positive, and which are known, as bool; scores as float64: all (n, q).

    Scores of unknown entries are 0.
    """
    missing = check_missing("missing", missing)
    wanted, remedy = "a matrix of numbers (n, q)", "Pass labels (n, q) and scores (n, q)"
    y = check_array("y", y, wanted, remedy, flags=True)
    y_pred = np.asarray(check_array("y_pred", y_pred, wanted, remedy, flags=True), np.float64)
    require(
        y.ndim == 2 and y.shape == y_pred.shape and y.size > 0,
        "`y` and `y_pred` must be two matrices (n, q) of one shape, with samples and labels",
        f"shapes {y.shape} and {y_pred.shape}",
        remedy,
    )
    known = np.ones(y.shape, bool)
    if missing is not None:
        known = ~np.isnan(y) if np.isnan(missing) else y != missing
    others = np.unique(y[known & (y != 0) & (y != 1)])
    remedy = "Pass y and y_pred in the right order, the labels first"
    if missing is None and (others == -1).any():
        remedy = "Where -1 is an unknown label, pass missing=-1"
    elif missing is None and np.isnan(others).any():
        remedy = "Where NaN is an unknown label, pass missing=float('nan')"
    require(
        not others.size,
        "`y` must be 0/1 labels",
        f"values {others[:5].tolist()} among them",
        remedy,
    )
    wrong = known & ~np.isfinite(y_pred)
    require(
        not wrong.any(),
        "`y_pred` must be finite",
        f"{int(wrong.sum())} entries that are not",
        "Look whether the training diverged",
    )
    return known & (y == 1), known, np.where(known, y_pred, 0.0)


def __dir__() -> list[str]:
    return [*__all__]
