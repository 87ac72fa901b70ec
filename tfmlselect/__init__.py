"""Adaptive batch selection for imbalanced multi-label data, in any Keras ``model.fit``.

What stands here is public, and so is what its modules name in their ``__all__``; nothing else is.
"""

import importlib
import importlib.util
from types import ModuleType
from typing import TYPE_CHECKING

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
from tfmlselect.savings import potential  # noqa: E402

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
    "potential",
    "sampling",
    "schedules",
    "strategies",
    "stratified_shards",
    "testing",
]
__version__ = "0.1.0.dev0"

if TYPE_CHECKING:
    # For type checkers, which would let every name pass if they saw a `__getattr__`.
    from tfmlselect import plots as plots
else:

    def __getattr__(name: str) -> ModuleType:
        """`tfmlselect.plots`, imported where it is used: it needs matplotlib, the rest does not."""
        if name == "plots":
            return importlib.import_module("tfmlselect.plots")
        raise AttributeError(f"module 'tfmlselect' has no attribute {name!r}")


def __dir__() -> list[str]:
    # Only what can be read: tools that walk over `dir()` read every name.
    plots = ["plots"] if importlib.util.find_spec("matplotlib") else []
    return [*__all__, "__version__", *plots]
