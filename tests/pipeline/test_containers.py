"""Tables, sparse and ragged tensors, paths and lists of labels, as x and as y."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import tfmlselect as tfml

N = 12
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 4)).astype("float32")
Y = (X[:, :3] > 0).astype("float32")
F, IDS, B = np.linspace(0, 1, N), np.arange(N), np.arange(N) % 2 == 0


def select(x=X, y=Y, **options):
    return tfml.adaptive_dataset((x, y), "uniform", 4, seed=0, **options)


def rows(train):
    """All of x and of y, in order."""
    return [np.concatenate(parts) for parts in zip(*train.in_order(), strict=True)]


def refused(kind, words, **data):
    with pytest.raises(kind, match=words) as error:
        select(**data)
    return str(error.value)


# x as a table.

TABLES = {
    "floats and integers": ({"f": F, "i": IDS}, "float32"),
    "floats and flags": ({"f": F, "b": B}, "float32"),
    "integers and flags": ({"i": IDS, "b": B}, "int64"),
    "all three": ({"f": F.astype("float32"), "i": IDS.astype("uint8"), "b": B}, "float32"),
    "nullable integers": ({"i": pd.array(IDS, "Int64"), "j": pd.array(IDS, "Int64")}, "int64"),
    "nullable of several types": (
        {"f": pd.array(F, "Float32"), "i": pd.array(IDS, "Int8"), "b": pd.array(B, "boolean")},
        "float32",
    ),
    "nullable and not": ({"f": F, "b": pd.array(B, "boolean")}, "float32"),
    "sparse": ({"s": pd.arrays.SparseArray(F), "b": B}, "float32"),
}


@pytest.mark.parametrize("name", TABLES)
def test_columns_of_numbers_and_flags_are_one_matrix(name):
    columns, dtype = TABLES[name]
    table = pd.DataFrame(columns, index=range(5, 5 + N))
    train = select(table)
    assert train.element_spec[0].dtype == dtype
    wanted = np.stack([np.asarray(each, "float64") for each in columns.values()], axis=1)
    np.testing.assert_allclose(rows(train)[0], wanted, rtol=1e-6)


def test_a_fit_on_a_table_of_several_types():
    table = pd.DataFrame({"f": F, "i": IDS, "b": pd.array(B, "boolean")})
    train = select(table, pd.DataFrame(Y == 1).astype("boolean"))
    model = tf.keras.Sequential([tf.keras.layers.Dense(3, "sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    history = model.fit(train, epochs=1, verbose=0, callbacks=[tfml.AdaptiveBatchSelection(train)])
    assert np.isfinite(history.history["loss"]).all()


def test_what_is_missing_is_said():
    table = pd.DataFrame({"i": pd.array([None, *IDS[1:]], "Int64"), "f": F})
    refused(ValueError, r"`x` must be finite\. Received: nan in row 0\. Fill missing", x=table)
    select(table.fillna(0))


def test_columns_of_a_dict():
    x = dict(pd.DataFrame({"i": pd.array(IDS, "Int64"), "text": ["a"] * N}))
    spec = select(x).element_spec[0]
    assert (spec["i"].dtype, spec["text"].dtype) == (tf.int64, tf.string)


def test_columns_without_numbers_are_named_with_advice_that_works():
    x = pd.DataFrame(
        {"i": IDS, "kind": ["a", "b"] * 6, "day": pd.date_range("2020-01-01", periods=N)}
    )
    x["size"] = pd.Categorical(["s", "l", "m"] * 4)
    said = refused(
        TypeError,
        r"^`x` as a table.*Received: column 'kind' \((object|str)\), 'day' \(datetime64.*\), "
        r"'size' \(category\)\. Enc.*",
        x=x,
    )
    assert "such as x['day'].dt.year." in said
    x["day"] = x["day"].dt.year
    encoded = re.search(r"pandas(\.get_dummies\(x, columns=\['kind', 'size'\].*?\))", said)[1]
    assert select(eval(f"pd{encoded}")).element_spec[0].shape[1:] == [7]
    as_dict = eval(re.search(r"\{each: .*?\}", said)[0], {"x": x})
    assert select(as_dict).element_spec[0].keys() == set(x)


@pytest.mark.parametrize("column", [pd.date_range("2020", periods=N), pd.Categorical(IDS % 2)])
def test_a_table_of_such_columns_alone(column):
    refused(TypeError, r"Received: column 'c' \(.*\)\. ", x=pd.DataFrame({"c": column}))


def test_columns_of_text_alone_are_text():
    assert select(pd.DataFrame({"a": ["u"] * N, "b": ["v"] * N})).element_spec[0].dtype == "string"


def test_features_of_several_types():
    table = pd.DataFrame({"f": F, "b": B})
    source = tfml.adaptive_dataset((X, Y), "d2ace", 4, features=table)._selection.source
    np.testing.assert_array_equal(source.features, np.stack([F, B], axis=1))


# y as a table.


@pytest.mark.parametrize(
    "y",
    [
        pd.DataFrame(Y == 1, columns=list("abc")),
        pd.DataFrame(Y.astype(int), columns=list("abc")).astype("Int64"),
        pd.DataFrame(Y == 1, columns=list("abc")).astype("boolean"),
        pd.DataFrame({"a": Y[:, 0] == 1, "b": Y[:, 1].astype(int), "c": Y[:, 2]}),
        pd.DataFrame({"a": pd.array(Y[:, 0] == 1, "boolean"), "b": Y[:, 1], "c": Y[:, 2] == 1}),
    ],
    ids=["flags", "Int64", "boolean", "mixed", "mixed nullable"],
)
def test_labels_of_any_type_of_column(y):
    train = select(y=y)
    np.testing.assert_array_equal(rows(train)[1].astype("float32"), Y)
    assert train.label_names == ("a", "b", "c")
    assert tfml.label_statistics(y).counts.tolist() == Y.sum(axis=0).tolist()


def test_class_ids_of_a_nullable_column():
    train = select(y=pd.Series(IDS % 3, dtype="Int64"))
    assert rows(train)[1].tolist() == (IDS % 3).tolist()


# Lists of labels, and text.

LISTS = [["sea", "boat"], ["sea"], [], ["whale"]] * 3
HOT = [[0, 1, 0], [0, 1, 0], [0, 0, 0], [0, 0, 1]] * 3
HOT[0] = HOT[4] = HOT[8] = [1, 1, 0]  # boat, sea, whale


def array_of(lists):
    made = np.empty(len(lists), object)
    made[:] = lists
    return made


SEVERAL = {
    "lists": LISTS,
    "array of lists": array_of(LISTS),
    "series of lists": pd.Series(LISTS),
    "table of lists": pd.DataFrame({"labels": LISTS}),
    "series of arrays": pd.Series([np.array(each, "U5") for each in LISTS]),
    "list of sets": [set(each) for each in LISTS],
    "series of tuples": pd.Series([tuple(each) for each in LISTS]),
    "text |": pd.Series(["|".join(each) for each in LISTS]),
    "text , in a list": [", ".join(each) for each in LISTS],
    "text ; in an array": np.array(["; ".join(each) for each in LISTS]),
    "text and spaces": [" ".join(each) for each in LISTS],
    "text in a table": pd.DataFrame({"labels": ["|".join(each) for each in LISTS]}),
    "bytes": tf.constant(["|".join(each) for each in LISTS]),
    "ragged": tf.ragged.constant(LISTS),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_lists_of_labels_are_told_the_way_to_a_matrix_which_works(name):
    y = SEVERAL[name]
    said = refused(ValueError, r"`y` must .*Received: .+\. .* MultiLabelBinarizer", y=y)
    assert "np.unique" not in said or name == "text and spaces"
    code = re.search(r"from sklearn.*fit_transform\(.*?\)(?=\.$|\. Where)", said)[0]
    names = {"y": y, "np": np}
    exec(code, names)
    np.testing.assert_array_equal(names["y"], HOT)
    select(y=names["y"])


def test_lists_of_equal_length():
    ids = [[0, 1], [0, 2], [2, 1]] * 4
    said = refused(ValueError, r"Received: y\[1, 1\]=2\. Rows of label ids become", y=ids)
    from sklearn import preprocessing

    code = re.search(r"preprocessing.*?\(y\)", said)[0]
    assert eval(code, {"preprocessing": preprocessing, "y": ids})[0].tolist() == [1, 1, 0]
    texts = [["a", "b"], ["b", "c"]] * 6
    said = refused(ValueError, r"Rows of label names become a 0/1 matrix: from sklearn", y=texts)
    assert "np.unique" not in said


@pytest.mark.parametrize(
    "y", [["cat", "dog", "cow"] * 4, pd.Series(["cat", "dog", "cow"] * 4, dtype="category")]
)
def test_names_of_classes_become_ids(y):
    said = refused(ValueError, r"text such as 'cat'\. Class names become ids: y = ", y=y)
    assert "MultiLabelBinarizer" not in said
    names = {"y": y, "np": np}
    exec(re.search(r"y = np.*(?=\.$)", said)[0], names)
    assert names["y"].tolist() == [0, 2, 1] * 4
    select(y=names["y"])


def test_text_that_is_missing():
    y = pd.Series(["a|b", None, "c"] * 4)
    said = refused(ValueError, r"Received: .*\. Fill what is missing, y\.fillna\(''\)", y=y)
    names = {"y": y.fillna(""), "np": np}
    exec(re.search(r"from sklearn.*(?=\.$)", said)[0], names)
    assert names["y"][:3].tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize(
    "y", [Y.astype(int).astype(str), Y.astype(int).astype(object), np.array(["0", "1", "2"] * 4)]
)
def test_text_of_numbers_is_cast(y):
    said = refused(ValueError, r"Received: y\.dtype=.*\. Cast it, y\.astype\('int64'\)\.$", y=y)
    select(y=eval(re.search(r"y\.astype\('int64'\)", said)[0], {"y": y}))


# Tensors and paths.


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
def test_sparse_tensors_are_as_scipy_matrices(dtype):
    x, y = np.where(X > 0, X, 0).astype(dtype), Y.astype(dtype)
    train = select({"a": tf.sparse.from_dense(x)}, tf.sparse.from_dense(y))
    found_x, found_y = (
        np.concatenate(each)
        for each in zip(*((x["a"], y) for x, y in train.in_order()), strict=True)
    )
    np.testing.assert_allclose(found_x, x, rtol=1e-6)
    np.testing.assert_array_equal(found_y, y)
    assert tfml.label_statistics(tf.sparse.from_dense(y)).n == N


def test_other_sparse_tensors():
    text = tf.sparse.from_dense([["a", ""]] * N)
    refused(TypeError, r"Received: SparseTensor of shape \(12, 2\), string\. ", x=text)
    cube = tf.sparse.from_dense(X[:, :, None])
    refused(TypeError, r"Received: SparseTensor of shape \(12, 4, 1\)", x=cube)


def test_rows_of_labels_in_a_stream_with_advice_that_works():
    lists = [[0, 1], [0], [], [2]] * 4
    y = tf.ragged.constant(lists)
    data = tf.data.Dataset.from_tensor_slices((np.zeros((16, 2), "float32"), y))
    words = r"y of the same length|0/1 vector \(q,\)"
    with pytest.raises((TypeError, ValueError), match=words) as error:
        data.apply(tfml.adaptive(batch_size=2, window=8))
    advice = re.search(r"tf\.minimum\(.*?1\.0\)", str(error.value))[0]
    hot = data.map(lambda x, ids: (x, eval(advice, {"tf": tf, "ids": ids, "q": 3})))
    train = hot.apply(tfml.adaptive(batch_size=2, window=8))
    found = np.concatenate([y for _, y in train.in_order()])
    assert found.tolist() == [[1, 1, 0], [1, 0, 0], [0, 0, 0], [0, 0, 1]] * 4


@pytest.mark.parametrize("kind", [list, array_of, pd.Series, lambda paths: {"p": paths}])
def test_paths_are_text(kind):
    paths = [Path("images") / f"{i}.png" for i in range(N - 1)] + ["images/last.png"]
    x = select(kind(paths)).in_order()
    found = np.concatenate([x["p"] if isinstance(x, dict) else x for x, _ in x])
    assert [each.decode() for each in found] == [str(path) for path in paths]


# Of other libraries, where they are installed.


def test_columns_of_polars():
    polars = pytest.importorskip("polars")
    x = polars.DataFrame({"f": F, "b": B})
    np.testing.assert_allclose(rows(select(x))[0], np.stack([F, B], axis=1), rtol=1e-6)
    y = polars.DataFrame({"a": Y[:, 0] == 1, "b": Y[:, 1].astype(int)})
    assert select(y=y).label_names == ("a", "b")
    mixed = x.with_columns(kind=polars.Series(["u", "v"] * 6))
    said = refused(TypeError, r"Received: column 'kind' \(String\)\. Encode", x=mixed)
    code = re.search(r"x\.to_dummies\(.*?\)", said)[0]
    assert select(eval(code, {"x": mixed})).element_spec[0].shape[1:] == [4]


def test_columns_of_hugging_face_s_datasets():
    datasets = pytest.importorskip("datasets")
    lists = [["a", "b"], ["b"], [], ["c"]] * 3
    data = datasets.Dataset.from_dict({"text": ["t"] * N, "x": X.tolist(), "labels": lists})
    words = r"(?s)Received: Dataset\. .*\.to_tf_dataset\(.*batched=True"
    with pytest.raises(TypeError, match=words):
        tfml.adaptive(batch_size=2, window=8)(data)
    said = refused(ValueError, r"Received: .* MultiLabelBinarizer", y=data["labels"])
    names = {"y": data["labels"]}
    exec(re.search(r"from sklearn.*(?=\.$)", said)[0], names)
    np.testing.assert_array_equal(rows(select(data["x"], names["y"]))[0], X)
    assert select(data["text"], names["y"]).element_spec[0].dtype == tf.string
    hot = data.remove_columns("labels").add_column("y", list(names["y"].astype("float32")))
    stream = hot.to_tf_dataset(batch_size=5, columns="x", label_cols="y", shuffle=False)
    train = stream.apply(tfml.adaptive(batch_size=2, window=8, batched=True))
    np.testing.assert_array_equal(rows(train)[1], names["y"])
