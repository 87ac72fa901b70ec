"""Metrics of any labels and scores, against scikit-learn and slow counts."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from tests.properties.examples import examples
from tfmlselect.metrics import macro_auc, macro_average_precision, one_error, tuned_thresholds

# With ties, and with the largest and the smallest numbers that there are.
SCORES = st.one_of(
    st.sampled_from([0.0, -0.0, 0.25, 0.5, 1.0]),
    st.floats(-10, 10, width=32),
    st.floats(allow_nan=False, allow_infinity=False),
)


@st.composite
def cases(draw):
    shape = draw(st.tuples(st.integers(1, 15), st.integers(1, 4)))
    kind = draw(st.sampled_from(["bool", "uint8", "int64", "float32"]))
    y = draw(arrays("uint8", shape, elements=st.integers(0, 1))).astype(kind)
    return y, draw(arrays("float64", shape, elements=SCORES))


def mean(values):
    return np.mean(values) if values else np.nan


@examples(100)
@given(cases())
def test_as_scikit_learn_has_them(case):
    y, p = case
    columns = [(y[:, j].astype(int), p[:, j]) for j in range(y.shape[1])]
    both = [(t, s) for t, s in columns if 0 < t.sum() < len(t)]
    some = [(t, s) for t, s in columns if t.any()]
    expected = mean([roc_auc_score(t, s) for t, s in both])
    assert macro_auc(y, p) == pytest.approx(expected, abs=1e-12, nan_ok=True)
    expected = mean([average_precision_score(t, s) for t, s in some])
    assert macro_average_precision(y, p) == pytest.approx(expected, abs=1e-12, nan_ok=True)


@examples(100)
@given(cases())
def test_one_error_counted(case):
    y, p = case
    wrong = [1 - int(row[np.argmax(scores)]) for row, scores in zip(y, p, strict=True) if row.any()]
    assert one_error(y, p) == pytest.approx(mean(wrong), nan_ok=True)


@examples(50)
@given(cases())
def test_no_threshold_is_better(case):
    y, p = case
    for t, s, found in zip(y.T.astype(int), p.T, tuned_thresholds(y, p), strict=True):
        if not t.any():
            assert found == 0.5
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nothing is predicted
            f1 = {cut: f1_score(t, s >= cut) for cut in s}
        assert f1[found] >= max(f1.values()) - 1e-12
        assert all(value < f1[found] + 1e-12 for cut, value in f1.items() if cut > found)
