"""Selection from a `tf.data.Dataset` of single samples, read a window at a time."""

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml
from tests.support.watching import Watch
from tfmlselect.strategies import D2ACE, HardImbalance, OnlineBatch

N, Q, BATCH, WINDOW = 103, 3, 4, 40
RNG = np.random.default_rng(0)
X = np.c_[np.arange(N), RNG.normal(size=(N, 4))].astype("float32")
Y = (X[:, 1:4] > [0.0, 0.7, 1.2]).astype("float32")
STEPS = -(-N // BATCH)


def source(*extra, x=X, y=Y):
    return tf.data.Dataset.from_tensor_slices((x, y, *extra))


def stream(strategy="online_batch", data=None, **options):
    data = source() if data is None else data
    options = {"batch_size": BATCH, "window": WINDOW, "seed": 0, **options}
    return data.apply(tfml.adaptive(strategy, **options))


def make_model(q=Q, activation="sigmoid"):
    start = tf.keras.initializers.RandomUniform(-1, 1, seed=1)
    model = tf.keras.Sequential(
        [
            tf.keras.Input((5,)),
            tf.keras.layers.Normalization(mean=0.0, variance=100.0),
            tf.keras.layers.Dense(q, activation, kernel_initializer=start),
        ]
    )
    loss = "binary_crossentropy" if activation == "sigmoid" else "sparse_categorical_crossentropy"
    model.compile(tf.keras.optimizers.SGD(0.1), loss)
    return model


def fit(train, epochs=3, model=None, given=None, **options):
    model = model or make_model()
    watch = Watch(train)
    callbacks = [tfml.AdaptiveBatchSelection(train, verbose_logs=True, **options), watch]
    data = given if given is not None else train
    history = model.fit(data, epochs=epochs, verbose=0, shuffle=False, callbacks=callbacks)
    return watch, history.history


def read(dataset):
    return np.concatenate([batch[0][:, 0].numpy() for batch in dataset]).astype(int)


def test_length_and_batches():
    train = stream()
    assert len(train) == STEPS
    batches = list(train.take(STEPS))
    assert [len(batch[0]) for batch in batches] == [BATCH] * (STEPS - 1) + [N % BATCH]
    assert len(stream(drop_remainder=True)) == N // BATCH


def test_unattached_iterations_are_window_shuffles():
    train = stream()
    first, second = read(train.take(STEPS)), read(train.take(STEPS))
    for ids in (first, second):
        assert sorted(ids) == list(range(N))
        assert np.abs(np.arange(N) - ids).max() < 2 * WINDOW
    assert (first != second).any()


def test_in_order():
    np.testing.assert_array_equal(read(stream().in_order()), np.arange(N))


def test_what_is_trained_is_what_was_planned():
    train = stream(OnlineBatch(8.0, warmup=1))
    seen = []

    class Model(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = make_model()

        def call(self, x):
            seen.append(x[:, 0].numpy().astype(int))
            return self.inner(x)

    model = Model()
    model.compile("sgd", "binary_crossentropy", run_eagerly=True)
    watch, _ = fit(train, model=model)
    trained = np.concatenate(seen)[-3 * N :].reshape(3, N)
    np.testing.assert_array_equal(trained, watch.plans)


def test_recorded_predictions_are_those_of_the_planned_samples():
    """A model that does not learn: the next distribution is that of its predictions."""
    train = stream(OnlineBatch(8.0, warmup=1))
    model = make_model()
    model.optimizer.learning_rate.assign(0.0)
    watch, _ = fit(train, epochs=2, model=model)
    alone = OnlineBatch(8.0, warmup=1, epochs=2)
    alone.build(Y)
    alone.observe(np.arange(N), model.predict(X, verbose=0))
    np.testing.assert_allclose(watch.distributions[1], alone.probabilities(0), rtol=1e-9)


def test_expected_counts_follow_the_distribution():
    train = stream(OnlineBatch(8.0, warmup=1))
    watch, _ = fit(train)
    owed = np.zeros(N)
    for ids, p in zip(watch.plans[1:], watch.distributions[1:], strict=True):
        owed += N * p - np.bincount(ids, minlength=N)
        assert np.abs(owed).max() < 1.1  # a little over one, where the distribution changes
    assert watch.distributions[1].max() > 2 * watch.distributions[1].min()


def test_warm_up_shuffles_inside_windows():
    watch, _ = fit(stream(OnlineBatch(8.0, warmup=2)))
    for ids in watch.plans[:2]:
        assert sorted(ids) == list(range(N))
    assert sorted(watch.plans[2]) != list(range(N))


def test_plans_are_a_function_of_the_seed():
    def plans(seed):
        return np.array(fit(stream(OnlineBatch(8.0, warmup=1), seed=seed))[0].plans)

    first = plans(0)
    np.testing.assert_array_equal(first, plans(0))
    assert (first != plans(1)).any()


def test_map_after_selection():
    train = stream()
    _, history = fit(train, given=train.map(lambda x, y: (x * 2.0, y)))
    assert len(history["selection/unique_samples"]) == 3


def test_sample_weights_travel_along():
    weight = np.arange(N, dtype="float32")
    train = stream(data=source(weight))
    for x, _, w in train.take(3):
        np.testing.assert_array_equal(x[:, 0], w)


def test_class_ids():
    ids = np.arange(N) % 3
    train = stream(data=source(y=ids))
    _, history = fit(train, model=make_model(3, "softmax"))
    assert np.isfinite(history["loss"]).all()


def test_features_by_a_function():
    train = stream(D2ACE(neighbors=2, warmup=1), features=lambda x: x[1:])
    np.testing.assert_allclose(train._selection.source.features, X[:, 1:])
    fit(train)


def test_structures_and_strings():
    x = {"text": np.array([f"t{i}" for i in range(N)]), "number": X[:, 0]}
    train = stream(data=source(x=x))
    for batch, _ in train.take(2):
        expected = [f"t{int(i)}" for i in batch["number"]]
        assert [text.decode() for text in batch["text"].numpy()] == expected


def test_beside_validation_and_a_second_fit():
    train = stream(OnlineBatch(8.0, warmup=1))
    model = make_model()
    for epochs in (2, 3):
        model.fit(
            train,
            epochs=epochs,
            initial_epoch=train.epoch,
            verbose=0,
            shuffle=False,
            validation_data=train.in_order(),
            callbacks=[tfml.AdaptiveBatchSelection(train)],
        )
    assert train.epoch == 3


def test_killed_and_restored(tmp_path):
    def run(directory, stop):
        train = stream(OnlineBatch(8.0, warmup=1, epochs=4))
        model = make_model()
        selection = tfml.AdaptiveBatchSelection(train, backup_dir=directory)
        epoch = selection.restore(model)
        model.fit(train, initial_epoch=epoch, epochs=stop, verbose=0, callbacks=[selection])
        return train.probabilities

    expected = run(tmp_path / "whole", 4)
    run(tmp_path / "parts", 2)
    np.testing.assert_array_equal(run(tmp_path / "parts", 4), expected)


def test_memory_holds_windows_and_not_the_set():
    """What the pipeline has read ahead when a batch comes out is a few windows, of many."""
    n, read_up_to = 10 * 400, [0]

    def note(i):
        read_up_to[0] = max(read_up_to[0], int(i))
        return i

    def load(i):
        i = tf.ensure_shape(tf.numpy_function(note, [i], tf.int64), [])
        return tf.cast(i, tf.float32), tf.stack([i % 2, i % 3 // 2])

    data = tf.data.Dataset.range(n).map(load)
    train = stream(data=data, window=400)
    read_up_to[0] = 0
    for number, (x, _) in enumerate(train.take(40)):
        newest = float(tf.reduce_max(x))
        assert read_up_to[0] < newest + 400 + 2 * 1024, number
    assert 0 < read_up_to[0] < n // 2 + 1024


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (lambda: source().repeat(), ValueError, r"infinite cardinality.*Leave .repeat\(\) out"),
        (lambda: source().filter(lambda x, y: False), ValueError, r"no samples.*0 elements"),
        (
            lambda: (
                source()
                .filter(lambda x, y: x[0] < 50)
                .apply(tf.data.experimental.assert_cardinality(50))
                .take(50)
                .shuffle(50, seed=None)
            ),
            ValueError,
            r"two passes with different labels",
        ),
        (lambda: source().shuffle(N), ValueError, r"two passes with different labels.*interleave"),
        (lambda: tf.data.Dataset.range(5), TypeError, r"single samples.*Received: element_spec"),
        (lambda: source(y=Y / 2), ValueError, r"0 and 1 only"),
    ],
    ids=["infinite", "empty", "shuffled filter", "shuffled", "not pairs", "not 0/1"],
)
def test_sources_that_will_not_do(data, error, message):
    with pytest.raises(error, match=message):
        stream(data=data())


def test_a_source_that_gives_up_its_order():
    options = tf.data.Options()
    options.deterministic = False
    with pytest.raises(ValueError, match=r"Received: options.deterministic=False"):
        stream(data=source().with_options(options))


def test_an_order_that_changes_later_is_noticed():
    """The check of the labels in the training steps."""
    passes = [0]

    def order():
        passes[0] += 1
        ids = np.arange(N)
        yield from ids if passes[0] <= 2 else ids[::-1]

    data = tf.data.Dataset.from_generator(
        order, output_signature=tf.TensorSpec([], tf.int64)
    ).apply(tf.data.experimental.assert_cardinality(N))
    data = data.map(lambda i: (tf.gather(X, i), tf.gather(Y, i)))
    with pytest.raises(RuntimeError, match="samples that arrive are not the planned ones"):
        fit(stream(data=data, x_changes=True))


@pytest.mark.parametrize("window", [0, 15, 16.5, None, "20"])
def test_windows_that_will_not_do(window):
    with pytest.raises((ValueError, TypeError), match=r"Received: window="):
        stream(window=window)


def test_strategies_that_compose_their_own_batches():
    strategy = HardImbalance(correlations=True)
    with pytest.raises(ValueError, match=r"front to back.*correlations=False"):
        stream(strategy, features=X)


def test_batches_are_no_samples():
    batched = tf.data.Dataset.from_tensor_slices((np.ones([40, 2]), np.eye(40)[:, :3])).batch(8)
    with pytest.raises(TypeError, match=r"single samples.* Received: y of .*\.unbatch\(\)"):
        batched.apply(tfml.adaptive(batch_size=2, window=16))


@pytest.mark.parametrize("said", [39, 41])
def test_a_length_that_is_not_true(said):
    source = tf.data.Dataset.from_tensor_slices((np.ones([40, 2]), np.eye(40)[:, :3]))
    source = source.filter(lambda x, y: True).apply(tf.data.experimental.assert_cardinality(said))
    with pytest.raises(ValueError, match=rf"another length than it says.* cardinality {said}"):
        source.apply(tfml.adaptive(batch_size=2, window=16))
