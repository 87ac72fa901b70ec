"""Positive weights in `model.fit`: the exponent moves once per epoch, whoever leads it."""

import csv
import warnings

import numpy as np
import pytest
import tensorflow as tf

import tests.support.oracles.positive_weights as oracle
import tfmlselect as tfml
from tfmlselect.callbacks import PositiveWeightsUpdate
from tfmlselect.losses import PositiveWeights
from tfmlselect.schedules import Ramp

N, Q, BATCH = 96, 4, 16
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 6)).astype("float32")
Y = (X[:, :Q] + 0.3 * RNG.normal(size=(N, Q)) > [0, 0.5, 1, 1.5]).astype("float32")
ODDS = Y.sum(axis=0) / (N - Y.sum(axis=0))
KEY = "positive_weights/exponent"


def make_loss(loss="binary_crossentropy", **arguments):
    return PositiveWeights(loss, **{"odds": ODDS, "exponent": Ramp(0.5, 0.0), **arguments})


def make_model(loss, learning_rate=0.0, **compiled):
    start = tf.keras.initializers.RandomUniform(-1, 1, seed=1)
    head = tf.keras.layers.Dense(Q, activation="sigmoid", kernel_initializer=start)
    model = tf.keras.Sequential([tf.keras.Input((6,)), head])
    model.compile(tf.keras.optimizers.SGD(learning_rate), loss, **compiled)
    return model


def adaptive(strategy="uniform", **arguments):
    return tfml.adaptive_dataset((X, Y), strategy, BATCH, seed=0, **arguments)


def fit_plain(model, callbacks=None, **arguments):
    callbacks = [PositiveWeightsUpdate()] if callbacks is None else callbacks
    settings = {"epochs": 4, "batch_size": BATCH, "verbose": 0, "callbacks": callbacks}
    return model.fit(X, Y, **{**settings, **arguments}).history


def fit_adaptive(model, train=None, callbacks=(), **arguments):
    train = train or adaptive()
    callbacks = [tfml.AdaptiveBatchSelection(train, verbose_logs=True), *callbacks]
    return model.fit(
        train, **{"epochs": 4, "verbose": 0, "callbacks": callbacks, **arguments}
    ).history


FITS = {"update": fit_plain, "selection": fit_adaptive}


def slow_loss(model, exponent, odds=ODDS, y=Y):
    """Of a model that does not learn, over all samples."""
    p = model.predict(X, verbose=0).astype(np.float64)
    entries = -(y * np.log(p) + (1 - y) * np.log(1 - p))
    return oracle.loss(entries, y, odds, exponent).mean()


@pytest.mark.parametrize("jit_compile", [False, pytest.param(True, marks=pytest.mark.full)])
@pytest.mark.parametrize("leader", FITS)
def test_each_epoch_has_its_exponent(leader, jit_compile):
    model = make_model(make_loss(), jit_compile=jit_compile)
    history = FITS[leader](model)
    assert history[KEY] == [0.5, 0.375, 0.25, 0.125]
    for loss, exponent in zip(history["loss"], history[KEY], strict=True):
        assert loss == pytest.approx(slow_loss(model, exponent), rel=1e-5)
    assert float(model.loss.exponent) == 0.125
    assert model.loss.leader is None


@pytest.mark.parametrize("leader", FITS)
def test_each_epoch_has_its_exponent_run_eagerly(leader):
    model = make_model(make_loss(), run_eagerly=True)
    history = FITS[leader](model, epochs=2)
    for loss, exponent in zip(history["loss"], [0.5, 0.25], strict=True):
        assert loss == pytest.approx(slow_loss(model, exponent), rel=1e-5)


@pytest.mark.parametrize("leader", FITS)
def test_a_number_stays_and_is_shown(leader):
    model = make_model(make_loss(exponent=0.25))
    history = FITS[leader](model)
    assert history[KEY] == [0.25] * 4
    np.testing.assert_allclose(history["loss"], slow_loss(model, 0.25), rtol=1e-5)


def test_the_last_epoch_of_a_falling_exponent():
    history = fit_plain(make_model(make_loss(exponent=Ramp(0.25, 0.0))), epochs=5)
    np.testing.assert_allclose(history[KEY], [0.25 * (1 - k / 5) for k in range(5)], rtol=1e-12)


# A second fit


def test_a_second_plain_fit_goes_on_from_its_initial_epoch():
    model = make_model(make_loss())
    update = PositiveWeightsUpdate(epochs=8)
    first = fit_plain(model, [update])[KEY]
    second = fit_plain(model, [update], initial_epoch=4, epochs=8)[KEY]
    assert first + second == [0.5 - 0.0625 * k for k in range(8)]
    assert fit_plain(model, [update], epochs=1)[KEY] == [0.5]  # as Keras counts, anew


