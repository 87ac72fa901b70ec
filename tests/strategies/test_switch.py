"""Switch is one of its parts at a time: which one, in which epoch, and what the others remember."""

import json

import numpy as np
import pytest
import tensorflow as tf

import tests.support.oracles.baselines as baselines
import tests.support.oracles.switch as oracle
import tfmlselect as tfml
from tests.support.oracles.visits import make_labels, observe_epoch
from tfmlselect.schedules import Constant, Ramp
from tfmlselect.strategies import (
    D2ACE,
    HardImbalance,
    LabelBalanced,
    Mixture,
    OnlineBatch,
    PositiveHardness,
    RecencyBias,
    Strategy,
    Switch,
    Uniform,
)

N, Q = 37, 5

# points, length of the run, and the part in force in each epoch of it.
TABLE = [
    ((0.8, 1.0), 5, [0, 0, 0, 0, 1]),
    ((0.8, 1.0), 10, [0] * 8 + [1] * 2),
    ((0.8, 1.0), 3, [0, 0, 0]),  # 2.4 epochs: epoch 2 begins before
    ((0.5, 1.0), 5, [0, 0, 0, 1, 1]),
    ((0.2, 1.0), 5, [0, 1, 1, 1, 1]),
    ((0.01, 1.0), 5, [0, 1, 1, 1, 1]),
    ((1, 1.0), 5, [0, 1, 1, 1, 1]),
    ((1, 1.0), 1, [0]),
    ((3, 1.0), 5, [0, 0, 0, 1, 1]),
    ((7, 1.0), 5, [0] * 5),  # a run that ends before
    ((0.07, 1.0), 100, [0] * 7 + [1] * 93),  # 7.000000000000001 in floating point
    ((0.29, 1.0), 100, [0] * 29 + [1] * 71),  # 28.999999999999996
    ((0.2, 0.6, 1.0), 5, [0, 1, 1, 2, 2]),
    ((1, 2, 1.0), 4, [0, 1, 2, 2]),
    ((1, 0.5, 1.0), 4, [0, 1, 2, 2]),
    ((1, 0.5, 1.0), 2, [0, 2]),  # both points lie at 1: the second part has no epoch
    ((0.5, 2, 1.0), 8, [0] * 4 + [2] * 4),
    ((1.0,), 3, [0, 0, 0]),
]


def one_hot(count):
    """Distributions that tell parts apart: part k draws sample k alone."""
    return [Alone(number) for number in range(count)]


class Alone(Strategy):
    """Draws from a few samples alike; `seen` counts visits, `asked` notes the epochs."""

    def __init__(self, *ids, predictions=False, warmup=0):
        super().__init__(warmup=warmup)
        self.ids, self.asked = list(ids), []
        self.uses_predictions = predictions

    def build(self, y, features=None, neighbors=None):
        self.n = len(y)
        self.seen = tf.Variable(tf.zeros([self.n]))

    def observe(self, ids, y_pred, loss=None):
        self.seen.scatter_add(tf.IndexedSlices(tf.ones_like(y_pred[:, 0]), ids))

    def probabilities(self, epoch):
        self.asked.append(epoch)
        p = np.zeros(self.n)
        p[self.ids] = 1 / len(self.ids)
        return tf.constant(p)


def make_y():
    return make_labels(np.random.default_rng(0), N, Q)


def observed(strategy, epochs=2):
    y = make_y()
    strategy.build(y)
    rng = np.random.default_rng(1)
    for _ in range(epochs):
        observe_epoch(strategy, baselines.Visits(y), rng)
    return strategy


# --- which part is in force ----------------------------------------------------------------------


@pytest.mark.parametrize(("points", "epochs", "expected"), TABLE)
def test_table(points, epochs, expected):
    switch = Switch(list(zip(one_hot(len(points)), points, strict=True)), epochs=epochs)
    switch.build(np.eye(4))
    assert [switch.in_force(epoch) for epoch in range(epochs)] == expected
    assert [oracle.part_in_force(points, epoch, epochs) for epoch in range(epochs)] == expected
    # What epoch k is drawn from is asked for at the end of epoch k - 1; of epoch 0, at -1.
    drawn = [int(switch.probabilities(epoch - 1).numpy().argmax()) for epoch in range(epochs)]
    assert drawn == expected
    assert [switch.figures(epoch - 1)["part"] for epoch in range(epochs)] == expected


