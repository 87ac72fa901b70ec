"""Partial Label Masking in `model.fit`: ratios adapt once per epoch, whoever leads them."""

import csv

import numpy as np
import pytest
import tensorflow as tf

import tests.support.oracles.partial_label_masking as oracle
import tfmlselect as tfml
from tfmlselect.callbacks import PartialLabelMaskingUpdate
from tfmlselect.losses import PartialLabelMasking

N, Q, BATCH = 90, 4, 16
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 6)).astype("float32")
Y = (X[:, :Q] + 0.3 * RNG.normal(size=(N, Q)) > [0, 0.5, 1, 1.5]).astype("float32")
ODDS = oracle.odds(Y)
RATE = 0.3


def make_loss(loss="binary_crossentropy", **arguments):
    return PartialLabelMasking(loss, **{"odds": ODDS, "rate": RATE, **arguments})


def make_model(loss, learning_rate=0.0, activation="sigmoid", **compiled):
    start = tf.keras.initializers.RandomUniform(-1, 1, seed=1)
    head = tf.keras.layers.Dense(Q, activation=activation, kernel_initializer=start)
    model = tf.keras.Sequential([tf.keras.Input((6,)), head])
    model.compile(tf.keras.optimizers.SGD(learning_rate), loss, **compiled)
    return model


def fit(model, *data, callbacks, epochs=3, **arguments):
    data = data or (X, Y)
    if not isinstance(data[0], tf.data.Dataset):
        arguments |= {"batch_size": BATCH, "shuffle": False}
    return model.fit(*data, epochs=epochs, verbose=0, callbacks=callbacks, **arguments).history


def expected_ratios(p, y=Y, epochs=3, odds=ODDS):
    """Ideal ratios before each epoch, and after the last, of a model that does not learn."""
    d = oracle.divergences(oracle.histograms(y, p))
    ideal = [odds]
    for _ in range(epochs):
        ideal.append(oracle.update(ideal[-1], odds, *d, rate=RATE))
    return np.array(ideal)


@pytest.mark.parametrize("jit_compile", [False, pytest.param(True, marks=pytest.mark.full)])
@pytest.mark.parametrize("mask", ["sample", "expected"])
def test_ratios_follow_the_formula(jit_compile, mask):
    loss = make_loss(mask=mask)
    model = make_model(loss, jit_compile=jit_compile)
    history = fit(model, callbacks=[PartialLabelMaskingUpdate()])
    expected = expected_ratios(model.predict(X, verbose=0))
    assert np.abs(np.log(expected[-1] / ODDS)).max() > 0.2
    np.testing.assert_allclose(history["plm/ideal_ratios"], expected[:-1], rtol=1e-5)
    np.testing.assert_allclose(loss.ideal, expected[-1], rtol=1e-5)
    np.testing.assert_allclose(history["plm/odds"], [ODDS] * 3, rtol=1e-6)


def test_history_shows_what_was_masked():
    model = make_model(make_loss())
    history = fit(model, callbacks=[PartialLabelMaskingUpdate()])
    p = model.predict(X, verbose=0)
    positive, negative = oracle.divergences(oracle.histograms(Y, p))
    assert history["plm/masked_positives"][0] == history["plm/masked_negatives"][0] == 0
    assert history["plm/largest_factor"][0] == pytest.approx(1)
    for epoch, ideal in enumerate(expected_ratios(p)[:-1]):
        masked = 1 - oracle.keep_probability(Y, ODDS, ideal)
        for name, kind in (("positives", Y == 1), ("negatives", Y == 0)):
            shown = history[f"plm/masked_{name}"][epoch]
            assert shown == pytest.approx(masked[kind].mean(), abs=1e-6)
        factor = np.exp(np.abs(np.log(ideal / ODDS)).max())
        assert history["plm/largest_factor"][epoch] == pytest.approx(factor, rel=1e-5)
        assert history["plm/divergence_positives"][epoch] == pytest.approx(positive.mean())
        assert history["plm/divergence_negatives"][epoch] == pytest.approx(negative.mean())
    assert history["plm/masked_positives"][2] > 0
    np.testing.assert_allclose(history["plm/label_divergence_positives"][0], positive)


def test_no_masking_in_the_first_epoch():
    plain = make_model("binary_crossentropy", learning_rate=0.5)
    masked = make_model(make_loss(), learning_rate=0.5)
    losses = fit(plain, callbacks=[])["loss"]
    of_masked = fit(masked, callbacks=[PartialLabelMaskingUpdate()])["loss"]
    assert of_masked[0] == pytest.approx(losses[0], rel=1e-5)
    assert of_masked[1] != pytest.approx(losses[1], rel=1e-3)


def test_validation_is_not_masked():
    loss = make_loss(initial=5.0)
    model = make_model(loss)
    history = fit(model, callbacks=[PartialLabelMaskingUpdate()], validation_data=(X, Y))
    p = model.predict(X, verbose=0)
    plain = float(tf.keras.losses.BinaryCrossentropy()(Y, p))
    np.testing.assert_allclose(history["val_loss"], plain, rtol=1e-5)
    assert abs(history["loss"][0] - plain) > 0.01
    assert loss.leader is None
    assert abs(float(loss(Y, p)) - plain) > 0.01


