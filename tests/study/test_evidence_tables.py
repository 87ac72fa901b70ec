"""What the tables of the pages say, and what they leave out, on small results."""

import numpy as np
import pytest

import tests.support.result_tables as tables

pytest.importorskip("scikit_posthocs")

from benchmarks.evidence import coverage as evidence_coverage
from benchmarks.evidence import judgement
from benchmarks.evidence import tables as evidence_tables
from benchmarks.evidence.judgement import Interval, Verdict

pytestmark = pytest.mark.usefixtures("little_to_collect")


def cells(table):
    """The rows of a Markdown table as {first cell: the others}, its head among them."""
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("|")]
    return {first: others for first, *others in rows}


def test_bold_is_only_what_excludes_zero():
    assert evidence_tables.gain_on_set(Interval(0.01, 0.002, 0.018, 5), 5) == (
        "**+0.010** [+0.002, +0.018]"
    )
    assert evidence_tables.gain_on_set(Interval(-0.01, -0.018, -0.002, 5), 5) == (
        "**-0.010** [-0.018, -0.002]"
    )
    assert evidence_tables.gain_on_set(Interval(0.01, -0.002, 0.022, 5), 5) == (
        "+0.010 [-0.002, +0.022]"
    )
    assert evidence_tables.gain_on_set(Interval(0.01, np.nan, np.nan, 1), 5) == "+0.010 (1)"
    assert evidence_tables.gain_on_set(None, 5) == "-"


def test_verdicts_are_bold_by_the_corrected_p():
    gain, shown = Interval(0.01, 0.002, 0.018, 8), evidence_tables.verdict
    assert shown(Verdict(gain, 6, 1, 0, 0.03, 0.01)) == "**+0.010 6-1-0, p = 0.030**"
    assert shown(Verdict(gain, 6, 1, 0, 0.0501, 0.01)) == "+0.010 6-1-0, p = 0.050"
    assert shown(Verdict(gain, 6, 1, 0, 0.0001, 0.01)).endswith("p < 0.001**")
    assert shown(Verdict(gain, 6, 1, 0, 0.039, 0.0625)) == "**+0.010 6-1-0, p = 0.039**"


def test_sets_too_few_for_any_verdict_have_no_p():
    gain = Interval(0.01, 0.002, 0.018, 8)
    found = Verdict(gain, 8, 0, 0, 0.0625, 0.0625)
    assert evidence_tables.verdict(found) == "+0.010 8-0-0"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0124, "+0.012"), (-0.0126, "-0.013"), (-0.0004, "0.000"), (0, "0.000"), (np.nan, "-")],
)
def test_numbers(value, text):
    assert evidence_tables.number(value) == text


def test_per_data_of_a_partly_filled_grid():
    frame = tables.from_values(
        {
            "uniform": {"a": [0.70, 0.72], "b": [0.6], "c": [0.5]},
            "d2ace": {"a": [0.71, 0.73], "b": [None]},
            "focal": {"a": [0.9]},
            "label_balanced": {"a": [0.69, None], "z": [0.9]},
        }
    )
    found = cells(evidence_tables.per_data(frame))
    assert found["data"] == ["uniform (folds)", "d2ace", "label_balanced"]
    assert found["a"] == ["0.710 (2)", "**+0.010** [+0.010, +0.010]", "-0.010 (1)"]
    assert found["b"] == ["0.600 (1)", "-", "-"]
    assert "z" not in found


def test_in_short_has_each_model_and_budget():
    one = tables.random(strategies=("uniform", "d2ace"))
    other = tables.random(sets=3, strategies=("uniform", "online_batch"))
    lines = evidence_tables.in_short({("mlp", "paper"): one, ("clif", "tuned"): other}).splitlines()
    head, *rows = [line.strip("| ").split(" | ") for line in lines if "---" not in line]
    assert head == ["model, budget", "sets", "metric", "online_batch", "d2ace"]
    assert [row[:3] for row in rows[::3]] == [
        ["mlp, the papers' budget", "8", "macro_auc"],
        ["clif, the tuned budget", "3", "macro_auc"],
    ]
    assert rows[0][3] == rows[3][4] == "-"
    whole = evidence_tables.verdict(judgement.over_data(one, "best_macro_auc", "d2ace"))
    assert whole.strip("*").startswith(rows[0][4].strip("*"))


def test_over_data_counts_sets():
    frame = tables.random(strategies=("uniform", "d2ace"))
    frame.loc[frame["data"] == "set3", "best_minority_f1"] = np.nan
    found = cells(evidence_tables.over_data(frame))
    assert {*found} - {"metric", "---"} == {*map(evidence_tables.metric, evidence_tables.OVER_DATA)}

    def sets(name):
        return sum(map(int, found[name][0].strip("*").split(" ")[1].strip(",").split("-")))

    assert (sets("macro_auc"), sets("minority_f1")) == (8, 7)


def test_ranking_names_what_is_left_out():
    frame = tables.random(strategies=("uniform", "d2ace", "online_batch"))
    gone = (frame["data"] == "set2") & (frame["strategy"] == "d2ace")
    text = evidence_tables.ranking(frame[~gone])
    assert cells(text)["macro_auc"][0] == "7"
    assert "left out of macro_auc, macro_ap, macro_f1, tuned_macro_f1: set2." in text


