"""Thinned data in `model.fit`: the rates of a batch reach the loss row by row, where it trains."""

import warnings

import numpy as np
import pytest
import tensorflow as tf

import tests.support.oracles.thinned_likelihood as oracle
import tfmlselect as tfml
from tests.support.recorded_fits import numbered, run
from tests.support.thinned_fits import PROTECTED, Seen, SpyLoss, model_of
from tfmlselect.losses import ThinnedLikelihood
from tfmlselect.strategies import RareEvents

N, Q, BATCH, SHARE = 27, 5, 4, 0.35
FULL = pytest.mark.full


def thinned(n=N, **options):
    """Samples 16 to 26 have the protected label; an epoch has these, and 6 of the 16 others."""
    strategy = RareEvents(PROTECTED, **{"draw": "predicted", "empty_share": SHARE, **options})
    return tfml.adaptive_dataset(numbered(n), strategy, BATCH, seed=1)


@pytest.mark.parametrize(
    ("compiled", "selection"),
    [
        ({"run_eagerly": True}, {}),
        ({"jit_compile": False}, {}),
        ({"jit_compile": False, "steps_per_execution": 3}, {}),
        ({"jit_compile": False}, {"scores": "predict"}),
        ({"jit_compile": False}, {"every": 2}),
        pytest.param({"jit_compile": True}, {}, marks=FULL),
        pytest.param({"jit_compile": True, "steps_per_execution": 3}, {}, marks=FULL),
    ],
    ids=str,
)
def test_each_row_has_the_rate_of_the_planned_sample(compiled, selection):
    """By the sample's number, which its labels are; the last batch is a short one."""
    train = thinned()
    assert train.strategy.epoch_draws() % BATCH == 1
    loss = SpyLoss(N, labels=PROTECTED)
    seen = Seen(train, loss)
    model = model_of(loss, rate=2.0, **compiled)
    run(model, train, epochs=4, callbacks=[seen], **selection)
    seen.check(epochs=4)


def test_rates_change_with_the_predictions_and_are_one_number_where_draws_are_even():
    for draw, spread in (("predicted", True), ("even", False)):
        train = thinned(draw=draw)
        loss = SpyLoss(N, labels=PROTECTED, rate=train.strategy.rate)
        seen = Seen(train, loss)
        run(model_of(loss, rate=2.0), train, epochs=3, callbacks=[seen])
        seen.check(epochs=3)
        later = np.stack(seen.rates[1:])
        assert (np.ptp(later, axis=1) > 0.01).all() == spread
        assert (np.abs(later[1] - later[0]).max() > 1e-4) == spread


def test_the_loss_of_an_epoch_is_the_mean_over_its_samples():
    train = thinned()
    seen = Seen(train, SpyLoss(N, labels=PROTECTED))
    model = model_of(ThinnedLikelihood(labels=PROTECTED), rate=0.0)
    history = run(model, train, epochs=3, callbacks=[seen]).history
    x, y = numbered(N)
    p = np.asarray(model(x), float)
    for epoch, plan in enumerate(seen.plans):
        losses = [oracle.loss(y[i], p[i], float(seen.rates[epoch][i]), PROTECTED) / Q for i in plan]
        assert history["loss"][epoch] == pytest.approx(np.mean(losses), rel=1e-4)


def test_validation_evaluation_and_predictions_know_nothing_of_it():
    train, (x, y) = thinned(), numbered(N)
    model = model_of(ThinnedLikelihood(labels=PROTECTED), rate=0.0)
    history = run(model, train, epochs=2, fit={"validation_data": (x, y)}).history
    plain = float(tf.keras.losses.BinaryCrossentropy()(y, model(x)))
    np.testing.assert_allclose(history["val_loss"], plain, rtol=1e-5)
    assert model.evaluate(x, y, verbose=0) == pytest.approx(plain, rel=1e-5)
    in_order = train.in_order()
    assert model.evaluate(in_order, verbose=0) == pytest.approx(plain, rel=1e-5)


def test_weights_of_samples():
    x, y = numbered(N)
    weight = np.linspace(0.5, 2, N).astype("f")
    strategy = RareEvents(PROTECTED, empty_share=SHARE, draw="predicted")
    train = tfml.adaptive_dataset((x, y), strategy, BATCH, seed=1, sample_weight=weight)
    loss = SpyLoss(N, labels=PROTECTED)
    seen = Seen(train, loss)
    run(model_of(loss, rate=1.0), train, callbacks=[seen])
    seen.check(epochs=3)


def test_mixed_precision():
    train = thinned()
    loss = SpyLoss(N, labels=PROTECTED)
    seen = Seen(train, loss)
    model = model_of(loss, rate=1.0, dtype="mixed_bfloat16")
    history = run(model, train, callbacks=[seen]).history
    seen.check(epochs=3)
    assert np.isfinite(history["loss"]).all()


