"""The selection strategies, a file for each, and `registry`, which knows them by name.

A strategy says which distribution to draw from; how an epoch is drawn is in `sampling`.
"""

from __future__ import annotations

from tfmlselect.strategies.active_bias import ActiveBias
from tfmlselect.strategies.adaptive_balance import AdaptiveBalance
from tfmlselect.strategies.base import Strategy
from tfmlselect.strategies.d2ace import D2ACE
from tfmlselect.strategies.hard_imbalance import HardImbalance
from tfmlselect.strategies.label_balanced import LabelBalanced
from tfmlselect.strategies.learnability import Learnability
from tfmlselect.strategies.mixture import Mixture
from tfmlselect.strategies.online_batch import OnlineBatch
from tfmlselect.strategies.positive_hardness import PositiveHardness
from tfmlselect.strategies.rare_events import RareEvents
from tfmlselect.strategies.recency_bias import RecencyBias
from tfmlselect.strategies.registry import get, names
from tfmlselect.strategies.repeat_factor import RepeatFactor
from tfmlselect.strategies.switch import Switch
from tfmlselect.strategies.uncertainty import Uncertainty
from tfmlselect.strategies.uniform import Uniform

__all__ = [
    "D2ACE",
    "ActiveBias",
    "AdaptiveBalance",
    "HardImbalance",
    "LabelBalanced",
    "Learnability",
    "Mixture",
    "OnlineBatch",
    "PositiveHardness",
    "RareEvents",
    "RecencyBias",
    "RepeatFactor",
    "Strategy",
    "Switch",
    "Uncertainty",
    "Uniform",
    "get",
    "names",
]


def __dir__() -> list[str]:
    return [*__all__]
