"""HardImbalance: hard samples, weighed by how local the imbalance of their rare labels is."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect import sampling
from tfmlselect._checks import check_choice, check_flag, check_whole
from tfmlselect.distributed import workers
from tfmlselect.labels import Labels, minority_labels
from tfmlselect.sampling.correlated_draws import draw_correlated_epoch
from tfmlselect.schedules import Schedule
from tfmlselect.scoring.memories import MeanLoss
from tfmlselect.scoring.neighbors import find_neighbors
from tfmlselect.strategies.base import Array, ScoredStrategy

WEIGHTINGS = ("normalized", "local")


class HardImbalance(ScoredStrategy):
    """Draws samples by `W_i · (mean loss)`, W from neighbours that lack the sample's rare labels.

    For a minority label j (IRLbl > MeanIR) of sample i, `C_ij` is the share of i's k nearest
    neighbours without it, of those where it is known; 0 where it is of none. Entries with C = 1 are
    outliers and count as 0. "normalized" divides C by its sum over each label's entries,
    `W_i = 1 + Σ_j C_ij / Σ_i' C_i'j`; "local" takes `W_i = 1 + Σ_j C_ij`. The pressure law is taken
    with `u = score / max score`.

    Before any visit every loss is ln 2, and samples differ by W alone. State: 4 bytes a sample.

    Args:
        pressure: selection pressure s, a number (constant) or a `tfmlselect.schedules.Schedule`.
            The paper tries 2, 4, 16 and 64.
        neighbors: nearest neighbours that are looked at, k >= 1.
        weighting: "normalized", as published, or "local". On most data the published W is nearly
            1: it is normalised over all positives of a label.
        correlations: builds each batch as a sequence, in which samples whose labels co-occur with
            the labels already in the batch are up to twice as likely.
        warmup: first epochs that are uniform permutations; None: 3 % of the run, as published,
            but at most 5 epochs.
        epochs: the run's length; None: that of the fit, or 100 where used alone.

    Raises:
        ValueError: an argument outside its range. At `build`: neither features nor
            neighbours, or of another shape.

    Example:
        >>> import numpy as np, tfmlselect as tfml
        >>> rng = np.random.default_rng(0)
        >>> strategy = tfml.strategies.HardImbalance(neighbors=2)
        >>> strategy.build((rng.random((20, 3)) < [0.9, 0.5, 0.2]), rng.normal(size=(20, 4)))
        >>> bool(abs(sum(strategy.probabilities(0).numpy()) - 1) < 1e-12)
        True

    References:
        "Multi-Label Adaptive Batch Selection by Highlighting Hard and Imbalanced Samples", ECML
        PKDD 2024.

    Deviations and open points:
        The sequence with correlations is our reconstruction from the abstract; see
        `sampling/correlated_draws.py`. "local" leaves outliers out, as "normalized" does.
    """

    uses_neighbors = True
    published_warmup = 0.03

    def __init__(
        self,
        pressure: float | Schedule = 2.0,
        *,
        neighbors: int = 5,
        weighting: str = "normalized",
        correlations: bool = False,
        warmup: float | None = None,
        epochs: int | None = None,
    ):
        super().__init__(pressure, decay_start=None, warmup=warmup, epochs=epochs)
        self.neighbors = check_whole("neighbors", neighbors, 1)
        self.weighting = check_choice("weighting", weighting, WEIGHTINGS)
        self.correlations = self.own_plan = check_flag("correlations", correlations)

    def _build(self, labels: Labels, features: Any, neighbors: Any) -> None:
        ids = find_neighbors(features, neighbors, labels.n, self.neighbors)
        if ids is None:
            raise ValueError(
                "HardImbalance needs neighbours. Received: features=None, neighbors=None, and x is "
                "no matrix of numbers in memory. Pass `features=` (n, d), e.g. embeddings, or "
                "`neighbors=` ids (n, k)."
            )
        self._labels = None
        if self.correlations:
            self._labels = labels._replace(matrix=labels.matrix.copy())
        self._weight = tf.constant(sample_weights(labels, ids, self.weighting))
        self._loss = MeanLoss(labels)

    def observe(self, ids: Array, y_pred: Array, loss: Array | None = None) -> None:
        """Records the mean loss of one batch."""
        self._loss.observe(ids, y_pred, loss)

    def scores(self) -> tf.Tensor:
        """W times the mean loss of each sample: (n,) float64."""
        return self._weight * tf.cast(self._loss.variable, tf.float64)

    def score_parts(self, ids: Array) -> dict[str, tf.Tensor]:
        """`loss`, the mean loss, and `imbalance`, W - 1 times the mean loss."""
        loss = tf.gather(tf.cast(self._loss.variable, tf.float64), ids)
        return {"loss": loss, "imbalance": (tf.gather(self._weight, ids) - 1.0) * loss}

    def _distribution_ops(self, pressure: tf.Tensor) -> tf.Tensor:
        return sampling.pressure_probabilities(self.scores(), pressure, lowest=0.0)

    def plan(
        self,
        probabilities: Array,
        batch_size: int,
        seed: int,
        epoch: int,
        drop_remainder: bool = False,
    ) -> np.ndarray:
        """As every strategy's; with `correlations`, batches built member by member."""
        if self._labels is None:
            return super().plan(probabilities, batch_size, seed, epoch, drop_remainder)
        return draw_correlated_epoch(
            probabilities,
            self._labels.matrix,
            batch_size,
            seed,
            epoch,
            drop_remainder,
            self._labels.known,
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "pressure": self.pressure.get_config(),
            "neighbors": self.neighbors,
            "weighting": self.weighting,
            "correlations": self.correlations,
            **super().get_config(),
        }


def local_imbalance(labels: Labels, neighbors: np.ndarray) -> tuple[np.ndarray, ...]:
    """C of the positive entries of minority labels, outliers (C = 1) as 0.

    Args:
        labels: of the samples here.
        neighbors: (n, k) ids. Those whose label is unknown are left out; C is 0 where all are.

    Returns:
        rows, columns and C, each (m,), of all positive entries of minority labels.
    """
    matrix, known = labels.matrix, labels.known
    rows, columns = np.nonzero(matrix * minority_labels(workers.label_counts(matrix)))
    around = (neighbors[rows], columns[:, None])
    lacking = matrix[around] == 0
    if known is None:
        share = lacking.mean(axis=1)
    else:
        counted = known[around]
        share = (lacking & counted).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
    return rows, columns, np.where(share == 1.0, 0.0, share)


def sample_weights(labels: Labels, neighbors: np.ndarray, weighting: str) -> np.ndarray:
    """W (n,) float64; arguments as `local_imbalance` and `HardImbalance`."""
    rows, columns, share = local_imbalance(labels, neighbors)
    if weighting == "normalized":
        sums = workers.total(np.bincount(columns, share, minlength=labels.q))
        total = sums.numpy()[columns]
        share = np.divide(share, total, out=np.zeros_like(share), where=total > 0)
    return 1.0 + np.bincount(rows, share, minlength=labels.n)
