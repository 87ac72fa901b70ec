"""What a stream may be: batches, unknown lengths and shapes, and x that is not what it was."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml

N, Q = 48, 3
RNG = np.random.default_rng(0)
X = np.c_[np.arange(N), RNG.normal(size=(N, 5))].astype("float32")
Y = (X[:, 1:4] > 0).astype("float32")
IDS = (np.arange(N) % 2).astype("int64")
PATHS = np.array([f"images/{i}.png" for i in range(N)])


def slices(x=X, y=Y, *rest):
    return tf.data.Dataset.from_tensor_slices((x, y, *rest))


def stream(data, **options):
    options = {"batch_size": 4, "window": 16, "seed": 0, **options}
    return data.apply(tfml.adaptive("online_batch", **options))


def model(q=Q):
    made = tf.keras.Sequential([tf.keras.layers.Dense(q, "sigmoid")])
    loss = "binary_crossentropy" if q == Q else "sparse_categorical_crossentropy"
    made.compile("sgd", loss)
    return made


def fit(train, q=Q, **options):
    model(q).fit(
        train, epochs=2, verbose=0, callbacks=[tfml.AdaptiveBatchSelection(train)], **options
    )


def generated(x=X, y=Y, x_shape=(None,), y_shape=(None,), dtype=tf.float32):
    signature = (tf.TensorSpec(x_shape, dtype), tf.TensorSpec(y_shape, y.dtype))
    return tf.data.Dataset.from_generator(
        lambda: zip(x, y, strict=True), output_signature=signature
    )


def is_whole(train, x=X, y=Y):
    """The samples in order are those given, of static shapes."""
    for batch_x, batch_y in train.in_order().take(1):
        np.testing.assert_array_equal(batch_x, x[: len(batch_x)])
        np.testing.assert_array_equal(batch_y, y[: len(batch_y)])
    assert all(spec.shape[1:].is_fully_defined() for spec in train.element_spec)
    assert len(train) == N // 4


# Batches.

BATCHES = {
    "ids": lambda: slices(X, IDS).batch(8),
    "ids, whole batches": lambda: slices(X, IDS).batch(8, drop_remainder=True),
    "one batch": lambda: slices(X, IDS).batch(N),
    "ids as floats": lambda: slices(X, IDS.astype("float32")).batch(8),
    "paths": lambda: slices(PATHS, IDS).batch(8),
    "several inputs": lambda: slices({"a": X, "b": X[:, None]}, IDS).batch(8),
    "images": lambda: slices(X[:, :, None], IDS).batch(16),
    "of generated samples": lambda: generated(y=IDS, x_shape=(6,), y_shape=()).batch(8),
}


@pytest.mark.parametrize("name", BATCHES)
def test_batches_of_class_ids_are_not_samples_with_labels(name):
    with pytest.raises(TypeError, match=r"look like batches.*Received: x of.*batched=True"):
        stream(BATCHES[name]())


@pytest.mark.parametrize("name", [name for name in BATCHES if name != "ids as floats"])
def test_batches_are_taken_apart_when_asked(name):
    train = stream(BATCHES[name](), batched=True)
    assert len(train) == N // 4
    assert train._selection.source.labels.single_label
    found = np.concatenate([y for _, y in train.in_order()])
    np.testing.assert_array_equal(found, IDS)


@pytest.mark.parametrize("second", [0, 20])
def test_a_second_pass_that_is_shorter(second):
    lengths = iter([N, second])

    def samples():
        for i in range(next(lengths, N)):
            yield X[i], Y[i]

    signature = (tf.TensorSpec([6]), tf.TensorSpec([Q]))
    data = tf.data.Dataset.from_generator(samples, output_signature=signature)
    with pytest.raises(ValueError, match=rf"Received: 48 samples in the first pass, {second} in"):
        stream(data)


@pytest.mark.parametrize("data", [lambda: slices(X, Y), lambda: slices(X[:, :2], Y)])
def test_batches_that_are_none(data):
    with pytest.raises(ValueError, match=r"no batches\. Received: batched=True, and element_spec="):
        stream(data(), batched=True)


def test_no_x():
    with pytest.raises(TypeError, match=r"Received: element_spec=\(\(\), "):
        stream(slices().map(lambda x, y: ((), y)))


def test_samples_are_not_taken_apart():
    with pytest.raises(TypeError, match=r"Received: batched=True, and y of TensorSpec\(shape=\(\)"):
        stream(slices(X, IDS), batched=True)


def test_batches_of_label_vectors_are_taken_apart_when_asked():
    weight = np.arange(N, dtype="float32")
    train = stream(slices(X, Y, weight).batch(7), batched=True)
    for x, _, w in train.take(3):
        np.testing.assert_array_equal(x[:, 0], w)
    with pytest.raises(TypeError, match=r"Received: y of .*\(None, 3\).*pass batched=True"):
        stream(slices().batch(7))


@pytest.mark.parametrize(
    "data",
    [
        lambda: slices(X[:, :Q], Y),  # as many features as labels
        lambda: slices(X[:, :Q, None], Y[:, : Q - 1]),
        lambda: slices(X[:, 0], Y),
        lambda: slices({"a": X[:, :Q, None], "b": X}, Y),
    ],
)
def test_samples_that_are_none_of_them(data):
    assert len(stream(data())) == N // 4


def test_a_sample_that_looks_like_a_batch_can_be_said_to_be_one():
    data = slices(X[:, :Q, None], Y)
    with pytest.raises(TypeError, match=r"one sample with a vector of labels, batched=False"):
        stream(data)
    assert len(stream(data, batched=False)) == N // 4


# Lengths and shapes.


@pytest.mark.parametrize(
    "data",
    [
        lambda: slices().filter(lambda x, y: True),
        lambda: generated(x_shape=(6,), y_shape=(Q,)),
        lambda: slices().batch(5).unbatch(),
        lambda: tf.data.Dataset.range(4).flat_map(
            lambda i: (
                tf.data.Dataset.from_tensor_slices((X.reshape(4, -1, 6), Y.reshape(4, -1, Q)))
                .skip(i)
                .take(1)
                .unbatch()
            )
        ),
    ],
)
def test_a_length_that_is_unknown_is_counted(data):
    train = stream(data())
    is_whole(train)
    fit(train)


@pytest.mark.parametrize("x_shape", [(None,), (6,), None])
@pytest.mark.parametrize("y_shape", [(None,), None])
def test_shapes_that_are_unknown_are_seen(x_shape, y_shape):
    train = stream(generated(x_shape=x_shape, y_shape=y_shape))
    is_whole(train)
    fit(train)


def test_a_length_and_shapes_of_parsed_records():
    def record(i):
        where = np.flatnonzero(Y[i])
        feature = {
            "x": tf.train.Feature(float_list=tf.train.FloatList(value=X[i])),
            "y": tf.train.Feature(int64_list=tf.train.Int64List(value=where)),
        }
        return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()

    form = {"x": tf.io.FixedLenFeature([6], tf.float32), "y": tf.io.VarLenFeature(tf.int64)}
    records = tf.data.Dataset.from_tensor_slices([record(i) for i in range(N)])
    parsed = records.map(lambda one: tf.io.parse_single_example(one, form))
    pairs = parsed.map(lambda one: (one["x"], one["y"]))
    with pytest.raises(TypeError, match=r"y of SparseTensorSpec.*tf\.sparse\.to_dense\(y\)"):
        stream(pairs)
    ids = pairs.map(lambda x, y: (x, tf.sparse.to_dense(y)))
    with pytest.raises(
        ValueError, match=r"y of the same length.*Received: [^{]*tf\.one_hot\(ids, q\)"
    ):
        stream(ids)
    hot = ids.map(lambda x, ids: (x, tf.reduce_sum(tf.one_hot(ids, Q), axis=0)))
    is_whole(stream(hot))


def test_x_of_different_lengths_is_said_with_advice_that_works():
    rows = [X[i, : 2 + i % 3] for i in range(N)]
    data = generated(rows)
    with pytest.raises(ValueError, match=r"Received: x of shapes from \(2,\) to \(4,\)") as error:
        stream(data)
    advice = r".map(lambda x, y: (tf.pad(x, [[0, 4 - tf.shape(x)[0]]]), y))"
    assert advice in str(error.value)
    padded = data.map(lambda x, y: (tf.pad(x, [[0, 4 - tf.shape(x)[0]]]), y))
    assert stream(padded).element_spec[0].shape[1:] == [4]


def test_sparse_x():
    data = slices().map(lambda x, y: (tf.sparse.from_dense(x), y))
    with pytest.raises(TypeError, match=r"x of SparseTensorSpec.*tf\.sparse\.to_dense\(x\)"):
        stream(data)
    is_whole(stream(data.map(lambda x, y: (tf.sparse.to_dense(x), y))))


def test_all_that_is_wrong_is_in_one_error():
    options = tf.data.Options()
    options.deterministic = False
    data = slices().batch(8).repeat().with_options(options)
    with pytest.raises(TypeError, match=r"\(None, 3\).*; infinite card.*; options\.deterministic"):
        stream(data)


def test_nan_in_labels_is_said():
    y = Y.copy()
    y[5, 1] = np.nan
    with pytest.raises(ValueError, match=r"0 and 1 only. Received: y\[5, 1\]=nan"):
        stream(slices(y=y))


def test_nan_in_class_ids_is_said():
    ids = np.where(np.arange(40) == 5, np.nan, np.arange(40) % 3)
    with pytest.raises(ValueError, match=r"missing.* Received: y\[5\]=nan"):
        tf.data.Dataset.from_tensor_slices((np.ones((40, 2), "f"), ids)).apply(
            tfml.adaptive(batch_size=4, window=16)
        )


@pytest.mark.parametrize("data", [lambda: slices(X, Y, Y), lambda: slices(X, Y, Y[:, :, None])])
def test_weights_of_labels(data):
    with pytest.raises(TypeError, match=r"sample_weight of TensorSpec.*one number a sample"):
        stream(data())


def weighed_by(weights, y=Y, shape=None):
    """A mapping that adds weights, whose shape it may not know."""

    def add(x, y):
        made = tf.numpy_function(lambda: weights, [], tf.float32)
        return x, y, tf.constant(weights) if shape is None else tf.ensure_shape(made, shape)

    return add


OF_LABELS = np.arange(1, Q + 1, dtype="float32")
UNKNOWN = tf.TensorShape(None)


@pytest.mark.parametrize("shape", [None, UNKNOWN, [None]], ids=["known", "unknown", "rank"])
def test_weights_of_labels_whatever_is_known_of_their_shape(shape):
    data = slices().map(weighed_by(OF_LABELS, shape=shape))
    said = r"the weight|sample_weight\)"
    with pytest.raises((TypeError, ValueError), match=rf"{said}.* Received: .*one number a sample"):
        stream(data)


@pytest.mark.parametrize("size", [Q, 8])
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("shape", [None, UNKNOWN, [None]], ids=["known", "unknown", "rank"])
def test_batches_with_weights_of_labels(size, whole, shape):
    """Also where a batch has as many samples as there are labels."""
    data = slices().batch(size, drop_remainder=whole).map(weighed_by(OF_LABELS, shape=shape))
    with pytest.raises((TypeError, ValueError, tf.errors.InvalidArgumentError)) as error:
        stream(data, batched=True)
    assert size == 8 or "one number a sample" in str(error.value)


@pytest.mark.parametrize("shape", [None, UNKNOWN, [None]], ids=["known", "unknown", "rank"])
@pytest.mark.parametrize("weights", [np.ones(Q, "f"), np.arange(N, dtype="f")], ids=["same", "own"])
def test_batches_with_weights_of_their_samples(weights, shape):
    size = len(weights)
    data = slices().batch(size, drop_remainder=True).map(weighed_by(weights, shape=shape))
    train = stream(data, batched=True)
    np.testing.assert_array_equal(
        np.concatenate([w for _, _, w in train.in_order()]), np.resize(weights, N)
    )


def test_batches_as_large_as_the_labels_with_weights_of_their_samples():
    weights = np.arange(1, N + 1, dtype="f")
    train = stream(slices(X, Y, weights).batch(Q), batched=True)
    np.testing.assert_array_equal(np.concatenate([w for _, _, w in train.in_order()]), weights)


def test_weights_that_become_vectors_later():
    def rows():
        for i in range(N):
            yield X[i], Y[i], np.float32(1) if i < 7 else OF_LABELS

    signature = tuple(tf.TensorSpec(None, tf.float32) for _ in range(3))
    data = tf.data.Dataset.from_generator(rows, output_signature=signature)
    with pytest.raises(ValueError, match=r"Received: 3 numbers, of rank 1, with sample 7\. Make"):
        stream(data)


def test_weights_that_are_texts():
    with pytest.raises(TypeError, match="sample_weight of TensorSpec"):
        stream(slices(X, Y, PATHS))


# x in later passes.


def in_other_order(*, first, per_class=True):
    """Samples of each class in one order in `first` passes, and in another one after these."""
    passes = itertools.count()

    def order():
        reverse = next(passes) >= first
        for kind in (0, 1):
            ids = np.flatnonzero(kind == IDS)
            yield from ids[::-1] if reverse else ids

    ids = tf.data.Dataset.from_generator(order, output_signature=tf.TensorSpec([], tf.int64))
    return ids


@pytest.mark.parametrize(
    "x",
    [X, X[:, 0], PATHS, X.astype("float16"), np.eye(N, dtype=bool)],
    ids=["floats", "numbers", "paths", "halves", "booleans"],
)
def test_another_order_behind_the_same_labels(x):
    data = in_other_order(first=1).map(lambda i: (tf.gather(x, i), tf.gather(IDS, i)))
    with pytest.raises(
        ValueError, match=r"another x in 48 of 48 samples.*shuffle=False.*x_changes"
    ):
        stream(data)


def test_one_of_several_inputs():
    data = in_other_order(first=1).map(
        lambda i: ({"a": tf.zeros([2]), "b": (tf.gather(PATHS, i),)}, tf.gather(IDS, i))
    )
    with pytest.raises(ValueError, match=r"another x in 48 of 48 samples"):
        stream(data)


def test_listed_files(tmp_path):
    for kind, number in itertools.product("ab", range(20)):
        (tmp_path / f"{kind}{number}.txt").write_text(f"{kind}{number}")

    def listed(**options):
        kinds = []
        for number, kind in enumerate("ab"):
            files = tf.data.Dataset.list_files(f"{tmp_path}/{kind}*.txt", **options)
            kinds.append(files.map(lambda path, number=number: (tf.io.read_file(path), number)))
        return kinds[0].concatenate(kinds[1])

    with pytest.raises(ValueError, match=r"the same labels and another x.*list_files"):
        stream(listed())
    assert len(stream(listed(shuffle=False))) == 10


def test_another_order_in_the_fit_is_noticed():
    data = in_other_order(first=2).map(lambda i: (tf.gather(X, i), tf.gather(IDS, i)))
    train = stream(data)
    with pytest.raises(RuntimeError, match=r"same labels and another x in \d+ of 48 samples"):
        fit(train, q=2)


def test_x_that_changes_on_purpose():
    rng = np.random.default_rng(0)  # TensorFlow's, under a global seed, begins anew in each pass

    def noise(x):
        return x + rng.normal(size=6).astype("float32")

    data = slices().map(
        lambda x, y: (tf.ensure_shape(tf.numpy_function(noise, [x], tf.float32), [6]), y)
    )
    with pytest.raises(ValueError, match=r"on purpose: adaptive\(\.\.\., x_changes=True\)"):
        stream(data)
    fit(stream(data, x_changes=True))
    train = stream(slices())
    model().fit(
        train.map(lambda x, y: (x + tf.random.normal(tf.shape(x)), y)),
        epochs=2,
        verbose=0,
        callbacks=[tfml.AdaptiveBatchSelection(train)],
    )


@pytest.mark.parametrize("x_shape", [(6,), (None,)])
def test_a_stream_is_known_by_some_of_its_x(x_shape):
    x = np.repeat(X, 40, axis=0)
    y = np.repeat(Y, 40, axis=0)
    source = stream(generated(x, y, x_shape=x_shape))._selection.source
    assert 60 < len(source.sketch) < 130
    assert source.sketch[0] == pytest.approx([X[0] @ np.cos(np.arange(6)), np.abs(X[0]).sum()])
    assert stream(slices(x, y), x_changes=True)._selection.source.sketch == []
    assert stream(slices(PATHS, IDS), batched=False)._selection.source.sketch == []


@pytest.mark.parametrize("name", ["batched", "x_changes"])
def test_flags(name):
    with pytest.raises(ValueError, match=f"`{name}` must be True or False. Received: {name}='yes'"):
        tfml.adaptive(**{name: "yes"})
