"""The pages of evidence are what the results make it, and say so when they are not."""

import os
import re
import shutil
import subprocess
import sys

import pandas as pd
import pytest

import tests.support.result_tables as tables

pytest.importorskip("scikit_posthocs")

from benchmarks.evidence import __main__ as command
from benchmarks.evidence import page as evidence
from benchmarks.evidence import plots as evidence_plots
from benchmarks.evidence import readme, results
from benchmarks.evidence.frontiers import Frontiers
from benchmarks.study import grid
from tests.study.test_frontiers import rows as frontier_rows
from tests.study.test_frontiers import uniform
from tfmlselect import strategies

pytestmark = pytest.mark.usefixtures("little_to_collect")
STRATEGIES = ("uniform", "d2ace", "online_batch", "uncertainty", "focal")
WANTED = [(f"set{data}", "mlp", "uniform", fold, "paper") for data in range(9) for fold in range(3)]


def copy_pages(root):
    (root / "evidence").mkdir()
    for name in evidence.NAMES:
        shutil.copy(evidence.PAGES / name, root / "evidence" / name)


def pages(root):
    """The text of all pages, one after the other."""
    return "".join((root / "evidence" / name).read_text("utf-8") for name in evidence.NAMES)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Pages, their pictures and their results."""
    root = tmp_path_factory.mktemp("made")
    (root / "results").mkdir()
    tables.random(strategies=STRATEGIES).to_csv(root / "results/mlp.csv", index=False)
    environment = pd.DataFrame([{"environment": "e", "tensorflow": "2.21", "cores": 2}])
    environment.to_csv(root / "results/environments.csv", index=False)
    copy_pages(root)
    evidence.write(root / "evidence", root / "results", WANTED)
    return root


@pytest.fixture
def copy(made, tmp_path):
    return shutil.copytree(made, tmp_path / "copy")


def stale(root):
    return evidence.stale(root / "evidence", root / "results", WANTED)


def test_each_part_has_its_place_once_and_is_filled(made):
    page = pages(made)
    markers = [
        "in short",
        "per data set",
        *evidence.SECTIONS,
        "rank diagrams",
        "curves",
        "coverage",
        "environments",
    ]
    assert re.findall(r"<!-- ([^/].*) -->", page) == re.findall(r"<!-- /(.*) -->", page)
    assert sorted(re.findall(r"<!-- /(.*) -->", page)) == sorted(markers)
    assert "No results yet." not in page
    assert "nan" not in re.findall(r"\w+", page)
    assert re.search(r"^\| e \| 2.21 \| 2 \| 120 \|$", page, flags=re.M)
    pictures = {*re.findall(r"\]\((.*\.svg)\)", page)}
    assert pictures == {path.name for path in (made / "evidence").glob("*.svg")}
    assert len(pictures) == 2


def test_what_was_just_written_is_fresh_and_written_again_the_same(copy):
    assert stale(copy) == []
    before = {path.name: path.read_bytes() for path in (copy / "evidence").iterdir()}
    evidence.write(copy / "evidence", copy / "results", WANTED)
    assert {path.name: path.read_bytes() for path in (copy / "evidence").iterdir()} == before


def test_pictures_are_the_same_in_every_process(made):
    code = (
        "from pathlib import Path\n"
        "from benchmarks.evidence import page as evidence, plots as evidence_plots\n"
        f"root = Path({str(made)!r})\n"
        "pictures = evidence.generated(root / 'results', [])[1]\n"
        "for name, picture in pictures.items():\n"
        "    text = evidence_plots.svg(picture)\n"
        "    assert text == (root / 'evidence' / name).read_text(encoding='utf-8'), name\n"
    )
    for seed in "12":  # of the order of sets
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(evidence.ROOT)}
        subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_order_of_rows_makes_nothing_stale(copy):
    path = copy / "results/mlp.csv"
    pd.read_csv(path).sample(frac=1, random_state=0).to_csv(path, index=False)
    assert stale(copy) == []


def test_changed_results_make_the_page_and_its_pictures_stale(copy):
    path = copy / "results/mlp.csv"
    frame = pd.read_csv(path)
    chosen = frame["strategy"] == "uniform"
    frame.loc[chosen, "best_macro_auc"] = 1.0  # ranks first everywhere
    frame.loc[chosen, "curve_test"] = "0.5 0.6 0.7 0.8"
    frame.to_csv(path, index=False)
    assert stale(copy) == [
        "evidence/published.md",
        "evidence/published_tables.md",
        "evidence/curves-mlp-paper.svg",
        "evidence/ranks-mlp-paper.svg",
    ]


def test_pictures_too_many_or_too_few_are_stale(copy):
    (copy / "evidence/curves-mlp-paper.svg").unlink()
    (copy / "evidence/ranks-old.svg").write_text("<svg/>", encoding="utf-8")
    (copy / "evidence/of_another_page.svg").write_text("<svg/>", encoding="utf-8")
    assert stale(copy) == ["evidence/curves-mlp-paper.svg", "evidence/ranks-old.svg"]
    evidence.write(copy / "evidence", copy / "results", WANTED)
    assert stale(copy) == []
    assert (copy / "evidence/of_another_page.svg").exists()
    assert not (copy / "evidence/ranks-old.svg").exists()


def test_check_fails_and_names_what_is_stale(copy, monkeypatch):
    monkeypatch.setattr(evidence, "PAGES", copy / "evidence")
    monkeypatch.setattr(readme, "README", copy / "README.md")
    monkeypatch.setattr(results, "DIRECTORY", copy / "results")
    monkeypatch.setattr(command, "wanted", lambda: WANTED)
    command.main(["--check"])
    page = copy / "evidence/coverage.md"
    page.write_text(page.read_text(encoding="utf-8").replace("| e |", "| f |"), encoding="utf-8")
    table = "<!-- strategies -->\n| old |\n<!-- /strategies -->\n"
    (copy / "README.md").write_text(f"by hand\n\n{table}", encoding="utf-8")
    out_of_date = r"Out of date: evidence/coverage.md, README.md. Run: python -m"
    with pytest.raises(SystemExit, match=out_of_date):
        command.main(["--check"])
    command.main([])
    command.main(["--check"])
    written = (copy / "README.md").read_text(encoding="utf-8")
    assert written.startswith("by hand\n\n<!-- strategies -->\n| strategy |")


def test_readme_shows_each_strategy_with_what_it_saves_and_gains(monkeypatch):
    cells = [*uniform(), *frontier_rows("d2ace", 2.0, [0.5] * 5)]
    kept = {("yeast", "adam"): Frontiers("yeast", cells)}
    monkeypatch.setattr(readme.frontiers, "load", lambda: kept)
    frame = tables.frame(
        tables.row("a", best_macro_auc=0.5),
        tables.row("a", "d2ace", best_macro_auc=0.6),
        tables.row("b", best_macro_auc=0.5),
        tables.row("b", "d2ace", best_macro_auc=0.48),
        tables.row("a", budget="tuned", best_macro_auc=0.7),
        tables.row("a", "uncertainty", budget="tuned", best_macro_auc=0.7),
        tables.row("b", budget="tuned", best_macro_auc=0.7),
        tables.row("b", "d2ace", budget="tuned", best_macro_auc=0.71),
        tables.row("a", model="clif", best_macro_auc=0.1),
        tables.row("a", "uncertainty", model="clif", best_macro_auc=0.9),
    )
    lines = readme.rows(frame).splitlines()
    ends = {line.split("]")[0][3:]: line.split(" | ")[-2:] for line in lines[2:]}
    assert list(ends) == strategies.names()
    assert ends["uniform"] == ["1 by definition", "0 by definition |"]
    assert ends["d2ace"] == ["1.4 / 1.4, 1 tasks", "+0.010 1-0-0 |"]  # .5 at sqrt(8) passes, over 2
    assert ends["uncertainty"] == ["not measured", "0.000 0-1-0 |"]
    assert ends["learnability"] == ["not measured", "not measured |"]


def test_hand_written_text_is_kept(copy):
    page = copy / "evidence/published.md"
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace("## Protocol\n", "## Protocol\n\nby hand\n"), encoding="utf-8")
    assert stale(copy) == []


def test_no_results(tmp_path):
    copy_pages(tmp_path)
    evidence.write(tmp_path / "evidence", tmp_path, WANTED)
    page = pages(tmp_path)
    assert page.count("No results yet.") == len(evidence.SECTIONS) + 5
    assert f"0 of {len(WANTED)} cells." in page
    assert not [*(tmp_path / "evidence").glob("*.svg")]


def test_a_baseline_alone_is_shown_and_compared_with_nothing(copy):
    alone = tables.frame(tables.row("set0", model="clif", best_macro_auc=0.654))
    alone.to_csv(copy / "results/clif.csv", index=False)
    evidence.write(copy / "evidence", copy / "results", WANTED)
    page = pages(copy)
    assert page.count("### clif, the papers' budget") == 1
    assert "| data | uniform (folds) |\n| --- | --- |\n| set0 | 0.654 (1) |\n" in page
    assert "clif, the papers' budget |" not in page


def test_curves_are_mean_gains_over_the_folds_of_all():
    frame = tables.frame(
        tables.row(fold=0, curve_test="0.5 0.6 0.7 0.7"),
        tables.row(fold=1, curve_test="0.7 0.8 0.7 0.7"),
        tables.row(fold=2, curve_test="0 0 0 0"),
        tables.row(strategy="d2ace", fold=0, curve_test="0.4 0.4 0.4 0.4"),
        tables.row(strategy="d2ace", fold=1, curve_test="0.6 0.6 0.6 0.6"),
        tables.row("b", "d2ace"),
    )
    panels = evidence_plots.gain_curves(frame)
    assert list(panels) == ["a"]
    assert list(panels["a"]) == ["d2ace"]
    assert panels["a"]["d2ace"].round(6).to_dict() == {5: -0.1, 10: -0.2, 15: -0.2, 20: -0.2}
    assert panels["a"].columns.name == 2


def test_early_gains_leave_the_axes_to_those_that_last():
    panel = pd.DataFrame({"d2ace": [-0.3, 0.1, 0.01, 0.03]}, index=[5, 10, 50, 100])
    assert evidence_plots.limits(panel) == pytest.approx((-0.0036, 0.0316))
    figure = evidence_plots.draw_curves({"a": panel.rename_axis(columns=2)}, "title")
    (axes,) = figure.axes
    assert axes.get_ylim() == pytest.approx((-0.0036, 0.0316))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["uniform", "d2ace"]


def test_every_strategy_of_the_grid_has_a_look():
    assert {*evidence_plots.LOOKS} == {*grid.STRATEGIES}


@pytest.mark.skipif(not any(results.DIRECTORY.glob("*.csv")), reason="no results are committed yet")
def test_the_committed_pages_are_fresh():
    names = evidence.stale(evidence.PAGES, results.DIRECTORY, command.wanted())
    names += readme.stale(readme.README, results.DIRECTORY)
    assert not names, "run: python -m benchmarks.evidence"
