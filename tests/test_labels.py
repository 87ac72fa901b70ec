import math
import re
import warnings

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

from tfmlselect import potential, stratified_shards
from tfmlselect.labels import Labels, check_labels, label_statistics

# Counts 4, 2, 1, so IRLbl 1, 2, 4. The last sample has no label.
SMALL = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 1], [1, 1, 0], [0, 0, 0]])
SPARSE_FORMATS = ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"]


def random_labels(n=200, q=12, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.random((n, q)) < np.geomspace(0.6, 0.02, q)
    y[np.arange(q), np.arange(q)] = True  # no label without positives
    return y.astype(np.uint8)


def oracle(y, known=None):
    """ALGORITHMS section 2, sample by sample and label by label."""
    n, q = y.shape
    if known is None:
        known = np.ones(y.shape, bool)
    y = np.where(known, y, 0)
    known_counts = [sum(known[i, j] for i in range(n)) for j in range(q)]
    counts = [sum(y[i, j] for i in range(n)) for j in range(q)]
    irlbl = [max(counts) / c if c else math.nan for c in counts]
    present = [ratio for ratio in irlbl if not math.isnan(ratio)]
    mean_ir = sum(present) / len(present)
    squares = sum((ratio - mean_ir) ** 2 for ratio in present)
    variance = squares / (len(present) - 1) if len(present) > 1 else math.nan
    scumble_samples = []
    for i in range(n):
        ratios = [irlbl[j] for j in range(q) if y[i, j]]
        if not ratios:
            scumble_samples.append(0.0)
            continue
        product = math.prod(ratios)
        arithmetic = sum(ratios) / len(ratios)
        scumble_samples.append(1 - product ** (1 / len(ratios)) / arithmetic)
    cardinality = sum(counts) / n
    shares = [c / max(k, 1) for c, k in zip(counts, known_counts, strict=True)]
    errors = [
        math.sqrt(sum((shares[j] - y[i, j]) ** 2 for j in range(q) if known[i, j]))
        for i in range(n)
    ]
    return {
        "counts": counts,
        "known": known_counts,
        "irlbl": irlbl,
        "mean_ir": mean_ir,
        "cvir": math.sqrt(variance) / mean_ir,
        "scumble": sum(scumble_samples) / n,
        "scumble_samples": scumble_samples,
        "minority": [ratio > mean_ir for ratio in irlbl],
        "cardinality": cardinality,
        "density": sum(counts) / sum(known_counts),
        "empty": sum(not any(y[i]) for i in range(n)) / n,
        "mean_log_irlbl": sum(map(math.log, present)) / len(present),
        "variance_ratio": n * sum(g * g for g in errors) / sum(errors) ** 2 if any(errors) else 1,
        "cooccurrence": [
            [sum(y[i, j] and y[i, k] for i in range(n)) for k in range(q)] for j in range(q)
        ],
        "counts_where_known": [
            [sum(y[i, j] and known[i, k] for i in range(n)) for k in range(q)] for j in range(q)
        ],
    }


MEASURES = list(oracle(SMALL.astype(int)))
NUMBERS = [name for name, value in oracle(SMALL.astype(int)).items() if not np.ndim(value)]


# --- check_labels -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "y",
    [
        SMALL.tolist(),
        SMALL.astype(bool),
        SMALL.astype(np.float16),
        SMALL.astype(np.uint64),
        np.asfortranarray(SMALL),
        SMALL[::-1][::-1],
        tf.constant(SMALL, tf.float32),
        *[sparse.csr_matrix(SMALL).asformat(form) for form in SPARSE_FORMATS],
        sparse.csr_array(SMALL.astype(bool)),
    ],
    ids=lambda y: getattr(y, "format", type(y).__name__),
)
def test_a_matrix_of_any_kind_becomes_dense_uint8(y):
    labels = check_labels(y)
    assert isinstance(labels, Labels)
    assert labels.matrix.dtype == np.uint8
    assert labels.matrix.flags.c_contiguous
    assert not labels.single_label
    assert (labels.n, labels.q) == (5, 3)
    np.testing.assert_array_equal(labels.matrix, SMALL)


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint8", "uint64"])
def test_class_ids_become_one_hot(dtype):
    labels = check_labels(np.array([2, 0, 3, 0], dtype))
    assert labels.single_label
    assert labels.matrix.dtype == np.uint8
    np.testing.assert_array_equal(
        labels.matrix, [[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0]]
    )


