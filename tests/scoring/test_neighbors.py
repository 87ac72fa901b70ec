import gc
import weakref

import numpy as np
import pytest
import sklearn.neighbors
import tensorflow as tf
from scipy import sparse

from tfmlselect import _checks
from tfmlselect.scoring import neighbors
from tfmlselect.scoring.neighbors import check_features, check_neighbors, nearest_neighbors

# On a line: 0, 1, 3, 7. From 3 it is 2 to 1, 3 to 0, 4 to 7.
LINE = np.array([[0.0], [1.0], [3.0], [7.0]])
LINE_NEIGHBORS = [[1, 2, 3], [0, 2, 3], [1, 0, 3], [2, 1, 0]]


def brute_force(features, k):
    features = np.asarray(features, np.float64)
    ids = []
    for i, row in enumerate(features):
        distances = np.sqrt(((features - row) ** 2).sum(axis=1))
        distances[i] = np.inf
        ids.append(np.argsort(distances)[:k])
    return np.array(ids)


@pytest.fixture
def searches(monkeypatch):
    """The number of neighbours asked for in each search, in order."""
    asked = []

    class Counted(sklearn.neighbors.NearestNeighbors):
        def kneighbors(self, *args, **kwargs):
            asked.append(self.n_neighbors)
            return super().kneighbors(*args, **kwargs)

    monkeypatch.setattr(sklearn.neighbors, "NearestNeighbors", Counted)
    return asked


# --- nearest_neighbors --------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 2, 3])
def test_by_hand(k):
    ids = nearest_neighbors(LINE.copy(), k)
    assert ids.dtype == np.int32
    assert ids.tolist() == [row[:k] for row in LINE_NEIGHBORS]


@pytest.mark.parametrize("d", [3, 40])  # scikit-learn takes a tree below 15 columns
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_exact(d, dtype):
    features = np.random.default_rng(0).random((150, d)).astype(dtype)
    np.testing.assert_array_equal(nearest_neighbors(features, 12), brute_force(features, 12))


def test_one_column_that_decides_alone():
    features = np.random.default_rng(0).random((150, 4))
    features[:, 2] *= 1e3
    with pytest.warns(UserWarning, match=r"4 columns, of which column 2 has 100\.0% .*Scale the"):
        nearest_neighbors(features, 3)
    features[:, 0] *= 1e3  # two do
    nearest_neighbors(features, 3)
    nearest_neighbors(features[:, 1:3].copy(), 3)  # of two columns one may
    nearest_neighbors(np.ones((9, 4)), 3)


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil"])
def test_sparse_equals_dense(form):
    features = sparse.random(120, 30, 0.3, format="csr", random_state=0)
    expected = brute_force(features.toarray(), 5)
    np.testing.assert_array_equal(nearest_neighbors(features.asformat(form), 5), expected)
    np.testing.assert_array_equal(nearest_neighbors(features.toarray(), 5), expected)


def test_sparse_duplicates_are_summed_and_the_input_is_left_as_it_is():
    # LINE, with the 7 stored as 3 + 4.
    features = sparse.csr_matrix(([1.0, 3.0, 3.0, 4.0], [0, 0, 0, 0], [0, 0, 1, 2, 4]), (4, 1))
    assert nearest_neighbors(features, 3).tolist() == LINE_NEIGHBORS
    assert features.nnz == 4


@pytest.mark.parametrize(
    "features", [LINE.astype(int), LINE.tolist(), tf.constant(LINE), sparse.csr_array(LINE)]
)
def test_kinds_of_features(features):
    assert nearest_neighbors(features, 3).tolist() == LINE_NEIGHBORS


def test_a_sample_is_not_its_own_neighbour_among_equal_rows():
    ids = nearest_neighbors(np.zeros((30, 4)), 29)
    for i, row in enumerate(ids):
        assert sorted(row) == [j for j in range(30) if j != i]


def test_permuting_the_samples_permutes_the_neighbours():
    features = np.random.default_rng(1).random((80, 6))
    order = np.random.default_rng(2).permutation(80)
    np.testing.assert_array_equal(
        order[nearest_neighbors(features[order], 5)], nearest_neighbors(features, 5)[order]
    )


