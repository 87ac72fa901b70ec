"""The methods that are judged: strategies, losses, both together, and what they must beat.

A method says what chooses the samples and what the loss is. Network, optimizer, steps and the way
the learning rate is searched are the same for all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

import tfmlselect as tfml
from benchmarks.study.frontier.trainer import RISE, Loss, cross_entropy
from tfmlselect.schedules import Constant, Ramp, Schedule
from tfmlselect.strategies import (
    D2ACE,
    AdaptiveBalance,
    OnlineBatch,
    RareEvents,
    RepeatFactor,
    Strategy,
    Uniform,
)

UNIFORM, AGAIN = "uniform", "uniform again"


@dataclass(frozen=True)
class Method:
    """One way to train.

    Attributes:
        strategy: makes what chooses the samples.
        exponent: of `PositiveWeights`, a number or a schedule; None: positives weigh 1.
        loss: of a batch, where it is not the cross-entropy.
        importance_weights: of `adaptive_dataset`.
        weighs: whether samples come uniformly, and the strategy's probabilities weigh them instead.
        first_seed: what is added to the seeds of the runs.
    """

    strategy: Callable[[], Strategy] = Uniform
    exponent: float | Schedule | None = None
    loss: Loss = cross_entropy
    importance_weights: float | Schedule = 0.0
    weighs: bool = False
    first_seed: int = 0


class Placebo(Strategy):
    """Another strategy whose probabilities are handed to the wrong samples.

    Args:
        inner: the strategy.
        same_labels: whether only samples with the same labels exchange theirs.
    """

    def __init__(self, inner: Strategy, same_labels: bool):
        super().__init__(warmup=inner._warmup)
        self.inner, self.same_labels = inner, same_labels
        self.uses_neighbors = inner.uses_neighbors
        self.uses_predictions = inner.uses_predictions
        self.before_first_epoch = inner.before_first_epoch

    def build(self, y, features=None, neighbors=None) -> None:
        """As the other's."""
        self.inner.build(y, features, neighbors)
        groups = np.zeros(len(y), int)
        if self.same_labels:
            groups = np.unique(y, axis=0, return_inverse=True)[1].ravel()
        rng = np.random.default_rng(0)
        partner = np.arange(len(y))
        for group in np.unique(groups):
            circle = rng.permutation(np.flatnonzero(groups == group))
            partner[circle] = np.roll(circle, 1)  # nobody keeps its own, but who is alone
        self.partner = tf.constant(partner)

    def observe(self, ids, y_pred, loss=None) -> None:
        """As the other's."""
        self.inner.observe(ids, y_pred, loss)

    def probabilities(self, epoch: int) -> tf.Tensor:
        """Those of each sample's partner."""
        return tf.gather(self.inner.probabilities(epoch), self.partner)

    @property
    def state(self) -> dict[str, tf.Variable]:
        """That of the other."""
        return self.inner.state

    def describe_run(self, *, length_is_known: bool, passes_per_epoch: float = 1.0) -> None:
        """Hands on what is known of the run."""
        super().describe_run(length_is_known=length_is_known, passes_per_epoch=passes_per_epoch)
        self.inner.run_epochs = self.run_epochs
        self.inner.describe_run(length_is_known=length_is_known, passes_per_epoch=passes_per_epoch)


