"""Which samples are nearest to each sample: searched once for each array, or given and checked.

What neighbours are good for is not known here.
"""

from __future__ import annotations

import contextlib
import importlib.util
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from tfmlselect._checks import check_finite, check_unmasked, is_whole, require, shown
from tfmlselect._containers import as_plain
from tfmlselect._progress import Progress
from tfmlselect._warn import warn

# Strategies ask for 5 and 6 neighbours: one search, and one order of equal distances, serves all.
_SEARCHED_AT_LEAST = 10
# Dense arrays of more samples are searched by an approximate index, where one is installed.
APPROXIMATE_ABOVE = 200_000
_CELLS_SEARCHED = 32  # of the approximate index, for each sample
_SAMPLES_AT_ONCE = 4096
_ROWS_LOOKED_AT = 2000  # for the spread of the columns
_ONE_COLUMN = 0.95  # share of the variance of all columns, above which one decides the distances


class _Search(NamedTuple):
    array: weakref.ref[Any]
    fingerprint: int  # of its contents
    ids: np.ndarray  # (n, k) int32


_searches: dict[int, _Search] = {}  # by id(features); an entry goes when its array does


def find_neighbors(features: Any, neighbors: Any, n: int, k: int) -> np.ndarray | None:
    """The neighbours that were given, else those that a search finds; None without features too.

    Args:
        features: as `nearest_neighbors`, or None.
        neighbors: as `check_neighbors`, or None.
        n: number of samples.
        k: neighbours of each sample.

    Returns:
        (n, k) int32 ids, or None.

    Raises:
        ValueError: what is given is not what these two functions take.
    """
    if neighbors is not None:
        return check_neighbors(neighbors, n, k)
    return None if features is None else nearest_neighbors(features, k)


def nearest_neighbors(features: Any, k: int) -> np.ndarray:
    """Finds the k nearest other samples of each sample by Euclidean distance.

    Exact, by scikit-learn. Dense arrays of more than `APPROXIMATE_ABOVE` = 200,000 samples are
    searched by faiss where it is installed (`pip install faiss-cpu`): an inverted file
    that looks at the 32 nearest of about sqrt(n) cells, so that a few neighbours are missed.

    The result is remembered while the array lives, so that several strategies search it once. An
    array changed in place is searched again if about 64 rows looked at show the change; safer is
    to give a new array. Samples at equal distance come in no particular order.

    Args:
        features: (n, d) numbers, dense or scipy.sparse. Scale the columns beforehand: one of wide
            spread decides the distances, and values far from 0 lose digits.
        k: neighbours of each sample, 1 <= k <= n - 1.

    Returns:
        (n, k) int32 ids, the nearest first, the sample itself not among them.

    Raises:
        ValueError: `features` is not what `check_features` takes, or k is out of range.

    Example:
        >>> nearest_neighbors(np.array([[0.0], [1.0], [3.0], [7.0]]), k=2).tolist()
        [[1, 2], [0, 2], [1, 0], [2, 1]]
    """
    key = id(features)
    known = _searches.get(key)
    array = _as_array(features, "features")
    n = (*array.shape, 0)[0]
    require(
        is_whole(k) and 1 <= k < n,
        f"`neighbors`, the k of this search, is an integer from 1 to n - 1 = {n - 1}, the number "
        "of other samples",
        f"k={shown(k)}",
        "Ask for fewer neighbours or give more samples",
    )
    fingerprint = _fingerprint(array)
    same = known and known.array() is features and known.fingerprint == fingerprint
    if known and same and known.ids.shape[1] >= k:
        return np.array(known.ids[:, :k])
    check_features(array, n)
    _warn_of_one_column(array)
    ids = _search(array, min(max(k, _SEARCHED_AT_LEAST), n - 1))
    with contextlib.suppress(TypeError):  # a list cannot be referred to weakly: not remembered
        reference = weakref.ref(features, lambda _: _searches.pop(key, None))
        _searches[key] = _Search(reference, fingerprint, ids)
    return np.array(ids[:, :k])


def check_features(features: Any, n: int, name: str = "features") -> Any:
    """Checks that `features` can be searched; a memory map is read in chunks of rows.

    Args:
        features: (n, d) numbers, dense or scipy.sparse.
        n: number of samples.
        name: what the error messages call it.

    Returns:
        The same object if it is a NumPy array or scipy.sparse, else a NumPy array of it.

    Raises:
        ValueError: not two-dimensional, not n rows, no columns, not numbers, or NaN or infinite.
    """
    array = _as_array(features, name)
    fits = array.ndim == 2 and array.shape[0] == n and array.shape[1] > 0
    require(
        fits and array.dtype.kind in "biuf",
        f"`{name}` must be a matrix of numbers with one row for each of the {n} samples",
        f"{name}.shape={array.shape}, {name}.dtype={array.dtype}",
        "Flatten or encode the samples, give embeddings as `features`, or ids found elsewhere as "
        "`neighbors`",
    )
    check_finite(array, name)
    return array


def check_neighbors(neighbors: Any, n: int, k: int) -> np.ndarray:
    """Checks neighbours that were found elsewhere.

    Args:
        neighbors: (n, k or more) integer ids, nearest first, no sample among its own.
        n: number of samples.
        k: neighbours needed; the first are taken.

    Returns:
        (n, k) int32 ids.

    Raises:
        ValueError: not n rows of at least k integers, or ids outside 0..n - 1.
    """
    array = np.asarray(_as_array(neighbors, "neighbors"))
    fits = array.ndim == 2 and array.shape[0] == n and array.shape[1] >= k
    require(
        fits and array.dtype.kind in "iu",
        f"`neighbors` must hold a row of at least {k} integer ids for each of the {n} samples",
        f"neighbors.shape={array.shape}, neighbors.dtype={array.dtype}",
        "Search more neighbours or ask for fewer, and none among samples of weight 0, which are "
        "nobody's; cast ids with neighbors.astype('int32')",
    )
    array = array[:, :k]
    require(
        array.min() >= 0 and array.max() < n,
        f"`neighbors` must hold row numbers from 0 to n - 1 = {n - 1}",
        f"ids from {array.min()} to {array.max()}",
        "Search among these n samples, and replace the -1 that an approximate index gives for a "
        "neighbour not found",
    )
    return array.astype(np.int32)


