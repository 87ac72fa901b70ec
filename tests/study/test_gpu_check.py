"""The script for a machine with a GPU, tried without one."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

OPTIONS = "--device cpu --no-tests --only dense"
ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.full
def test_it_times_a_model_and_writes_the_figures(tmp_path):
    output = tmp_path / "gpu.json"
    script = str(ROOT / "benchmarks" / "speed" / "gpu_check.py")
    run = subprocess.run(
        [sys.executable, script, *OPTIONS.split(), f"--output={output}"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(output.read_text())
    assert [row["variant"] for row in found["epochs"]] == [
        "plain tf.data",
        "uniform",
        "adaptive_balance",
        "d2ace, no neighbours",
    ]
    assert found["epochs"][0]["of_plain"] == 1
    assert all(row["seconds"] > 0 for row in found["epochs"])
    assert "| dense | 2048 x 100 | uniform |" in run.stdout
