"""What a dataset and its callback share: who leads the dataset, and what is drawn next."""

from __future__ import annotations

import contextlib
import threading
import warnings
import weakref

import tensorflow as tf

from tfmlselect._progress import verbosity
from tfmlselect.distributed import replicas, workers
from tfmlselect.distributed.shard_checks import check_shards
from tfmlselect.pipeline.distribution import Distribution
from tfmlselect.pipeline.epoch_statistics import EpochStatistics
from tfmlselect.pipeline.plan import Plan
from tfmlselect.pipeline.source import Source
from tfmlselect.strategies import Strategy


class Selection:
    """A training set, the strategy that selects from it, and how far training has come.

    It belongs to one fit at a time (`attach`, `release`), and goes from epoch to epoch (`draw`,
    `advance`). What the steps predict is not its business: the callback hands that to the strategy.

    Args:
        source: the samples.
        strategy: of this dataset alone; it is built here.
        plan: the source's.
        verbose: 1 shows how far a long search of neighbours is, 0 is silent.

    Attributes:
        source, strategy, plan: what they are called.
        epoch: epochs completed.
        distribution: of the epoch that comes next or runs now.
        statistics: measures how epochs are drawn.

    Raises:
        ValueError: the strategy is of another dataset, or its plans do not fit the source.
        RuntimeError: several machines with Keras 3, which cannot train on them.
    """

    def __init__(self, source: Source, strategy: Strategy, plan: Plan, verbose: int = 1):
        workers.check_keras()
        plan.check_strategy(strategy)
        _check_is_free(strategy)
        self.source, self.strategy, self.plan = source, strategy, plan
        self._verbose = verbose
        self._said: set[str] = set()
        self._model: weakref.ref | None = None
        self._owner: tuple[weakref.ref, threading.Thread] | None = None
        self._device: str | None = None
        self._used = False
        self._machines: tf.distribute.Strategy | None = None  # that trains on several machines
        self._build()
        strategy._selection = weakref.ref(self)

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
        self, owner: tf.keras.callbacks.Callback, model: tf.keras.Model, device: str | None
    ) -> None:
        """Gives the dataset to one fit; a model that is new to it starts it afresh.

        Raises:
            RuntimeError: a fit that runs in another thread has it.
        """
        here = threading.current_thread()
        if self._owner is not None:
            holder, thread = self._owner
            elsewhere = thread is not here and thread.is_alive()
            if elsewhere and holder() is not None and holder() is not owner:
                raise RuntimeError(
                    "An adaptive dataset follows one fit at a time. Received: a second fit while "
                    f"one runs in thread {thread.name!r}. Make a dataset for each fit."
                )
        self._owner = (weakref.ref(owner), here)
        known = self._model is not None and self._model() is model
        machines = workers.strategy_of(model)
        if (self._used and not known) or device != self._device or machines is not self._machines:
            self._device = device
            self._join(machines)
            self._rebuild(keep=known)
        self._model = weakref.ref(model)
        self._used = True

    def release(self, owner: tf.keras.callbacks.Callback) -> None:
        """The fit of `owner` is over: iterations are fresh permutations again."""
        if self._owner is not None and self._owner[0]() in (owner, None):
            self._owner = None
            self.plan.release()

    @property
    def attached(self) -> bool:
        """Whether iterations follow a plan."""
        return self.plan.ids is not None

    def _join(self, machines: tf.distribute.Strategy | None) -> None:
        """Notes that the samples here are one machine's part of all; None: that they are all."""
        self._machines = machines
        self.plan.draw_for_worker(None)
        if machines is not None:
            with self.together():
                check_shards(self)
                self.plan.draw_for_worker(workers.own_number())

    # What it draws next.

    def draw(self) -> None:
        """Draws the plan of the epoch that comes next and has every pipeline follow it."""
        if self.epoch < self.strategy.warmup:
            ids = self.plan.permutation(self.epoch)
        else:
            if self.epoch == 0:  # before any visit there is no epoch to ask about
                self._ask_strategy(self.strategy.before_first_epoch)
            ids = self.plan.drawn(self.strategy, self.distribution.probabilities, self.epoch)
        self.plan.follow(ids)

    def advance(self, refresh: bool) -> None:
        """Counts a completed epoch and, with `refresh`, takes the strategy's new distribution."""
        self.epoch += 1
        if refresh and self.epoch >= self.strategy.warmup:
            self._ask_strategy(self.epoch - 1)

    def resume(self, model: tf.keras.Model, epoch: int, distribution: Distribution) -> None:
        """Goes on with a model from a backup; the strategy's state was put back already."""
        self._model = weakref.ref(model)
        self._used = True
        self.epoch, self.distribution = epoch, distribution

    def _ask_strategy(self, epoch: int) -> None:
        with self.together():
            self.distribution = Distribution.of(self.strategy, epoch)

    def _build(self) -> None:
        """Starts afresh: nothing recorded, no epoch completed."""
        replicas.outside_scopes(self._build_strategy)
        with self.together():
            self.statistics = EpochStatistics(self.source.labels, self.plan.draws)
        self.epoch = 0
        self.distribution = Distribution.uniform(self.source.n, self.statistics.share)

    def _build_strategy(self) -> None:
        source, features = self.source, self.source.features
        if features is None and source.neighbors is None and self.strategy.uses_neighbors:
            features = source.searchable()
        device = tf.device(self._device) if self._device else contextlib.nullcontext()
        with self.together(), verbosity(self._verbose), device:
            self.strategy.build(source.labels.matrix, features=features, neighbors=source.neighbors)

    def _rebuild(self, keep: bool) -> None:
        """Builds the strategy again, afresh or with all that it remembers."""
        epoch, distribution = self.epoch, self.distribution
        state = {name: variable.numpy() for name, variable in self.strategy.state.items() if keep}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # said when the dataset was made
            self._build()
        for name, value in state.items():
            self.strategy.state[name].assign(value)
        if keep:
            self.epoch, self.distribution = epoch, distribution


def _check_is_free(strategy: Strategy) -> None:
    """A strategy remembers one training set; a second dataset would overwrite the first's."""
    holder = getattr(strategy, "_selection", None)
    if holder is not None and holder() is not None:
        raise ValueError(
            "A strategy object remembers the samples of one dataset. "
            f"Received: strategy={strategy!r}, which another adaptive dataset uses. "
            "Pass a new one, e.g. type(strategy).from_config(strategy.get_config())."
        )
