"""Fits on labels of which some are unknown, with a masked loss: every strategy, every source."""

import functools
import warnings

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml
from tfmlselect import strategies

N, Q, BATCH = 32, 4, 8
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 6)).astype("float32")
TRUTH = (X[:, :Q] > [0.0, 0.3, 0.6, 0.9]).astype("float32")
KNOWN = RNG.random((N, Q)) < 0.6
KNOWN[0], KNOWN[1:4], KNOWN[:, 3] = False, True, False  # a sample, and a label, of nothing
# They take part in a mixture; RareEvents, which leaves samples out, cannot.
PARTS = [name for name in strategies.names() if name != "rare_events"]


def filled(missing):
    return np.where(KNOWN, TRUTH, missing).astype("float32")


def masked(y, p):
    """The mean cross-entropy of the known entries, whether NaN or -1 stands for the others."""
    known = tf.cast(y >= 0, tf.float32)
    p = tf.clip_by_value(p, 1e-6, 1 - 1e-6)
    loss = -tf.math.log(tf.where(y > 0.5, p, 1 - p))
    return tf.reduce_sum(loss * known, axis=-1) / tf.maximum(tf.reduce_sum(known, axis=-1), 1.0)


def every_strategy():
    return strategies.Mixture([(name, 1 / len(PARTS)) for name in PARTS])


def made(kind, missing, strategy):
    settings = {"batch_size": BATCH, "seed": 0, "missing": missing}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Learnability without a reference
        if kind == "arrays":
            return tfml.adaptive_dataset((X, filled(missing)), strategy, **settings)
        source = tf.data.Dataset.from_tensor_slices((X, filled(missing)))
        return source.apply(tfml.adaptive(strategy, window=N, features=X, **settings))


def fitted(train, loss=masked, epochs=3, **options):
    tf.keras.utils.set_random_seed(0)
    model = tf.keras.Sequential(
        [tf.keras.layers.Input((6,)), tf.keras.layers.Dense(Q, activation="sigmoid")]
    )
    model.compile(tf.keras.optimizers.SGD(0.5), loss)
    callback = tfml.AdaptiveBatchSelection(train, verbose_logs=True, **options)
    return model.fit(train, epochs=epochs, shuffle=False, verbose=0, callbacks=[callback])


@functools.cache
def run(kind, missing, rare=False):
    """What a fit drew, by all strategies together or by RareEvents, and its History."""
    strategy = strategies.RareEvents([0, 1], empty_share=0.3, draw="predicted")
    train = made(kind, missing, strategy if rare else every_strategy())
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Predictions were not finite")
        warnings.filterwarnings("ignore")
        history = fitted(train).history
    assert all(np.isfinite(history["loss"]))
    assert all(np.isfinite(history["selection/variance_ratio"]))
    return train.probabilities, history


@pytest.mark.parametrize("rare", [False, True])
@pytest.mark.parametrize("kind", ["arrays", "stream"])
def test_what_stands_for_unknown_makes_no_difference(kind, rare):
    p, history = run(kind, np.nan, rare)
    also, other = run(kind, -1, rare)
    assert np.ptp(p) > 1e-3
    np.testing.assert_allclose(also, p, rtol=1e-5)
    for name in ("loss", "selection/variance_ratio", "selection/unique_samples"):
        np.testing.assert_allclose(other[name], history[name], rtol=1e-5)


def test_every_strategy_took_part():
    assert {type(part) for part, _ in every_strategy().parts} | {strategies.RareEvents} == {
        type(strategies.get(name)) for name in strategies.names()
    }


@pytest.mark.parametrize("missing", [-1, np.nan])
def test_a_loss_that_leaves_nothing_out_is_said_once(missing):
    number = "np.nan" if np.isnan(missing) else "-1"
    losses = ["mse", tf.keras.losses.BinaryCrossentropy(), tfml.losses.AsymmetricLoss()]
    for loss in losses:
        train = made("arrays", missing, "uniform")
        with pytest.warns(UserWarning, match=rf"unknown labels for a label.*missing={number}\)"):
            fitted(train, loss, epochs=1)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            fitted(train, loss, epochs=1)


