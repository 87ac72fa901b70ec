"""Keras callbacks: the one that makes a fit adaptive, and those that balance or watch training."""

from tfmlselect.callbacks.batch_selection import AdaptiveBatchSelection
from tfmlselect.callbacks.labels_for_layers import LabelsForLayers
from tfmlselect.callbacks.masking_update import PartialLabelMaskingUpdate
from tfmlselect.callbacks.positive_weights_update import PositiveWeightsUpdate
from tfmlselect.callbacks.training_progress import TrainingProgress

__all__ = [
    "AdaptiveBatchSelection",
    "LabelsForLayers",
    "PartialLabelMaskingUpdate",
    "PositiveWeightsUpdate",
    "TrainingProgress",
]


def __dir__() -> list[str]:
    return [*__all__]
