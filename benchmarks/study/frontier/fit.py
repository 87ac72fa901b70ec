"""One fit of one method: as many steps as a budget has, or until it stops; what it is worth."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

import tfmlselect as tfml
from benchmarks.study.frontier import quality
from benchmarks.study.frontier.methods import METHODS, Method
from benchmarks.study.frontier.tasks import Task
from benchmarks.study.frontier.trainer import Clock, Network, observe, one_cycle
from tfmlselect import schedules
from tfmlselect.pipeline.arrays import ArraySource
from tfmlselect.pipeline.distribution import Distribution
from tfmlselect.pipeline.plan import PlanOptions
from tfmlselect.pipeline.selection import Selection
from tfmlselect.strategies import RareEvents, Uniform

UPDATES = 16  # of the distribution in a run, at least where epochs are long enough
LEAST_STEPS = 4  # of an epoch
STOPPED = math.inf  # the budget of a run that a development part stops
PATIENCE, LONGEST = 5, 100  # passes of such a run
CHECKS = 2  # a pass, of the development part
_NEIGHBORS = 10


@dataclass(frozen=True)
class Length:
    """How long a run is: `epochs` of `steps` batches each."""

    epochs: int
    steps: int


def length(task: Task, passes: float) -> Length:
    """A run of so many passes of uniform batches, in epochs that are at most one pass each."""
    in_pass = len(task.train[0]) // task.batch_size
    total = max(1, round(passes * in_pass))
    steps = min(max(LEAST_STEPS, total // UPDATES), in_pass, total)
    return Length(max(1, round(total / steps)), steps)


class Fits:
    """Fits of one task and optimizer; networks and neighbours are made once."""

    def __init__(self, task: Task, optimizer: str):
        self.task, self.optimizer = task, optimizer
        self._network = cache(self._make_network)
        self._neighbors = cache(self._search)
        self._selections: dict[str, tuple[Selection, dict]] = {}
        statistics = tfml.label_statistics(task.train[1])
        self._odds = statistics.odds

    def run(self, name: str, passes: float, rate: float, seed: int) -> dict:
        """Trains, and judges: what is measured on the development and the test part.

        With `passes=STOPPED` the rate stays after it rose, over one pass; the run ends when the
        development part was no better for `PATIENCE` passes, and is judged, and counted, as it was
        when that was best. Strategies are then not told how long the run is.
        """
        task, clock = self.task, Clock()
        seed += METHODS[name].first_seed
        network = self._network(METHODS[name].loss)
        network.start(seed)
        best = {"dev_ap": -1.0}
        dev = test = np.zeros(0)
        for steps, checks in self._train(network, name, passes, rate, seed, clock):
            if not checks:
                continue
            logits = network.logits(task.dev[0])
            finite = np.isfinite(logits).all()
            value = quality.average_precision(task.dev[1], logits).mean() if finite else 0.0
            if value > best["dev_ap"]:
                best = {"steps": steps, "dev_ap": float(value)}
                best |= {"step_s": clock.steps, "selection_s": clock.selection}
                dev, test = logits, network.logits(task.test[0])
            elif steps - best["steps"] >= PATIENCE * self._in_pass or not finite:
                break
            clock.skip()
        if not (np.isfinite(dev).all() and np.isfinite(test).all()):
            return best
        thresholds = quality.best_thresholds(task.dev[1], dev)
        return best | quality.measure(task.test[1], test, thresholds, task.thirds)

    @property
    def _in_pass(self) -> int:
        return len(self.task.train[0]) // self.task.batch_size

    def _schedule(self, passes: float, rate: float, most: int) -> tuple[Length, np.ndarray]:
        """Epochs of at most so many steps, and their learning rates (epochs, steps)."""
        if passes == STOPPED:
            run = shortened(Length(CHECKS * LONGEST, max(1, self._in_pass // CHECKS)), most)
            rates = rate * np.minimum((np.arange(run.epochs * run.steps) + 1) / self._in_pass, 1)
        else:
            run = shortened(length(self.task, passes), most)
            rates = one_cycle(rate, run.epochs * run.steps)
        return run, rates.reshape(run.epochs, run.steps)

    def _train(
        self, network, name: str, passes: float, rate, seed, clock
    ) -> Iterator[tuple[int, bool]]:
        """Trains epoch by epoch: the steps so far, and whether the run may end here."""
        method, y = METHODS[name], self.task.train[1]
        selection = self._selection(name)
        strategy, chooses = selection.strategy, None
        most = (strategy.epoch_draws() or len(y)) // self.task.batch_size
        run, rates = self._schedule(passes, rate, most)
        known = passes != STOPPED
        self._restart(selection, method, run, seed, known)
        if method.weighs:
            chooses = method.strategy()
            chooses.build(y)
            chooses.run_epochs = run.epochs
            chooses.describe_run(
                length_is_known=known, passes_per_epoch=selection.plan.passes_per_epoch
            )
        weights_of = self._positive_weights(method)
        selection.start(refresh=True)
        for epoch in range(run.epochs):
            ids, weights = selection.plan.order_and_weights()
            if chooses is not None:
                p = np.asarray(chooses.probabilities(max(epoch - 1, chooses.before_first_epoch)))
                weights = (len(y) * p[ids]).astype("float32")
            kept = strategy.rates(ids) if isinstance(strategy, RareEvents) else None
            clock.stop("selection")
            p = network.train(ids, rates[epoch], weights_of(epoch, run.epochs), weights, kept)
            clock.stop("steps")
            observe(chooses or strategy, ids, p)
            selection.advance(refresh=True)
            last = epoch + 1 == run.epochs
            if not last:
                selection.draw()
            clock.stop("selection")
            looks = [(each * run.steps * CHECKS) // self._in_pass for each in (epoch, epoch + 1)]
            yield (epoch + 1) * run.steps, last or (passes == STOPPED and looks[0] < looks[1])

    def _selection(self, name: str) -> Selection:
        """The selection of a method, its strategy as it was before any fit.

        It is made once, since a new strategy compiles its functions again, which takes longer than
        a short fit. All that a strategy learns is in its `state`.
        """
        if name not in self._selections:
            method, y = METHODS[name], self.task.train[1]
            strategy = Uniform() if method.weighs else method.strategy()
            neighbors = self._neighbors() if strategy.uses_neighbors else None
            source = ArraySource(np.arange(len(y)), y, None, None, neighbors)
            plan = source.make_plan(PlanOptions(self.task.batch_size))
            selection = Selection(source, strategy, plan, verbose=0)
            state = {name: variable.numpy() for name, variable in strategy.state.items()}
            self._selections[name] = selection, state
        selection, state = self._selections[name]
        for each, value in state.items():
            selection.strategy.state[each].assign(value)
        return selection

    def _restart(
        self, selection: Selection, method: Method, run: Length, seed: int, known: bool
    ) -> None:
        """Makes a selection one of a new run."""
        batch = self.task.batch_size
        options = PlanOptions(
            batch,
            seed,
            drop_remainder=True,
            samples_per_epoch=run.steps * batch,
            importance_weights=method.importance_weights,
        )
        plan = selection.source.make_plan(options)
        plan.set_pass(selection.strategy.epoch_draws() or plan.n)
        selection.plan, selection.epoch, selection._asked_for = plan, 0, None
        selection.distribution = Distribution.uniform(plan.n, 1.0)
        selection.describe_run(run.epochs, length_is_known=known)

    def _positive_weights(self, method: Method):
        """A function of the epoch and the epochs: (q,) float32."""
        ones = np.ones(len(self._odds), "float32")
        if method.exponent is None:
            return lambda epoch, epochs: ones
        loss = tfml.losses.PositiveWeights("binary_crossentropy", odds=self._odds, exponent=0.0)
        schedule = schedules.get(method.exponent)

        def weights(epoch: int, epochs: int) -> np.ndarray:
            loss.set_exponent(schedule(epoch, epochs))
            return loss.positive_weights().numpy()

        return weights

    def _make_network(self, loss) -> Network:
        x, y = self.task.train
        return Network(x, y, self.optimizer, loss, self.task.batch_size)

    def _search(self) -> np.ndarray:
        from sklearn.neighbors import NearestNeighbors
        from threadpoolctl import threadpool_limits

        x = self.task.train[0].reshape(len(self.task.train[0]), -1)
        found = NearestNeighbors(n_neighbors=_NEIGHBORS + 1, algorithm="brute").fit(x)
        with threadpool_limits(limits=1):  # which of equally near ones come first, rounding decides
            return found.kneighbors(x, return_distance=False)[:, 1:]


def shortened(run: Length, most: int) -> Length:
    """The same run in epochs of at most so many steps."""
    steps = max(1, min(run.steps, most))
    return Length(max(1, round(run.epochs * run.steps / steps)), steps)
