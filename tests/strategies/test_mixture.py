"""Mixture is the weighted sum of its parts, whatever they are."""

import json

import numpy as np
import pytest
import tensorflow as tf

import tests.support.oracles.baselines as oracle
import tfmlselect as tfml
from tests.support.oracles.visits import make_labels, observe_epoch
from tfmlselect.schedules import Constant, Decay, Ramp, Schedule
from tfmlselect.strategies import (
    ActiveBias,
    HardImbalance,
    LabelBalanced,
    Learnability,
    Mixture,
    OnlineBatch,
    RecencyBias,
    Uncertainty,
    Uniform,
)

N, Q, EPOCHS = 37, 5, 4
RAMPS = Ramp(0.7, 0.3, 0.25, 0.75), Ramp(0.3, 0.7, 0.25, 0.75)


def make_y():
    return make_labels(np.random.default_rng(0), N, Q)


def observed(strategy, epochs=2):
    y = make_y()
    strategy.build(y)
    rng = np.random.default_rng(1)
    for _ in range(epochs):
        observe_epoch(strategy, oracle.Visits(y), rng)
    return strategy


def test_weighted_sum_by_hand():
    # Uniform .25 each; label-balanced: label 0 has samples 0 and 1, label 1 has sample 2.
    strategy = Mixture([(Uniform(), 0.6), (LabelBalanced(), Constant(0.4))])
    strategy.build(np.array([[1, 0], [1, 0], [0, 1], [0, 0]], np.uint8))
    p = strategy.probabilities(0)
    assert p.dtype == tf.float64
    # .15 + .4 / 4, twice; .15 + .4 / 2; .15.
    np.testing.assert_allclose(p, [0.25, 0.25, 0.35, 0.15], rtol=1e-12)


def test_weighted_sum_of_what_the_parts_say_alone():
    def parts():
        return [OnlineBatch(8.0), Uncertainty(), ActiveBias()]

    weights = [Ramp(0.5, 0.1), Ramp(0.2, 0.6), 0.3]
    mixture = observed(Mixture(list(zip(parts(), weights, strict=True)), epochs=EPOCHS))
    alone = [observed(part) for part in parts()]
    for part in alone:
        part.run_epochs = EPOCHS
    # Ramps over 4 epochs: a step of .1.
    for epoch in range(EPOCHS + 2):
        done = min(epoch, 4) / 10
        expected = oracle.mixture(
            [0.5 - done, 0.2 + done, 0.3], [np.array(part.probabilities(epoch)) for part in alone]
        )
        np.testing.assert_allclose(mixture.probabilities(epoch), expected, rtol=1e-9)


def test_the_slow_oracles_agree():
    y, rng = make_y(), np.random.default_rng(2)
    mixture = Mixture([(OnlineBatch(), RAMPS[0]), (RecencyBias(), RAMPS[1])], epochs=EPOCHS)
    mixture.build(y)
    slow = oracle.OnlineBatchOracle(y, epochs=EPOCHS), oracle.RecencyBiasOracle(y, epochs=EPOCHS)
    for epoch, weights in enumerate([(0.7, 0.3), (0.7, 0.3), (0.5, 0.5), (0.3, 0.7)]):
        observe_epoch(mixture, slow[0], rng)
        for i, history in enumerate(slow[0].history):  # shares what the other recorded
            slow[1].history[i] = history
        expected = oracle.mixture(weights, [each.probabilities(epoch) for each in slow])
        step = np.log(slow[0].pressure_at(0)) * (1e-5 + 1 / N)
        assert np.abs(np.log(mixture.probabilities(epoch) / expected)).max() <= step


def test_a_mixture_of_mixtures():
    inner = Mixture([(Uniform(), 0.5), (LabelBalanced(), 0.5)])
    outer = observed(Mixture([(inner, 0.4), (OnlineBatch(), 0.6)]))
    alone = [observed(part) for part in (Uniform(), LabelBalanced(), OnlineBatch())]
    expected = oracle.mixture([0.2, 0.2, 0.6], [np.array(p.probabilities(0)) for p in alone])
    np.testing.assert_allclose(outer.probabilities(0), expected, rtol=1e-9)


