"""The plan: which samples an epoch holds, in which order; what the input pipeline reads."""

from __future__ import annotations

import numpy as np

from tfmlselect._checks import check_flag, check_seed, check_whole, require
from tfmlselect.sampling.draws import permute_epoch
from tfmlselect.strategies import Strategy


class Plan:
    """The order of the epoch that is trained now, or a fresh permutation where nobody set one.

    Args:
        n: number of samples.
        batch_size: samples a batch.
        seed: of all draws, a whole number >= 0; None: a new one.
        drop_remainder: whether the last n mod batch_size draws are left out.

    Attributes:
        steps: batches an epoch.
        draws: samples an epoch.
        run_seed: the seed that was given, or the new one.
        repeatable: whether it was given.
        seed: of the draws on this machine; `run_seed` where one machine trains.
        ids: (draws,) int64, the order that `follow` was given; None where it was given none.
        reads: how often pipelines fetched that order since then.
        fetches: how often pipelines fetched any order.

    Raises:
        ValueError: an argument outside its range, or fewer samples than a batch holds.
    """

    def __init__(self, n: int, batch_size: int, seed: int | None, drop_remainder: bool):
        self.n = n
        self.batch_size = check_whole("batch_size", batch_size, 1)
        require(
            self.batch_size <= n,
            "A batch is drawn without replacement and cannot be larger than the training set",
            f"batch_size={batch_size}, n={n} samples",
            f"Pass batch_size <= {n}",
        )
        self.drop_remainder = check_flag("drop_remainder", drop_remainder)
        self.repeatable = seed is not None
        self.run_seed = self.seed = _new_seed() if seed is None else check_seed("seed", seed)
        self.steps = n // self.batch_size if self.drop_remainder else -(-n // self.batch_size)
        self.draws = self.steps * self.batch_size if self.drop_remainder else n
        self.ids: np.ndarray | None = None
        self.reads = 0
        self.fetches = 0
        self._permutations = 0

    def draw_for_worker(self, number: int | None) -> None:
        """Gives each of several machines a seed of its own; None: one machine trains."""
        self.seed = self.run_seed
        if number is not None:
            own = np.random.SeedSequence(self.run_seed, spawn_key=(number,))
            self.seed = int(own.generate_state(1)[0])

    def check_strategy(self, strategy: Strategy) -> None:
        """Refuses a strategy whose order the source cannot be read in.

        Arrays can be read in any order, so nothing is refused here.
        """

    def follow(self, ids: np.ndarray) -> None:
        """Sets the order that every pipeline reads from now on."""
        ids = np.array(ids, dtype=np.int64)
        if ids.shape != (self.draws,) or ids.min() < 0 or ids.max() >= self.n:
            received = f", ids from {ids.min()} to {ids.max()}" if ids.size else ""
            raise ValueError(
                f"A plan holds {self.draws} ids of samples 0 to {self.n - 1}. Received: shape "
                f"{ids.shape}{received}. Check the strategy's `plan`."
            )
        ids.setflags(write=False)
        self.ids = ids
        self.reads = 0

    @property
    def followed(self) -> np.ndarray:
        """The order that `follow` was given, (draws,) int64.

        Raises:
            RuntimeError: it was given none.
        """
        if self.ids is None:
            raise RuntimeError(
                "No plan is set. Received: an epoch that was not drawn. Draw one first."
            )
        return self.ids

    def release(self) -> None:
        """Back to a fresh permutation for each iteration."""
        self.ids = None

    def permutation(self, epoch: int) -> np.ndarray:
        """The shuffled epoch that warm-up and unattached iterations go through."""
        return permute_epoch(self.n, self.batch_size, self.seed, epoch, self.drop_remainder)

    def drawn(self, strategy: Strategy, probabilities: np.ndarray, epoch: int) -> np.ndarray:
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


def _new_seed() -> int:
    return int(np.random.SeedSequence().generate_state(1)[0])
