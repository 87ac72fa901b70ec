"""Which samples each of several machines is to hold.

Whether machines hold what they should is checked in `shard_checks`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tfmlselect._checks import check_seed, check_whole
from tfmlselect.labels import check_labels

_ROWS_AT_ONCE = 65536


def stratified_shards(
    y: Any, workers: int, *, seed: int = 0, missing: float | None = None
) -> list[np.ndarray]:
    """Deals samples out to workers so that every shard has its part of each rare label.

    Each sample belongs to the rarest of its labels, or to none; every group is shuffled and dealt
    out in turns, going on where the group before it ended. So shards differ by one sample at most,
    and so do their parts of each group. Without this a shard may hold more of the distribution than
    its share, and its samples are drawn less often than they should be.

    Args:
        y: labels of all samples, as for `adaptive_dataset`.
        workers: how many shards, from 1 to n.
        seed: of the shuffles; the same on every machine.
        missing: what stands in y where a label is unknown, as for `adaptive_dataset`; such a label
            is none of the sample's.

    Returns:
        For each worker the ids of its samples in ascending order, (n / workers,) int64, rounded up
        or down.

    Raises:
        ValueError: y is not what `adaptive_dataset` takes, `workers`, `seed` or
            `missing` not in range.

    Example:
        >>> import tfmlselect as tfml
        >>> y = [[1, 0], [1, 1], [1, 0], [1, 1], [1, 0], [1, 0]]
        >>> [y[i] for i in tfml.stratified_shards(y, workers=2)[0]].count([1, 1])
        1
    """
    labels = check_labels(y, missing=missing).matrix
    workers = check_whole("workers", workers, 1, len(labels))
    seed = check_seed("seed", seed)
    rarest_first = np.argsort(labels.sum(axis=0, dtype=np.int64), kind="stable")
    group = np.empty(len(labels), np.int64)
    for start in range(0, len(labels), _ROWS_AT_ONCE):
        part = labels[start : start + _ROWS_AT_ONCE, rarest_first]
        group[start : start + _ROWS_AT_ONCE] = np.where(
            part.any(axis=1), part.argmax(axis=1), part.shape[1]
        )
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    dealt = shuffled[np.argsort(group[shuffled], kind="stable")]
    return [np.sort(dealt[number::workers]) for number in range(workers)]
