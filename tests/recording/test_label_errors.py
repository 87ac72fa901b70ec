"""Mean loss and hardness per label, by hand."""

import numpy as np
import tensorflow as tf

from tfmlselect.labels import Labels
from tfmlselect.recording.label_errors import LabelErrors

Y = np.array([[1, 0], [1, 1], [0, 0]], np.uint8)


def test_by_hand():
    errors = LabelErrors(Labels(Y, False))
    errors.add(np.array([0, 1]), tf.constant([[0.5, 0.25], [0.25, 0.25]]))
    errors.add(slice(2, 3), tf.constant([[0.5, 0.75]]))
    found = errors.finish()
    ln2 = np.log(2)
    # Of the true outcomes: 1/2, 1/4, 1/2 for label 0; 3/4, 1/4, 1/4 for label 1.
    loss = [(1 + 2 + 1) * ln2 / 3, (2 - np.log2(3) + 2 + 2) * ln2 / 3]
    np.testing.assert_allclose(found["label_loss"], loss, rtol=1e-6)
    hardness = [(1 / 2 + 3 / 4 + 1 / 2) / 3, (1 / 4 + 3 / 4 + 3 / 4) / 3]
    np.testing.assert_allclose(found["label_hardness"], hardness, rtol=1e-6)


def test_an_epoch_without_predictions_has_no_means():
    errors = LabelErrors(Labels(Y, False))
    assert errors.finish() == {}
    errors.add(np.array([0]), tf.constant([[1.0, 0.0]]))
    assert errors.finish()["label_hardness"].tolist() == [0, 0]
    assert errors.finish() == {}


def test_rows_that_are_not_finite_are_left_out():
    errors = LabelErrors(Labels(Y, False))
    rows = [[0.5, np.nan], [0.75, 0.75], [np.inf, 0.5]]
    errors.add(np.arange(3), tf.constant(rows, tf.float32))
    np.testing.assert_allclose(errors.finish()["label_hardness"], [1 / 4, 1 / 4])


def test_predictions_of_exactly_0_and_1_have_a_finite_loss():
    errors = LabelErrors(Labels(Y, False))
    errors.add(np.array([0]), tf.constant([[0.0, 1.0]]))
    found = errors.finish()
    np.testing.assert_allclose(found["label_loss"], -np.log(1e-7), rtol=0.02)
    assert found["label_hardness"].tolist() == [1, 1]
