"""Losses of many labels, each taken entry by entry before any mean over samples or labels.

Callbacks that adapt a loss during a fit are not here, but in `tfmlselect.callbacks`.
"""

from tfmlselect.losses.asymmetric import AsymmetricLoss
from tfmlselect.losses.masked import Masked
from tfmlselect.losses.partial_label_masking import PartialLabelMasking
from tfmlselect.losses.positive_weights import PositiveWeights
from tfmlselect.losses.thinned_likelihood import ThinnedLikelihood

__all__ = [
    "AsymmetricLoss",
    "Masked",
    "PartialLabelMasking",
    "PositiveWeights",
    "ThinnedLikelihood",
]


def __dir__() -> list[str]:
    return [*__all__]
