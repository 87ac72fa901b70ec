"""Functions of single samples after selection: `map_samples`."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import sparse

import tfmlselect as tfml

N, BATCH = 10, 4
X = np.arange(N, dtype=np.float32)[:, None]  # a sample's x is its id
Y = np.random.default_rng(0).integers(0, 2, (N, 3)).astype(np.float32)
TEXTS = [f"{i} {i}" for i in range(N)]
ORDER = [3, 1, 4, 0, 5, 9, 2, 6, 5, 3]


def make(x=X, strategy="uniform", **options):
    return tfml.adaptive_dataset((x, Y), strategy, BATCH, seed=0, **options)


def follow(dataset, ids):
    """What the callback does with an epoch's plan."""
    dataset._selection.plan.follow(np.array(ids))


def numbers(text, y):
    """Of one text, and of no batch of them; its shape is not known before."""
    return tf.strings.to_number(tf.strings.split(text, " ")), y


def of_rank_0(path, y):
    return tf.io.read_file(path), y


@pytest.mark.parametrize("drop_remainder", [False, True])
def test_samples_come_in_the_plan_s_order(drop_remainder):
    train = make(TEXTS, drop_remainder=drop_remainder)
    train = train.map_samples(lambda text, y: (numbers(text, y)[0] + 1, y))
    order = ORDER[:8] if drop_remainder else ORDER
    follow(train, order)
    assert isinstance(train, tfml.AdaptiveDataset)
    assert train.element_spec[0].shape.as_list() == [BATCH if drop_remainder else None, 2]
    assert len(train) == len(list(train)) == -(-len(order) // BATCH)
    x, y = (np.concatenate(parts) for parts in zip(*train, strict=True))
    np.testing.assert_array_equal(x, np.stack([order, order], axis=1) + 1)
    np.testing.assert_array_equal(y, Y[order])
    assert [len(batch[0]) for batch in train] == [4, 4] + [2] * (not drop_remainder)


def test_in_order_goes_through_it_too():
    train = make(TEXTS).map_samples(numbers)
    x, y = (np.concatenate(parts) for parts in zip(*train.in_order(), strict=True))
    np.testing.assert_array_equal(x[:, 0], X[:, 0])
    np.testing.assert_array_equal(y, Y)
    assert train.in_order().cardinality() == 3


def test_maps_of_batches_and_of_samples_follow_one_another():
    train = make(TEXTS).map_samples(numbers).map(lambda x, y: (2 * x, y))
    train = train.prefetch(1).map_samples(lambda x, y: (tf.reduce_sum(x), y)).prefetch(1)
    follow(train, ORDER)
    assert np.concatenate([x for x, _ in train]).tolist() == [4 * i for i in ORDER]


@pytest.mark.parametrize("weigh", ["sample_weight", "importance_weights"])
def test_weights_go_through_it(weigh):
    given = np.linspace(1, 2, N, dtype="float32")
    options = {"sample_weight": given} if weigh == "sample_weight" else {"importance_weights": 1.0}
    train = make(TEXTS, **options).map_samples(lambda x, y, w: (*numbers(x, y), 2 * w))
    follow(train, ORDER)
    weights = np.concatenate([w for _, _, w in train])
    wanted = given[ORDER] if weigh == "sample_weight" else np.ones(N)
    np.testing.assert_allclose(weights, 2 * wanted)
    ones = np.concatenate([w for _, _, w in train.in_order()])
    np.testing.assert_allclose(ones, 2 * (given if weigh == "sample_weight" else np.ones(N)))


def test_structures():
    data = {"a": X, "b": (tf.ragged.constant([[i] * (i % 3) for i in range(N)]), sparse.eye(N))}
    train = make({"a": data["a"], "b": (data["b"][0], sparse.csr_matrix(data["b"][1]))})

    def rows(x, y):
        length = tf.size(x["b"][0]) if tf.reduce_sum(x["b"][0]) > 4 else -1  # autograph
        return [{"length": length, "a": (x["a"], tf.as_string(x["a"]))}, y]

    train = train.map_samples(rows)
    follow(train, ORDER)
    batches = [x for x, _ in train]
    length = np.concatenate([x["length"] for x in batches])
    assert length.tolist() == [i % 3 if i * (i % 3) > 4 else -1 for i in ORDER]
    assert np.concatenate([x["a"][0] for x in batches])[:, 0].tolist() == ORDER
    assert batches[0]["a"][1][0] == b"3.000000"


def test_a_single_dict():
    train = make().map(lambda x, y: {"x": x, "y": y}).map_samples(lambda one: (one["x"], one["y"]))
    assert train.element_spec[0].shape.as_list() == [None, 1]
    follow(train, ORDER)
    assert np.concatenate([x for x, _ in train])[:, 0].tolist() == ORDER


def test_a_fit_on_files(tmp_path):
    for i in range(N):
        pixels = np.full((4, 4, 1), 25 * i, "uint8")
        (tmp_path / f"{i}.png").write_bytes(tf.io.encode_png(pixels).numpy())
    paths = [str(tmp_path / f"{i}.png") for i in range(N)]

    def decode(path, y):  # says no shape
        return tf.image.convert_image_dtype(tf.io.decode_png(tf.io.read_file(path)), tf.float32), y

    train = make(paths, "online_batch").map_samples(decode)
    assert train.element_spec[0].shape.as_list() == [None, 4, 4, 1]
    model = tf.keras.Sequential([tf.keras.layers.Flatten(), tf.keras.layers.Dense(3, "sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    history = model.fit(train, epochs=2, verbose=0, callbacks=[tfml.AdaptiveBatchSelection(train)])
    assert np.isfinite(history.history["loss"]).all()
    first = model.predict(train.in_order(), verbose=0)
    pixels = np.stack([np.full((4, 4, 1), 25 * i / 255, "float32") for i in range(N)])
    np.testing.assert_allclose(first, model.predict(pixels, verbose=0), rtol=1e-4)


def test_a_stream():
    source = tf.data.Dataset.from_tensor_slices((TEXTS * 4, np.tile(Y, (4, 1))))
    train = source.apply(tfml.adaptive("uniform", 4, window=16, batched=False))
    x = np.concatenate([x for x, _ in train.map_samples(numbers).in_order()])
    np.testing.assert_array_equal(x[:, 0], np.tile(X[:, 0], 4))


@pytest.mark.parametrize("replicas", [2, 3])
def test_batches_are_cut_for_replicas(replicas):
    devices = tf.config.list_logical_devices("CPU")
    sizes = [BATCH // replicas + (r < BATCH % replicas) for r in range(replicas)]
    assert len(devices) >= 1
    train = make(TEXTS).map_samples(numbers)
    follow(train, ORDER)
    parts = [x[:, 0].numpy().astype(int).tolist() for x, _ in train.rebatch(sizes)]
    assert [i for part in parts for i in part] == ORDER
    assert [len(part) for part in parts[:replicas]] == sizes


# Errors.


def test_samples_of_different_shapes():
    train = make(["1", "1 2", *TEXTS[2:]]).map_samples(numbers)
    words = r"(?s)samples of one shape.*Received: .*\[2\].*first sample.*\[1\].*tf\.image\.resize"
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        list(train.in_order())


def test_samples_of_different_ranks():
    def tower(text, y):
        row, _ = numbers(text, y)
        return tf.reshape(row, tf.concat([[tf.size(row)], tf.ones(tf.size(row), tf.int32)], 0)), y

    train = make(["1", "1 2", *TEXTS[2:]]).map_samples(tower)
    words = r"(?s)samples of one shape.*\[2 1 1\].*first sample.*\[1 1\]"
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        list(train.in_order())


@pytest.mark.parametrize("given", [None, 3, "decode", (numbers,)])
def test_what_is_no_function(given):
    with pytest.raises(ValueError, match=r"`map_func` must be a function.*Received: map_func=.*\."):
        make().map_samples(given)


def test_batches_that_are_none():
    train = make().map(lambda x, y: (x, y, tf.constant(1.0)))
    with pytest.raises(ValueError, match=r"a row for each sample\. Received: element_spec=\(.*Do"):
        train.map_samples(lambda x, y, w: (x, y))


def joined(path, y):
    return tf.io.decode_raw(tf.io.read_file(path), tf.uint8), y


def of_one_row(x, y):
    return tf.tensordot(x, tf.ones([1]), [[0], [0]]), y


def own_error(x, y):
    if x.shape.rank != 1:
        raise KeyError("one row, please")
    return x, y


@pytest.mark.parametrize(
    ("x", "function", "error"),
    [
        (TEXTS, of_rank_0, ValueError),
        (TEXTS, joined, ValueError),
        (np.ones((N, 1, 1), "float32"), lambda x, y: (tf.ensure_shape(x, (1, 1)), y), ValueError),
        (X, own_error, KeyError),
        ({"path": TEXTS}, lambda x, y: of_rank_0(x["path"], y), ValueError),
    ],
)
@pytest.mark.parametrize("parallel", [None, tf.data.AUTOTUNE])
def test_a_function_of_samples_in_map_is_told_so_with_advice_that_works(
    x, function, error, parallel
):
    train = make(x)
    words = r"(?s)sees whole batches.*Received: \w+.*: .*\. For .* use \.map_samples\(function\)\."
    with pytest.raises(error, match=words) as caught:
        train.map(function, num_parallel_calls=parallel)
    assert isinstance(caught.value.__cause__, type(caught.value))
    if x is not TEXTS and "path" not in x:  # there are no such files
        train.map_samples(function)


def test_other_errors_of_maps_are_left_as_they_are():
    def fails(x, y):
        raise ValueError("on its own")

    with pytest.raises(ValueError, match="on its own") as caught:
        make().map(fails)
    assert "map_samples" not in str(caught.value)
    with pytest.raises((TypeError, ValueError)) as caught:  # and the function is for both
        make().map(lambda x, y: (x, y), num_parallel_calls="many")
    assert "map_samples" not in str(caught.value)
