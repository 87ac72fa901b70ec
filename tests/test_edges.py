"""Public functions at the edges of their numbers: a documented value, or an error in its form.

The largest and the smallest floats, infinity and NaN, ties, one row, one label, no label.
"""

import functools
import re

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml
from tfmlselect import losses, metrics, sampling, schedules, strategies
from tfmlselect.recording.outputs import AveragedOutputs, OutputReader, rows_outside
from tfmlselect.recording.squared_errors import SquaredErrors

LARGEST, SMALLEST = float(np.finfo(np.float64).max), 5e-324
LARGEST32, SMALLEST32 = float(np.finfo(np.float32).max), 1e-45
NOT_FINITE = [float("nan"), float("inf"), float("-inf")]
FORM = re.compile(r".+\. Received: .+\. [A-Z].+\.", re.DOTALL)


def refused(call):
    with pytest.raises(ValueError, match="Received: ") as caught:
        call()
    assert FORM.fullmatch(str(caught.value))


# --- sampling ------------------------------------------------------------------------------------

SCORES = {
    "one": ([1.0], [0]),
    "ties": ([2.0, 2.0, 2.0], [0, 0, 0]),
    "zeros of both signs": ([0.0, -0.0], [0, 0]),
    "all largest": ([LARGEST] * 2, [0, 0]),
    "largest of both signs": ([-LARGEST, LARGEST], [0, 1]),
    "beyond each other": ([-1.7e308, 1e308, 1.7e308], [0, 1, 2]),
    "largest in float32": (np.array([LARGEST32, -LARGEST32], "float32"), [1, 0]),
    "next to each other": ([1.0, np.nextafter(1.0, 2.0)], [0, 1]),
    "smallest normal": ([0.0, 2.3e-308, 4.6e-308], [0, 1, 2]),
}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("pressure", [1.0, 8.0, LARGEST])
@pytest.mark.parametrize("kind", SCORES)
def test_pressure_probabilities(kind, pressure, compiled):
    """A distribution, in which larger scores are likelier and equal ones alike."""
    score, order = SCORES[kind]

    def law(score):
        return sampling.pressure_probabilities(score, pressure)

    given = tf.constant(np.asarray(score))
    p = (tf.function(law)(given) if compiled else law(score)).numpy()
    assert p.dtype == np.float64
    assert np.all(p >= 0)
    assert p.sum() == pytest.approx(1, rel=1e-12)
    for first in range(len(p)):
        for second in range(len(p)):
            if order[first] == order[second] or pressure == 1.0:
                assert p[first] == pytest.approx(p[second], rel=1e-12)
            elif order[first] < order[second]:
                assert p[first] <= p[second]


@pytest.mark.parametrize("lowest", [-LARGEST, 0.0, 1.0])
def test_pressure_probabilities_with_a_lowest_score(lowest):
    p = sampling.pressure_probabilities([1.0, 2.0, LARGEST], 8.0, lowest=lowest).numpy()
    assert p.sum() == pytest.approx(1, rel=1e-12)
    assert p[0] <= p[1] <= p[2]


@pytest.mark.parametrize("value", NOT_FINITE)
def test_what_is_not_finite_is_refused(value):
    refused(lambda: sampling.pressure_probabilities([1.0, value], 8.0))
    refused(lambda: sampling.pressure_probabilities([1.0, 2.0], value))
    refused(lambda: sampling.pressure_probabilities([1.0, 2.0], 8.0, lowest=value))
    refused(lambda: sampling.draw_epoch([1.0, value], 1, 0, 0))
    for at in range(4):
        arguments = [5, 8.0, 0, 10]
        arguments[at] = value
        refused(functools.partial(sampling.decayed_pressure, *arguments))
    for schedule in (schedules.Ramp(1.0, 2.0), schedules.Decay(8.0)):
        refused(functools.partial(schedule, value, 100))
        refused(functools.partial(schedule, 5, value))
    for name in metrics.__all__:
        metric = getattr(metrics, name)
        refused(functools.partial(metric, [[1, 0], [0, 1]], [[0.5, value], [0.5, 0.5]]))
    refused(lambda: tfml.potential([[1, value], [0, 1]]))
    refused(lambda: tfml.label_statistics([[1, value], [0, 1]]))


@pytest.mark.parametrize(
    ("p", "never"),
    [
        ([1.0], []),
        ([SMALLEST, 1.0], []),
        ([1e-320, 1e-320, 1.0, 0.0], [3]),
        ([0.0, 0.0, 1.0], [0, 1]),
        ([0.5 + 5e-7, 0.5], []),
    ],
    ids=str,
)
def test_draw_epoch(p, never):
    for epoch in range(5):
        for batch_size in range(1, len(p) - len(never) + 1):
            ids = sampling.draw_epoch(p, batch_size, 0, epoch)
            assert len(ids) == len(p)
            assert not set(ids) & set(never)
            for start in range(0, len(ids), batch_size):
                batch = ids[start : start + batch_size]
                assert len(set(batch)) == len(batch)


