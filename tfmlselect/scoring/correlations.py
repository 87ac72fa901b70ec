"""How labels are correlated in a signal, and what that adds to a sample's score, as D2ACE has it.

For a signal M (n, q), labels Y and their context Z, the correlation C comes from the Gram matrix
K'K of K = M o Y, and a sample's score is

    score_i = sum_j M_ij v_j + sum_j Y_ij M_ij v_j S_ij,    S = Z C'.

Only entries with Y_ij = 1 count in K and in the second sum. So K'K and the score can be computed
in two ways: from lists of pairs of labels that a sample has, where samples have few labels, or by
matrix products over chunks of rows, where they have many. `make_gram` and `make_context` take the
cheaper way; the numbers are the same. The weights v are not computed here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfmlselect.labels import Labels
from tfmlselect.scoring.memories import Memory, indices
from tfmlselect.scoring.row_chunks import fold_rows, map_rows

# One pair of a list takes about as long as this many multiplications of a matrix product (measured:
# docs/benchmarks.md).
_PAIR_COST = 1000
# Lists hold fewer pairs than this share of n q, to stay a small part of the memory of the signals.
_PAIRS_PER_ENTRY = 0.25


def make_gram(labels: Labels) -> PairGram | ProductGram | KnownGram:
    """The cheaper way to compute K'K; where labels are unknown, that which can do without them."""
    if labels.known is not None:
        return KnownGram(labels.matrix, labels.known)
    y = labels.matrix
    of_row = y.sum(axis=1, dtype=np.int64)
    return PairGram(y) if _pairs_are_cheaper(of_row * of_row, y) else ProductGram(y)


def make_context(y: np.ndarray, context: np.ndarray) -> PairContext | ProductContext:
    """The cheaper way to compute scores, for labels y and their context, both (n, q) uint8 0/1."""
    pairs = y.sum(axis=1, dtype=np.int64) * context.sum(axis=1, dtype=np.int64)
    kind = PairContext if _pairs_are_cheaper(pairs, y) else ProductContext
    return kind(y, context)


def _pairs_are_cheaper(pairs_of_row: np.ndarray, y: np.ndarray) -> bool:
    n, q = y.shape
    pairs = float(pairs_of_row.sum())
    few = pairs < _PAIRS_PER_ENTRY * n * q
    return bool(few and pairs * _PAIR_COST < float(n) * q * q)


class PairGram:
    """Computes K'K from a list of all pairs of labels that a sample has."""

    def __init__(self, y: np.ndarray):
        n, self._q = y.shape
        rows, labels = np.nonzero(y)
        first, second = _pair_up(rows, np.bincount(rows, minlength=n))
        upper = first < second
        first, second = first[upper], second[upper]
        self._entries = indices(np.stack([rows, labels], axis=1), n * self._q)
        self._first, self._second = indices(first, len(rows)), indices(second, len(rows))
        self._bin = indices(labels[first] * self._q + labels[second], self._q**2)

    def __call__(self, signal: Memory) -> tf.Tensor:
        """K'K of a signal M: (q, q) float64."""
        q = self._q
        values = tf.cast(signal.gather_entries(self._entries), tf.float64)
        products = tf.gather(values, self._first) * tf.gather(values, self._second)
        pairs = tf.constant(q * q, tf.int64)
        upper = tf.reshape(tf.math.unsorted_segment_sum(products, self._bin, pairs), [q, q])
        diagonal = tf.math.unsorted_segment_sum(tf.square(values), self._entries[:, 1], q)
        return upper + tf.transpose(upper) + tf.linalg.diag(diagonal)


class ProductGram:
    """Computes K'K by matrix products over chunks of rows."""

    def __init__(self, y: np.ndarray):
        self._shape = y.shape
        self._positive = tf.constant(y.astype(bool))

    def __call__(self, signal: Memory) -> tf.Tensor:
        """K'K of a signal M: (q, q) float64."""
        n, q = self._shape

        def body(ids: tf.Tensor, gram: tf.Tensor) -> tf.Tensor:
            kept = tf.where(tf.gather(self._positive, ids), signal.gather(ids), 0.0)
            return gram + tf.cast(tf.matmul(kept, kept, transpose_a=True), tf.float64)

        return fold_rows(n, q, body, tf.zeros([q, q], tf.float64))


class KnownGram:
    """Computes K'K, and the squares that its cosines need, by matrix products.

    The cosine of two labels is taken over the samples where both are known.
    """

    def __init__(self, y: np.ndarray, known: np.ndarray):
        self._shape = y.shape
        self._positive, self._known = tf.constant(y.astype(bool)), tf.constant(known)

    def __call__(self, signal: Memory) -> tf.Tensor:
        """K'K of a signal M, and the sum of K_ij^2 over samples where k is known, (2, q, q)."""
        n, q = self._shape

        def body(ids: tf.Tensor, sums: tf.Tensor) -> tf.Tensor:
            kept = tf.where(tf.gather(self._positive, ids), signal.gather(ids), 0.0)
            known = tf.cast(tf.gather(self._known, ids), tf.float32)
            pairs = tf.matmul(kept, kept, transpose_a=True)
            squares = tf.matmul(tf.square(kept), known, transpose_a=True)
            return sums + tf.cast(tf.stack([pairs, squares]), tf.float64)

        return fold_rows(n, q, body, tf.zeros([2, q, q], tf.float64))