def check_given_neighbors(neighbors: Any, n: int) -> np.ndarray:
    """Checks the form of neighbours before it is known how many are needed; nothing is copied.

    Args:
        neighbors: (n, k) integer ids; what is behind those needed may be anything, such as -1.
        n: number of samples.

    Returns:
        The same, as an array.

    Raises:
        ValueError: not n rows of integers.
    """
    array = np.asarray(_as_array(neighbors, "neighbors"))
    require(
        array.ndim == 2 and array.shape[0] == n and array.dtype.kind in "iu",
        f"`neighbors` must hold a row of integer ids for each of the {n} samples",
        f"neighbors.shape={array.shape}, neighbors.dtype={array.dtype}",
        "Search among these n samples; cast ids with neighbors.astype('int32')",
    )
    return array


def _as_array(value: Any, name: str) -> Any:
    """A sparse matrix as it is, anything else as a NumPy array; of no numbers where it is none."""
    value = as_plain(value)
    if sparse.issparse(value):
        return value
    check_unmasked(name, value)
    try:
        return value if isinstance(value, np.memmap) else np.asarray(value)  # also of np.matrix
    except Exception:  # rows of different lengths, a tensor without a value, ...
        return np.asarray(None)


def _warn_of_one_column(features: Any) -> None:
    """Says so where one column decides the distances almost alone, which is seldom meant."""
    n, d = features.shape
    if sparse.issparse(features) or d < 3:
        return
    rows = np.asarray(features[:: max(1, n // _ROWS_LOOKED_AT)], np.float64)
    variances = rows.var(axis=0)
    widest = int(variances.argmax())
    if variances[widest] > _ONE_COLUMN * variances.sum():
        warn(
            "One column of the features decides which samples are neighbours: distances are "
            f"Euclidean. Received: {d} columns, of which column {widest} has "
            f"{variances[widest] / variances.sum():.1%} of the variance. Scale the columns first, "
            "e.g. with sklearn.preprocessing.MinMaxScaler.",
        )


def _search(features: Any, k: int) -> np.ndarray:
    large = features.shape[0] > APPROXIMATE_ABOVE and not sparse.issparse(features)
    if large and importlib.util.find_spec("faiss"):
        return _search_cells(np.ascontiguousarray(features, np.float32), k)
    from sklearn import config_context, neighbors  # slow to import, and needed by few

    # These are the types that scikit-learn searches in small chunks; both hold the numbers exactly.
    dtype = np.float32 if np.can_cast(features.dtype, np.float32) else np.float64
    features = features.astype(dtype, copy=False)
    if sparse.issparse(features):
        features = features.tocsr(copy=True)
        features.sum_duplicates()  # or scikit-learn's norms are wrong
    with config_context(working_memory=128):  # MiB a chunk, for sparse features
        index = neighbors.NearestNeighbors(n_neighbors=k, n_jobs=-1).fit(features)
        return _in_parts(lambda part: index.kneighbors(part, k + 1, False), features, k)


def _in_parts(search: Callable[[Any], np.ndarray], features: Any, k: int) -> np.ndarray:
    """The k nearest others of all samples (n, k), searched some samples at a time.

    Args:
        search: finds the k + 1 nearest samples of some rows of `features`: (b, d) -> (b, k + 1)
            ids, -1 for one that was not found.
        features: (n, d).
        k: neighbours of each sample; -1 stands at the end of a row that has fewer.
    """
    n = features.shape[0]
    progress = Progress("Searching neighbours", n)
    found = np.empty((n, k), np.int32)
    for start in range(0, n, _SAMPLES_AT_ONCE):
        stop = min(start + _SAMPLES_AT_ONCE, n)
        ids = search(features[start:stop])
        # The sample itself is mostly the first, but not among equal rows.
        other = (ids != np.arange(start, stop)[:, None]) & (ids >= 0)
        order = np.argsort(~other, axis=1, kind="stable")[:, :k]
        found[start:stop] = np.where(
            np.take_along_axis(other, order, axis=1), np.take_along_axis(ids, order, axis=1), -1
        )
        progress.add(stop - start)
    return found


def _search_cells(features: np.ndarray, k: int) -> np.ndarray:
    """The k nearest others (n, k) by an approximate index, exactly where it finds too few."""
    import faiss

    n, d = features.shape
    cells = max(1, int(np.sqrt(n)))
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(d), d, cells)
    index.train(features)
    index.add(features)
    index.nprobe = min(cells, _CELLS_SEARCHED)
    ids = _in_parts(lambda part: index.search(part, k + 1)[1], features, k)
    short = np.flatnonzero((ids < 0).any(axis=1))
    if len(short):
        exact = faiss.knn(features[short], features, k + 1)[1]
        exact = [row[row != own][:k] for row, own in zip(exact, short, strict=True)]
        ids[short] = exact
    return ids


def _fingerprint(features: Any) -> int:
    """A hash of about 64 rows."""
    array = features.tocsr() if sparse.issparse(features) else features
    rows = array[:: max(1, array.shape[0] // 64)]
    return hash((rows.data if sparse.issparse(rows) else rows).tobytes())