@pytest.mark.parametrize("as_dict", [False, True])
def test_the_loss_of_one_of_several_outputs(as_dict):
    x, y = numbered(N)
    source = tfml.adaptive_dataset(
        (x, y), RareEvents(PROTECTED, empty_share=SHARE, draw="predicted"), BATCH, seed=1
    )
    train = source.map(lambda x, y: (x, {"a": x, "b": y} if as_dict else (x, y)))
    inputs = tf.keras.Input((1,))
    outputs = [tf.keras.layers.Dense(1, name="a"), tf.keras.layers.Dense(Q, "sigmoid", name="b")]
    heads = {"a": outputs[0](inputs), "b": outputs[1](inputs)}
    model = tf.keras.Model(inputs, heads if as_dict else list(heads.values()))
    loss = SpyLoss(N, labels=PROTECTED)
    model.compile("sgd", {"a": "mse", "b": loss} if as_dict else ["mse", loss])
    seen = Seen(train, loss)
    run(model, train, callbacks=[seen], output="b")
    seen.check(epochs=3)


def test_two_fits_and_a_second_model():
    train, loss = thinned(), SpyLoss(N, labels=PROTECTED)
    model = model_of(loss, rate=2.0)
    for fitted in (model, model, model_of(loss, rate=2.0)):
        seen = Seen(train, loss)
        run(fitted, train, epochs=train.epoch + 2 if fitted is model else 2, callbacks=[seen])
        assert len(seen.plans) >= 2
        seen.check(epochs=len(seen.plans))


def test_a_run_that_is_put_back_has_its_rates(tmp_path):
    losses, rates = [], []
    for epochs, place in ((4, "whole"), (2, "cut"), (4, "cut")):
        train, loss = thinned(), SpyLoss(N, labels=PROTECTED)
        model, seen = model_of(loss, rate=2.0), Seen(train, loss)
        selection = tfml.AdaptiveBatchSelection(train, every=2, backup_dir=str(tmp_path / place))
        start = selection.restore(model)
        fit = {"epochs": epochs, "initial_epoch": start, "verbose": 0}
        losses.append(model.fit(train, callbacks=[selection, seen], **fit).history["loss"])
        rates.append(seen.rates)
        seen.check(epochs=epochs - start)
    np.testing.assert_allclose(losses[1] + losses[2], losses[0], rtol=1e-6)
    np.testing.assert_array_equal(rates[1] + rates[2], rates[0])


class LossFirst(tf.keras.Model):
    """A train_step that takes its loss by itself, and calls only `compute_metrics`."""

    def __init__(self, own):
        super().__init__()
        self.dense, self.own = tf.keras.layers.Dense(Q, "sigmoid"), own

    def call(self, x):
        return self.dense(x)

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            p = self(x, training=True)
            loss = self.own(y, p)
        weights = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return {**self.compute_metrics(x, y, p, None), "own": loss}


def test_a_step_that_takes_its_loss_first_has_the_mean_rate_or_an_error():
    x, y = numbered(N)
    train = thinned()
    model = LossFirst(ThinnedLikelihood(labels=PROTECTED))
    model.compile(tf.keras.optimizers.SGD(0.0), "binary_crossentropy")
    with (
        pytest.warns(UserWarning, match="RareEvents leaves most"),
        pytest.raises(RuntimeError, match=r"rate=None.*rate=train\.strategy\.rate"),
    ):
        run(model, train, epochs=1)
    model = LossFirst(ThinnedLikelihood(train.strategy.rate, PROTECTED, reduction="sum"))
    model.compile(tf.keras.optimizers.SGD(0.0))  # the loss is not known: no warning
    seen = Seen(train, SpyLoss(N, labels=PROTECTED))
    history = run(model, train, epochs=1, callbacks=[seen], from_logits=False).history
    p, rate = np.asarray(model(x), float), train.strategy.rate
    last = seen.plans[0][(len(seen.plans[0]) - 1) // BATCH * BATCH :]  # whose step's logs are shown
    losses = [oracle.loss(y[i], p[i], rate, PROTECTED) / Q for i in last]
    assert history["own"][-1] == pytest.approx(np.sum(losses), rel=1e-4)


def test_a_loss_for_data_that_are_not_thinned():
    train = tfml.adaptive_dataset(numbered(N), "online_batch", BATCH, seed=1)
    with pytest.raises(ValueError, match=r"Received: strategy=OnlineBatch.*rare_events"):
        run(model_of(ThinnedLikelihood(0.5)), train)


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        ({"labels": None}, r"labels=None of Thinned.*labels=\[4\] of RareEvents\. Pass both"),
        ({"labels": [3]}, r"labels=\[3\] of Thinned"),
        ({"labels": PROTECTED, "rate": 0.9}, r"rate=0\.9 of Thinned.*and 0\.375 of RareEvents"),
    ],
    ids=str,
)
def test_a_loss_for_another_thinning(loss, said):
    with pytest.raises(ValueError, match=said):
        run(model_of(ThinnedLikelihood(**loss)), thinned())


