"""The hash of labels tells rows apart, and agrees between the set and the train steps."""

import numpy as np
import pytest
import tensorflow as tf

from tfmlselect.recording.order_check import LabelHash, OrderCheck
from tfmlselect.recording.outputs import AveragedOutputs, OutputReader

MATRIX = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [1, 1, 1]], np.uint8)


def hashes_of_batch(y, single_label=False, output=None):
    kind = AveragedOutputs if isinstance(output, list) else OutputReader
    reader = kind(3, single_label, output, False, None)
    return LabelHash(3).of_batch(reader.matrices(y)).numpy()[:, 0]


def test_rows_are_told_apart_and_batches_agree_with_the_set():
    expected = LabelHash(3).of_rows(MATRIX)
    assert len(set(expected)) == len(MATRIX)
    for y in (MATRIX, MATRIX.astype("float32"), MATRIX.astype(bool), MATRIX * 0.8 + 0.1):
        np.testing.assert_array_equal(hashes_of_batch(y), expected)


@pytest.mark.parametrize("shape", [[-1], [-1, 1]])
@pytest.mark.parametrize("dtype", ["int32", "uint8", "float32"])
def test_class_ids_are_as_their_one_hot_rows(shape, dtype):
    ids = np.array([2, 0, 1, 1])
    expected = LabelHash(3).of_rows(np.eye(3, dtype=np.uint8)[ids])
    np.testing.assert_array_equal(
        hashes_of_batch(ids.reshape(shape).astype(dtype), single_label=True), expected
    )
    np.testing.assert_array_equal(hashes_of_batch(np.eye(3)[ids], single_label=True), expected)


@pytest.mark.parametrize("single_label", [False, True])
@pytest.mark.parametrize("kind", ["tuple", "dict"])
def test_labels_of_several_outputs(single_label, kind):
    y = np.array([2, 0]) if single_label else np.array([[0, 0, 1], [1, 0, 0]])
    other = np.zeros([2, 7])
    nested = {"main": y, "aux": other} if kind == "dict" else (y, other)
    expected = LabelHash(3).of_rows(np.array([[0, 0, 1], [1, 0, 0]]))
    found = hashes_of_batch(nested, single_label, "main" if kind == "dict" else 0)
    np.testing.assert_array_equal(found, expected)


def test_outputs_whose_labels_differ_are_no_row_of_the_set():
    found = hashes_of_batch((MATRIX, MATRIX[[0, 1, 2, 3, 2]]), output=[0, 1])
    assert np.isnan(found).tolist() == [False, False, False, False, True]
    np.testing.assert_array_equal(found[:4], LabelHash(3).of_rows(MATRIX)[:4])


def test_samples_in_another_order_are_counted():
    check = OrderCheck(MATRIX, draws=4)
    check.start_epoch(np.array([4, 0, 2, 2]))
    rows = tf.range(4, dtype=tf.int64)
    assert check.count_moved(rows) == 3  # nothing arrived yet, and a row without labels is 0
    check.note([tf.constant(MATRIX[[4, 0]])], rows[:2])
    check.note([tf.constant(MATRIX[[2, 3]])], rows[2:])
    assert check.count_moved(rows) == 1
    check.start_epoch(np.array([4, 0, 2, 3]))
    check.note([tf.constant(MATRIX[[4, 0, 2, 3]])], rows)
    assert check.count_moved(rows) == 0
