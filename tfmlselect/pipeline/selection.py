"""What a dataset and its callback share: who leads the dataset, and what is drawn next."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import warnings
import weakref
from typing import Protocol

import numpy as np
import tensorflow as tf

from tfmlselect._checks import require
from tfmlselect._progress import verbosity
from tfmlselect._running_fit import RunningFit
from tfmlselect._warn import warn
from tfmlselect.distributed import replicas, workers
from tfmlselect.distributed.shard_checks import check_shards
from tfmlselect.pipeline.distribution import Distribution
from tfmlselect.pipeline.epoch_statistics import EpochStatistics
from tfmlselect.pipeline.plan import Plan
from tfmlselect.pipeline.source import Source
from tfmlselect.sampling.draws import check_enough
from tfmlselect.strategies import Strategy
from tfmlselect.strategies.base import strategies_in


class Leader(Protocol):
    """The callback of a fit on an adaptive dataset, as the dataset knows it."""

    @property
    def is_running(self) -> bool:
        """Whether its fit runs."""
        ...


class Selection:
    """A training set, the strategy that selects from it, and how far training has come.

    It belongs to one fit at a time (`attach`, `release`), and goes from epoch to epoch (`draw`,
    `advance`). A fit that was interrupted releases nothing: whether it still runs is looked at
    wherever it matters. What the steps predict is not its business: the callback hands that to the
    strategy.

    Args:
        source: the samples.
        strategy: of this dataset alone; it is built here.
        plan: the source's.
        epochs: the run's length, for schedules; None: that of the fit.
        verbose: 1 shows how far a long search of neighbours is, 0 is silent.

    Attributes:
        source, strategy, plan, epochs: what they are called.
        epoch: epochs completed.
        distribution: of the epoch that comes next or runs now.
        resumed: whether the fit goes on from a backup.
        fit: that leads the dataset; None where there is none, or where it is not known.
        statistics: measures how epochs are drawn.
        newest_backups: the newest epoch that this run wrote or found, by directory of backups.

    Raises:
        ValueError: the strategy is of another dataset, or its plans do not fit the source.
        RuntimeError: several machines with Keras 3, which cannot train on them.
    """

    def __init__(
        self,
        source: Source,
        strategy: Strategy,
        plan: Plan,
        epochs: int | None = None,
        verbose: int = 1,
    ):
        workers.check_keras()
        plan.check_strategy(strategy)
        _check_is_free(strategy)
        self.source, self.strategy, self.plan, self.epochs = source, strategy, plan, epochs
        self._verbose = verbose
        self._said: set[str] = set()
        self._model: weakref.ref | None = None
        self._owner: weakref.ref | None = None
        self._thread: threading.Thread | None = None  # of the owner's fit
        self.fit: RunningFit | None = None
        self._device: str | None = None
        self._used = False
        self.resumed = False
        self.newest_backups: dict[str, int] = {}
        self._asked_for: tuple[int, bool] | None = None
        self._machines: tf.distribute.Strategy | None = None  # that trains on several machines
        self._build()
        self.describe_run(strategy.run_epochs, length_is_known=False)
        self._check_batches_fill()
        for each in strategies_in(strategy):
            each._selection = weakref.ref(self)

    def together(self) -> contextlib.AbstractContextManager:
        """Inside, sums are over all machines that train; all of them must enter it."""
        return workers.together(self._machines)

    def first_time(self, what: str) -> bool:
        """Whether this is asked for the first time of this dataset: some things are said once."""
        first = what not in self._said
        self._said.add(what)
        return first

    # Who leads the dataset.

    def attach(
        self,
        owner: Leader,
        model: tf.keras.Model,
        device: str | None,
        fit: RunningFit | None = None,
    ) -> None:
        """Gives the dataset to one fit; a model that is new to it starts it afresh.

        Args:
            owner: that leads it from now on.
            model: that is trained.
            device: where the strategy's state is to live; None: where TensorFlow puts it.
            fit: that begins; None where it is not known.

        Raises:
            RuntimeError: another fit, that runs still, has it.
        """
        here = threading.current_thread()
        holder, thread = self._holder(), self._thread
        if holder not in (None, owner) and thread is not None:
            elsewhere = thread is not here and thread.is_alive()
            if elsewhere or self.fit is not None:
                which = "another fit on the dataset within this one"
                if elsewhere:
                    which = f"a second fit while one runs in thread {thread.name!r}"
                raise RuntimeError(
                    "An adaptive dataset follows one fit at a time. "
                    f"Received: {which}. Make a dataset for each fit."
                )
        self._owner, self._thread, self.fit = weakref.ref(owner), here, fit
        if fit is not None:
            self.plan.holds = fit.is_running
        known = self._knows(model)
        machines = workers.strategy_of(model)
        if (self._used and not known) or device != self._device or machines is not self._machines:
            self._device = device
            self._join(machines)
            self._rebuild(keep=known)
        self._model = weakref.ref(model)
        self._used = True

    def completed_by(self, model: tf.keras.Model) -> int:
        """The epochs that a model has completed here; 0 for one that would start afresh."""
        return self.epoch if self._knows(model) else 0

    def _knows(self, model: tf.keras.Model) -> bool:
        return self._model is not None and self._model() is model

    def release(self, owner: Leader) -> None:
        """The fit of `owner` is over: iterations are fresh permutations again."""
        if self._owner is not None and self._owner() in (owner, None):
            self._let_go()

    @property
    def attached(self) -> bool:
        """Whether iterations follow a plan."""
        self._holder()
        return self.plan.ids is not None

    def _holder(self) -> Leader | None:
        """Who leads the dataset in a fit that runs; one that was interrupted is ended here."""
        if self._owner is None:
            return None
        owner = self._owner()
        if owner is None or not owner.is_running:
            self._let_go()
            return None
        return owner

    def _let_go(self) -> None:
        self._owner = self._thread = self.fit = None
        self.resumed = False
        self.plan.release()

    def _join(self, machines: tf.distribute.Strategy | None) -> None:
        """Notes that the samples here are one machine's part of all; None: that they are all."""
        self._machines = machines
        self.plan.draw_for_worker(None)
        if machines is not None:
            with self.together():
                check_shards(self)
                self.plan.draw_for_worker(workers.own_number())

    def describe_run(self, epochs: int, length_is_known: bool) -> None:
        """Tells the strategy of the run.

        Args:
            epochs: how many there will be, as far as the fit knows.
            length_is_known: whether the run will take them all.
        """
        self.strategy.run_epochs = self.epochs or epochs
        self.strategy.describe_run(
            length_is_known=length_is_known or self.epochs is not None,
            passes_per_epoch=self.plan.passes_per_epoch,
        )

    @property
    def passes(self) -> float:
        """How often the data was gone through: samples drawn in all epochs completed, over n."""
        return self.epoch * self.plan.draws / self.source.n

    # What it draws next.

    def start(self, refresh: bool) -> None:
        """Draws the first epoch of a fit; where it has another length, from a new distribution.

        Args:
            refresh: whether a new distribution is due.

        Raises:
            ValueError: a later epoch cannot be drawn in batches of this size.
        """
        self._check_batches_fill()
        changed = self._asked_for not in (None, self._run)
        if changed and refresh and self.strategy.warmup <= self.epoch > 0:
            self._ask_strategy(self.epoch - 1)
        self.draw()

    def draw(self) -> None:
        """Draws the plan of the epoch that comes next and has every pipeline follow it."""
        strategy, plan = self.strategy, self.plan
        weights = None
        if self.epoch < strategy.warmup:
            ids = plan.shuffled(strategy, self.epoch)
        else:
            if self.epoch == 0:  # before any visit there is no epoch to ask about
                self._ask_strategy(strategy.before_first_epoch)
            p = self.distribution.probabilities
            ids = plan.drawn(strategy, p, self.epoch)
            if plan.options.weighs:
                exponent = strategy._at(plan.options.exponent, self.epoch)
                weights = plan.importance_weights(p, ids, exponent)
        plan.follow(ids, weights)

    def advance(self, refresh: bool) -> None:
        """Counts a completed epoch and, with `refresh`, takes the strategy's new distribution."""
        self.epoch += 1
        self.plan.settle()
        if refresh and self.epoch >= self.strategy.warmup:
            self._ask_strategy(self.epoch - 1)

    def resume(
        self, model: tf.keras.Model, epoch: int, distribution: Distribution, owed: np.ndarray
    ) -> None:
        """Goes on with a model from a backup; the strategy's state was put back already."""
        self._holder()
        self._model = weakref.ref(model)
        self._used = self.resumed = True
        self._asked_for = None
        self.epoch, self.distribution, self.plan.owed = epoch, distribution, owed

    @property
    def _run(self) -> tuple[int, bool]:
        """What the strategy knows of the run's length."""
        return self.strategy.run_epochs, self.strategy.length_is_known

    def _ask_strategy(self, epoch: int) -> None:
        self._asked_for = self._run
        with self.together():
            asked = Distribution.of(self.strategy, epoch)
        require(
            asked.probabilities.shape == (self.source.n,),
            "A strategy must give one probability for each sample that it was built on",
            f"shape {asked.probabilities.shape} for {self.source.kept}, from {self.strategy!r}",
            "Make them of the y that `build` gets; of what you have for each sample of the dataset "
            "take the rows `self.sample_ids`, if that is not None",
        )
        p = self.plan.in_force(self.strategy, asked.probabilities)
        self.distribution = dataclasses.replace(asked, probabilities=p)
        cut = np.maximum(asked.probabilities - p, 0.0)
        if cut.sum() > 0.01 and self.first_time("cut"):
            draws, most = self.plan.draws, int(asked.probabilities.argmax())
            given = self.source.kept.as_given(np.array(most))
            warn(
                "Some samples would come more often than there are batches, and no batch holds a "
                f"sample twice. Received: probabilities that ask for {cut.sum():.0%} of the draws "
                f"too many, sample {given} to come {draws * asked.probabilities[most]:.1f} times "
                f"an epoch instead of {draws * p[most]:.1f}. They go to the other samples, as "
                "`probabilities` of the dataset shows. Use smaller batches, on a stream a larger "
                "`window`, or a strategy that leaves more to the other samples.",
            )

    def _check_batches_fill(self) -> None:
        """Looks at distributions that are known before the run: later, a fit would break off."""
        strategy = self.strategy
        own = type(strategy).plan is not Strategy.plan or strategy.own_plan
        if self.plan.options.draws == "independent" and not own:
            with self.together():
                for p in strategy._known_distributions():
                    check_enough(np.asarray(p), self.plan.batch_size)

    def _build(self) -> None:
        """Starts afresh: nothing recorded, no epoch completed."""
        replicas.outside_scopes(self._build_strategy)
        self.plan.set_pass(self.strategy.epoch_draws() or self.source.n)
        self.plan.reset()
        with self.together():
            self.statistics = EpochStatistics(self.source.labels, self.plan.draws)
        self.epoch = 0
        self._asked_for = None
        self.distribution = Distribution.uniform(self.source.n, self.statistics.share)

    def _build_strategy(self) -> None:
        source, features = self.source, self.source.features
        if features is None and source.neighbors is None and self.strategy.uses_neighbors:
            features = source.searchable()
        for each in strategies_in(self.strategy):
            each.sample_ids = source.kept.ids
            each._samples_given = source.kept.given
        device = tf.device(self._device) if self._device else contextlib.nullcontext()
        with self.together(), verbosity(self._verbose), device:
            self.strategy.build(
                source.labels.table(), features=features, neighbors=source.neighbors
            )

    def _rebuild(self, keep: bool) -> None:
        """Builds the strategy again, afresh or with all that it remembers."""
        epoch, distribution, owed = self.epoch, self.distribution, self.plan.owed
        state = {name: variable.numpy() for name, variable in self.strategy.state.items() if keep}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # said when the dataset was made
            self._build()
        for name, value in state.items():
            self.strategy.state[name].assign(value)
        if keep:
            self.epoch, self.distribution, self.plan.owed = epoch, distribution, owed
        else:
            self.newest_backups = {}


def _check_is_free(strategy: Strategy) -> None:
    """A strategy remembers one training set; a second dataset would overwrite the first's."""
    for each in strategies_in(strategy):
        holder = getattr(each, "_selection", None)
        if holder is not None and holder() is not None:
            part = "" if each is strategy else f" its part {each!r},"
            raise ValueError(
                "A strategy object remembers the samples of one dataset. "
                f"Received: strategy={strategy!r},{part} which another adaptive dataset uses. "
                "Pass a new one, e.g. type(strategy).from_config(strategy.get_config())."
            )
