"""The runner: what is wanted, rows that come again, and a whole quick benchmark."""

import csv
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.study import budgets, data, grid, rows, run, tune, variants
from benchmarks.study.models import MODELS
from benchmarks.study.rows import METRICS

ROOT = Path(__file__).parents[2]
CELL = grid.Cell("yeast", "mlp", "d2ace", 0, "paper")


def test_wanted_cells_are_known_and_asked_once():
    cells = grid.wanted()
    assert len(cells) == len(set(cells))
    for cell in cells:
        assert cell.data in data.NAMES
        assert cell.model in MODELS
        assert cell.strategy in variants.VARIANTS
        assert cell.budget in ("paper", "tuned")
    per_model = Counter(cell.model for cell in cells)
    assert per_model["mlp"] >= 15 * 9 * 5 * 2
    assert per_model["clif"] == per_model["dela"] == 6 * 5 * 3


def test_rows_are_appended_and_read_again(tmp_path):
    row = {**CELL._asdict(), "seconds": 1.23456, "best_macro_auc": 1 / 3, "steps": 10}
    text = rows.as_text(row)
    assert (text["seconds"], text["best_macro_auc"], text["steps"]) == ("1.235", "0.333333", "10")
    rows.append(tmp_path / "mlp.csv", text)
    rows.append(tmp_path / "mlp.csv", {**text, "fold": "1"})
    rows.append(tmp_path / "mlp.csv", dict(reversed({**text, "fold": "2"}.items())))
    with pytest.raises(ValueError, match=r"mlp\.csv has other columns\. Received: \['steps'\]"):
        rows.append(tmp_path / "mlp.csv", {key: text[key] for key in text if key != "steps"})
    there = rows.read(tmp_path)
    assert list(there) == [CELL, CELL._replace(fold=1), CELL._replace(fold=2)]
    assert there[CELL._replace(fold=2)]["steps"] == "10"  # by name, not by place
    assert there[CELL] == text
    assert rows.note_environment(tmp_path) == rows.note_environment(tmp_path)
    assert len((tmp_path / "environments.csv").read_text().splitlines()) == 2
    assert list(rows.read(tmp_path)) == list(there)


def test_cells_are_chosen_by_name():
    def cells(*arguments):
        return run.chosen(run.parse(list(arguments)))

    assert cells() == grid.wanted()
    some = cells("--data", "yeast,birds", "--model", "mlp", "--budget", "paper")
    assert {cell.data for cell in some} == {"yeast", "birds"}
    assert {cell.budget for cell in some} == {"paper"}
    own = cells(
        *("--data", "solar-flare", "--model", "mlp", "--strategy", "d2ace"),
        *("--fold", "4", "--budget", "paper"),
    )
    assert own == [grid.Cell("solar-flare", "mlp", "d2ace", 4, "paper")]
    assert Path(run.parse(["--quick"]).out) != rows.DIRECTORY


def test_a_row_that_differs_is_named(capsys):
    old = {"best_macro_auc": "0.5", "seconds": "1", "environment": "a"}
    assert run.same(CELL, old, {"best_macro_auc": "0.5", "seconds": "2"})
    assert not run.same(CELL, old, {"best_macro_auc": "0.6", "seconds": "1"})
    assert "yeast mlp d2ace 0 paper: best_macro_auc was 0.5, is 0.6" in capsys.readouterr().out


