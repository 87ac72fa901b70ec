"""What the plots take: histories, labels and their names."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfmlselect.labels import LabelStatistics, check_label_names, label_statistics


def series(history: Any, key: str) -> list:
    """What a History, or its dictionary, holds under a key: one entry an epoch.

    Raises:
        TypeError: neither a History nor a dictionary.
        ValueError: no such key.
    """
    recorded = getattr(history, "history", history)
    if not isinstance(recorded, Mapping):
        raise TypeError(
            "A history is what model.fit returns, or its `.history`. Received: "
            f"{type(history).__name__}. Pass history = model.fit(...)."
        )
    if key not in recorded:
        raise ValueError(
            f"The history has no such key. Received: {key!r}. It has "
            f"{', '.join(map(repr, recorded)) or 'none'}; those of selection come from "
            "AdaptiveBatchSelection in `callbacks=`."
        )
    return list(recorded[key])


def statistics_of(y: Any) -> LabelStatistics:
    """The statistics of labels, or those that were given."""
    if isinstance(y, LabelStatistics):
        return y
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # labels without positives are drawn as such
        return label_statistics(y)


def names_of(statistics: LabelStatistics, label_names: Sequence[str] | None) -> list[str]:
    """Names as given, as the statistics have them, or numbers: q strings.

    Raises:
        ValueError: not q names.
    """
    given = check_label_names(label_names, statistics.q)
    return list(given or statistics.label_names or map(str, range(statistics.q)))


def rarest_first(statistics: LabelStatistics) -> np.ndarray:
    """The labels by IRLbl, descending; those without positives, which have none, at the end."""
    return np.argsort(-statistics.irlbl, kind="stable")  # NaN goes to the end