def test_a_loss_that_masks_is_taken():
    loss = tfml.losses.AsymmetricLoss()
    loss.missing = np.nan  # and another number stands in the dataset
    with pytest.warns(UserWarning, match="unknown labels for a label"):
        fitted(made("arrays", -1, "uniform"), loss, epochs=1)
    for loss.missing in (-1, -1.0):
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            fitted(made("arrays", -1, "uniform"), loss, epochs=1)


def test_batches_hold_y_as_it_was_given():
    train = made("arrays", np.nan, "uniform")
    y = np.concatenate([y.numpy() for _, y in train.in_order()])
    np.testing.assert_array_equal(y, filled(np.nan))
    of_ints = tfml.adaptive_dataset(
        (X, filled(-1).astype("int8")), "uniform", BATCH, seed=0, missing=-1
    )
    assert of_ints.element_spec[1].dtype == tf.int8


def test_where_nothing_is_unknown_missing_changes_nothing():
    plain = tfml.adaptive_dataset((X, TRUTH), batch_size=BATCH, seed=0)
    asked = tfml.adaptive_dataset((X, TRUTH), batch_size=BATCH, seed=0, missing=-1)
    for train in (plain, asked):
        fitted(train, "binary_crossentropy", epochs=2)
    np.testing.assert_array_equal(plain.probabilities, asked.probabilities)


@pytest.mark.parametrize("scores", ["record", "predict"])
def test_a_loss_that_is_nan_where_labels_are_unknown_drops_no_row(scores):
    def signal(y, p):
        return tf.square(y - p)  # NaN where y is

    p = {}
    for missing in (np.nan, -1):
        train = made("arrays", missing, strategies.OnlineBatch(warmup=0))
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Predictions were not finite")
            fitted(train, signal=signal, scores=scores, epochs=2)
        p[missing] = train.probabilities
    np.testing.assert_allclose(p[np.nan], p[-1], rtol=1e-6)
    assert np.ptp(p[-1]) > 1e-3


def test_another_order_is_noticed():
    train = made("arrays", np.nan, "online_batch")
    with pytest.raises(RuntimeError, match="not the planned ones"):
        fitted(train.map(lambda x, y: (x, y[::-1])))


def test_training_progress_is_of_known_entries():
    found = {}
    for missing in (np.nan, -1):
        counts = np.sum(filled(missing) == 1, axis=0)
        progress = tfml.callbacks.TrainingProgress(counts, missing=missing)
        tf.keras.utils.set_random_seed(0)
        model = tf.keras.Sequential([tf.keras.layers.Dense(Q, activation="sigmoid")])
        model.compile(tf.keras.optimizers.SGD(0.5), masked)
        model.fit(X, filled(missing), BATCH, 1, 0, callbacks=[progress])
        found[missing] = progress.history
    for name in ("recall", "gradient"):
        np.testing.assert_allclose(found[-1][name], found[np.nan][name], rtol=1e-5)
        assert np.isnan(found[-1][name][0]).tolist() == [False, False, False, True]