def test_rows_that_differ_are_summed_up_with_where_they_were_made(tmp_path, monkeypatch, capsys):
    here = rows.environment()
    elsewhere = {**here, "environment": "e", "processor": "Another", "cores": "999"}
    for facts in (elsewhere, here):
        rows.append(tmp_path / "environments.csv", facts)
    made = {0: "e", 1: "e", 2: here["environment"], 3: "gone", 4: "e"}
    again = []
    for fold, environment in made.items():
        row = {**CELL._asdict(), "fold": fold, "environment": environment, "best_macro_auc": 0.5}
        rows.append(tmp_path / "mlp.csv", rows.as_text(row))
        new = {**row, "best_macro_auc": 0.5 + (0.001, 0.005, 0.002, 0.001, 0)[fold]}
        again.append((CELL._replace(fold=fold), new, None))
    monkeypatch.setattr(run, "run_all", lambda cells, jobs, one: again)
    with pytest.raises(SystemExit) as stopped:
        run.main(["--check", "--quiet", "--out", str(tmp_path)])
    assert stopped.value.code == 1
    by, *where, last = capsys.readouterr().out.splitlines()[4:]
    assert by == "best_macro_auc of rows that differ is off by 0.0015 (median), 0.005 (most)"
    assert where == [
        f"2 of them: made with processor Another (here {here['processor']})",
        "1 of them: made in this environment, so code or data have changed",
        "1 of them: made in an environment that environments.csv does not have",
    ]
    assert last.startswith("1 as committed, 4 not; ")


def test_a_tuned_rate_is_one_of_those_tried():
    with open(budgets.TUNED, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    tried = {}
    for row in rows:
        tried.setdefault((row["data"], row["model"]), []).append(row)
    for together in tried.values():
        assert sorted(float(row["rate"]) for row in together) == sorted(budgets.RATES)
        best = max(together, key=lambda row: float(row["last_validation"]))
        assert [row for row in together if row["chosen"] == "yes"] == [best]
    assert tune.already_chosen("mlp") == {data for data, model in tried if model == "mlp"}
    assert tune.already_chosen("none") == set()


def test_a_small_benchmark_resumes_and_gives_the_same_rows_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run, "QUICK_DATA", ("solar-flare",))
    monkeypatch.setattr(run, "DEEP_STRATEGIES", ("d2ace",))
    quick = ["--quick", "--out", str(tmp_path), "--jobs", "1", "--quiet"]
    run_well(quick)
    there = rows.read(tmp_path)
    assert Counter(cell.data for cell in there) == {"solar-flare": 2}
    check_rows(there)
    run.main(quick)
    assert "Nothing to run" in capsys.readouterr().out
    lose_the_last_rows(tmp_path / "mlp.csv", 1)
    run_well(quick)
    assert "1 new rows" in capsys.readouterr().out
    assert untimed(rows.read(tmp_path)) == untimed(there)


def run_well(arguments):
    with pytest.raises(SystemExit) as stopped:
        run.main(arguments)
    assert stopped.value.code == 0


def benchmark(*arguments):
    command = [sys.executable, "-m", "benchmarks.study.run", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200)


@pytest.mark.full
def test_quick_runs_resumes_and_gives_the_same_rows_again(tmp_path):
    quick = ("--quick", "--out", str(tmp_path), "--jobs", "2", "--quiet")
    done = benchmark(*quick)
    assert done.returncode == 0, done.stderr
    there = rows.read(tmp_path)
    assert Counter(cell.data for cell in there) == dict.fromkeys(run.QUICK_DATA, 2 * 5)
    check_rows(there)
    by_strategy = {
        (cell.strategy, row["curve_test"]) for cell, row in there.items() if cell.data == "yeast"
    }
    assert len(by_strategy) == 10  # no two strategies and folds gave the same curve

    assert "Nothing to run" in benchmark(*quick).stdout
    lose_the_last_rows(tmp_path / "mlp.csv", 2)
    assert "2 new rows" in benchmark(*quick).stdout
    assert untimed(rows.read(tmp_path)) == untimed(there)


def check_rows(results):
    """Each is a run of ten epochs that was judged by all metrics."""
    for row in results.values():
        assert 0.3 < float(row["best_macro_auc"]) < 1
        assert {f"best_{name}" for name in METRICS} <= set(row)
        assert row["curve_epochs"] == "5 10"


def lose_the_last_rows(path, count):
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:-count]), encoding="utf-8")


def untimed(results):
    return {
        cell: {key: value for key, value in row.items() if key not in rows.TIMES}
        for cell, row in results.items()
    }
