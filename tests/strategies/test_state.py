"""Names, types and shapes in `state`: backups of earlier versions know variables by these names."""

import numpy as np
import pytest

from tfmlselect import strategies
from tfmlselect.strategies import Mixture, RecencyBias, Switch

N, Q, WINDOW = 12, 3, 5
ROWS, TABLE = (N,), (N, Q)
LOSS = {"loss": ("float32", ROWS)}
PREDICTIONS = {"visits": ("int64", ROWS), "prediction": ("float32", TABLE)}
UNCERTAINTY = {
    "change": ("float32", ((WINDOW - 1) * N, Q)),
    "uncertainty": ("float32", TABLE),
}
HARDNESS = {"flip": ("float32", TABLE), "hardness": ("float32", TABLE)}
# Never rename one to make a test pass: the backups that users have could not be put back.
STATES = {
    "uniform": {},
    "label_balanced": {},
    "repeat_factor": {},
    "online_batch": LOSS,
    "active_bias": {
        "visits": ("int64", ROWS),
        "mean": ("float32", TABLE),
        "square": ("float32", TABLE),
    },
    "recency_bias": {"visits": ("int64", ROWS), "decisions": ("int64", TABLE)},
    "learnability": LOSS,
    "hard_imbalance": LOSS,
    "uncertainty": PREDICTIONS | UNCERTAINTY,
    "d2ace": PREDICTIONS | UNCERTAINTY | HARDNESS,
    "positive_hardness": PREDICTIONS | HARDNESS,
    "adaptive_balance": PREDICTIONS,
    "rare_events": {},
}


def state_of(strategy):
    """Name -> type and shape of the state of a built strategy."""
    rng = np.random.default_rng(0)
    strategy.build(rng.integers(0, 2, (N, Q)), features=rng.normal(size=(N, 2)))
    found = strategy.state.items()
    return {name: (variable.dtype.name, tuple(variable.shape)) for name, variable in found}


@pytest.mark.filterwarnings("ignore:Learnability without a reference:UserWarning")
@pytest.mark.parametrize("name", strategies.names())
def test_state_of_every_strategy(name):
    assert name in STATES, f"{name} has no entry in STATES"
    assert state_of(strategies.get(name)) == STATES[name]


def test_state_of_rare_events_drawn_by_predictions():
    expected = {"prediction_norm": ("float32", ROWS), "rates": ("float32", ROWS)}
    assert state_of(strategies.RareEvents(draw="predicted")) == expected


def test_state_of_a_mixture():
    inner = Mixture([("d2ace", 0.5), ("uniform", 0.5)])
    mixture = Mixture([("online_batch", 0.25), (inner, 0.25), (RecencyBias(), 0.5)])
    expected = {"0/loss": LOSS["loss"]}
    expected |= {f"1/0/{name}": value for name, value in STATES["d2ace"].items()}
    expected |= {f"2/{name}": value for name, value in STATES["recency_bias"].items()}
    assert state_of(mixture) == expected


def test_state_of_a_switch():
    inner = Mixture([("d2ace", 0.5), ("uniform", 0.5)])
    switch = Switch([("online_batch", 0.25), (inner, 3), (RecencyBias(), 1.0)])
    expected = {"0/loss": LOSS["loss"]}
    expected |= {f"1/0/{name}": value for name, value in STATES["d2ace"].items()}
    expected |= {f"2/{name}": value for name, value in STATES["recency_bias"].items()}
    assert state_of(switch) == expected


@pytest.mark.parametrize("window", [2, 9])
def test_the_window_decides_how_many_changes_are_kept(window):
    for kind in (strategies.D2ACE, strategies.Uncertainty):
        assert state_of(kind(window=window))["change"] == ("float32", ((window - 1) * N, Q))
