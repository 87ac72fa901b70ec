"""Labels: what may be given as `y`, the one form it is brought into, how imbalanced it is.

Nothing here knows of draws or of other machines: all counts are those of the labels given.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from scipy import sparse

from tfmlselect import _steps_saved
from tfmlselect._checks import require, shown
from tfmlselect._html_table import MOST_ROWS, html_table
from tfmlselect._warn import warn

_ROWS_AT_ONCE = 65536
# Class ids below the largest that no sample has: a part of a data set may lack its rarest classes.
_MOST_UNUSED = 1000


class Labels(NamedTuple):
    """Checked labels."""

    matrix: np.ndarray  # (n, q) uint8, 0/1, C-contiguous; never the array that was given
    single_label: bool  # class ids were given; `matrix` is then one-hot
    names: tuple[str, ...] | None = None  # q of them

    @property
    def n(self) -> int:
        """Number of samples."""
        return len(self.matrix)

    @property
    def q(self) -> int:
        """Number of labels."""
        return int(self.matrix.shape[1])

    def has_one_each(self) -> bool:
        """Whether each sample has exactly one label."""
        return all(
            (self.matrix[start : start + _ROWS_AT_ONCE].sum(axis=1) == 1).all()
            for start in range(0, self.n, _ROWS_AT_ONCE)
        )

    def sums(self, values: np.ndarray) -> np.ndarray:
        """The sum of `values`, (n,) float64, over the positives of each label: (q,) float64."""
        sums = np.zeros(self.q)
        for start in range(0, self.n, _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            sums += values[part] @ self.matrix[part]
        return sums


def check_labels(y: Any, name: str = "y") -> Labels:
    """Checks labels and brings them into one form.

    Args:
        y: (n, q) of 0 and 1, any numeric or boolean dtype, dense or scipy.sparse, q >= 2; or (n,)
            integer class ids from 0, which become the one-hot matrix of max(y) + 1 labels. Of the
            numbers up to max(y), at most 1000 may be unused, or as many as are used.
        name: what the error messages call `y`.

    Returns:
        `Labels`: the dense (n, q) uint8 matrix, and whether class ids were given.

    Raises:
        ValueError: `y` is empty, has fewer than two columns or more than two dimensions.
        ValueError: a matrix with anything but 0 and 1 in it (NaN included).
        ValueError: class ids not of an integer dtype, negative, all the same, or with more numbers
            unused than that.
        ValueError: the dense matrix does not fit into memory.

    Example:
        >>> check_labels([2, 0, 1]).matrix.tolist()
        [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    """
    if sparse.issparse(y):
        given = _check_sparse(y, name)
        return Labels(given.toarray(out=_zeros(given.shape, name)), single_label=False)
    array = _as_array(y, name)
    _check_form(array, name)
    if array.ndim == 1:
        _check_class_ids(array, name)
        matrix = _zeros((len(array), int(array.max()) + 1), name)
        matrix[np.arange(len(array)), array] = 1
        return Labels(matrix, single_label=True)
    matrix = np.empty(array.shape, np.uint8)
    for start in range(0, len(array), _ROWS_AT_ONCE):
        part = array[start : start + _ROWS_AT_ONCE]
        matrix[start : start + _ROWS_AT_ONCE] = part == 1
        wrong = (part != 0) & (part != 1)
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise _not_binary(name, start + row, column, part[row, column])
    return Labels(matrix, single_label=False)


def are_class_ids(y: tf.Tensor) -> bool:
    """Whether a batch of labels is class ids, (b,) or (b, 1), and no matrix (b, q)."""
    return bool(y.shape.rank == 1 or (y.shape.rank == 2 and y.shape[-1] == 1))


def one_hot(ids: tf.Tensor, q: int) -> tf.Tensor:
    """Class ids, (b,) or (b, 1), as rows (b, q) float32."""
    return tf.one_hot(tf.cast(tf.reshape(ids, [-1]), tf.int64), q)


def names_in(y: Any) -> tuple[str, ...] | None:
    """The names of the labels that y has itself: a DataFrame's columns, where they are texts."""
    columns = list(getattr(y, "columns", ()))
    return tuple(columns) if columns and all(isinstance(each, str) for each in columns) else None


def check_label_names(label_names: Sequence[str] | None, q: int) -> tuple[str, ...] | None:
    """The names as a tuple of strings; None stays None.

    Raises:
        ValueError: no sequence of q names.
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
    return names


def minority_labels(counts: np.ndarray) -> np.ndarray:
    """(q,) bool: which labels of these positives (q,) are minority labels, IRLbl > MeanIR."""
    present = counts > 0
    irlbl = np.divide(counts.max(), counts, out=np.zeros(len(counts)), where=present)
    # Exact sums: the order of labels must not decide a tie with MeanIR.
    mean_ir = math.fsum(irlbl[present]) / max(1, int(present.sum()))
    return np.asarray(present & (irlbl > mean_ir))


def label_odds(positive: np.ndarray, total: float) -> np.ndarray:
    """Positives over negatives (q,); NaN for a label that lacks one of them."""
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
        irlbl: (q,) float64, IRLbl: the largest count divided by the label's own; NaN without
            positives.
        mean_ir: MeanIR, the mean of IRLbl over labels with positives; NaN if there are none.
        cvir: CVIR, their standard deviation (ddof = 1) divided by MeanIR; NaN for fewer than two.
        scumble: SCUMBLE, how much frequent and rare labels share samples, from 0 (never) towards 1:
            the mean of `scumble_samples`, (n,) float64, 0 for a sample without labels.
        minority: (q,) bool, IRLbl > MeanIR.
        cardinality: labels a sample has on average.
        density: the same divided by q.
        empty: share of the samples that have no label at all.
        mean_log_irlbl: mean of ln IRLbl over labels with positives; NaN if there are none.
        variance_ratio: R = n sum g^2 / (sum g)^2, at least 1, with g_i = ||f - y_i||_2 and f the
            share of positives of each label: how unequally hard the samples are for a model that
            predicts f for all of them, since g is then the size of a sample's gradient. 1 where
            no sample differs from another. `AdaptiveBatchSelection` keeps the same of a model in
            training, as `history["selection/variance_ratio"]`.
        cooccurrence: (q, q) int64, samples that have both labels; the diagonal is `counts`.
    """

    n: int
    q: int
    counts: np.ndarray
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
    label_names: tuple[str, ...] | None = None

    @property
    def odds(self) -> np.ndarray:
        """(q,) float64, positives / negatives of each label; NaN where it lacks one of them."""
        return label_odds(self.counts.astype(np.float64), self.n)

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
        return [
            f"{self.n} samples, {self.q} labels, {self.minority.sum()} of them minority labels",
            f"cardinality {self.cardinality:.3f}, density {self.density:.3f}, "
            f"MeanIR {self.mean_ir:.3f}, CVIR {self.cvir:.3f}, SCUMBLE {self.scumble:.3f}",
            f"{self.empty:.2%} without a label, mean ln IRLbl {self.mean_log_irlbl:.3f}, "
            f"variance ratio {self.variance_ratio:.3f}, potential {self.potential:.1f}",
        ]

    def _rows(self) -> list[tuple[str, ...]]:
        """The cells of the table: name, positives, share, IRLbl, mark of a minority label."""
        rows: list[tuple[str, ...]] = []
        for j, name in enumerate(self.label_names or map(str, range(self.q))):
            count, mark = self.counts[j], "*" if self.minority[j] else ""
            irlbl = f"{self.irlbl[j]:.2f}" if count else "-"
            rows.append((name, str(count), f"{count / self.n:.2%}", irlbl, mark))
        return rows


def label_statistics(y: Any, label_names: Sequence[str] | None = None) -> LabelStatistics:
    """Measures label imbalance and the co-occurrence of labels.

    Args:
        y: labels as `check_labels` takes them: (n, q) 0/1, dense or scipy.sparse (which is never
            made dense here), or (n,) integer class ids.
        label_names: q names, for the table and the warning.

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
    given = _check_sparse(y, "y") if sparse.issparse(y) else sparse.csr_matrix(check_labels(y)[0])
    matrix = given.astype(np.int64)  # uint8 products would wrap around at 256
    n, q = matrix.shape
    names = check_label_names(label_names, q)
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
    # ||f - y_i||^2 without making y dense: sum f^2 - 2 sum_{j in i} f_j + |i|.
    share = counts / n
    errors = np.sqrt(np.maximum(share @ share - 2.0 * (matrix @ share) + labels_of, 0.0))

    return LabelStatistics(
        n=n,
        q=q,
        counts=counts,
        irlbl=irlbl,
        mean_ir=float(mean_ir),
        cvir=float(cvir),
        scumble=float(scumble_samples.mean()),
        scumble_samples=scumble_samples,
        minority=minority_labels(counts),
        cardinality=matrix.nnz / n,
        density=matrix.nnz / (n * q),
        empty=float(np.mean(labels_of == 0)),
        mean_log_irlbl=mean_log_irlbl,
        variance_ratio=variance_ratio(np.array([n, errors.sum(), errors @ errors])),
        cooccurrence=(matrix.T @ matrix).toarray(),
        label_names=names,
    )


def _as_array(y: Any, name: str) -> np.ndarray:
    array, problem = np.empty(0), ""
    try:
        array = np.asarray(y)
    except Exception as error:  # rows of different lengths, a tensor without a value, ...
        problem = f"{type(error).__name__}: {error}".removesuffix(".")
    require(
        not problem,
        f"`{name}` must be a rectangular array",
        problem,
        "Lists of label ids become a 0/1 matrix with sklearn.preprocessing.MultiLabelBinarizer",
    )
    return array


def _check_form(y: Any, name: str) -> None:
    shape = y.shape
    vector = len(shape) == 1 and not sparse.issparse(y)
    require(
        0 not in shape and (vector or (len(shape) == 2 and shape[1] >= 2)),
        f"`{name}` must be a 0/1 matrix (n, q) of two columns or more, or a dense vector (n,) of "
        "class ids, and not empty",
        f"{name}.shape={shape}",
        "One column is not multi-label: give class ids, such as 0 for no and 1 for yes, as a "
        "vector (n,)",
    )
    is_right = y.dtype.kind in ("iu" if vector else "biuf")
    missing = "" if is_right else _first_missing(y)
    require(
        not missing,
        f"`{name}` has missing entries",
        f"{name}{missing}",
        f"Fill them, or leave those samples out of x and {name}",
    )
    require(
        is_right,
        f"`{name}` must hold numbers, and integers where it is class ids of shape (n,)",
        f"{name}.dtype={y.dtype}",
        f"Cast it, {name}.astype('int64'), or turn class names into ids: "
        f"np.unique({name}, return_inverse=True)[1]",
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


def _check_sparse(y: Any, name: str) -> sparse.csr_matrix:
    """The labels as a canonical uint8 CSR matrix of ones; `y` itself is left as it is."""
    _check_form(y, name)
    matrix = sparse.csr_matrix(y, copy=True)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    wrong = np.flatnonzero(matrix.data != 1)
    if wrong.size:
        row = np.searchsorted(matrix.indptr, wrong[0], side="right") - 1
        raise _not_binary(name, row, matrix.indices[wrong[0]], matrix.data[wrong[0]])
    return matrix.astype(np.uint8)


def _not_binary(name: str, row: int, column: int, value: Any) -> ValueError:
    return ValueError(
        f"`{name}` as a matrix must hold 0 and 1 only. Received: {name}[{row}, {column}]={value}. "
        f"Make it binary, for example ({name} > 0.5).astype('uint8'), and drop or fill missing "
        "labels first. Class ids go in as a vector of shape (n,)."
    )
