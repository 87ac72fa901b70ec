"""Layers that balance labels inside the network."""

from tfmlselect.layers.feature_weakening import FeatureWeakening
from tfmlselect.step import training_step

__all__ = ["FeatureWeakening", "training_step"]
