"""Labels: what may be given as `y`, the one form it is brought into, how imbalanced it is.

Nothing here knows of draws or of other machines: all counts are those of the labels given.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import tensorflow as tf
from scipy import sparse

from tfmlselect import _steps_saved
from tfmlselect._checks import check_missing, check_unmasked, require, shown
from tfmlselect._containers import as_plain
from tfmlselect._html_table import MOST_ROWS, html_table
from tfmlselect._warn import warn

Key: TypeAlias = str | int  # of a part of y, where y is a dict or a tuple

_ROWS_AT_ONCE = 65536
# Class ids below the largest that no sample has: a part of a data set may lack its rarest classes.
_MOST_UNUSED = 1000
_MOST_PARTS = 8  # of a y of several, that an error shows


class Labels(NamedTuple):
    """Checked labels."""

    matrix: np.ndarray  # (n, q) uint8, 0/1, C-contiguous; never the array that was given
    single_label: bool  # class ids were given; `matrix` is then one-hot
    names: tuple[str, ...] | None = None  # q of them
    # Where y has several parts: keys of those that are the labels, each with its number of labels.
    parts: tuple[tuple[Key, int], ...] = ()
    known: np.ndarray | None = None  # (n, q) bool; `matrix` is 0 elsewhere. None: all are known
    missing: float | None = None  # what stands in y where a label is unknown; None: nothing does

    @property
    def n(self) -> int:
        """Number of samples."""
        return len(self.matrix)

    @property
    def q(self) -> int:
        """Number of labels."""
        return int(self.matrix.shape[1])

    def has_one_each(self, first: int = 0, stop: int | None = None) -> bool:
        """Whether each sample has exactly one label, of those from `first` to before `stop`.

        False where some are unknown.
        """
        matrix = self.matrix[:, first:stop]
        return self.known is None and all(
            (matrix[start : start + _ROWS_AT_ONCE].sum(axis=1) == 1).all()
            for start in range(0, self.n, _ROWS_AT_ONCE)
        )

    def rows(self, ids: np.ndarray) -> Labels:
        """The labels of some samples."""
        known = None if self.known is None else self.known[ids]
        return self._replace(matrix=self.matrix[ids], known=known)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """The sum of `values`, (n,) float64, over the positives of each label: (q,) float64."""
        sums = np.zeros(self.q)
        for start in range(0, self.n, _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            sums += values[part] @ self.matrix[part]
        return sums

    def known_sums(self, values: np.ndarray) -> np.ndarray:
        """The sum of `values`, (n,) float64, over the known entries of each label: (q,) float64."""
        if self.known is None:
            return np.full(self.q, values.sum())
        return self._replace(matrix=self.known).sums(values)

    def known_counts(self) -> np.ndarray:
        """How many entries of each label are known: (q,) int64."""
        if self.known is None:
            return np.full(self.q, self.n, np.int64)
        return np.asarray(self.known.sum(axis=0, dtype=np.int64))

    def table(self, rows: Any = slice(None)) -> np.ndarray:
        """`matrix`, or some of its rows; in float32 with NaN for what is unknown, if anything is.

        Args:
            rows: a slice or ids.
        """
        table: np.ndarray = self.matrix[rows]
        if self.known is not None:
            table = np.where(self.known[rows], table, np.float32(np.nan))
        return table


def check_labels(y: Any, name: str = "y", missing: Any = None) -> Labels:
    """Checks labels and brings them into one form.

    Args:
        y: (n, q) of 0 and 1, any numeric or boolean dtype, dense or sparse, q >= 2; or (n,)
            integer class ids from 0, which become the one-hot matrix of max(y) + 1 labels. Of the
            numbers up to max(y), at most 1000 may be unused, or as many as are used.
        name: what the error messages call `y`.
        missing: what stands in a matrix where a label is unknown, NaN or a number below 0; None:
            all labels are known.

    Returns:
        `Labels`: the dense (n, q) uint8 matrix, whether class ids were given, and which entries are
        known.

    Raises:
        ValueError: `y` is empty, has fewer than two columns or more than two dimensions; or is a
            dict of arrays.
        ValueError: a matrix with anything but 0, 1 and `missing` in it (NaN included).
        ValueError: class ids not of an integer dtype, negative, all the same, or with more numbers
            unused than that; class ids and `missing`, or a `missing` that is none.
        ValueError: the dense matrix does not fit into memory.

    Example:
        >>> check_labels([2, 0, 1]).matrix.tolist()
        [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
        >>> check_labels([[1, -1], [0, 1]], missing=-1).known.tolist()
        [[True, False], [True, True]]
    """
    require(
        not hasattr(y, "label_statistics"),
        f"`{name}` must be labels, and a dataset has its own figures of them",
        f"{name}={type(y).__name__}",
        "Call train.label_statistics(), or pass its labels, train.label_matrix",
    )
    columns = names_in(y) or ()
    missing, y = check_missing("missing", missing), as_plain(y)
    if sparse.issparse(y):
        given, unknown = _check_sparse(y, name, missing)
        matrix = given.toarray(out=_zeros(given.shape, name))
        known = None if unknown is None else ~unknown.toarray()
        return Labels(matrix, False, known=known, missing=missing)
    require(
        not isinstance(y, Mapping),
        f"`{name}` must be one array of labels",
        f"{name}={parts_shown(y)}",
        f"Pass the part that is the labels, as in {name}['tags']; adaptive_dataset takes all of "
        "them, and labels='tags'",
    )
    array = _as_array(y, name)
    _check_is_no_text(array, name)
    _check_form(array, name)
    if array.ndim == 1:
        require(
            missing is None,
            "Single entries of a matrix (n, q) may be unknown, and class ids have none",
            f"missing={shown(missing)}, {name}.shape={array.shape}",
            "Leave samples of unknown class out, or give a matrix (n, q)",
        )
        _check_class_ids(array, name)
        matrix = _zeros((len(array), int(array.max()) + 1), name)
        matrix[np.arange(len(array)), array] = 1
        return Labels(matrix, single_label=True)
    matrix, known = np.empty(array.shape, np.uint8), None
    for start in range(0, len(array), _ROWS_AT_ONCE):
        part = array[start : start + _ROWS_AT_ONCE]
        matrix[start : start + _ROWS_AT_ONCE] = part == 1
        unknown = are_missing(part, missing)
        wrong = (part != 0) & (part != 1) & ~unknown
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            value = part[row, column]
            raise _not_binary(name, start + row, column, value, missing, columns)
        if unknown.any():
            known = np.ones(array.shape, bool) if known is None else known
            known[start : start + _ROWS_AT_ONCE] = ~unknown
    return Labels(matrix, False, known=known, missing=missing)


def are_missing(values: np.ndarray, missing: float | None) -> np.ndarray:
    """Which of these values say that a label is unknown: bool, of the same shape."""
    if missing is None:
        return np.zeros(values.shape, bool)
    return np.isnan(values) if math.isnan(missing) else np.asarray(values == missing)


def unknown_as_nan(y: tf.Tensor, missing: float | None) -> tf.Tensor:
    """A batch of labels as it is; with `missing` in float32, and NaN for what is unknown.

    That is NaN and all below 0, since a `.map` may put one for the other: no label is below 0.
    """
    if missing is None:
        return y
    y = tf.cast(y, tf.float32)
    return tf.where(y >= 0, y, tf.constant(np.nan, y.dtype))


def are_class_ids(y: tf.Tensor) -> bool:
    """Whether a batch of labels is class ids, (b,) or (b, 1), and no matrix (b, q)."""
    return bool(y.shape.rank == 1 or (y.shape.rank == 2 and y.shape[-1] == 1))


def one_hot(ids: tf.Tensor, q: int) -> tf.Tensor:
    """Class ids, (b,) or (b, 1), as rows (b, q) float32."""
    return tf.one_hot(tf.cast(tf.reshape(ids, [-1]), tf.int64), q)


def names_in(y: Any) -> tuple[str, ...] | None:
    """The names of the labels that y has itself: a DataFrame's columns.

    None where they are no texts, or two of them alike.
    """
    columns = list(getattr(y, "columns", ()))
    named = columns and all(isinstance(each, str) for each in columns)
    return tuple(columns) if named and len({*columns}) == len(columns) else None


def parts_shown(y: Any) -> str:
    """A y of several parts as an error shows it: its keys, and each array's shape and dtype."""
    if isinstance(y, Mapping) and not sparse.issparse(y):
        inside = [
            f"{shown(key)}: {parts_shown(part)}" for key, part in list(y.items())[:_MOST_PARTS]
        ]
        return "{" + ", ".join(inside + ["..."] * (len(y) > _MOST_PARTS)) + "}"
    if isinstance(y, (list, tuple)) and any(hasattr(part, "shape") for part in y):
        inside = [parts_shown(part) for part in y[:_MOST_PARTS]]
        return "(" + ", ".join(inside + ["..."] * (len(y) > _MOST_PARTS)) + ")"
    if not hasattr(y, "shape"):
        return shown(y)
    shape = tf.TensorShape(y.shape)
    text = "unknown shape" if shape.rank is None else str(tuple(shape.as_list()))
    dtype = getattr(y, "dtype", None)  # a table has none
    return f"{text} {getattr(dtype, 'name', dtype or type(y).__name__)}"


def check_label_names(label_names: Sequence[str] | None, q: int) -> tuple[str, ...] | None:
    """The names as a tuple of strings; None stays None.

    Raises:
        ValueError: no sequence of q names, or two alike.
    """
    if label_names is None:
        return None
    names: tuple[str, ...] = ()
    if not isinstance(label_names, (str, bytes, Mapping, set, frozenset)):
        with contextlib.suppress(Exception):  # nothing to go through, or an entry that has no text
            names = tuple(map(str, label_names))
    require(
        len(names) == q,
        f"`label_names` must name each of the {q} labels",
        f"label_names={shown(label_names)}",
        "Give one name a column of `y`, in order",
    )
    twice = next((name for name in names if names.count(name) > 1), None)
    require(
        twice is None,
        "`label_names` must be names that differ",
        f"{twice!r} {names.count(str(twice))} times",
        "Name no label twice",
    )
    return names


def minority_labels(counts: np.ndarray) -> np.ndarray:
    """(q,) bool: which labels of these positives (q,) are minority labels, IRLbl > MeanIR."""
    present = counts > 0
    irlbl = np.divide(counts.max(), counts, out=np.zeros(len(counts)), where=present)
    # Exact sums: the order of labels must not decide a tie with MeanIR.
    mean_ir = math.fsum(irlbl[present]) / max(1, int(present.sum()))
    return np.asarray(present & (irlbl > mean_ir))


def label_odds(positive: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Positives over negatives (q,), of so many in all (q,); NaN where a label lacks either."""
    negative = total - positive
    both = (positive > 0) & (negative > 1e-12 * total)  # sums of p round
    odds = np.full(len(positive), np.nan)
    np.divide(positive, negative, out=odds, where=both)
    return odds


def variance_ratio(sums: np.ndarray) -> float:
    """R = sum w sum w g^2 / (sum w g)^2 of the sums (3,) of w, w g and w g^2; 1 where all g are 0.

    What unbiased sampling by g, the size of each sample's gradient, could at most save in the
    variance of a batch's gradient.
    """
    weight, first, second = sums
    return float(weight * second / first**2) if first > 0 else 1.0


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class LabelStatistics:
    """What `label_statistics` measures; `print`, or a notebook, shows it as a table, a row a label.

    Attributes:
        n: number of samples.
        q: number of labels.
        counts: (q,) int64, positives of each label.
        known: (q,) int64, entries of each label that are known; n where none are missing. Shares of
            positives are of these. An unknown entry is no positive, and no negative either.
        irlbl: (q,) float64, IRLbl: the largest count divided by the label's own; NaN without
            positives.
        mean_ir: MeanIR, the mean of IRLbl over labels with positives; NaN if there are none.
        cvir: CVIR, their standard deviation (ddof = 1) divided by MeanIR; NaN for fewer than two.
        scumble: SCUMBLE, how much frequent and rare labels share samples, from 0 (never) towards 1:
            the mean of `scumble_samples`, (n,) float64, 0 for a sample without labels.
        minority: (q,) bool, IRLbl > MeanIR.
        cardinality: labels a sample has on average.
        density: share of the known entries that are positive.
        empty: share of the samples that have no label at all, as far as is known.
        mean_log_irlbl: mean of ln IRLbl over labels with positives; NaN if there are none.
        variance_ratio: R = n sum g^2 / (sum g)^2, at least 1, with g_i = ||f - y_i||_2, over the
            labels that are known of i, and f the share of positives of each label: how unequally
            hard the samples are for a model that predicts f for all of them, since g is then the
            size of a sample's gradient. 1 where no sample differs from another.
            `AdaptiveBatchSelection` keeps the same of a model in training, as
            `history["selection/variance_ratio"]`.
        cooccurrence: (q, q) int64, samples that have both labels; the diagonal is `counts`.
        counts_where_known: (q, q) int64, positives of the row's label among samples of which the
            column's label is known.
    """

    n: int
    q: int
    counts: np.ndarray
    known: np.ndarray
    irlbl: np.ndarray
    mean_ir: float
    cvir: float
    scumble: float
    scumble_samples: np.ndarray
    minority: np.ndarray
    cardinality: float
    density: float
    empty: float
    mean_log_irlbl: float
    variance_ratio: float
    cooccurrence: np.ndarray
    counts_where_known: np.ndarray
    label_names: tuple[str, ...] | None = None

    @property
    def odds(self) -> np.ndarray:
        """(q,) float64, positives / negatives of each label; NaN where it lacks one of them."""
        return label_odds(self.counts.astype(np.float64), self.known)

    @property
    def potential(self) -> float:
        """How many steps of uniform batches one step of selected ones may stand for, 1 or more.

        An estimate from the labels alone; `tfmlselect.potential` says how sure it is and what to
        do.
        """
        return _steps_saved.steps_saved(self)

    def __repr__(self) -> str:
        return f"<LabelStatistics: {', '.join(str(self).splitlines()[:2])}>"

    def __str__(self) -> str:
        rows = self._rows()
        width = max(5, *(len(name) for name, *_ in rows))
        lines = [
            *self._figures(),
            f"\n{'label':<{width}}  positives    share      IRLbl  minority",
        ]
        for name, count, share, irlbl, mark in rows:
            mark = f"  {mark}" if mark else ""
            lines.append(f"{name:<{width}}  {count:>9}  {share:>7}  {irlbl:>9}{mark}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        left_out = self.q - MOST_ROWS
        note = f"{left_out} more labels: print() shows them." if left_out > 0 else ""
        headings = ["label", "positives", "share", "IRLbl", "minority"]
        rows = self._rows()[:MOST_ROWS]
        return html_table(self._figures(), headings, rows, words=(0, 4), note=note)

    def _figures(self) -> list[str]:
        """What the table says above its rows."""
        unknown = 1.0 - self.known.sum() / (self.n * self.q)
        return [
            f"{self.n} samples, {self.q} labels, {self.minority.sum()} of them minority labels",
            f"cardinality {self.cardinality:.3f}, density {self.density:.3f}, "
            f"MeanIR {self.mean_ir:.3f}, CVIR {self.cvir:.3f}, SCUMBLE {self.scumble:.3f}",
            f"{self.empty:.2%} without a label, mean ln IRLbl {self.mean_log_irlbl:.3f}, "
            f"variance ratio {self.variance_ratio:.3f}, potential {self.potential:.1f}",
            *[f"{unknown:.2%} of the entries unknown; shares are of those known"] * bool(unknown),
        ]

    def _rows(self) -> list[tuple[str, ...]]:
        """The cells of the table: name, positives, share, IRLbl, mark of a minority label."""
        rows: list[tuple[str, ...]] = []
        shares = self.counts / np.maximum(self.known, 1)
        for j, name in enumerate(self.label_names or map(str, range(self.q))):
            count, mark = self.counts[j], "*" if self.minority[j] else ""
            irlbl = f"{self.irlbl[j]:.2f}" if count else "-"
            rows.append((name, str(count), f"{shares[j]:.2%}", irlbl, mark))
        return rows


def label_statistics(
    y: Any, label_names: Sequence[str] | None = None, *, missing: float | None = None
) -> LabelStatistics:
    """Measures label imbalance and the co-occurrence of labels.

    Args:
        y: labels as `check_labels` takes them: (n, q) 0/1, dense or scipy.sparse (which is never
            made dense here), or (n,) integer class ids.
        label_names: q names, for the table and the warning. None: the columns' names where y is a
            DataFrame, else the columns' numbers.
        missing: what stands in y where a label is unknown, NaN or a number below 0; None: all
            labels are known.

    Raises:
        ValueError: `y` is not what `check_labels` takes, or there are not q label names.

    Warns:
        UserWarning: labels without positives; they are left out of MeanIR and CVIR.

    Example:
        >>> y = [[1, 0, 0], [1, 1, 0], [1, 0, 1], [1, 1, 0], [0, 0, 0]]
        >>> print(label_statistics(y, label_names=["sea", "boat", "whale"]))
        5 samples, 3 labels, 1 of them minority labels
        cardinality 1.400, density 0.467, MeanIR 2.333, CVIR 0.655, SCUMBLE 0.063
        20.00% without a label, mean ln IRLbl 0.693, variance ratio 1.051, potential 1.2
        <BLANKLINE>
        label  positives    share      IRLbl  minority
        sea            4   80.00%       1.00
        boat           2   40.00%       2.00
        whale          1   20.00%       4.00  *

    References:
        IRLbl, MeanIR, CVIR: F. Charte et al. Addressing imbalance in multilabel classification:
        Measures and random resampling algorithms. Neurocomputing 163, 2015.
        SCUMBLE: F. Charte et al. Concurrence among imbalanced labels and its influence on
        multilabel resampling algorithms. HAIS 2014.
        Variance ratio: its square root is the criterion of A. Katharopoulos and F. Fleuret. Not all
        samples are created equal: Deep learning with importance sampling. ICML 2018.
    """
    given, unknown = _sparse_labels(y, missing)
    matrix = given.astype(np.int64)  # uint8 products would wrap around at 256
    n, q = matrix.shape
    names = check_label_names(label_names, q) or names_in(y)
    counts = np.bincount(matrix.indices, minlength=q).astype(np.int64)
    present = counts > 0
    if not present.all():
        empty = np.flatnonzero(~present)
        shown = [names[j] if names else str(j) for j in empty[:5]] + ["..."] * (len(empty) > 5)
        warn(
            "Labels without positives have no IRLbl and are left out of MeanIR and CVIR. Received: "
            f"{len(empty)} of {q} labels: {', '.join(shown)}. Drop columns that are not needed.",
        )
    irlbl = np.full(q, np.nan)
    irlbl[present] = counts.max() / counts[present]
    # fsum is exact: the order of the labels cannot decide whether IRLbl exceeds MeanIR.
    mean_ir = math.fsum(irlbl[present]) / present.sum() if present.any() else math.nan
    logs = np.log(irlbl[present])
    mean_log_irlbl = math.fsum(logs) / len(logs) if len(logs) else math.nan
    cvir = np.std(irlbl[present], ddof=1) / mean_ir if present.sum() > 1 else math.nan
    labels_of = np.diff(matrix.indptr)
    per_sample = np.maximum(labels_of, 1)
    ratios = np.where(present, irlbl, 1.0)
    geometric = np.exp((matrix @ np.log(ratios)) / per_sample)
    arithmetic = np.maximum((matrix @ ratios) / per_sample, 1.0)  # 1 for a sample without labels
    # Never below 0 by the inequality of the means, but for rounding.
    scumble_samples = np.maximum(1.0 - geometric / arithmetic, 0.0)
    known = n - np.bincount(unknown.indices, minlength=q).astype(np.int64)
    # ||f - y_i||^2 without making y dense: sum f^2 - 2 sum_{j in i} f_j + |i|.
    share = counts / np.maximum(known, 1)
    squares = share @ share - unknown @ share**2
    errors = np.sqrt(np.maximum(squares - 2.0 * (matrix @ share) + labels_of, 0.0))

    return LabelStatistics(
        n=n,
        q=q,
        counts=counts,
        known=known,
        irlbl=irlbl,
        mean_ir=float(mean_ir),
        cvir=float(cvir),
        scumble=float(scumble_samples.mean()),
        scumble_samples=scumble_samples,
        minority=minority_labels(counts),
        cardinality=matrix.nnz / n,
        density=float(matrix.nnz / max(1, known.sum())),
        empty=float(np.mean(labels_of == 0)),
        mean_log_irlbl=mean_log_irlbl,
        variance_ratio=variance_ratio(np.array([n, errors.sum(), errors @ errors])),
        cooccurrence=(matrix.T @ matrix).toarray(),
        counts_where_known=counts[:, None] - (matrix.T @ unknown).toarray(),
        label_names=names,
    )


def _sparse_labels(y: Any, missing: Any) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """The positives, uint8, and the unknown entries, bool, as matrices of ones."""
    plain = as_plain(y)
    if sparse.issparse(plain):
        positive, unknown = _check_sparse(plain, "y", check_missing("missing", missing))
    else:
        labels = check_labels(y, missing=missing)
        positive = sparse.csr_matrix(labels.matrix)
        unknown = None if labels.known is None else sparse.csr_matrix(~labels.known)
    if unknown is None:
        unknown = sparse.csr_matrix(positive.shape, dtype=bool)
    return positive, unknown


_BINARIZE = (
    "from sklearn.preprocessing import MultiLabelBinarizer; "
    "{name} = MultiLabelBinarizer().fit_transform({labels})"
)


def _as_array(y: Any, name: str) -> np.ndarray:
    check_unmasked(
        name,
        y,
        "Fill it with a number and say which, adaptive_dataset((x, np.ma.filled(y, -1)), ..., "
        "missing=-1), or leave those samples out",
    )
    array, problem, labels = np.empty(0), "", name
    try:
        if isinstance(y, tf.RaggedTensor):
            problem, labels = (
                f"RaggedTensor of shape {y.shape}, {y.dtype.name}",
                f"{name}.to_list()",
            )
        else:
            array = np.asarray(tf.sparse.to_dense(y) if isinstance(y, tf.SparseTensor) else y)
            if array.dtype.kind in "SU" and isinstance(y, (list, tuple)):
                array = np.asarray(y, object)  # or NaN among text would be the text "nan"
    except Exception as error:  # rows of different lengths, a tensor without a value, ...
        problem = f"{type(error).__name__}: {error}".removesuffix(".")
    require(
        not problem,
        f"`{name}` must be a rectangular array",
        problem,
        f"Lists of labels become a 0/1 matrix: {_BINARIZE.format(name=name, labels=labels)}",
    )
    return array


_NO = ("", "0", "false", "no", "n", "f", "none", "absent", "negative")


def _check_is_no_text(array: np.ndarray, name: str) -> None:
    """Raises a ValueError for lists of labels, and for text, which may name several labels."""
    if array.dtype.kind not in "OSU":
        return
    what = f"`{name}` must hold numbers: 0 and 1 for labels, or integer class ids"
    for place, each in np.ndenumerate(array):
        if isinstance(each, (list, tuple, set, frozenset, np.ndarray)):
            require(
                False,
                what,
                f"{name}[{place[0]}]={shown(each)}",
                "Lists of labels become a 0/1 matrix: "
                + _BINARIZE.format(name=name, labels=f"np.ravel({name})"),
            )
    texts = [each for each in array.flat if isinstance(each, (str, bytes))]
    if not texts or _are_numbers(array):
        return
    decode = ".decode()" if isinstance(texts[0], bytes) else ""
    texts = [each.decode(errors="replace") if isinstance(each, bytes) else each for each in texts]
    mark = next((mark for mark in "|;,\t " if any(mark in each for each in texts)), "")
    ids = f"class names become ids: {name} = np.unique({name}, return_inverse=True)[1]"
    if array.ndim > 1 and array.shape[1] > 1 and len({*texts}) <= 2:
        yes = max({*texts}, key=lambda word: (word.lower() not in _NO, -texts.count(word)))
        remedy = f"Columns of two words become 0 and 1: ({name} == {yes!r}).astype('uint8')"
    elif array.ndim > 1 and array.shape[1] > 1:
        rows = _BINARIZE.format(name=name, labels=f"np.asarray({name})")
        remedy = f"Rows of label names become a 0/1 matrix: {rows}"
    elif all(str(each).startswith("[") for each in texts):
        lists = _BINARIZE.format(
            name=name, labels=f"[ast.literal_eval(text) for text in np.ravel({name})]"
        )
        remedy = (
            f"Lists of labels that were written as text become a 0/1 matrix: import ast; {lists}"
        )
    elif mark:
        split = "split()" if mark == " " else f"split({mark!r})"
        parts = f"each.strip() for each in text{decode}.{split} if each.strip()"
        lists = _BINARIZE.format(name=name, labels=f"[[{parts}] for text in np.ravel({name})]")
        remedy = f"Text that names several labels becomes a 0/1 matrix: {lists}"
        if mark == " ":
            remedy += f". Where each text is one name, {ids}"
    else:
        remedy = ids[0].upper() + ids[1:]
    if len(texts) < array.size:
        remedy = f"Fill what is missing, {name}.fillna('') in pandas. {remedy}"
    example = next(each for each in texts if mark in each)
    require(False, what, f"{name} with text such as {shown(str(example))}", remedy)


def _are_numbers(array: np.ndarray) -> bool:
    """Whether text stands for numbers, which it may be cast to."""
    try:
        array.astype(np.float64)
    except (TypeError, ValueError):
        return False
    return True


def _check_form(y: Any, name: str) -> None:
    shape = y.shape
    vector = len(shape) == 1 and not sparse.issparse(y)
    require(
        0 not in shape and (vector or (len(shape) == 2 and shape[1] >= 2)),
        f"`{name}` must be a 0/1 matrix (n, q) of two columns or more, or a dense vector (n,) of "
        "class ids, and not empty",
        f"{name}.shape={shape}",
        "One column is not multi-label: give class ids, such as 0 for no and 1 for yes, as a "
        f"vector, np.ravel({name}).astype('int64'), to a model of two outputs, Dense(2, 'softmax') "
        "and sparse_categorical_crossentropy",
    )
    is_right = y.dtype.kind in ("iu" if vector else "biuf")
    missing = "" if is_right else _first_missing(y)
    require(
        not missing,
        f"`{name}` has missing entries",
        f"{name}{missing}",
        f"Leave those samples out of x and {name}"
        if vector
        else "Where labels are unknown pass missing=np.nan, and "
        f"pandas.DataFrame({name}).astype('Float64').to_numpy('float32', na_value=np.nan), which "
        "makes NaN of None and NA; else fill them",
    )
    require(
        is_right,
        f"`{name}` must hold numbers, and integers where it is class ids of shape (n,)",
        f"{name}.dtype={y.dtype}",
        f"Cast it, {name}.astype('int64')",
    )


def _first_missing(y: Any) -> str:
    """Place and value of the first entry that is NaN, None or pandas' NA; "" without one."""
    if y.dtype.kind in "fO":
        for number, value in enumerate(y.flat):
            if value is None or type(value).__name__ in ("NAType", "NaTType") or value != value:
                place = ", ".join(map(str, np.unravel_index(number, y.shape)))
                return f"[{place}]={value}"
    return ""


def _check_class_ids(ids: np.ndarray, name: str) -> None:
    used = np.unique(ids)
    renumber = f"Number the classes by np.unique({name}, return_inverse=True)[1]"
    require(
        used[0] >= 0 and len(used) > 1,
        "Class ids must count from 0 and name at least two classes",
        f"{name} from {used[0]} to {used[-1]}",
        f"{renumber}; multi-label data is a matrix (n, q)",
    )
    unused = int(used[-1]) + 1 - len(used)
    require(
        unused <= max(_MOST_UNUSED, len(used)),
        "Class ids must number the classes: each number up to the largest is a label of its own, "
        f"and at most {_MOST_UNUSED} may be unused, or as many as are used",
        f"{name}[{ids.argmax()}]={used[-1]}, and {len(used)} different ids",
        f"{renumber}; where the model has an output for each number, give one-hot rows (n, q)",
    )


def _zeros(shape: tuple[int, ...], name: str) -> np.ndarray:
    matrix = np.empty(0, np.uint8)
    size, enough = math.prod(shape), True
    try:
        matrix = np.zeros(shape, np.uint8)
    except (MemoryError, ValueError):  # NumPy's for what no machine could address
        enough = False
    require(
        enough,
        f"The labels of `{name}` as a dense matrix need {size / 1e9:.0f} GB, one byte each",
        f"{shape[0]} samples of {shape[1]} labels",
        "Leave out labels that hardly a sample has",
    )
    return matrix


def _check_sparse(
    y: Any, name: str, missing: float | None
) -> tuple[sparse.csr_matrix, sparse.csr_matrix | None]:
    """The labels as a canonical uint8 CSR matrix of ones; `y` itself is left as it is.

    And the unknown entries as a CSR matrix of True; None: there are none.
    """
    _check_form(y, name)
    matrix = sparse.csr_matrix(y, copy=True)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    missed = are_missing(matrix.data, missing)
    wrong = np.flatnonzero((matrix.data != 1) & ~missed)
    if wrong.size:
        row = np.searchsorted(matrix.indptr, wrong[0], side="right") - 1
        value = matrix.data[wrong[0]]
        raise _not_binary(name, row, matrix.indices[wrong[0]], value, missing)
    if not missed.any():
        return matrix.astype(np.uint8), None
    parts = []
    for chosen, kind in ((~missed, np.uint8), (missed, bool)):
        where = (chosen.astype(kind), matrix.indices, matrix.indptr)
        part = sparse.csr_matrix(where, shape=matrix.shape, copy=True)
        part.eliminate_zeros()
        parts.append(part)
    return parts[0], parts[1]


def _not_binary(
    name: str,
    row: int,
    column: int,
    value: Any,
    missing: float | None,
    columns: Sequence[str] = (),
) -> ValueError:
    """What is raised for an entry that is no label; `columns` are the names that a table has."""
    received = f"Received: {name}[{row}, {column}]={value}"
    if columns:
        received += f", in column {columns[column]!r}"
    if missing is not None:
        return ValueError(
            f"`{name}` as a matrix must hold 0, 1 and, where a label is unknown, {missing:g} only. "
            f"{received}. Use one number for all that is unknown."
        )
    binary = f"ake it binary, for example ({name} > 0.5).astype('uint8')"
    remedy = f"M{binary}"
    if np.isnan(value) or -math.inf < value < 0:
        number = "np.nan" if np.isnan(value) else f"{value:g}"
        remedy = (
            f"Where it stands for a label that is unknown, pass missing={number}; where it means "
            f"no, m{binary}"
        )
    elif columns:
        out = (
            f"Where that column is no label, leave it out: {name}.drop(columns={columns[column]!r})"
        )
        remedy = f"{out}. Else m{binary}"
    elif np.asarray(value).dtype.kind in "iu" and value > 1:
        lists = f"sklearn.preprocessing.MultiLabelBinarizer().fit_transform({name})"
        remedy = f"Rows of label ids become a 0/1 matrix by {lists}. Of ratings m{binary}"
    return ValueError(
        f"`{name}` as a matrix must hold 0 and 1 only. {received}. {remedy}. "
        "Class ids go in as a vector of shape (n,)."
    )
