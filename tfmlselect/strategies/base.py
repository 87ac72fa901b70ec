"""The base classes of strategies: what every strategy must answer, and what several share.

How a distribution is computed is not here: each method has a file of its own.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from tfmlselect import sampling, schedules
from tfmlselect._checks import check_whole
from tfmlselect.distributed import workers
from tfmlselect.labels import Labels, check_labels
from tfmlselect.schedules import Schedule, check_point, warmup_epochs
from tfmlselect.scoring.memories import Predictions, Signal
from tfmlselect.strategies.argument_text import schedule_as_typed, value_as_typed

Array: TypeAlias = np.ndarray | tf.Tensor

DEFAULT_EPOCHS = 100
LONGEST_WARMUP = 5  # epochs, of a warm-up that nobody chose: a run may stop early


class Strategy:
    """Turns what training recorded into the distribution that the next epoch is drawn from.

    A strategy works alone, without dataset or model: `build` it on labels, tell it of visits with
    `observe`, ask for `probabilities`. To write your own, subclass and write these three methods;
    keep what you remember in `tf.Variable` attributes, and `state`, saving and restoring follow.

    Args:
        warmup: first epochs that are uniform permutations. A float is a fraction of the run, an
            int is a number of epochs (passes, where `samples_per_epoch` cuts them). None:
            `published_warmup`, but at most 5 epochs.
        epochs: the run's length, for schedules. None: that of the fit, or 100 where a strategy is
            used alone.

    Attributes:
        uses_neighbors: whether `build` searches or takes nearest neighbours.
        uses_predictions: whether `observe` does anything; if not, no predictions are kept.
        own_plan: whether `plan` does more than draw from `probabilities`.
        before_first_epoch: the `epoch` that `probabilities` and `figures` are asked with before the
            first epoch: 0, or -1 where epochs 0 and 1 may differ though nothing was recorded.
        published_warmup: the point of the run until which the source of a strategy warms up.
        sample_ids: (m,) int64, the samples that `build` gets, by their numbers among those that
            the dataset was given, where some have weight 0 and are left out; None: all. A strategy
            that has something of its own for each sample takes these rows of it.
        passes_per_epoch: 1.0, or less where `samples_per_epoch` cuts a pass over the data into
            several epochs.

    Raises:
        ValueError: an argument outside its range.

    Example:
        >>> import numpy as np, tensorflow as tf, tfmlselect as tfml
        >>> class HighestLoss(tfml.strategies.Strategy):
        ...     def build(self, y, features=None, neighbors=None):
        ...         self.y = tf.constant(y, tf.float32)
        ...         self.loss = tf.Variable(tf.fill([len(y)], 0.693))
        ...
        ...     def observe(self, ids, y_pred, loss=None):
        ...         error = tf.reduce_mean(tf.abs(tf.gather(self.y, ids) - y_pred), axis=1)
        ...         self.loss.scatter_update(tf.IndexedSlices(error, ids))
        ...
        ...     def probabilities(self, epoch):
        ...         return tfml.sampling.pressure_probabilities(self.loss, 8.0)
        >>> strategy = HighestLoss()
        >>> strategy.build(np.eye(4))
        >>> strategy.observe(np.array([0, 2]), np.array([[0.9, 0, 0, 0], [0, 0, 0.1, 0]], "f"))
        >>> bool(strategy.probabilities(0)[2] > strategy.probabilities(0)[0])
        True
    """

    uses_neighbors = False
    uses_predictions = True
    own_plan = False
    before_first_epoch = 0
    published_warmup: float = 0

    def __init__(self, *, warmup: float | None = 0, epochs: int | None = None):
        self.epochs = None if epochs is None else check_whole("epochs", epochs, 1)
        self._warmup = None if warmup is None else check_point("warmup", warmup)
        self._planned_epochs = DEFAULT_EPOCHS
        self._length_is_known = False
        self.sample_ids: np.ndarray | None = None
        self._samples_given: int | None = None  # of which `sample_ids` are some
        self.passes_per_epoch = 1.0
        self._selection: weakref.ref[Any] | None = None  # to what uses this strategy

    def build(self, y: Any, features: Any = None, neighbors: Any = None) -> None:
        """Starts afresh on a training set: whatever was recorded before is gone.

        Args:
            y: labels (n, q), 0/1; where the dataset has unknown ones, by `missing`, float32 with
                NaN for these. The package's own strategies take all that `adaptive_dataset` takes,
                and NaN.
            features: (n, d) array or scipy.sparse matrix that neighbours are searched in, or None.
            neighbors: ids (n, k) of each sample's nearest neighbours, the nearest first, or None;
                more columns than needed are left out.

        Raises:
            ValueError: y holds no valid labels; features or neighbours are needed, and not given
                or of another shape.
        """
        self._build(_checked_labels(y), features, neighbors)

    def _build(self, labels: Labels, features: Any, neighbors: Any) -> None:
        """What `build` does in a strategy of the package.

        Args:
            labels: checked. The matrix may be the caller's own: neither write to it nor keep it.
                That some entries are unknown, `labels.known`, is so on all workers, or on none.
            features: as `build`.
            neighbors: as `build`.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a `build` method.")

    def observe(self, ids: Array, y_pred: Array, loss: Array | None = None) -> None:
        """Takes in one batch of predictions; may run inside a `tf.function`.

        Each sample's visits come in order; which samples come together is not the training's batch.

        Args:
            ids: which samples, (b,) integers, distinct.
            y_pred: predicted probabilities (b, q), float32, finite: a fit leaves other rows out.
            loss: per-label loss (b, q), float32, finite, where the callback was given one; 0 where
                the label is unknown.

        Raises:
            ValueError: a value that is not finite; not within a `tf.function`.
        """
        raise NotImplementedError(f"{type(self).__name__} needs an `observe` method.")

    def probabilities(self, epoch: int) -> tf.Tensor:
        """The distribution from what is recorded at the end of `epoch`, for the epoch after it.

        Args:
            epoch: counted from 0.

        Returns:
            (n,) float64, sums to 1. On several machines it does so over the samples of all of them,
            with counts and sums from `distributed.workers`.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a `probabilities` method.")

    def _known_distributions(self) -> list[tf.Tensor]:
        """Those after the warm-up and at the end of the run, if no prediction changes them."""
        if self.uses_predictions:
            return []
        asked = {max(at, self.before_first_epoch) for at in (self.warmup - 1, self.run_epochs - 2)}
        return [self.probabilities(epoch) for epoch in sorted(asked)]

    def figures(self, epoch: int) -> dict[str, float]:
        """The numbers that `probabilities(epoch)` was made with, by name, to be shown beside it.

        None by default. The strategies of the package name "pressure", "mixture_weight", "share"
        and "part", where they have them.

        Args:
            epoch: counted from 0, as in `probabilities`.
        """
        return {}

    def plan(
        self,
        probabilities: Array,
        batch_size: int,
        seed: int,
        epoch: int,
        drop_remainder: bool = False,
    ) -> np.ndarray:
        """The samples of an epoch, in the order of training: int64 ids, `batch_size` a batch.

        By default `tfmlselect.sampling.draw_epoch`, whose arguments these are: each batch is drawn
        on its own. A dataset calls it only where a subclass has its own, or with
        `draws="independent"`; else it draws epochs systematically, from `probabilities`.
        """
        return sampling.draw_epoch(probabilities, batch_size, seed, epoch, drop_remainder)

    def epoch_draws(self) -> int | None:
        """How many draws a pass over the data has; None: one for each sample.

        Asked once, after the first `build`: the length of an epoch does not change.
        """
        return None

    def score_parts(self, ids: Array) -> dict[str, tf.Tensor]:
        """What the scores of some samples are made of, from what is recorded now.

        The parts of a score add up to it. `AdaptiveDataset.inspect` shows them. By default there
        are none.

        Args:
            ids: which samples, (b,) integers.

        Returns:
            Name -> (b,) floats.
        """
        return {}

    def latest_predictions(self, ids: Array) -> np.ndarray | None:
        """The latest recorded predictions of some samples; None where a strategy keeps none.

        Args:
            ids: which samples, (b,) integers.

        Returns:
            (b, q) float32, NaN for samples that were not visited yet.
        """
        kept = [signal for signal in vars(self).values() if isinstance(signal, Predictions)]
        return kept[0].latest(ids).numpy() if kept else None

    @property
    def run_epochs(self) -> int:
        """The run's length for schedules, which is `epochs`, else that of the fit, else 100."""
        return self.epochs or self._planned_epochs

    @run_epochs.setter
    def run_epochs(self, epochs: int) -> None:
        self._set_run_length(epochs)

    def _set_run_length(self, epochs: int) -> None:
        self._planned_epochs = epochs

    def describe_run(self, *, length_is_known: bool, passes_per_epoch: float = 1.0) -> None:
        """Says what schedules must know of the fit; the callback calls it when a fit begins.

        Args:
            length_is_known: whether the fit will take `run_epochs`; an early stop may end it
                sooner.
            passes_per_epoch: draws of an epoch over those of a pass over the data, in (0, 1].
        """
        self._length_is_known = length_is_known
        self.passes_per_epoch = passes_per_epoch

    @property
    def length_is_known(self) -> bool:
        """Whether the run will take `run_epochs`: `epochs` was given, or the fit says so."""
        return self.epochs is not None or self._length_is_known

    @property
    def warmup(self) -> int:
        """How many first epochs are uniform permutations."""
        if self._warmup is None:
            published, most = (
                warmup_epochs(point, self.run_epochs, self.passes_per_epoch)
                for point in (self.published_warmup, LONGEST_WARMUP)
            )
            return min(published, most)
        return warmup_epochs(self._warmup, self.run_epochs, self.passes_per_epoch)

    def _at(self, schedule: Schedule, epoch: int) -> float:
        """A schedule's value: its whole numbers of epochs are passes over the data."""
        if self.passes_per_epoch == 1.0:
            return schedule(epoch, self.run_epochs)
        passes = self.passes_per_epoch
        return schedule(epoch * passes, self.run_epochs * passes)

    @property
    def state(self) -> dict[str, tf.Variable]:
        """All that is remembered, name -> variable; backups know it by these names.

        A `tf.Variable` has the name of its attribute, without a leading underscore.
        """
        found = {}
        for name, value in vars(self).items():
            if isinstance(value, tf.Variable):
                found[name.lstrip("_")] = value
            elif isinstance(value, Signal):
                found |= value.state
        return found

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as plain Python values."""
        return {"warmup": self._warmup, "epochs": self.epochs}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Strategy:
        """A new, unbuilt strategy from `get_config()`."""
        return cls(**config)

    def __repr__(self) -> str:
        return self._as_typed(self.get_config())

    def _as_typed(self, config: dict[str, Any]) -> str:
        """The call that makes a strategy of this config."""
        arguments = [f"{name}={self._argument(name, value)}" for name, value in config.items()]
        return f"{type(self).__name__}({', '.join(arguments)})"

    def _argument(self, name: str, value: Any) -> str:
        """An argument as one would type it; `value` is what the config has for it."""
        kept = vars(self).get(name)
        return schedule_as_typed(kept) if isinstance(kept, Schedule) else value_as_typed(value)


class CompiledStrategy(Strategy):
    """A strategy whose distribution is one TensorFlow function, compiled once for each `build`.

    A subclass writes `_build` and `_distribution_ops`, and says in `_figures_taken` which of its
    `figures` the latter takes, in this order.
    """

    _figures_taken: tuple[str, ...] = ()
    _distribution_ops: Callable[..., tf.Tensor]  # scalar tensors -> (n,) float64
    _distribution: Callable[..., tf.Tensor]

    def build(self, y: Any, features: Any = None, neighbors: Any = None) -> None:
        """As `Strategy.build`."""
        super().build(y, features, neighbors)
        self._distribution = workers.compiled(self._distribution_ops)

    def probabilities(self, epoch: int) -> tf.Tensor:
        """The distribution for the epoch after `epoch`: (n,) float64, sums to 1."""
        figures = self.figures(epoch)
        taken = (tf.constant(figures[name], tf.float64) for name in self._figures_taken)
        return self._distribution(*taken)


class PressureStrategy(CompiledStrategy):
    """A strategy with a selection pressure.

    Args:
        pressure: selection pressure s, a number or a `tfmlselect.schedules.Schedule`.
        decay_start: the point of the run from which a pressure that is a number falls, to 1 at its
            end; None: it stays.
        warmup: as `Strategy`.
        epochs: as `Strategy`.
    """

    _figures_taken: tuple[str, ...] = ("pressure",)

    def __init__(
        self,
        pressure: float | Schedule,
        decay_start: float | None,
        *,
        warmup: float | None,
        epochs: int | None,
    ):
        super().__init__(warmup=warmup, epochs=epochs)
        self._decay_start = None if decay_start is None else check_point("decay_start", decay_start)
        self.pressure = schedules.pressure(pressure, decay_start)

    def figures(self, epoch: int) -> dict[str, float]:
        """The selection pressure."""
        return {"pressure": self._at(self.pressure, epoch)}

    def _argument(self, name: str, value: Any) -> str:
        if name != "pressure":
            return super()._argument(name, value)
        return schedule_as_typed(
            self.pressure, lambda number: schedules.pressure(number, self._decay_start)
        )


class ScoredStrategy(PressureStrategy):
    """A strategy whose distribution is the pressure law over one score."""

    def scores(self) -> tf.Tensor:
        """The score of each sample, the larger the more often drawn: (n,)."""
        raise NotImplementedError

    def _distribution_ops(self, pressure: tf.Tensor) -> tf.Tensor:
        return sampling.pressure_probabilities(self.scores(), pressure)


_MOST_PARTS = 1000  # a longer list is one of numbers


def strategies_in(value: Any) -> list[Strategy]:
    """A strategy and all that it is made of, each once.

    They are looked for among its attributes, in short lists, tuples and dicts, and in what is
    found.
    """
    seen: dict[int, Any] = {}  # by id; what is seen is kept, so that no id comes again
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        if isinstance(value, Strategy):
            inside: Iterable[Any] = vars(value).values()
        elif isinstance(value, (dict, list, tuple)) and len(value) <= _MOST_PARTS:
            inside = value.values() if isinstance(value, dict) else value
        else:
            continue
        seen[id(value)] = value
        waiting.extend(inside)
    return [each for each in seen.values() if isinstance(each, Strategy)]


def _checked_labels(y: Any) -> Labels:
    """Labels, of which NaN are unknown.

    A dataset hands over what it has checked itself: labels of this form are looked at once, which
    takes little time, and not copied.
    """
    plain = type(y) is np.ndarray and y.dtype == np.uint8 and y.ndim == 2 and y.flags.c_contiguous
    if plain and y.size > 0 and y.shape[1] >= 2 and y.max() <= 1:
        labels = Labels(y, single_label=False)
    else:
        vector = np.ndim(y) == 1  # class ids, which have no unknown entries
        labels = check_labels(y, missing=None if vector else np.nan)
    # Sums over several workers must have one form, whichever has unknown entries.
    if workers.are_several():
        somewhere = int(workers.total(np.int64(labels.known is not None))) > 0
        if somewhere and labels.known is None:
            labels = labels._replace(known=np.ones(labels.matrix.shape, bool))
    return labels
