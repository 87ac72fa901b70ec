"""What selection does, drawn with matplotlib: each function takes data and gives the Axes back.

Nothing else in the package draws, and nothing here computes what training does.

Needs the extra `plots`. Without `ax=` a function makes a figure of its own, `ax.figure`, which
pyplot does not know of: save it by `ax.figure.savefig(...)`, or end a notebook's cell with it.
"""

from __future__ import annotations

import importlib.util

if importlib.util.find_spec("matplotlib") is None:
    raise ImportError(
        "tfmlselect.plots needs matplotlib. Received: no module named 'matplotlib'. "
        "Install it: pip install matplotlib."
    )

from tfmlselect.plots.attention import label_attention
from tfmlselect.plots.composition import batch_composition
from tfmlselect.plots.correlations import label_correlations
from tfmlselect.plots.curves import learning_curves
from tfmlselect.plots.distributions import distribution
from tfmlselect.plots.training_progress import training_progress

__all__ = [
    "batch_composition",
    "distribution",
    "label_attention",
    "label_correlations",
    "learning_curves",
    "training_progress",
]


def __dir__() -> list[str]:
    return [*__all__]
