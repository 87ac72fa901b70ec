"""Differences, intervals and tests against hand values, and what must not change them."""

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("scikit_posthocs")  # with it comes statsmodels

import tests.support.result_tables as tables
from benchmarks.evidence import judgement, results

pytestmark = pytest.mark.usefixtures("little_to_collect")
AUC = "best_macro_auc"


@pytest.fixture(scope="module")
def grid():
    return tables.random()


def test_gains_by_hand():
    table = tables.from_values(
        {"uniform": {"a": [0.7, 0.8], "b": [0.5]}, "d2ace": {"a": [0.75, 0.7], "b": [0.5]}}
    )
    found = judgement.gains(table, AUC, "d2ace")
    assert found[["data", "fold"]].to_numpy().tolist() == [["a", 0], ["a", 1], ["b", 0]]
    np.testing.assert_allclose(found["gain"], [0.05, -0.1, 0], atol=1e-12)
    np.testing.assert_allclose(found["baseline"], [0.7, 0.8, 0.5])
    lower = judgement.gains(table, "best_ranking_loss", "d2ace")
    np.testing.assert_allclose(lower["gain"], [-0.05, 0.1, 0], atol=1e-12)


def test_empty_figures_are_left_out():
    rows = [
        tables.row("a", name, fold, value, best_minority_f1=f1)
        for name, value in (("uniform", 0.5), ("d2ace", 0.6))
        for fold, f1 in ((0, value), (1, np.nan))
    ]
    table = tables.frame(*rows, tables.row("b"), tables.row("b", "d2ace", best_minority_f1=np.nan))
    assert judgement.gains(table, "best_minority_f1", "d2ace")["fold"].tolist() == [0]
    assert judgement.over_data(table, "best_minority_f1", "d2ace").gain.count == 1
    assert judgement.over_data(table, AUC, "d2ace").gain.count == 2


def test_interval_over_folds_by_hand():
    # s^2 = 1e-4, variance of the mean (1/3 + 100/400) 1e-4, t of 2 degrees of freedom 4.302653.
    found = judgement.over_folds(np.array([0.01, 0.02, 0.03]), 400, 100)
    half = 4.302653 * np.sqrt((1 / 3 + 1 / 4) * 1e-4)
    np.testing.assert_allclose(found[:3], [0.02, 0.02 - half, 0.02 + half], rtol=1e-6)
    assert found.count == 3
    assert not found.excludes_zero
    assert judgement.Interval(0.02, 0.01, 0.03, 3).excludes_zero
    assert judgement.Interval(-0.02, -0.03, -0.01, 3).excludes_zero


def test_one_fold_has_no_interval():
    found = judgement.over_folds(np.array([0.01]), 400, 100)
    assert found.mean == 0.01
    assert np.isnan(found.low)
    assert not found.excludes_zero


def test_over_data_by_hand():
    uniform = {name: [0.5, 0.5] for name in "abcde"}
    other = {"a": [0.5, 0.52], "b": [0.52, 0.52], "c": [0.49, 0.49], "d": [0.5, 0.5004]}
    other["e"] = [0.53, 0.53]
    found = judgement.over_data(
        tables.from_values({"uniform": uniform, "d2ace": other}), AUC, "d2ace"
    )
    means = [0.01, 0.02, -0.01, 0.0002, 0.03]
    assert (found.wins, found.ties, found.losses) == (3, 1, 1)
    half = 2.776445 * np.std(means, ddof=1) / np.sqrt(5)
    np.testing.assert_allclose(
        found.gain[:3], [np.mean(means), np.mean(means) - half, np.mean(means) + half], rtol=1e-6
    )


@pytest.mark.parametrize(
    ("means", "p"),
    [
        ([1, 2, 3, 4, 5], 2 / 2**5),
        ([1, 2, 3, 4, 5, 6], 2 / 2**6),
        ([-1, 2, 3, 4, 5, 6], 2 * 2 / 2**6),  # rank sums 0 and 1
        ([1, -2, 3, 4, 5, 6], 2 * 3 / 2**6),  # 0, 1 and 2
        ([0, 1, 2, 3, 4, 5], 2 / 2**5),  # the zero is left out
        ([0, 0, 0], 1),
    ],
)
def test_signed_rank_by_hand(means, p):
    assert judgement.signed_rank(np.array(means, float)) == pytest.approx(p)


def test_signed_rank_of_nothing():
    assert np.isnan(judgement.signed_rank(np.array([])))


def test_holm_by_hand():
    found = judgement.holm(np.array([0.01, 0.04, 0.03, np.nan, 0.5]))
    np.testing.assert_allclose(found, [0.04, 0.09, 0.09, np.nan, 0.5])


