"""Batches built member by member, where samples with labels that co-occur attract each other.

It takes the place of `draws.draw_epoch`; the distribution p is made elsewhere. A reconstruction of
what an abstract says (ECML PKDD 2024: a batch is a sequence in which label correlations steer the
next pick). The first member is drawn from p, each next one from the samples not yet in the batch
with `p'_i ∝ p_i (1 + r_i)`; r_i is the mean, over the members b drawn so far, of
`Σ_{j in y_b, k in y_i} A_jk / (|y_b| |y_i|)`, 0 where a set is empty, and
`A_jk = ½ (n_jk / c_j + n_jk / c_k)`, diagonal 0. Since 0 <= r <= 1, a proposal from p that is
accepted with probability (1 + r) / 2 draws exactly this.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tfmlselect._checks import check_flag
from tfmlselect.sampling.draws import (
    DRAW,
    checked_distribution,
    cumulate,
    draw_outside,
    epoch_generator,
    locate,
)


def label_affinity(labels: np.ndarray, known: np.ndarray | None = None) -> np.ndarray:
    """A (q, q) float64 of labels (n, q) uint8; 0 for labels without positives.

    Args:
        known: (n, q) bool: a pair of labels counts where both are known. None: all are.
    """
    table = labels.astype(np.float32)
    together = (table.T @ table).astype(np.float64)
    counts = np.diag(together)[:, None]
    if known is not None:  # positives of the row's label where the column's label is known
        counts = (table.T @ known.astype(np.float32)).astype(np.float64)
    counts = np.maximum(counts, 1.0)
    affinity: np.ndarray = 0.5 * (together / counts + together / counts.T)
    np.fill_diagonal(affinity, 0.0)
    return affinity


def draw_correlated_epoch(
    probabilities: Any,
    labels: np.ndarray,
    batch_size: int,
    seed: int,
    epoch: int,
    drop_remainder: bool = False,
    known: np.ndarray | None = None,
) -> np.ndarray:
    """The ids of an epoch; arguments, errors and result as `tfmlselect.sampling.draw_epoch`.

    Args:
        labels: (n, q) uint8 0/1, 0 where unknown.
        known: (n, q) bool, as `label_affinity` takes it.
    """
    check_flag("drop_remainder", drop_remainder)
    p = checked_distribution(probabilities, batch_size)
    rng = epoch_generator(seed, epoch, DRAW)
    n = len(p)
    ids, edges = cumulate(p)
    share = labels / np.maximum(labels.sum(axis=1, keepdims=True), 1).astype(np.float32)
    share = share[ids]
    affinity = label_affinity(labels, known).astype(np.float32)
    draw = _SequenceDraw(edges, share, share @ affinity, rng)
    parts = [draw.rows(n // batch_size, batch_size).ravel()]
    if n % batch_size and not drop_remainder:
        parts.append(draw.rows(1, n % batch_size).ravel())
    return ids.take(np.concatenate(parts))


class _SequenceDraw:
    """Draws all batches of an epoch at once, one member of each at a time.

    Samples are known by their position in `edges`; `share` and `pull`, (m, q), are in that order.
    """

    def __init__(
        self, edges: np.ndarray, share: np.ndarray, pull: np.ndarray, rng: np.random.Generator
    ):
        self._edges, self._share, self._pull, self._rng = edges, share, pull, rng

    def rows(self, rows: int, columns: int) -> np.ndarray:
        """(rows, columns) positions, distinct in a row."""
        drawn = np.empty((rows, columns), np.int64)
        pull = np.zeros((rows, self._share.shape[1]), np.float32)
        for column in range(columns):
            drawn[:, column] = self._members(drawn[:, :column], pull / max(column, 1))
            pull += self._pull[drawn[:, column]]
        return drawn

    def _members(self, held: np.ndarray, pull: np.ndarray) -> np.ndarray:
        """The next member of each row: proposed, and taken with probability (1 + r) / 2.

        A first proposal may be in the row already. Later ones are drawn from samples that are not,
        so that each is taken at least every second time, whatever p is.
        """
        members = locate(self._edges, self._rng.random(len(held)) * self._edges[-1])
        taken = (held != members[:, None]).all(axis=1) & self._accepts(members, pull)
        while not taken.all():
            waiting = np.flatnonzero(~taken)
            rest = np.sort(held[waiting], axis=1)
            new = draw_outside(self._edges, rest, np.arange(len(waiting)), self._rng)
            members[waiting] = new
            taken[waiting] = self._accepts(new, pull[waiting])
        return members

    def _accepts(self, members: np.ndarray, pull: np.ndarray) -> np.ndarray:
        r = np.einsum("rq,rq->r", self._share[members], pull)
        return np.asarray(self._rng.random(len(members)) < (1.0 + r) / 2.0)
