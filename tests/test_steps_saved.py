import math
from types import SimpleNamespace

import pytest

from tfmlselect import _steps_saved
from tfmlselect._steps_saved import by_balance, by_thinning, likely_range, steps_saved


def labels(empty=0.0, mean_log_irlbl=0.0, variance_ratio=1.0):
    return SimpleNamespace(
        empty=empty, mean_log_irlbl=mean_log_irlbl, variance_ratio=variance_ratio
    )


def test_a_small_table_by_hand(monkeypatch):
    monkeypatch.setattr(_steps_saved, "BALANCE", 0.5)
    monkeypatch.setattr(_steps_saved, "THINNING", 2.0)
    monkeypatch.setattr(_steps_saved, "MOST_EMPTY", 0.6)
    monkeypatch.setattr(_steps_saved, "SPREAD", 0.5)
    assert by_balance(labels(mean_log_irlbl=math.log(9))) == pytest.approx(3)
    assert by_thinning(labels(empty=0.7, variance_ratio=4.0)) == pytest.approx(16)
    assert by_thinning(labels(empty=0.6, variance_ratio=4.0)) == 1.0  # not most samples
    assert steps_saved(labels(0.7, math.log(9), 4.0)) == pytest.approx(16)
    assert steps_saved(labels(0.6, math.log(9), 4.0)) == pytest.approx(3)
    assert likely_range(4.0) == pytest.approx((2.0, 8.0))


def test_never_less_than_one():
    assert steps_saved(labels()) == 1.0
    assert steps_saved(labels(1.0, math.nan, 1.0)) == 1.0  # no positives at all
    assert by_thinning(labels(empty=0.9, variance_ratio=1.0 - 1e-16)) == 1.0  # rounding
    assert likely_range(1.0) == (1.0, 1.0)


def test_more_imbalance_saves_more():
    rarer = [by_balance(labels(mean_log_irlbl=mean)) for mean in (0.0, 0.5, 2.0, 4.0)]
    emptier = [by_thinning(labels(empty=0.9, variance_ratio=r)) for r in (1.0, 1.5, 6.0, 20.0)]
    for saved in (rarer, emptier):
        assert saved[0] == 1.0
        assert saved == sorted(set(saved))


@pytest.mark.parametrize("saved", [1.0, 1.1, 3.0, 20.0])
def test_the_range_has_the_prediction_in_it(saved):
    low, high = likely_range(saved)
    assert 1.0 <= low <= saved <= high
    assert (low == high) == (saved == 1.0)
