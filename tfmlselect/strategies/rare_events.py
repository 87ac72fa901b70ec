"""RareEvents: all samples that have a label, and few of the empty ones.

How a model learns the right probabilities from what is left is in `losses.thinned_likelihood`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect._checks import check_choice, check_columns, check_number, require
from tfmlselect._warn import warn
from tfmlselect.distributed import workers
from tfmlselect.labels import Labels
from tfmlselect.losses.cross_entropy import clamp
from tfmlselect.scoring.known_entries import KnownEntries
from tfmlselect.scoring.memories import observed
from tfmlselect.strategies.base import Array, Strategy

DRAWS = ("predicted", "even")
_LEAST = 0.1  # of the mean rate: no empty sample is forgotten
_ROUNDS = 64  # of halving, which is as far as float64 goes


class RareEvents(Strategy):
    """Keeps every sample that has a protected label, and thins the *empty* ones, which have none.

    Most of a training set of rare events is empty, and most empty samples teach nothing new. An
    epoch has `m = round(n1 / (1 - h))` draws, n1 of them for the n1 samples that are not empty, one
    each, and K = m - n1 for the n0 empty ones, a share h. (At least one empty sample is drawn, and
    at most all of them are: where fewer than h are empty, nothing is left out.) An empty sample is
    kept with probability `π_i = ρ = K / n0`, or with `draw="predicted"`

        π_i = clip(s g_i, 0.1 ρ, 1),    g_i = ||p_i||_2 over the protected labels,

    where p_i is what the model predicted for it last, and s is the number for which `Σ π_i = K`
    over the empty samples. (Equally: s = ρ' / mean g with another ρ'.) So empties that look most
    like events are drawn most. s is found by halving, and exists, since the sum grows with s from
    0.1 K to n0. A sample without a visit counts with the mean g of the empty samples that have one;
    until an empty sample was visited, π = ρ for all. Where labels are unknown, g is over those that
    are known, and a sample is empty that has no known positive; one that is known of nothing counts
    as one without a visit. The distribution is `p_i = π_i / m`, with π =
    1 for samples that are not empty: in an epoch of m draws each of these is drawn once.

    **The model's outputs are probabilities of the thinned data**, too large, unless the loss knows:
    compile the model with `tfmlselect.losses.ThinnedLikelihood()`, or pass
    `importance_weights=1.0` to `adaptive_dataset`; one of them, not both.

    On several machines each worker counts its own samples and keeps its own shares: ρ, s and m are
    those of its shard, whose epoch does not change when others join. The probabilities sum to 1
    over all workers.

    State: none; with `draw="predicted"` 8 bytes a sample.

    Args:
        labels: the protected columns of the labels; None: all labels.
        empty_share: h, in (0, 1).
        draw: "even", π = ρ for every empty sample, and no predictions are kept; or "predicted", as
            above.
        epochs: the run's length, which changes nothing here.

    Attributes:
        protected: the protected columns, after `build`.
        rate: ρ, after `build`: the mean rate at which empty samples are kept.

    Raises:
        ValueError: an argument outside its range; when built, a column that is not there.

    Example:
        >>> import numpy as np, tfmlselect as tfml
        >>> strategy = tfml.strategies.RareEvents(empty_share=0.5)
        >>> strategy.build(np.array([[1, 0], [0, 1], [0, 0], [0, 0], [0, 0], [0, 0]]))
        >>> strategy.epoch_draws(), strategy.rate
        (4, 0.5)
        >>> strategy.probabilities(0).numpy().tolist()
        [0.25, 0.25, 0.125, 0.125, 0.125, 0.125]

    References:
        The sampling of negatives by their predicted probability, and its correction in the loss:
        Wang, Zhang and Wang, "Nonuniform Negative Sampling and Log Odds Correction with Rare Events
        Data", NeurIPS 2021, arXiv:2110.13048.

    Deviations and open points:
        A method of our own: many labels at once, empty samples for negatives, predictions of the
        training steps for those of a pilot model, a constant number of draws. The likelihood takes
        π as a function of x. Predictions come from a model that has seen the labels of its samples,
        so this holds as far as it has not learnt them by heart; they are as old as the sample's
        last visit.
    """

    def __init__(
        self,
        labels: Any = None,
        *,
        empty_share: float = 0.5,
        draw: str = "even",
        epochs: int | None = None,
    ):
        super().__init__(warmup=0, epochs=epochs)
        self.labels = check_columns("labels", labels)
        self.empty_share = check_number("empty_share", empty_share, above=0, below=1)
        self.draw = check_choice("draw", draw, DRAWS)
        self.uses_predictions = self.draw == "predicted"

    def _build(self, labels: Labels, features: Any, neighbors: Any) -> None:
        n, q = labels.matrix.shape
        columns = tuple(range(q)) if self.labels is None else self.labels
        require(
            max(columns) < q,
            "A protected label is a column of the labels",
            f"labels={list(columns)}, and a training set of {q} labels",
            f"Pass columns from 0 to {q - 1}",
        )
        empty = ~labels.matrix[:, list(columns)].any(axis=1)
        known = None if labels.known is None else labels.known[:, list(columns)]
        self._known = KnownEntries(known)
        self.protected = columns
        self._draws, self._keep = _shares(n, int(empty.sum()), self.empty_share)
        self.rate = float(self._keep / empty.sum()) if empty.any() else 1.0
        if empty.all():
            warn(
                "No sample has a protected label, so none is left out and all are drawn alike. "
                f"Received: labels={list(columns)}, without a positive among {n} samples. Protect "
                "columns that have some.",
            )
        self._empty, self._empties = tf.constant(empty), tf.constant(np.flatnonzero(empty))
        self._everywhere = float(workers.total(tf.constant(self._draws, tf.float64)))
        if self.uses_predictions:
            self._norm = tf.Variable(tf.zeros([n]), trainable=False, name="prediction_norm")
            start = tf.fill([n], tf.constant(self.rate, tf.float32))
            self._rates = tf.Variable(start, trainable=False, name="rates")
            self._kept = workers.compiled(self._kept_ops)

    @property
    def state(self) -> dict[str, tf.Variable]:
        """The length of each sample's latest prediction, 0 without a visit, and the rates."""
        if not self.uses_predictions:
            return {}
        return {"prediction_norm": self._norm, "rates": self._rates}

    def epoch_draws(self) -> int:
        """m, the draws of an epoch."""
        return self._draws

    def observe(self, ids: Array, y_pred: Array, loss: Array | None = None) -> None:
        """Records `g` of one batch."""
        if self.uses_predictions:
            p = tf.gather(clamp(observed("y_pred", y_pred)), list(self.protected), axis=1)
            length = tf.norm(self._known.keep(ids, p), axis=1)
            self._norm.scatter_update(tf.IndexedSlices(length, ids))

    def probabilities(self, epoch: int) -> tf.Tensor:
        """π / m, with π = 1 for samples that are not empty: (n,) float64, sums to 1.

        `rates` are from now on those of this distribution.
        """
        if self.uses_predictions:
            rates = self._kept()
            self._rates.assign(tf.cast(rates, tf.float32))
        else:
            rates = tf.constant(self.rate, tf.float64)
        one = tf.ones([], tf.float64)
        return tf.where(self._empty, rates, one) / self._everywhere

    def rates(self, ids: Array | None = None) -> np.ndarray:
        """π of samples, as the distribution that was last given has it.

        Of a sample that is not empty, and always drawn, it is the π that it would have as an empty
        one, from its own predictions: what `losses.ThinnedLikelihood` takes.

        Args:
            ids: which samples, (b,) integers, of those that `build` was given: with samples of
                weight 0 in the dataset, `sample_ids` has their numbers. None: all of them.

        Returns:
            (b,), or (n,), float32 in (0, 1].
        """
        n = self._empty.shape[0]
        known = self._rates.numpy() if self.uses_predictions else np.full(n, self.rate, np.float32)
        rates: np.ndarray = known if ids is None else known[np.asarray(ids)]
        return rates

    def _kept_ops(self) -> tf.Tensor:
        """π that each sample has, or would have, as an empty one: (n,) float64."""
        norm = tf.cast(self._norm.read_value(), tf.float64)
        if self.rate == 1.0:
            return tf.ones_like(norm)
        visited = norm > 0  # a clamped prediction has a length
        seen = tf.cast(visited & self._empty, tf.float64)
        count = tf.reduce_sum(seen)
        mean = tf.where(count > 0, tf.reduce_sum(seen * norm) / tf.maximum(count, 1.0), 1.0)
        g = tf.where(visited, norm, mean)
        least = _LEAST * self.rate
        scale = _scale(tf.gather(g, self._empties), self._keep, least)
        return tf.where(count > 0, tf.clip_by_value(scale * g, least, 1.0), self.rate)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "labels": None if self.labels is None else list(self.labels),
            "empty_share": self.empty_share,
            "draw": self.draw,
            "epochs": self.epochs,
        }


