"""Which samples a dataset draws from: those whose weight is not 0, in the order they were given.

Strategies, plans and statistics count the samples that are kept, 0 to m - 1; users count all n that
they gave. Here one is turned into the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from scipy import sparse

from tfmlselect._checks import check_finite, holds_numbers, require


class KeptSamples:
    """The samples that are drawn from, among those that were given.

    A sample of weight 0 teaches the model nothing: its prediction stays as bad as it is, and a
    strategy that looks for what is hard would draw it ever more often. So it is left out.

    Args:
        given: n, how many samples were given.
        weights: (n,) their weights, checked; None: all are kept.

    Attributes:
        given: n.
        ids: (m,) int64, ascending, the kept samples by the numbers of those given; None where all
            are kept.

    Raises:
        ValueError: all weights are 0.

    Example:
        >>> kept = KeptSamples(4, np.array([0.0, 1.0, 0.0, 2.0]))
        >>> kept.n, kept.as_given(np.array([1, 0])).tolist(), kept.of_given([5, 6, 7, 8]).tolist()
        (2, [3, 1], [6, 8])
    """

    def __init__(self, given: int, weights: np.ndarray | None = None):
        self.given = given
        self.ids: np.ndarray | None = None
        if weights is None or np.all(weights):
            return
        self.ids = np.flatnonzero(weights).astype(np.int64)
        require(
            len(self.ids),
            "Samples of weight 0 are left out, and no sample is left",
            f"`sample_weight` of {given} zeros",
            "Give the samples to train on a weight above 0",
        )

    @property
    def n(self) -> int:
        """m, how many samples are kept."""
        return self.given if self.ids is None else len(self.ids)

    def of_given(self, rows: Any) -> Any:
        """The rows of the kept samples, of an array or scipy.sparse matrix with a row each."""
        if self.ids is None:
            return rows
        rows = rows.tocsr() if sparse.issparse(rows) else np.asarray(rows)
        return rows[self.ids]

    def as_given(self, ids: np.ndarray) -> np.ndarray:
        """Numbers of kept samples as those of the samples that were given."""
        return ids if self.ids is None else self.ids[ids]

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Rows of the kept samples, (m, ...), as those of all given, (n, ...): 0 where left out."""
        if self.ids is None:
            return values
        spread = np.zeros((self.given, *values.shape[1:]), values.dtype)
        spread[self.ids] = values
        return spread

    def neighbors_of_given(self, neighbors: np.ndarray) -> np.ndarray:
        """Neighbours of given samples as those of kept samples, by their numbers.

        Samples that are left out are nobody's neighbours: those behind them move up.

        Args:
            neighbors: (n, k) integers, nearest first; what is no number of a sample is left as it
                is, for whoever takes neighbours to judge.

        Returns:
            (m, k) int64, or of fewer columns: as many as each row has left.
        """
        if self.ids is None:
            return neighbors
        rows = neighbors[self.ids].astype(np.int64)
        number = np.full(self.given, -1)
        number[self.ids] = np.arange(self.n)
        known = (rows >= 0) & (rows < self.given)
        renumbered = np.where(known, number[np.where(known, rows, 0)], rows)
        left_out = known & (renumbered < 0)
        columns = int(np.sum(~left_out, axis=1).min(initial=rows.shape[1]))
        order = np.argsort(left_out, axis=1, kind="stable")[:, :columns]
        return np.take_along_axis(renumbered, order, axis=1)

    def __str__(self) -> str:
        if self.ids is None:
            return f"{self.given} samples"
        return f"{self.n} samples, those of {self.given} whose weight is not 0"


def check_weights(weights: Any) -> np.ndarray:
    """Weights of samples as a NumPy array.

    Raises:
        ValueError: not one number a sample, (n,); NaN, infinite or negative.
    """
    dtype = weights.dtype
    require(
        len(weights.shape) == 1 and (holds_numbers(dtype) or tf.as_dtype(dtype).is_bool),
        "`sample_weight` must be one number a sample, (n,)",
        f"shape {tuple(weights.shape)}, dtype {dtype}",
        "Keras multiplies a (b, q) weight with a loss that is already averaged over labels, which "
        "weighs nothing as meant; put per-label weights into the loss function",
    )
    array = np.asarray(weights)
    check_finite(array, "sample_weight")
    negative = np.flatnonzero(array < 0)
    if negative.size:
        first = negative[0]
        require(
            False,
            "`sample_weight` must not be negative",
            f"{array[first]} in row {first}, {negative.size} of {len(array)} weights",
            "Give samples that are to be left out the weight 0, all others one above it",
        )
    return array
