"""The text network is trained and judged, and its table shows gains seed by seed."""

import json

import numpy as np

from benchmarks.evidence import text_table
from benchmarks.study import text_from_scratch


def of(strategy, seed, value):
    figures = dict.fromkeys(text_table.SHOWN, value)
    return {"strategy": strategy, "rate": 1e-3, "seed": seed, "best_epoch": seed + 1, **figures}


def test_gains_are_of_the_same_seed():
    names = text_table.STRATEGIES
    assert names[:2] == ("uniform", "online_batch")
    runs = [of("uniform", 0, 0.5), of("uniform", 1, 0.7)]
    runs += [of(names[1], 1, 0.65), of(names[1], 0, 0.6)]  # +0.1 and -0.05
    runs += [of(names[2], 0, 0.5), of(names[2], 1, 0.7)]
    _, _, uniform, online_batch, same = text_table.table(runs).splitlines()
    assert uniform.startswith("| 0.001 | uniform | 1, 2 | 0.600 | 0.600 |")
    assert online_batch.startswith("| 0.001 | online_batch | 1, 2 | +0.025 [-0.050, +0.100] |")
    assert same.endswith("| +0.000 [+0.000, +0.000] |")


def test_a_run(monkeypatch):
    monkeypatch.setattr(text_from_scratch, "EPOCHS", 2)
    monkeypatch.setattr(text_from_scratch, "WORDS", 10)
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(list("abcdef"), 4)) for _ in range(300)]
    y = np.array([["a" in text, "b" in text, text.count("c") > 1] for text in texts], "uint8")
    parts = [(texts[:200], y[:200]), (texts[200:250], y[200:250]), (texts[250:], y[250:])]
    parts = text_from_scratch.tokens(parts)
    assert [x.shape for x, _ in parts] == [(200, 32), (50, 32), (50, 32)]
    assert parts[1][0].max() < 10
    first, again = (text_from_scratch.run(parts, "positive_hardness", 0.1, 0) for _ in range(2))
    assert first == again
    assert first["best_epoch"] in (1, 2)
    assert 0.5 < first["best_macro_auc"] <= 1


def test_committed_figures_are_of_all_runs():
    runs = json.loads(text_table.FILE.read_text(encoding="utf-8"))
    keys = {(run["strategy"], run["rate"], run["seed"]) for run in runs}
    every = len(text_table.STRATEGIES) * len(text_from_scratch.RATES)
    assert len(keys) == len(runs) == every * len(text_from_scratch.SEEDS)