def adaptive(strategy="label_balanced", y=Y, **arguments):
    return tfml.adaptive_dataset((X, y), strategy=strategy, batch_size=BATCH, seed=0, **arguments)


def test_odds_are_those_of_the_plan():
    train = adaptive()
    loss = make_loss()
    model = make_model(loss)
    history = fit(model, train, callbacks=[tfml.AdaptiveBatchSelection(train, verbose_logs=True)])
    odds = oracle.odds(Y, train.probabilities)
    assert np.abs(np.log(odds / ODDS)).max() > 0.1
    np.testing.assert_allclose(history["plm/odds"], [odds] * 3, rtol=1e-5)
    np.testing.assert_allclose(history["plm/ideal_ratios"][0], odds, rtol=1e-5)
    assert history["plm/masked_positives"][0] == 0


def test_odds_change_with_every_distribution():
    train = adaptive(tfml.strategies.D2ACE(neighbors=0, warmup=1))
    seen = []

    class Watch(tf.keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            seen.append(oracle.odds(Y, train.probabilities))

    callbacks = [tfml.AdaptiveBatchSelection(train, verbose_logs=True), Watch()]
    history = fit(make_model(make_loss(), 0.5), train, callbacks=callbacks)
    np.testing.assert_allclose(history["plm/odds"], seen, rtol=1e-5)
    np.testing.assert_allclose(seen[0], ODDS, rtol=1e-9)
    assert np.abs(np.log(seen[2] / seen[1])).max() > 1e-3


@pytest.mark.parametrize("first", ["update", "selection"])
def test_both_callbacks_record_once(first):
    results = []
    for both in (False, True):
        train = adaptive("d2ace", features=X)
        callbacks = [tfml.AdaptiveBatchSelection(train, verbose_logs=True)]
        if both:
            callbacks.insert(first == "selection", PartialLabelMaskingUpdate())
        loss = make_loss()
        model = make_model(loss, 0.5)
        history = fit(model, train, callbacks=callbacks, validation_data=(X, Y))
        assert len(history["plm/odds"]) == 3
        results.append(loss.ideal.numpy())
    np.testing.assert_allclose(*results, rtol=1e-6)


def test_beside_a_selection_that_predicts():
    train = adaptive("d2ace", features=X)
    loss = make_loss()
    history = fit(
        make_model(loss),
        train,
        callbacks=[tfml.AdaptiveBatchSelection(train, verbose_logs=True, scores="predict")],
    )
    assert history["plm/divergence_positives"][0] > 0
    assert np.abs(loss.ideal / loss.actual - 1).max() > 0.01


def test_saved_loaded_and_resumed(tmp_path):
    straight = make_loss(mask="expected")
    fit(make_model(straight), callbacks=[PartialLabelMaskingUpdate()], epochs=4)
    model = make_model(make_loss(mask="expected"))
    fit(model, callbacks=[PartialLabelMaskingUpdate()], epochs=2)
    model.save(tmp_path / "model.keras")
    again = tf.keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.loss.ideal, model.loss.ideal)
    fit(again, callbacks=[PartialLabelMaskingUpdate()], epochs=2)
    np.testing.assert_allclose(again.loss.ideal, straight.ideal, rtol=1e-5)


def test_label_weights_in_fit_where_b_is_q():
    weight = RNG.random((N, Q)).astype("float32")
    model = make_model(make_loss())
    p = None
    data = tf.data.Dataset.from_tensor_slices((X[:88], Y[:88], weight[:88])).batch(Q)
    history = fit(model, data, callbacks=[PartialLabelMaskingUpdate()], epochs=1)
    p = model.predict(X[:88], verbose=0).astype(float)
    entries = -(Y[:88] * np.log(p) + (1 - Y[:88]) * np.log(1 - p))
    assert history["loss"][0] == pytest.approx((entries * weight[:88]).mean(), rel=1e-4)


@pytest.mark.parametrize("form", ["softmax", "logits", "one-hot", "sigmoid"])
def test_class_ids(form):
    ids = np.concatenate([np.full(60, 0), np.full(20, 1), np.full(7, 2), np.full(3, 3)])
    onehot = np.eye(Q, dtype="float32")[ids]
    odds = tfml.label_statistics(ids).odds
    logits = {"from_logits": True, "activation": "softmax"} if form == "logits" else {}
    activation = {"logits": None, "sigmoid": "sigmoid"}.get(form, "softmax")
    model = make_model(make_loss(odds=odds, **logits), activation=activation)
    fit(
        model,
        X,
        onehot if form == "one-hot" else ids,
        callbacks=[PartialLabelMaskingUpdate()],
    )
    p = model.predict(X, verbose=0)
    if form == "logits":
        p = np.exp(p) / np.exp(p).sum(axis=1, keepdims=True)
    expected = expected_ratios(p, onehot, odds=odds)[-1]
    np.testing.assert_allclose(model.loss.ideal, expected, rtol=1e-4)


