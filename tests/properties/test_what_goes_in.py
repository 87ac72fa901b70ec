"""A sweep of what users have: containers and dtypes of y and of x, strategy by strategy.

Each combination ends in batches that hold the right rows, in the dtype that Keras would train on,
or in an error of the usual form when the dataset is made. Nothing in between.
"""

import pathlib
import re
import warnings

import numpy as np
import pytest
import tensorflow as tf
from scipy import sparse

import tfmlselect as tfml

FORM = re.compile(r".+\. Received: .+\. [A-Z`].+\.", re.DOTALL)
N, Q, BATCH = 24, 5, 8
# Each row of labels is its number in binary digits, so a batch of labels tells which rows it has.
TRUTH = (np.arange(1, N + 1)[:, None] >> np.arange(Q)) & 1
IDS = np.arange(N) % 3
# And so does the first column of x.
VALUES = np.column_stack([np.arange(N), np.arange(N) % 7, np.arange(N) % 2, np.ones(N, int)])
TEXTS = [f"image {i}.png" for i in range(N)]


# What batches of the strange ones that are taken hold, leaf by leaf.
LENGTHS = [[1] * (1 + i % 3) for i in range(N)]
WANTED = {
    "texts": [TEXTS],
    "array of texts": [TEXTS],
    "tensor of texts": [TEXTS],
    "bytes": [TEXTS],
    "paths": [TEXTS],
    "Series of texts": [TEXTS],
    "images": [VALUES.reshape(N, 2, 2, 1).astype("uint8")],
    "vector": [VALUES[:, 0].astype("float32")],
    "Series": [VALUES[:, 0]],
    "dict": [VALUES.astype("float32"), TEXTS],
    "tuple": [VALUES.astype("float32"), VALUES],
    "list of arrays": [VALUES.astype("float32"), VALUES],
    "nested": [VALUES, TEXTS, VALUES, VALUES],
    "ragged": [LENGTHS],
    "complex": [VALUES.astype("complex128")],
    "mixed table": [np.column_stack([VALUES[:, 0], VALUES[:, 1] > 3, VALUES[:, 2] / 2])],
}


def table(values):
    return pytest.importorskip("pandas").DataFrame(values)


def nullable(values):
    kinds = {"b": "boolean", "i": "Int64", "u": "UInt64", "f": "Float32"}
    return table(values).astype(kinds[values.dtype.kind])


def on_disk(values, folder):
    path = folder / f"{values.dtype.name}.dat"
    array = np.memmap(path, values.dtype, "w+", shape=values.shape)
    array[:] = values
    return array


def plain(values):
    return values


