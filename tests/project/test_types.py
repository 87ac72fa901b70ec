"""Public names, as type checkers and `dir()` see them: right use passes, a wrong name does not."""

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tfmlselect as tfml

ROOT = Path(__file__).parents[2]
USE = """\
import numpy as np
import tensorflow as tf

import tfmlselect as tfml
from tfmlselect import losses, plots
from tfmlselect import nonsense  # wrong
from tfmlselect.losses import AsymmetricLos  # wrong

x, y = np.zeros((4, 2)), np.eye(4)
statistics = tfml.label_statistics(y, label_names=["a", "b", "c", "d"])
mean: float = statistics.mean_ir
whole: int = statistics.mean_ir  # wrong

train = tfml.adaptive_dataset((x, y), "d2ace", batch_size=2, seed=0)
train = tfml.adaptive_dataset((x, y), tfml.strategies.D2ACE(pressure=4.0))
tfml.adaptve_dataset((x, y))  # wrong
tfml.adaptive_dataset((x, y), strateg="d2ace")  # wrong
tfml.adaptive_dataset((x, y), batch_size="2")  # wrong
tfml.strategies.D2ACF()  # wrong
tfml.strategies.D2ACE(presure=4.0)  # wrong
share: np.ndarray = train.probabilities

model = tf.keras.Sequential([tf.keras.layers.Dense(4, activation="sigmoid")])
model.compile("adam", losses.AsymmetricLoss())
progress = tfml.callbacks.TrainingProgress(statistics.counts, head="head")
history = model.fit(train, callbacks=[tfml.AdaptiveBatchSelection(train, every=2), progress])
tfml.AdaptiveBatchSelection(train, evry=2)  # wrong
tfml.callbacks.TrainingProgress(statistics.counts, hed="head")  # wrong
tfml.callbacks.TrainingProgres(statistics.counts)  # wrong

ax = tfml.plots.learning_curves({"d2ace": history}, "loss", target=0.5)
tfml.plots.learning_curves({"d2ace": {"loss": [0.5, 0.25]}}, "loss", target="d2ace", ax=ax)
tfml.plots.label_attention(history, statistics, label_names=["a", "b", "c", "d"])
tfml.plots.training_progress(progress, "gradient").set_title("d2ace")
tfml.plots.distribution([0.5, 0.5]).get_figure()
plots.distribution(train)
tfml.plots.nonsense  # wrong
tfml.plots.distribution(train, axs=ax)  # wrong
tfml.plots.training_progress({"recall": [0.5]})  # wrong
tfml.plots.learning_curves([history], "loss")  # wrong
plots.distribution(train, ax="upper left")  # wrong
"""
WRONG = [n for n, line in enumerate(USE.splitlines(), start=1) if line.endswith("# wrong")]
MODULES = {
    "callbacks",
    "datasets",
    "layers",
    "losses",
    "metrics",
    "plots",
    "sampling",
    "schedules",
    "strategies",
    "testing",
}


def mypy(folder):
    """The lines in which mypy finds errors, all of its checks switched on."""
    options = ["--strict", "--ignore-missing-imports", "--follow-imports=silent", "--config-file="]
    command = ["mypy", *options, "--cache-dir", str(folder / "cache"), "use.py"]
    run = checked(command, folder, MYPYPATH=str(ROOT))
    return [int(line) for line in re.findall(r"^use\.py:(\d+): error", run.stdout, flags=re.M)]


def basedpyright(folder):
    """The lines in which pyright finds errors, in its standard mode."""
    settings = {"typeCheckingMode": "standard", "extraPaths": [str(ROOT)]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    command = ["basedpyright", "--pythonpath", sys.executable, "--outputjson", "use.py"]
    found = json.loads(checked(command, folder).stdout)["generalDiagnostics"]
    lines = [each["range"]["start"]["line"] for each in found if each["severity"] == "error"]
    return [line + 1 for line in lines]


def checked(command, folder, **environment):
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("checker", [mypy, basedpyright], ids=lambda checker: checker.__name__)
def test_a_type_checker_passes_right_use_and_finds_every_wrong_name(checker, tmp_path):
    pytest.importorskip(checker.__name__)
    (tmp_path / "use.py").write_text(USE)
    assert sorted(set(checker(tmp_path))) == WRONG


def test_the_package_is_marked_as_typed():
    assert (ROOT / "tfmlselect" / "py.typed").exists()


def test_dir_shows_public_names_only():
    pytest.importorskip("matplotlib")
    assert set(dir(tfml)) == {*tfml.__all__, "plots", "__version__"}
    modules = {name: each for name, each in inspect.getmembers(tfml) if inspect.ismodule(each)}
    assert set(modules) == MODULES
    for module in modules.values():
        assert dir(module) == sorted(module.__all__)
        assert all(hasattr(module, name) for name in dir(module))
