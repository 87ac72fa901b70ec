"""What an adaptive dataset and its callback share: samples, strategy, plan and epoch counter."""

from __future__ import annotations

import contextlib
import threading
import warnings
import weakref
from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect import strategies
from tfmlselect._progress import verbosity
from tfmlselect.distributed import replicas, workers
from tfmlselect.distributed.shard_checks import check_shards
from tfmlselect.labels import Labels, label_odds, minority_labels
from tfmlselect.pipeline import selection_checks
from tfmlselect.pipeline.arrays import Source
from tfmlselect.pipeline.epoch_figures import epoch_figures, shard_imbalance
from tfmlselect.pipeline.plan import Plan
from tfmlselect.pipeline.streams import StreamPlan, StreamSource
from tfmlselect.scoring.neighbors import check_features


class Selection:
    """A training set, the strategy that selects from it, and how far training has come.

    Arguments as `tfmlselect.adaptive_dataset` and `tfmlselect.adaptive`, `source` and `labels` in
    place of the data; with a `window` the source is a stream.

    Attributes:
        source, labels, strategy, plan: what they are called.
        epoch: epochs completed.
        probabilities: (n,) float64, the distribution of the epoch that comes next or runs now.
        seed: of the draws; on several machines each has one of its own, made of it.
        repeatable: whether the seed was given.
        mass: the share of the distribution over all workers' samples that these n have.
        in_force: the strategy's figures for that distribution; empty before there is one.
        counts: (q,) positives of each label, of all workers' samples.
        warned, warned_not_finite: whether it was said that no callback leads the iterations, that
            predictions were not finite.
    """

    def __init__(
        self,
        source: Source | StreamSource,
        labels: Labels,
        strategy: Any,
        batch_size: int,
        seed: int | None,
        drop_remainder: bool,
        features: Any,
        neighbors: Any,
        window: int | None = None,
        verbose: int = 1,
    ):
        workers.check_keras()
        self.labels = labels
        self._verbose = verbose
        self.strategy = strategies.get(strategy)
        self.source = source
        selection_checks.check_batch_size(batch_size, source.n)
        self.seed, self.repeatable = selection_checks.checked_seed(seed), seed is not None
        arguments = (source.n, int(batch_size), self.seed, bool(drop_remainder))
        self.plan: Plan
        if isinstance(source, StreamSource):
            selection_checks.check_window(window, batch_size, self.strategy)
            self.plan = StreamPlan(*arguments, int(window or 0))
        else:
            self.plan = Plan(*arguments)
        self._features, self._neighbors = features, neighbors
        if features is not None:
            self._features = check_features(features, source.n)
        elif neighbors is None and self.strategy.uses_neighbors:
            self._features = selection_checks.searchable(source.x)
        self._check_strategy_is_free()
        self._model: weakref.ref | None = None
        self._owner: tuple[weakref.ref, threading.Thread] | None = None
        self._device: str | None = None
        self._used = False
        self._workers: Any = None  # the strategy that trains on several machines
        self.warned = self.warned_not_finite = False
        self._build()
        self.strategy._selection = weakref.ref(self)

    def _check_strategy_is_free(self) -> None:
        """A strategy remembers one training set; a second dataset would overwrite the first's."""
        holder = getattr(self.strategy, "_selection", None)
        if holder is not None and holder() is not None:
            raise ValueError(
                "A strategy object remembers the samples of one dataset. "
                f"Received: strategy={self.strategy!r}, which another adaptive dataset uses. "
                "Pass a new one, e.g. type(strategy).from_config(strategy.get_config())."
            )

    def _build(self) -> None:
        replicas.unmirrored(self._build_strategy)
        self.epoch = 0
        self.in_force: dict[str, float] = {}
        self.probabilities = np.full(self.source.n, 1.0 / self.source.n)
        matrix = self.labels.matrix
        with workers.sharing(self._workers):
            self.counts = workers.total(matrix.sum(axis=0, dtype=np.int64)).numpy()
            drawn = int(workers.total(self.plan.draws))
        self._minority_rows: Any = matrix[:, minority_labels(self.counts)].any(axis=1)
        self._share = self.plan.draws / drawn  # of all workers' draws
        self.mass = self._share

    def _build_strategy(self) -> None:
        device = tf.device(self._device) if self._device else contextlib.nullcontext()
        with workers.sharing(self._workers), verbosity(self._verbose), device:
            self.strategy.build(
                self.labels.matrix, features=self._features, neighbors=self._neighbors
            )

    def attach(self, owner: Any, model: Any, device: str | None) -> None:
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
        spread = workers.of_model(model)
        if (self._used and not known) or device != self._device or spread is not self._workers:
            self._device = device
            self._join(spread)
            self._rebuild(keep=known)
        self._model = weakref.ref(model)
        self._used = True

    def _join(self, strategy: Any) -> None:
        """Makes the samples one worker's shard of those of all, or the whole again."""
        self._workers = strategy
        self.plan.seed = self.seed
        if strategy is None:
            return
        with workers.sharing(strategy):
            check_shards(self)
            own = np.random.SeedSequence(self.seed, spawn_key=(workers.number(),))
        self.plan.seed = int(own.generate_state(1)[0])

    def _rebuild(self, keep: bool) -> None:
        """Builds the strategy again, afresh or with all that it remembers."""
        kept = self.epoch, self.probabilities, self.mass, self.in_force
        state = {name: variable.numpy() for name, variable in self.strategy.state.items() if keep}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # said when the dataset was made
            self._build()
        for name, value in state.items():
            self.strategy.state[name].assign(value)
        if keep:
            self.epoch, self.probabilities, self.mass, self.in_force = kept

    def resume(
        self,
        model: Any,
        epoch: int,
        probabilities: np.ndarray,
        mass: float,
        in_force: dict[str, float],
    ) -> None:
        """Goes on with a model from a backup; the strategy's state was put back already."""
        self._model = weakref.ref(model)
        self._used = True
        self.epoch, self.probabilities, self.mass = epoch, probabilities, mass
        self.in_force = in_force

    def release(self, owner: Any) -> None:
        """The fit of `owner` is over: iterations are fresh permutations again."""
        if self._owner is not None and self._owner[0]() in (owner, None):
            self._owner = None
            self.plan.release()

    @property
    def attached(self) -> bool:
        """Whether iterations follow a plan."""
        return self.plan.ids is not None

    def draw(self) -> None:
        """Draws the plan of the epoch that comes next and has every pipeline follow it."""
        if self.epoch < self.strategy.warmup:
            ids = self.plan.permutation(self.epoch)
        else:
            if self.epoch == 0:
                self._take_distribution(0)
            ids = self.plan.drawn(self.strategy, self.probabilities, self.epoch)
        self.plan.follow(ids)

    def advance(self, refresh: bool) -> None:
        """Counts a completed epoch and, with `refresh`, takes the strategy's new distribution."""
        self.epoch += 1
        if refresh and self.epoch >= self.strategy.warmup:
            self._take_distribution(self.epoch - 1)

    def _take_distribution(self, epoch: int) -> None:
        with workers.sharing(self._workers):
            p = np.asarray(self.strategy.probabilities(epoch))
            if workers.several():
                here = p.sum()
                self.mass = here / float(workers.total(here))
                p = p / here if here > 0 else np.full(len(p), 1.0 / len(p))
        self.probabilities = p
        figures = self.strategy.figures(epoch)
        self.in_force = {name: float(value) for name, value in figures.items()}

    def odds(self) -> np.ndarray:
        """Positives over negatives of each label in the draws of the coming epoch: (q,)."""
        p = self._share * self.probabilities
        with workers.sharing(self._workers):
            share = workers.total(self.labels.sums(p)).numpy()
            return label_odds(share, float(workers.total(p.sum())))

    def score_parts(self, ids: np.ndarray) -> dict[str, np.ndarray]:
        """What the scores of some samples are made of: name -> (b,) float64."""
        with workers.sharing(self._workers):
            parts = self.strategy.score_parts(ids)
        return {name: np.asarray(values, np.float64) for name, values in parts.items()}

    def warn_not_finite(self, rows: int) -> None:
        """Says once that predictions were left out."""
        if not self.warned_not_finite:
            self.warned_not_finite = True
            warnings.warn(
                f"Predictions were not finite and are left out. Received: {rows} rows with NaN "
                f"or infinity in epoch {self.epoch}; their samples keep the last good value. Lower "
                "the learning rate or clip gradients.",
                stacklevel=3,
            )

    def figures(self) -> tuple[dict[str, float], dict[str, np.ndarray]]:
        """What History shows of the epoch that was just drawn and trained: numbers, arrays (q,)."""
        p = self._share * self.probabilities
        with workers.sharing(self._workers):
            numbers, arrays = epoch_figures(
                p, self.plan.ids, self.labels, self.counts, self._minority_rows
            )
            if self._workers is not None:
                numbers["selection/shard_imbalance"] = shard_imbalance(self.mass, self._share)
        return numbers, arrays

    def batches(self) -> tf.data.Dataset:
        """The pipeline that follows the plan."""
        return _counted(self.source.batches(self.plan), self.plan.steps)

    def in_order(self) -> tf.data.Dataset:
        """All samples once, 0 to n - 1."""
        size = self.plan.batch_size
        return _counted(self.source.in_order(size), -(-self.source.n // size))


def _counted(dataset: tf.data.Dataset, steps: int) -> tf.data.Dataset:
    counted = dataset.apply(tf.data.experimental.assert_cardinality(steps))
    return counted.prefetch(tf.data.AUTOTUNE)
