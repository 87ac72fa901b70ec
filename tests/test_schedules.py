"""Points of the run are fractions or whole epochs; schedules between them, by hand."""

import json
import re

import numpy as np
import pytest

from tfmlselect.schedules import (
    Constant,
    Decay,
    Ramp,
    check_point,
    epoch_of_point,
    fraction,
    get,
    pressure,
    ramp,
    warmup_epochs,
)


@pytest.mark.parametrize("value", [0, 1, 250, 0.0, 0.1, 1.0, np.float64(0.5)])
def test_a_point_of_the_run_is_given_back(value):
    assert check_point("start", value) is value


@pytest.mark.parametrize("value", [-1, 1.5, -0.1, float("nan"), True, False, None, "0.1"])
def test_no_point_of_the_run(value):
    with pytest.raises(ValueError, match=rf"`start` .* Received: start={value!r}\. Pass a float"):
        check_point("start", value)


@pytest.mark.parametrize(
    ("value", "epochs", "expected"),
    [(0.1, 100, 10.0), (0.1, 30, 3.0), (0.1, 5, 0.5), (1.0, 7, 7.0), (1, 7, 1.0), (12, 7, 12.0)],
)
def test_the_epoch_of_a_point(value, epochs, expected):
    assert epoch_of_point(value, epochs) == pytest.approx(expected, abs=1e-12)


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


# Schedules as objects.

RAMP = Ramp(0.7, 0.3, start=0.1, end=0.7)


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        (Constant(3), {0: 3, 50: 3, 200: 3}),
        (RAMP, {0: 0.7, 10: 0.7, 25: 0.6, 40: 0.5, 70: 0.3, 100: 0.3}),
        (Ramp(0.7, 0.3, start=10, end=70), {10: 0.7, 40: 0.5, 70: 0.3}),
        (Ramp(0, 1), {0: 0, 25: 0.25, 100: 1}),
        # 16^(3/4), 16^(1/2), 16^(1/4).
        (Decay(16.0), {0: 16, 25: 8, 50: 4, 75: 2, 100: 1, 120: 1}),
        (Decay(16.0, start=0.2, end=0.6), {0: 16, 20: 16, 30: 8, 40: 4, 60: 1, 99: 1}),
        (Decay(16.0, start=20, end=60), {0: 16, 20: 16, 30: 8, 40: 4, 60: 1, 99: 1}),
        (Decay(16.0, start=100), {0: 16, 100: 16}),  # no epoch to decay in
    ],
    ids=str,
)
def test_schedules_by_hand(schedule, values):
    for epoch, value in values.items():
        assert schedule(epoch, 100) == pytest.approx(value, abs=1e-12)
        assert isinstance(schedule(epoch, 100), float)


@pytest.mark.parametrize(
    "schedule", [Constant(2.0), RAMP, Ramp(1, 2, end=7), Decay(8.0, start=3)], ids=str
)
def test_a_schedule_from_its_config(schedule):
    again = get(json.loads(json.dumps(schedule.get_config())))
    assert again == schedule
    assert get(schedule) is schedule


def test_a_number_is_a_constant_schedule():
    assert get(2) == Constant(2.0)
    assert get(np.float64(0.5)) == Constant(0.5)


@pytest.mark.parametrize(
    "value",
    [
        "ramp",
        None,
        True,
        float("nan"),
        float("inf"),
        {},
        [1, 2],
        {"schedule": "Step"},
        {"schedule": ["Ramp"]},
        {"schedule": "Ramp", "first": 1.0},
        {"schedule": "Ramp", "first": 1.0, "last": 2.0, "middle": 1.5},
    ],
)
def test_no_schedule(value):
    received = re.escape(repr(value))
    with pytest.raises(ValueError, match=rf"Received: {received}\. Pass a number, or one of"):
        get(value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Ramp(1, 2, start=-0.1),
        lambda: Ramp(1, 2, end=1.1),
        lambda: Decay(8.0, start=-1),
        lambda: Decay(8.0, end=2.5),
    ],
)
def test_points_outside_the_run(make):
    with pytest.raises(ValueError, match=r"Received: (start|end)=-?[\d.]+\. Pass a float"):
        make()


def test_numbers_of_numpy_are_numbers():
    ramp = Ramp(np.float32(1), np.int64(2), start=np.int64(3), end=np.float32(0.5))
    assert ramp == Ramp(1, 2, start=3, end=0.5)
    assert ramp(25, 100) == Ramp(1, 2, start=3, end=0.5)(25, 100)
    assert get(json.loads(json.dumps(ramp.get_config()))) == ramp


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda wrong: Constant(wrong), "value"),
        (lambda wrong: Ramp(wrong, 1.0), "first"),
        (lambda wrong: Ramp(1.0, wrong), "last"),
    ],
)
@pytest.mark.parametrize("wrong", ["1", None, True, float("nan"), 10**400])
def test_values_that_are_no_numbers(make, name, wrong):
    message = rf"^`{name}` must be a finite number\. Received: {name}=.*\. Pass for example"
    with pytest.raises(ValueError, match=message):
        make(wrong)


def test_a_decay_of_no_pressure():
    with pytest.raises(ValueError, match=r"Received: initial=0\.5\. Use 1"):
        Decay(0.5)


def test_a_pressure_is_a_number_or_a_schedule():
    assert pressure(8, 0.1) == Decay(8.0, 0.1)
    assert pressure(8, None) == Constant(8.0)
    assert pressure(Ramp(8, 2), 0.1) == Ramp(8, 2)
    assert pressure(Decay(4.0, 1).get_config(), None) == Decay(4.0, 1)


@pytest.mark.parametrize("value", [0.99, 0, -8, Constant(0.5), Ramp(8, 0.5)], ids=str)
@pytest.mark.parametrize("decay_start", [0.1, None])
def test_no_pressure(value, decay_start):
    with pytest.raises(ValueError, match=r"Received: pressure=-?[\d.]+\. Use 1"):
        pressure(value, decay_start)


@pytest.mark.parametrize("value", ["8", None, True, float("nan")])
def test_a_pressure_of_another_kind(value):
    with pytest.raises(ValueError, match=rf"Received: pressure={value!r}\. Pass a number >= 1, or"):
        pressure(value, 0.1)


def test_a_schedule_of_fractions():
    assert fraction("share", 0) == Constant(0.0)
    assert fraction("share", np.float32(0.5)) == Constant(0.5)
    assert fraction("share", Ramp(1, 0, 0.2)) == Ramp(1, 0, 0.2)
    assert fraction("share", Ramp(1.0, 0.5).get_config()) == Ramp(1.0, 0.5)


@pytest.mark.parametrize(
    "value",
    [-0.1, 1.1, 2, float("nan"), True, None, "0.5", {}, [], Ramp(0.5, 1.5), Ramp(-0.5, 0.5)],
    ids=str,
)
def test_no_schedule_of_fractions(value):
    with pytest.raises(ValueError, match=r"Received: .+\. Pass .+\."):
        fraction("share", value)
