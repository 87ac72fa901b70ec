"""What every strategy is: labels in, visits in, a distribution over the samples out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect import sampling
from tfmlselect.schedules import Schedule, check_knot, warmup_epochs
from tfmlselect.scoring.memories import Predictions, variables_of

DEFAULT_EPOCHS = 100


class Strategy:
    """Turns what training recorded into the distribution that the next epoch is drawn from.

    A strategy works alone, without dataset or model: `build` it on labels, tell it of visits with
    `observe`, ask for `probabilities`. To write your own, subclass and fill in these three; keep
    what you remember in `tf.Variable` attributes, and `state`, saving and restoring follow.

    Args:
        warmup: first epochs that are uniform permutations. A float is a fraction of the run, an
            int is a number of epochs.
        epochs: the run's length, for schedules. None: the callback fills it in, and a strategy
            used alone takes 100.

    Attributes:
        uses_neighbors: whether `build` searches or takes nearest neighbours.
        uses_predictions: whether `observe` does anything; where it does not, nothing is recorded.
        own_plan: whether `plan` does more than draw from `probabilities`.

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

    def __init__(self, *, warmup: float = 0, epochs: int | None = None):
        check_knot("warmup", warmup)
        if epochs is not None and (isinstance(epochs, bool) or epochs != int(epochs) or epochs < 1):
            raise ValueError(
                "`epochs` is the run's length. "
                f"Received: epochs={epochs!r}. Pass a whole number >= 1, or None."
            )
        self.epochs = None if epochs is None else int(epochs)
        self._warmup = warmup
        self._planned_epochs = DEFAULT_EPOCHS
        self._selection: Any = None  # a weak reference to what uses this strategy

    def build(self, y, features=None, neighbors=None) -> None:
        """Starts afresh on a training set: whatever was recorded before is gone.

        Args:
            y: labels (n, q), 0/1.
            features: (n, d) array or scipy.sparse matrix that neighbours are searched in, or None.
            neighbors: ids (n, k) of each sample's nearest neighbours, or None.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a `build` method.")

    def observe(self, ids, y_pred, loss=None) -> None:
        """Takes in one batch of predictions; may run inside a `tf.function`.

        Each sample's visits come in order; which samples come together is not the training's batch.

        Args:
            ids: which samples, (b,) integers, distinct.
            y_pred: predicted probabilities (b, q), float32.
            loss: per-label loss (b, q), float32, where the callback was given one.
        """
        raise NotImplementedError(f"{type(self).__name__} needs an `observe` method.")

    def probabilities(self, epoch: int) -> tf.Tensor:
        """The distribution from what is recorded at the end of `epoch`, for the epoch after it.

        Args:
            epoch: counted from 0.

        Returns:
            (n,) float64, sums to 1.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a `probabilities` method.")

    def figures(self, epoch: int) -> dict[str, float]:
        """What `probabilities(epoch)` was made with, by name, to be shown beside it.

        By default nothing. Those of the package say "pressure" and "mixture_weight", where they
        have them.

        Args:
            epoch: counted from 0, as in `probabilities`.
        """
        return {}

    def plan(
        self, probabilities, batch_size: int, seed: int, epoch: int, drop_remainder: bool = False
    ) -> np.ndarray:
        """The samples of an epoch, in the order of training: int64 ids, `batch_size` a batch.

        By default `tfmlselect.sampling.draw_epoch`, whose arguments these are.
        """
        return sampling.draw_epoch(probabilities, batch_size, seed, epoch, drop_remainder)

    def score_parts(self, ids) -> dict[str, tf.Tensor]:
        """What the scores of some samples are made of, from what is recorded now.

        The parts of a score add up to it. `AdaptiveDataset.inspect` shows them. By default there
        are none.

        Args:
            ids: which samples, (b,) integers.

        Returns:
            Name -> (b,) floats.
        """
        return {}

    def latest_predictions(self, ids) -> np.ndarray | None:
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
        """The run's length for schedules, which is `epochs`, else the callback's, else 100."""
        return self.epochs or self._planned_epochs

    @run_epochs.setter
    def run_epochs(self, epochs: int) -> None:
        self._plan_run(epochs)

    def _plan_run(self, epochs: int) -> None:
        self._planned_epochs = epochs

    @property
    def warmup(self) -> int:
        """How many first epochs are uniform permutations."""
        return warmup_epochs(self._warmup, self.run_epochs)

    @property
    def state(self) -> dict[str, tf.Variable]:
        """All that is remembered, name -> variable, from the attributes that hold one."""
        return variables_of(self)

    def get_config(self) -> dict:
        """The constructor's arguments, as plain Python values."""
        return {"warmup": self._warmup, "epochs": self.epochs}

    @classmethod
    def from_config(cls, config: dict) -> Strategy:
        """A new, unbuilt strategy from `get_config()`."""
        return cls(**config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


class ScoredStrategy(Strategy):
    """A strategy whose distribution is the pressure law over `scores()`.

    A subclass sets `pressure`, and in `build` `self._distribution =
    workers.compiled(self._distribution_ops)`.
    """

    pressure: Schedule
    _distribution: Callable

    def scores(self) -> tf.Tensor:
        """The score of each sample, the larger the more often drawn: (n,)."""
        raise NotImplementedError

    def probabilities(self, epoch: int) -> tf.Tensor:
        """p by score: (n,) float64, sums to 1."""
        pressure = self.figures(epoch)["pressure"]
        return self._distribution(tf.constant(pressure, tf.float64))

    def figures(self, epoch: int) -> dict[str, float]:
        """The selection pressure."""
        return {"pressure": self.pressure(epoch, self.run_epochs)}

    def _distribution_ops(self, pressure: tf.Tensor) -> tf.Tensor:
        return sampling.pressure_probabilities(self.scores(), pressure)