def test_gains_over_d2ace_are_turned_round():
    frame = tables.random(strategies=("uniform", "d2ace", "online_batch"))
    head, _, row = evidence_tables.against_d2ace(frame).splitlines()
    assert head == "| uniform | online_batch |"
    over_uniform = judgement.over_data(frame, evidence_tables.AUC, "d2ace")
    shown = row.strip("| ").split(" | ")[0].strip("*").split(",")[0]
    gain, score = shown.split()
    assert float(gain) == pytest.approx(-over_uniform.gain.mean, abs=5e-4)
    assert score == f"{over_uniform.losses}-{over_uniform.ties}-{over_uniform.wins}"
    assert evidence_tables.against_d2ace(frame[frame["data"] < "set6"]) == ""


def test_few_sets_are_not_ranked():
    frame = tables.random(sets=5, strategies=("uniform", "d2ace", "online_batch"))
    assert evidence_tables.ranking(frame) == ""


def test_a_target_seldom_reached_is_never_reached():
    rows = [tables.row(data, best_epoch=15) for data in "abc"]
    rows += [tables.row(data, "d2ace", curve_test="0.5 0.5 0.5 0.5") for data in "abc"]
    found = cells(evidence_tables.reach(tables.frame(*rows)))["d2ace"]
    assert found[:2] == ["0 of 3", "3"]
    assert found[-3:] == ["-", "never", "-"]
    assert not any("nan" in cell for cell in found)


def test_costs():
    rows = [tables.row(data, epoch_seconds=0.5) for data in "ab"]
    rows += [tables.row(data, "d2ace", epoch_seconds=0.75) for data in "ab"]
    found = cells(evidence_tables.costs(tables.frame(*rows)))
    assert found["d2ace"] == ["2", "1.50", "0.75", "0.5"]


@pytest.mark.parametrize(
    ("name", "parents"),
    [
        ("d2ace-no-correlations", ["d2ace"]),
        ("plm+positive_hardness", ["plm", "positive_hardness"]),
        ("positive_hardness-pressure-64", ["positive_hardness"]),
        ("focal", []),
    ],
)
def test_parents(name, parents):
    assert evidence_tables.parents(name) == parents


def test_ablations_against_parents_and_uniform():
    frame = tables.from_values(
        {
            "uniform": {"a": [0.5], "b": [0.5]},
            "d2ace": {"a": [0.6], "b": [0.6]},
            "d2ace-predict": {"a": [0.61], "b": [0.63]},
            "any name": {"a": [0.5]},
        }
    )
    lines = evidence_tables.ablations(frame).splitlines()[2:]
    assert [line.strip("| ").split(" | ")[:4] for line in lines] == [
        ["any name", "uniform", "1", "0.000 "],
        ["d2ace-predict", "d2ace", "2", "+0.020 [-0.107, +0.147]"],
        ["d2ace-predict", "uniform", "2", "+0.120 [-0.007, +0.247]"],
    ]
    assert evidence_tables.ablations(tables.random(strategies=("uniform", "d2ace"))) == ""


def test_coverage_has_one_command_for_what_is_missing_of_a_model():
    frame = tables.random(sets=2, folds=2, strategies=("uniform", "d2ace"))
    wanted = [
        (f"set{data}", "mlp", strategy, fold, "paper")
        for data in range(2)
        for fold in range(1 + data * 2)
        for strategy in ("uniform", "d2ace", "focal")
        if data or strategy != "focal"
    ]
    text = evidence_coverage.coverage(frame, wanted, set())
    assert text.startswith("6 of 11 cells.")
    assert "Complete: set0." in text
    assert cells(text)["set1"] == ["2/3: uniform, d2ace; 0/3: focal"]
    commands = [line for line in text.splitlines() if line.startswith("python")]
    assert commands == ["python -m benchmarks.study.run --model mlp --data set1 --budget paper"]


def test_what_has_no_learning_rate_is_tuned_first():
    wanted = [(data, "mlp", "uniform", 0, "tuned") for data in ("set0", "set1", "set2")]
    text = evidence_coverage.coverage(tables.random(sets=1), wanted, {("set1", "mlp")})
    commands = [line for line in text.splitlines() if line.startswith("python")]
    assert commands == [
        "python -m benchmarks.study.tune --model mlp --data set0,set2",
        "python -m benchmarks.study.run --model mlp --data set0,set1,set2 --budget tuned",
    ]


def test_coverage_counts_variants_that_are_too_many_to_read():
    names = [f"d2ace-pressure-{i}" for i in range(2, 11)]
    wanted = [("set0", "mlp", name, 0, "paper") for name in names]
    text = evidence_coverage.coverage(tables.random(sets=1, folds=1), wanted, set())
    assert cells(text)["set0"] == ["0/1: 9 variants, d2ace-pressure-2 to d2ace-pressure-10"]


def test_coverage_of_everything_has_no_commands():
    frame = tables.random(sets=1, folds=1, strategies=("uniform",))
    text = evidence_coverage.coverage(frame, [("set0", "mlp", "uniform", 0, "paper")], set())
    assert text.startswith("1 of 1 cells.")
    assert "python" not in text