@pytest.mark.parametrize(
    ("y", "one"), [([[0, 1], [1, 0]], True), ([[0, 1], [0, 0]], False), ([[1, 1], [0, 0]], False)]
)
def test_one_label_each(y, one):
    assert check_labels(y).has_one_each() == one
    assert check_labels(np.repeat(y, 40_000, axis=0)).has_one_each() == one


def test_the_matrix_is_a_copy():
    y = SMALL.astype(np.uint8)
    check_labels(y).matrix[:] = 7
    np.testing.assert_array_equal(y, SMALL)


def test_sparse_explicit_zeros_are_zeros_and_the_input_is_left_as_it_is():
    y = sparse.csr_matrix(SMALL)
    y.data[0] = 0
    np.testing.assert_array_equal(check_labels(y).matrix, y.toarray())
    assert label_statistics(y).counts.tolist() == [3, 2, 1]
    assert y.nnz == 7


def test_labels_in_several_chunks(monkeypatch):
    monkeypatch.setattr("tfmlselect.labels._ROWS_AT_ONCE", 2)
    np.testing.assert_array_equal(check_labels(SMALL).matrix, SMALL)
    wrong = SMALL.copy()
    wrong[3, 2] = 5
    with pytest.raises(ValueError, match=r"y\[3, 2\]=5"):
        check_labels(wrong)


def changed(row, column, value):
    y = SMALL.astype(float)
    y[row, column] = value
    return y


@pytest.mark.parametrize(
    "kind", [np.asarray, sparse.csr_matrix, sparse.coo_matrix, sparse.csc_array]
)
@pytest.mark.parametrize("value", [2.0, -1.0, 0.5, np.nan, np.inf])
def test_values_other_than_0_and_1(kind, value):
    remedy = "Make it binary"
    if np.isnan(value) or value == -1:
        number = "np.nan" if np.isnan(value) else "-1"
        remedy = f"Where it stands for a label that is unknown, pass missing={number};"
    with pytest.raises(
        ValueError, match=rf"0 and 1 only\. Received: labels\[2, 1\]={value}\. {remedy}"
    ):
        check_labels(kind(changed(2, 1, value)), "labels")


def nullable(y, row, column, dtype):
    frame = pd.DataFrame(y).astype(dtype)
    frame.iloc[row, column] = pd.NA
    return frame


@pytest.mark.parametrize(
    ("y", "place"),
    [
        (np.where(np.arange(5) == 3, np.nan, np.arange(5)), r"y\[3\]=nan"),  # class ids
        (pd.Series([0, 1, 2, 1]).astype("Int64").shift(1), r"y\[0\]=(nan|<NA>)"),
        ([0, 1, None, 2], r"y\[2\]=None"),
        (nullable(SMALL, 3, 2, "Int64"), r"y\[3, 2\]=(nan|<NA>)"),
        (nullable(SMALL, 0, 1, "boolean"), r"y\[0, 1\]=(nan|<NA>)"),
        (nullable(SMALL, 4, 0, "Float64"), r"y\[4, 0\]=(nan|<NA>)"),
        ([[0, 1], [None, 1]], r"y\[1, 0\]=None"),
    ],
    ids=range(7),
)
def test_what_is_missing_is_said_and_where(y, place):
    with pytest.raises(ValueError, match=rf"Received: {place}\..*(missing|Leave)"):
        check_labels(y)


def test_sparse_duplicates_are_summed():
    y = sparse.coo_matrix(([1, 1, 1], ([0, 0, 1], [1, 1, 0])), shape=(2, 2))
    with pytest.raises(ValueError, match=r"y\[0, 1\]=2"):
        check_labels(y)


