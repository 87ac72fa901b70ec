"""The tables of the frontiers, on results made by hand."""

import math

import pytest

from benchmarks.evidence import frontier_page, frontier_plots
from benchmarks.evidence import frontier_tables as tables
from benchmarks.evidence.frontiers import Frontiers, Saved
from benchmarks.study.frontier import run, task_figures
from benchmarks.study.frontier.fit import STOPPED
from tests.study.test_frontiers import rows, uniform

SPREAD = [-0.01, 0.01, 0.0, 0.02, -0.02]  # five seeds, with a standard error of 0.00707
STATISTICS = {"empty": "0", "mean_log_irlbl": "2", "mean_ir": "9", "variance_ratio": "1.1"}


def values(mean):
    return [mean + each for each in SPREAD]


@pytest.fixture
def found():
    """Uniform is best at 4 passes, .6. The recipe gets .5, .6 and .65 at 1, 2 and 4 passes."""
    own = [
        *rows("recipe", 1.0, values(0.5), 0.3),
        *rows("recipe", 2.0, values(0.6), 0.7),
        *rows("recipe", 4.0, values(0.65), 0.6),
        *rows("adaptive_balance", 2.0, values(0.3), 0.5),
        *rows("uniform", STOPPED, values(0.5), 0.5, steps=500),
        *rows("recipe", STOPPED, values(0.6), 0.5, steps=250),
    ]
    return {("yeast", "adam"): Frontiers("yeast", [*uniform(), *own])}


def cells(table, name):
    """The row of a table whose first cells hold a name."""
    (line,) = [line for line in table.splitlines() if f"`{name}`" in line or f"| {name} " in line]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_in_short(found):
    table = tables.in_short(found, "adam")
    # At a quarter (1 pass) .5 is reached by uniform at 2 sqrt(2) passes. At half it has .6, as much
    # as uniform at its best budget. No form was chosen on yeast.
    assert cells(table, "recipe") == [
        "`recipe`", "1", "2.8 / 2.8", ">2.0 / >2.0", ">2.0 / >2.0", "0", "0.000", "0", "0.50",
    ]  # fmt: skip
    # .3 at half is what uniform has at sqrt(2) passes: it costs steps, and is .1 lower there.
    assert cells(table, "adaptive_balance") == [
        "`adaptive_balance`", "1", "- / -", "0.7 / 0.7", "0.7 / 0.7", "1", "-0.100", "1", "never",
    ]  # fmt: skip


def test_a_median_keeps_bounds():
    saved = [Saved(1.0), Saved(2.0), Saved(4.0, ">")]
    assert str(tables.median(saved)) == "2.0"
    assert str(tables.median([*saved, Saved(5.0, ">")])) == ">3.0"
    assert str(tables.median([Saved(1.0, "<")])) == "<1.0"
    assert str(tables.median([Saved(1.2, ">"), Saved(1.5), Saved(2.0)])) == ">1.5"
    assert str(tables.median([Saved(0.5), Saved(0.8), Saved(0.9, "<")])) == "<0.8"


def test_as_good_as_the_best_of_uniform_batches_is_not_behind():
    found = Frontiers("yeast", [*uniform(), *rows("recipe", 2.0, [0.7] * 5, steps=900)])
    assert found.saved("recipe", 1 / 2, "ap_all").times < 0.95
    assert not tables.behind(found, "recipe")


def test_wins_and_losses_are_by_paired_seeds(found):
    table = tables.equal_steps(found, "adam", 1 / 2)
    # Uniform has .4 with all seeds: .2 more, and .1 less, are more than the standard error.
    assert cells(table, "recipe")[1:3] == ["+0.200 1-0-0", "+0.200 1-0-0"]
    assert cells(table, "adaptive_balance")[1] == "-0.100 0-0-1"
    small = [*uniform(), *rows("recipe", 2.0, values(0.405))]
    table = tables.equal_steps({("yeast", "adam"): Frontiers("yeast", small)}, "adam", 1 / 2)
    assert cells(table, "recipe")[1] == "+0.005 0-1-0"


def test_runs_that_stop(found):
    assert cells(tables.stopped(found, "adam"), "yeast")[1:] == ["500, 0.500", "0.50, +0.100"]


def test_tasks_that_others_are_judged_on_are_told_apart(found):
    figures = {"yeast": STATISTICS}
    table = tables.by_group(found, "adam", figures, ("recipe",))
    assert cells(table, "recipe")[:2] == ["imbalanced, unseen", "1"]
    empty = {"yeast": {**STATISTICS, "empty": "0.8999"}}
    assert "90 % or more" in tables.by_group(found, "adam", empty, ("recipe",))


def test_what_was_hoped_for(found):
    table = tables.expected(found, "adam", {"yeast": STATISTICS})
    assert "| `recipe`, imbalanced labels: saved at half | 1.8 | >2.0 / >2.0 |" in table
    assert "| `adaptive_balance`: fewer than 0.95 saved at half | none | 1 of 1: yeast |" in table
    assert "| `recipe`: its best is a standard error below | none | none of 1 |" in table


def test_predicted_and_saved(found):
    # .4 of uniform at 2 passes: the shortest run of the recipe has .5 at 1 pass.
    shown = frontier_page.calibration(found, {"yeast": STATISTICS})
    assert shown["saved"].tolist() == pytest.approx([2.0])
    assert shown["predicted"].iloc[0] == frontier_page.predicted(STATISTICS) > 1


def test_the_curves_are_in_parts_of_the_best_budget(found):
    shown = frontier_plots.curves(tables.of(found, "adam"))
    own = shown[shown["method"] == "recipe"]
    assert own["steps"].tolist() == [0.25, 0.5, 1.0]
    assert own["value"].tolist() == pytest.approx([0.5, 0.6, 0.65])
    assert own["error"].iloc[0] == pytest.approx(math.sqrt(0.00025 / 5))


def test_figures_of_all_tasks_are_kept():
    assert list(task_figures.read()) == list(run.tasks.NAMES)


def test_pages_have_a_place_for_all_that_is_generated():
    pages = frontier_page.pages({}, {})
    for path, contents in pages.items():
        text = path.read_text(encoding="utf-8")
        for marker in contents:
            assert f"<!-- {marker} -->" in text, (path.name, marker)
            assert f"<!-- /{marker} -->" in text, (path.name, marker)


def test_each_rate_that_was_chosen_lies_inside_its_grid():
    from benchmarks.evidence import frontiers

    for (task, optimizer), found in frontiers.load().items():
        for method, cells in found.cells.items():
            for passes, cell in cells.items():
                assert cell.inside, (task, optimizer, method, passes)
