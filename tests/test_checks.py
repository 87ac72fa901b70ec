"""The validators: what they let through, as which type, and what they say of the rest."""

import fractions
import os
import pathlib
import re
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from tfmlselect._checks import (
    check_argument,
    check_array,
    check_choice,
    check_device,
    check_distribution,
    check_flag,
    check_number,
    check_numbers,
    check_path,
    check_pressure,
    check_seed,
    check_text,
    check_vector,
    check_whole,
    holds_numbers,
    is_number,
    is_whole,
    require,
    shown,
)


class Unshowable:
    def __repr__(self):
        raise RuntimeError("no repr")


def said(what, received, remedy):
    """The pattern of an error in its three parts."""
    return "^" + re.escape(f"{what}. Received: {received}. {remedy}.") + "$"


@pytest.mark.parametrize("value", [0, -3, np.int8(4), np.uint64(2**64 - 1), 10**400])
def test_whole_numbers(value):
    assert is_whole(value)


@pytest.mark.parametrize("value", [True, np.True_, 1.0, "1", None, np.array(1), 1j])
def test_what_is_no_whole_number(value):
    assert not is_whole(value)


@pytest.mark.parametrize(
    "value", [0, 0.5, -1e300, np.float16(2), np.int64(1), fractions.Fraction(1, 3)]
)
def test_numbers(value):
    assert is_number(value)


@pytest.mark.parametrize(
    "value", [True, np.False_, np.nan, -np.inf, 10**400, "1", None, np.array(0.5), 1j]
)
def test_what_is_no_number(value):
    assert not is_number(value)


def test_an_error_has_three_parts():
    require(True, "What", "it", "Do")
    with pytest.raises(ValueError, match=said("`k` must be odd", "k=2", "Pass k + 1")):
        check_argument(False, "k", 2, "odd", "Pass k + 1")


def test_values_are_shown_on_one_line_and_cut_where_they_are_long():
    assert shown(np.eye(2)) == "array([[1., 0.], [0., 1.]])"
    assert shown("x" * 300) == "'" + "x" * 199 + "..."
    assert shown(Unshowable()) == "a value of type Unshowable that cannot be shown"


@pytest.mark.parametrize("value", [3, np.int16(3)])
def test_whole_numbers_become_ints(value):
    assert type(check_whole("k", value, 1, 5)) is int
    assert type(check_seed("seed", value)) is int


@pytest.mark.parametrize(
    ("value", "bounds", "wanted", "example"),
    [
        (0, (1, 5), "a whole number from 1 to 5", "1"),
        (6, (1, 5), "a whole number from 1 to 5", "5"),
        (2.0, (1, 5), "a whole number from 1 to 5", "1"),
        (True, (1,), "a whole number >= 1", "1"),
        (-1, (), "a whole number >= 0", "0"),
        (2**63, (2,), "a whole number from 2 to 2**63 - 1", "2"),
    ],
)
def test_whole_numbers_out_of_bounds(value, bounds, wanted, example):
    message = said(f"`k` must be {wanted}", f"k={value!r}", f"Pass for example k={example}")
    with pytest.raises(ValueError, match=message):
        check_whole("k", value, *bounds)


def test_whole_numbers_have_64_bits_and_seeds_any_size():
    assert check_whole("k", 2**63 - 1) == 2**63 - 1
    assert check_seed("seed", 10**400) == 10**400
    for wrong in (-1, 0.5, True, None):
        with pytest.raises(
            ValueError,
            match=said(
                "`seed` must be a whole number >= 0", f"seed={wrong}", "Pass for example seed=0"
            ),
        ):
            check_seed("seed", wrong)