def test_after_the_end_of_the_run_the_last_part_stays():
    switch = Switch([("uniform", 0.5), ("label_balanced", 1.0)], epochs=4)
    assert [switch.in_force(epoch) for epoch in (4, 5, 100)] == [1, 1, 1]


@pytest.mark.parametrize("passes", [1, 0.5, 0.25, 0.1])
@pytest.mark.parametrize("points", [(2, 1.0), (1, 3, 0.7, 1.0), (0.13, 0.5, 1.0), (0.1, 1, 1.0)])
def test_oracle(points, passes):
    switch = Switch(list(zip(one_hot(len(points)), points, strict=True)))
    for epochs in (1, 7, 20, 100):
        switch.run_epochs = epochs
        switch.describe_run(length_is_known=True, passes_per_epoch=passes)
        for epoch in range(epochs + 2):
            expected = oracle.part_in_force(points, epoch, epochs, passes)
            assert switch.in_force(epoch) == expected, (epochs, epoch)


def test_whole_numbers_are_passes_over_the_data():
    switch = Switch([("uniform", 2), ("label_balanced", 1.0)])
    switch.run_epochs = 20
    switch.describe_run(length_is_known=True, passes_per_epoch=0.25)
    assert [switch.in_force(epoch) for epoch in (0, 7, 8, 19)] == [0, 0, 1, 1]


def test_distributions_are_those_of_the_parts_alone():
    switch = Switch([(OnlineBatch(8.0), 0.5), (RecencyBias(Constant(4.0)), 1.0)])
    observed(switch)
    alone = [observed(part) for part in (OnlineBatch(8.0), RecencyBias(Constant(4.0)))]
    for epoch in (0, 20, 48, 49, 50, 98, 99):
        p = switch.probabilities(epoch)
        assert p.dtype == tf.float64
        expected = alone[epoch >= 49].probabilities(epoch)  # at the end of 49: for epoch 50
        np.testing.assert_array_equal(p, expected)


def test_parts_are_asked_with_the_epoch_that_has_ended():
    parts = one_hot(2)
    switch = Switch([(parts[0], 2), (parts[1], 1.0)])
    switch.build(np.eye(4))
    for epoch in (-1, 0, 1, 2):
        switch.probabilities(epoch)
    assert parts[0].asked == [0, 0]  # before the first epoch 0 stands for it
    assert parts[1].asked == [1, 2]


# --- in a fit ------------------------------------------------------------------------------------