@pytest.mark.parametrize("empty", [[], np.empty((0, 2))], ids=["list", "rows"])
def test_nothing_is_refused(empty):
    refused(lambda: sampling.pressure_probabilities(empty, 8.0))
    refused(lambda: sampling.draw_epoch(empty, 1, 0, 0))
    refused(lambda: tfml.potential(empty))
    refused(lambda: tfml.label_statistics(empty))
    for name in metrics.__all__:
        refused(functools.partial(getattr(metrics, name), empty, empty))


# --- schedules -----------------------------------------------------------------------------------


@pytest.mark.parametrize("epochs", [1, 100, 10**9])
@pytest.mark.parametrize(
    "schedule",
    [
        schedules.Ramp(-LARGEST, LARGEST),
        schedules.Ramp(LARGEST, -LARGEST, 0.25, 0.75),
        schedules.Ramp(1.0, 2.0, 0, 0),
        schedules.Ramp(1.0, 2.0, 1.0, 1.0),
        schedules.Ramp(0.0, SMALLEST),
        schedules.Decay(LARGEST),
        schedules.Decay(1.0),
        schedules.Decay(8.0, 0.5, 0.5),
        schedules.Constant(-LARGEST),
    ],
    ids=str,
)
def test_schedules_stay_between_their_ends(schedule, epochs):
    ends = [getattr(schedule, name, None) for name in ("first", "last", "initial", "value")]
    ends = [end for end in ends if end is not None] + [1.0] * hasattr(schedule, "initial")
    found = [schedule(at * epochs, epochs) for at in (0, 0.25, 0.3, 0.5, 0.7, 1, 2)]
    assert min(ends) <= min(found) <= max(found) <= max(ends)
    assert found in (sorted(found), sorted(found, reverse=True))


