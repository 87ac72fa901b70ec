"""Two replicas record, plan and adapt as one does with the same batches."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml
from tests.support.child_process import arrays_of
from tfmlselect.distributed import replicas

SCRIPT = Path(__file__).with_name("replicas_run.py")
KERAS_3 = getattr(tf.keras, "__version__", "2").startswith("3")
FULL = pytest.mark.full
NOT_KERAS_3 = pytest.mark.skipif(KERAS_3, reason="Keras 3 refuses")


@pytest.mark.parametrize(
    ("n", "batch_size", "rate"),
    [
        pytest.param(64, 16, 0.05, marks=FULL),  # n mod B = 0
        (70, 16, 0.05),  # even
        pytest.param(65, 16, 0.0, marks=FULL),  # R - 1, fewer than R: one replica gets nothing
        pytest.param(79, 16, 0.0, marks=FULL),  # odd
        pytest.param(67, 15, 0.0, marks=[FULL, NOT_KERAS_3]),
    ],
)
def test_two_replicas_are_as_one(tmp_path, n, batch_size, rate):
    """Where parts are of unequal size Keras weighs their samples differently: there rate is 0."""
    one = arrays_of(SCRIPT, 1, n, batch_size, rate, tmp_path / "one.npz")
    two = arrays_of(SCRIPT, 2, n, batch_size, rate, tmp_path / "two.npz")
    assert one.keys() == two.keys()
    for name in ("plans", "short_plans"):
        np.testing.assert_array_equal(one[name], two[name])
    for name, array in one.items():
        np.testing.assert_allclose(two[name], array, rtol=1e-5, atol=1e-6, err_msg=name)
    assert one["distributions"][2].max() > 1.5 / n
    assert one["short_distributions"][1].max() > 1.5 / n
    ratios = [*one["variance_ratio"], *one["uniform_variance_ratio"]]
    assert len(ratios) == 5
    assert min(ratios) > 1.01


def test_without_a_strategy_rows_begin_at_the_batch():
    counts = tf.Variable([7], dtype=tf.int64)
    replica, start, total = replicas.place_in_batch(counts, tf.constant(5, tf.int64))
    assert (int(replica), int(start), int(total)) == (0, 7, 5)
    assert replicas.count(object()) == 1


def test_variables_are_plain_inside_a_scope():
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        assert isinstance(tf.Variable(1.0), tf.distribute.DistributedValues)
        plain = replicas.outside_scopes(lambda: tf.Variable(1.0))
        train = tfml.adaptive_dataset((np.eye(8), np.eye(8)), strategy="online_batch", batch_size=4)
    held = [plain, *train.strategy.state.values()]
    assert not any(isinstance(each, tf.distribute.DistributedValues) for each in held)


def test_batches_may_be_cut_into_parts_and_not_otherwise():
    train = tfml.adaptive_dataset((np.eye(8), np.eye(8)), strategy="uniform", batch_size=4)
    parts = train.rebatch(tf.constant([3, 1], tf.int64))
    assert [len(x) for x, _ in parts] == [3, 1, 3, 1]
    for sizes in (2, [2, 1], [4, 4]):
        with pytest.raises(TypeError, match=r"`rebatch` cannot follow"):
            train.rebatch(sizes)