def trained(strategy, epochs, fits=1, **options):
    """What each epoch of a fit draws: the groups of four samples that are in its plan."""
    x, y = np.eye(12, dtype=np.float32), np.tile(np.eye(2), (6, 1))
    train = tfml.adaptive_dataset((x, y), strategy, batch_size=4, seed=0)
    model = tf.keras.Sequential([tf.keras.Input((12,)), tf.keras.layers.Dense(2, "sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    drawn = []
    note = tf.keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda *_: drawn.append(sorted({int(i) // 4 for i in train.plan}))
    )
    for _ in range(fits):
        selection = tfml.AdaptiveBatchSelection(train, **options)
        model.fit(train, epochs=epochs, verbose=0, callbacks=[selection, note])
    return drawn


GROUPS = range(4), range(4, 8), range(8, 12)


@pytest.mark.parametrize("predictions", [False, True])
@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ((0.8, 1.0), [[0], [0], [0], [0], [1]]),
        ((0.2, 1.0), [[0], [1], [1], [1], [1]]),  # epochs 0 and 1 differ
        ((1, 0.6, 1.0), [[0], [1], [1], [2], [2]]),
    ],
)
def test_a_fit_draws_each_epoch_from_the_part_in_force(points, expected, predictions):
    parts = [Alone(*ids, predictions=predictions) for ids in GROUPS]
    pairs = list(zip(parts, points, strict=False))
    assert trained(Switch(pairs), 5) == expected
    visits = [part.seen.numpy() for part, _ in pairs]
    if predictions:  # all have observed 5 epochs of 12 draws, in force or not
        for seen in visits:
            assert seen.sum() == 60
            np.testing.assert_array_equal(seen, visits[0])
    else:
        assert not np.any(visits)


def test_a_switch_inside_of_others_is_as_exact():
    def inner():
        return Switch([(Alone(*GROUPS[0]), 0.2), (Alone(*GROUPS[1]), 1.0)])

    expected = [[0], [1], [1], [1], [1]]
    assert trained(Mixture([(inner(), 1.0)]), 5) == expected
    assert trained(Switch([(inner(), 1.0)]), 5) == expected
    outer = Switch([(Mixture([(inner(), 1.0)]), 0.8), (Alone(*GROUPS[2]), 1.0)])
    assert trained(outer, 5) == [*expected[:4], [2]]


def test_a_second_fit_goes_on_in_the_run():
    """Of the second fit's run the first one's epochs are a part: 3 of 6 are half of it."""
    switch = Switch([(Alone(*GROUPS[0]), 0.5), (Alone(*GROUPS[1]), 1.0)])
    assert trained(switch, 3, fits=2) == [[0], [0], [1], [1], [1], [1]]


def test_epochs_of_the_first_parts_warm_up_are_permutations():
    switch = Switch([(Alone(*GROUPS[0], warmup=2), 0.6), (Alone(*GROUPS[1], warmup=5), 1.0)])
    assert trained(switch, 5) == [[0, 1, 2], [0, 1, 2], [0], [1], [1]]


def test_with_every_a_part_waits_until_the_strategy_is_asked():
    switch = Switch([(Alone(*GROUPS[0]), 3), (Alone(*GROUPS[1]), 1.0)])
    assert trained(switch, 6, every=2) == [[0], [0], [0], [0], [1], [1]]


# --- warm-up and length of the run ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "point", "second", "epochs", "expected"),
    [
        (OnlineBatch(warmup=3), 0.5, OnlineBatch(warmup=30), 100, 3),
        (OnlineBatch(warmup=0.1), 0.5, Uniform(), 100, 10),
        (OnlineBatch(warmup=0.1), 0.5, Uniform(), 20, 2),
        (OnlineBatch(warmup=30), 5, D2ACE(), 100, 5),  # within its turn
        (OnlineBatch(warmup=30), 0.5, D2ACE(), 20, 10),
        (Uniform(), 0.5, D2ACE(), 100, 0),
    ],
    ids=str,
)
def test_the_warmup_is_that_of_the_first_part(first, point, second, epochs, expected):
    switch = Switch([(first, point), (second, 1.0)])
    switch.run_epochs = epochs
    assert switch.warmup == expected


def test_the_run_reaches_the_parts():
    parts = OnlineBatch(), OnlineBatch()
    switch = Switch([(parts[0], 0.5), (Mixture([(parts[1], 1.0)]), 1.0)])
    switch.run_epochs = 7
    switch.describe_run(length_is_known=True, passes_per_epoch=0.5)
    for part in parts:
        assert part.run_epochs == switch.run_epochs == 7
        assert part.length_is_known
        assert part.passes_per_epoch == 0.5
    fixed = OnlineBatch()
    Switch([(fixed, 1.0)], epochs=9)
    assert fixed.run_epochs == 9


def test_figures_have_the_same_names_whoever_is_in_force():
    parts = [(OnlineBatch(Constant(5.0)), 0.5), (LabelBalanced(Ramp(1.0, 0.0)), 1.0)]
    switch = Switch(parts, epochs=4)
    assert switch.figures(-1) == {"part": 0.0, "0/pressure": 5.0, "1/share": 1.0}
    assert switch.figures(1) == {"part": 1.0, "0/pressure": 5.0, "1/share": 0.75}


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ((0.8, 0.2), "ascend"),
        ((0.5, 0.5, 1.0), "ascend"),
        ((0.6, 3, 0.4, 1.0), "ascend"),
        ((3, 0.5, 2, 1.0), "ascend"),
        ((3, 3, 1.0), "ascend"),
        ((0, 1.0), "ascend"),
        ((0.0, 1.0), "ascend"),
        ((0.2, 0.8), r"to the end of the run\. .* Pass 1\.0 in place of the last point, 0\.8"),
        ((0.5, 1), r"to the end of the run\. .* the last point, 1\."),
        ((10,), r"to the end of the run\. .* the last point, 10\."),
        ((-1, 1.0), "`point` must be a point of the run"),
        ((1.5, 1.0), "`point` must be a point of the run"),
        (("half", 1.0), "`point` must be a point of the run"),
        ((None, 1.0), "`point` must be a point of the run"),
        ((True, 1.0), "`point` must be a point of the run"),
    ],
)
def test_what_are_no_points(points, message):
    with pytest.raises(ValueError, match=message) as raised:
        Switch(list(zip(one_hot(len(points)), points, strict=True)))
    assert "Received: " in str(raised.value)


