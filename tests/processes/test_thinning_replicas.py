"""Two replicas train on thinned data as one does, each row with the rate of its sample."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.child_process import arrays_of

SCRIPT = Path(__file__).with_name("thinning_run.py")


@pytest.mark.full
@pytest.mark.parametrize(
    ("n", "rate"),
    [
        (28, 0.5),  # 18 draws: 2 in the last batch, one for each replica
        (27, 0.0),  # 17 draws: 1 in the last batch, and one replica gets none
    ],
)
def test_two_replicas_are_as_one(tmp_path, n, rate):
    """Where parts are of unequal size Keras weighs their samples differently: there rate is 0."""
    one = arrays_of(SCRIPT, 1, n, 8, rate, tmp_path / "one.npz")
    two = arrays_of(SCRIPT, 2, n, 8, rate, tmp_path / "two.npz")
    np.testing.assert_array_equal(one["plans"], two["plans"])
    for name in ("rates", "kernel"):
        np.testing.assert_allclose(two[name], one[name], rtol=1e-4, err_msg=name)
    assert np.ptp(one["rates"][1]) > 0.01
