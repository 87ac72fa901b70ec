"""Labels that are one part of y, or several of them, in arrays and in streams."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import sparse

import tfmlselect as tfml

N = 24
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 4)).astype("float32")
TAGS = (X[:, :3] > [0.0, 0.3, 0.6]).astype("int64")
PRICE = X[:, 3:] * 2
HEADS = {"sea": TAGS[:, 0], "boat": TAGS[:, 1:2], "gull": TAGS[:, 2], "price": PRICE}


def arrays(y, strategy="uniform", **options):
    return tfml.adaptive_dataset((X, y), strategy, 4, seed=0, **options)


def stream(y, **options):
    source = tf.data.Dataset.from_tensor_slices((X, y))
    return source.apply(tfml.adaptive("uniform", 4, window=16, seed=0, **options))


def in_order(train):
    """All of y, in the order of the samples."""
    batches = [y for _, y in train.in_order()]
    return tf.nest.map_structure(lambda *parts: np.concatenate(parts), *batches)


MAKERS = pytest.mark.parametrize("make", [arrays, stream])
PARTS = [
    ({"tags": TAGS, "price": PRICE}, "tags", TAGS, None),
    ((PRICE, TAGS), 1, TAGS, None),
    ({"tags": TAGS}, None, TAGS, None),
    ((TAGS,), None, TAGS, None),
    (HEADS, ["sea", "boat", "gull"], TAGS, ("sea", "boat", "gull")),
    (HEADS, ("gull", "sea"), TAGS[:, [2, 0]], ("gull", "sea")),
    (tuple(HEADS.values()), [0, 1, 2], TAGS, ("0", "1", "2")),
    ({"a": TAGS[:, :2], "b": TAGS[:, 2], "c": PRICE}, ["b", "a"], TAGS[:, [2, 0, 1]], "b a/0 a/1"),
    ({"tags": TAGS, "more": {"price": PRICE, "stars": X}}, "tags", TAGS, None),
    ({"tags": TAGS.argmax(axis=1), "price": PRICE}, "tags", np.eye(3)[TAGS.argmax(axis=1)], None),
]


@MAKERS
@pytest.mark.parametrize(("y", "labels", "expected", "names"), PARTS, ids=range(len(PARTS)))
def test_parts_are_the_labels_and_the_rest_goes_along(make, y, labels, expected, names):
    train = make(y, labels=labels)
    np.testing.assert_array_equal(train.label_matrix, expected)
    assert train.label_names == (tuple(names.split()) if isinstance(names, str) else names)
    tf.nest.map_structure(np.testing.assert_allclose, in_order(train), y)


@MAKERS
def test_names_that_are_given(make):
    train = make(HEADS, labels=["sea", "boat"], label_names=["x", "y"])
    assert train.label_names == train.label_statistics().label_names == ("x", "y")
    with pytest.raises(ValueError, match=r"each of the 2 labels\. Received: label_names="):
        make(HEADS, labels=["sea", "boat"], label_names=["x", "y", "z"])


@MAKERS
def test_importance_weights_beside_several_parts(make):
    train = make(HEADS, labels=["sea", "boat"], importance_weights=1.0)
    for x, y, weight in [*train.take(1), *train.in_order().take(1)]:
        assert len(x) == len(y["price"]) == len(weight) == 4


def test_a_list_of_arrays_is_several_parts():
    train = arrays([TAGS, PRICE], labels=0)
    assert isinstance(train.element_spec[1], tuple)
    np.testing.assert_array_equal(arrays([*TAGS.T], labels=[0, 1, 2]).label_matrix, TAGS)
    rows = arrays([*TAGS])  # of one matrix
    assert rows.element_spec[1].shape == (4, 3)
    with pytest.raises(ValueError, match=r"several parts.*Say which: labels=\[0, 1, 2\]\."):
        arrays([*TAGS.T])


def test_sparse_parts_are_joined():
    y = {"a": sparse.csr_matrix(TAGS[:, :2]), "b": sparse.csr_matrix(TAGS[:, 2:]), "c": TAGS[:, 0]}
    np.testing.assert_array_equal(arrays(y, labels=["b", "a"]).label_matrix, TAGS[:, [2, 0, 1]])
    mixed = arrays(y, labels=["a", "c"])
    np.testing.assert_array_equal(mixed.label_matrix, TAGS[:, [0, 1, 0]])
    np.testing.assert_array_equal(in_order(mixed)["b"], TAGS[:, 2:])


def test_tables_have_names():
    pandas = pytest.importorskip("pandas")
    first = pandas.DataFrame(TAGS[:, :2], columns=["sea", "boat"])
    second = pandas.DataFrame(TAGS[:, 1:], columns=["boat", "gull"])
    y = {"a": first, "b": second, "c": first["sea"]}
    assert arrays(y, labels="a").label_names == ("sea", "boat")
    assert arrays(y, labels=["a", "c"]).label_names == ("sea", "boat", "c")
    assert arrays(y, labels=["a", "b"]).label_names == ("a/sea", "a/boat", "b/boat", "b/gull")
    nullable = {key: part.astype("Int64") for key, part in y.items()}
    np.testing.assert_array_equal(arrays(nullable, labels=["b", "a"]).label_matrix[:, 2:], first)


@pytest.mark.parametrize("stream", [False, True])
def test_parts_with_unknown_labels_are_joined(stream):
    """NaN in one part, whole numbers in another."""
    some = np.where(np.arange(len(TAGS)) % 3 == 0, np.nan, TAGS[:, 0]).astype("float32")
    y = {"a": some, "b": TAGS[:, 1:], "price": some[::-1].copy()}
    kept = {key: y[key] for key in ("a", "b")}
    x = np.zeros((len(TAGS), 1), "float32")
    options = {"labels": ["b", "a"], "missing": np.nan}
    if stream:
        source = tf.data.Dataset.from_tensor_slices((x, kept))
        train = source.apply(tfml.adaptive("uniform", 2, window=8, **options))
    else:
        train = tfml.adaptive_dataset((x, kept), "uniform", 2, **options)
        tfml.adaptive_dataset((x, y), "uniform", 2, **options)  # other parts may hold NaN too
        whole = {**y, "a": TAGS[:, 0]}
        with pytest.raises(ValueError, match=r"`y\['price'\]` must be finite"):
            tfml.adaptive_dataset((x, whole), "uniform", 2, labels=["b", "a"])
    np.testing.assert_array_equal(train.label_matrix, np.column_stack([TAGS[:, 1:], some]))
    np.testing.assert_array_equal(
        train.label_statistics().known,
        [len(TAGS)] * (TAGS.shape[1] - 1) + [np.isfinite(some).sum()],
    )


WRONG = [
    ({"tags": TAGS, "price": PRICE}, None, r"y={'tags': \(24, 3\) int64, 'price': .*='tags'"),
    ((PRICE, TAGS), None, r"y=\(\(24, 1\) float32, \(24, 3\) int64\)\. .*labels=1\."),
    (
        {"a": TAGS[:, 0], "b": TAGS[:, 1:2], "c": PRICE},
        None,
        r"'b': \(24, 1\) int64.*labels=\['a', 'b'\]\.",
    ),
    ({"a": TAGS, "b": {"c": PRICE}}, None, r"'b': {'c': \(24, 1\) float32}}\. .*labels='a'\."),
    ({"tags": TAGS, "price": PRICE}, "tag", r"labels='tag', y={'tags'.*one or more of \['tags', "),
    ({"a": TAGS, "b": {"c": PRICE}}, "b", r"labels='b', y=.*one or more of \['a'\]"),
    ((TAGS, PRICE), 2, r"labels=2, y=.*one or more of \[0, 1\]"),
    (TAGS, "tags", r"labels='tags', y=\(24, 3\) int64\. Leave `labels` out"),
    (HEADS, ["sea"], r"labels=\['sea'\], one column\. .*labels='sea' for class ids"),
    (HEADS, ["sea", "price"], r"Received: y\[\['sea', 'price'\]\]\[0, 1\]="),
    ({"a": TAGS, "b": PRICE}, "b", r"`y\['b'\]` must be a 0/1 matrix.*Received: y\['b'\].shape"),
    ({"a": TAGS, "b": X[:, None]}, ["a", "b"], r"y\['b'\] of shape \(24, 1, 4\)"),
    ({"a": TAGS, "b": TAGS[:5, 0]}, ["a", "b"], r"parts of 24, 5 rows"),
    ({"a": TAGS, "b": PRICE[:5]}, "a", r"x with 24 rows, y\['b'\] with 5 rows"),
]


@pytest.mark.parametrize(("y", "labels", "message"), WRONG, ids=range(len(WRONG)))
def test_what_is_no_part_with_labels(y, labels, message):
    with pytest.raises(ValueError, match=message):
        arrays(y, labels=labels)


IN_STREAMS = [
    ({"tags": TAGS, "price": PRICE}, None, r"y={'tags': \(3,\) int64, 'price': \(1,\) float32}.*'"),
    (HEADS, "seas", r"labels='seas', y={'sea': \(\) int64, "),
    (TAGS, "tags", r"labels='tags', y=\(3,\) int64"),
    (HEADS, ["sea"], r"y\[\['sea'\]\]"),
]


@pytest.mark.parametrize(("y", "labels", "message"), IN_STREAMS, ids=range(len(IN_STREAMS)))
def test_what_is_no_part_of_a_stream_with_labels(y, labels, message):
    with pytest.raises(ValueError, match=message):
        stream(y, labels=labels)


@pytest.mark.parametrize("labels", [True, "", -1, [], [0, 0], {"tags"}, [None], 1.5])
@MAKERS
def test_labels_are_keys_or_indices(make, labels):
    with pytest.raises(ValueError, match=r"`labels` must be the key or index.*Received: labels="):
        make(HEADS, labels=labels)


@pytest.mark.parametrize(("labels", "columns"), [("m", [0, 1, 2]), (["gull", "m"], [2, 0, 1, 2])])
def test_batches_of_several_parts(labels, columns):
    y = {**HEADS, "m": TAGS}
    batched = tf.data.Dataset.from_tensor_slices((X, y)).batch(5)
    options = {"window": 16, "labels": labels}
    train = batched.apply(tfml.adaptive("uniform", 4, batched=True, **options))
    np.testing.assert_array_equal(train.label_matrix, TAGS[:, columns])
    with pytest.raises(TypeError, match=r"Leave \.batch"):
        batched.apply(tfml.adaptive("uniform", 4, **options))


def test_samples_whose_shapes_are_not_known():
    def samples():
        for i in range(N):
            yield X[i], {"m": TAGS[i], "p": PRICE[i, : 1 + ragged * (i % 2)]}

    ragged, numbers = 0, tf.TensorSpec([None], "float32")
    spec = (numbers, {"m": tf.TensorSpec([None], "int64"), "p": numbers})
    source = tf.data.Dataset.from_generator(samples, output_signature=spec)
    make = tfml.adaptive("uniform", 4, window=16, labels=["m"])
    train = source.apply(make)
    assert train.element_spec[1]["p"].shape[1:] == (1,)
    np.testing.assert_array_equal(train.label_matrix, TAGS)
    ragged = -1
    with pytest.raises(ValueError, match=r"Received: y of shapes from \(0,\).*\(x, tf.pad\(y, "):
        source.apply(make)


def test_a_run_with_other_parts_is_another_run(tmp_path):
    y = {"a": TAGS, "b": TAGS}
    model = tf.keras.Sequential([tf.keras.Input((4,)), tf.keras.layers.Dense(3, "sigmoid")])
    model.compile("sgd", "mse")

    def alone(x, y):
        return x, y["a"]

    def callback(labels):
        train = arrays(y, labels=labels).map(alone)
        return train, tfml.AdaptiveBatchSelection(train, backup_dir=tmp_path)

    train, first = callback("a")
    model.fit(train, verbose=0, callbacks=[first])
    assert callback("a")[1].restore(model) == 1
    with pytest.raises(ValueError, match=r"another run\. Received: label_parts="):
        callback("b")[1].restore(model)


def test_other_functions_take_the_labels_alone():
    for function in (tfml.label_statistics, tfml.potential):
        with pytest.raises(
            ValueError, match=r"Received: y={'tags': \(24, 3\) int64, .*y\['tags'\]"
        ):
            function({"tags": TAGS, "price": PRICE})