@pytest.mark.parametrize(
    ("y", "received"),
    [
        ([[0], [1]], r"\(2, 1\)"),
        (sparse.csr_matrix([[0], [1]]), r"\(2, 1\)"),
        (np.zeros((3, 0)), r"\(3, 0\)"),
        (np.zeros((2, 2, 2)), r"\(2, 2, 2\)"),
        (np.int64(1), r"\(\)"),
        ([], r"\(0,\)"),
        (np.zeros((0, 3)), r"\(0, 3\)"),
        (sparse.csr_matrix((0, 3)), r"\(0, 3\)"),
    ],
)
def test_shapes_that_are_no_labels(y, received):
    with pytest.raises(ValueError, match=rf"y\.shape={received}\. One column .* give class ids"):
        check_labels(y)


@pytest.mark.parametrize(
    ("y", "received"),
    [
        (np.array([0.0, 1.0]), "float64"),
        (np.array([False, True]), "bool"),
        (np.array([[0, 1j]]), "complex128"),
    ],
)
def test_types_that_are_no_labels(y, received):
    with pytest.raises(ValueError, match=rf"Received: y\.dtype={received}\. Cast it, y\.astype"):
        check_labels(y)


@pytest.mark.parametrize(("ids", "received"), [([0, -1, 2], "-1 to 2"), ([3, 3, 3], "3 to 3")])
def test_class_ids_negative_or_all_the_same(ids, received):
    with pytest.raises(ValueError, match=rf"Received: y from {received}\. Number the classes"):
        check_labels(ids)


@pytest.mark.parametrize(
    ("ids", "received"),
    [
        ([3, 10**9], "y[1]=1000000000, and 2 different ids"),
        ([0, 2**62, 1], "y[1]=4611686018427387904, and 3 different ids"),
        (np.array([0, 2**64 - 1], np.uint64), "y[1]=18446744073709551615, and 2 different ids"),
        ([0, 1002], "y[1]=1002, and 2 different ids"),
        (np.append(np.arange(1500), 3002), "y[1500]=3002, and 1501 different ids"),
    ],
    ids=["far", "farther", "uint64", "1001 unused", "1502 unused"],
)
def test_class_ids_with_too_many_gaps(ids, received):
    """And nothing of their size is allocated: the message would come too late."""
    said = re.escape(f"Received: {received}. Number the classes by np.unique(y, return_inverse")
    for call in (check_labels, label_statistics, potential, lambda y: stratified_shards(y, 1)):
        with pytest.raises(ValueError, match=said):
            call(ids)


@pytest.mark.parametrize(
    ("ids", "q"), [([0, 1001], 1002), ([*range(1500), 3001], 3002)], ids=["two", "many"]
)
def test_class_ids_with_some_gaps(ids, q):
    labels = check_labels(ids)
    assert labels.q == q
    assert np.flatnonzero(labels.matrix.any(axis=0)).tolist() == ids


@pytest.mark.parametrize(
    ("y", "received"),
    [
        (sparse.csr_array(([1], ([0], [1])), (2, 2**50)), "2 samples of 1125899906842624"),
        (sparse.csr_array(([1], ([0], [1])), (2, 2**62)), "2 samples of 4611686018427387904"),
    ],
    ids=["more than a process has", "more than there are addresses"],
)
def test_labels_that_no_memory_holds(y, received):
    message = rf"`y` as a dense matrix need \d+ GB.*Received: {received}.* labels\. Leave out"
    with pytest.raises(ValueError, match=message):
        check_labels(y)


def test_lists_of_label_ids_name_the_way_out():
    with pytest.raises(ValueError, match=r"rectangular array.*MultiLabelBinarizer"):
        check_labels([[0, 2], [1]])


