import re

import numpy as np
import pytest
import tensorflow as tf
from scipy import sparse

from tfmlselect import _checks
from tfmlselect.pipeline.arrays import ArraySource

X = np.arange(12, dtype=np.float32).reshape(6, 2)
Y = np.array([[1, 0], [0, 1], [1, 1], [0, 0], [1, 0], [0, 1]], np.float32)
IDS = [4, 0, 3]
SPARSE_FORMATS = ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"]


def batch(source, ids=IDS):
    """One batch, gathered inside a tf.data pipeline."""
    ids = tf.data.Dataset.from_tensors(tf.constant(ids, tf.int64))
    return next(iter(ids.map(source.batch)))


def batch_of(x, ids=IDS):
    return batch(ArraySource(x, Y), ids)[0]


def refused(error, *words):
    """Expects an error that says what is wrong, what was received, and what to do."""
    return pytest.raises(error, match=r"\. Received: .*".join(map(re.escape, words)) + r".*\. .+\.")


def on_disk(path, array, kind=np.memmap):
    written = np.memmap(path / "array", array.dtype, "w+", shape=array.shape)
    written[:] = array
    written.flush()
    return kind(path / "array", array.dtype, "r", shape=array.shape)


@pytest.fixture
def rows_read():
    """How many rows each access to a `CountedMemmap` read."""
    CountedMemmap.rows_read = []
    return CountedMemmap.rows_read


class CountedMemmap(np.memmap):
    def __getitem__(self, index):
        rows = super().__getitem__(index)
        self.rows_read.append(len(rows))
        return rows


# --- dense --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int32, np.int64, np.float16, np.float32])
def test_arrays_keep_their_dtype(dtype):
    x = X.astype(dtype)
    rows = batch_of(x).numpy()
    assert rows.dtype == dtype
    np.testing.assert_array_equal(rows, x[IDS])


@pytest.mark.parametrize("floatx", ["float32", "float64"])
@pytest.mark.parametrize(
    "kind",
    [np.asarray, np.ndarray.tolist, tf.constant, sparse.csr_matrix, tf.RaggedTensor.from_tensor],
)
def test_float64_becomes_floatx(kind, floatx):
    before = tf.keras.backend.floatx()
    tf.keras.backend.set_floatx(floatx)
    try:
        rows = batch_of(kind(X.astype(np.float64)))
    finally:
        tf.keras.backend.set_floatx(before)
    assert rows.dtype == floatx


def test_images():
    images = np.random.default_rng(0).random((6, 4, 4, 3)).astype(np.float32)
    np.testing.assert_array_equal(batch_of(images), images[IDS])


def test_batch_shape_is_static():
    ids = tf.data.Dataset.from_tensors(tf.constant(IDS, tf.int64))
    spec = ids.map(ArraySource({"dense": X, "sparse": sparse.csr_matrix(X)}, Y).batch).element_spec
    assert [leaf.shape.as_list() for leaf in tf.nest.flatten(spec)] == [[3, 2]] * 3


@pytest.mark.parametrize("dtype", [">f4", ">f8", ">i4"])
def test_bytes_in_the_other_order(dtype, tmp_path):
    x = X.astype(dtype)
    np.testing.assert_array_equal(batch_of(x), X[IDS])
    np.testing.assert_array_equal(batch_of(on_disk(tmp_path, x)), X[IDS])


def test_the_given_array_may_change_afterwards():
    x = X.copy()
    source = ArraySource(x, Y)
    x[:] = -1
    np.testing.assert_array_equal(batch(source)[0], X[IDS])


# --- structures ---------------------------------------------------------------------------------


def test_nested_inputs_keep_their_structure():
    ages = np.arange(6)
    rows = batch_of({"table": (X, sparse.csr_matrix(X)), "age": ages})
    assert set(rows) == {"table", "age"}
    assert isinstance(rows["table"], tuple)
    np.testing.assert_array_equal(rows["table"][0], X[IDS])
    np.testing.assert_array_equal(rows["table"][1], X[IDS])
    np.testing.assert_array_equal(rows["age"], ages[IDS])


def test_a_list_of_arrays_is_several_inputs():
    left, right = batch_of([X, -X[:, 0]])
    np.testing.assert_array_equal(left, X[IDS])
    np.testing.assert_array_equal(right, -X[IDS, 0])


@pytest.mark.parametrize("kind", [list, np.array, tf.constant])
def test_one_number_a_sample(kind):
    assert batch_of(kind([5, 6, 7, 8, 9, 10])).numpy().tolist() == [9, 5, 8]


def test_a_list_of_numpy_numbers_is_one_input():
    assert batch_of(list(np.arange(5, 11))).numpy().tolist() == [9, 5, 8]


def test_rows_in_a_list():
    np.testing.assert_array_equal(batch_of(X.tolist()), X[IDS])


