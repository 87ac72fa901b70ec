"""Adaptive batch selection for imbalanced multi-label data, in any Keras ``model.fit``."""

from tfmlselect._require import require_tensorflow

require_tensorflow()
