"""The examples run as a newcomer runs them."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("river")
pytest.importorskip("matplotlib")

ROOT = Path(__file__).parents[1]
QUICKSTART = ROOT / "examples" / "quickstart.py"


@pytest.fixture(scope="module")
def quickstart():
    spec = importlib.util.spec_from_file_location("quickstart", QUICKSTART)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_quickstart_shows_both_strategies_and_draws_them(tmp_path):
    run = subprocess.run(
        [sys.executable, QUICKSTART, "--epochs", "2"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert run.returncode == 0, run.stderr
    assert "Warning" not in run.stderr, run.stderr
    assert "Class14         24" in run.stdout  # the label statistics
    table = run.stdout[run.stdout.index("Macro-AUC") :].splitlines()
    rows = [line.split() for line in table]
    assert ["epoch", "uniform", "d2ace", "uniform", "d2ace"] in rows
    aucs = [list(map(float, row[1:3])) for row in rows if row[:1] in (["1"], ["2"])]
    assert aucs[0][0] == aucs[0][1]  # the same weights and, in the warm-up, the same batches
    assert aucs[1][0] != aucs[1][1]
    picture = (tmp_path / "quickstart.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert 20_000 < len(picture) < 1_000_000


def test_quickstart_names_the_known_strategies_when_given_another(quickstart, tmp_path, capsys):
    picture = tmp_path / "quickstart.png"
    with pytest.raises(SystemExit):
        quickstart.main(["--strategy", "d2", "--output", str(picture)])
    shown = capsys.readouterr()
    assert re.search(r"invalid choice: '?d2'?.*\bd2ace\b", shown.err)
    assert not shown.out  # nothing was trained
    assert not picture.exists()


def test_quickstart_gives_learnability_a_reference(quickstart, tmp_path, capsys):
    # Warnings are errors: without a reference, Learnability warns.
    picture = tmp_path / "quickstart.png"
    quickstart.main(["--strategy", "learnability", "--epochs", "2", "--output", str(picture)])
    out = capsys.readouterr().out
    reference = out.index("reference: the model of the uniform run")
    assert out.index("strategy='uniform'") < out.index("strategy='learnability'") < reference
    assert picture.exists()


def test_yeast_is_whole_and_scaled_by_the_training_part(quickstart):
    (x_train, y_train), (x_test, y_test), label_names = quickstart.load_yeast(seed=0)
    assert x_train.shape == (1691, 103)
    assert x_test.shape == (726, 103)
    assert y_train.sum() + y_test.sum() == 10241  # cardinality 4.237 of 2417 samples
    assert x_train.min() == 0
    assert x_train.max() == pytest.approx(1)
    assert len(label_names) == y_train.shape[1] == 14