@pytest.mark.parametrize("initial_epoch", [0, 4])
def test_a_second_adaptive_fit_goes_on_by_the_count_of_the_dataset(initial_epoch):
    model, train = make_model(make_loss()), adaptive()
    assert fit_adaptive(model, train)[KEY] == [0.5, 0.375, 0.25, 0.125]
    history = fit_adaptive(model, train, initial_epoch=initial_epoch, epochs=initial_epoch + 6)
    expected = [0.5 * (1 - k / 10) for k in range(4, 10)]
    np.testing.assert_allclose(history[KEY], expected, rtol=1e-12)


def test_the_length_of_the_run_is_the_strategys_where_it_says():
    train = adaptive(tfml.strategies.Uniform(epochs=8))
    history = fit_adaptive(make_model(make_loss()), train)
    assert history[KEY] == [0.5, 0.4375, 0.375, 0.3125]


def test_whole_numbers_of_a_schedule_are_passes_over_the_data():
    """With half a pass an epoch, two passes are four epochs."""
    strategy = tfml.strategies.Uniform()
    train = adaptive(strategy)
    strategy.describe_run(length_is_known=True, passes_per_epoch=0.5)
    strategy.describe_run = lambda **known: None  # as a dataset of half passes will have it
    loss = make_loss(exponent=Ramp(0.5, 0.0, start=0, end=2))
    assert fit_adaptive(make_model(loss), train, epochs=5)[KEY] == [0.5, 0.375, 0.25, 0.125, 0.0]


# Who leads


@pytest.mark.parametrize("first", ["update", "selection"])
def test_beside_a_selection_the_update_does_nothing(first):
    model, train = make_model(make_loss()), adaptive()
    fit_adaptive(model, train)
    callbacks = [tfml.AdaptiveBatchSelection(train, verbose_logs=True), PositiveWeightsUpdate()]
    if first == "update":
        callbacks.reverse()
    history = model.fit(train, epochs=4, verbose=0, callbacks=callbacks).history
    np.testing.assert_allclose(history[KEY], [0.5 * (1 - k / 8) for k in range(4, 8)], rtol=1e-12)


@pytest.mark.filterwarnings("error")
def test_neither_has_to_know_of_the_other():
    loss = tfml.losses.PositiveWeights("binary_crossentropy", odds=ODDS, exponent=Ramp(0.25, 0.0))
    model, train = make_model(loss, 0.5), adaptive("d2ace", features=X)
    history = fit_adaptive(model, train, shuffle=False)
    assert history[KEY] == [0.25, 0.1875, 0.125, 0.0625]


def test_a_fit_without_a_leader_warns_and_stays():
    model = make_model(make_loss())
    model.evaluate(X, Y, verbose=0)  # moves nothing, so that it needs nobody
    with pytest.warns(UserWarning, match=r"no callback moves it.* Pass fit AdaptiveBatchSelection"):
        history = fit_plain(model, [])
    assert KEY not in history
    np.testing.assert_allclose(history["loss"], slow_loss(model, 0.5), rtol=1e-5)