class Subset(Strategy):
    """A random half of the samples, the same in all epochs."""

    uses_predictions = False

    def build(self, y, features=None, neighbors=None) -> None:
        """Takes the half."""
        n = len(y)
        half = np.random.default_rng(0).permutation(n)[: n - n // 2]
        self.kept = np.zeros(n)
        self.kept[half] = 1.0 / len(half)

    def observe(self, ids, y_pred, loss=None) -> None:
        """Nothing."""

    def probabilities(self, epoch: int) -> tf.Tensor:
        """Uniform on the half."""
        return tf.constant(self.kept, tf.float64)

    def epoch_draws(self) -> int:
        """As many as are kept."""
        return int(np.count_nonzero(self.kept))


class ByLack(AdaptiveBalance):
    """`AdaptiveBalance` whose share is what the labels lack, and falls in other ways beside that.

    Args:
        share: the largest share.
        run: whether it falls with the part of the run that is done.
        passes: of the data, after which it has fallen to a half; None: it does not fall by them.
    """

    def __init__(self, share: float = 0.9, *, run: bool = False, passes: float | None = None):
        super().__init__(share)
        self.run, self.passes = run, passes

    def _factors(self, epoch: int) -> tf.Tensor:
        share = self.share
        if self.run:
            share *= max(0.0, 1.0 - (epoch + 1) / self.run_epochs) ** 2
        if self.passes is not None:
            share /= 1.0 + (epoch + 1) * self.passes_per_epoch / self.passes
        return tf.constant([0.0, share, 0.0], tf.float64)


@dataclass(frozen=True)
class WithRate(Schedule):
    """A share that rises and falls as the learning rate does."""

    most: float

    def __call__(self, epoch: float, epochs: float) -> float:
        """The value at `epoch`."""
        done = epoch / epochs
        return float(self.most * max(0.0, min(1.0, done / RISE, (1.0 - done) / (1.0 - RISE))))


def asymmetric(y, logits, batch):
    """Asymmetric loss with its defaults."""
    loss = tfml.losses.AsymmetricLoss(from_logits=True)
    return tf.reduce_mean(batch.weights * tf.reduce_mean(loss.entries(y, logits), axis=1))


def thinned(y, logits, batch):
    """The likelihood of what `RareEvents` keeps, with the weights of positives, where given."""
    loss = tfml.losses.ThinnedLikelihood(from_logits=True)
    corrected = loss.corrected(y, logits, batch.rates)
    entries = tf.nn.sigmoid_cross_entropy_with_logits(y, logits)
    return corrected + tf.reduce_mean(entries * y * (batch.positive - 1.0))


FALLING = Ramp(0.25, 0.0)
METHODS: dict[str, Method] = {
    UNIFORM: Method(),
    AGAIN: Method(first_seed=1000),
    # The strongest cheap rivals: nothing but the loss is another one.
    "positive weights 0.25": Method(exponent=0.25),
    "positive weights 0.5": Method(exponent=0.5),
    "positive weights 1": Method(exponent=1.0),
    "positive weights falling": Method(exponent=FALLING),
    "asymmetric loss": Method(loss=asymmetric),
    # What the package chooses.
    "adaptive_balance": Method(AdaptiveBalance),
    "recipe": Method(lambda: AdaptiveBalance(0.5), FALLING),
    "adaptive_balance + asymmetric loss": Method(lambda: AdaptiveBalance(0.5), loss=asymmetric),
    "rare_events": Method(RareEvents, loss=thinned),
    "rare_events + positive weights": Method(RareEvents, FALLING, thinned),
    "rare_events without correction": Method(RareEvents),
    "rare_events by predictions": Method(lambda: RareEvents(draw="predicted"), loss=thinned),
    "repeat_factor": Method(RepeatFactor),
    "online_batch": Method(lambda: OnlineBatch(warmup=0.1)),
    "online_batch + positive weights": Method(lambda: OnlineBatch(warmup=0.1), FALLING),
    "d2ace": Method(lambda: D2ACE(warmup=0.1)),
    "d2ace + positive weights": Method(lambda: D2ACE(warmup=0.1), FALLING),
    # Controls.
    "random half": Method(Subset),
    "placebo of adaptive_balance": Method(lambda: Placebo(AdaptiveBalance(), same_labels=False)),
    "placebo of online_batch": Method(lambda: Placebo(OnlineBatch(warmup=0.1), same_labels=True)),
    "placebo of d2ace": Method(lambda: Placebo(D2ACE(warmup=0.1), same_labels=True)),
    "weights of adaptive_balance in the loss": Method(AdaptiveBalance, weighs=True),
    # When balance lets go, and how much the recipe takes of both.
    "balance: share falls in a line": Method(lambda: AdaptiveBalance(Ramp(0.5, 0.0))),
    "balance: share falls by half of the run": Method(
        lambda: AdaptiveBalance(Ramp(0.9, 0.0, end=0.5))
    ),
    "balance: by lack alone": Method(ByLack),
    "balance: by lack and progress": Method(lambda: ByLack(run=True)),
    "balance: by lack and passes": Method(lambda: ByLack(passes=2.0)),
    "balance: by lack, progress and passes": Method(lambda: ByLack(run=True, passes=2.0)),
    "balance: with the learning rate": Method(lambda: AdaptiveBalance(WithRate(0.5))),
    "balance: half throughout": Method(lambda: AdaptiveBalance(Constant(0.5))),
    "balance: ART": Method(lambda: AdaptiveBalance(Constant(0.5), lack="f1", max_repeats=1e9)),
    "balance: 3 correction rounds": Method(lambda: AdaptiveBalance(correction_rounds=3)),
    "balance: weights become unbiased": Method(
        lambda: AdaptiveBalance(Constant(0.5)), importance_weights=Ramp(0.0, 1.0, end=0.8)
    ),
    "recipe: by lack and progress": Method(lambda: ByLack(0.5, run=True), FALLING),
    "recipe: by lack and passes": Method(lambda: ByLack(passes=2.0), FALLING),
    "recipe: by lack, progress and passes": Method(
        lambda: ByLack(0.5, run=True, passes=2.0), FALLING
    ),
    "recipe: the full share": Method(AdaptiveBalance, FALLING),
    "recipe: weights that stay": Method(lambda: AdaptiveBalance(0.5), 0.25),
}
