"""`train.inspect`: the samples that are drawn most and least, and why."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import sparse

import tfmlselect as tfml
from tfmlselect.pipeline.inspection import Inspection

N, Q = 12, 4
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 5)).astype("float32")
Y = np.tile(np.eye(Q, dtype="float32"), (3, 1))
Y[0] = 0
Y[1] = 1
NAMES = ["sea", "boat", "whale", "gull"]


def make_model(q=Q, activation="sigmoid"):
    start = tf.keras.initializers.RandomUniform(-1, 1, seed=1)
    dense = tf.keras.layers.Dense(q, activation, kernel_initializer=start)
    model = tf.keras.Sequential([tf.keras.Input((5,)), dense])
    loss = "binary_crossentropy" if activation == "sigmoid" else "sparse_categorical_crossentropy"
    model.compile("sgd", loss)
    return model


class Look(tf.keras.callbacks.Callback):
    """Inspects after each epoch."""

    def __init__(self, train):
        super().__init__()
        self.train, self.seen = train, []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(self.train.inspect(2))


def fit(train, epochs=2, model=None, look=None, **options):
    callbacks = [tfml.AdaptiveBatchSelection(train, **options)] + ([look] if look else [])
    model = model or make_model()
    model.fit(train, epochs=epochs, verbose=0, shuffle=False, callbacks=callbacks)
    return train


def make(strategy, y=Y, **options):
    return tfml.adaptive_dataset((X, y), strategy, batch_size=4, seed=0, **options)


def hardness(warmup=1):
    return tfml.strategies.PositiveHardness(warmup=warmup)


def check(found, train, k):
    """What must hold whatever the strategy and the data."""
    assert isinstance(found, Inspection)
    p = train.probabilities
    ranked = np.sort(p)[::-1]
    np.testing.assert_array_equal(found.relative_probability, p[found.ids] * len(p))
    np.testing.assert_array_equal(p[found.ids], [*ranked[:k], *ranked[-k:]])
    assert len(set(found.ids)) == 2 * k
    assert all(values.shape == (2 * k,) for values in found.parts.values())


def test_after_a_fit():
    train = fit(make(hardness()))
    found = train.inspect(3)
    check(found, train, 3)
    np.testing.assert_array_equal(found.labels, Y[found.ids])
    strategy = train.strategy
    np.testing.assert_array_equal(found.predictions, strategy.latest_predictions(found.ids))
    scores = strategy.scores().numpy()
    np.testing.assert_allclose(sum(found.parts.values()), scores[found.ids], rtol=1e-9)
    assert scores[found.ids[:3]].min() > scores[found.ids[3:]].max()


def test_the_parts_are_those_that_the_distribution_was_made_of():
    train = fit(make(hardness()), epochs=3)
    ids = np.arange(N)
    scores = sum(np.asarray(values) for values in train.strategy.score_parts(ids).values())
    pressure = train.strategy.pressure(2, 3)  # of the third epoch, the last that was completed
    expected = tfml.sampling.pressure_probabilities(scores, pressure)
    np.testing.assert_array_equal(train.probabilities, expected)


def test_before_the_first_epoch_all_are_drawn_alike():
    train = make(hardness())
    found = train.inspect(2)
    check(found, train, 2)
    assert found.ids.tolist() == [0, 1, 10, 11]  # the order of the data
    np.testing.assert_allclose(found.relative_probability, 1, rtol=1e-12)
    assert np.isnan(found.predictions).all()
    assert np.ptp(found.parts["positives"]) > 0  # the labels are known
    lines = str(found).splitlines()
    assert lines[0] == (
        "PositiveHardness after 0 epochs: the most and the least drawn of 12 samples; "
        "all are drawn alike in the warm-up of 1 epochs"
    )
    assert lines[4].split()[0] == "0"
    assert lines[4].split()[-1] == "-"  # sample 0 has no label, and no prediction yet


def test_in_the_warm_up_predictions_are_shown():
    train = make(hardness(warmup=2))
    look = Look(train)
    fit(train, epochs=3, look=look)
    found = look.seen[0]
    np.testing.assert_allclose(found.relative_probability, 1, rtol=1e-12)
    assert np.isfinite(found.predictions).all()


def table():
    """An inspection by hand: the most drawn sample with labels 1 and 2, the least with all."""
    return Inspection(
        ids=np.array([7, 3]),
        relative_probability=np.array([2.5, 0.25]),
        labels=np.array([[0, 1, 1, 0], [1, 1, 1, 1]], np.uint8),
        predictions=np.float32([[0.9, 0.8, 0.1, 0.2], [0.6, 0.5, 0.8, 0.7]]),
        parts={"hardness": np.array([1.25, -1e-7]), "hardness_correlation": np.array([0.5, 0.0])},
        strategy="D2ACE",
        n=9,
        epoch=4,
        warmup=1,
        label_names=tuple(NAMES),
    )


def test_the_table():
    # Labels from the worst predicted to the best, of the others those that are predicted most.
    wanted = """
D2ACE after 4 epochs: the most and the least drawn of 9 samples

                            hardness  labels,                          others that are