@pytest.mark.parametrize(
    ("value", "options", "wanted"),
    [
        (-0.1, {"least": 0, "most": 1}, ">= 0 and <= 1"),
        (1, {"least": 0, "below": 1}, ">= 0 and < 1"),
        (0, {"above": 0}, "> 0"),
        (np.inf, {}, ""),
        (np.nan, {"least": 1}, ">= 1"),
        (10**400, {"least": 1}, ">= 1"),
        ("0.5", {"least": 0, "most": 1}, ">= 0 and <= 1"),
        (True, {"least": 0, "most": 1}, ">= 0 and <= 1"),
        (None, {"least": 0}, ">= 0"),
    ],
)
def test_numbers_out_of_bounds(value, options, wanted):
    what = f"`rate` must be a finite number {wanted}".rstrip()
    message = said(what, f"rate={shown(value)}", "Pass for example rate=0.25")
    with pytest.raises(ValueError, match=message):
        check_number("rate", value, **options, example=0.25)


@pytest.mark.parametrize("value", [0, 1, 0.5, np.float32(0.5)])
def test_numbers_become_floats(value):
    assert type(check_number("rate", value, 0, 1)) is float


@pytest.mark.parametrize("value", [(0.7, 0.3), [1, 0], np.array([0.5, 0.5])])
def test_some_numbers_become_a_tuple(value):
    assert check_numbers("mix", value, 2, 0, 1) == tuple(value)


@pytest.mark.parametrize(
    "value", [0.5, "ab", (0.5,), (0.5, 1.5), (0.5, None), np.array(0.5), np.ones((2, 2)), {0, 1}]
)
def test_other_than_some_numbers(value):
    message = said(
        "`mix` must be 2 numbers from 0 to 1", f"mix={shown(value)}", "Pass for example mix=(0, 1)"
    )
    with pytest.raises(ValueError, match=message):
        check_numbers("mix", value, 2, 0, 1)


def test_a_choice():
    assert check_choice("mode", "a", ("a", "b", None)) == "a"
    assert type(check_choice("mode", np.str_("a"), ("a", "b"))) is str
    assert check_choice("mode", None, ("a", None)) is None
    assert check_choice("mode", True, (True, "auto")) is True


@pytest.mark.parametrize(
    ("value", "example"),
    [("relativ", "relative"), ("z", "absolute"), (1, "absolute"), (np.ones(2), "absolute")],
)
def test_no_choice_names_the_closest(value, example):
    message = said(
        "`mode` must be one of 'absolute', 'relative', True",
        f"mode={shown(value)}",
        f"Pass for example mode={example!r}",
    )
    with pytest.raises(ValueError, match=message):
        check_choice("mode", value, ("absolute", "relative", True))


def test_flags():
    assert check_flag("exact", np.True_) is True
    for wrong in (1, 0, "no", None, np.array(True)):
        message = said(
            "`exact` must be True or False", f"exact={wrong!r}", "Pass for example exact=True"
        )
        with pytest.raises(ValueError, match=message):
            check_flag("exact", wrong)


def test_texts_and_paths(tmp_path):
    assert check_text("name", "a") == "a"
    assert check_path("log_dir", tmp_path) == os.fspath(tmp_path)
    assert check_path("log_dir", "logs") == "logs"
    for wrong in ("", b"a", None, 3):
        with pytest.raises(
            ValueError,
            match=said(
                "`name` must be a string that is not empty", f"name={wrong!r}", "Pass a string"
            ),
        ):
            check_text("name", wrong)
        with pytest.raises(
            ValueError,
            match=said("`path` must be the path of a file", f"path={wrong!r}", "Name a file"),
        ):
            check_path("path", wrong, "file")
    assert check_path("path", pathlib.PurePosixPath("a/b")) == "a/b"


@pytest.mark.parametrize("name", ["CPU:0", "/CPU:0", "/device:CPU:0", "CPU"])
def test_devices_that_are_there(name):
    assert check_device("state_device", name) == name


@pytest.mark.parametrize("wrong", ["nope", "CPU:99", "", None, 0, b"CPU:0"])
def test_other_devices(wrong):
    message = rf"must be one of the devices .*CPU:0.*\. Received: state_device={wrong!r}\. Pass for"
    with pytest.raises(ValueError, match=message) as error:
        check_device("state_device", wrong)
    assert error.value.__context__ is None


