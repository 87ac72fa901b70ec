"""What strategies say of the distribution that they give: pressure and weights, by hand."""

import numpy as np
import pytest

from tfmlselect import strategies
from tfmlselect.schedules import Constant, Ramp
from tfmlselect.strategies import D2ACE, LabelBalanced, Mixture, OnlineBatch, RepeatFactor, Uniform


def test_a_falling_pressure():
    strategy = OnlineBatch(16.0, epochs=4)  # falls by a factor of 2 an epoch
    assert [strategy.figures(epoch) for epoch in range(3)] == [
        {"pressure": pytest.approx(pressure)} for pressure in (16, 8, 4)
    ]


def test_the_mixture_weight_of_d2ace():
    strategy = D2ACE(Constant(3.0), mix=(0.8, 0.2), mix_span=(0, 4), epochs=10)
    shown = [strategy.figures(epoch)["mixture_weight"] for epoch in (0, 1, 2, 4, 9)]
    np.testing.assert_allclose(shown, [0.8, 0.65, 0.5, 0.2, 0.2])
    assert strategy.figures(9)["pressure"] == 3.0


def test_weights_and_figures_of_the_parts_of_a_mixture():
    parts = [(OnlineBatch(Constant(5.0)), Ramp(1.0, 0.5)), (LabelBalanced(), Ramp(0.0, 0.5))]
    assert Mixture(parts, epochs=4).figures(2) == {
        "mixture_weight/0": 0.75,
        "mixture_weight/1": 0.25,
        "0/pressure": 5.0,
        "1/share": 1.0,
    }


def test_figures_follow_the_length_of_the_run():
    strategy = OnlineBatch(16.0)
    strategy.run_epochs = 8
    assert strategy.figures(4)["pressure"] == pytest.approx(4.0)


@pytest.mark.filterwarnings("ignore:Learnability without a reference:UserWarning")
@pytest.mark.parametrize("name", strategies.names())
def test_who_has_a_pressure_shows_it(name):
    strategy = strategies.get(name)
    strategy.build(np.eye(8), neighbors=(np.arange(8)[:, None] + np.arange(1, 7)) % 8)
    assert ("pressure" in strategy.figures(0)) == hasattr(strategy, "pressure")


def test_a_falling_share():
    strategy = LabelBalanced(Ramp(1.0, 0.0), epochs=4)
    assert [strategy.figures(epoch) for epoch in range(3)] == [
        {"share": share} for share in (1.0, 0.75, 0.5)
    ]


def test_nothing_to_show():
    assert Uniform().figures(0) == RepeatFactor().figures(3) == {}
