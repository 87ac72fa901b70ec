"""Knots are fractions or whole epochs; schedules between them, by hand."""

import numpy as np
import pytest

from tfmlselect.schedules import check_knot, knot_epoch, ramp, warmup_epochs


@pytest.mark.parametrize("value", [0, 1, 250, 0.0, 0.1, 1.0, np.float64(0.5)])
def test_a_knot_is_given_back(value):
    assert check_knot("start", value) is value


@pytest.mark.parametrize("value", [-1, 1.5, -0.1, float("nan"), True, False, None, "0.1"])
def test_no_knot(value):
    with pytest.raises(ValueError, match=rf"`start` .* Received: start={value!r}\. Pass a float"):
        check_knot("start", value)


@pytest.mark.parametrize(
    ("value", "epochs", "expected"),
    [(0.1, 100, 10.0), (0.1, 30, 3.0), (0.1, 5, 0.5), (1.0, 7, 7.0), (1, 7, 1.0), (12, 7, 12.0)],
)
def test_the_epoch_of_a_knot(value, epochs, expected):
    assert knot_epoch(value, epochs) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("value", "epochs", "expected"),
    [
        (0.1, 100, 10),
        (0.1, 30, 3),
        (0.1, 5, 1),
        (0.1, 1, 1),
        (0.07, 100, 7),  # 7.000000000000001 in floating point
        (0.29, 100, 29),  # 28.999999999999996
        (0.101, 100, 11),
        (0.0, 100, 0),
        (1.0, 8, 8),
        (1, 8, 1),
        (0, 8, 0),
        (20, 8, 20),
    ],
)
def test_warmup_epochs(value, epochs, expected):
    warmup = warmup_epochs(value, epochs)
    assert warmup == expected
    assert type(warmup) is int


@pytest.mark.parametrize(
    ("epoch", "expected"), [(0, 0.7), (10, 0.7), (25, 0.6), (40, 0.5), (70, 0.3), (99, 0.3)]
)
def test_ramp(epoch, expected):
    assert ramp(epoch, first=0.7, last=0.3, start=10, end=70) == pytest.approx(expected, abs=1e-12)


def test_a_ramp_without_length_is_a_step():
    values = [ramp(epoch, first=1.0, last=0.0, start=3, end=3) for epoch in range(6)]
    assert values == [1.0, 1.0, 1.0, 1.0, 0.0, 0.0]
