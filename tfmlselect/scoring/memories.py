"""What is remembered of each sample: variables with a row for each, and how a visit changes them.

The formulas are in `signals`. Rows are always read by `tf.gather`: most other reads copy a variable
whole once something was scattered into it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfmlselect._checks import require
from tfmlselect.labels import Labels
from tfmlselect.losses.cross_entropy import binary_cross_entropy, clamp
from tfmlselect.scoring.known_entries import KnownEntries
from tfmlselect.scoring.signals import (
    change,
    cross_entropy_hardness,
    flip_average,
    hardness,
    uncertainty,
)

_LARGEST_INT32 = 2**31 - 1


def indices(values: np.ndarray, places: int) -> tf.Tensor:
    """Whole numbers as a tensor of the smaller type that counts all `places` they may point at.

    TensorFlow takes a pair (row, column) for a place in n q, and in the type of the pair.

    Args:
        values: whole numbers >= 0, or pairs of them, int64.
        places: entries of the table that they point into.
    """
    kind = np.int32 if places <= _LARGEST_INT32 else np.int64
    return tf.constant(values.astype(kind))


def observed(name: str, values: Any) -> tf.Tensor:
    """What a strategy is told of a batch, as float32.

    Raises:
        ValueError: a value that is not finite; not in a `tf.function`, which cannot look.
    """
    values = tf.cast(values, tf.float32)
    finite = not tf.executing_eagerly() or bool(tf.reduce_all(tf.math.is_finite(values)))
    require(
        finite,
        f"`{name}` must be finite: a strategy would remember it",
        "NaN or infinity in `observe`",
        "Leave such rows out, as a fit with AdaptiveBatchSelection does",
    )
    return values


class Signal:
    """Something that is remembered of the samples.

    Attributes:
        state: its variables, by the names that backups know them by.
    """

    state: dict[str, tf.Variable]


class Visits(Signal):
    """How often each sample was visited: an int64 variable (n,)."""

    def __init__(self, n: int):
        self.variable = tf.Variable(tf.zeros([n], tf.int64), trainable=False, name="visits")
        self.state = {"visits": self.variable}

    def gather(self, ids: tf.Tensor) -> tf.Tensor:
        """The visits of `ids`: like `ids`, int64."""
        return tf.gather(self.variable, ids)

    def advance(self, ids: tf.Tensor) -> tf.Tensor:
        """Counts one visit of `ids` (b,) and returns the visits before it, (b,) int64."""
        before = self.gather(ids)
        self.variable.scatter_update(tf.IndexedSlices(before + 1, ids))
        return before


class Memory(Signal):
    """The latest value of each sample and label: a variable (n, q), of the type of `initial`.

    Args:
        n: number of samples.
        q: number of labels.
        initial: the value of all of them at first, a scalar.
        name: of the variable, also in backups.
        known: (n, q) bool: where `initial` holds, and 0 elsewhere; None: everywhere.

    Attributes:
        known: the same, as `KnownEntries`.
    """

    def __init__(
        self,
        n: int,
        q: int,
        initial: float | tf.Tensor,
        name: str,
        known: np.ndarray | None = None,
    ):
        self.known = KnownEntries(known)
        first = self.known.keep(tf.range(n), tf.fill([n, q], tf.constant(initial)))
        self.variable = tf.Variable(first, False, name=name)
        self.state = {name: self.variable}

    def gather(self, ids: tf.Tensor) -> tf.Tensor:
        """The rows of `ids` (b,): (b, q)."""
        return tf.gather(self.variable, ids)

    def gather_entries(self, entries: tf.Tensor) -> tf.Tensor:
        """The values at `entries` (m, 2), pairs of a sample and a label: (m,).

        XLA cannot gather entries of a variable, only of a tensor, so the table is read whole.
        """
        return tf.gather_nd(self.variable.read_value(), entries)

    def scatter(self, ids: tf.Tensor, values: tf.Tensor) -> None:
        """Writes `values` (b, q) to the rows of `ids` (b,), which are distinct."""
        self.variable.scatter_update(tf.IndexedSlices(values, ids))


class RecentChange(Signal):
    """The last `window - 1` changes |p^t - p^(t-1)| of each sample and label.

    They lie in window - 1 tables of n rows, one below the other: a float32 variable
    ((window - 1) n, q). Changes are kept instead of predictions: their mean needs no order, so that
    the oldest one is simply overwritten.
    """

    def __init__(self, n: int, q: int, window: int):
        self._n = n
        self._tables = window - 1
        self.variable = tf.Variable(tf.zeros([self._tables * n, q]), False, name="recent_change")
        self.state = {"change": self.variable}

    def push(self, ids: tf.Tensor, change: tf.Tensor, visits_before: tf.Tensor) -> None:
        """Keeps `change` (b, q) of `ids` (b,) int64, which is 0 at a first visit.

        That zero goes to the first table, where the change of the second visit replaces it.
        """
        table = tf.maximum(visits_before - 1, 0) % self._tables
        self.variable.scatter_update(tf.IndexedSlices(change, table * self._n + ids))

    def mean(self, ids: tf.Tensor, visits: tf.Tensor) -> tf.Tensor:
        """The mean of what is kept of `ids` (b,), visited `visits` (b,) times: (b, q)."""
        kept = [tf.gather(self.variable, table * self._n + ids) for table in range(self._tables)]
        known = tf.clip_by_value(visits - 1, 1, self._tables)
        return tf.add_n(kept) / tf.cast(known, tf.float32)[:, None]


class MeanLoss(Signal):
    """The latest loss of each sample, its mean over known labels: float32 (n,), ln 2 at first.

    0 for a sample that is known of nothing.
    """

    def __init__(self, labels: Labels):
        self._positive = tf.constant(labels.matrix.astype(bool))
        self._known = KnownEntries(labels.known)
        start = tf.fill([labels.n], tf.constant(math.log(2.0)))
        if labels.known is not None:
            start = tf.where(labels.known.any(axis=1), start, 0.0)
        self.variable = tf.Variable(start, trainable=False, name="mean_loss")
        self.state = {"loss": self.variable}

    def observe(self, ids: tf.Tensor, y_pred: tf.Tensor, loss: tf.Tensor | None) -> None:
        """Records `ids` (b,): the mean of `loss` (b, q), or of the binary cross-entropy."""
        if loss is None:
            p = clamp(observed("y_pred", y_pred))
            loss = binary_cross_entropy(tf.gather(self._positive, ids), p)
        loss = observed("loss", self._known.keep(ids, tf.cast(loss, tf.float32)))
        mean = self._known.mean(ids, loss)
        self.variable.scatter_update(tf.IndexedSlices(mean, ids))


class Predictions(Signal):
    """The latest prediction of each sample, 0.5 at first, and how often it was visited."""

    def __init__(self, n: int, q: int):
        self.visits = Visits(n)
        self.prediction = Memory(n, q, 0.5, "prediction")
        self.state = {**self.visits.state, **self.prediction.state}

    def observe(self, ids: tf.Tensor, y_pred: tf.Tensor) -> Visit:
        """Records one batch, `ids` (b,) and probabilities (b, q)."""
        ids, p = tf.cast(ids, tf.int64), clamp(observed("y_pred", y_pred))
        before = self.visits.advance(ids)
        changed = change(p, self.prediction.gather(ids), before > 0)
        self.prediction.scatter(ids, p)
        return Visit(ids, p, changed, before)

    def latest(self, ids: tf.Tensor) -> tf.Tensor:
        """The rows of `ids` (b,): (b, q) float32, NaN where there was no visit yet."""
        visited = self.visits.gather(ids) > 0
        return tf.where(visited[:, None], self.prediction.gather(ids), math.nan)


class Visit(NamedTuple):
    """One observed batch: `ids` and visits `before` (b,) int64; p and its change (b, q) float32."""

    ids: tf.Tensor
    p: tf.Tensor
    changed: tf.Tensor
    before: tf.Tensor


class Uncertainty(Memory):
    """E of each sample and label, 1/2 at first; keeps the changes of the last `window` visits.

    0 where the label is unknown.
    """

    def __init__(self, labels: Labels, window: int):
        n, q = labels.matrix.shape
        super().__init__(n, q, 0.5, "uncertainty", labels.known)
        self.change = RecentChange(n, q, window)
        self.state = {**self.change.state, **self.state}

    def observe(self, visit: Visit) -> None:
        """Renews E of a batch."""
        self.change.push(visit.ids, visit.changed, visit.before)
        mean = self.change.mean(visit.ids, visit.before + 1)
        self.scatter(visit.ids, self.known.keep(visit.ids, uncertainty(visit.p, mean)))


class Hardness(Memory):
    """h of each sample and label, of a loss of ln 2 at first; keeps the flip averages.

    0 where the label is unknown.

    Args:
        labels: of all samples.
        flip_weight: weight of the newest change in the flip average.
        kind: one of `HARDNESS_KINDS`.
    """

    def __init__(self, labels: Labels, flip_weight: float, kind: str):
        n, q = labels.matrix.shape
        initial = hardness(tf.constant(math.log(2.0)), 0.0, kind)
        super().__init__(n, q, initial, "hardness", labels.known)
        self._flip_weight, self._kind = flip_weight, kind
        self._positive = tf.constant(labels.matrix.astype(bool))
        self.flip = Memory(n, q, 0.0, "flip")
        self.state = {**self.flip.state, **self.state}

    def observe(self, visit: Visit, loss: tf.Tensor | None) -> None:
        """Renews h of a batch, by `loss` (b, q) or the binary cross-entropy."""
        if loss is not None:
            loss = observed("loss", self.known.keep(visit.ids, tf.cast(loss, tf.float32)))
        flip = flip_average(self.flip.gather(visit.ids), visit.changed, self._flip_weight)
        self.flip.scatter(visit.ids, flip)
        if loss is None:
            positive = tf.gather(self._positive, visit.ids)
            hard = cross_entropy_hardness(positive, visit.p, flip, self._kind)
        else:
            hard = hardness(loss, flip, self._kind)
        self.scatter(visit.ids, self.known.keep(visit.ids, hard))
