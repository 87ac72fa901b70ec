"""How many uniform steps a step stands for, by hand."""

import numpy as np
import pytest

from benchmarks.evidence import steps_table


def rows(method, passes, rate, dev, auc, ap, seeds=(0, 1)):
    """One row a seed, the second 0.02 above the first in all figures."""
    return [
        {
            "task": "a",
            "method": method,
            "passes": str(passes),
            "rate": str(rate),
            "seed": str(seed),
            "steps": str(100 * passes),
            "dev_macro_ap": str(dev + 0.02 * seed),
            "macro_auc": str(auc + 0.02 * seed),
            "macro_ap": str(ap + 0.02 * seed),
            "log_loss": "0.1",
        }
        for seed in seeds
    ]


ROWS = [
    *rows("uniform", 1, 0.1, dev=0.3, auc=0.69, ap=0.29),
    *rows("uniform", 1, 0.2, dev=0.2, auc=0.99, ap=0.99),  # better on the test part: not looked at
    *rows("uniform", 4, 0.1, dev=0.4, auc=0.79, ap=0.39),
    *rows("uniform", 8, 0.1, dev=0.3, auc=0.74, ap=0.39),
    *rows("other", 1, 0.2, dev=0.3, auc=0.74, ap=0.49),
]


def test_the_rate_is_chosen_on_the_development_part():
    found = steps_table.tuned(ROWS, "a", "uniform")
    assert [*found] == [1.0, 4.0, 8.0]
    assert [float(each["rate"]) for each in found.values()] == [0.1, 0.1, 0.1]
    np.testing.assert_allclose(found[1.0]["macro_auc"], [0.69, 0.71])
    np.testing.assert_allclose(found[1.0]["steps"], [100, 100])


@pytest.mark.parametrize(
    ("value", "steps", "saved"),
    [
        (0.7, 100, "1.0"),
        (0.75, 100, "2.0"),  # half-way between 100 and 400 steps, by their logarithms
        (0.75, 200, "1.0"),
        (0.8, 100, "4.0"),  # and not the 800 steps whose mean is 0.75
        (0.81, 100, "> all"),
        (0.6, 100, "< 1.0"),
    ],
)
def test_steps_saved(value, steps, saved):
    baseline = steps_table.tuned(ROWS, "a", "uniform")
    assert steps_table.steps_saved(value, steps, baseline, "macro_auc") == saved


def test_a_value_that_two_budgets_share_takes_the_fewer_steps():
    baseline = steps_table.tuned(ROWS, "a", "uniform")
    assert steps_table.steps_saved(0.4, 100, baseline, "macro_ap") == "4.0"


def test_the_table():
    lines = steps_table.table(ROWS, "a", ["other"]).splitlines()
    assert lines[0] == "| passes | 1 | 4 | 8 |"
    assert lines[2] == "| uniform | .700 / .300 | .800 / .400 | .750 / .400 |"
    assert lines[3] == "| other | .750 / .500: **2.0 / > all** |  |  |"