# --- labels and weights -------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
def test_labels_arrive_as_given(kind, dtype):
    labels = batch(ArraySource(X, kind(Y.astype(dtype))))[1].numpy()
    assert labels.dtype == dtype
    np.testing.assert_array_equal(labels, Y[IDS])


@pytest.mark.parametrize("rows", [list(Y), Y.tolist(), tuple(map(tuple, Y))])
def test_labels_may_be_a_list_of_rows(rows):
    np.testing.assert_array_equal(batch(ArraySource(X, rows))[1], Y[IDS])


@pytest.mark.parametrize("ids", [[3, 0, 1, 2, 0, 1], list(np.array([3, 0, 1, 2, 0, 1]))])
def test_class_ids(ids):
    assert batch(ArraySource(X, ids))[1].numpy().tolist() == [0, 3, 2]


@pytest.mark.parametrize("kind", [np.array, list, tf.constant])
def test_sample_weights_are_the_third_element(kind):
    weights = batch(ArraySource(X, Y, kind([1.0, 2, 3, 4, 5, 6])))[2]
    assert weights.dtype == tf.float32
    assert weights.numpy().tolist() == [5, 1, 4]


def test_without_weights_a_batch_is_a_pair():
    assert len(batch(ArraySource(X, Y))) == 2


# --- scipy.sparse -------------------------------------------------------------------------------


@pytest.mark.parametrize("form", SPARSE_FORMATS)
def test_sparse_rows_become_dense(form):
    x = sparse.random(6, 5, 0.4, format=form, random_state=0, dtype=np.float32)
    np.testing.assert_array_equal(batch_of(x), x.toarray()[IDS])


def test_sparse_array_as_well_as_matrix():
    np.testing.assert_array_equal(batch_of(sparse.csr_array(X)), X[IDS])


def test_sparse_entries_of_one_place_are_summed_and_the_input_is_left_as_it_is():
    x = sparse.csr_matrix(([1.0, 3.0, 4.0], [1, 0, 0], [0, 1, 3, 3, 3, 3, 3]), shape=(6, 2))
    assert batch_of(x, [1, 0]).numpy().tolist() == [[7, 0], [0, 1]]
    assert x.nnz == 3


def test_sparse_rows_without_entries():
    x = sparse.csr_matrix((6, 3), dtype=np.float32)
    np.testing.assert_array_equal(batch_of(x), np.zeros((3, 3)))


# --- memory maps --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float16, np.float32, "S2"])
def test_memmap_equals_array(dtype, tmp_path):
    x = X.astype(dtype)
    np.testing.assert_array_equal(batch_of(on_disk(tmp_path, x)), x[IDS])


def test_memmap_of_float64_becomes_floatx(tmp_path):
    assert batch_of(on_disk(tmp_path, X.astype(np.float64))).dtype == tf.float32


def test_only_the_rows_of_a_batch_are_read(tmp_path, rows_read):
    source = ArraySource(on_disk(tmp_path, X, CountedMemmap), Y)
    rows_read.clear()
    batch(source)
    assert rows_read == [3]


def test_memmap_is_checked_in_chunks(tmp_path, rows_read, monkeypatch):
    monkeypatch.setattr(_checks, "_VALUES_AT_ONCE", 4)
    ArraySource(on_disk(tmp_path, X, CountedMemmap), Y)
    assert rows_read == [2, 2, 2]


# --- strings, ragged rows, pandas ---------------------------------------------------------------


@pytest.mark.parametrize("kind", [list, np.array, tf.constant, lambda v: np.array(v, object)])
@pytest.mark.parametrize("to", [str, str.encode])
def test_strings(kind, to):
    x = kind([to(name) for name in ["a", "bb", "c", "dä", "e", "f"]])
    assert batch_of(x).numpy().tolist() == [b"e", b"a", "dä".encode()]


def test_ragged_rows():
    x = tf.ragged.constant([[1], [2, 3], [], [4, 5, 6], [7], []])
    assert batch_of(x).to_list() == [[7], [1], [4, 5, 6]]


def test_pandas():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": X[:, 0], "b": X[:, 1]}, index=list("uvwxyz"))
    labels = pandas.DataFrame(Y, index=frame.index)
    rows, given = batch(ArraySource(frame, labels))
    np.testing.assert_array_equal(rows, X[IDS])
    np.testing.assert_array_equal(given, Y[IDS])
    names = pandas.Series(list("abcdef"), index=frame.index)
    assert batch_of(names).numpy().tolist() == [b"e", b"a", b"d"]


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "received"),
    [
        (X[:5], "x with 5 rows, y with 6 rows"),
        ({"a": X, "b": X[:4]}, "x['a'] with 6 rows, x['b'] with 4 rows"),
        (sparse.csr_matrix(X[:5]), "x with 5 rows"),
        (X[:0], "x with 0 rows"),
        (3.0, "x with 0 rows"),
        (tf.constant(3.0), "x with 0 rows"),
    ],
)
def test_different_lengths(x, received):
    with refused(ValueError, "one row for each sample", received):
        ArraySource(x, Y)