class PairContext:
    """Computes scores from a list of all pairs of a label of a sample and one of its context."""

    def __init__(self, y: np.ndarray, context: np.ndarray):
        self._n, self._q = y.shape
        rows, labels = np.nonzero(y)
        other_rows, other_labels = np.nonzero(context)
        entry, position = _pair_up(rows, np.bincount(other_rows, minlength=self._n))
        self._entries = indices(np.stack([rows, labels], axis=1), self._n * self._q)
        self._entry = indices(entry, len(rows))
        self._bin = indices(labels[entry] * self._q + other_labels[position], self._q**2)

    def scores(
        self,
        signals: Sequence[Memory],
        weights: Sequence[tf.Tensor],
        correlations: Sequence[tf.Tensor],
    ) -> list[tf.Tensor]:
        """The score of each signal M: (n,) float32.

        Args:
            signals: M of each.
            weights: v of each, (q,) float32.
            correlations: C of each, (q, q) float32.
        """
        return [self._score(*one) for one in zip(signals, weights, correlations, strict=True)]

    def _score(self, signal: Memory, weight: tf.Tensor, correlation: tf.Tensor) -> tf.Tensor:
        n, q = self._n, self._q
        rows, labels = self._entries[:, 0], self._entries[:, 1]
        links = tf.math.unsorted_segment_sum(
            tf.gather(tf.reshape(correlation, [-1]), self._bin), self._entry, rows.shape[0]
        )
        added = signal.gather_entries(self._entries) * tf.gather(weight, labels) * links
        plain = map_rows(n, q, lambda ids: [tf.linalg.matvec(signal.gather(ids), weight)], count=1)
        return plain[0] + tf.math.unsorted_segment_sum(added, rows, n)


class ProductContext:
    """Computes scores by matrix products over chunks of rows."""

    def __init__(self, y: np.ndarray, context: np.ndarray):
        self._shape = y.shape
        self._positive = tf.constant(y.astype(bool))
        self._context = tf.constant(context)

    def scores(
        self,
        signals: Sequence[Memory],
        weights: Sequence[tf.Tensor],
        correlations: Sequence[tf.Tensor],
    ) -> list[tf.Tensor]:
        """As `PairContext.scores`."""
        n, q = self._shape

        def score_rows(ids: tf.Tensor) -> list[tf.Tensor]:
            positive = tf.gather(self._positive, ids)
            context = tf.cast(tf.gather(self._context, ids), tf.float32)
            scores = []
            for signal, weight, correlation in zip(signals, weights, correlations, strict=True):
                links = tf.matmul(context, correlation, transpose_b=True)
                factor = tf.where(positive, 1.0 + links, 1.0)
                scores.append(tf.linalg.matvec(signal.gather(ids) * factor, weight))
            return scores

        return map_rows(n, q, score_rows, count=len(weights))


def _pair_up(rows: np.ndarray, other_counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs each entry of a list with all entries of the same row in another list.

    Both lists are ordered by row.

    Args:
        rows: the row of each entry, ascending, (m,).
        other_counts: how many entries each row has in the other list, (n,).

    Returns:
        For each pair, the number of the entry in the one list and in the other.
    """
    starts = np.concatenate([[0], np.cumsum(other_counts)[:-1]])
    counts = other_counts[rows]
    entry = np.repeat(np.arange(len(rows)), counts)
    before = np.repeat(np.cumsum(counts) - counts, counts)
    return entry, np.arange(len(entry)) - before + starts[rows[entry]]


def cosine_correlation(gram: tf.Tensor) -> tf.Tensor:
    """C: the cosines between columns of K, each row divided by its sum.

    Args:
        gram: K'K (q, q), or with the squares that belong to it (2, q, q), as `KnownGram` gives it.
    """
    small = tf.constant(1e-8, gram.dtype)
    if len(gram.shape) == 3:
        gram, squares = tf.unstack(gram)
        norms = tf.sqrt(squares) + small
        cosine = gram / (norms * tf.transpose(norms))
    else:
        norm = tf.sqrt(tf.linalg.diag_part(gram)) + small
        cosine = gram / (norm[:, None] * norm[None, :])
    return cosine / (tf.reduce_sum(cosine, axis=1, keepdims=True) + small)


def label_context(y: np.ndarray, neighbors: np.ndarray | None) -> np.ndarray:
    """Z (n, q) uint8: 1 where a sample or one of its neighbours has the label.

    Args:
        y: labels (n, q), uint8 0/1; an unknown one is 0.
        neighbors: ids (n, k), or None for Z = Y.
    """
    context = np.array(y, dtype=np.uint8)
    if neighbors is not None:
        for column in np.asarray(neighbors).T:
            np.maximum(context, y[column], out=context)
    return context
