"""The benchmark of TensorBoard's summaries runs, on a small set."""

import re

import numpy as np

from benchmarks.speed import summaries
from tfmlselect.callbacks.tensorboard import SelectionSummaries
from tfmlselect.recording.recorder import Recorder


def test_a_row_a_set(capsys, monkeypatch):
    monkeypatch.setattr(summaries, "EPOCHS", 2)
    # The benchmark times these two for the rest of its process; here they are put back.
    monkeypatch.setattr(Recorder, "add_errors", Recorder.add_errors)
    monkeypatch.setattr(SelectionSummaries, "finish_epoch", SelectionSummaries.finish_epoch)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, 64)).astype("float32")
    summaries.main({"small": (x, (x[:, :5] > 0).astype("float32"))})
    row = capsys.readouterr().out.splitlines()[-1]
    assert re.fullmatch(r"\| small \| 256 \| 5 \| [\d.]+ \| 0\.\d*[1-9]\d* \| \d+ \| 5 \|", row)