@pytest.mark.parametrize(
    "parts",
    [[], None, [OnlineBatch()], [(OnlineBatch(), 0.5, 1.0)], 3, [("nothing", 1.0)]],
    ids=str,
)
def test_no_parts(parts):
    with pytest.raises((ValueError, TypeError), match=r"Received: .*\. \w+"):
        Switch(parts)


def test_one_object_in_two_turns():
    part = OnlineBatch()
    with pytest.raises(ValueError, match=r"same object twice.*Make a new object"):
        Switch([(part, 0.3), ("uniform", 0.6), (part, 1.0)])
    with pytest.raises(ValueError, match=r"same object twice.*Make a new object"):
        Switch([(part, 0.3), (Mixture([(part, 1.0)]), 1.0)])


def test_a_part_that_composes_its_own_batches():
    with pytest.raises(ValueError, match=r"Received: HardImbalance\(.*correlations=False"):
        Switch([("uniform", 0.5), (HardImbalance(correlations=True), 1.0)])


# --- config and state ----------------------------------------------------------------------------


def nested():
    inner = Mixture([(Switch([("uniform", 2), (RecencyBias(), 1.0)]), 0.5), ("online_batch", 0.5)])
    return Switch(
        [(inner, np.float64(0.25)), (PositiveHardness(), 40), (D2ACE(neighbors=0, window=3), 1.0)]
    )


def test_config_round_trip_through_json():
    switch = nested()
    config = json.loads(json.dumps(switch.get_config()))
    assert [point for _, point in config["parts"]] == [0.25, 40, 1.0]
    again = Switch.from_config(config)
    assert again.get_config() == switch.get_config()
    for epoch in (0, 10, 30, 60):
        p, expected = (observed(each).probabilities(epoch) for each in (again, switch))
        np.testing.assert_array_equal(p, expected)


def test_needs_are_those_of_any_part():
    assert not Switch([("uniform", 0.5), ("label_balanced", 1.0)]).uses_predictions
    assert Switch([("uniform", 0.5), ("online_batch", 1.0)]).uses_predictions
    assert Switch([("uniform", 0.5), ("d2ace", 1.0)]).uses_neighbors
    assert not Switch([("uniform", 1.0)]).uses_neighbors


def test_state_saved_and_restored():
    trained, fresh = observed(nested()), nested()
    fresh.build(make_y())
    assert list(fresh.state) == list(trained.state)
    for name, variable in fresh.state.items():
        variable.assign(trained.state[name])
    for epoch in (0, 10, 30, 60):
        np.testing.assert_array_equal(fresh.probabilities(epoch), trained.probabilities(epoch))


def test_predictions_are_those_of_the_first_part_that_keeps_them():
    parts = OnlineBatch(), PositiveHardness()
    switch = observed(Switch([(parts[0], 0.5), (parts[1], 1.0)]))
    ids = np.arange(5)
    np.testing.assert_array_equal(switch.latest_predictions(ids), parts[1].latest_predictions(ids))
    assert list(switch.score_parts(ids)) == ["0/loss", "1/positives", "1/all_labels"]


def test_a_part_that_leaves_samples_out():
    with pytest.raises(
        ValueError, match=r"leaves samples out\. Received: RareEvents\(.*Use it alone"
    ):
        Switch([("rare_events", 1.0)])