def test_no_leader_is_needed_for_a_number():
    model = make_model(make_loss(exponent=0.5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = fit_plain(model, [], validation_data=(X, Y))
    np.testing.assert_allclose(history["loss"], slow_loss(model, 0.5), rtol=1e-5)
    np.testing.assert_allclose(history["val_loss"], slow_loss(model, 0.5), rtol=1e-5)


# Validation


@pytest.mark.parametrize("leader", FITS)
def test_validation_takes_the_plain_loss_while_weights_move(leader):
    model = make_model(make_loss())
    history = FITS[leader](model, validation_data=(X, Y))
    np.testing.assert_allclose(history["val_loss"], slow_loss(model, 0.0), rtol=1e-5)
    assert history["loss"][0] == pytest.approx(slow_loss(model, 0.5), rel=1e-5)
    # Keras keeps the evaluation that it compiled in the fit.
    evaluated = model.evaluate(X, Y, verbose=0)
    assert evaluated == pytest.approx(slow_loss(model, 0.125), rel=1e-5)
    assert abs(evaluated - history["val_loss"][0]) > 1e-3


@pytest.mark.parametrize("leader", FITS)
def test_validation_is_weighed_while_weights_stay(leader):
    model = make_model(make_loss(exponent=0.5))
    history = FITS[leader](model, validation_data=(X, Y))
    np.testing.assert_allclose(history["val_loss"], slow_loss(model, 0.5), rtol=1e-5)


def test_an_evaluation_of_another_callback_is_validation_too():
    seen = []

    class Evaluate(tf.keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(self.model.evaluate(X, Y, verbose=0))

    model = make_model(make_loss())
    fit_plain(model, [PositiveWeightsUpdate(), Evaluate()], epochs=2)
    np.testing.assert_allclose(seen, slow_loss(model, 0.0), rtol=1e-5)


# The odds of the draws


def test_odds_of_the_draws():
    model, train = make_model(make_loss(odds_of="draws")), adaptive("label_balanced")
    history = fit_adaptive(model, train, epochs=1, validation_data=(X, Y))
    share = train.probabilities @ Y
    np.testing.assert_allclose(model.loss.odds, share / (1 - share), rtol=1e-5)
    assert np.abs(np.log(model.loss.odds / ODDS)).max() > 0.1
    p = model.predict(X, verbose=0).astype(np.float64)
    entries = -(Y * np.log(p) + (1 - Y) * np.log(1 - p))
    expected = oracle.loss(entries, Y, share / (1 - share), 0.5)
    assert history["val_loss"][0] == pytest.approx(entries.mean(), rel=1e-5)
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(expected.mean(), rel=1e-5)


def test_odds_of_the_draws_change_with_every_distribution():
    seen = []

    class Watch(tf.keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 0:
                seen.append((loss.odds.numpy(), train.probabilities @ Y))

    loss = make_loss(exponent=0.5, odds_of="draws")
    train = adaptive(tfml.strategies.OnlineBatch(8.0, warmup=1))
    fit_adaptive(make_model(loss, 0.5), train, [Watch()], epochs=3)
    for odds, share in seen:
        np.testing.assert_allclose(odds, share / (1 - share), rtol=1e-5)
    np.testing.assert_allclose(seen[0][0], ODDS, rtol=1e-5)
    assert np.abs(seen[2][0] / seen[1][0] - 1).max() > 1e-3


def test_odds_of_the_data_stay_under_a_strategy():
    model, train = make_model(make_loss()), adaptive("label_balanced")
    fit_adaptive(model, train)
    np.testing.assert_allclose(model.loss.odds, ODDS, rtol=1e-6)


# Kept and put back


def test_saved_and_loaded(tmp_path):
    model = make_model(make_loss())
    fit_plain(model, [PositiveWeightsUpdate(epochs=8)])
    model.save(tmp_path / "model.keras")
    again = tf.keras.models.load_model(tmp_path / "model.keras")
    assert float(again.loss.exponent) == float(model.loss.exponent) == 0.3125
    assert again.evaluate(X, Y, verbose=0) == pytest.approx(model.evaluate(X, Y, verbose=0))
    history = fit_plain(again, initial_epoch=4, epochs=8)
    assert history[KEY] == [0.25, 0.1875, 0.125, 0.0625]


@pytest.mark.parametrize("odds_of", ["data", "draws"])
def test_restored_from_a_backup(tmp_path, odds_of):
    def run(directory):
        strategy = tfml.strategies.OnlineBatch(8.0, warmup=1, epochs=6)
        train = adaptive(strategy)
        selection = tfml.AdaptiveBatchSelection(
            train, verbose_logs=True, backup_dir=str(tmp_path / directory)
        )
        return make_model(make_loss(odds_of=odds_of), 0.5), train, selection

    def go(model, train, selection, **epochs):
        return model.fit(train, verbose=0, callbacks=[selection], **epochs).history

    straight, *rest = run("straight")
    expected = go(straight, *rest, epochs=6)
    model, *rest = run("stopped")
    go(model, *rest, epochs=3)
    again, train, selection = run("stopped")
    assert selection.restore(again) == 3
    for name, variable in model.loss.state.items():
        np.testing.assert_array_equal(again.loss.state[name], variable)
    history = go(again, train, selection, initial_epoch=3, epochs=6)
    assert history[KEY] == expected[KEY][3:] == [0.5 * (1 - k / 6) for k in range(3, 6)]
    np.testing.assert_array_equal(again.loss.odds, straight.loss.odds)
    np.testing.assert_allclose(history["loss"], expected["loss"][3:], rtol=1e-6)


# Models and settings


def two_outputs(losses):
    inputs = tf.keras.Input((6,))
    start = tf.keras.initializers.RandomUniform(-1, 1, seed=1)
    outputs = {
        name: tf.keras.layers.Dense(Q, "sigmoid", kernel_initializer=start, name=name)(inputs)
        for name in losses
    }
    model = tf.keras.Model(inputs, outputs)
    model.compile(tf.keras.optimizers.SGD(0.0), losses)
    return model


def test_one_of_two_outputs():
    model = two_outputs({"tags": make_loss(), "others": "mse"})
    history = model.fit(
        X, {"tags": Y, "others": Y}, epochs=2, verbose=0, callbacks=[PositiveWeightsUpdate()]
    ).history
    assert history[KEY] == [0.5, 0.25]


def test_one_output_is_led_by_each():
    losses = {"tags": make_loss(), "others": make_loss(exponent=Ramp(1.0, 0.0))}
    model, train = two_outputs(losses), adaptive()
    seen = []

    class Watch(tf.keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append([float(loss.exponent) for loss in losses.values()])

    given = train.map(lambda x, y: (x, {"tags": y, "others": y}))
    selection = tfml.AdaptiveBatchSelection(train, output="tags", verbose_logs=True)
    callbacks = [PositiveWeightsUpdate("others"), selection, Watch()]
    model.fit(given, epochs=2, verbose=0, callbacks=callbacks)
    assert seen == [[0.5, 1.0], [0.25, 0.5]]


def test_two_outputs_and_none_named():
    model = two_outputs({"tags": make_loss(), "others": make_loss()})
    with pytest.raises(ValueError, match=r"none, or several. Received: .*name the output"):
        fit_plain(model)


def test_a_model_without_the_loss():
    with pytest.raises(ValueError, match=r"has none.* Received: .*Compile the model"):
        fit_plain(make_model("binary_crossentropy"))


def test_mixed_precision():
    tf.keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        history = fit_adaptive(make_model(make_loss(), 0.1))
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    assert np.all(np.isfinite(history["loss"]))
    assert history[KEY] == [0.5, 0.375, 0.25, 0.125]


def test_a_fit_that_raised_leaves_nothing_behind():
    class Stop(tf.keras.callbacks.Callback):
        def on_test_end(self, logs=None):
            raise KeyboardInterrupt

    model = make_model(make_loss())
    with pytest.raises(KeyboardInterrupt):
        fit_plain(model, [PositiveWeightsUpdate(), Stop()], validation_data=(X, Y))
    history = fit_plain(model, [], validation_data=(X, Y))
    assert model.loss.leader is None
    assert "train_step" not in vars(model)
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(history[name], slow_loss(model, 0.5), rtol=1e-5)


def test_logs_hold_the_number(tmp_path):
    logger = tf.keras.callbacks.CSVLogger(str(tmp_path / "log.csv"))
    fit_plain(make_model(make_loss()), [PositiveWeightsUpdate(), logger], epochs=2)
    with open(tmp_path / "log.csv", encoding="utf-8") as file:
        assert [float(row[KEY]) for row in csv.DictReader(file)] == [0.5, 0.25]


def test_evaluate_with_the_callback_leaves_no_hook():
    model = make_model(make_loss())
    model.evaluate(X, Y, verbose=0, callbacks=[PositiveWeightsUpdate()])
    assert "train_step" not in vars(model)


@pytest.mark.parametrize("settings", [{"epochs": 0}, {"epochs": 2.5}, {"output": 1.5}], ids=str)
def test_bad_arguments(settings):
    with pytest.raises(ValueError, match=r"Received: .*\. \w+"):
        PositiveWeightsUpdate(**settings)


class Interrupts(tf.keras.callbacks.Callback):
    """Ctrl-C in the second epoch."""

    def on_train_batch_end(self, batch, logs=None):
        if self.model.history.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize("fit", FITS)
def test_after_an_interrupted_fit_the_loss_weighs_everywhere(fit):
    """In an evaluation of the model, for another model, and where it is called by hand."""
    loss = make_loss(exponent=Ramp(1.0, 0.9))
    model = make_model(loss)
    extra = [Interrupts()]
    if fit == "update":
        extra.append(PositiveWeightsUpdate())
    with pytest.raises(KeyboardInterrupt):
        FITS[fit](model, callbacks=extra, validation_data=(X, Y))
    expected = slow_loss(model, loss.exponent.numpy())
    assert abs(expected - slow_loss(model, 0.0)) > 0.05
    assert float(loss(Y, model(X))) == pytest.approx(expected, rel=1e-5)
    assert model.evaluate(X, Y, batch_size=N, verbose=0) == pytest.approx(expected, rel=1e-5)
    other = make_model(loss)
    history = other.fit(X, Y, batch_size=N, verbose=0).history
    assert history["loss"][0] == pytest.approx(expected, rel=1e-5)
