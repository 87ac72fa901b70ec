"""What a source of samples is; `arrays` and `streams` have one each."""

from __future__ import annotations

from typing import Any, Protocol

import tensorflow as tf

from tfmlselect.labels import Labels
from tfmlselect.pipeline.kept_samples import KeptSamples
from tfmlselect.pipeline.plan import Plan, PlanOptions


class Source(Protocol):
    """A training set: samples that can be put into batches, their labels, and their neighbours.

    Attributes:
        kept: which samples are drawn from, among those that were given.
        n: number of samples that are kept; whatever is not said to be of all given is of these.
        labels: of all of them.
        features: (n, d) array or scipy.sparse matrix that neighbours are searched in, the user's
            own where all samples are kept; None where none was given.
        features_made_by: the function of x that gave them, or None.
        neighbors: (n, k) ids of nearest neighbours among the kept samples, or None.
        sample_weight: of all given samples, as the user gave them, or None.
        window: samples that are shuffled together; None: all.
        sketch: two numbers for each of some samples that cannot be looked at again; see `streams`.
    """

    kept: KeptSamples
    n: int
    labels: Labels
    features: Any
    features_made_by: Any
    neighbors: Any
    sample_weight: Any
    sketch: list[list[float]]

    @property
    def window(self) -> int | None:
        """Samples that are shuffled together; None: all."""
        ...

    def searchable(self) -> Any:
        """x itself, where neighbours can be searched in it, else None."""
        ...

    def make_plan(self, options: PlanOptions) -> Plan:
        """A plan that the source's batches can follow."""
        ...

    def batches(self, plan: Plan) -> tf.data.Dataset:
        """The pipeline that reads the plan once an iteration and gives its batches."""
        ...

    def in_order(self, batch_size: int, kept_alone: bool = False) -> tf.data.Dataset:
        """All given samples once, or those that are kept, in the order in which they were given."""
        ...

    def check_read(self) -> None:
        """Raises a RuntimeError where samples were read that are others than at first."""
        ...

    def fingerprint(self) -> str:
        """A checksum of some of the samples; "" where it would cost a pass over the data."""
        ...


def weighted(batch: tuple, weights: tf.Tensor) -> tuple:
    """A batch `(x, y)` or `(x, y, sample_weight)` with the draws' weights (b,) multiplied in."""
    x, y, *own = batch
    if own:
        given = own[0] if own[0].dtype.is_floating else tf.cast(own[0], tf.float32)
        weights = tf.cast(weights, given.dtype) * given
    return x, y, weights