# --- label_statistics ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
def test_small_table_by_hand(kind):
    stats = label_statistics(kind(SMALL))
    assert (stats.n, stats.q) == (5, 3)
    assert stats.counts.tolist() == [4, 2, 1]
    assert stats.irlbl.tolist() == [1.0, 2.0, 4.0]
    # (1 + 2 + 4) / 3; squared deviations 16/9, 1/9, 25/9, their sum by 2 is 7/3;
    # sqrt(7/3) / (7/3) = sqrt(3/7).
    assert stats.mean_ir == pytest.approx(7 / 3)
    assert stats.cvir == pytest.approx(math.sqrt(3 / 7))
    # IRLbl 1; 1 and 2: 1 - sqrt(2) / 1.5; 1 and 4: 1 - sqrt(4) / 2.5 = 0.2; none: 0.
    pair = 1 - math.sqrt(2) / 1.5
    np.testing.assert_allclose(stats.scumble_samples, [0, pair, 0.2, pair, 0], atol=1e-15)
    assert stats.scumble == pytest.approx((2 * pair + 0.2) / 5)
    assert stats.minority.tolist() == [False, False, True]  # only 4 > 7/3
    assert stats.cardinality == pytest.approx(7 / 5)
    assert stats.density == pytest.approx(7 / 15)
    assert stats.empty == 1 / 5
    assert stats.mean_log_irlbl == pytest.approx(math.log(2))  # (0 + 1 + 2) / 3 of ln 2
    # Shares 0.8, 0.4, 0.2. 100 g^2 of the samples: 4 + 16 + 4, 4 + 36 + 4, 4 + 16 + 64, the second
    # again, 64 + 16 + 4.
    total = math.sqrt(0.24) + 2 * math.sqrt(0.44) + 2 * math.sqrt(0.84)
    assert stats.variance_ratio == pytest.approx(5 * 2.8 / total**2)
    assert stats.cooccurrence.tolist() == [[4, 2, 1], [2, 2, 0], [1, 0, 1]]
    assert stats.counts.dtype == stats.cooccurrence.dtype == np.int64
    assert stats.irlbl.dtype == stats.scumble_samples.dtype == np.float64
    assert stats.minority.dtype == bool


def test_a_sample_of_three_labels_by_hand():
    # Counts 4, 2, 1. First sample: cube root of 1 * 2 * 4 is 2, the mean 7/3: 1 - 6/7 = 1/7.
    stats = label_statistics([[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 0, 0]])
    assert stats.scumble_samples[0] == pytest.approx(1 / 7)


def test_class_ids():
    stats = label_statistics([0, 0, 1, 0])  # counts 3, 1
    assert stats.irlbl.tolist() == [1.0, 3.0]
    assert stats.cardinality == 1.0
    assert stats.scumble == pytest.approx(0.0, abs=1e-15)
    assert stats.cooccurrence.tolist() == [[3, 0], [0, 1]]
    assert stats.empty == 0.0
    assert stats.mean_log_irlbl == pytest.approx(math.log(3) / 2)
    # Shares 3/4 and 1/4: g is sqrt(2) / 4 three times and 3 sqrt(2) / 4 once; 4 (3 + 9) / 6^2.
    assert stats.variance_ratio == pytest.approx(4 / 3)


@pytest.mark.parametrize("form", ["dense", *SPARSE_FORMATS])
def test_against_the_oracle(form):
    y = random_labels(n=60)
    given = y if form == "dense" else sparse.csr_matrix(y).asformat(form)
    stats, expected = label_statistics(given), oracle(y.astype(int))
    for name in MEASURES:
        np.testing.assert_allclose(
            getattr(stats, name), expected[name], rtol=1e-12, atol=1e-14, err_msg=name
        )


def test_sparse_labels_are_never_made_dense(monkeypatch):
    rows = np.arange(300_000)
    ones = np.ones(len(rows), np.uint8)
    y = sparse.csr_matrix((ones, (rows, rows % 2_000)), (300_000, 2_000))  # 600 MB if dense
    monkeypatch.setattr("tfmlselect.labels.check_labels", None)
    dense = sparse.csr_matrix.toarray

    def small_only(matrix, *args, **kwargs):
        if matrix.shape[0] == 300_000:
            pytest.fail("the labels were made dense")
        return dense(matrix, *args, **kwargs)

    monkeypatch.setattr(sparse.csr_matrix, "toarray", small_only)
    assert label_statistics(y).counts.tolist() == [150] * 2_000


def test_more_positives_than_a_byte_counts():
    y = np.ones((700, 2), np.uint8)
    stats = label_statistics(y)
    assert stats.counts.tolist() == [700, 700]
    assert stats.cooccurrence.tolist() == [[700, 700], [700, 700]]
    assert (stats.mean_ir, stats.cvir, stats.scumble) == (1.0, 0.0, 0.0)
    assert (stats.empty, stats.mean_log_irlbl, stats.variance_ratio) == (0.0, 0.0, 1.0)
    assert not stats.minority.any()