def test_summaries_are_of_known_entries(tmp_path):
    pytest.importorskip("tensorboard")
    train = made("arrays", -1, "label_balanced")
    fitted(train, epochs=2, log_dir=str(tmp_path))
    values = {}
    for file in tmp_path.glob("selection/*"):
        for record in tf.data.TFRecordDataset(str(file)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                if value.tag.startswith("label_loss/"):
                    values[value.tag] = float(tf.make_ndarray(value.tensor))
    assert sorted(values) == [f"label_loss/{j}" for j in range(Q - 1)]  # nothing of the last
    assert all(0 < value < 5 for value in values.values())


class KnownMasking(tfml.losses.PartialLabelMasking):
    """Has no NaN, whatever stands for unknown labels."""

    def call(self, y_true, y_pred):
        return super().call(tf.where(y_true >= 0.0, y_true, 0.0), y_pred)


@pytest.mark.parametrize("selected", [True, False])
def test_ratios_are_adapted_by_known_entries(selected):
    figures = {}
    for missing in (np.nan, -1):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Labels without positives")
            odds = tfml.label_statistics(filled(missing), missing=missing).odds
            loss = KnownMasking(odds=odds, rate=0.5, bins=2)
            loss.missing = missing
            train = made("arrays", missing, "uniform")
            if selected:
                history = fitted(train, loss, epochs=2)
            else:
                tf.keras.utils.set_random_seed(0)
                model = tf.keras.Sequential([tf.keras.layers.Dense(Q, activation="sigmoid")])
                model.compile(tf.keras.optimizers.SGD(0.5), loss)
                update = tfml.callbacks.PartialLabelMaskingUpdate()
                history = model.fit(X, filled(missing), BATCH, 2, 0, callbacks=[update])
        figures[missing] = np.stack(
            [history.history[f"plm/{name}"][-1] for name in ("ideal_ratios", "odds")]
        )
        np.testing.assert_allclose(figures[missing][1], odds, rtol=1e-6)
    np.testing.assert_allclose(figures[np.nan], figures[-1], rtol=1e-5)
    assert np.isnan(figures[-1][0]).tolist() == [False, False, False, True]
    assert np.abs(np.log(figures[-1][0] / figures[-1][1]))[:3].max() > 0.01


@pytest.mark.parametrize("kind", ["arrays", "stream"])
def test_a_strategy_of_ones_own_gets_nan(kind):
    got = []

    class Own(strategies.Uniform):
        def build(self, y, features=None, neighbors=None):
            got.append(y)
            super().build(y, features, neighbors)

    made(kind, -1, Own())
    tfml.adaptive_dataset((X, TRUTH), Own(), BATCH)
    np.testing.assert_array_equal(got[0], filled(np.nan))
    assert got[0].dtype == np.float32
    np.testing.assert_array_equal(got[1], TRUTH)
    assert got[1].dtype == np.uint8


def test_a_strategy_that_takes_no_account_of_nan_ends_in_an_error():
    class Careless(strategies.Strategy):
        def build(self, y, features=None, neighbors=None):
            self.y = tf.constant(y, tf.float32)
            self.error = tf.Variable(tf.fill([len(y)], 0.5))

        def observe(self, ids, y_pred, loss=None):
            error = tf.reduce_mean(tf.abs(tf.gather(self.y, ids) - y_pred), axis=1)
            self.error.scatter_update(tf.IndexedSlices(error, ids))

        def probabilities(self, epoch):
            return tf.cast(self.error / tf.reduce_sum(self.error), tf.float64)

    with pytest.raises(ValueError, match=r"Received: 32 other probabilities of Careless.*missing="):
        fitted(made("arrays", -1, Careless()))


def test_backups_know_which_labels_are_unknown(tmp_path):
    train = made("arrays", -1, "uniform")
    fitted(train, epochs=1, backup_dir=str(tmp_path))
    as_negative = tfml.adaptive_dataset((X, filled(0)), "uniform", BATCH, seed=0)
    with pytest.raises(ValueError, match="labels"):
        fitted(as_negative, epochs=1, backup_dir=str(tmp_path))


def test_inspect_leaves_unknown_labels_out():
    train = made("arrays", -1, "online_batch")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore")
        fitted(train, epochs=2)
    found = train.inspect(k=16, label_names=["a", "b", "c", "d"])
    np.testing.assert_array_equal(found.known, KNOWN[found.ids])
    columns = found.to_dict()
    for row, i in enumerate(found.ids):
        assert columns["unknown"][row] == [
            n for n, k in zip("abcd", KNOWN[i], strict=True) if not k
        ]
        shown = str(found).splitlines()
    assert not any("d 0." in line for line in shown)  # the label that is known of nobody
    assert "unknown" not in tfml.adaptive_dataset((X, TRUTH), "uniform", 8).inspect(2).to_dict()
