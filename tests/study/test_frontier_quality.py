"""What frontiers are judged by: the package's metrics, all labels at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, log_loss

import tfmlselect as tfml
from benchmarks.study.frontier import quality

THIRDS = {"rare": np.array([2]), "middle": np.array([0]), "frequent": np.array([1])}


def made(seed, n=40, q=3):
    """Labels that each have a positive and a negative, and logits without ties."""
    rng = np.random.default_rng(seed)
    y = (rng.random((n, q)) < 0.3).astype("uint8")
    y[0], y[1] = 0, 1
    return y, rng.normal(size=(n, q)).astype("float32")


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6))
def test_metrics_are_those_of_the_package(seed):
    y, logits = made(seed)
    assert quality.auc(y, logits).mean() == pytest.approx(tfml.metrics.macro_auc(y, logits))
    found = quality.average_precision(y, logits).mean()
    assert found == pytest.approx(tfml.metrics.macro_average_precision(y, logits))
    cuts = quality.best_thresholds(y, logits)
    np.testing.assert_array_equal(cuts, tfml.metrics.tuned_thresholds(y, logits).astype("f"))
    f1 = quality.f1(y, logits >= cuts)
    np.testing.assert_allclose(f1, f1_score(y, logits >= cuts, average=None))


def test_all_columns_and_their_thirds():
    y, logits = made(1)
    cuts = np.zeros(3)
    found = quality.measure(y, logits, cuts, THIRDS)
    assert tuple(found) == quality.COLUMNS
    for figure in quality.FIGURES:
        thirds = [found[f"{figure}_{name}"] for name in THIRDS]
        assert found[f"{figure}_all"] == pytest.approx(np.mean(thirds))
    assert found["auc_rare"] == pytest.approx(quality.auc(y, logits)[2])
    p = 1 / (1 + np.exp(-logits.astype(float)))
    expected = np.mean([log_loss(y[:, j], p[:, j]) for j in range(3)])
    assert found["nll"] == pytest.approx(expected)


def test_f1_of_a_label_that_nobody_has_or_found_is_0():
    assert quality.f1(np.zeros((3, 1), "uint8"), np.zeros((3, 1), bool)).tolist() == [0.0]