def test_permuting_samples_or_labels_permutes_the_measures():
    y = random_labels(seed=1)
    rng = np.random.default_rng(2)
    samples, labels = rng.permutation(y.shape[0]), rng.permutation(y.shape[1])
    before, after = label_statistics(y), label_statistics(y[samples][:, labels])
    for name in [*NUMBERS, "potential"]:
        assert getattr(after, name) == pytest.approx(getattr(before, name), rel=1e-12)
    for name in ["counts", "irlbl", "minority"]:
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name)[labels])
    np.testing.assert_array_equal(after.cooccurrence, before.cooccurrence[np.ix_(labels, labels)])
    np.testing.assert_allclose(after.scumble_samples, before.scumble_samples[samples], atol=1e-14)


def test_repeating_the_samples_changes_counts_only():
    y = random_labels(seed=3)
    once, twice = label_statistics(y), label_statistics(np.vstack([y, y]))
    np.testing.assert_array_equal(twice.counts, 2 * once.counts)
    np.testing.assert_array_equal(twice.irlbl, once.irlbl)
    for name in [*NUMBERS, "potential"]:
        assert getattr(twice, name) == pytest.approx(getattr(once, name))


def test_a_label_without_positives_is_left_out_and_named():
    y = np.insert(SMALL, 1, 0, axis=1)
    with pytest.warns(UserWarning, match=r"no IRLbl.* Received: 1 of 4 labels: 1\.") as caught:
        stats = label_statistics(y)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    without = label_statistics(SMALL)
    for name in ["mean_ir", "cvir", "scumble", "cardinality", "empty", "mean_log_irlbl"]:
        assert getattr(stats, name) == getattr(without, name)
    assert stats.variance_ratio == pytest.approx(without.variance_ratio)
    np.testing.assert_array_equal(stats.irlbl, [1, np.nan, 2, 4])
    assert stats.minority.tolist() == [False, False, False, True]


def test_many_labels_without_positives_are_named_up_to_five():
    y = np.hstack([SMALL, np.zeros((5, 7), int)])
    names = list("abcdefghij")
    with pytest.warns(UserWarning, match=r"7 of 10 labels: d, e, f, g, h, \.\.\.\. Drop"):
        label_statistics(y, names)


def test_no_positives_at_all():
    with pytest.warns(UserWarning, match="2 of 2 labels"):
        stats = label_statistics(np.zeros((4, 2), int))
    assert math.isnan(stats.mean_ir)
    assert math.isnan(stats.cvir)
    assert math.isnan(stats.mean_log_irlbl)
    assert stats.scumble == stats.cardinality == 0.0
    assert stats.empty == stats.variance_ratio == stats.potential == 1.0
    assert not stats.minority.any()
    assert "nan" in str(stats)


def test_one_label_with_positives_has_no_cvir():
    with pytest.warns(UserWarning, match="1 of 2 labels"):
        stats = label_statistics([[1, 0], [0, 0]])
    assert stats.mean_ir == 1.0
    assert math.isnan(stats.cvir)
    assert (stats.empty, stats.mean_log_irlbl, stats.variance_ratio) == (0.5, 0.0, 1.0)


@pytest.mark.parametrize("row", [[1, 0, 1], [1, 1, 1]])
def test_rows_that_are_all_alike(row):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a label without positives
        stats = label_statistics([row] * 7)
    assert (stats.empty, stats.variance_ratio, stats.potential) == (0.0, 1.0, 1.0)


