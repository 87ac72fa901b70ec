"""What a trained model is judged by: all labels at once, and by thirds of their frequency."""

from __future__ import annotations

import numpy as np

FIGURES = ("auc", "ap", "f1")
GROUPS = ("all", "rare", "middle", "frequent")
COLUMNS = (*(f"{figure}_{group}" for figure in FIGURES for group in GROUPS), "nll")


def measure(
    y: np.ndarray, logits: np.ndarray, thresholds: np.ndarray, thirds: dict[str, np.ndarray]
) -> dict[str, float]:
    """The `COLUMNS`: macro-AUC, macro average precision, macro-F1, and cross-entropy in nats.

    Args:
        y: (n, q) labels, each with a positive and a negative.
        logits: (n, q).
        thresholds: (q,) of logits, tuned on other samples.
        thirds: columns of each third of the labels.
    """
    values = {
        "auc": auc(y, logits),
        "ap": average_precision(y, logits),
        "f1": f1(y, logits >= thresholds),
    }
    found = {}
    for figure, each in values.items():
        for group in GROUPS:
            columns = slice(None) if group == "all" else thirds[group]
            found[f"{figure}_{group}"] = float(each[columns].mean())
    z = logits.astype(np.float64)
    found["nll"] = float((np.logaddexp(0.0, z) - y * z).mean())
    return found


def auc(y: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of each label (q,); scores of a label do not tie."""
    ranks = np.empty(y.shape)
    order = np.argsort(scores, axis=0)
    np.put_along_axis(ranks, order, np.arange(1.0, len(y) + 1)[:, None], axis=0)
    up = y.sum(axis=0, dtype="float64")
    return ((ranks * y).sum(axis=0) - up * (up + 1) / 2) / (up * (len(y) - up))


def average_precision(y: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Average precision of each label (q,); scores of a label do not tie."""
    sorted_y = _from_the_top(y, scores)
    precision = sorted_y.cumsum(axis=0) / np.arange(1.0, len(y) + 1)[:, None]
    return (precision * sorted_y).sum(axis=0) / sorted_y.sum(axis=0)


def best_thresholds(y: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The score of each label at and above which F1 is highest: (q,); the largest of equals."""
    sorted_y = _from_the_top(y, scores)
    found = np.arange(1.0, len(y) + 1)[:, None]
    scores_f1 = 2.0 * sorted_y.cumsum(axis=0) / (found + sorted_y.sum(axis=0))
    best = scores_f1.argmax(axis=0)
    return np.take_along_axis(-np.sort(-scores, axis=0), best[None], axis=0)[0]


def f1(y: np.ndarray, found: np.ndarray) -> np.ndarray:
    """F1 of each label (q,)."""
    both = (y * found).sum(axis=0, dtype="float64")
    either = y.sum(axis=0, dtype="float64") + found.sum(axis=0, dtype="float64")
    return 2.0 * both / np.maximum(either, 1.0)


def _from_the_top(y: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Each label's column, the highest score first: (n, q) float64."""
    return np.take_along_axis(y, np.argsort(-scores, axis=0), axis=0).astype(np.float64)
