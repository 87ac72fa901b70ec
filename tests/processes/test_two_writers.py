"""Two processes on one directory: the second is refused, until the first is over or killed."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml
from tests.support.child_process import environment

SCRIPT = Path(__file__).with_name("lock_run.py")


def small_fit(directory):
    x = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
    train = tfml.adaptive_dataset((x, x[:, :2] > 0), "uniform", batch_size=8, seed=0)
    model = tf.keras.Sequential([tf.keras.Input((4,)), tf.keras.layers.Dense(2, "sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    selection = tfml.AdaptiveBatchSelection(train, backup_dir=directory)
    model.fit(train, epochs=1, verbose=0, callbacks=[selection])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a child keeps what its parent has open")
def test_the_second_is_refused_and_a_killed_one_leaves_no_lock(tmp_path):
    """Killed is the process that has the lock; a child of it, which still runs, has not."""
    first = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
        text=True,
    )
    with first:
        try:
            assert first.stdout.readline() == "taken\n"
            assert first.stdout.readline() == "child\n"
            with pytest.raises(RuntimeError, match=r"Another fit .*Received: backup_dir="):
                small_fit(tmp_path)
            first.kill()
            first.wait()
            small_fit(tmp_path)
        finally:
            first.kill()
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-00000001"]
