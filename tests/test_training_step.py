"""What is known of the step that runs: nested, after an error, and in threads of its own."""

import threading

import pytest

from tfmlselect._training_step import (
    batch_labels,
    batch_rates,
    batch_weights,
    is_running,
    note_rates,
    training_step,
)


def known():
    return is_running(), batch_labels()


def test_labels_are_known_inside_alone():
    assert known() == (False, None)
    with training_step("y"):
        assert known() == (True, "y")
    assert known() == (False, None)


def test_a_step_without_labels_is_a_step():
    with training_step(None):
        assert known() == (True, None)


def test_the_innermost_step_counts():
    with training_step("outer"):
        with training_step("inner"):
            assert known() == (True, "inner")
            with training_step(None):
                assert known() == (True, None)
        assert known() == (True, "outer")


def test_an_error_ends_its_own_step():
    with training_step("outer"):
        with pytest.raises(ZeroDivisionError), training_step("inner"):
            raise ZeroDivisionError
        assert known() == (True, "outer")
    assert known() == (False, None)


def test_threads_know_their_own_steps():
    found = []
    both = threading.Barrier(2, timeout=60)

    def run(labels):
        before = known()
        with training_step(labels):
            both.wait()  # both are inside
            inside = known()
            both.wait()
        found.append((before, inside, known()))

    threads = [threading.Thread(target=run, args=(labels,)) for labels in "ab"]
    with training_step("main"):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert known() == (True, "main")
    steps = [((False, None), (True, labels), (False, None)) for labels in "ab"]
    assert sorted(found) == steps


def test_weights_of_the_samples_where_there_are_any():
    assert batch_weights() is None
    with training_step("labels", "weights"):
        assert (batch_labels(), batch_weights()) == ("labels", "weights")
        with training_step("others"):
            assert batch_weights() is None
    assert batch_weights() is None


def test_rates_are_noted_for_the_step_that_runs():
    note_rates("lost")
    assert batch_rates() is None
    with training_step("outer"):
        assert batch_rates() is None
        note_rates("outer")
        with training_step("inner"):
            assert batch_rates() is None
            note_rates("inner")
            assert batch_rates() == "inner"
        assert batch_rates() == "outer"
    assert batch_rates() is None
