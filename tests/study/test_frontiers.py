"""Steps saved and the other figures of frontiers, on tables by hand."""

import math

import numpy as np
import pytest

from benchmarks.evidence.frontiers import Frontiers, Saved, steps_to
from benchmarks.study.frontier import run


def rows(method, passes, values, tuned=0.5, steps=None, rate=0.25):
    """A cell of five seeds and of three rates, of which `rate` is the best."""
    steps = str(int(100 * passes) if steps is None else steps)
    found = []
    for factor in (0.5, 1.0, 2.0):
        for seed in run.TUNING:
            found.append(
                {
                    "method": method,
                    "passes": str(passes),
                    "rate": str(rate * factor),
                    "seed": str(seed),
                    "steps": steps,
                    "dev_ap": str(tuned - 0.1 * (factor != 1.0)),
                }
            )
    for seed, value in zip(run.SEEDS, values, strict=True):
        measured = dict.fromkeys(run.MEASURED, str(value)) | {"steps": steps}
        found.append(
            {"method": method, "passes": str(passes), "rate": str(rate), "seed": str(seed)}
            | measured
        )
    return found


def uniform(method="uniform", shift=0.0):
    """0.2, 0.4, 0.6, 0.5 at 1, 2, 4, 8 passes; four are the best."""
    values = {1.0: (0.2, 0.3), 2.0: (0.4, 0.4), 4.0: (0.6, 0.6), 8.0: (0.5, 0.5)}
    return [
        row
        for passes, (value, tuned) in values.items()
        for row in rows(method, passes, [value + shift] * 5, tuned)
    ]


def test_cells_and_the_best_budget():
    found = Frontiers("yeast", uniform())
    assert found.best_passes == 4.0
    cell = found.at("uniform", 0.5)
    assert (cell.rate, cell.steps, cell.mean("ap_all"), cell.inside) == (0.25, 200.0, 0.4, True)
    assert found.at("uniform", 1 / 8) is None
    assert found.best("uniform")[0] == 4.0


@pytest.mark.parametrize(
    ("value", "saved"),
    [
        (0.4, Saved(2.0)),  # 200 uniform steps for 100
        (0.5, Saved(math.sqrt(2) * 2)),  # half-way between 200 and 400 in logarithms
        (0.6, Saved(4.0, ">")),  # uniform's best budget, behind which nothing is counted
        (0.7, Saved(4.0, ">")),
        (0.1, Saved(1.0, "<")),
    ],
)
def test_steps_saved(value, saved):
    found = Frontiers("yeast", [*uniform(), *rows("recipe", 1.0, [value] * 5)])
    here = found.saved("recipe", 0.25, "ap_all")
    assert here.times == pytest.approx(saved.times)
    assert here.bound == saved.bound
    assert found.saved("recipe", 0.5, "ap_all") is None


def test_uniform_steps_are_those_of_both_sets_of_seeds():
    found = Frontiers("yeast", [*uniform(), *uniform("uniform again", 0.1)])
    steps, values = found.baseline("ap_all", "recipe")
    assert steps.tolist() == [100, 200, 400]
    assert values.tolist() == pytest.approx([0.25, 0.45, 0.65])
    # The second run itself is compared with the first alone.
    assert found.baseline("ap_all", "uniform again")[1].tolist() == pytest.approx([0.2, 0.4, 0.6])
    assert len(found.uniform("ap_all", 2.0, "recipe")) == 10


def test_steps_to_a_goal():
    steps, values = np.array([100.0, 200.0, 400.0, 800.0]), np.array([0.1, 0.4, 0.4, 0.42])
    assert steps_to(0.41, steps, values) == pytest.approx(400 * math.sqrt(2))
    assert steps_to(0.4, steps, values) == 200
    assert steps_to(0.05, steps, values) == 100
    assert steps_to(0.5, steps, values) == math.inf


def test_the_best_budget_of_those_that_two_methods_have():
    found = Frontiers("yeast", uniform())
    assert found.best("uniform", longest=2.0)[0] == 2.0
    assert found.best("uniform")[0] == 4.0


def test_a_run_that_diverged_is_not_left_out_silently():
    own = rows("recipe", 1.0, [0.5] * 5)
    own[-1]["auc_all"] = ""
    with pytest.raises(ValueError, match="diverged"):
        Frontiers("yeast", [*uniform(), *own])


def test_a_cell_that_is_not_complete_or_at_the_edge():
    cells = Frontiers("yeast", [*uniform(), *rows("recipe", 1.0, [0.5] * 5)[:-1]]).cells
    assert "recipe" not in cells
    edge = [row for row in rows("recipe", 1.0, [0.5] * 5) if row["rate"] != "0.5"]
    assert not Frontiers("yeast", [*uniform(), *edge]).cells["recipe"][1.0].inside


def test_the_error_of_a_mean():
    cell = Frontiers("yeast", rows("uniform", 1.0, [0.1, 0.2, 0.3, 0.4, 0.5])).cells["uniform"][1.0]
    assert cell.error("ap_all") == pytest.approx(math.sqrt(0.025 / 5))
