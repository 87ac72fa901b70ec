"""What the training steps record of labels of which some are unknown, by hand."""

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml
from tfmlselect.labels import Labels
from tfmlselect.losses.masking_ratios import LabelHistograms
from tfmlselect.recording.label_errors import LabelErrors
from tfmlselect.recording.order_check import OrderCheck
from tfmlselect.recording.outputs import AveragedOutputs, OutputReader
from tfmlselect.recording.squared_errors import SquaredErrors

NAN = np.nan
Y = np.array([[1, NAN], [0, 1], [NAN, NAN]], np.float32)
P = np.array([[0.75, 0.5], [0.5, 0.5], [0.25, 0.25]], np.float32)
FORMS = pytest.mark.parametrize("missing", [NAN, -1.0])


def stored(missing, dtype=np.float32):
    return tf.constant(np.where(np.isnan(Y), missing, Y).astype(dtype))


def reader(missing, signal=None):
    return OutputReader(2, False, None, False, signal, missing=missing)


@FORMS
def test_labels_that_arrive(missing):
    y = stored(missing)
    np.testing.assert_array_equal(reader(missing).matrix(y), Y)
    both = AveragedOutputs(2, False, [0, 1], False, None, missing=missing)
    for matrix in both.matrices([y, y]):
        np.testing.assert_array_equal(matrix, Y)
    np.testing.assert_array_equal(reader(-1).matrix(stored(-1, np.int8)), Y)
    assert reader(None).matrix(stored(-1, np.int8)).dtype == tf.int8


@FORMS
def test_losses_of_unknown_entries_are_0_and_the_signal_sees_y_as_it_is(missing):
    seen = []

    def signal(y, p):
        seen.append(y)
        return tf.where(tf.math.is_finite(y), y, NAN) + 0.0 * p

    losses = reader(missing, signal).losses(stored(missing), tf.constant(P))
    np.testing.assert_array_equal(losses, [[1, 0], [0, 1], [0, 0]])
    np.testing.assert_array_equal(seen[0], stored(missing))


@FORMS
@pytest.mark.parametrize("jit", [False, True])
def test_squared_errors_are_over_known_labels(missing, jit):
    errors = SquaredErrors(3, reader(missing))

    @tf.function(jit_compile=jit)
    def note(y):
        errors.note(y, tf.constant(P), tf.range(3, dtype=tf.int64))

    note(stored(missing))
    np.testing.assert_allclose(errors.read(3), [1 / 16, 1 / 2, 0])


@FORMS
@pytest.mark.parametrize("jit", [False, True])
def test_the_order_is_known_by_positives(missing, jit):
    check = OrderCheck(np.nan_to_num(Y).astype(np.uint8), draws=3)
    this = reader(missing)

    @tf.function(jit_compile=jit)
    def note(y):
        check.note(this.matrices(y), tf.range(3, dtype=tf.int64))

    rows = tf.range(3, dtype=tf.int64)
    for order, moved in (([0, 1, 2], 0), ([1, 0, 2], 2)):
        check.start_epoch(np.array(order))
        note(stored(missing))
        assert check.count_moved(rows) == moved


def test_label_errors_are_of_known_entries():
    labels = Labels(np.nan_to_num(Y).astype(np.uint8), False, known=~np.isnan(Y))
    errors = LabelErrors(labels)
    errors.add(np.array([1, 0]), tf.constant(P[[1, 0]]))
    errors.add(slice(2, 3), tf.constant(P[2:]))
    found = errors.finish()
    np.testing.assert_allclose(found["label_hardness"], [(0.25 + 0.5) / 2, 0.5])
    loss = [(np.log(4 / 3) + np.log(2)) / 2, np.log(2)]
    np.testing.assert_allclose(found["label_loss"], loss, rtol=1e-6)
    assert errors.finish() == {}
    errors.add(np.array([0]), tf.constant(P[:1]))
    np.testing.assert_array_equal(errors.finish()["label_hardness"], [0.25, NAN])


def test_histograms_are_of_known_entries():
    histograms = LabelHistograms(2, bins=4)
    histograms.add(tf.constant(Y), tf.constant(P))
    negatives, positives = histograms.read().transpose(1, 0, 2)
    assert negatives.tolist() == [[0, 0, 1, 0], [0, 0, 0, 0]]
    assert positives.tolist() == [[0, 0, 0, 1], [0, 0, 1, 0]]


def test_odds_and_attention_of_the_draws():
    y = np.array([[1, -1], [0, 1], [-1, 0], [0, 0]])
    train = tfml.adaptive_dataset((y, y), "uniform", 2, seed=0, missing=-1)
    statistics, distribution = train._selection.statistics, train._selection.distribution
    np.testing.assert_allclose(statistics.odds(distribution), [1 / 2, 1 / 2])
    _, arrays = statistics.of_epoch(distribution, np.array([0, 0, 1, 2]))
    np.testing.assert_allclose(arrays["selection/label_attention"], [2.0, 1.0])
