"""Squared errors of a batch, written to the places of its draws."""

import numpy as np
import tensorflow as tf

from tfmlselect.recording.outputs import OutputReader
from tfmlselect.recording.squared_errors import ErrorRecorder, SquaredErrors


def reader(q=2):
    return OutputReader(q, False, None, False, None)


def places(*rows):
    return tf.constant(rows, tf.int64)


def test_a_small_table_by_hand():
    errors = SquaredErrors(4, reader())
    errors.note(np.array([[1, 0], [0, 1]]), tf.constant([[0.5, 0.0], [1.0, 0.0]]), places(2, 0))
    errors.note(np.array([[1, 1], [0, 0]]), tf.constant([[1.0, 1.0], [np.nan, 0]]), places(1, 3))
    np.testing.assert_array_equal(errors.read(4), [2.0, 0.0, 0.25, np.nan])


def test_rows_that_are_not_those_of_the_plan():
    errors = SquaredErrors(3, reader())
    errors.write(tf.constant([1.0, 2.0]), places(0, 1))
    np.testing.assert_array_equal(errors.read(2), [np.inf] * 3)
    np.testing.assert_array_equal(errors.read(5), [np.inf] * 3)
    np.testing.assert_array_equal(errors.read(3), [1.0, 2.0, np.inf])  # one was not written
    assert errors.read(0).shape == (0,)


def test_labels_that_cannot_be_read_leave_the_errors_unknown():
    errors = SquaredErrors(2, reader())
    for labels in (np.ones([2, 3]), tf.ragged.constant([[1], [1, 0]]), np.array([["a", "b"]] * 2)):
        errors.note(labels, tf.zeros([2, 2]), places(0, 1))
    np.testing.assert_array_equal(errors.read(2), [np.inf] * 2)


def test_other_labels_than_predictions_leave_the_errors_unknown():
    for rows in (0, 1, 3, 4):  # one alone would be broadcast, and two sets of labels refused
        errors = SquaredErrors(2, reader())
        tf.function(errors.note)(tf.zeros([rows, 2]), tf.zeros([2, 2]), places(0, 1))
        np.testing.assert_array_equal(errors.read(2), [np.inf] * 2)


def test_the_recorder_writes_batch_after_batch():
    recorder = ErrorRecorder(3, reader())
    for _ in range(2):  # epochs
        recorder.start_epoch()
        recorder.record(np.eye(2), tf.constant([[1.0, 0.0], [0.5, 0.5]]))
        recorder.record(np.array([[1, 1]]), tf.constant([[0.0, 0.0]]))
        np.testing.assert_array_equal(recorder.squared_errors(), [0.0, 0.5, 2.0])


def test_what_is_no_probability_is_unknown_and_what_is_not_finite_is_left_out():
    recorder = ErrorRecorder(3, reader())
    recorder.record(np.zeros([3, 2]), tf.constant([[1.5, 0.0], [np.nan, 0.0], [0.0, -np.inf]]))
    np.testing.assert_array_equal(recorder.squared_errors(), [np.inf, np.nan, np.nan])


def test_other_labels_than_predictions_are_unknown():
    for rows in (0, 1, 3):
        recorder = ErrorRecorder(2, reader())
        recorder.record(np.zeros([rows, 2]), tf.zeros([2, 2]))
        np.testing.assert_array_equal(recorder.squared_errors(), [np.inf] * 2)


def test_more_rows_than_planned_do_no_harm():
    recorder = ErrorRecorder(2, reader())
    for _ in range(3):
        recorder.record(np.zeros([2, 2]), tf.zeros([2, 2]))
    np.testing.assert_array_equal(recorder.squared_errors(), [np.inf] * 2)


def test_outputs_of_any_form_are_passed_over():
    recorder = ErrorRecorder(2, reader())
    labels = np.zeros([2, 2])
    for outputs in (
        tf.zeros([2, 3]),
        tf.zeros([2, 2, 2]),
        tf.zeros([2]),
        {"a": tf.zeros([2, 2]), "b": tf.zeros([2, 2])},
        tf.constant([["a", "b"]] * 2),
        tf.ragged.constant([[1.0], [1.0, 0.0]]),
        None,
    ):
        recorder.record(labels, outputs)
    assert recorder.squared_errors().shape == (0,)
