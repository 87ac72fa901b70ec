"""When a run is where the baseline's best was, by hand."""

import numpy as np
import pytest

import tests.support.result_tables as tables
from benchmarks.evidence import speed


def uniform(data="a", curve_test="0.5 0.6 0.7 0.7", **others):
    return tables.row(data, curve_test=curve_test, **{"best_epoch": 15, **others})


def other(data="a", curve_test="0.6 0.7 0.7 0.8", **others):
    return tables.row(data, "d2ace", curve_test=curve_test, **others)


def test_cells_by_hand():
    table = tables.frame(
        uniform(), other(epoch_seconds=3.0), uniform("b"), tables.row("c", "focal")
    )
    found = speed.cells(table, "d2ace")
    assert found["data"].tolist() == ["a"]
    cell = found.iloc[0]
    assert (cell["epochs"], cell["baseline_epochs"]) == (10, 15)
    assert (cell["steps"], cell["baseline_steps"]) == (80, 120)
    assert (cell["seconds"], cell["baseline_seconds"]) == (30, 15)


def test_the_baseline_may_be_there_before_its_best_epoch():
    early = uniform(curve_test="0.5 0.8 0.7 0.7")
    cell = speed.cells(tables.frame(early, other()), "d2ace").iloc[0]
    assert (cell["epochs"], cell["baseline_epochs"]) == (10, 10)


def test_the_baseline_against_itself_takes_as_long():
    found = speed.reach(tables.random(), "uniform")
    assert (found.cells, found.reached) == (24, 24)
    assert (found.ratio, found.ratio_reached, found.seconds_ratio) == (1, 1, 1)


def test_never_is_not_left_out_of_the_median():
    never = "0.5 0.5 0.5 0.5"
    table = tables.frame(
        *(uniform(data) for data in "abc"), other("a"), other("b", never), other("c", never)
    )
    found = speed.reach(table, "d2ace")
    assert (found.cells, found.reached) == (3, 1)
    assert found.ratio_reached == pytest.approx(2 / 3)
    assert found.ratio == np.inf
    assert (found.epochs, found.baseline_epochs) == (10, 15)


def test_seconds_are_compared_in_one_environment():
    table = tables.frame(
        *(uniform(data) for data in "ab"),
        other("a", epoch_seconds=2.0, build_seconds=4.0),
        other("b", epoch_seconds=9.0, environment="faster"),
    )
    assert speed.reach(table, "d2ace").seconds_ratio == pytest.approx(2 * 10 / 15)
    assert speed.cost(table, "d2ace") == (1, 2.0, 2.0, 4.0)


def test_cost_by_hand():
    seconds = {"a": (1.0, 1.5), "b": (2.0, 2.2), "c": (4.0, 8.0)}
    rows = [uniform(data, epoch_seconds=plain) for data, (plain, _) in seconds.items()]
    rows += [other(data, epoch_seconds=own) for data, (_, own) in seconds.items()]
    found = speed.cost(tables.frame(*rows), "d2ace")
    assert found.cells == 3
    assert found.epoch_ratio == pytest.approx(1.5)
    assert found.epoch_seconds == 2.2


def test_nothing_to_compare():
    table = tables.frame(uniform())
    assert speed.reach(table, "d2ace")[:2] == (0, 0)
    assert np.isnan(speed.cost(table, "d2ace").epoch_ratio)


def test_order_of_rows_changes_nothing():
    grid = tables.random()
    assert speed.reach(grid, "d2ace") == speed.reach(grid.sample(frac=1, random_state=1), "d2ace")
