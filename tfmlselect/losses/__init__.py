"""Losses of many labels, each taken label by label before any mean."""

from tfmlselect.losses.asymmetric import AsymmetricLoss
from tfmlselect.losses.partial_label_masking import PartialLabelMasking

__all__ = ["AsymmetricLoss", "PartialLabelMasking"]


def __dir__() -> list[str]:
    return [*__all__]
