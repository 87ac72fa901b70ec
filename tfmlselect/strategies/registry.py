"""Strategies by name, and their classes by the names that configs have for them."""

from __future__ import annotations

import difflib
from typing import Any

import tensorflow as tf

from tfmlselect._checks import require, shown
from tfmlselect.strategies.active_bias import ActiveBias
from tfmlselect.strategies.adaptive_balance import AdaptiveBalance
from tfmlselect.strategies.base import Strategy
from tfmlselect.strategies.d2ace import D2ACE
from tfmlselect.strategies.hard_imbalance import HardImbalance
from tfmlselect.strategies.label_balanced import LabelBalanced
from tfmlselect.strategies.learnability import Learnability
from tfmlselect.strategies.online_batch import OnlineBatch
from tfmlselect.strategies.positive_hardness import PositiveHardness
from tfmlselect.strategies.rare_events import RareEvents
from tfmlselect.strategies.recency_bias import RecencyBias
from tfmlselect.strategies.repeat_factor import RepeatFactor
from tfmlselect.strategies.uncertainty import Uncertainty
from tfmlselect.strategies.uniform import Uniform

_STRATEGIES: dict[str, type[Strategy]] = {
    "uniform": Uniform,
    "label_balanced": LabelBalanced,
    "repeat_factor": RepeatFactor,
    "online_batch": OnlineBatch,
    "active_bias": ActiveBias,
    "recency_bias": RecencyBias,
    "learnability": Learnability,
    "hard_imbalance": HardImbalance,
    "uncertainty": Uncertainty,
    "d2ace": D2ACE,
    "positive_hardness": PositiveHardness,
    "adaptive_balance": AdaptiveBalance,
    "rare_events": RareEvents,
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
    choose = f"Choose one of {', '.join(map(repr, names()))}, or"
    if not isinstance(name, str):
        raise TypeError(
            f"`strategy` is a name or a Strategy object. Received: strategy={shown(name)}. "
            f"{choose} make an object: tfmlselect.strategies.D2ACE()."
        )
    classes = {kind.__name__.lower(): each for each, kind in _STRATEGIES.items()}
    lower = name.lower()
    close = difflib.get_close_matches(classes.get(lower, lower), names(), n=1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    require(
        name in _STRATEGIES,
        "Unknown strategy",
        f"strategy={shown(name)}",
        f"{hint}{choose} pass a Strategy object",
    )
    return _STRATEGIES[name]()


def class_of(name: str) -> type[Strategy]:
    """The class that `tf.keras.utils.get_registered_name` has this name for.

    Raises:
        ValueError: neither one of the registry nor one that is registered with Keras.
    """
    classes: dict[str, Any] = {kind.__name__: kind for kind in _STRATEGIES.values()}
    found = classes.get(name) or tf.keras.utils.get_registered_object(name)
    if isinstance(found, type) and issubclass(found, Strategy):
        return found
    raise ValueError(
        f"The class of this strategy is not known here. Received: strategy={shown(name)}. Decorate "
        "the class with @tf.keras.utils.register_keras_serializable() and import it first."
    )