DTYPES = ["bool", "uint8", "int8", "uint16", "int32", "int64", "float16", "float32", "float64"]
# Containers of a matrix of numbers, each of an array.
MATRICES = {
    "array": plain,
    "columns first": np.asfortranarray,
    "every second row": lambda values: np.repeat(values, 2, axis=0)[::2],
    "other byte order": lambda values: values.astype(values.dtype.newbyteorder("S")),
    "read-only": lambda values: (values.setflags(write=False), values)[1],
    "lists": lambda values: values.tolist(),
    "objects": lambda values: values.astype(object),
    "matrix": np.asmatrix,
    "tensor": tf.constant,
    "variable": tf.Variable,
    "sparse tensor": lambda values: tf.sparse.from_dense(values),
    "ragged tensor": lambda values: tf.RaggedTensor.from_tensor(values),
    "csr": sparse.csr_matrix,
    "csr array": sparse.csr_array,
    "coo": sparse.coo_matrix,
    "dok": sparse.dok_matrix,
    "lil": sparse.lil_matrix,
    "table": table,
    "nullable table": nullable,
    "masked array": np.ma.masked_array,
    "hidden entries": lambda values: np.ma.masked_array(values, values == values),
}
VECTORS = ["array", "lists", "objects", "tensor", "variable", "masked array", "every second row"]
STRANGE_Y = {
    "one column": lambda: TRUTH[:, :1],
    "three dimensions": lambda: TRUTH[:, :, None],
    "texts": lambda: np.array(["a", "b", "c"])[IDS],
    "joined texts": lambda: ["a|b", "c", "a"] * 8,
    "lists of ids": lambda: [[0, 1], [2], []] * 8,
    "ragged ids": lambda: tf.ragged.constant([[0, 1], [2], []] * 8),
    "sets": lambda: [{0, 1}, {2}, {0}] * 8,
    "None": lambda: None,
    "one number": lambda: 3,
    "generator": lambda: (row for row in TRUTH),
    "values 2": lambda: TRUTH * 2,
    "values -1": lambda: TRUTH - 1,
    "probabilities": lambda: TRUTH * 0.9,
    "NaN": lambda: np.where(TRUTH == 1, np.nan, 0.0),
    "complex": lambda: TRUTH.astype(complex),
    "dates": lambda: TRUTH.astype("datetime64[s]"),
    "float ids": lambda: IDS.astype("float32"),
    "too few": lambda: TRUTH[:-1],
    "empty": lambda: TRUTH[:0],
    "categories": lambda: pytest.importorskip("pandas").Series(IDS).astype("category"),
    "Series of ids": lambda: pytest.importorskip("pandas").Series(IDS),
    "Series of lists": lambda: pytest.importorskip("pandas").Series([[0], [1], [2]] * 8),
    "dict": lambda: {"tags": TRUTH, "price": VALUES[:, 0]},
    "dataset": lambda: tf.data.Dataset.from_tensor_slices(TRUTH),
}
STRANGE_X = {
    "texts": lambda: TEXTS,
    "array of texts": lambda: np.array(TEXTS),
    "tensor of texts": lambda: tf.constant(TEXTS),
    "bytes": lambda: [text.encode() for text in TEXTS],
    "paths": lambda: [pathlib.Path(text) for text in TEXTS],
    "images": lambda: VALUES.reshape(N, 2, 2, 1).astype("uint8"),
    "vector": lambda: VALUES[:, 0].astype("float32"),
    "dict": lambda: {"a": VALUES.astype("float32"), "text": TEXTS},
    "tuple": lambda: (VALUES.astype("float32"), VALUES),
    "list of arrays": lambda: [VALUES.astype("float32"), VALUES],
    "nested": lambda: {"a": (VALUES, {"b": TEXTS}), "c": [VALUES, VALUES]},
    "ragged": lambda: tf.ragged.constant([[1] * (1 + i % 3) for i in range(N)]),
    "lists of lengths": lambda: [[1] * (1 + i % 3) for i in range(N)],
    "None": lambda: None,
    "one number": lambda: 3,
    "too few": lambda: VALUES[:-1],
    "complex": lambda: VALUES.astype(complex),
    "dates": lambda: VALUES.astype("datetime64[s]"),
    "NaN": lambda: np.where(VALUES > 5, np.nan, 0.0),
    "generator": lambda: (row for row in VALUES),
    "dataset": lambda: tf.data.Dataset.from_tensor_slices(VALUES),
    "empty dict": dict,
    "Series": lambda: pytest.importorskip("pandas").Series(VALUES[:, 0]),
    "Series of texts": lambda: pytest.importorskip("pandas").Series(TEXTS),
    "mixed table": lambda: pytest.importorskip("pandas").DataFrame(
        {"a": VALUES[:, 0], "b": VALUES[:, 1] > 3, "c": VALUES[:, 2] / 2}
    ),
    "table with texts": lambda: pytest.importorskip("pandas").DataFrame(
        {"a": VALUES[:, 0], "b": TEXTS}
    ),
    "table with categories": lambda: (
        pytest.importorskip("pandas")
        .DataFrame({"a": VALUES[:, 0], "b": TEXTS})
        .astype({"b": "category"})
    ),
}


def made_of(values):
    """Every container of numbers, in every dtype: name -> what makes it, and the values."""
    return {
        f"{dtype} {name}": (lambda make=make, dtype=dtype: make(values.astype(dtype)), dtype)
        for name, make in MATRICES.items()
        for dtype in DTYPES
    }


LABELS = {
    **{name: (make, TRUTH.astype(dtype)) for name, (make, dtype) in made_of(TRUTH).items()},
    **{
        f"{dtype} vector, {name}": (
            lambda name=name, dtype=dtype: MATRICES[name](IDS.astype(dtype)),
            IDS.astype(dtype),
        )
        for name in VECTORS
        for dtype in DTYPES
    },
    **{name: (make, None) for name, make in STRANGE_Y.items()},
    "categories": (STRANGE_Y["categories"], IDS),
    "Series of ids": (STRANGE_Y["Series of ids"], IDS),
}
INPUTS = {
    **{name: (make, [VALUES.astype(dtype)]) for name, (make, dtype) in made_of(VALUES).items()},
    **{name: (make, WANTED.get(name)) for name, make in STRANGE_X.items()},
}
# Where an error would be a fault: what Keras' own `fit` takes, and scipy's matrices.
MUST_GO_IN = [
    "array",
    "columns first",
    "every second row",
    "read-only",
    "lists",
    "tensor",
    "csr",
    "csr array",
    "coo",
    "table",
    "masked array",
]
STRATEGIES = sorted(tfml.strategies.names())
SOUND_X = {
    "array": lambda: VALUES.astype("float32"),
    "csr": lambda: sparse.csr_matrix(VALUES.astype("float32")),
    "dict": lambda: {"a": VALUES.astype("float32"), "b": TEXTS},
}


