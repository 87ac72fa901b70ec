"""Shards of any labels: a partition, and each group of samples dealt out evenly."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import tfmlselect as tfml
from tests.properties.examples import examples

LABELS = arrays(
    "uint8", st.tuples(st.integers(1, 40), st.integers(2, 5)), elements=st.integers(0, 1)
)


def rarest(row, counts):
    """The rarest of a sample's labels, the first of equals; None where it has none."""
    return min((j for j in range(len(row)) if row[j]), key=lambda j: (counts[j], j), default=None)


@examples(100)
@given(LABELS, st.data(), st.integers(0, 2**40))
def test_any_shards(y, data, seed):
    workers = data.draw(st.integers(1, len(y)))
    shards = tfml.stratified_shards(y, workers, seed=seed)
    assert len(shards) == workers
    np.testing.assert_array_equal(np.sort(np.concatenate(shards)), np.arange(len(y)))
    for shard in shards:
        assert shard.dtype == np.int64
        assert (np.diff(shard) > 0).all()
        assert len(y) // workers <= len(shard) <= -(-len(y) // workers)
    groups = np.array([str(rarest(row, y.sum(axis=0, dtype=int))) for row in y])
    for group in np.unique(groups):
        held = [np.count_nonzero(groups[shard] == group) for shard in shards]
        assert max(held) - min(held) <= 1
