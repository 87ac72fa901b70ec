"""Stratified shards: every sample once, rare labels evenly."""

import numpy as np
import pytest

import tfmlselect as tfml


def labels(n=1003, q=7, seed=0):
    rng = np.random.default_rng(seed)
    y = (rng.random((n, q)) < np.geomspace(0.5, 0.01, q)).astype("uint8")
    return y[np.argsort(y @ np.arange(q))]  # in an order that plain cuts suffer from


@pytest.mark.parametrize("workers", [1, 2, 5, 64])
def test_each_sample_is_in_one_shard_and_shards_are_of_equal_size(workers):
    shards = tfml.stratified_shards(labels(), workers)
    np.testing.assert_array_equal(np.sort(np.concatenate(shards)), np.arange(1003))
    assert np.ptp([len(shard) for shard in shards]) <= 1
    assert all((np.diff(shard) > 0).all() for shard in shards)


def test_the_rarest_label_is_spread_to_within_one():
    y = labels()
    counts = np.array([y[shard].sum(axis=0) for shard in tfml.stratified_shards(y, 4)])
    assert np.ptp(counts[:, -1]) <= 1
    assert y[:, -1].sum() < 20
    cuts = np.array([y[cut].sum(axis=0) for cut in np.array_split(np.arange(1003), 4)])
    assert (np.ptp(counts, axis=0)[1:] < 0.35 * np.ptp(cuts, axis=0)[1:]).all()


def test_sample_by_hand():
    """Groups: label 1 (rarest) has 0 and 3, label 0 has 1, 2, 4, none has 5."""
    y = np.array([[1, 1], [1, 0], [1, 0], [0, 1], [1, 0], [0, 0]])
    shards = tfml.stratified_shards(y, 2)
    assert [len({0, 3} & set(shard)) for shard in shards] == [1, 1]
    assert sorted(len({1, 2, 4} & set(shard)) for shard in shards) == [1, 2]


def test_class_ids_and_seeds():
    ids = np.arange(40) % 4
    shards = tfml.stratified_shards(ids, 4, seed=3)
    assert all(np.ptp(np.bincount(ids[shard], minlength=4)) <= 1 for shard in shards)
    again = tfml.stratified_shards(ids, 4, seed=3)
    np.testing.assert_array_equal(np.stack(shards), np.stack(again))
    assert (np.stack(shards) != np.stack(tfml.stratified_shards(ids, 4, seed=4))).any()


@pytest.mark.parametrize(
    "wrong",
    [
        {"workers": 0},
        {"workers": 41},
        {"workers": True},
        {"workers": 2, "seed": -1},
        {"workers": 2, "seed": True},
    ],
)
def test_out_of_range(wrong):
    with pytest.raises(ValueError, match=r"Received: (workers|seed)="):
        tfml.stratified_shards(np.arange(40) % 4, **wrong)
