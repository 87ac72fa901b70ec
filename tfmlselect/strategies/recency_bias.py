"""RecencyBias: samples whose recent decisions were undecided."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from tfmlselect._checks import check_whole
from tfmlselect.labels import Labels
from tfmlselect.schedules import Schedule
from tfmlselect.scoring.known_entries import KnownEntries
from tfmlselect.scoring.memories import Memory, Visits, observed
from tfmlselect.scoring.row_chunks import map_rows
from tfmlselect.strategies.base import Array, ScoredStrategy


class RecencyBias(ScoredStrategy):
    """Draws samples by the entropy of their last `window` decisions, `p >= 0.5`.

    For each label the binary entropy (bits) of the share of positive decisions, summed over labels,
    then min-max and the pressure law. A window that is not yet full counts what is there. Before
    any visit, and with constant predictions, all entropies are 0 and the distribution is uniform.
    State: 8 bytes per (sample, label), one bit a decision.

    Args:
        pressure: selection pressure s, a number (falling to 1 over the run, from `warmup` on) or a
            `tfmlselect.schedules.Schedule`.
        window: decisions that count, 2 to 62.
        warmup: first epochs that are uniform permutations; None: 10 % of the run, as published,
            but at most 5 epochs.
        epochs: the run's length; None: that of the fit, or 100 where used alone.

    Raises:
        ValueError: an argument outside its range.

    Example:
        >>> import numpy as np, tfmlselect as tfml
        >>> strategy = tfml.strategies.RecencyBias()
        >>> strategy.build(np.eye(3))
        >>> for p in (0.1, 0.9):
        ...     strategy.observe(np.arange(3), np.array([[p] * 3, [0.9] * 3, [0.1] * 3], "float32"))
        >>> int(strategy.probabilities(0).numpy().argmax())
        0

    References:
        Song, Kim, Kim and Lee, "Carpe Diem, Seize the Samples Uncertain 'At the Moment' for
        Adaptive Batch Selection", CIKM 2020, arXiv:1911.08050.

    Deviations and open points:
        The paper takes the entropy of predicted classes in the window; here each label is a class
        of its own, and entropies are summed.
    """

    published_warmup = 0.1

    def __init__(
        self,
        pressure: float | Schedule = 100.0,
        *,
        window: int = 10,
        warmup: float | None = None,
        epochs: int | None = None,
    ):
        super().__init__(
            pressure,
            decay_start=self.published_warmup if warmup is None else warmup,
            warmup=warmup,
            epochs=epochs,
        )
        self.window = check_whole("window", window, 2, 62)

    def _build(self, labels: Labels, features: Any, neighbors: Any) -> None:
        n, q = labels.matrix.shape
        self._known = KnownEntries(labels.known)
        self._shape = (n, q)
        self._visits = Visits(n)
        self._decisions = Memory(n, q, tf.constant(0, tf.int64), "decisions")

    def observe(self, ids: Array, y_pred: Array, loss: Array | None = None) -> None:
        """Records one batch of decisions: shifts a bit into each integer."""
        positive = tf.cast(observed("y_pred", y_pred) >= 0.5, tf.int64)
        self._visits.advance(ids)
        bits = tf.bitwise.left_shift(self._decisions.gather(ids), tf.ones_like(positive))
        bits = tf.bitwise.bitwise_and(bits | positive, tf.constant(2**self.window - 1, tf.int64))
        self._decisions.scatter(ids, bits)

    def scores(self) -> tf.Tensor:
        """The summed entropy of each sample's windows: (n,) float32."""
        return map_rows(*self._shape, lambda ids: [self._entropy(ids)], count=1)[0]

    def _entropy(self, ids: tf.Tensor) -> tf.Tensor:
        ones = tf.raw_ops.PopulationCount(x=self._decisions.gather(ids))
        seen = tf.clip_by_value(self._visits.gather(ids), 1, self.window)
        share = tf.cast(ones, tf.float32) / tf.cast(seen, tf.float32)[:, None]
        nats = tf.math.xlogy(share, share) + tf.math.xlogy(1.0 - share, 1.0 - share)
        return tf.reduce_sum(self._known.keep(ids, nats), axis=1) / -math.log(2.0)

    def score_parts(self, ids: Array) -> dict[str, tf.Tensor]:
        """`entropy`: of the latest decisions, summed over labels, which is the score."""
        return {"entropy": self._entropy(ids)}

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "pressure": self.pressure.get_config(),
            "window": self.window,
            **super().get_config(),
        }