def test_pressures():
    assert type(check_pressure("initial", 8)) is float
    for wrong in (0.5, np.nan, np.inf, 10**400, "8", None, True):
        with pytest.raises(ValueError, match=r"must be a finite number >= 1\. Received: initial="):
            check_pressure("initial", wrong)


@pytest.mark.parametrize(
    "value",
    [[1, 2], [[0.5], [1.0]], np.float32(3), tf.constant([1, 2]), tf.constant([1.0], tf.bfloat16)],
    ids=str,
)
def test_arrays_of_numbers_are_taken(value):
    array = check_array("score", value, "numbers", "Pass some")
    np.testing.assert_array_equal(array, np.asarray(value))


@pytest.mark.parametrize(
    "value",
    ["1", ["1"], None, [None], [1, "a"], [[1], [1, 2]], [True], [1j], {}, Unshowable(), [10**400]],
    ids=shown,
)
def test_other_arrays_are_not(value):
    message = said("`score` must be numbers", f"score={shown(value)}", "Pass some")
    with pytest.raises(ValueError, match=message) as error:
        check_array("score", value, "numbers", "Pass some")
    assert error.value.__context__ is None


def test_truth_values_where_they_are_asked_for():
    assert check_array("y", [True, False], "labels", "Pass some", flags=True).dtype == bool


@pytest.mark.parametrize("dtype", [np.dtype("u1"), np.dtype("f8"), tf.int64, tf.bfloat16])
def test_types_of_numbers(dtype):
    assert holds_numbers(dtype)


@pytest.mark.parametrize(
    "dtype", [np.dtype("?"), np.dtype("O"), np.dtype("U3"), tf.string, tf.bool]
)
def test_other_types(dtype):
    assert not holds_numbers(dtype)


def test_vectors():
    check_vector("score", tf.constant([1.0, 2.0]))
    check_vector("score", np.array([np.nan]), values=False)
    with pytest.raises(ValueError, match=r"must hold numbers\. Received: score\.dtype=str"):
        check_vector("score", np.array(["a"]))


def test_distributions_become_float64():
    p = check_distribution([1, 0])
    assert p.dtype == np.float64
    assert p.tolist() == [1.0, 0.0]
    with pytest.raises(ValueError, match=r"`probabilities` must be an array of numbers, one for"):
        check_distribution(["1.0"])


class Device(NamedTuple):
    name: str


@pytest.mark.parametrize(
    ("value", "there"),
    [
        ("CPU:0", True),
        ("cpu", True),
        ("/job:worker/replica:0/task:1/device:CPU:0", True),
        ("/job:worker/task:3/CPU:0", False),
        ("GPU:0", False),
    ],
)
def test_devices_of_one_of_several_machines(monkeypatch, value, there):
    own = [Device("/job:worker/replica:0/task:1/device:CPU:0")]
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda: own)
    if there:
        assert check_device("device", value) == value
    else:
        with pytest.raises(ValueError, match=r"the devices CPU:0\. Received.*Pass.*device='CPU:0'"):
            check_device("device", value)


def test_numbers_of_several_types_as_pandas_has_them():
    mixed = np.array([[True, 1], [np.float32(0.5), 2]], object)
    found = check_array("a", mixed, "numbers", "Pass some")
    assert found.tolist() == [[1.0, 1.0], [0.5, 2.0]]
    for wrong in (None, "1", 10**400):
        with pytest.raises(ValueError, match=r"`a` must be numbers\. Received"):
            check_array("a", np.array([1, wrong], object), "numbers", "Pass some")


def test_numpy_truth_values_are_truth_values():
    assert check_choice("a", np.bool_(True), (True, False, "auto")) is True
    assert check_flag("a", np.bool_(False)) is False


def test_a_pressure_without_dimensions():
    assert check_pressure("pressure", np.array(8)) == 8.0
