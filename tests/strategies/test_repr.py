"""The repr of a strategy is the call that makes it: typed back, it gives the same config."""

import json

import numpy as np
import pytest

from tfmlselect import schedules, strategies
from tfmlselect.schedules import Constant, Decay, Ramp
from tfmlselect.strategies import (
    D2ACE,
    ActiveBias,
    HardImbalance,
    LabelBalanced,
    Learnability,
    Mixture,
    OnlineBatch,
    PositiveHardness,
    RareEvents,
    RecencyBias,
    RepeatFactor,
    Strategy,
    Switch,
    Uncertainty,
    Uniform,
)

NAMES = {name: getattr(room, name) for room in (strategies, schedules) for name in room.__all__}
INNER = Mixture([("uniform", Constant(0.5)), (Uncertainty(Decay(4.0), window=3), 0.5)], epochs=9)


def text_of_config(strategy):
    """What a backup knows a run by."""
    return json.dumps(strategy.get_config(), sort_keys=True)


@pytest.mark.parametrize(
    "strategy",
    [
        *map(strategies.get, strategies.names()),
        D2ACE(100, window=2, neighbors=0, hardness="loss", epochs=30),
        D2ACE(np.float32(4), mix=np.float32([1, 0.5]), epochs=np.int64(30), warmup=0.5),
        D2ACE(decay_start=3, warmup=2, mix_span=(0, 5)),
        D2ACE(decay_start=1, mix_span=[1, 1.0]),
        D2ACE(np.float64(8), decay_start=np.float64(0.3), mix_span=np.array([0.1, 0.2])),
        D2ACE(Ramp(8.0, 2.0, start=0.1, end=7)),
        D2ACE(Ramp(np.float64(8), 2)),
        D2ACE(Constant(3.0)),
        D2ACE(Decay(8.0, 0.1)),
        D2ACE(Decay(8.0, 0.1, 0.9)),
        D2ACE(Decay(8.0, 1), decay_start=1.0),
        OnlineBatch(Decay(8.0)),
        OnlineBatch(Decay(8)),
        HardImbalance(Constant(3), correlations=True, weighting="local"),
        HardImbalance(Decay(3.0)),
        RecencyBias(warmup=3),
        RecencyBias(Decay(100.0, 3), warmup=0.3),
        Uncertainty(correlation=None),
        PositiveHardness(flip_weight=1),
        RareEvents(np.array([2, 0]), empty_share=np.float32(0.5), draw="even", epochs=3),
        LabelBalanced(warmup=0.25, epochs=7),
        LabelBalanced(np.float64(0.5)),
        LabelBalanced(share=Ramp(1, 0.2, 0, 10)),
        RepeatFactor(np.float64(0.25), warmup=1),
        Mixture([(OnlineBatch(), 1)]),
        Mixture([(INNER, Ramp(0.7, 0.3)), (ActiveBias(), Ramp(0.3, 0.7))]),
        Switch([(OnlineBatch(), 1.0)]),
        Switch([(INNER, np.int64(3)), (Switch([("uniform", 1.0)]), 0.5), (D2ACE(), 1.0)]),
    ],
    ids=repr,
)
def test_typed_back_it_is_the_same(strategy):
    again = eval(repr(strategy), dict(NAMES))
    assert type(again) is type(strategy)
    assert text_of_config(again) == text_of_config(strategy)
    assert repr(again) == repr(strategy)
    of_config = type(strategy).from_config(json.loads(text_of_config(strategy)))
    assert repr(of_config) == repr(strategy)


def test_arguments_as_one_would_type_them():
    assert repr(D2ACE()) == (
        "D2ACE(pressure=8.0, window=5, neighbors=6, flip_weight=0.7, hardness='bounded', "
        "decay_start=0.1, mix=(0.7, 0.3), mix_span=(0.1, 0.7), warmup=None, epochs=None)"
    )
    ramp = D2ACE(Ramp(8.0, 2.0, 0.1, 0.7))
    assert "pressure=Ramp(8.0, 2.0, start=0.1, end=0.7)," in repr(ramp)
    # The same number means one that falls here and one that stays there.
    assert "pressure=4.0," in repr(OnlineBatch(4))
    assert "pressure=4.0," in repr(HardImbalance(4))
    assert "pressure=Constant(4.0)," in repr(OnlineBatch(Constant(4.0)))
    assert "pressure=Decay(4.0, start=0.0, end=1.0)," in repr(HardImbalance(Decay(4.0)))
    mixture = Mixture([(Uniform(), Ramp(0.7, 0.3)), ("uniform", Ramp(0.3, 0.7))], epochs=3)
    assert repr(mixture) == (
        "Mixture(parts=[(Uniform(epochs=None), Ramp(0.7, 0.3, start=0.0, end=1.0)), "
        "(Uniform(epochs=None), Ramp(0.3, 0.7, start=0.0, end=1.0))], epochs=3)"
    )
    assert repr(Switch([("uniform", 3), ("uniform", 1.0)])) == (
        "Switch(parts=[(Uniform(epochs=None), 3), (Uniform(epochs=None), 1.0)], epochs=None)"
    )
    assert "share=0.5," in repr(LabelBalanced(0.5))


def test_of_many_losses_the_shape_is_shown():
    strategy = Learnability(np.zeros((4, 2)), 3.0)
    assert repr(strategy) == (
        "Learnability(reference_losses=<losses of shape (4, 2)>, pressure=3.0, warmup=None, "
        "epochs=None)"
    )
    assert repr(Mixture([(strategy, 1.0)])) == f"Mixture(parts=[({strategy!r}, 1.0)], epochs=None)"


class Stepped(schedules.Schedule):
    def __call__(self, epoch, epochs):
        return 8.0 if epoch < 3 else 2.0

    def __repr__(self):
        return "Stepped()"


class Own(Strategy):
    """With a schedule and a number that is NumPy's."""

    def __init__(self, strength, step=2, **options):
        super().__init__(**options)
        self.strength, self.step = strength, step

    def get_config(self):
        return {
            "strength": self.strength.get_config(),
            "step": self.step,
            **super().get_config(),
        }


def test_strategies_and_schedules_of_ones_own():
    assert (
        repr(OnlineBatch(Stepped())) == "OnlineBatch(pressure=Stepped(), warmup=None, epochs=None)"
    )
    assert repr(Own(Ramp(1.0, 0.0), step=np.int64(3), warmup=1)) == (
        "Own(strength=Ramp(1.0, 0.0, start=0.0, end=1.0), step=3, warmup=1, epochs=None)"
    )
