import re

import numpy as np
import pytest

from tfmlselect.pipeline.plan import Plan, PlanOptions


def make(n=5, batch_size=2, seed=0, drop_remainder=False):
    return Plan(n, PlanOptions(batch_size, seed, drop_remainder))


@pytest.mark.parametrize(
    ("n", "batch_size", "drop_remainder", "steps", "draws"),
    [
        (5, 2, False, 3, 5),
        (5, 2, True, 2, 4),
        (6, 2, False, 3, 6),
        (6, 2, True, 3, 6),
        (5, 5, False, 1, 5),
        (5, 1, True, 5, 5),
    ],
)
def test_length_of_an_epoch(n, batch_size, drop_remainder, steps, draws):
    plan = make(n, batch_size, 0, drop_remainder)
    assert (plan.steps, plan.draws) == (steps, draws)


@pytest.mark.parametrize("drop_remainder", [False, True])
def test_permutation_has_each_sample_once(drop_remainder):
    ids = make(drop_remainder=drop_remainder).permutation(3)
    assert ids.dtype == np.int64
    assert len(set(ids.tolist())) == len(ids) == (4 if drop_remainder else 5)
    assert set(ids.tolist()) <= set(range(5))


def test_a_pipeline_that_computes_in_place_leaves_the_plan_as_it_is():
    # As TensorFlow may with the memory of what a numpy_function returned.
    plan = make()
    plan.follow([4, 4, 0, 1, 4])
    plan.order()[:] += 1
    assert plan.ids.tolist() == plan.order().tolist() == [4, 4, 0, 1, 4]


def test_permutation_is_a_function_of_seed_and_epoch():
    a, b = make(100, seed=1), make(100, seed=1)
    np.testing.assert_array_equal(a.permutation(7), b.permutation(7))
    assert (a.permutation(7) != a.permutation(8)).any()
    assert (a.permutation(7) != make(100, seed=2).permutation(7)).any()


def test_without_a_set_order_each_iteration_is_a_new_permutation():
    plan = make(100)
    first, second = plan.order(), plan.order()
    assert sorted(first) == sorted(second) == list(range(100))
    assert (first != second).any()


def test_iterations_are_repeatable():
    a, b = make(100), make(100)
    for _ in range(3):
        np.testing.assert_array_equal(a.order(), b.order())


def test_a_set_order_is_followed_however_often_it_is_read():
    plan = make()
    plan.follow(np.array([4, 4, 0, 1, 4]))
    for _ in range(3):
        assert plan.order().tolist() == [4, 4, 0, 1, 4]


def test_reading_a_set_order_uses_up_no_permutation():
    plan, other = make(100), make(100)
    plan.follow(np.arange(100))
    plan.order()
    plan.release()
    np.testing.assert_array_equal(plan.order(), other.order())


def test_release_sets_no_order():
    plan = make()
    plan.follow(np.zeros(5, int))
    plan.release()
    assert plan.ids is None
    assert sorted(plan.order()) == [0, 1, 2, 3, 4]


def test_reads_are_counted_anew_for_each_order():
    plan = make()
    plan.order()
    plan.follow(np.arange(5))
    assert plan.reads == 0
    plan.order()
    plan.order()
    assert plan.reads == 2
    plan.follow(np.arange(5))
    assert plan.reads == 0


def test_the_order_is_the_plan_s_own():
    plan, ids = make(), np.arange(5)
    plan.follow(ids)
    ids[:] = 0
    assert plan.order().tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("ids", "received"),
    [
        ([0, 1, 2, 3], "shape (4,)"),
        ([0, 1, 2, 3, 4, 0], "shape (6,)"),
        ([[0, 1, 2, 3, 4]], "shape (1, 5)"),
        ([], "shape (0,)"),
        ([0, 1, 2, 3, 5], "ids from 0 to 5"),
        ([0, 1, 2, 3, -1], "ids from -1 to 3"),
    ],
)
def test_an_order_that_is_none(ids, received):
    plan = make()
    with pytest.raises(ValueError, match=f"5 ids .*0 to 4.*Received: .*{re.escape(received)}"):
        plan.follow(np.array(ids, np.int64))
    assert plan.ids is None