def test_the_columns_may_be_named_in_another_way():
    train = tfml.adaptive_dataset(numbered(N), RareEvents(), BATCH, seed=1)
    run(model_of(ThinnedLikelihood(labels=[4, 2, 0, 1, 3])), train, epochs=1)


def test_probabilities_of_thinned_data_are_warned_of_once():
    train, model = thinned(), model_of("binary_crossentropy")
    with pytest.warns(UserWarning, match=r"too large.*binary_crossentropy.*ThinnedLikelihood"):
        run(model, train, epochs=1)
    run(model, train, epochs=2)


def test_where_nothing_is_left_out_nothing_is_said():
    train = thinned(empty_share=0.9)
    assert train.strategy.rate == 1.0
    run(model_of("binary_crossentropy"), train, epochs=1)  # a warning would be an error


def simulated(n=6000):
    """Three rare labels that follow a logistic model; nine of ten samples are empty."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 2)).astype("float32")
    z = x @ np.array([[1.0, 0.0, -1.0], [0.5, 1.0, 0.0]]) + [-4.5, -4.0, -4.5]
    return x, (rng.random((n, 3)) < 1 / (1 + np.exp(-z))).astype("float32")


@pytest.mark.parametrize("draw", ["predicted", "even"])
def test_a_model_learns_the_probabilities_of_the_data_as_they_are(draw):
    x, y = simulated()
    share = {}
    for corrected in (True, False):
        train = tfml.adaptive_dataset((x, y), RareEvents(draw=draw), 200, seed=0)
        assert train.strategy.rate < 0.15
        dense = tf.keras.layers.Dense(3, kernel_initializer="zeros")
        model = tf.keras.Sequential([tf.keras.Input((2,)), dense])
        bce = tf.keras.losses.BinaryCrossentropy(from_logits=True)
        loss = ThinnedLikelihood(from_logits=True) if corrected else bce
        model.compile(tf.keras.optimizers.Adam(0.03), loss)
        epochs = 12000 // len(train) // 20
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            run(model, train, epochs=epochs)
        p = tf.sigmoid(model(x)).numpy()
        share[corrected] = p.mean(axis=0) / y.mean(axis=0)
    # Rates by predictions depend on when a sample was visited; the likelihood leaves that out.
    np.testing.assert_allclose(share[True], 1, atol=0.15 if draw == "even" else 0.25)
    assert (share[False] > 2).all()


def test_importance_weights_are_the_other_correction():
    x, y = numbered(N)
    strategy = RareEvents(PROTECTED, empty_share=SHARE, draw="predicted")
    train = tfml.adaptive_dataset((x, y), strategy, BATCH, seed=1, importance_weights=1.0)
    run(model_of("binary_crossentropy"), train, epochs=1)  # a warning would be an error
    with pytest.raises(
        ValueError, match=r"corrected for once.*Constant\(value=1\.0\).*Leave importance"
    ):
        run(model_of(ThinnedLikelihood(labels=PROTECTED)), train)


def test_an_epoch_has_each_sample_with_the_label_once_and_few_empty_ones():
    train = thinned()
    assert len(train) == 5  # 17 draws
    seen = Seen(train, SpyLoss(N, labels=PROTECTED))
    run(model_of(ThinnedLikelihood(labels=PROTECTED), rate=2.0), train, epochs=8, callbacks=[seen])
    counts = [np.bincount(plan, minlength=N) for plan in seen.plans]
    for count in counts:
        assert count.sum() == 17
        np.testing.assert_array_equal(count[16:], 1)
    owed = np.sum([np.where(np.arange(N) < 16, rates, 1) for rates in seen.rates], axis=0)
    assert np.abs(np.sum(counts, axis=0) - owed).max() < 1.5  # what was owed is carried over


@pytest.mark.parametrize("stream", [False, True])
def test_short_epochs_and_streams(stream):
    strategy = RareEvents(PROTECTED, empty_share=SHARE, draw="predicted")
    data = numbered(N)
    if stream:
        data = tf.data.Dataset.from_tensor_slices(data)
        train = data.apply(tfml.adaptive(strategy, BATCH, window=N, seed=1))
    else:
        train = tfml.adaptive_dataset(data, strategy, BATCH, seed=1, samples_per_epoch=9)
    loss = SpyLoss(N, labels=PROTECTED)
    seen = Seen(train, loss)
    run(model_of(loss, rate=2.0), train, epochs=4, callbacks=[seen])
    seen.check(epochs=4)
