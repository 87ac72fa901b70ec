"""Selection from a `keras.utils.PyDataset`, which Keras 2 calls `Sequence`."""

import re

import numpy as np
import pytest
import tensorflow as tf
from scipy import sparse

import tfmlselect as tfml

N, Q, ROWS = 44, 3, 6  # seven batches of six and one of two
RNG = np.random.default_rng(0)
X = np.c_[np.arange(N), RNG.normal(size=(N, 5))].astype("float32")
Y = (X[:, 1:4] > 0).astype("float32")
WEIGHTS = np.linspace(1, 2, N, dtype="float32")
NAMES = np.array([f"sample {i}" for i in range(N)])


class Batches(tf.keras.utils.Sequence):
    """Batches of arrays, shuffled at each epoch's end as Keras' own example is."""

    def __init__(self, *arrays, make=lambda i, batch: batch):
        super().__init__()
        self.arrays, self.make, self.order, self.read = arrays, make, np.arange(N), []

    def __len__(self):
        return -(-N // ROWS)

    def __getitem__(self, i):
        self.read.append(i)
        ids = self.order[i * ROWS : (i + 1) * ROWS]
        cut = tf.nest.map_structure(lambda array: array[ids], self.arrays)
        return self.make(i, cut)

    def on_epoch_end(self):
        np.random.default_rng(1).shuffle(self.order)


def select(sequence, **options):
    return tfml.adaptive("online_batch", batch_size=4, window=16, seed=0, **options)(sequence)


def samples(dataset):
    """All samples of a dataset, part by part."""
    batches = [tf.nest.flatten(batch) for batch in dataset.as_numpy_iterator()]
    return [np.concatenate(parts) for parts in zip(*batches, strict=True)]


def trained(train, loss="binary_crossentropy", activation="sigmoid"):
    start = tf.keras.initializers.RandomUniform(-1, 1, seed=0)
    model = tf.keras.Sequential([tf.keras.layers.Dense(Q, activation, kernel_initializer=start)])
    model.compile("sgd", loss)
    callbacks = [tfml.AdaptiveBatchSelection(train)]
    history = model.fit(train, epochs=2, shuffle=False, verbose=0, callbacks=callbacks)
    return history.history


def test_a_fit_is_that_of_the_same_samples_as_a_stream():
    sequence = Batches(X, Y)
    train = select(sequence)
    slices = tf.data.Dataset.from_tensor_slices((X, Y))
    of_slices = select(slices)
    assert len(train) == len(of_slices) == N // 4
    assert train.element_spec == of_slices.element_spec
    found, expected = trained(train), trained(of_slices)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5)
    np.testing.assert_array_equal(sequence.order, np.arange(N))  # `on_epoch_end` was not called


def test_passes_read_whole_batches_in_order():
    sequence = Batches(X, Y)
    train = select(sequence)
    del sequence.read[:]
    first, again = samples(train.in_order()), samples(train.in_order())
    assert sequence.read == [*range(len(sequence))] * 2
    for one, other, given in zip(first, again, (X, Y), strict=True):
        np.testing.assert_array_equal(one, given)
        np.testing.assert_array_equal(other, given)


def test_what_a_batch_may_be():
    x = {"b": X, "a": (NAMES, X[:, :1].astype("float64"))}

    def make(i, batch):
        (x, y, weight), (names, numbers) = batch, batch[0]["a"]
        x = {"a": [names, numbers], "b": sparse.csr_matrix(x["b"])}
        return [x, tf.constant(y), weight]

    train = select(Batches(x, Y, WEIGHTS, make=make))
    a, b, c, y, weight = samples(train.in_order())  # keys in TensorFlow's order
    assert train.element_spec[0].keys() == {"a", "b"}
    assert c.dtype == tf.keras.backend.floatx()
    for found, given in ((b, X[:, :1]), (c, X), (y, Y), (weight, WEIGHTS)):
        np.testing.assert_array_equal(found, given)
    assert [name.decode() for name in a] == NAMES.tolist()


@pytest.mark.parametrize("column", [False, True])
def test_class_ids(column):
    ids = np.arange(N) % Q
    if column:
        with pytest.raises(ValueError, match=r"two columns or more.*Received"):
            select(Batches(X, ids[:, None]))
        return
    train = select(Batches(X, ids))
    assert train._selection.source.labels.single_label
    trained(train, "sparse_categorical_crossentropy", "softmax")


def test_features_are_made_of_single_samples():
    train = select(Batches(X, Y), features=lambda x: x[:2])
    np.testing.assert_array_equal(train._selection.source.features, X[:, :2])


def noisy(i, batch):
    x, y = batch
    return x + RNG.normal(size=x.shape).astype("float32"), y


def test_x_that_changes_is_said_with_advice_that_works():
    with pytest.raises(ValueError, match=r"another x in 44 of 44.*adaptive\(\.\.\., x_changes"):
        select(Batches(X, Y, make=noisy))
    trained(select(Batches(X, Y, make=noisy), x_changes=True))