def test_class_ids_with_selection():
    ids = np.concatenate([np.full(60, 0), np.full(20, 1), np.full(7, 2), np.full(3, 3)])
    train = adaptive("online_batch", ids)
    odds = tfml.label_statistics(ids).odds
    loss = make_loss(odds=odds, from_logits=True, activation="softmax")
    model = make_model(loss, 0.1, activation=None)
    history = fit(model, train, callbacks=[tfml.AdaptiveBatchSelection(train, verbose_logs=True)])
    assert np.abs(np.log(history["plm/odds"][2] / odds)).max() > 0.01


def two_outputs(loss):
    inputs = tf.keras.Input((6,))
    start = tf.keras.initializers.RandomUniform(-1, 1, seed=1)
    outputs = {
        "tags": tf.keras.layers.Dense(Q, "sigmoid", kernel_initializer=start, name="tags")(inputs),
        "size": tf.keras.layers.Dense(1, kernel_initializer="zeros", name="size")(inputs),
    }
    model = tf.keras.Model(inputs, outputs)
    model.compile(tf.keras.optimizers.SGD(0.0), {"tags": loss, "size": "mse"})
    return model


def test_one_of_two_outputs():
    loss = make_loss()
    model = two_outputs(loss)
    data = {"tags": Y, "size": X[:, :1]}
    model.fit(
        X, data, batch_size=BATCH, epochs=2, verbose=0, callbacks=[PartialLabelMaskingUpdate()]
    )
    p = model.predict(X, verbose=0)["tags"]
    np.testing.assert_allclose(loss.ideal, expected_ratios(p, epochs=2)[-1], rtol=1e-5)


@pytest.mark.parametrize("output", ["tags", 1])  # dicts go by name
def test_one_of_two_outputs_with_selection(output):
    loss = make_loss()
    model = two_outputs(loss)
    train = adaptive("online_batch")
    callback = tfml.AdaptiveBatchSelection(train, output=output, verbose_logs=True)
    given = train.map(lambda x, y: (x, {"tags": y, "size": x[:, :1]}))
    history = model.fit(given, epochs=2, verbose=0, callbacks=[callback]).history
    assert len(history["plm/odds"]) == 2
    assert np.abs(loss.ideal / ODDS - 1).max() > 0.1


def test_logits_without_a_word_and_without_a_recorder():
    model = make_model(make_loss(), activation=None)
    train = adaptive("uniform")
    with pytest.raises(ValueError, match=r"look like logits. Received: \d+ rows"):
        fit(model, train, callbacks=[tfml.AdaptiveBatchSelection(train)])


def test_mixed_precision():
    tf.keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = make_model(make_loss(), 0.1)
        history = fit(model, callbacks=[PartialLabelMaskingUpdate()])
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    assert np.all(np.isfinite(history["loss"]))
    assert history["plm/masked_positives"][2] > 0


def test_a_label_without_positives_is_named():
    y = Y.copy()
    y[:, 2] = 0
    odds = oracle.odds(y)
    loss = make_loss(odds=odds)
    with pytest.warns(UserWarning, match=r"take no part.* Received: 1 of 4 labels: 2\."):
        history = fit(make_model(loss), X, y, callbacks=[PartialLabelMaskingUpdate()])
    assert np.isnan(loss.ideal.numpy()).tolist() == [False, False, True, False]
    assert np.all(np.isfinite(history["loss"]))
    assert np.isfinite(history["plm/masked_negatives"]).all()


def test_a_model_without_the_loss():
    with pytest.raises(ValueError, match=r"model has none. Received: .*Compile the model"):
        fit(make_model("binary_crossentropy"), callbacks=[PartialLabelMaskingUpdate()])


def test_logits_without_a_word():
    model = make_model(make_loss(), activation=None)
    with pytest.raises(ValueError, match=r"look like logits. Received: \d+ rows.*from_logits=True"):
        fit(model, callbacks=[PartialLabelMaskingUpdate()])


def test_a_fit_that_raised_leaves_nothing_behind():
    class Stop(tf.keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    loss = make_loss(initial=5.0)
    model = make_model(loss)
    with pytest.raises(KeyboardInterrupt):
        fit(model, callbacks=[PartialLabelMaskingUpdate(), Stop()])
    before = loss.ideal.numpy()
    fit(model, callbacks=[])
    assert loss.leader is None
    assert "train_step" not in vars(model)
    np.testing.assert_array_equal(loss.ideal, before)


def test_logs_hold_numbers_alone(tmp_path):
    logger = tf.keras.callbacks.CSVLogger(str(tmp_path / "log.csv"))
    fit(make_model(make_loss()), callbacks=[PartialLabelMaskingUpdate(), logger])
    with open(tmp_path / "log.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name.startswith("plm/")]
    assert len(names) == 5
    assert all(float(row[name]) >= 0 for row in rows for name in names)


def test_evaluate_with_the_callback_leaves_no_hook():
    model = make_model(make_loss())
    model.evaluate(X, Y, verbose=0, callbacks=[PartialLabelMaskingUpdate()])
    assert "train_step" not in vars(model)
