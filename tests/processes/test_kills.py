"""A run that is killed and resumed is the run that was never killed."""

import importlib.util
import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.support.child_process import environment

SCRIPT = Path(__file__).with_name("killed_run.py")


def run_script(*arguments):
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, env=environment())


def read_log(path):
    return {line[0]: line[1:] for line in map(json.loads, path.read_text().splitlines())}


def random_points(count):
    """Half of them while a backup is written, half of them before a batch."""
    numbers = random.Random(3)
    return [
        ("write", numbers.randrange(45)) if attempt % 2 else ("batch", numbers.randrange(8))
        for attempt in range(count)
    ]


def never_killed(folder, selection):
    """Where the results of the run are that is never killed."""
    folder.mkdir()
    done = run_script(folder / "run", folder / "result", selection, "never")
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return folder


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("selection", "kills"),
    [
        pytest.param("short", [("write", 40)], id="once"),  # in the second backup
        pytest.param("short", random_points(6), id="six times", marks=pytest.mark.full),
        pytest.param("whole", random_points(10), id="ten times", marks=pytest.mark.full),
    ],
)
def test_killed_at_random_points(tmp_path, selection, kills):
    """However often it is killed: the same plans, distributions and weights."""
    whole = never_killed(tmp_path / "whole", selection)
    for kill in kills:
        killed = run_script(tmp_path / "run", tmp_path / "result", selection, *kill)
        assert killed.returncode == -9, (kill, killed.stderr.decode()[-2000:])
    last = run_script(tmp_path / "run", tmp_path / "result", selection, "never")
    assert last.returncode == 0, last.stderr.decode()[-2000:]
    expected, found = read_log(whole / "result.log"), {}
    for line in (tmp_path / "result.log").read_text().splitlines():
        epoch, *what = json.loads(line)
        assert found.setdefault(epoch, what) == what
    assert found == expected
    with np.load(whole / "result.npz") as a, np.load(tmp_path / "result.npz") as b:
        assert set(a) == set(b)
        for name in a:
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)
    if importlib.util.find_spec("tensorboard"):
        straight, found = (written(folder / "result_log") for folder in (whole, tmp_path))
        assert straight["selection/entropy"] == list(range(1, 13))
        assert found == straight


def written(log_dir):
    """The steps of each tag of TensorBoard's summaries."""
    found = {}
    for file in sorted((log_dir / "selection").iterdir()):
        for record in tf.data.TFRecordDataset(str(file)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                found.setdefault(value.tag, []).append(event.step)
    return {tag: sorted(steps) for tag, steps in found.items()}
