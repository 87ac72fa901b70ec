"""Labels of which some entries are unknown: how they are read, and what is measured on them."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

import tfmlselect as tfml
from tests.test_labels import MEASURES, oracle
from tfmlselect.labels import check_labels, label_statistics

# The fourth sample is known of nothing.
TABLE = np.array([[1, -1, 0], [1, 1, -1], [0, 0, 1], [-1, -1, -1], [1, 0, 0]])
KNOWN = TABLE >= 0


def stored(y, value):
    """y with this in place of -1, as a sparse matrix, whose zeros are known."""
    return sparse.csr_matrix(np.where(y < 0, value, y))


@pytest.mark.parametrize(
    ("y", "missing"),
    [
        (TABLE, -1),
        (TABLE.tolist(), -1.0),
        (TABLE.astype(np.int8), np.int64(-1)),
        (np.where(KNOWN, TABLE, np.nan), np.nan),
        (np.where(KNOWN, TABLE, np.nan).astype(np.float16), math.nan),
        (np.where(KNOWN, TABLE, -100).astype(np.int8), -100),
        (tf.constant(TABLE, tf.float32), np.float32(-1)),
        (pd.DataFrame(np.where(KNOWN, TABLE, np.nan)), np.nan),
        (stored(TABLE, -1), -1),
        (stored(TABLE, np.nan).tocoo(), np.nan),
    ],
)
def test_labels_of_any_kind(y, missing):
    labels = check_labels(y, missing=missing)
    np.testing.assert_array_equal(labels.matrix, np.where(KNOWN, TABLE, 0))
    np.testing.assert_array_equal(labels.known, KNOWN)
    assert labels.matrix.dtype == np.uint8
    assert labels.known.dtype == bool
    np.testing.assert_array_equal(labels.table(), np.where(KNOWN, TABLE, np.nan))
    np.testing.assert_array_equal(labels.table([3, 0]), [[np.nan] * 3, [1, np.nan, 0]])
    assert labels.known_counts().tolist() == [4, 3, 3]
    assert labels.known_sums(np.arange(5.0)).tolist() == [7.0, 7.0, 6.0]


def test_labels_in_several_chunks(monkeypatch):
    monkeypatch.setattr("tfmlselect.labels._ROWS_AT_ONCE", 2)
    np.testing.assert_array_equal(check_labels(TABLE, missing=-1).known, KNOWN)


def test_nothing_unknown_is_as_without_missing():
    y = np.eye(3)
    for given_y in (y, sparse.csr_matrix(y)):
        labels = check_labels(given_y, missing=-1)
        assert labels.known is None
        assert labels.table() is not None
        assert labels.known_sums(np.ones(3)).tolist() == [3.0] * 3
        assert labels.has_one_each()
    assert not check_labels([[1, -1], [0, 1]], missing=-1).has_one_each()


@pytest.mark.parametrize("y", [[[1, 0], [np.nan, 1]], [[1, 0], [-1, 1]]])
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
def test_without_missing_the_error_says_how(y, kind):
    value = "np.nan" if np.isnan(y[1][0]) else "-1"
    y = kind(y)
    for call in (
        label_statistics,
        tfml.potential,
        lambda y: tfml.stratified_shards(y, 2),
        lambda y: tfml.adaptive_dataset((np.eye(2), y), batch_size=1),
    ):
        with pytest.raises(ValueError, match=rf"y\[1, 0\]=.*unknown, pass missing={value};"):
            call(y)


@pytest.mark.parametrize(("value", "missing"), [(np.nan, -1), (-1, np.nan), (2, -1)])
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
def test_one_number_stands_for_what_is_unknown(value, missing, kind):
    with pytest.raises(ValueError, match=rf"0, 1 and.*{missing:g} only\. Received: y\[1, 0\]="):
        check_labels(kind([[1, 0], [value, 1.0]]), missing=missing)


@pytest.mark.parametrize(
    "y",
    [[[1, None], [0, 1]], pd.DataFrame({"a": [1, None], "b": [0, 1]}, dtype="Int64")],
    ids=["None", "NA"],
)
def test_none_and_na_become_nan(y):
    with pytest.raises(ValueError, match=r"Received: y\[.*\]=.*missing=np\.nan"):
        check_labels(y)
    if isinstance(y, pd.DataFrame):
        numbers = y.to_numpy("float32", na_value=np.nan)
    else:
        numbers = np.asarray(y).astype("float32")
    assert check_labels(numbers, missing=np.nan).known.sum() == 3


def test_nan_in_x_is_an_error_still():
    x = np.array([[1.0, np.nan]] * len(TABLE))
    y = np.where(KNOWN, TABLE, np.nan)
    with pytest.raises(ValueError, match=r"`x` must be finite"):
        tfml.adaptive_dataset((x, y), batch_size=2, missing=np.nan)
    with pytest.raises(ValueError, match=r"`sample_weight` must be finite"):
        tfml.adaptive_dataset(
            (TABLE, y), batch_size=2, missing=np.nan, sample_weight=[np.nan] + [1.0] * 4
        )


@pytest.mark.parametrize("missing", [-1, np.nan])
def test_sparse_labels_reach_the_model_as_they_are(missing):
    train = tfml.adaptive_dataset(
        (TABLE, stored(TABLE, missing)), "uniform", 5, seed=0, missing=missing
    )
    y = next(iter(train.in_order()))[1].numpy()
    np.testing.assert_array_equal(y, np.where(KNOWN, TABLE, missing))


def test_class_ids_have_no_single_entries():
    with pytest.raises(ValueError, match=r"class ids.*Received: missing=-1.*Leave samples"):
        check_labels([0, 1, -1], missing=-1)


@pytest.mark.parametrize("kind", [np.asarray, lambda y: stored(y, -1)])
def test_statistics_by_hand(kind):
    stats = label_statistics(kind(TABLE), missing=-1)
    assert stats.counts.tolist() == [3, 1, 1]
    assert stats.known.tolist() == [4, 3, 3]
    assert stats.irlbl.tolist() == [1.0, 3.0, 3.0]
    assert stats.odds.tolist() == [3.0, 0.5, 0.5]
    assert stats.minority.tolist() == [False, True, True]  # MeanIR is 7 / 3
    assert (stats.cardinality, stats.density, stats.empty) == (1.0, 0.5, 0.2)
    assert stats.cooccurrence.tolist() == [[3, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert stats.counts_where_known.tolist() == [[3, 2, 2], [1, 1, 0], [1, 1, 1]]
    # Shares 3/4, 1/3, 1/3. 144 g^2 of the samples: 9 + 16, 9 + 64, 81 + 16 + 64, nothing, 9 + 32.
    errors = [25, 73, 161, 0, 41]
    ratio = 5 * sum(errors) / sum(map(math.sqrt, errors)) ** 2
    assert stats.variance_ratio == pytest.approx(ratio)
    assert "33.33% of the entries unknown" in str(stats)
    assert str(stats).splitlines()[-1].split() == ["2", "1", "33.33%", "3.00", "*"]
    assert "unknown" not in str(label_statistics(np.eye(3)))


def test_potential_and_shards_leave_out_what_is_unknown():
    assert tfml.potential(TABLE, missing=-1).statistics.known.tolist() == [4, 3, 3]
    y = np.array([[1, -1]] * 6 + [[1, 1]] * 2)
    as_negative = tfml.stratified_shards(np.maximum(y, 0), 2)
    for found, expected in zip(tfml.stratified_shards(y, 2, missing=-1), as_negative, strict=True):
        np.testing.assert_array_equal(found, expected)


@given(
    arrays(np.int8, st.tuples(st.integers(1, 9), st.integers(2, 5)), elements=st.integers(-1, 1))
)
def test_any_labels(y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # labels without positives
        stats = label_statistics(y, missing=-1)
        of_sparse = label_statistics(stored(y.astype(float), np.nan), missing=np.nan)
    if (y == 1).any():
        expected = oracle(y.astype(int), y >= 0)
        for name in MEASURES:
            found = getattr(stats, name)
            np.testing.assert_allclose(found, expected[name], 1e-9, 1e-12, err_msg=name)
            np.testing.assert_array_equal(getattr(of_sparse, name), found, name)
    assert stats.variance_ratio >= 1.0 - 1e-12


def test_a_label_unknown_everywhere_is_one_without_positives():
    with pytest.warns(UserWarning, match="1 of 2 labels: 1"):
        stats = label_statistics([[1, -1], [0, -1]], missing=-1)
    assert stats.known.tolist() == [2, 0]
    assert math.isnan(stats.odds[1])
    assert str(stats).splitlines()[-1].split() == ["1", "0", "0.00%", "-"]
    with pytest.warns(UserWarning, match="2 of 2 labels"):
        nothing = label_statistics([[-1, -1]], missing=-1)
    assert (nothing.empty, nothing.density, nothing.variance_ratio) == (1.0, 0.0, 1.0)