@pytest.mark.parametrize("k", [0, -1, 4, 2.0, None, True])
def test_k_out_of_range(k):
    with pytest.raises(ValueError, match=rf"1 to n - 1 = 3, .*Received: k={k}\. Ask for fewer"):
        nearest_neighbors(LINE, k)


def test_refuses_what_check_features_refuses():
    with pytest.raises(ValueError, match="must be finite"):
        nearest_neighbors(np.array([[0.0], [np.nan], [1.0]]), 1)


# --- the memory of searches ---------------------------------------------------------------------


def test_the_same_array_is_searched_once(searches):
    features = np.random.default_rng(0).random((60, 4))
    five, six, again = (nearest_neighbors(features, k) for k in (5, 6, 5))
    assert searches == [10]
    np.testing.assert_array_equal(five, six[:, :5])
    np.testing.assert_array_equal(five, again)
    nearest_neighbors(features, 12)
    nearest_neighbors(features, 11)
    assert searches == [10, 12]


@pytest.mark.parametrize("form", ["csr", "coo"])
def test_the_same_sparse_matrix_is_searched_once(searches, form):
    features = sparse.random(60, 9, 0.5, format=form, random_state=0)
    nearest_neighbors(features, 5)
    nearest_neighbors(features, 5)
    assert len(searches) == 1


def test_the_same_memory_map_is_searched_once(searches, tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((60, 4)))
    features = np.load(tmp_path / "x.npy", mmap_mode="r")
    checked = check_features(features, 60)
    assert checked is features
    np.testing.assert_array_equal(nearest_neighbors(checked, 5), nearest_neighbors(features, 5))
    assert len(searches) == 1


def test_another_array_of_the_same_contents_is_searched_anew(searches):
    nearest_neighbors(LINE.copy(), 1)
    nearest_neighbors(LINE.copy(), 1)
    assert len(searches) == 2


def test_writing_into_the_result_does_not_reach_the_memory():
    features = LINE.copy()
    nearest_neighbors(features, 3)[:] = 0
    nearest_neighbors(features, 3)[:] = 0
    assert nearest_neighbors(features, 3).tolist() == LINE_NEIGHBORS


def test_the_memory_does_not_keep_the_array_alive():
    features = LINE.copy()
    nearest_neighbors(features, 2)
    key, alive = id(features), weakref.ref(features)
    assert key in neighbors._searches
    del features
    gc.collect()
    assert alive() is None
    assert key not in neighbors._searches


def test_a_new_array_at_the_same_id_is_not_mistaken(monkeypatch):
    old = np.random.default_rng(0).random((200, 3))
    new = old.copy()
    new[1] = 5.0  # no row that the fingerprint looks at
    assert neighbors._fingerprint(old) == neighbors._fingerprint(new)
    nearest_neighbors(old, 3)
    monkeypatch.setitem(neighbors._searches, id(new), neighbors._searches[id(old)])
    assert nearest_neighbors(new, 3).tolist() == brute_force(new, 3).tolist()


def test_an_array_scaled_in_place_is_searched_anew():
    features = np.random.default_rng(0).random((500, 2))
    nearest_neighbors(features, 5)
    features[:, 0] *= 100
    np.testing.assert_array_equal(nearest_neighbors(features, 5), brute_force(features, 5))


# --- check_features -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("features", "received"),
    [
        (np.zeros(4), r"x\.shape=\(4,\), x\.dtype=float64"),
        (np.zeros((4, 2, 2)), r"x\.shape=\(4, 2, 2\)"),
        (np.zeros((3, 2)), r"x\.shape=\(3, 2\)"),
        (np.zeros((4, 0)), r"x\.shape=\(4, 0\)"),
        (sparse.csr_matrix((3, 2)), r"x\.shape=\(3, 2\)"),
        (np.full((4, 2), "a"), r"x\.dtype=<U1"),
        (np.full((4, 2), None), r"x\.dtype=object"),
        (np.full((4, 2), 1j), r"x\.dtype=complex128"),
        ([[1.0], [1.0, 2.0], [3.0], [4.0]], r"x\.dtype=object"),
        ("x", r"x\.shape=\(\), x\.dtype=<U1"),
        (None, r"x\.dtype=object"),
    ],
)
def test_no_features(features, received):
    with pytest.raises(ValueError, match=rf"for each of the 4 .*{received}.* Flatten or encode"):
        check_features(features, 4, "x")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_features_not_finite(monkeypatch, value):
    features = np.zeros((7, 3))
    features[5, 1] = value
    for chunk in (2**22, 3, 1):
        monkeypatch.setattr(_checks, "_VALUES_AT_ONCE", chunk)
        with pytest.raises(ValueError, match=rf"Received: {value} in row 5\. Fill missing"):
            check_features(features, 7)
        with pytest.raises(ValueError, match=rf"Received: {value} in its stored values\. Fill"):
            check_features(sparse.coo_matrix(features), 7)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, np.float32])