def test_one_array_a_sample_is_not_one_input_a_sample():
    with pytest.raises(ValueError, match=r"np\.stack") as error:
        ArraySource([np.zeros((3, 3))] * 1000, np.zeros((1000, 2)))
    assert len(str(error.value)) < 300


def test_weights_of_another_length():
    with refused(ValueError, "one row for each sample", "sample_weight with 5 rows"):
        ArraySource(X, Y, np.ones(5))


@pytest.mark.parametrize("x", [[], np.zeros((0, 2)), sparse.csr_matrix((0, 2))])
def test_no_samples(x):
    with refused(ValueError, "not empty", "y.shape=(0, "):
        ArraySource(x, Y[:0])


@pytest.mark.parametrize("x", [{}, (), {"a": {}}])
def test_no_array(x):
    with refused(ValueError, "must hold an array", "={}" if x else f"x={x}"):
        ArraySource(x, Y)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (np.asarray, "x"),
        (tf.constant, "x"),
        (np.float16, "x"),
        (np.float64, "x"),
        (lambda x: {"a": X, "b": (X, x)}, "x['b'][1]"),
    ],
)
def test_what_is_not_finite(kind, name, value):
    x = X.copy()
    x[4, 1] = value
    with refused(ValueError, f"`{name}` must be finite", f"{value} in row 4"):
        ArraySource(kind(x), Y)


def test_nan_in_a_memmap(tmp_path, monkeypatch):
    monkeypatch.setattr(_checks, "_VALUES_AT_ONCE", 4)
    x = X.copy()
    x[5, 0] = np.nan
    with refused(ValueError, "`x` must be finite", "nan in row 5"):
        ArraySource(on_disk(tmp_path, x), Y)


@pytest.mark.parametrize("form", SPARSE_FORMATS)
def test_nan_in_sparse(form):
    x = sparse.csr_matrix(X)
    x[4, 1] = np.nan
    with refused(ValueError, "`x` must be finite", "nan"):
        ArraySource(x.asformat(form), Y)


def test_nan_in_ragged():
    with refused(ValueError, "`x.flat_values` must be finite", "nan in row 2"):
        ArraySource(tf.ragged.constant([[1.0], [2.0, np.nan], [], [], [], []]), Y)


def test_nan_in_weights():
    with refused(ValueError, "`sample_weight` must be finite", "nan in row 1"):
        ArraySource(X, Y, [1, np.nan, 1, 1, 1, 1])


@pytest.mark.parametrize(
    "weights", [np.ones((6, 2)), np.ones((6, 1)), sparse.csr_matrix(Y), 1.0, list("abcdef")]
)
def test_weights_that_are_not_one_number_a_sample(weights):
    with refused(ValueError, "one number a sample, (n,)", "shape"):
        ArraySource(X, Y, weights)


@pytest.mark.parametrize(
    ("x", "received"),
    [
        (None, "NoneType"),
        (iter(X), "iterator"),
        (np.array(["a", None, "c", "d", "e", "f"], object), "NoneType"),
        (np.array([1, "b", "c", "d", "e", "f"], object), "int"),
        ([[1], [2, 3], [], [], [], []], "differ in length"),
        (np.array(["2024-02-29"] * 6, "datetime64[D]"), "datetime64[D]"),
        (np.zeros(6, [("a", "f4"), ("b", "i4")]), "f4"),
        (tf.sparse.from_dense([["a", ""]] * 6), "SparseTensor"),
        ({"a": X, "b": [None] * 6}, "NoneType"),
    ],
)
def test_no_array_of_numbers_or_strings(x, received):
    with refused(TypeError, "must be an array of numbers or of strings", received):
        ArraySource(x, Y)


def test_fingerprints_tell_numbers_apart_and_leave_strings_out():
    y = np.eye(3)
    x = {"a": np.arange(6.0).reshape(3, 2), "b": np.array(["p", "q", "r"])}
    own = ArraySource(x, y).fingerprint()
    assert (
        own
        == ArraySource({"a": x["a"].copy(), "b": np.array(["p", "q", "s"])}, 1 - y).fingerprint()
    )
    assert own != ArraySource({"a": x["a"] + 1e-6, "b": x["b"]}, y).fingerprint()
    csr = sparse.csr_matrix(x["a"])
    assert ArraySource(csr, y).fingerprint() == ArraySource(csr.tocoo(), y).fingerprint()
    rows = tf.ragged.constant([[1], [2, 3], []])
    assert ArraySource(rows, y).fingerprint() != ArraySource(rows + 1, y).fingerprint()