def tried(make_x, make_y, strategy):
    """A batch `(x, y)` of a combination, or the error it is refused with; None: there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            x, y = make_x(), make_y()
        except (ValueError, TypeError, NotImplementedError):
            return None  # nobody has it, such as scipy.sparse rows of float16
        try:
            train = tfml.adaptive_dataset((x, y), strategy, BATCH, seed=0, verbose=0)
        except (ValueError, TypeError) as error:
            return error
        return next(train.take(1).as_numpy_iterator())


def differs(found, wanted, rows):
    """What is wrong with one array of a batch."""
    if found.dtype == object and isinstance(found[0], np.ndarray):  # ragged
        ok = [row.tolist() for row in found] == [wanted[i] for i in rows]
        return None if ok else f"{found}"
    expected = np.asarray(wanted)[rows]
    if expected.dtype.kind in "UO":
        found, expected = found.astype(object), np.char.encode(expected.astype(str)).astype(object)
    elif expected.dtype.kind == "f" and expected.dtype != "float16":
        expected = expected.astype("float32")
    if (
        found.dtype.kind.replace("u", "i") != expected.dtype.kind.replace("u", "i")
        or found.shape != expected.shape
    ):
        return f"{found.dtype} {found.shape} for {expected.dtype} {expected.shape}"
    return None if np.array_equal(found, expected) else f"{found} for {expected}"


def check(problems, name, found, wanted, rows_of):
    """Notes what is wrong with a combination."""
    if found is None:
        return
    if isinstance(found, Exception):
        if not FORM.fullmatch(str(found)):
            problems.append(f"{name}: an error without form: {found!r}")
        elif "needs neighbours" in str(found):  # which a dict of inputs does not give
            return
        elif name.split(", ")[0].partition(" ")[2] in MUST_GO_IN:
            problems.append(f"{name}: refused: {found}")
    elif wanted is None:
        problems.append(f"{name}: went in, as {found}")
    else:
        rows, leaves = rows_of(found)
        for leaf, values in zip(leaves, wanted, strict=True):
            if problem := differs(leaf, values, rows):
                problems.append(f"{name}: {problem}")


def rows_of_x(batch):
    return tf.nest.flatten(batch[0])[0][:, 0].astype(int), [batch[1]]


def rows_of_y(batch):
    return batch[1].astype(int) @ (1 << np.arange(Q)) - 1, tf.nest.flatten(batch[0])


def partners(number, others, how_many):
    """Some of the others, other ones for each number."""
    names = sorted(others)
    return [names[(number * how_many + i) % len(names)] for i in range(how_many)]


@pytest.mark.parametrize(
    "how_many", [1, pytest.param(6, marks=pytest.mark.full)], ids=["some", "many"]
)
def test_labels(how_many):
    problems = []
    for number, (name, (make, values)) in enumerate(LABELS.items()):
        for i, x in enumerate(partners(number, SOUND_X, min(how_many, len(SOUND_X)))):
            strategy = STRATEGIES[(number + i) % len(STRATEGIES)]
            wanted = None if values is None else [values]
            found = tried(SOUND_X[x], make, strategy)
            check(problems, f"{name}, x {x}, {strategy}", found, wanted, rows_of_x)
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(
    "how_many", [1, pytest.param(6, marks=pytest.mark.full)], ids=["some", "many"]
)
def test_inputs(how_many):
    problems = []
    for number, (name, (make, wanted)) in enumerate(INPUTS.items()):
        for i in range(how_many):
            strategy = STRATEGIES[(number + i) % len(STRATEGIES)]
            make_y = [lambda: TRUTH, lambda: sparse.csr_matrix(TRUTH)][i % 2]
            found = tried(make, make_y, strategy)
            check(problems, f"{name}, {strategy}", found, wanted, rows_of_y)
    assert not problems, "\n".join(problems)