def test_features_of_any_numbers_are_given_back(dtype):
    dense, stored = np.ones((4, 2), dtype), sparse.csr_matrix(np.ones((4, 2)), dtype=np.float32)
    assert check_features(dense, 4) is dense
    assert check_features(stored, 4) is stored
    assert check_features(sparse.csr_matrix((4, 2)), 4).nnz == 0
    assert isinstance(check_features(dense.tolist(), 4), np.ndarray)


# --- check_neighbors ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.int16, np.int64, np.uint64])
def test_neighbours_given(dtype):
    ids = check_neighbors(np.array(LINE_NEIGHBORS, dtype), n=4, k=2)
    assert ids.dtype == np.int32
    assert ids.tolist() == [row[:2] for row in LINE_NEIGHBORS]
    np.testing.assert_array_equal(check_neighbors(LINE_NEIGHBORS, 4, k=3), LINE_NEIGHBORS)


@pytest.mark.parametrize(
    ("ids", "received"),
    [
        (np.zeros((4, 1), int), r"shape=\(4, 1\)"),
        (np.zeros((3, 2), int), r"shape=\(3, 2\)"),
        (np.zeros(4, int), r"shape=\(4,\)"),
        (np.zeros((4, 2)), "dtype=float64"),
        ([[1], [1, 2], [3], [4]], "dtype=object"),
        (sparse.csr_matrix(np.eye(4, dtype=int)), "dtype="),
    ],
)
def test_no_neighbours(ids, received):
    with pytest.raises(ValueError, match=rf"at least 2 integer.* Received: .*{received}.* Search"):
        check_neighbors(ids, n=4, k=2)


@pytest.mark.parametrize("wrong", [-1, 4])
def test_neighbours_out_of_range(wrong):
    ids = np.array(LINE_NEIGHBORS)
    ids[2, 1] = wrong
    with pytest.raises(ValueError, match=r"0 to n - 1 = 3\. Received: ids from .* replace the -1"):
        check_neighbors(ids, n=4, k=2)
    assert check_neighbors(ids, n=4, k=1).tolist() == [[1], [0], [1], [2]]


def test_a_large_dense_array_is_searched_by_cells(monkeypatch):
    pytest.importorskip("faiss")
    features = np.random.default_rng(0).normal(size=(3000, 8)).astype(np.float32)
    exact = nearest_neighbors(features, 6)
    monkeypatch.setattr(neighbors, "APPROXIMATE_ABOVE", 2000)
    found = nearest_neighbors(features.copy(), 6)
    assert found.shape == exact.shape
    assert found.dtype == np.int32
    assert not (found == np.arange(3000)[:, None]).any()
    assert all(len(set(row)) == 6 for row in found)
    shared = np.mean([len(set(a) & set(b)) / 6 for a, b in zip(exact, found, strict=True)])
    assert shared > 0.9


def test_cells_find_equal_samples_and_small_cells_are_filled(monkeypatch):
    pytest.importorskip("faiss")
    monkeypatch.setattr(neighbors, "APPROXIMATE_ABOVE", 10)
    monkeypatch.setattr(neighbors, "_CELLS_SEARCHED", 1)
    features = np.repeat(np.arange(500.0, dtype=np.float32)[:, None] ** 2, 2, axis=0)
    found = nearest_neighbors(features, 7)
    own = np.arange(1000)
    assert ((found >= 0) & (found != own[:, None])).all()
    assert (found[:, 0] == own ^ 1).mean() > 0.95


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_a_numpy_matrix_is_an_array():
    found = nearest_neighbors(np.asmatrix(LINE), 2)
    np.testing.assert_array_equal(found, nearest_neighbors(LINE.copy(), 2))