@given(
    arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(2, 5)), elements=st.integers(0, 1))
)
def test_any_labels(y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # labels without positives
        stats, of_sparse = label_statistics(y), label_statistics(sparse.csr_matrix(y))
    if y.any():
        expected = oracle(y.astype(int))
        for name in MEASURES:
            found = getattr(stats, name)
            np.testing.assert_allclose(found, expected[name], 1e-9, 1e-12, err_msg=name)
            np.testing.assert_array_equal(getattr(of_sparse, name), found, name)
    assert 1.0 - 1e-12 <= stats.variance_ratio <= len(y)
    assert stats.potential >= 1.0
    assert of_sparse.variance_ratio == stats.variance_ratio
    assert of_sparse.potential == stats.potential


def test_two_label_names_alike():
    with pytest.raises(ValueError, match=r"names that differ\. Received: 'a' 2 times\. Name no"):
        label_statistics(SMALL, ["a", "b", "a"])
    table = pd.DataFrame(SMALL, columns=["a", "b", "a"])  # which nobody said
    assert label_statistics(table).label_names is None
    assert label_statistics(table, ["a", "b", "c"]).label_names == ("a", "b", "c")


def test_names_are_those_of_a_table():
    assert label_statistics(pd.DataFrame(SMALL, columns=list("abc"))).label_names == ("a", "b", "c")
    assert label_statistics(pd.DataFrame(SMALL)).label_names is None


def test_label_names_of_another_number():
    with pytest.raises(
        ValueError, match=r"each of the 3 labels\. Received: label_names=\['a', 'b'\]"
    ):
        label_statistics(SMALL, ["a", "b"])


@pytest.mark.parametrize(
    "names",
    [
        ("a", "b", "c"),
        np.array(["a", "b", "c"]),
        pd.Index(["a", "b", "c"]),
        {"a": 0, "b": 1, "c": 2}.keys(),
        iter("abc"),
    ],
    ids=lambda names: type(names).__name__,
)
def test_label_names_are_anything_in_an_order(names):
    assert label_statistics(SMALL, names).label_names == ("a", "b", "c")


@pytest.mark.parametrize(
    "wrong",
    ["abc", b"abc", {"a", "b", "c"}, {"a": 0, "b": 1, "c": 2}, 3, np.array("abc")],
    ids=lambda wrong: type(wrong).__name__,
)
def test_label_names_that_are_no_names_in_an_order(wrong):
    with pytest.raises(ValueError, match=r"each of the 3 labels\. Received: .*\. Give one name"):
        label_statistics(SMALL, wrong)


def test_statistics_refuse_what_check_labels_refuses():
    for y in (changed(0, 0, 3), sparse.csr_matrix(changed(0, 0, 3))):
        with pytest.raises(ValueError, match=r"Received: y\[0, 0\]=3\.0"):
            label_statistics(y)


def test_printed_table():
    y = np.insert(SMALL, 3, 0, axis=1)
    with pytest.warns(UserWarning, match="without positives"):
        stats = label_statistics(y, ["sea", "sailing boat", "whale", "unicorn"])
    assert str(stats) == "\n".join(
        [
            "5 samples, 4 labels, 1 of them minority labels",
            "cardinality 1.400, density 0.350, MeanIR 2.333, CVIR 0.655, SCUMBLE 0.063",
            "20.00% without a label, mean ln IRLbl 0.693, variance ratio 1.051, potential 1.2",
            "",
            "label         positives    share      IRLbl  minority",
            "sea                   4   80.00%       1.00",
            "sailing boat          2   40.00%       2.00",
            "whale                 1   20.00%       4.00  *",
            "unicorn               0    0.00%          -",
        ]
    )
    assert repr(stats) == (
        "<LabelStatistics: 5 samples, 4 labels, 1 of them minority labels, "
        "cardinality 1.400, density 0.350, MeanIR 2.333, CVIR 0.655, SCUMBLE 0.063>"
    )


def test_every_label_is_printed_in_its_order_at_q_983():
    y = np.vstack([np.eye(983, dtype=int), np.ones((20, 983), int)])
    rows = str(label_statistics(y)).splitlines()[5:]
    assert [int(row.split()[0]) for row in rows] == list(range(983))
    assert len({len(row) for row in rows}) == 1


def test_yeast_has_the_published_measures():
    datasets = pytest.importorskip("river.datasets")
    y = np.array([list(labels.values()) for _, labels in datasets.Yeast()])
    stats = label_statistics(y)
    # Mulan's table, and the table of Charte et al. 2015.
    assert (stats.n, stats.q) == (2417, 14)
    assert stats.cardinality == pytest.approx(4.237, abs=5e-4)
    assert stats.density == pytest.approx(0.303, abs=5e-4)
    assert stats.mean_ir == pytest.approx(7.197, abs=5e-4)
    assert stats.cvir == pytest.approx(1.884, abs=5e-4)
    assert stats.scumble == pytest.approx(0.104, abs=5e-4)
    assert (stats.counts.min(), stats.counts.max()) == (34, 1816)
