"""The plan: which samples an epoch holds, in which order; what the input pipeline reads."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfmlselect.sampling.draws import permute_epoch


class Plan:
    """The order of the epoch that is trained now, or a fresh permutation where nobody set one.

    Args:
        n: number of samples.
        batch_size: samples a batch.
        seed: of the permutations.
        drop_remainder: whether the last n mod batch_size draws are left out.

    Attributes:
        steps: batches an epoch.
        draws: samples an epoch.
        ids: (draws,) int64 of the set order, None where none is set.
        reads: how often pipelines fetched the set order since `follow` set it.
        fetches: how often pipelines fetched any order.
    """

    def __init__(self, n: int, batch_size: int, seed: int, drop_remainder: bool):
        self.n = n
        self.batch_size = batch_size
        self.seed = seed
        self.drop_remainder = drop_remainder
        self.steps = n // batch_size if drop_remainder else -(-n // batch_size)
        self.draws = self.steps * batch_size if drop_remainder else n
        self.ids: Any = None
        self.reads = 0
        self.fetches = 0
        self._permutations = 0

    def follow(self, ids: np.ndarray) -> None:
        """Sets the order that every pipeline reads from now on."""
        ids = np.array(ids, dtype=np.int64)
        if ids.shape != (self.draws,) or ids.min() < 0 or ids.max() >= self.n:
            received = f", ids from {ids.min()} to {ids.max()}" if ids.size else ""
            raise ValueError(
                f"A plan holds {self.draws} ids of samples 0 to {self.n - 1}. Received: shape "
                f"{ids.shape}{received}. Check the strategy's `plan`."
            )
        self.ids = ids
        self.reads = 0

    def release(self) -> None:
        """Back to a fresh permutation for each iteration."""
        self.ids = None

    def permutation(self, epoch: int) -> np.ndarray:
        """The shuffled epoch that warm-up and unattached iterations go through."""
        return permute_epoch(self.n, self.batch_size, self.seed, epoch, self.drop_remainder)

    def drawn(self, strategy: Any, probabilities: np.ndarray, epoch: int) -> np.ndarray:
        """An adaptive epoch, as the strategy composes it."""
        return strategy.plan(probabilities, self.batch_size, self.seed, epoch, self.drop_remainder)

    def order(self) -> np.ndarray:
        """What one iteration goes through: called by the pipeline at its first element."""
        ids = self.ids
        self.fetches += 1
        if ids is not None:
            self.reads += 1
            # TensorFlow takes the array's memory as a tensor of its own, and may compute in place.
            return ids.copy()
        self._permutations += 1
        return self.permutation(self._permutations - 1)
