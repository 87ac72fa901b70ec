"""Adapts the ratios of a `PartialLabelMasking` loss once per epoch.

From the predictions of the training steps; the formulas are in `losses.masking_ratios`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect._warn import warn
from tfmlselect.callbacks.base import StepListener, compiled_loss, mean_known
from tfmlselect.distributed import workers
from tfmlselect.losses import PartialLabelMasking
from tfmlselect.losses.masking_ratios import LabelHistograms, divergences, updated_ratios
from tfmlselect.recording.hooks import listening
from tfmlselect.recording.outputs import Nested, OutputReader, ProbabilityCheck, check_output


class RatioUpdate:
    """Adapts the ratios of one loss in one fit.

    Args:
        loss: whose ratios are adapted.
        leader: the callback that calls this.
    """

    def __init__(self, loss: PartialLabelMasking, leader: tf.keras.callbacks.Callback):
        loss.lead(leader)
        self._loss = loss
        self._histograms = LabelHistograms(loss.q, loss.bins)

    def start(self, odds: np.ndarray | None = None) -> None:
        """Takes the odds (q,) of the first epoch, where they are not those of the training set."""
        loss = self._loss
        if odds is not None:
            self._take_odds(odds)
        silent = np.flatnonzero(np.isnan(loss.actual.numpy()))
        if silent.size:
            warn(
                "Labels without positives or without negatives take no part in Partial Label "
                f"Masking. Received: {silent.size} of {loss.q} labels: "
                f"{', '.join(map(str, silent[:5]))}{', ...' * (silent.size > 5)}. "
                "Drop columns that are not needed; the other labels are masked as usual.",
            )

    def record(self, y: tf.Tensor, p: tf.Tensor) -> None:
        """Counts one batch, labels and probabilities (b, q); traced into the train step."""
        self._histograms.add(y, p)

    def finish(self, odds: np.ndarray | None = None) -> tuple[dict[str, float], dict[str, Any]]:
        """Ends an epoch: moves the ratios, and takes the odds (q,) of the next one.

        Until the next one begins, evaluations by other callbacks are validation.

        Returns:
            What History shows of the epoch: numbers, and arrays (q,).
        """
        loss = self._loss
        self.validate(True)
        counts = workers.total(self._histograms.read()).numpy()
        self._histograms.reset()
        ideal, actual = (v.numpy().astype(np.float64) for v in (loss.ideal, loss.actual))
        positive, negative = divergences(counts, loss.direction, loss.smoothing)
        factor = np.where(np.isnan(ideal / actual), 1.0, ideal / actual)
        masked = 1.0 - np.minimum(np.stack([1.0 / factor, factor]), 1.0)  # negatives, positives
        share = (counts.sum(axis=2).T * masked).sum(axis=1) / np.maximum(counts.sum((0, 2)), 1)
        loss.ideal.assign(updated_ratios(ideal, actual, positive, negative, loss.rate, loss.limit))
        loss.starts_at_odds = False
        if odds is not None:
            self._take_odds(odds)
        numbers = {
            "plm/masked_positives": float(share[1]),
            "plm/masked_negatives": float(share[0]),
            "plm/divergence_positives": mean_known(positive),
            "plm/divergence_negatives": mean_known(negative),
            "plm/largest_factor": float(np.exp(np.abs(np.log(factor)).max())),
        }
        arrays = {
            "plm/ideal_ratios": ideal,
            "plm/odds": actual,
            "plm/label_divergence_positives": positive,
            "plm/label_divergence_negatives": negative,
        }
        return numbers, arrays

    def validate(self, begins: bool) -> None:
        """A validation begins, or ends: inside one, the loss does not mask."""
        self._loss.validate(begins)

    def close(self) -> None:
        """The fit is over: nobody adapts the loss any more."""
        self._loss.lead(None)
        self._histograms.close()

    def _take_odds(self, odds: np.ndarray) -> None:
        """New odds; ideal ratios that have not moved yet, or were not known, start at them."""
        loss = self._loss
        ideal = loss.ideal.numpy()
        fresh = np.isnan(ideal) | loss.starts_at_odds
        loss.actual.assign(odds)
        loss.ideal.assign(np.where(fresh, odds, ideal))


class PartialLabelMaskingUpdate(StepListener):
    """Adapts the ratios of a compiled `tfmlselect.losses.PartialLabelMasking` once per epoch.

    For a fit without `AdaptiveBatchSelection`, which does the same by itself; beside it, this
    callback does nothing. It listens to the training steps, at no further forward pass. Adds to
    the epoch's logs, and so to History, of the epoch that was trained:

    * `plm/masked_positives`, `plm/masked_negatives`: expected share of the positive, and of the
      negative, entries that were masked;
    * `plm/divergence_positives`, `plm/divergence_negatives`: D+ and D-, means over labels;
    * `plm/largest_factor`: largest factor between ideal ratio and odds, either way;

    and to History alone, as arrays (q,): `plm/ideal_ratios`, `plm/odds`,
    `plm/label_divergence_positives`, `plm/label_divergence_negatives`.

    Args:
        output: name or index of the output that the loss is for, where several have one.

    Raises:
        ValueError: at the start of training, where the model has no such loss.

    Example:
        >>> import numpy as np, tensorflow as tf, tfmlselect as tfml
        >>> x = np.random.default_rng(0).normal(size=(48, 4)).astype("float32")
        >>> y = (x[:, :2] > [0.0, 1.0]).astype("float32")
        >>> model = tf.keras.Sequential([tf.keras.layers.Dense(2, activation="sigmoid")])
        >>> loss = tfml.losses.PartialLabelMasking(odds=tfml.label_statistics(y).odds)
        >>> model.compile("adam", loss)
        >>> history = model.fit(
        ...     x, y, verbose=0, callbacks=[tfml.callbacks.PartialLabelMaskingUpdate()]
        ... )
        >>> history.history["plm/masked_positives"]  # at first, ideal ratios are the odds
        [0.0]
    """

    def __init__(self, output: str | int | None = None):
        super().__init__()
        check_output(output)
        self._output = output
        self._update: RatioUpdate | None = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Finds the loss, unless `AdaptiveBatchSelection` leads it."""
        self._running = True
        loss, output = compiled_loss(self.model, PartialLabelMasking, self._output)
        if loss is None:
            raise ValueError(
                "This callback adapts a PartialLabelMasking loss, and the model has none. "
                f"Received: model.loss={getattr(self.model, 'loss', None)!r}, "
                f"output={self._output!r}. Compile the model with it."
            )
        if any(getattr(each, "adapts_ratios", False) for each in listening(self.model)):
            return  # AdaptiveBatchSelection does it
        missing = getattr(loss, "missing", None)
        self._reader = OutputReader(loss.q, True, output, loss.from_logits, None, missing=missing)
        self._reader.prepare(self.model)
        self._probabilities = ProbabilityCheck()
        self._update = RatioUpdate(loss, self)
        self._update.start()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """From here on, evaluations are validation only where Keras says so."""
        self._validates(False)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Moves the ratios."""
        if self._update is not None:
            self._probabilities.check()
            with self._together():
                self._show(logs, *self._update.finish())

    def _record(self, y: Nested, y_pred: Nested) -> None:
        if self._update is not None:
            p = self._reader.probabilities(y_pred)
            self._probabilities.add(p)
            self._update.record(self._reader.matrix(y), p)

    def _validates(self, begins: bool) -> None:
        if self._update is not None:
            self._update.validate(begins)

    def _fit_over(self) -> None:
        if self._update is not None:
            self._update.close()
        self._update = None
        super()._fit_over()
