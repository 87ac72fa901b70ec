"""What a fit is judged by: macro-AUC every few epochs, all metrics at the best and the last."""

from __future__ import annotations

import time

import numpy as np
import tensorflow as tf
from sklearn.metrics import (
    coverage_error,
    f1_score,
    hamming_loss,
    label_ranking_loss,
    recall_score,
    roc_auc_score,
)

from benchmarks.study.rows import METRICS
from tfmlselect import metrics


def measure(y: np.ndarray, p: np.ndarray, thresholds: np.ndarray, minority: np.ndarray) -> dict:
    """All `METRICS` of predictions on the test part.

    Args:
        y: (n, q) 0/1 labels.
        p: (n, q) probabilities.
        thresholds: (q,) tuned on the validation part; those without "tuned" take 0.5.
        minority: (q,) bool, IRLbl > MeanIR in the training part; if none is, theirs are NaN.

    `coverage` counts labels: how far down the list of a sample one has to go for all of its labels.
    """
    values = {
        "macro_auc": metrics.macro_auc(y, p),
        "micro_auc": roc_auc_score(y.ravel(), p.ravel()),
        "macro_ap": metrics.macro_average_precision(y, p),
        "ranking_loss": label_ranking_loss(y, p),
        "hamming_loss": hamming_loss(y, p >= 0.5),
        "one_error": metrics.one_error(y, p),
        "coverage": coverage_error(y, p),
    }
    for prefix, cut in (("", 0.5), ("tuned_", thresholds)):
        found = (p >= cut).astype("int8")
        f1 = f1_score(y, found, average=None, zero_division=0)
        recall = recall_score(y, found, average=None, zero_division=0)
        values[f"{prefix}macro_f1"] = f1.mean()
        values[f"{prefix}micro_f1"] = f1_score(y.ravel(), found.ravel(), zero_division=0)
        values[f"{prefix}minority_recall"] = recall[minority].mean() if minority.any() else np.nan
        values[f"{prefix}minority_f1"] = f1[minority].mean() if minority.any() else np.nan
    return {name: float(values[name]) for name in METRICS}


class Evaluation(tf.keras.callbacks.Callback):
    """Takes the time of each epoch, and every few epochs macro-AUC of validation and test part.

    Keeps the predictions of the epoch that was best on the validation part, and of the last.

    Args:
        validation: (x, y).
        test: (x, y).
        every: epochs from one evaluation to the next; the last epoch is always evaluated.
    """

    def __init__(self, validation: tuple, test: tuple, every: int = 5):
        super().__init__()
        self.x = np.concatenate([validation[0], test[0]])
        self.y = validation[1], test[1]
        self.every = every

    def on_train_begin(self, logs=None):
        """Starts the clock."""
        self.seconds: list[float] = []  # of each epoch, the update of its callback included
        self.epochs: list[int] = []
        self.curves: tuple[list[float], list[float]] = ([], [])  # validation, test
        self.best = self.last = None
        self._mark = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        """Stops it, and evaluates where it is time."""
        self.seconds.append(time.perf_counter() - self._mark)
        if (epoch + 1) % self.every == 0 or epoch + 1 == self.params["epochs"]:
            p = self.model.predict_on_batch(
                self.x
            )  # half the time of predict, which makes a dataset
            self.last = np.split(p, [len(self.y[0])])
            self.epochs.append(epoch + 1)
            for curve, y, part in zip(self.curves, self.y, self.last, strict=True):
                curve.append(metrics.macro_auc(y, part))
            if self.curves[0][-1] >= max(self.curves[0]):
                self.best = self.last
        self._mark = time.perf_counter()

    @property
    def best_at(self) -> int:
        """Which evaluation was best on the validation part; the later one of equals."""
        return len(self.epochs) - 1 - int(np.argmax(self.curves[0][::-1]))

    def result(self, minority: np.ndarray) -> dict:
        """Metrics of the test part at the best and at the last epoch, and the curves."""
        row = {
            "best_epoch": self.epochs[self.best_at],
            "best_validation": self.curves[0][self.best_at],
        }
        for when, (validation, test) in (("best", self.best), ("last", self.last)):
            thresholds = metrics.tuned_thresholds(self.y[0], validation)
            values = measure(self.y[1], test, thresholds, minority)
            row |= {f"{when}_{name}": value for name, value in values.items()}
        for name, numbers in zip(
            ("curve_epochs", "curve_validation", "curve_test"),
            (self.epochs, *self.curves),
            strict=True,
        ):
            row[name] = " ".join(f"{number:.6g}" for number in numbers)
        return row
