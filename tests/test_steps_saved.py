import math
from types import SimpleNamespace

import pytest

from tfmlselect import _steps_saved
from tfmlselect._steps_saved import likely_range, steps_saved


def labels(mean_log_irlbl=0.0, variance_ratio=1.0):
    return SimpleNamespace(mean_log_irlbl=mean_log_irlbl, variance_ratio=variance_ratio)


def test_a_small_table_by_hand(monkeypatch):
    monkeypatch.setattr(_steps_saved, "IMBALANCE", 0.5)
    monkeypatch.setattr(_steps_saved, "EMPTINESS", 2.0)
    monkeypatch.setattr(_steps_saved, "SPREAD", 0.5)
    assert steps_saved(labels(math.log(9))) == pytest.approx(3)
    assert steps_saved(labels(0.0, 4.0)) == pytest.approx(16)
    assert steps_saved(labels(math.log(9), 4.0)) == pytest.approx(48)
    assert likely_range(4.0) == pytest.approx((2.0, 8.0))


def test_never_less_than_one():
    assert steps_saved(labels()) == 1.0
    assert steps_saved(labels(math.nan)) == 1.0  # no positives at all
    assert steps_saved(labels(0.0, 1.0 - 1e-16)) == 1.0  # rounding
    assert likely_range(1.0) == (1.0, 1.0)


def test_more_imbalance_saves_more():
    rarer = [steps_saved(labels(mean)) for mean in (0.0, 0.5, 2.0, 4.0)]
    emptier = [steps_saved(labels(0.0, ratio)) for ratio in (1.0, 1.5, 6.0, 20.0)]
    for saved in (rarer, emptier):
        assert saved[0] == 1.0
        assert saved == sorted(set(saved))


@pytest.mark.parametrize("saved", [1.0, 1.1, 3.0, 20.0])
def test_the_range_has_the_prediction_in_it(saved):
    low, high = likely_range(saved)
    assert 1.0 <= low <= saved <= high
    assert (low == high) == (saved == 1.0)
