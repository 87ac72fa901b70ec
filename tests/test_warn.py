"""Whose line a warning names, and how often it is shown."""

import functools
import inspect
import re
import warnings
from pathlib import Path

import pytest
import tensorflow as tf

import tfmlselect
from tfmlselect._warn import warn


def frames_of(name, text):
    """A function, of a module of this name, that calls another one."""
    names = {"__name__": name}
    exec(f"def call(function):\n    {text}\n", names)
    return names["call"]


@pytest.mark.parametrize(
    "inner",
    ["keras.src.trainers", "tf_keras.engine", "tensorflow.python.keras", "tfmlselect.losses"],
)
def test_the_line_is_the_first_one_outside(inner):
    through = frames_of(inner, "return function()")
    with pytest.warns(UserWarning, match="said") as caught:
        through(functools.partial(through, lambda: through(functools.partial(warn, "said"))))
    assert caught[0].filename == __file__  # that of the lambda
    assert caught[0].lineno == inspect.currentframe().f_lineno - 2


def test_a_package_whose_name_begins_alike_is_the_users():
    through = frames_of("keras_models.mine", "return function()")
    with pytest.warns(UserWarning, match="said") as caught:
        through(functools.partial(warn, "said"))
    assert caught[0].filename == "<string>"


def test_a_line_is_found_where_there_is_none_outside():
    def in_a_thread_of_tensorflow():
        warn("said")
        return 0.0

    with pytest.warns(UserWarning, match="said"):
        tf.numpy_function(in_a_thread_of_tensorflow, [], tf.float64)


def test_each_one_is_shown():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")  # by which Python shows a line's text once
        for _ in range(3):
            warn("said")
    assert [str(each.message) for each in caught] == ["said"] * 3


def test_filters_act_on_text_category_and_module():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        warnings.filterwarnings("ignore", "other")
        warnings.filterwarnings("error", category=DeprecationWarning, module=re.escape(__name__))
        warn("other things")
        with pytest.raises(DeprecationWarning, match="gone"):
            warn("gone soon", DeprecationWarning)
    assert caught == []


def test_all_of_the_package_go_this_way():
    files = Path(tfmlselect.__file__).parent.rglob("*.py")
    others = [file for file in files if file.name != "_warn.py"]
    assert len(others) > 50
    for file in others:
        assert "warnings.warn" not in file.read_text(encoding="utf-8"), file
