"""Two kinds of input in one data set: unknown labels, weights of 0, parts of y, maps, batches."""

import warnings

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml
from tfmlselect.losses import Masked

N, Q = 48, 3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 4)).astype("float32")
Y = (X[:, :Q] > [0.0, 0.3, 0.6]).astype("float32")
UNKNOWN = RNG.random((N, Q)) < 0.3
WITH_NAN = np.where(UNKNOWN, np.float32(np.nan), Y)
WEIGHT = np.where(np.arange(N) % 4 == 0, 0.0, 1.0).astype("float32")
Sequence = getattr(tf.keras.utils, "PyDataset", None) or tf.keras.utils.Sequence


def model_with(loss, rate=0.0):
    tf.keras.utils.set_random_seed(0)
    model = tf.keras.Sequential([tf.keras.layers.Dense(Q, "sigmoid")])
    model.compile(tf.keras.optimizers.SGD(rate), loss)
    return model


def fitted(train, loss, epochs=3):
    """What the callback kept of a fit whose warnings are errors, but for known ones."""
    selection = tfml.AdaptiveBatchSelection(train)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Some samples would come more often")
        model_with(loss).fit(train, epochs=epochs, verbose=0, callbacks=[selection])
    return selection.history


@pytest.mark.parametrize("masking", [False, True])
def test_a_map_that_puts_another_number_where_labels_are_unknown(masking):
    """No figure changes, and no warning is given of a loss that knows the number."""

    def loss(missing):
        if not masking:
            return Masked(missing=missing)
        odds = tfml.label_statistics(WITH_NAN, missing=np.nan).odds
        return tfml.losses.PartialLabelMasking(odds=odds, rate=0.5, missing=missing)

    def made():
        return tfml.adaptive_dataset((X, WITH_NAN), batch_size=8, seed=0, missing=np.nan)

    plain = fitted(made(), loss(np.nan))
    mapped = made().map(lambda x, y: (x, tf.where(tf.math.is_nan(y), -1.0, y)))
    filled = fitted(mapped, loss(-1))
    assert filled.keys() == plain.keys()
    assert "selection/variance_ratio" in plain
    for name, values in plain.items():
        np.testing.assert_allclose(filled[name], values, rtol=1e-5, err_msg=name)


def test_losses_of_reference_with_weights_of_0():
    losses = RNG.random(N)
    for count in (N - 1, N + 4, 500):
        wrong = tfml.strategies.Learnability(np.resize(losses, count))
        with pytest.raises(ValueError, match=r"those of this training set.*Received: shape"):
            tfml.adaptive_dataset((X, Y), wrong, 8, sample_weight=WEIGHT)
    kept = np.flatnonzero(WEIGHT)
    for given in (losses, losses[kept]):
        right = tfml.strategies.Learnability(given)
        train = tfml.adaptive_dataset((X, Y), right, 8, sample_weight=WEIGHT)
        found = train.strategy.score_parts(np.arange(len(kept)))["reference"]
        np.testing.assert_allclose(found, -losses[kept], rtol=1e-6)


class Batches(Sequence):
    def __init__(self, *arrays, size=8):
        super().__init__()
        self.arrays, self.size = arrays, size

    def __len__(self):
        return N // self.size

    def __getitem__(self, number):
        rows = slice(self.size * number, self.size * (number + 1))

        def cut(part):
            if isinstance(part, dict):
                return {key: value[rows] for key, value in part.items()}
            return None if part is None else part[rows]

        return tuple(cut(part) for part in self.arrays)


PARTS = {"tags": WITH_NAN, "price": X[:, :1]}


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["None", "zeros"])
def test_batches_with_parts_weights_and_unknown_labels(weight):
    """As the same samples in arrays, from which those of weight 0 were taken by hand."""
    options = {"labels": "tags", "missing": np.nan, "seed": 0}
    adaptive = tfml.adaptive("label_balanced", batch_size=8, window=48, **options)
    found = [adaptive(Batches(X, PARTS, weight))]
    if weight is not None:
        source = tf.data.Dataset.from_tensor_slices((X, PARTS, weight)).batch(8)
        batched = tfml.adaptive("label_balanced", 8, window=48, batched=True, **options)
        found.append(source.apply(batched))
    for train in found:
        kept = np.arange(N) if weight is None else np.flatnonzero(weight)
        np.testing.assert_array_equal(train.label_matrix[kept], WITH_NAN[kept])
        np.testing.assert_array_equal(
            np.flatnonzero(train.probabilities), kept[np.flatnonzero(train.probabilities[kept])]
        )
        counts = train.label_statistics().counts
        np.testing.assert_array_equal(counts, (WITH_NAN[kept] == 1).sum(axis=0))


@pytest.mark.parametrize("shape", [(N,), (N, 1)])
@pytest.mark.parametrize("make", [Masked, tfml.losses.AsymmetricLoss])
def test_an_output_of_one_label_each_with_unknown_labels(shape, make):
    names = ["sea", "boat"]
    parts = {name: WITH_NAN[:, j].reshape(shape) for j, name in enumerate(names)}
    train = tfml.adaptive_dataset((X, parts), labels=names, batch_size=8, missing=np.nan)
    inputs = tf.keras.Input((4,))
    outputs = {name: tf.keras.layers.Dense(1, "sigmoid", name=name)(inputs) for name in names}
    model = tf.keras.Model(inputs, outputs)
    model.compile("adam", {name: make(missing=np.nan) for name in names})
    selection = tfml.AdaptiveBatchSelection(train)
    history = model.fit(train, epochs=2, verbose=0, callbacks=[selection]).history
    assert np.all(np.isfinite(history["loss"]))
    assert np.all(np.isfinite(selection.history["selection/variance_ratio"]))


