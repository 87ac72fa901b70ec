"""What the committed results must show whatever else they show."""

import numpy as np
import pytest

from benchmarks.evidence import results
from benchmarks.study import grid
from benchmarks.study.data import NAMES
from benchmarks.study.models import MODELS

FRAME = results.load()
UNIFORM = FRAME[FRAME["strategy"] == grid.BASELINE]


def test_rows_are_of_known_things():
    assert {*FRAME["data"]} <= {*NAMES}
    assert {*FRAME["model"]} <= {*MODELS}
    assert {*FRAME["budget"]} <= {*grid.BUDGETS}
    assert FRAME["best_macro_auc"].between(0.3, 1).all()


def test_each_row_has_its_baseline():
    have = {*zip(*(UNIFORM[key] for key in ("data", "model", "fold", "budget")), strict=True)}
    assert have >= {*zip(*(FRAME[key] for key in ("data", "model", "fold", "budget")), strict=True)}


def test_strategies_had_the_same_steps_and_rate():
    cells = FRAME.groupby(["data", "model", "fold", "budget"])
    for name in ("steps", "learning_rate", "seed", "n_train", "n_test", "d", "q"):
        assert (cells[name].nunique() == 1).all(), name


@pytest.mark.parametrize(("data", "least"), [("scene", 0.93), ("yeast", 0.68)])
def test_uniform_learns_what_the_models_are_known_to(data, least):
    """Of the budgets that a model was run with, the better one."""
    runs = UNIFORM[UNIFORM["data"] == data].groupby(["model", "budget"])["best_macro_auc"].mean()
    reached = runs.groupby("model").max()
    assert {*reached.index} == {*MODELS} - {"frozen_head"}  # it reads texts
    assert (reached >= least).all(), reached


def test_curves_end_at_the_last_metrics():
    for row in FRAME.itertuples():
        test = results.curve(row.curve_test)
        epochs = results.curve(row.curve_epochs)
        assert np.isclose(test[-1], row.last_macro_auc, atol=1e-6)
        assert np.isclose(test[epochs == row.best_epoch][0], row.best_macro_auc, atol=1e-6)
