"""Uniform: a fresh shuffled permutation each epoch; the baseline."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect.distributed import workers
from tfmlselect.labels import Labels
from tfmlselect.sampling.draws import permute_epoch
from tfmlselect.strategies.base import Array, Strategy


class Uniform(Strategy):
    """Every epoch is a shuffled permutation of the training set, as `Dataset.shuffle(n)` gives.

    Args:
        epochs: the run's length, which changes nothing here.

    Example:
        >>> import numpy as np, tfmlselect as tfml
        >>> strategy = tfml.strategies.Uniform()
        >>> strategy.build(np.eye(4))
        >>> strategy.probabilities(0).numpy().tolist()
        [0.25, 0.25, 0.25, 0.25]
        >>> sorted(strategy.plan(strategy.probabilities(0), batch_size=2, seed=0, epoch=0).tolist())
        [0, 1, 2, 3]
    """

    uses_predictions = False

    def __init__(self, *, epochs: int | None = None):
        super().__init__(warmup=0, epochs=epochs)

    def _build(self, labels: Labels, features: Any, neighbors: Any) -> None:
        self._n = labels.n
        self._everywhere = int(workers.total(self._n))

    def observe(self, ids: Array, y_pred: Array, loss: Array | None = None) -> None:
        """Does nothing: no prediction changes a uniform distribution."""

    def probabilities(self, epoch: int) -> tf.Tensor:
        """1/n for every sample: (n,) float64."""
        return tf.fill([self._n], tf.constant(1.0 / self._everywhere, tf.float64))

    def plan(
        self,
        probabilities: Array,
        batch_size: int,
        seed: int,
        epoch: int,
        drop_remainder: bool = False,
    ) -> np.ndarray:
        """A permutation of the samples, whatever the probabilities."""
        n = int(np.shape(probabilities)[0])
        return permute_epoch(n, batch_size, seed, epoch, drop_remainder)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"epochs": self.epochs}