def test_batches_in_another_order_in_each_pass():
    class Shuffled(Batches):
        def __getitem__(self, i):
            if i == 0:
                RNG.shuffle(self.order)
            return super().__getitem__(i)

    with pytest.raises(ValueError, match=r"passes with different labels"):
        select(Shuffled(X, Y))


# Errors.


class Strange(Exception):
    """An error of the user's."""


@pytest.mark.parametrize("error", [Strange, KeyError, ValueError, StopIteration, OSError])
@pytest.mark.parametrize("where", [0, 3])
def test_what_the_sequence_raises_is_shown(error, where):
    def make(i, batch):
        if i == where:
            raise error(f"no file for {i}")
        return batch

    with pytest.raises(error, match=f"no file for {where}"):
        select(Batches(X, Y, make=make))


def test_what_the_sequence_raises_in_a_fit_is_shown():
    late = []

    def make(i, batch):
        if late and i == 5:
            raise Strange("the disk is gone")
        return batch

    train = select(Batches(X, Y, make=make))
    late.append(True)
    with pytest.raises(tf.errors.OpError, match=r"(?s)Strange: the disk is gone.*in make"):
        trained(train)


OTHERS = {
    "wider": (
        lambda x, y: (np.c_[x, x], y),
        r"batch 7 with x of shape \(b, 12\), float32; batch 0 with x of shape \(b, 6\), float32",
    ),
    "another type": (lambda x, y: (x, y.astype(int)), r"y of shape \(b, 3\), int64; .*float32\."),
    "a weight more": (lambda x, y: (x, y, y[:, 0]), r"sample_weight of shape \(b,\), .*no sample_"),
    "two inputs": (lambda x, y: ((x, x), y), r"no x; .*x\[0\] of shape"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_later_batch_that_differs_in_more_than_its_rows(name):
    change, words = OTHERS[name]

    def make(i, batch):
        return change(*batch) if i == len(sequence) - 1 else batch

    sequence = Batches(X, Y, make=make)
    with pytest.raises(ValueError, match=rf"number of rows alone\. Received: .*{words}.*Pad or"):
        select(sequence)


def test_batches_of_another_form():
    for made in (lambda i, batch: batch[0], lambda i, batch: batch[:1], lambda i, batch: None):
        with pytest.raises(TypeError, match=r"must return batches.*Received: .* as batch 0\. Ret"):
            select(Batches(X, Y, make=made))
    with pytest.raises(ValueError, match="x with 5 rows, y with 6 rows"):
        select(Batches(X, Y, make=lambda i, batch: (batch[0][1:], batch[1])))
    ragged = tf.ragged.constant([[1.0], [1.0, 2.0]] * 3)
    with pytest.raises(TypeError, match=r"Received: x as a RaggedTensor.*\.to_tensor\(\)"):
        select(Batches(X, Y, make=lambda i, batch: (ragged, batch[1])))


@pytest.mark.parametrize("length", [0, None, float("inf"), NotImplementedError])
def test_a_length_that_is_none(length):
    class Endless(Batches):
        def __len__(self):
            if length is NotImplementedError:
                raise length
            return length

    with pytest.raises(ValueError, match=r"how many batches.*Received: Endless with .*__len__"):
        select(Endless(X, Y))


def test_keras_3_says_by_num_batches_that_there_is_no_end():
    class Endless(Batches):
        num_batches = None

    with pytest.raises(ValueError, match=r"Received: Endless with None batches\. Give"):
        select(Endless(X, Y))


def test_batches_are_always_taken_apart():
    assert len(select(Batches(X, Y), batched=True)) == N // 4
    with pytest.raises(ValueError, match=r"Received: batched=False\. Leave it out\."):
        select(Batches(X, Y), batched=False)


def test_threads_keep_the_order():
    sequence = Batches(X, Y)
    sequence.workers, sequence.use_multiprocessing = 4, False
    x, _ = samples(select(sequence).in_order())
    np.testing.assert_array_equal(x, X)


def test_arrays_are_asked_for_with_advice_that_works():
    sequence = Batches(X, Y)
    with pytest.raises(TypeError, match=r"Received: a PyDataset, Batches") as error:
        tfml.adaptive_dataset(sequence, batch_size=4)
    advice = re.search(r"adaptive\(batch_size=4, window=\.\.\.\)\(sequence\)", str(error.value))
    assert len(eval(f"tfml.{advice[0]}".replace("...", "16"))) == N // 4


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ((X, Y), r"tuple\. Arrays go into tfmlselect\.adaptive_dataset\(\(x, y\), \.\.\.\)"),
        ((each for each in zip(X, Y, strict=True)), r"generator\. A function that yields"),
        (lambda: zip(X, Y, strict=True), r"function\. A function that yields.*from_generator"),
        (None, "NoneType. Make a tf.data.Dataset"),
    ],
    ids=["arrays", "generator", "function", "nothing"],
)
def test_what_is_no_stream(source, words):
    with pytest.raises(TypeError, match=rf"selects from a tf\.data\.Dataset.*Received: {words}"):
        select(source)