def _shares(n: int, empties: int, share: float) -> tuple[int, int]:
    """The draws of an epoch, m, and those of empty samples among them, K."""
    others = n - empties
    if empties == 0 or others == 0:
        return n, empties
    draws = min(max(round(others / (1.0 - share)), others + 1), n)
    return draws, draws - others


def _scale(g: tf.Tensor, keep: int, least: float) -> tf.Tensor:
    """s for which `clip(s g, least, 1)` sums to `keep`, of g > 0."""

    def halve(low: tf.Tensor, high: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        middle = tf.sqrt(low * high)
        few = tf.reduce_sum(tf.clip_by_value(middle * g, least, 1.0)) < keep
        return tf.where(few, middle, low), tf.where(few, high, middle)

    ends = (least / tf.reduce_max(g), 1.0 / tf.reduce_min(g))
    _, high = tf.while_loop(lambda *_: True, halve, ends, maximum_iterations=_ROUNDS)
    # The rest is exact: what lies between the ends of `clip` is a line in s.
    one, floor = tf.ones([], tf.float64), tf.constant(least, tf.float64)
    raised, capped = high * g < floor, high * g > one
    fixed = tf.where(raised, floor, tf.where(capped, one, tf.zeros_like(g)))
    slope = tf.reduce_sum(tf.where(raised | capped, tf.zeros_like(g), g))
    exact = (keep - tf.reduce_sum(fixed)) / tf.where(slope > 0, slope, one)
    return tf.where(slope > 0, exact, high)