@pytest.mark.parametrize("stream", [False, True])
def test_two_outputs_of_the_same_unknown_labels(stream):
    parts = {"a": WITH_NAN, "b": WITH_NAN}
    options = {"labels": "a", "missing": np.nan, "batch_size": 8, "seed": 0}
    if stream:
        source = tf.data.Dataset.from_tensor_slices((X, parts))
        train = source.apply(tfml.adaptive(window=48, **options))
    else:
        train = tfml.adaptive_dataset((X, parts), **options)
    inputs = tf.keras.Input((4,))
    outputs = {name: tf.keras.layers.Dense(Q, "sigmoid", name=name)(inputs) for name in parts}
    model = tf.keras.Model(inputs, outputs)
    model.compile("adam", {name: Masked(missing=np.nan) for name in parts})
    selection = tfml.AdaptiveBatchSelection(train, output=["a", "b"])
    history = model.fit(train, epochs=2, verbose=0, callbacks=[selection]).history
    assert np.all(np.isfinite(history["loss"]))


def test_weights_of_samples_that_go_round_with_the_batches():
    """Where a batch has as many samples as there are labels, a map does not make them others'."""
    weight = np.tile([1.0, 2.0, 3.0], N // 3).astype("float32")
    train = tfml.adaptive_dataset((X, Y), "uniform", Q, sample_weight=weight)
    mapped = train.map(lambda x, y, w: (2 * x, y, w))
    model_with("binary_crossentropy").fit(
        mapped, verbose=0, callbacks=[tfml.AdaptiveBatchSelection(mapped)]
    )


def test_samples_of_weight_0_need_not_be_readable(tmp_path):
    paths = [str(tmp_path / f"{i}.txt") for i in range(N)]
    for path in np.array(paths)[WEIGHT > 0]:
        with open(path, "w") as file:
            file.write("1 2")

    def read(path, y, weight):
        return tf.strings.to_number(tf.strings.split(tf.io.read_file(path))), y, weight

    train = tfml.adaptive_dataset((paths, Y), "uniform", 8, sample_weight=WEIGHT)
    mapped = train.map_samples(read)
    model_with("binary_crossentropy").fit(
        mapped, verbose=0, callbacks=[tfml.AdaptiveBatchSelection(mapped)]
    )


def test_parts_of_tables_and_sparse_tensors_are_joined():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"sea": Y[:, 0] > 0, "boat": Y[:, 1].astype("int8")})
    unknown = pandas.DataFrame(WITH_NAN[:, 1:], columns=["b", "w"]).astype("Int64")
    y = {"t": table, "s": tf.sparse.from_dense(Y)}
    train = tfml.adaptive_dataset((X, y), labels=["t", "s"], batch_size=8)
    np.testing.assert_array_equal(train.label_matrix, np.hstack([Y[:, :2], Y]))
    y["u"] = unknown
    train = tfml.adaptive_dataset((X, y), labels=["u", "t"], batch_size=8, missing=np.nan)
    np.testing.assert_array_equal(train.label_matrix, np.hstack([WITH_NAN[:, 1:], Y[:, :2]]))


@pytest.mark.parametrize("missing", [None, np.nan])
def test_a_number_of_numpy_names_a_part(missing):
    y = (Y if missing is None else WITH_NAN, X[:, :1])
    train = tfml.adaptive_dataset((X, y), labels=np.int64(0), batch_size=8, missing=missing)
    np.testing.assert_array_equal(train.label_matrix, y[0])


def test_what_labels_may_be_meant_with_unknown_ones():
    y = {"tags": WITH_NAN, "sex": Y[:, 0]}
    with pytest.raises(ValueError, match=r"Say which: labels='tags'\."):
        tfml.adaptive_dataset((X, y), missing=np.nan)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"sample_weight": {"tags": WEIGHT}}, r"one number >= 0 a sample.*dict"),
        ({"sample_weight": [None] * N}, r"one number >= 0 a sample.*NoneType"),
    ],
    ids=["dict", "None"],
)
def test_weights_of_another_form(arguments, said):
    with pytest.raises(TypeError, match=said):
        tfml.adaptive_dataset((X, Y), "uniform", 8, **arguments)


def test_a_reference_model_of_several_outputs():
    inputs = tf.keras.Input((4,))
    outputs = {name: tf.keras.layers.Dense(Q, "sigmoid", name=name)(inputs) for name in "ab"}
    with pytest.raises(ValueError, match=r"one output\. Received: predictions as a dict of 2"):
        tfml.strategies.Learnability.from_model(tf.keras.Model(inputs, outputs), X, Y)


@pytest.mark.parametrize("name", ["map", "map_samples"])
def test_a_map_that_forgets_the_weights(name):
    train = tfml.adaptive_dataset((X, Y), "uniform", 8, sample_weight=WEIGHT)
    said = r"Received: \(x, y\) for 3 of them\. Give it as many"
    with pytest.raises(TypeError, match=said):
        getattr(train, name)(lambda x, y: (2 * x, y))
    getattr(train, name)(lambda x, *rest: (2 * x, *rest))
