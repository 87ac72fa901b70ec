"""Exact predictions of all samples, made anew between two epochs, for a strategy to observe."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfmlselect._progress import Progress
from tfmlselect.recording.label_errors import LabelErrors
from tfmlselect.recording.outputs import OutputReader, no_probabilities, rows_outside
from tfmlselect.recording.visits import observe_finite
from tfmlselect.strategies import Strategy


class Scorer:
    """Has the strategy observe an exact prediction of every sample, in inference mode.

    Args:
        model: its `predict_step` predicts.
        samples: all samples once, in order, in batches.
        n: how many they are.
        strategy: that observes them.
        reader: what the model's outputs mean.
        losses: whether the strategy observes per-label losses too.
        errors: where it is added up how far the predictions are off, or None.
    """

    def __init__(
        self,
        model: tf.keras.Model,
        samples: tf.data.Dataset,
        n: int,
        strategy: Strategy,
        reader: OutputReader,
        losses: bool,
        errors: LabelErrors | None = None,
    ):
        self._model, self._samples, self._n = model, samples, n
        self._strategy, self._reader = strategy, reader
        self._losses, self._errors = losses, errors
        self._score = tf.function(self._score_batch, autograph=False, reduce_retracing=True)

    def score_all(self) -> int:
        """Predicts and observes; returns how many rows were not finite.

        Raises:
            ValueError: the predictions are no probabilities.
        """
        start = left_out = 0
        progress = Progress("Predicting every sample anew", self._n)
        for data in self._samples:
            size = int(tf.shape(tf.nest.flatten(data)[0])[0])
            outside, lost, p = self._score(tf.range(start, start + size, dtype=tf.int64), data)
            if outside > 0:
                raise no_probabilities(int(outside), size)
            if self._errors is not None:
                self._errors.add(slice(start, start + size), p)
            start, left_out = start + size, left_out + int(lost)
            progress.add(size)
        return left_out

    def _score_batch(self, ids: tf.Tensor, data: Any) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        y_pred = self._model.predict_step(data)
        p = self._reader.probabilities(y_pred)
        losses = self._reader.losses(data[1], y_pred) if self._losses else None
        return rows_outside(p), observe_finite(self._strategy, ids, p, losses), p
