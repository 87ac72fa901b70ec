"""PositiveHardness: hard positives of labels that are rare and badly predicted now."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect._checks import check_choice, check_number
from tfmlselect.distributed import workers
from tfmlselect.labels import Labels
from tfmlselect.schedules import Schedule
from tfmlselect.scoring.memories import Hardness, Predictions, indices
from tfmlselect.scoring.row_chunks import map_rows
from tfmlselect.scoring.signals import HARDNESS_KINDS
from tfmlselect.strategies.base import Array, ScoredStrategy


class PositiveHardness(ScoredStrategy):
    """Draws samples by the hardness of their positives, each label weighed by need and rarity.

    Scores that sum over all labels are sums of easy negatives, and rare positives hardly move them.
    Here, with hardness `h_ij` as in D2ACE,

        v_j = (mean of h_ij over the positives of j) sqrt(IRLbl_j), divided by its mean over labels,
        score_i = mean_{j: Y_ij = 1} v_j h_ij + 1/4 mean_j h_ij / mean_ij h,

    the first term 0 for a sample without labels. Before any visit h = 1/2 everywhere, and samples
    with rare labels score highest. State: 12 bytes per (sample, label).

    Args:
        pressure: selection pressure s, a number (falling to 1 over the run) or a
            `tfmlselect.schedules.Schedule`.
        flip_weight: weight of the newest change in the flip average, in [0, 1].
        hardness: how the loss grows: "bounded" 1 - e^-l, "loss" l, "released" 2 - e^-l.
        warmup: first epochs that are uniform permutations; None: 2 % of the run, but at
            most 5 epochs.
        epochs: the run's length; None: that of the fit, or 100 where used alone.

    Raises:
        ValueError: an argument outside its range.

    Example:
        >>> import numpy as np, tfmlselect as tfml
        >>> strategy = tfml.strategies.PositiveHardness()
        >>> strategy.build(np.array([[1, 0], [1, 0], [1, 0], [0, 1]]))
        >>> int(strategy.probabilities(0).numpy().argmax())
        3

    Deviations and open points:
        A method of our own, from no paper, kept for comparison: in our benchmark nothing is left of
        its gains once the learning rate is tuned. Labels without positives are left out of v's
        mean.
    """

    published_warmup = 0.02

    def __init__(
        self,
        pressure: float | Schedule = 16.0,
        *,
        flip_weight: float = 0.7,
        hardness: str = "bounded",
        warmup: float | None = None,
        epochs: int | None = None,
    ):
        super().__init__(pressure, decay_start=0.0, warmup=warmup, epochs=epochs)
        self.flip_weight = check_number("flip_weight", flip_weight, 0, 1)
        self.hardness = check_choice("hardness", hardness, HARDNESS_KINDS)

    def _build(self, labels: Labels, features: Any, neighbors: Any) -> None:
        n, q = labels.matrix.shape
        counts = workers.label_counts(labels.matrix)
        rows, columns = np.nonzero(labels.matrix)
        self._counts = tf.constant(counts, tf.float64)
        self._rarity = tf.constant(np.sqrt(max(1, counts.max()) / np.maximum(counts, 1)))
        self._cardinality = tf.constant(np.maximum(labels.matrix.sum(axis=1), 1), tf.float64)
        self._positives = indices(np.stack([rows, columns], axis=1), n * q)
        self._shape = (n, q)
        self._predictions = Predictions(n, q)
        self._hardness = Hardness(labels, self.flip_weight, self.hardness)

    def observe(self, ids: Array, y_pred: Array, loss: Array | None = None) -> None:
        """Records one batch."""
        self._hardness.observe(self._predictions.observe(ids, y_pred), loss)

    def scores(self) -> tf.Tensor:
        """The score of each sample: (n,) float64."""
        return tf.add(*self._terms())

    def score_parts(self, ids: Array) -> dict[str, tf.Tensor]:
        """The two terms of the score: `positives`, of the positive labels, and `all_labels`."""
        own, general = self._terms()
        return {"positives": tf.gather(own, ids), "all_labels": tf.gather(general, ids)}

    def _terms(self) -> tuple[tf.Tensor, tf.Tensor]:
        """The two terms of the score: (n,) float64 each."""
        n, q = self._shape
        rows, columns = self._positives[:, 0], self._positives[:, 1]
        values = tf.cast(self._hardness.gather_entries(self._positives), tf.float64)
        sums = workers.total(tf.math.unsorted_segment_sum(values, columns, q))
        need = tf.math.divide_no_nan(sums, self._counts) * self._rarity
        present = tf.math.count_nonzero(self._counts, dtype=tf.float64)
        weight = tf.math.divide_no_nan(need * present, tf.reduce_sum(need))
        own = tf.math.unsorted_segment_sum(values * tf.gather(weight, columns), rows, n)
        known = self._hardness.known
        means = map_rows(n, q, lambda ids: [known.mean(ids, self._hardness.gather(ids))], count=1)[
            0
        ]
        means = tf.cast(means, tf.float64)
        share = known.shares(n)
        everywhere = workers.total(tf.reduce_sum(share))
        mean = tf.math.divide_no_nan(workers.total(tf.reduce_sum(means * share)), everywhere)
        general = tf.math.divide_no_nan(means, mean)
        return own / self._cardinality, 0.25 * general

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "pressure": self.pressure.get_config(),
            "flip_weight": self.flip_weight,
            "hardness": self.hardness,
            **super().get_config(),
        }