# --- labels and metrics --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "potential"),
    [
        ([[1, 0]], 1.0),
        ([[1, 1]], 1.0),
        ([[1, 0], [0, 1]], 1.0),
        ([0, 1], 1.0),
        ([[0, 0], [0, 0]], 1.0),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Labels without positives")
def test_labels_of_few_kinds(y, potential):
    found = tfml.potential(y)
    assert found.low == found.high == found.statistics.potential == potential
    assert found.strategy == "uniform"
    assert str(found)
    assert str(found.statistics)
    assert found.statistics.variance_ratio >= 1.0


METRICS = {
    # scores (n, 2), then what each metric is for y = [[1, 0], [0, 1], [1, 1]], in their order
    "ties": (np.zeros((3, 2)), 0.5, 2 / 3, [0.0, 0.0]),
    "largest": (
        [[LARGEST, -LARGEST], [-LARGEST, LARGEST], [LARGEST, LARGEST]],
        1.0,
        1.0,
        [LARGEST, LARGEST],
    ),
    "smallest": (
        [[SMALLEST, 0], [0, SMALLEST], [SMALLEST, SMALLEST]],
        1.0,
        1.0,
        [SMALLEST, SMALLEST],
    ),
}


@pytest.mark.parametrize("kind", METRICS)
def test_metrics(kind):
    y = [[1, 0], [0, 1], [1, 1]]
    scores, auc, precision, thresholds = METRICS[kind]
    assert metrics.macro_auc(y, scores) == pytest.approx(auc)
    assert metrics.macro_average_precision(y, scores) == pytest.approx(precision)
    assert metrics.tuned_thresholds(y, scores).tolist() == thresholds


def test_metrics_of_one_row_and_one_label():
    assert np.isnan(metrics.macro_auc([[1]], [[0.5]]))
    assert metrics.macro_average_precision([[1]], [[0.5]]) == 1.0
    assert metrics.one_error([[1]], [[0.5]]) == 0.0
    assert metrics.tuned_thresholds([[0]], [[0.5]]).tolist() == [0.5]


# --- losses --------------------------------------------------------------------------------------

FAR = [1.0, 1.0 - 1e-7, SMALLEST32, 0.0]
LOSSES = {
    "asymmetric": losses.AsymmetricLoss,
    "asymmetric, plain": lambda **to: losses.AsymmetricLoss(2.0, 4.0, 0.0, **to),
    "masked": lambda **to: losses.PartialLabelMasking(
        odds=[LARGEST32, SMALLEST32], initial=1.0, **to
    ),
    "weighed": lambda **to: losses.PositiveWeights(odds=[LARGEST, SMALLEST], exponent=1.0, **to),
    "weighed a lot": lambda **to: losses.PositiveWeights(
        odds=[LARGEST32, 1e-38], exponent=1.0, limit=1e6, **to
    ),
    "thinned": lambda **to: losses.ThinnedLikelihood(rate=0.5, **to),
    "thinned to nothing": lambda **to: losses.ThinnedLikelihood(rate=SMALLEST, **to),
}


@pytest.mark.parametrize("y", [[[0.0, 0.0]], [[1.0, 1.0]], [[1.0, 0.0]]], ids=str)
@pytest.mark.parametrize("kind", LOSSES)
def test_losses_and_their_gradients_are_finite(kind, y):
    """At probabilities of 0 and 1, and at logits as far away as anything that was ever trained."""
    for of_logits in (False, True):
        loss = LOSSES[kind](from_logits=of_logits)
        for value in [-1e30, -100.0, 0.0, 100.0, 1e30] if of_logits else FAR:
            p = tf.constant([[value, value]], tf.float32)
            with tf.GradientTape() as tape:
                tape.watch(p)
                call = loss.corrected if kind.startswith("thinned") else loss
                found = call(tf.constant(y), p)
            assert np.isfinite(found), (of_logits, value)
            assert np.all(np.isfinite(tape.gradient(found, p))), (of_logits, value)


# --- what training steps predict -----------------------------------------------------------------

Y = np.array([[1, 0], [1, 1], [0, 1], [0, 0]])
X = np.array([[1.0], [2.0], [3.0], [4.0]], "float32")


def built(name):
    strategy = strategies.get(name)
    strategy.build(np.tile(Y, (2, 1)), np.arange(16.0).reshape(8, 2))
    return strategy


@pytest.mark.filterwarnings("ignore:Learnability without a reference")
@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize("name", [name for name in strategies.names() if name != "mixture"])
def test_strategies_refuse_to_remember_what_is_not_finite(name, value):
    strategy = built(name)
    strategy.observe(np.arange(8), np.full((8, 2), 0.5, "float32"))
    before = strategy.probabilities(0).numpy()
    wrong = np.array([[0.5, value]], "float32")
    if strategy.uses_predictions:
        refused(lambda: strategy.observe(np.array([1]), wrong))
    np.testing.assert_array_equal(strategy.probabilities(0), before)
    assert before.sum() == pytest.approx(1)


@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize("name", ["online_batch", "d2ace", "positive_hardness"])
def test_strategies_refuse_losses_that_are_not_finite(name, value):
    strategy = built(name)
    p, loss = np.full((1, 2), 0.5, "float32"), np.array([[0.5, value]], "float32")
    refused(lambda: strategy.observe(np.array([1]), p, loss))


def reader(from_logits, kind=OutputReader):
    output = None if kind is OutputReader else [0, 1]
    made = kind(2, False, output, from_logits, None)
    model = tf.keras.Sequential([tf.keras.Input((1,)), tf.keras.layers.Dense(2)])
    model.compile(loss="mse" if kind is OutputReader else None)
    if kind is OutputReader:
        made.prepare(model)
    return made


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("value", NOT_FINITE)
def test_outputs_that_are_not_finite_are_not_taken_for_logits(value, from_logits):
    p = reader(from_logits).probabilities(tf.constant([[0.5, value], [0.25, 0.5]]))
    assert int(rows_outside(p)) == 0
    assert np.isfinite(p.numpy()).all(axis=1).tolist() == [False, True]


@pytest.mark.parametrize("value", NOT_FINITE)
def test_outputs_that_are_averaged(value):
    outputs = [tf.constant([[0.5, value], [0.25, 0.5]]), tf.constant([[0.5, 0.5], [0.25, 0.5]])]
    p = reader(False, AveragedOutputs).probabilities(outputs)
    assert int(rows_outside(p)) == 0
    assert np.isfinite(p.numpy()).all(axis=1).tolist() == [False, True]


def test_logits_are_still_found():
    assert int(rows_outside(tf.constant([[5.0, 0.5], [-2.0, float("nan")], [0.0, 1.0]]))) == 2


@pytest.mark.parametrize("value", NOT_FINITE)
def test_squared_errors_say_which_predictions_were_not_finite(value):
    errors = SquaredErrors(3, reader(False))
    p = tf.constant([[0.5, value], [0.0, 1.0], [0.5, 7.0]])
    assert errors.note(tf.constant(Y[:3], tf.float32), p, tf.range(3, dtype=tf.int64))
    np.testing.assert_array_equal(errors.read(3), [np.nan, 1.0 + 0.0, np.inf])
    errors.close()


class Diverges(tf.keras.layers.Layer):
    """Gives a value that is not finite for the second sample, on the way forward alone."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def build(self, input_shape):
        self.unused = self.add_weight(name="unused", shape=(), initializer="zeros")

    def call(self, inputs):
        usual = tf.fill(tf.shape(inputs), 0.25) + 0.0 * tf.convert_to_tensor(self.unused)
        return tf.where(inputs[:, :1] == 2.0, self.value, usual)


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("value", NOT_FINITE)
def test_in_a_fit_they_are_left_out(value, from_logits):
    train = tfml.adaptive_dataset(
        (np.repeat(X, 2, axis=1), Y), strategies.OnlineBatch(warmup=0), 2, seed=0
    )
    model = tf.keras.Sequential([tf.keras.Input((2,)), Diverges(value)])
    model.compile("sgd", tf.keras.losses.BinaryCrossentropy(from_logits=from_logits))
    callbacks = [tfml.AdaptiveBatchSelection(train)]
    with pytest.warns(UserWarning, match="not finite and are left out. Received: 1 rows"):
        model.fit(train, epochs=1, verbose=0, shuffle=False, callbacks=callbacks)
    assert np.isfinite(train.probabilities).all()
