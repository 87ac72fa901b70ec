"""The plan: which samples an epoch holds, in which order; what the input pipeline reads."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np

from tfmlselect import schedules
from tfmlselect._checks import check_choice, check_flag, check_seed, check_whole, require
from tfmlselect.sampling.draws import DRAW, epoch_generator, permute_epoch
from tfmlselect.sampling.systematic import capped, counts_of, due, spread
from tfmlselect.schedules import Schedule
from tfmlselect.strategies import Strategy, Uniform

DRAWS = ("systematic", "independent")
_ROUNDS = 20


@dataclasses.dataclass(frozen=True)
class PlanOptions:
    """How epochs are drawn; the arguments of `adaptive_dataset` that say so, checked.

    Attributes:
        batch_size: samples a batch.
        seed: of all draws, a whole number >= 0; None: a new one.
        drop_remainder: whether all batches are whole.
        samples_per_epoch: draws an epoch; None: as many as a pass over the data has.
        draws: "systematic" or "independent".
        importance_weights: the exponent κ in [0, 1], a number or a schedule.

    Raises:
        ValueError: an argument outside its range.
    """

    batch_size: int
    seed: int | None = None
    drop_remainder: bool = False
    samples_per_epoch: int | None = None
    draws: str = "systematic"
    importance_weights: float | Schedule = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "batch_size", check_whole("batch_size", self.batch_size, 1))
        check_flag("drop_remainder", self.drop_remainder)
        check_choice("draws", self.draws, DRAWS)
        if self.seed is not None:
            check_seed("seed", self.seed)
        if self.samples_per_epoch is not None:
            samples = check_whole("samples_per_epoch", self.samples_per_epoch, 1)
            object.__setattr__(self, "samples_per_epoch", samples)
        exponent = schedules.fraction("importance_weights", self.importance_weights)
        object.__setattr__(self, "importance_weights", exponent)

    @property
    def exponent(self) -> Schedule:
        """`importance_weights` as a schedule."""
        return schedules.get(self.importance_weights)

    @property
    def weighs(self) -> bool:
        """Whether batches have weights: not where their exponent is 0 throughout."""
        return self.exponent != schedules.Constant(0.0)


class Plan:
    """The order of the epoch that is trained now, or a fresh permutation where nobody set one.

    Epochs are drawn systematically: sample i comes `m p_i` times in m draws, in the mean, and over
    all epochs never a whole visit more or less often than it was owed.

    Args:
        n: number of samples.
        options: how epochs are drawn.
        samples: what errors say of the samples; None: their number.

    Attributes:
        pass_draws: draws of a pass over the data: n, but for a strategy that leaves samples out.
        draws: samples an epoch.
        steps: batches an epoch.
        run_seed: the seed that was given, or the new one.
        repeatable: whether it was given.
        seed: of the draws on this machine; `run_seed` where one machine trains.
        owed: (n,) float64 in [-1, 1), visits that each sample was owed in all epochs completed,
            less those that it got.
        holds: whether the order that `follow` was given is still to be read: asked whenever a
            pipeline fetches it, in a thread of TensorFlow's.
        reads: how often pipelines fetched that order since then.
        fetches: how often pipelines fetched any order.

    Raises:
        ValueError: an epoch that does not fit the samples.
    """

    def __init__(self, n: int, options: PlanOptions, samples: str | None = None):
        self.n = n
        self._samples = samples or f"{n} samples"
        self.options = options
        self.batch_size = options.batch_size
        self.drop_remainder = options.drop_remainder
        self.repeatable = options.seed is not None
        self.run_seed = self.seed = _new_seed() if options.seed is None else options.seed
        self.set_pass(n)
        self.owed = np.zeros(n)
        self._owed_next = self.owed
        # Ids and weights: in one, since pipelines in other threads must not mix those of two plans.
        self._order: tuple[np.ndarray, np.ndarray] | None = None
        self.holds: Callable[[], bool] = _always
        self.reads = 0
        self.fetches = 0
        self._permutations = itertools.count()

    def set_pass(self, draws: int) -> None:
        """Says how many draws a pass over the data has.

        Raises:
            ValueError: a batch, or the `samples_per_epoch` asked for, is larger than that.
        """
        batch_size, samples = self.batch_size, self.options.samples_per_epoch
        require(
            samples is None or samples <= draws,
            "An epoch is at most one pass over the data",
            f"samples_per_epoch={samples}, n={self._samples}, {draws} draws a pass",
            f"Pass samples_per_epoch <= {draws}, or leave it out",
        )
        self.pass_draws = draws
        self.draws = draws if samples is None else samples
        require(
            batch_size <= self.draws,
            "A batch is drawn without replacement and cannot be larger than an epoch",
            f"batch_size={batch_size}, n={self._samples}"
            + f", {self.draws} draws an epoch" * (self.draws != self.n),
            f"Pass batch_size <= {self.draws}",
        )
        self.passes_per_epoch = self.draws / draws
        self.steps = -(-self.draws // batch_size)
        if self.drop_remainder:
            self.steps = self.draws // batch_size
            self.draws = self.steps * batch_size

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

    def follow(self, ids: np.ndarray, weights: np.ndarray | None = None) -> None:
        """Sets the order that every pipeline reads from now on, and its weights; None: all 1."""
        ids = np.array(ids, dtype=np.int64)
        if ids.shape != (self.draws,) or ids.min() < 0 or ids.max() >= self.n:
            received = f", ids from {ids.min()} to {ids.max()}" if ids.size else ""
            raise ValueError(
                f"A plan holds {self.draws} ids of samples 0 to {self.n - 1}. Received: shape "
                f"{ids.shape}{received}. Check the strategy's `plan`."
            )
        ids.setflags(write=False)
        self._order = ids, np.ones(self.draws, np.float32) if weights is None else weights
        self.reads = 0

    @property
    def ids(self) -> np.ndarray | None:
        """The order that `follow` was given, (draws,) int64; None where it was given none."""
        return None if self._order is None else self._order[0]

    @property
    def weights(self) -> np.ndarray | None:
        """The importance weights of that order, (draws,) float32."""
        return None if self._order is None else self._order[1]

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
        self._order, self.holds = None, _always

    def permutation(self, epoch: int) -> np.ndarray:
        """The shuffled epoch that unattached iterations go through."""
        return permute_epoch(self.n, self.batch_size, self.seed, epoch)[: self.draws]

    def in_force(self, strategy: Strategy, probabilities: np.ndarray) -> np.ndarray:
        """What an epoch can be drawn from: (n,) float64 that sums to 1.

        A batch holds no sample twice. So no sample comes more often than there are whole batches,
        and what is too much goes to the other samples in proportion.
        """
        if self._composed_by(strategy):
            return probabilities
        expected, most = self.draws * probabilities, self._most(probabilities)
        if np.all(expected <= most):
            return probabilities
        for _ in range(_ROUNDS):  # what a window loses makes it shorter
            expected = capped(expected, self.draws, most)
            most = self._most(expected)
            if np.all(expected <= most + 1e-9):
                break
        return expected / self.draws

    def drawn(self, strategy: Strategy, probabilities: np.ndarray, epoch: int) -> np.ndarray:
        """An adaptive epoch; the same for the same arguments until `settle` was called."""
        if self._composed_by(strategy):
            plan = strategy.plan(
                probabilities, self.batch_size, self.seed, epoch, self.drop_remainder
            )
            return plan[: self.draws] if self.draws < len(plan) else plan
        return self._systematic(probabilities, epoch)

    def shuffled(self, strategy: Strategy, epoch: int) -> np.ndarray:
        """An epoch of the warm-up: every sample alike, and all that a strategy leaves out too."""
        if self.draws == self.n and self._composed_by(strategy):
            return self.permutation(epoch)
        return self._systematic(np.full(self.n, 1.0 / self.n), epoch)

    def settle(self) -> None:
        """The epoch drawn last was trained: what samples are owed now counts for the next."""
        self.owed = self._owed_next

    def reset(self) -> None:
        """Nobody is owed anything."""
        self.owed = self._owed_next = np.zeros(self.n)

    def importance_weights(
        self, probabilities: np.ndarray, ids: np.ndarray, exponent: float
    ) -> np.ndarray:
        """`(n p_i)^-κ` of each draw, divided by their mean: (draws,) float32.

        Args:
            probabilities: that the epoch was drawn from, (n,).
            ids: what was drawn, (draws,).
            exponent: κ.
        """
        lowest = probabilities[probabilities > 0].min()  # a plan of a strategy's own may draw p = 0
        weights = (self.n * np.maximum(probabilities, lowest)[ids]) ** -exponent
        return (weights / weights.mean()).astype(np.float32)

    def order(self) -> np.ndarray:
        """What one iteration goes through: called by the pipeline at its first element."""
        return self.order_and_weights()[0]

    def order_and_weights(self) -> tuple[np.ndarray, np.ndarray]:
        """`order`, and the weight of each draw, (draws,) float32."""
        order = self._order
        self.fetches += 1
        if order is not None and self.holds():
            self.reads += 1
            # TensorFlow takes the arrays' memory as tensors of its own, and may compute in place.
            return order[0].copy(), order[1].copy()
        return self.permutation(next(self._permutations)), np.ones(self.draws, np.float32)

    def _composed_by(self, strategy: Strategy) -> bool:
        """Whether the strategy's own `plan` makes the epochs."""
        own = type(strategy).plan not in (Strategy.plan, Uniform.plan)
        return own or strategy.own_plan or self.options.draws == "independent"

    def _systematic(self, probabilities: np.ndarray, epoch: int) -> np.ndarray:
        expected = self.draws * probabilities
        owed = self.owed
        if np.ptp(expected) <= 1e-9 * expected[0] and not _alike(owed):
            owed = np.zeros(self.n)  # so that equal probabilities are permutations again
        counts, more = due(owed, expected, self.draws, self._most(expected))
        rng = epoch_generator(self.seed, epoch, DRAW)
        ids = self._arranged(counts_of(counts, self.draws, rng), rng)
        # What no batch could hold is not owed.
        owed = owed + more - np.bincount(ids, minlength=self.n)
        self._owed_next = np.clip(owed, -1.0, np.nextafter(1.0, 0.0))
        return ids

    def _most(self, expected: np.ndarray) -> np.ndarray | float:
        """How often a sample may come in an epoch: one number, or (n,)."""
        return max(1, self.draws // self.batch_size)

    def _arranged(self, counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return spread(counts, self.batch_size, rng)


def _alike(owed: np.ndarray) -> bool:
    """Whether all samples are as far with the visit that each is earning now."""
    return float(np.ptp((owed - owed[0] + 0.5) % 1.0)) <= 1e-6


def _always() -> bool:
    return True


def _new_seed() -> int:
    return int(np.random.SeedSequence().generate_state(1)[0])
