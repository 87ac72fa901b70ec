"""Strategies by name."""

from __future__ import annotations

import difflib

from tfmlselect.strategies.active_bias import ActiveBias
from tfmlselect.strategies.base import Strategy
from tfmlselect.strategies.d2ace import D2ACE
from tfmlselect.strategies.hard_imbalance import HardImbalance
from tfmlselect.strategies.label_balanced import LabelBalanced
from tfmlselect.strategies.learnability import Learnability
from tfmlselect.strategies.online_batch import OnlineBatch
from tfmlselect.strategies.positive_hardness import PositiveHardness
from tfmlselect.strategies.recency_bias import RecencyBias
from tfmlselect.strategies.uncertainty import Uncertainty
from tfmlselect.strategies.uniform import Uniform

_STRATEGIES: dict[str, type[Strategy]] = {
    "uniform": Uniform,
    "label_balanced": LabelBalanced,
    "online_batch": OnlineBatch,
    "active_bias": ActiveBias,
    "recency_bias": RecencyBias,
    "learnability": Learnability,
    "hard_imbalance": HardImbalance,
    "uncertainty": Uncertainty,
    "d2ace": D2ACE,
    "positive_hardness": PositiveHardness,
}


def names() -> list[str]:
    """The names that `get` and `adaptive_dataset(strategy=...)` know.

    Example:
        >>> import tfmlselect as tfml
        >>> "d2ace" in tfml.strategies.names()
        True
    """
    return list(_STRATEGIES)


def get(name: str | Strategy) -> Strategy:
    """A strategy with its defaults, by name; a `Strategy` is handed back as it is.

    Raises:
        ValueError: no strategy of that name.
        TypeError: neither a name nor a `Strategy` object.

    Example:
        >>> import tfmlselect as tfml
        >>> tfml.strategies.get("uniform")
        Uniform(epochs=None)
    """
    if isinstance(name, Strategy):
        return name
    if isinstance(name, str):
        if name not in _STRATEGIES:
            close = difflib.get_close_matches(name.lower(), names(), n=1)
            hint = f"Did you mean {close[0]!r}? " if close else ""
            raise ValueError(
                f"Unknown strategy. Received: strategy={name!r}. {hint}"
                f"Choose one of {', '.join(map(repr, names()))}, or pass a Strategy object."
            )
        return _STRATEGIES[name]()
    raise TypeError(
        f"`strategy` is a name or a Strategy object. Received: strategy={name!r}. "
        f"Choose one of {', '.join(map(repr, names()))}, or make an object: strategies.D2ACE()."
    )
