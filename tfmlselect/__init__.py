"""Adaptive batch selection for imbalanced multi-label data, in any Keras ``model.fit``."""

import importlib
from typing import Any

from tfmlselect._environment import require_tensorflow

require_tensorflow()

from tfmlselect import (  # noqa: E402
    callbacks,
    datasets,
    layers,
    losses,
    metrics,
    sampling,
    schedules,
    strategies,
    testing,
)
from tfmlselect.callbacks import AdaptiveBatchSelection  # noqa: E402
from tfmlselect.distributed.shards import stratified_shards  # noqa: E402
from tfmlselect.labels import label_statistics  # noqa: E402
from tfmlselect.pipeline.adaptive import adaptive, adaptive_dataset  # noqa: E402
from tfmlselect.pipeline.dataset import AdaptiveDataset  # noqa: E402

__all__ = [
    "AdaptiveBatchSelection",
    "AdaptiveDataset",
    "adaptive",
    "adaptive_dataset",
    "callbacks",
    "datasets",
    "label_statistics",
    "layers",
    "losses",
    "metrics",
    "sampling",
    "schedules",
    "strategies",
    "stratified_shards",
    "testing",
]


def __getattr__(name: str) -> Any:
    """`tfmlselect.plots`, imported where it is used: it needs matplotlib, and the rest does not."""
    if name == "plots":
        return importlib.import_module("tfmlselect.plots")
    raise AttributeError(f"module 'tfmlselect' has no attribute {name!r}")


__version__ = "0.1.0.dev0"