sample    p n  hardness  correlation  as predicted                     predicted most
     7  2.500     1.250        0.500  whale 0.10, boat 0.80            sea 0.90, gull 0.20
...
     3  0.250     0.000        0.000  boat 0.50, sea 0.60, gull 0.70, +1  -
"""
    rows = [line.split() for line in wanted.strip().splitlines()]
    assert [line.split() for line in str(table()).splitlines()] == rows
    first, last = str(table()).splitlines()[4], str(table()).splitlines()[6]
    assert first.index("whale") == last.index("boat")
    assert first.index("2.500") == last.index("0.250")


def test_a_dictionary_of_columns():
    columns = table().to_dict()
    assert columns["sample"] == [7, 3]
    assert columns["relative_probability"] == [2.5, 0.25]
    assert columns["hardness"] == [1.25, -1e-7]
    assert columns["labels"] == [["boat", "whale"], NAMES]
    assert np.float32(columns["predictions"]).tolist() == table().predictions.tolist()
    frame = pytest.importorskip("pandas").DataFrame(columns)
    assert frame.shape == (2, 6)


def test_labels_without_names_are_numbers():
    found = make("uniform").inspect(2)
    assert found.to_dict()["labels"] == [[], [0, 1, 2, 3], [2], [3]]


def test_what_keeps_no_predictions_shows_none():
    train = fit(make("online_batch"))
    found = train.inspect(2, label_names=NAMES)
    assert found.predictions is None
    assert "predictions" not in found.to_dict()
    assert list(found.parts) == ["loss"]
    heading = str(found).splitlines()[2]
    assert heading.split() == ["sample", "p", "n", "loss", "labels"]


def test_uniform_has_no_parts():
    found = fit(make("uniform")).inspect(2)
    assert found.parts == {}
    assert str(found).splitlines()[0].endswith("of 12 samples; all are drawn alike")


def test_sparse_labels():
    dense, given = fit(make(hardness())), fit(make(hardness(), y=sparse.csr_matrix(Y)))
    np.testing.assert_array_equal(given.inspect(3).ids, dense.inspect(3).ids)
    np.testing.assert_array_equal(given.inspect(3).labels, Y[given.inspect(3).ids])


def test_class_ids():
    y = np.arange(N) % Q
    train = fit(make(hardness(), y=y), model=make_model(activation="softmax"))
    found = train.inspect(3, label_names=NAMES)
    check(found, train, 3)
    assert found.to_dict()["labels"] == [[NAMES[i % Q]] for i in found.ids]
    np.testing.assert_allclose(found.predictions.sum(axis=1), 1, rtol=1e-5)


def test_a_stream():
    source = tf.data.Dataset.from_tensor_slices((X, Y))
    train = source.apply(tfml.adaptive(hardness(), batch_size=2, window=8, seed=0))
    fit(train)
    found = train.inspect(3)
    check(found, train, 3)
    x, y = next(iter(source.skip(int(found.ids[0]))))  # the samples are places in the stream
    np.testing.assert_array_equal(found.labels[0], y)
    np.testing.assert_array_equal(X[found.ids[0]], x)


def test_a_mapped_dataset_is_the_same_selection():
    train = fit(make(hardness()))
    mapped = train.map(lambda x, y: (x + 1, y))
    np.testing.assert_array_equal(mapped.inspect(2).ids, train.inspect(2).ids)


def test_a_resumed_run_shows_what_the_first_did(tmp_path):
    first = fit(make(hardness()), backup_dir=tmp_path).inspect(3)
    train, model = make(hardness()), make_model()
    selection = tfml.AdaptiveBatchSelection(train, backup_dir=tmp_path)
    assert selection.restore(model) == 2
    train.strategy.run_epochs = 2  # as the fit that goes on would say
    again = train.inspect(3)
    assert str(again) == str(first)
    np.testing.assert_array_equal(again.predictions, first.predictions)


def test_while_a_fit_runs():
    train = make(hardness())
    look = Look(train)
    fit(train, epochs=3, look=look)
    assert [found.epoch for found in look.seen] == [1, 2, 3]
    for found in look.seen[1:]:
        assert np.ptp(found.relative_probability) > 0
    assert str(look.seen[-1]) == str(train.inspect(2))


@pytest.mark.parametrize("k", [0, -1, 7, 2.5, None, "3"])
def test_no_number_of_samples(k):
    with pytest.raises(ValueError, match=r"a whole number from 1 to 6\. Received: k=.*\. Pass"):
        make("uniform").inspect(k)


def test_names_of_other_labels():
    with pytest.raises(ValueError, match=r"each of the 4 labels\. Received: .*\. Give"):
        make("uniform").inspect(2, label_names=NAMES[:3])


def test_rows_are_read_where_few_are_asked_for():
    """No table of all samples: what strategies are asked for is the ids that are shown."""
    asked = []

    class Watched(tfml.strategies.PositiveHardness):
        def score_parts(self, ids):
            asked.append(len(ids))
            return super().score_parts(ids)

        def latest_predictions(self, ids):
            asked.append(len(ids))
            return super().latest_predictions(ids)

    make(Watched()).inspect(2)
    assert asked == [4, 4]
