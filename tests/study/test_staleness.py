"""Stale batches are counted right, and an adaptive dataset has none."""

import json

import numpy as np
import pytest

from benchmarks.speed import staleness


def test_batches_of_another_group_than_the_epochs_are_stale(monkeypatch):
    monkeypatch.setattr(staleness, "STEPS", 2)
    monkeypatch.setattr(staleness, "EPOCHS", 4)
    seen = [(0, {0, 1}), (0, {2}), (1, {0}), (1, {0}), (2, {0}), (2, {1}), (3, {1}), (3, {2, 1})]
    assert staleness.stale(seen) == [0, 1, 2]
    halves = [each for each in seen for _ in range(2)]  # two replicas
    assert staleness.stale(halves) == [0, 1, 2]


def test_the_distribution_is_even_on_one_group():
    p = staleness.group_probabilities(3)
    assert p.sum() == pytest.approx(1)
    assert {*staleness.GROUP[p > 0].tolist()} == {3}
    assert np.unique(p).tolist() == [0, 1 / staleness.BATCH]


def test_an_adaptive_dataset_has_no_stale_batch_and_one_iterator_for_all_epochs_has(monkeypatch):
    monkeypatch.setattr(staleness, "EPOCHS", 4)
    assert staleness.through_the_plan() == [0, 0, 0]
    once = {"steps_per_epoch": staleness.STEPS}
    counts = staleness.in_the_map(lambda dataset: dataset.repeat().prefetch(4), **once)
    assert min(counts) >= 1


def test_committed_figures_show_none_for_adaptive_datasets():
    measured = json.loads(staleness.FILE.read_text(encoding="utf-8"))["stale"]
    assert [*measured] == [*staleness.WAYS]
    ours = [sum(counts) for way, counts in measured.items() if way.startswith("adaptive_dataset")]
    assert ours == [0, 0, 0]


def test_a_row_shows_one_number_where_all_epochs_agree():
    assert staleness.shown([4, 4]) == "4"
    assert staleness.shown([4, 3]) == "4, 3"
