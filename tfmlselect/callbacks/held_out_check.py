"""A warning for fits that validate on the batches that they select, and not on data held out."""

from __future__ import annotations

import warnings

from tfmlselect.callbacks.base import StepListener
from tfmlselect.pipeline.dataset import AdaptiveDataset


class ValidationDataWarning(StepListener):
    """Warns once where a fit evaluates its adaptive dataset: a subclass has the `dataset`."""

    dataset: AdaptiveDataset
    _fetches = 0
    _warned = False

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Notes how often the plan was read."""
        super().on_test_begin(logs)
        self._fetches = self.dataset._selection.plan.fetches

    def on_test_end(self, logs: dict | None = None) -> None:
        """Looks whether the evaluation read it."""
        super().on_test_end(logs)
        read = self.dataset._selection.plan.fetches != self._fetches
        if self._running and read and not self._warned:
            self._warned = True
            warnings.warn(
                "This fit validates on the samples that it trains on, in the batches selected. "
                "Received: validation_data, or `evaluate` within the fit, with the adaptive "
                "dataset. Pass samples held out: validation_data=(x_val, y_val).",
                stacklevel=2,
            )