def test_verdicts_correct_for_the_strategies_compared(grid):
    alone = judgement.verdicts(grid, AUC, ["d2ace"])["d2ace"]
    together = judgement.verdicts(grid, AUC, ["d2ace", "online_batch", "not there"])
    assert alone == judgement.over_data(grid, AUC, "d2ace")
    other = judgement.over_data(grid, AUC, "online_batch").p
    expected = 2 * alone.p if alone.p < other else max(alone.p, 2 * other)
    assert together["d2ace"].p == pytest.approx(min(1, expected))
    assert together["not there"].gain.count == 0
    assert np.isnan(together["not there"].p)


def test_order_of_rows_changes_nothing(grid):
    shuffled = grid.sample(frac=1, random_state=2)
    assert judgement.by_data(shuffled, AUC, "d2ace") == judgement.by_data(grid, AUC, "d2ace")
    assert judgement.over_data(shuffled, AUC, "d2ace") == judgement.over_data(grid, AUC, "d2ace")


@pytest.mark.parametrize("column", [AUC, "best_ranking_loss"])
def test_swapping_strategy_and_baseline_flips_signs(grid, column):
    there = judgement.over_data(grid, column, "d2ace", "focal")
    back = judgement.over_data(grid, column, "focal", "d2ace")
    np.testing.assert_allclose(
        there.gain[:3], [-back.gain.mean, -back.gain.high, -back.gain.low], atol=1e-12
    )
    assert (there.wins, there.ties, there.losses) == (back.losses, back.ties, back.wins)
    assert there.p == pytest.approx(back.p)


def test_what_all_strategies_of_a_fold_share_changes_nothing(grid):
    shift = grid["data"].str[-1].astype(int) * 0.01 + grid["fold"] * 0.03
    shifted = grid.assign(**{AUC: grid[AUC] + shift})
    there = judgement.by_data(grid, AUC, "d2ace")
    for data, gain in judgement.by_data(shifted, AUC, "d2ace").items():
        np.testing.assert_allclose(gain, there[data], atol=1e-12)
    verdict = judgement.over_data(shifted, AUC, "d2ace")
    assert verdict.p == judgement.over_data(grid, AUC, "d2ace").p


def test_cells_of_another_strategy_change_nothing(grid):
    other = grid["strategy"] == "focal"
    changed = pd.concat([grid[~other], grid[other].assign(**{AUC: 0.1})], ignore_index=True)
    assert judgement.over_data(changed, AUC, "d2ace") == judgement.over_data(grid, AUC, "d2ace")


def test_no_difference_is_no_gain():
    grid = tables.random(strategies=("uniform",))
    same = results.check(pd.concat([grid, grid.assign(strategy="online_batch")], ignore_index=True))
    found = judgement.over_data(same, AUC, "online_batch")
    assert (found.wins, found.ties, found.losses, found.p) == (0, 8, 0, 1.0)
    assert found.gain[:3] == (0, 0, 0)


@pytest.mark.parametrize("lost", range(8))
def test_least_is_the_p_of_as_many_sets_that_all_win(lost):
    """Sets without any difference do not count."""
    uniform = {str(data): [0.5] for data in range(8)}
    better = {str(data): [0.5 + 0.01 * max(0, data - lost + 1)] for data in range(8)}
    frame = tables.from_values({"uniform": uniform, "d2ace": better, "online_batch": uniform})
    alone = judgement.over_data(frame, AUC, "d2ace")
    assert alone.least == pytest.approx(alone.p)
    assert alone.tells == (lost < 3)  # 2 / 2^6 with six sets, 2 / 2^5 > 0.05 with five
    both = judgement.verdicts(frame, AUC, ["d2ace", "online_batch", "not there"])
    assert [both["d2ace"].least, both["d2ace"].p] == pytest.approx([min(1, 2 * alone.p)] * 2)
    assert (both["online_batch"].least, both["online_batch"].tells) == (1, False)
    assert not both["not there"].tells


@pytest.mark.parametrize(("strategies", "least_sets"), [(1, 6), (4, 8), (6, 8), (8, 9)])
def test_how_many_sets_a_row_of_so_many_strategies_needs(strategies, least_sets):
    """Won on all sets, in the middle of strategies that gain nothing."""
    for sets in (least_sets - 1, least_sets):
        data = [str(number) for number in range(sets)]
        values = {"uniform": {name: [0.5] for name in data}}
        values["best"] = {name: [0.51 + 0.01 * number] for number, name in enumerate(data)}
        others = [f"other{number}" for number in range(strategies - 1)]
        values |= {name: values["uniform"] for name in others}
        found = judgement.verdicts(tables.from_values(values), AUC, ["best", *others])["best"]
        assert (found.p < 0.05) == found.tells == (sets >= least_sets)