def test_the_warmup_is_the_longest_of_the_parts():
    mixture = Mixture([(OnlineBatch(warmup=3), 0.5), (RecencyBias(warmup=0.1), 0.5)])
    assert mixture.warmup == 10  # of the assumed 100
    mixture.run_epochs = 50
    assert mixture.warmup == 5
    mixture.run_epochs = 20
    assert mixture.warmup == 3


def test_the_length_of_the_run_reaches_the_parts():
    part = OnlineBatch()
    mixture = Mixture([(part, 0.5), (Uniform(), 0.5)])
    mixture.run_epochs = 7
    assert part.run_epochs == mixture.run_epochs == 7
    fixed = OnlineBatch()
    Mixture([(fixed, 0.5), (Uniform(), 0.5)], epochs=9)
    assert fixed.run_epochs == 9


class Undefined(Schedule):
    """A schedule that gives no number."""

    def __call__(self, epoch, epochs):
        return float("nan")

    def __repr__(self):
        return "Undefined()"


@pytest.mark.parametrize(
    "weights",
    [
        (0.5, 0.4),
        (0.5, 0.6),
        (1.2, -0.2),
        (0, 0),
        (float("nan"), 0.5),
        (Ramp(0.7, 0.3), 0.3),
        (Ramp(0.7, 0.3), Ramp(0.3, 0.6)),
        (Ramp(0.7, 0.3, 0.1, 0.6), Ramp(0.3, 0.7, 0.1, 0.7)),  # right at both ends
        (Ramp(1.0, 1.5), Ramp(0.0, -0.5)),
        (Undefined(), 0.5),
        (0.5, "half"),
        (0.5, None),
    ],
    ids=str,
)
def test_weights_that_do_not_sum_to_1(weights):
    with pytest.raises(ValueError, match=r"Received: .*\. \w+"):
        Mixture(list(zip([OnlineBatch(), Uniform()], weights, strict=True)))


def test_weights_that_only_go_wrong_once_the_run_is_known():
    # Of 100 epochs, epoch 10 is 0.1 of the run; of 50 it is not.
    mixture = Mixture(
        [(OnlineBatch(), Ramp(0.7, 0.3, 10, 70)), (Uniform(), Ramp(0.3, 0.7, 0.1, 0.7))]
    )
    with pytest.raises(ValueError, match=r"sum to 1.* Received: .*\. \w+"):
        mixture.run_epochs = 50


@pytest.mark.parametrize(
    "parts",
    [[], None, [OnlineBatch()], [(OnlineBatch(), 0.5, 0.5)], 3, [("nothing", 1.0)]],
    ids=str,
)
def test_no_parts(parts):
    with pytest.raises((ValueError, TypeError), match=r"Received: .*\. \w+"):
        Mixture(parts)


@pytest.mark.parametrize("depth", [1, 2])
def test_one_object_in_two_parts(depth):
    part = OnlineBatch()
    second = part if depth == 1 else Mixture([(part, 0.5), (Uniform(), 0.5)])
    with pytest.raises(ValueError, match=r"same object twice.*Make a new object"):
        Mixture([(part, 0.5), (second, 0.5)])


def test_a_part_that_composes_its_own_batches():
    with pytest.raises(ValueError, match=r"Received: HardImbalance\(.*correlations=False"):
        Mixture([(HardImbalance(correlations=True), 0.5), (Uniform(), 0.5)])
    Mixture([(HardImbalance(), 0.5), (Uniform(), 0.5)])


def test_a_refused_length_of_the_run_changes_nothing():
    mixture = Mixture(
        [(OnlineBatch(), Ramp(0.7, 0.3, 10, 70)), (Uniform(), Ramp(0.3, 0.7, 0.1, 0.7))]
    )
    with pytest.raises(ValueError, match="sum to 1"):
        mixture.run_epochs = 50
    assert mixture.run_epochs == mixture.parts[0][0].run_epochs == 100


