"""A warning for fits that validate on the batches that they select, and not on data held out."""

from __future__ import annotations

import tensorflow as tf

from tfmlselect._running_fit import evaluated
from tfmlselect._warn import warn
from tfmlselect.callbacks.base import StepListener
from tfmlselect.pipeline.dataset import AdaptiveDataset


class ValidationDataWarning(StepListener):
    """Warns once where a fit evaluates its adaptive dataset: a subclass has the `dataset`."""

    dataset: AdaptiveDataset
    _evaluated = _unsure = False
    _fetches = 0
    _warned = False

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Notes what is evaluated, and how often the plan was read."""
        super().on_test_begin(logs)
        x, selection = evaluated(), self.dataset._selection
        self._evaluated = isinstance(x, AdaptiveDataset) and x._selection is selection
        # Another dataset may be made of it, as `take` does; arrays are not, whoever else reads.
        self._unsure = x is None or isinstance(x, tf.data.Dataset)
        self._fetches = selection.plan.fetches

    def on_test_end(self, logs: dict | None = None) -> None:
        """Looks whether the evaluation read it."""
        super().on_test_end(logs)
        read = self._evaluated or (
            self._unsure and self.dataset._selection.plan.fetches != self._fetches
        )
        if self._running and read and not self._warned:
            self._warned = True
            warn(
                "This fit validates on the samples that it trains on, in the batches selected. "
                "Received: validation_data, or `evaluate` within the fit, with the adaptive "
                "dataset. Pass samples held out: validation_data=(x_val, y_val).",
            )
