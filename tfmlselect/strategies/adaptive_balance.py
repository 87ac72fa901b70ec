"""AdaptiveBalance: each label gets draws by how much of it is still to be learnt, over a floor."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect import schedules
from tfmlselect._checks import check_choice, check_number, check_whole
from tfmlselect.distributed import workers
from tfmlselect.labels import Labels
from tfmlselect.sampling.capping import cap_probabilities
from tfmlselect.schedules import Ramp, Schedule
from tfmlselect.scoring.known_entries import KnownEntries
from tfmlselect.scoring.memories import Predictions
from tfmlselect.scoring.row_chunks import fold_rows
from tfmlselect.strategies.argument_text import schedule_as_typed
from tfmlselect.strategies.base import Array, CompiledStrategy

LACKS = ("tjur", "f1")
_LEARNT_AT_LEAST = 0.01  # what the usual label counts as at least: at first it is around 0
_CORRECTION, _CORRECTED_AT_MOST = 0.3, 10.0  # the exponent of a round, and how far weights move


class AdaptiveBalance(CompiledStrategy):
    """Gives a share of all draws to labels, by what each still lacks, and the rest to all samples.

    With `c_j` the positives of label j, and means over the samples visited so far (where a label is
    unknown, over those where it is known),

        D_j = mean_{i: Y_ij = 1} p_ij - mean_{i: Y_ij = 0} p_ij,   lack_j = clip(1 - D_j, 0, 1),
        b_i = Σ_j Y_ij lack_j / c_j / Σ_j lack_j,   p_i = (1 - λ) / n + λ b_i.

    D is Tjur's coefficient of discrimination, of the latest recorded predictions; before any visit
    every label lacks all. The share falls as labels come near to the usual one, however long the
    run is: `λ = 0.9 · mean_j clip(1 - D_j / D̄, 0, 1)`, with `D̄ = Σ_j c_j D_j / Σ_j c_j`, 0.01 at
    least. Then no p_i is above `max_repeats / n`: what is cut off goes to the others in proportion.

    Labels without positives take no part; if no label has positives, the distribution is uniform.
    State: 4 bytes per (sample, label).

    Args:
        share: the largest λ, a number in [0, 1]; a `tfmlselect.schedules.Schedule` is λ itself,
            at each coming epoch.
        max_repeats: how many times as likely as under uniform drawing a sample is at most, >= 1.
        correction_rounds: rounds of a correction for labels that come together; see below.
        lack: what a label lacks: "tjur", 1 - D_j; "f1", 1 - F1 at a threshold of 0.5.
        warmup: first epochs that are uniform permutations.
        epochs: the run's length, for a `share` that is a schedule; None: that of the fit, or 100
            where used alone.

    Raises:
        ValueError: an argument outside its range.

    Example:
        >>> import numpy as np, tfmlselect as tfml
        >>> strategy = tfml.strategies.AdaptiveBalance()
        >>> strategy.build(np.array([[1, 0], [1, 0], [1, 0], [0, 1]]))
        >>> strategy.probabilities(0).numpy().round(3)  # λ = 0.9, each label half of it
        array([0.175, 0.175, 0.175, 0.475])

    References:
        Tjur, "Coefficients of determination in logistic regression models", The American
        Statistician 63, 2009: D. The nearest relative is ART, "Adaptive Resampling-based Training",
        arXiv:2509.00955, for classes: shares `c Π + (1 - c) w`, Π those of the data and w by 1 - F1
        of each class. `AdaptiveBalance(Constant(1 - c), lack="f1")` is that rule as a baseline.

    Deviations and open points:
        The method is our own, from no paper. Samples that were not visited yet take no part in D,
        so that short epochs need not wait for a whole pass. Other ways for the share to fall were
        tried, with the run's progress, with passes, with the learning rate: "When it lets go" in
        the documentation has what they gave.

        With `correction_rounds`, each round replaces the lacks in b by weights
        `w_j <- w_j (t_j / s_j)^0.3`, within [lack_j / 10, 10 lack_j], for labels below the median
        frequency: `s_j = Σ_i b_i Y_ij` is what a label gets together with others, and t_j what it
        should get, in proportion to lack_j and as much as they get now in all. It brings them
        nearer to their targets, and helped no training that was tried.

        ART as a baseline measures F1 on the predictions of training steps, where the paper has
        validation data, and each epoch. Its Π, which for classes is uniform drawing, is uniform
        drawing for labels as well. ART has no cap: pass a large `max_repeats`.
    """

    before_first_epoch = -1

    def __init__(
        self,
        share: float | Schedule = 0.9,
        *,
        max_repeats: float = 20.0,
        correction_rounds: int = 0,
        lack: str = "tjur",
        warmup: float = 0,
        epochs: int | None = None,
    ):
        super().__init__(warmup=warmup, epochs=epochs)
        self.share = _checked_share(share)
        self.max_repeats = check_number("max_repeats", max_repeats, 1, example=20.0)
        self.correction_rounds = check_whole("correction_rounds", correction_rounds)
        self.lack = check_choice("lack", lack, LACKS)

    def _build(self, labels: Labels, features: Any, neighbors: Any) -> None:
        n, q = labels.matrix.shape
        counts = workers.label_counts(labels.matrix)
        present = counts > 0
        rows, columns = np.nonzero(labels.matrix)
        self._shape = (n, q)
        self._positive = tf.constant(labels.matrix.astype(bool))
        self._known = KnownEntries(labels.known)
        self._rows, self._columns = (tf.constant(each, tf.int32) for each in (rows, columns))
        self._counts = tf.constant(counts, tf.float64)
        self._present = tf.constant(present, tf.float64)
        self._rare = tf.constant(counts < np.median(counts[present])) if present.any() else None
        self._n = workers.total(tf.constant(n, tf.float64))  # of all machines
        self._predictions = Predictions(n, q)
        self._shares = workers.compiled(lambda factors: self._measured(factors)[1:])

    def observe(self, ids: Array, y_pred: Array, loss: Array | None = None) -> None:
        """Records one batch."""
        self._predictions.observe(ids, y_pred)

    def probabilities(self, epoch: int) -> tf.Tensor:
        """The distribution for the epoch after `epoch`: (n,) float64, sums to 1."""
        return self._distribution(self._factors(epoch))

    def figures(self, epoch: int) -> dict[str, float]:
        """The share λ, and the mean lack of the labels, from what is recorded now."""
        share, lack = self._shares(self._factors(epoch))
        return {"share": float(share), "lack": float(lack)}

    def score_parts(self, ids: Array) -> dict[str, tf.Tensor]:
        """`lacking_labels`: n b, how much more often than uniformly labels draw a sample."""
        lacks = self._left_of(self._learnt())
        return {"lacking_labels": tf.gather(self._n * self._drawn_by_labels(lacks), ids)}

    def _factors(self, epoch: int) -> tf.Tensor:
        """λ of the epoch after `epoch`, by factors of 1, mean lack, mean relative lack: (3,)."""
        if isinstance(self.share, Schedule):
            return tf.constant([self._at(self.share, epoch + 1), 0.0, 0.0], tf.float64)
        return tf.constant([0.0, 0.0, self.share], tf.float64)

    def _distribution_ops(self, factors: tf.Tensor) -> tf.Tensor:
        lacks, share, _ = self._measured(factors)
        p = (1.0 - share) / self._n + share * self._drawn_by_labels(lacks)
        return cap_probabilities(p, self.max_repeats / self._n)

    def _measured(self, factors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """What each label lacks (q,), the share λ, and the mean lack."""
        learnt = self._learnt()
        usual = tf.math.divide_no_nan(
            tf.reduce_sum(self._counts * learnt), tf.reduce_sum(self._counts)
        )
        lacks = self._left_of(learnt)
        relative = self._left_of(learnt / tf.maximum(usual, _LEARNT_AT_LEAST))
        means = tf.math.divide_no_nan(
            tf.stack([tf.reduce_sum(each) for each in (self._present, lacks, relative)]),
            tf.reduce_sum(self._present),
        )
        share = tf.reduce_sum(factors * means)
        return lacks, tf.where(means[1] > 0.0, share, 0.0), means[1]

    def _left_of(self, learnt: tf.Tensor) -> tf.Tensor:
        """1 - learnt, in [0, 1], of labels with positives; 0 of others: (q,)."""
        return tf.clip_by_value(1.0 - learnt, 0.0, 1.0) * self._present

    def _learnt(self) -> tf.Tensor:
        """How well each label is predicted among the samples visited: (q,) float64."""
        n, q = self._shape
        sums = workers.total(fold_rows(n, q, self._add_rows, tf.zeros([4, q], tf.float64)))
        everywhere, on_positives, positives, visited = tf.unstack(sums)
        if self.lack == "f1":
            return tf.math.divide_no_nan(2.0 * on_positives, everywhere + positives)
        true = tf.math.divide_no_nan(on_positives, positives)
        false = tf.math.divide_no_nan(everywhere - on_positives, visited - positives)
        return true - false

    def _add_rows(self, ids: tf.Tensor, sums: tf.Tensor) -> tf.Tensor:
        """Adds the visited of some samples: predictions, those of positives, positives, and all.

        Each of the known entries.
        """
        values = self._known.keep(ids, self._predictions.prediction.gather(ids))
        if self.lack == "f1":
            values = tf.cast(values >= 0.5, tf.float32)
        positive = tf.cast(tf.gather(self._positive, ids), tf.float32)
        visited = tf.cast(self._predictions.visits.gather(ids) > 0, tf.float32)
        known = self._known.of_rows(ids)
        tables = [values, values * positive, positive]
        if known is not None:
            tables.append(tf.cast(known, tf.float32))
        columns = [tf.linalg.matvec(table, visited, transpose_a=True) for table in tables]
        if known is None:
            columns.append(tf.fill([self._shape[1]], tf.reduce_sum(visited)))
        return sums + tf.cast(tf.stack(columns), tf.float64)

    def _drawn_by_labels(self, lacks: tf.Tensor) -> tf.Tensor:
        """b of what the labels lack: (n,) float64 that sums to 1; 0 where they lack nothing."""
        weights = lacks
        for _ in range(self.correction_rounds):
            weights = self._corrected(weights, lacks)
        return self._spread(weights)

    def _spread(self, weights: tf.Tensor) -> tf.Tensor:
        """Draws of labels by `weights` (q,), each handed to its positives alike: (n,) float64."""
        each = tf.math.divide_no_nan(weights, self._counts * tf.reduce_sum(weights))
        return tf.math.unsorted_segment_sum(
            tf.gather(each, self._columns), self._rows, self._shape[0]
        )

    def _corrected(self, weights: tf.Tensor, lacks: tf.Tensor) -> tf.Tensor:
        """Weights that bring what labels get together with others nearer to what they lack."""
        if self._rare is None:
            return weights
        drawn = tf.gather(self._spread(weights), self._rows)
        gets = workers.total(
            tf.math.unsorted_segment_sum(drawn, self._columns, self._shape[1])
        ) * tf.cast(self._rare, tf.float64)
        wanted = lacks * tf.cast(self._rare, tf.float64)
        wanted *= tf.math.divide_no_nan(tf.reduce_sum(gets), tf.reduce_sum(wanted))
        moved = weights * tf.math.divide_no_nan(wanted, gets) ** _CORRECTION
        least, most = lacks / _CORRECTED_AT_MOST, lacks * _CORRECTED_AT_MOST
        return tf.where(self._rare, tf.clip_by_value(moved, least, most), weights)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        share = self.share.get_config() if isinstance(self.share, Schedule) else self.share
        return {
            "share": share,
            "max_repeats": self.max_repeats,
            "correction_rounds": self.correction_rounds,
            "lack": self.lack,
            **super().get_config(),
        }

    def _argument(self, name: str, value: Any) -> str:
        if name == "share" and isinstance(self.share, Schedule):
            # Never as a number, which stands for no schedule here but for the largest share.
            return schedule_as_typed(self.share, lambda number: Ramp(number, number))
        return super()._argument(name, value)


def _checked_share(share: Any) -> float | Schedule:
    if isinstance(share, (dict, Schedule)):
        return schedules.fraction("share", share)
    return check_number("share", share, 0, 1)
