"""Batches built member by member, where labels that co-occur attract each other.

A reconstruction of what an abstract says (ECML PKDD 2024: a batch is a sequence in which label
correlations steer the next pick). The first member is drawn from p, each next one from the samples
not yet in the batch with `p'_i ∝ p_i (1 + r_i)`; r_i is the mean, over the members b drawn so far,
of `Σ_{j in y_b, k in y_i} A_jk / (|y_b| |y_i|)`, 0 where a set is empty, and
`A_jk = ½ (n_jk / c_j + n_jk / c_k)`, diagonal 0. Since 0 <= r <= 1, a proposal from p that is
accepted with probability (1 + r) / 2 draws exactly this.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tfmlselect.sampling import DRAW, checked_distribution, epoch_generator

_PROPOSALS = 20  # rounds before the rows that are still open are drawn from their exact p'


def label_affinity(labels: np.ndarray) -> np.ndarray:
    """A (q, q) float64 of labels (n, q) uint8; 0 for labels without positives."""
    table = labels.astype(np.float32)
    together = (table.T @ table).astype(np.float64)
    counts = np.maximum(np.diag(together), 1.0)
    affinity = 0.5 * (together / counts[:, None] + together / counts[None, :])
    np.fill_diagonal(affinity, 0.0)
    return affinity


def draw_correlated_epoch(
    probabilities: Any,
    labels: np.ndarray,
    batch_size: int,
    seed: int,
    epoch: int,
    drop_remainder: bool = False,
) -> np.ndarray:
    """The ids of an epoch; arguments, errors and result as `tfmlselect.sampling.draw_epoch`.

    Args:
        labels: (n, q) uint8 0/1.
    """
    p = checked_distribution(probabilities, batch_size)
    rng = epoch_generator(seed, epoch, DRAW)
    n = len(p)
    share = labels / np.maximum(labels.sum(axis=1, keepdims=True), 1).astype(np.float32)
    draw = _SequenceDraw(p, share, share @ label_affinity(labels).astype(np.float32), rng)
    parts = [draw.rows(n // batch_size, batch_size).ravel()]
    if n % batch_size and not drop_remainder:
        parts.append(draw.rows(1, n % batch_size).ravel())
    return np.concatenate(parts)


class _SequenceDraw:
    """Draws all batches of an epoch at once, one member of each at a time."""

    def __init__(self, p, share, pull, rng):
        self._p, self._share, self._pull, self._rng = p, share, pull, rng
        self._edges = np.cumsum(p)
        self._edges /= self._edges[-1]
        self._last = np.flatnonzero(p)[-1]

    def rows(self, rows: int, columns: int) -> np.ndarray:
        """(rows, columns) ids, distinct in a row."""
        ids = np.full((rows, columns), -1)
        pull = np.zeros((rows, self._share.shape[1]), np.float32)
        for column in range(columns):
            self._fill(ids, column, pull / max(column, 1))
            pull += self._pull[ids[:, column]]
        return ids

    def _fill(self, ids: np.ndarray, column: int, pull: np.ndarray) -> None:
        waiting = np.arange(len(ids))
        for _ in range(_PROPOSALS):
            if not len(waiting):
                return
            u, accept = self._rng.random((2, len(waiting)))
            new = np.minimum(np.searchsorted(self._edges, u, side="right"), self._last)
            r = np.einsum("rq,rq->r", self._share[new], pull[waiting])
            fresh = (ids[waiting, :column] != new[:, None]).all(axis=1)
            taken = fresh & (accept < (1.0 + r) / 2.0)
            ids[waiting[taken], column] = new[taken]
            waiting = waiting[~taken]
        for row in waiting:
            p = self._p * (1.0 + self._share @ pull[row])
            p[ids[row, :column]] = 0.0
            ids[row, column] = self._rng.choice(len(p), p=p / p.sum())