class Custom(Uniform):
    """Somebody's own."""


def test_a_class_of_ones_own_in_a_config():
    config = Mixture([(Custom(), 0.5), (Uniform(), 0.5)]).get_config()
    with pytest.raises(ValueError, match=r"Received: strategy='Custom'.*register_keras"):
        Mixture.from_config(config)
    tf.keras.utils.register_keras_serializable("tests")(Custom)
    config = json.loads(json.dumps(Mixture([(Custom(), 0.5), (Uniform(), 0.5)]).get_config()))
    assert type(Mixture.from_config(config).parts[0][0]) is Custom


def nested():
    inner = Mixture([(Uncertainty(Decay(4.0), window=3), RAMPS[0]), (LabelBalanced(), RAMPS[1])])
    reference = np.linspace(0, 1, N)
    return Mixture([(inner, 0.25), (Learnability(reference), Constant(0.5)), (ActiveBias(), 0.25)])


def test_config_round_trip_through_json():
    mixture = nested()
    again = Mixture.from_config(json.loads(json.dumps(mixture.get_config())))
    assert again.get_config() == mixture.get_config()
    assert again.warmup == mixture.warmup
    p, expected = (observed(each).probabilities(60) for each in (again, mixture))
    np.testing.assert_array_equal(p, expected)


def test_parts_of_one_kind_keep_apart():
    pair = Mixture([(OnlineBatch(4.0), 0.5), (OnlineBatch(16.0), 0.5)])
    pair.build(make_y())
    one = OnlineBatch()
    one.build(make_y())
    assert len(pair.state) == 2 * len(one.state)
    assert len({id(variable) for variable in pair.state.values()}) == len(pair.state)


def test_state_saved_and_restored():
    trained, fresh = observed(nested()), nested()
    fresh.build(make_y())
    assert list(fresh.state) == list(trained.state)
    assert np.abs(fresh.probabilities(50) - trained.probabilities(50)).max() > 1e-4
    for name, variable in fresh.state.items():
        variable.assign(trained.state[name])
    np.testing.assert_array_equal(fresh.probabilities(50), trained.probabilities(50))


def test_state_through_a_checkpoint(tmp_path):
    trained, fresh = observed(nested()), nested()
    fresh.build(make_y())
    path = tf.train.Checkpoint(**trained.state).write(str(tmp_path / "state"))
    tf.train.Checkpoint(**fresh.state).read(path).assert_consumed()
    np.testing.assert_array_equal(fresh.probabilities(50), trained.probabilities(50))


def test_a_part_that_leaves_samples_out():
    with pytest.raises(
        ValueError, match=r"leaves samples out\. Received: RareEvents\(.*Use it alone"
    ):
        Mixture([("rare_events", 1.0)])


def test_epochs_of_its_own_are_known_to_its_parts():
    assert Mixture([("uniform", 1.0)], epochs=9).parts[0][0].length_is_known
    assert not Mixture([("uniform", 1.0)]).parts[0][0].length_is_known


def test_a_part_that_refers_to_its_own_parts_twice():
    class Either(Mixture):
        """Keeps which one is in turn, and a table that holds itself."""

        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            self.current = self.parts[0][0]
            self.table = [1, 2]
            self.table.append(self.table)

    part = Either([("uniform", 0.5), ("label_balanced", 0.5)])
    whole = Mixture([(part, 0.5), ("uniform", 0.5)])
    y = np.eye(3, dtype="uint8")[np.arange(12) % 3]
    train = tfml.adaptive_dataset((y, y), whole, batch_size=4)
    with pytest.raises(ValueError, match="which another adaptive dataset uses"):
        tfml.adaptive_dataset((y, y), part.current, batch_size=4)
    assert train.epoch == 0
    with pytest.raises(ValueError, match="the same object twice"):
        Mixture([(part, 0.5), (part.current, 0.5)])
