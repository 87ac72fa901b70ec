"""Callback: once per epoch, records become a distribution, and the distribution a plan."""

import copy
import threading
import warnings

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml
from tests.support.recorded_fits import KERNEL, Spy, Untrained, check_rows, linear, numbered, run
from tests.support.watching import Watch
from tfmlselect.losses.cross_entropy import binary_cross_entropy
from tfmlselect.strategies import D2ACE, Uniform


def adaptive(n=27, strategy=None, **options):
    return tfml.adaptive_dataset(numbered(n), strategy or Spy(), 4, seed=1, **options)


def learner(q=5, loss="binary_crossentropy", activation="sigmoid"):
    start = tf.keras.initializers.RandomUniform(-1, 1, seed=0)
    dense = tf.keras.layers.Dense(q, activation, kernel_initializer=start)
    model = tf.keras.Sequential([tf.keras.layers.Input([1]), dense])
    model.compile(tf.keras.optimizers.SGD(0.5), loss)
    return model


# From fit to fit.


def test_a_second_fit_goes_on():
    train, model = adaptive(), linear()
    run(model, train, epochs=2)
    run(model, train, epochs=2)
    assert train.epoch == 4
    # Before the first epoch, after each; and once more where the run turned out to be longer.
    assert train.strategy.asked == [0, 0, 1, 1, 2, 3]
    check_rows(train.strategy, numbered(27)[0], epochs=range(4))


def test_a_second_model_starts_afresh():
    train, first = adaptive(), linear()
    run(first, train, epochs=2)
    plans = train.strategy.plans
    run(linear(), train, epochs=3)
    assert train.epoch == 3
    np.testing.assert_array_equal(train.strategy.plans[0], plans[0])
    check_rows(train.strategy, numbered(27)[0])
    with pytest.warns(UserWarning, match="recorded in 3 epochs is lost"):
        run(first, train, epochs=1)
    assert train.epoch == 1


def test_three_fits_of_one_epoch_are_one_fit_of_three():
    weights, plans = [], []
    for epochs in ([3], [1, 1, 1]):
        model = learner()
        train = adaptive(strategy=D2ACE(neighbors=2, warmup=1, epochs=3))
        for start, more in enumerate(epochs):
            run(model, train, epochs=start + more, fit={"initial_epoch": start})
        weights.append(np.concatenate([w.ravel() for w in model.get_weights()]))
        plans.append(train.probabilities)
    np.testing.assert_array_equal(*weights)
    np.testing.assert_array_equal(*plans)
    assert np.ptp(plans[0]) > 0


def test_the_same_seed_gives_the_same_training():
    histories = [run(learner(), adaptive(strategy=D2ACE(warmup=1))).history for _ in range(2)]
    assert histories[0].keys() == histories[1].keys()
    for name, values in histories[0].items():
        np.testing.assert_array_equal(values, histories[1][name], err_msg=name)


def test_a_copy_shares_the_dataset():
    train = adaptive()
    callback = tfml.AdaptiveBatchSelection(train, scores="predict", every=2)
    twin = copy.deepcopy([callback])[0]
    assert twin.dataset is train
    assert twin is not callback
    linear().fit(train, epochs=2, verbose=0, callbacks=[twin])
    assert train.epoch == 2
    assert train.strategy.ids == list(range(27))  # scored once in two epochs


def test_two_threads_on_one_dataset():
    train = adaptive()
    reached, leave = threading.Event(), threading.Event()

    def wait(batch, logs):
        reached.set()
        leave.wait(60)

    wait_there = tf.keras.callbacks.LambdaCallback(on_train_batch_end=wait)
    model = linear()
    first = threading.Thread(target=run, args=(model, train, 1, [wait_there]))
    first.start()
    try:
        assert reached.wait(60)
        with pytest.raises(RuntimeError, match=r"one fit at a time.*Received.*thread"):
            run(linear(), train)
    finally:
        leave.set()
        first.join()
    assert train.epoch == 1
    check_rows(train.strategy, numbered(27)[0], epochs=[0])


# The run's length.


def test_an_initial_epoch_that_the_dataset_does_not_know():
    with pytest.warns(UserWarning, match=r"epoch 5.*completed 0.*initial_epoch=5"):
        run(linear(), adaptive(), epochs=6, fit={"initial_epoch": 5})


def test_the_strategy_is_told_how_long_the_run_is():
    train, model = adaptive(), linear()
    run(model, train, epochs=2)
    assert train.strategy.run_epochs == 2
    run(model, train, epochs=5)
    assert train.strategy.run_epochs == 7
    run(model, train, epochs=9, fit={"initial_epoch": 7})
    assert train.strategy.run_epochs == 9


def test_a_run_within_the_warmup():
    with pytest.warns(UserWarning, match=r"No adaptive epoch.*run of 2 epochs, the first 2"):
        run(linear(), adaptive(strategy=Spy(warmup=2)), epochs=2)


class Flat(tf.keras.callbacks.Callback):
    """Logs a figure that never gets better."""

    def on_epoch_end(self, epoch, logs=None):
        logs["flat"] = 1.0


def stopping(patience):
    """Callbacks that stop a fit after patience + 1 epochs."""
    return [Flat(), tf.keras.callbacks.EarlyStopping("flat", patience=patience, mode="min")]


@pytest.mark.parametrize("patience", [1, 9])
@pytest.mark.parametrize("name", tfml.strategies.names())
def test_a_fit_that_stops_early_has_adaptive_epochs_or_says_that_it_has_none(name, patience):
    x, y = numbered(27)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what strategies are given here
        train = tfml.adaptive_dataset((x, y), name, 4, seed=1)
    model, seen = linear(), []
    note = tf.keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: seen.append(train.epoch >= train.strategy.warmup)
    )
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        run(model, train, 1000, [note, *stopping(patience)])
    assert len(seen) == patience + 1
    assert train.strategy.warmup <= 5
    told = [str(each.message) for each in said if "adaptive epoch" in str(each.message)]
    assert len(told) <= 1
    assert any(seen) or told
    assert any(seen) or patience < 5


def test_early_stopping_within_the_warmup_is_said_at_the_start():
    train, early = adaptive(strategy=Spy(warmup=3)), []
    note = tf.keras.callbacks.LambdaCallback(on_epoch_begin=lambda *_: early.append(len(said)))
    with pytest.warns(
        UserWarning, match=r"an end after 3 epochs, and a warm-up of 3\. Use"
    ) as said:
        run(linear(), train, 50, [note, *stopping(2)])
    assert early[1] == len(said)  # known in the first epoch, and not said again


def test_a_warm_up_that_is_over_is_no_reason_to_warn():
    train, model = adaptive(strategy=Spy(warmup=3)), linear()
    run(model, train, 6)
    run(model, train, 50, stopping(1))  # a warning would be an error
    assert train.epoch == 8


def test_of_several_the_earliest_stop_counts():
    train = adaptive(strategy=Spy(warmup=3))
    flat, early = stopping(1)
    later = tf.keras.callbacks.EarlyStopping("flat", patience=50, mode="min")
    with pytest.warns(UserWarning, match=r"an end after 2 epochs"):
        run(linear(), train, 50, [flat, later, early])


def test_few_adaptive_epochs_are_said_at_the_end():
    train = adaptive(strategy=Spy(warmup=4))

    def stop(epoch, logs):
        model.stop_training = epoch == 4

    model = linear()
    callbacks = [tf.keras.callbacks.LambdaCallback(on_epoch_end=stop)]
    with pytest.warns(UserWarning, match=r"1 adaptive epochs of 5, .* run of 40\. Make"):
        run(model, train, 40, callbacks)


def test_every_counts_over_short_fits():
    asked = []
    for fits in ([9], range(1, 10)):
        train, model = adaptive(strategy=Spy()), linear()
        for epochs in fits:
            run(model, train, epochs, fit={"initial_epoch": train.epoch}, every=3)
        asked.append(sorted(set(train.strategy.asked)))
    assert asked[0] == asked[1] == [0, 2, 5, 8]


def test_a_fit_that_goes_on_starts_with_the_same_distribution():
    def stop(epoch, logs):
        model.stop_training = epoch == 2

    distributions = []
    for parts in (False, True):
        falling = tfml.schedules.Ramp(0.9, 0.0)  # by the length of the run
        train = adaptive(strategy=tfml.strategies.AdaptiveBalance(falling))
        model, watch = linear(), Watch(train)
        if parts:
            run(model, train, 8, [watch, tf.keras.callbacks.LambdaCallback(on_epoch_end=stop)])
            assert train.epoch == 3
        run(model, train, 8, [watch], fit={"initial_epoch": train.epoch})
        distributions.append(watch.distributions)
    np.testing.assert_array_equal(*distributions)


def test_a_dataset_s_own_epochs_are_the_run():
    train = tfml.adaptive_dataset(numbered(27), D2ACE(neighbors=2), 4, seed=1, epochs=8)
    run(learner(), train, 1000, stopping(3))
    assert train.strategy.run_epochs == 8
    assert train.strategy.warmup == 1


def test_short_fits_keep_counting():
    train = tfml.adaptive_dataset(numbered(27), D2ACE(neighbors=2), 4, seed=1)
    model, adapted = learner(), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the first fit is all warm-up
        for _ in range(4):
            model.fit(train, verbose=0, callbacks=[tfml.AdaptiveBatchSelection(train)])
            adapted.append(np.ptp(train.probabilities) > 0)
    assert train.epoch == 4
    assert adapted == [True] * 4


@pytest.mark.parametrize(
    ("fits", "known"),
    [
        ([{"epochs": 2}], [True]),
        ([{"epochs": 2}, {"epochs": 2}], [True, False]),
        ([{"epochs": 2}, {"epochs": 4, "initial_epoch": 2}], [True, True]),
        ([{"epochs": 2, "early": True}], [False]),
    ],
    ids=["one fit", "another fit", "a fit that goes on", "early stopping"],
)
def test_whether_the_length_of_a_run_is_known(fits, known):
    train, model, found = adaptive(strategy=Spy()), linear(), []
    for options in fits:
        early = stopping(5) if options.pop("early", False) else []
        run(model, train, options.pop("epochs"), early, fit=options)
        found.append(train.strategy.length_is_known)
    assert found == known


# Exact scores.


def test_predict_scores_every_sample_in_inference_mode_every_second_epoch():
    train, model = adaptive(), learner(loss="mse", activation="linear")
    after = []
    x = numbered(27)[0]
    note = tf.keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: after.append(model.predict(x, verbose=0))
    )
    run(model, train, 4, [note], scores="predict", every=2, from_logits=True)
    assert train.strategy.ids == [*range(27)] * 2
    expected = tf.sigmoid(np.concatenate(after[1::2]))
    np.testing.assert_allclose(np.stack(train.strategy.rows), expected, rtol=1e-5)
    assert train.strategy.asked == [0, 1, 3]


def test_every_counts_from_the_warmup():
    train = adaptive(strategy=Spy(warmup=3))
    run(linear(), train, epochs=6, every=2)
    assert train.strategy.asked == [2, 4]
    np.testing.assert_array_equal(train.probabilities, train.strategy.probabilities(4))


def test_predict_refuses_logits():
    with pytest.raises(ValueError, match=r"look like logits.*from_logits=True"):
        run(Logits(), adaptive(), scores="predict")


# The loss that is really trained.


def focal(y, p):
    return tf.where(y > 0.5, 1.0 - p, p) ** 2 * binary_cross_entropy(y, p)


@pytest.mark.parametrize("scores", ["record", "predict"])
def test_a_per_label_loss_reaches_the_strategy(scores):
    x, y = numbered(27)
    train = adaptive()
    run(linear(), train, signal=focal, scores=scores)
    spy = train.strategy
    expected = focal(y[spy.ids], x[spy.ids] * KERNEL)
    np.testing.assert_allclose(np.stack(spy.losses), expected, rtol=1e-5)


def test_without_a_signal_there_is_no_loss():
    train = adaptive()
    run(linear(), train)
    assert train.strategy.losses == []


def test_a_signal_of_the_wrong_shape():
    with pytest.raises(Exception, match="one loss for each sample and label"):
        run(linear(), adaptive(), signal=lambda y, p: tf.reduce_mean(y - p, axis=1))


def test_hardness_is_the_signal():
    results = []
    for signal in (focal, "probability"):
        train = adaptive(strategy=D2ACE(neighbors=2, warmup=1, hardness="loss"))
        run(linear(), train, epochs=2, signal=signal)
        results.append(train.strategy.state["hardness"].numpy())
    x, y = numbered(27)
    seen = results[0] != results[1]
    assert seen.any()
    flip = train.strategy.state["flip"].numpy()
    p = x * KERNEL
    np.testing.assert_allclose(results[0], focal(y, p) * (1 - flip), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(results[1], binary_cross_entropy(y, p) * (1 - flip), rtol=1e-4)


def test_the_state_lives_where_it_is_told(monkeypatch):
    asked, device = [], tf.device
    train = adaptive(strategy=D2ACE(neighbors=2, warmup=1))
    monkeypatch.setattr(tf, "device", lambda name: asked.append(name) or device(name))
    run(linear(), train, state_device="CPU:0")
    assert "CPU:0" in asked
    assert all("CPU:0" in variable.device for variable in train.strategy.state.values())
    assert train.strategy.state["visits"].numpy().sum() == 81


def test_another_device_in_a_second_fit_keeps_the_state():
    train, model = adaptive(strategy=D2ACE(neighbors=2, warmup=1)), linear()
    run(model, train, epochs=2)
    run(model, train, epochs=2, state_device="CPU:0")
    assert train.epoch == 4
    assert train.strategy.state["visits"].numpy().sum() == 4 * 27


# What outputs mean.


class Logits(Untrained):
    def __init__(self):
        super().__init__(lambda x: 9.0 * x * KERNEL - 4.0)
        self.compile(loss=lambda y, y_pred: tf.reduce_mean((y - y_pred) ** 2))


def test_logits_are_an_error_after_the_first_step():
    batches = []
    count = tf.keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: batches.append(batch)
    )
    with pytest.raises(ValueError, match=r"look like logits.*Received: \d of 4 rows.*from_logits"):
        run(Logits(), adaptive(), callbacks=[count])
    assert batches == [0]


def test_logits_that_are_stated():
    train = adaptive()
    run(Logits(), train, from_logits=True)
    x = numbered(27)[0][train.strategy.ids]
    np.testing.assert_allclose(train.strategy.rows, tf.sigmoid(9.0 * x * KERNEL - 4.0), rtol=1e-5)


@pytest.mark.parametrize("from_logits", [True, False])
def test_class_ids(from_logits):
    x = numbered(27)[0]
    ids = np.arange(27) % 5
    train = tfml.adaptive_dataset((x, ids), Spy(), 4, seed=1)
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits)
    model = learner(loss=loss, activation=None if from_logits else "softmax")
    model.compile(tf.keras.optimizers.SGD(0.0), loss)
    run(model, train)
    outputs = model.predict(x, verbose=0)
    expected = tf.nn.softmax(outputs).numpy() if from_logits else outputs
    check_rows_of(train.strategy, expected)


def check_rows_of(spy, expected):
    assert len(spy.ids) == 81
    np.testing.assert_allclose(np.stack(spy.rows), expected[spy.ids], rtol=1e-5)


def test_class_ids_with_d2ace():
    x, ids = numbered(30)[0], np.arange(30) % 3
    train = tfml.adaptive_dataset((x, ids), D2ACE(neighbors=2, warmup=1), 5, seed=0)
    run(learner(q=3, loss="sparse_categorical_crossentropy", activation="softmax"), train)
    assert np.ptp(train.probabilities) > 0


def two_outputs(structure):
    x = tf.keras.layers.Input([1])
    start = tf.keras.initializers.Constant(KERNEL)
    main = tf.keras.layers.Dense(5, None, False, start, name="main")(x)
    other = tf.keras.layers.Dense(2, name="other")(x)
    named = {"main": main, "other": other}
    model = tf.keras.Model(x, named if structure is dict else [main, other])
    loss = {"main": "mse", "other": "mse"} if structure is dict else ["mse", "mse"]
    model.compile(tf.keras.optimizers.SGD(0.0), loss)
    return model


def two_labels(structure):
    def add(x, y):
        other = tf.zeros([tf.shape(x)[0], 2])
        return x, ({"main": y, "other": other} if structure is dict else (y, other))

    return adaptive().map(add)


@pytest.mark.parametrize("structure", [dict, list])
def test_two_outputs(structure):
    train = two_labels(structure)
    run(two_outputs(structure), train, output="main")
    check_rows(train.strategy, numbered(27)[0])
    with pytest.raises(ValueError, match=r"2 outputs.*AdaptiveBatchSelection\(train, output=...\)"):
        run(two_outputs(structure), train)


# What does not fit together.


def test_another_width_is_seen_before_the_first_step():
    started = []
    note = tf.keras.callbacks.LambdaCallback(on_epoch_begin=lambda *_: started.append(1))
    x = np.ones([27, 1], "f")
    train = tfml.adaptive_dataset((x, np.eye(27)), Spy(), 4)
    with pytest.raises(ValueError, match="each of the 27 labels"):
        run(linear(), train, callbacks=[note])
    assert not started


def test_class_ids_without_the_last_class():
    x, y = np.ones([27, 1], "f"), np.arange(27) % 4
    train = tfml.adaptive_dataset((x, y), Spy(), 4)
    loss = "sparse_categorical_crossentropy"
    with pytest.raises(
        ValueError, match=r"\(None, 5\).* ids of the training set end at 3; .*one-hot"
    ):
        run(learner(loss=loss, activation="softmax"), train)
    train = tfml.adaptive_dataset((x, np.eye(5)[y]), Spy(), 4)
    run(learner(loss="categorical_crossentropy", activation="softmax"), train, epochs=1)


@pytest.mark.parametrize("scores", ["record", "predict"])
def test_validation_on_the_batches_selected(scores):
    train, model = adaptive(), learner()
    held_out = {"validation_data": numbered(8)}
    run(model, train, epochs=2, fit=held_out, scores=scores)
    run(model, train, epochs=3, fit={"validation_data": train.in_order()}, scores=scores)
    with pytest.warns(UserWarning, match="validates on the samples that it trains on") as said:
        run(model, train, epochs=6, fit={"validation_data": train}, scores=scores)
    assert sum("This fit validates" in str(each.message) for each in said) == 1  # and Keras' own


def test_another_width_of_a_subclassed_model_is_seen_in_the_first_step():
    model = Untrained(lambda x: x * KERNEL[:, :4])
    model.compile(loss="mse")
    with pytest.raises(Exception, match="each of the 5 labels"):
        run(model, adaptive())


@pytest.mark.parametrize("steps", [6, 8])
def test_another_number_of_steps(steps):
    match = rf"Received: {steps} steps an epoch, len\(dataset\)=7.*steps_per_epoch"
    with pytest.raises(ValueError, match=match):
        run(linear(), adaptive(), fit={"steps_per_epoch": steps})


def test_a_part_of_the_dataset():
    train = adaptive()
    with pytest.raises(ValueError, match="not an epoch of the callback's dataset"):
        linear().fit(train.take(3), verbose=0, callbacks=[tfml.AdaptiveBatchSelection(train)])


@pytest.mark.parametrize("scores", ["record", "predict"])
def test_another_dataset_of_the_same_length(scores):
    plain = tf.data.Dataset.from_tensor_slices(numbered(27)).batch(4)
    callback = tfml.AdaptiveBatchSelection(adaptive(), scores=scores)
    with pytest.raises(RuntimeError, match="does not read the dataset"):
        linear().fit(plain, verbose=0, callbacks=[callback])


@pytest.mark.filterwarnings("ignore:This adaptive dataset is not attached")
def test_another_adaptive_dataset_of_the_same_length():
    callback = tfml.AdaptiveBatchSelection(adaptive())
    with pytest.raises(RuntimeError, match="does not read the dataset"):
        linear().fit(adaptive(), verbose=0, callbacks=[callback])


def test_an_order_that_is_broken_behind_the_back():
    train = adaptive()
    shuffled = tf.data.Dataset.shuffle(train, 8, seed=0)  # past our `shuffle`, which refuses
    with pytest.raises(RuntimeError, match=r"not the planned ones.*check_order=False"):
        linear().fit(shuffled, verbose=0, callbacks=[tfml.AdaptiveBatchSelection(train)])


def test_labels_that_are_smoothed_pass():
    train = adaptive().map(lambda x, y: (x, 0.9 * y + 0.05))
    run(linear(), train)
    check_rows(train.strategy, numbered(27)[0])


def test_labels_that_are_mixed_up_on_purpose():
    train = adaptive().map(lambda x, y: (x, 0.4 * y + 0.6 * y[::-1]))
    with pytest.raises(RuntimeError, match=r"not the planned ones.*check_order=False"):
        run(linear(), train)
    run(linear(), train, check_order=False)
    check_rows(train.strategy, numbered(27)[0])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scores", "both"),
        ("every", 0),
        ("every", 1.5),
        ("signal", "loss"),
        ("from_logits", "yes"),
    ],
)
def test_arguments_out_of_range(name, value):
    with pytest.raises(ValueError, match=rf"`{name}`.*Received: {name}={value!r}.*Pass"):
        tfml.AdaptiveBatchSelection(adaptive(), **{name: value})


def test_a_plain_dataset_is_refused():
    with pytest.raises(TypeError, match=r"Received: dataset of type .*adaptive_dataset"):
        tfml.AdaptiveBatchSelection(tf.data.Dataset.range(3))


# What the logs say.


def test_history_by_hand():
    """Four samples, p = 1/10 (1, 2, 3, 4); label 0 has three positives, label 1 one."""

    class Fixed(Spy):
        def probabilities(self, epoch):
            return tf.constant([0.1, 0.2, 0.3, 0.4], tf.float64)

        def plan(self, *args, **kwargs):
            return np.array([3, 1, 3, 2])

    y = np.array([[1, 0], [1, 0], [1, 0], [0, 1]])
    train = tfml.adaptive_dataset((np.ones([4, 1], "f"), y), Fixed(warmup=1), 2)
    selection = tfml.AdaptiveBatchSelection(train, verbose_logs=True)
    history = learner(q=2).fit(train, epochs=2, verbose=0, callbacks=[selection]).history
    entropy = -sum(p * np.log(p) for p in (0.1, 0.2, 0.3, 0.4)) / np.log(4)
    by_hand = {
        "effective_sample_size": [4, 1 / 0.3],  # .01 + .04 + .09 + .16 = .3
        "entropy": [1, entropy],
        "unique_samples": [1, 3 / 4],
        "minority_share": [1 / 4, 2 / 4],  # IRLbl = 1, 3; MeanIR = 2: label 1, sample 3
    }
    for key, values in by_hand.items():
        np.testing.assert_allclose(history[f"selection/{key}"], values, rtol=1e-12)
    np.testing.assert_allclose(history["ess"], [1, 1 / 0.3 / 4], rtol=1e-12)
    assert history["rare"] == [1 / 4, 2 / 4]
    # Uniform draws would give label 0 three of four, label 1 one; of 3, 1, 3, 2 two have each.
    attention = history["selection/label_attention"]
    np.testing.assert_allclose(attention, [[1, 1], [2 / 3, 2 / 1]], rtol=1e-12)
    for key, values in selection.history.items():
        np.testing.assert_array_equal(history[key], values)
    assert {*history} - {*selection.history} == {"loss"}


def test_two_figures_are_shown_and_all_are_kept():
    train, seen = adaptive(), []
    note = tf.keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append({**logs}))
    selection, model = tfml.AdaptiveBatchSelection(train), linear()
    options = {"verbose": 0, "callbacks": [selection, note], "validation_data": numbered(8)}
    history = model.fit(train, epochs=2, **options).history
    assert {*history} == {*seen[0]} == {*seen[1]} == {"loss", "val_loss", "ess", "rare"}
    kept = selection.history
    assert {name.partition("/")[0] for name in kept} == {"selection", "ess", "rare"}
    assert {name: kept[name] for name in ("ess", "rare")} == {
        name: history[name] for name in ("ess", "rare")
    }
    np.testing.assert_array_equal(history["rare"], kept["selection/minority_share"])
    sizes = np.array(kept["selection/effective_sample_size"])
    np.testing.assert_allclose(history["ess"], sizes / 27, rtol=1e-12)
    assert np.shape(kept["selection/label_attention"]) == (2, 5)


def test_a_metric_of_the_name_of_a_figure_stays():
    def ess(y, p):
        return tf.zeros_like(p[:, 0]) + 7.0

    model, train = linear(metrics=[ess]), adaptive()
    assert run(model, train, epochs=2, verbose_logs=False).history["ess"] == [7.0, 7.0]


def test_figures_are_kept_over_the_fits_of_a_run(tmp_path):
    train, model = adaptive(strategy=tfml.strategies.OnlineBatch(warmup=2), epochs=4), linear()
    selection = tfml.AdaptiveBatchSelection(train, backup_dir=tmp_path)
    for epoch in range(3):
        model.fit(train, initial_epoch=epoch, epochs=epoch + 1, verbose=0, callbacks=[selection])
    kept = selection.history
    assert {len(values) for values in kept.values()} == {3}
    np.testing.assert_allclose(kept["selection/passes"], [1, 2, 3])
    pressures = kept["selection/pressure"]
    assert np.isnan(pressures[:2]).all()  # the warm-up has none
    assert pressures[2] > 1
    again = tfml.AdaptiveBatchSelection(train, backup_dir=tmp_path)
    assert again.restore(model) == 3
    model.fit(train, initial_epoch=3, epochs=4, verbose=0, callbacks=[again])
    np.testing.assert_allclose(again.history["selection/passes"], [4])
    train = adaptive()
    other = tfml.AdaptiveBatchSelection(train)
    for _ in range(2):  # a model that is new to the dataset begins a run
        linear().fit(train, verbose=0, callbacks=[other])
        np.testing.assert_allclose(other.history["selection/passes"], [1])


def test_arrays_come_into_history_and_not_to_other_callbacks():
    seen = []
    note = tf.keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append({**logs}))
    history = run(linear(), adaptive(), epochs=2, callbacks=[note]).history
    assert np.shape(history["selection/label_attention"]) == (2, 5)
    assert "selection/entropy" in seen[0]
    assert {np.ndim(value) for logs in seen for value in logs.values()} == {0}


def test_our_figures_can_be_monitored():
    stop = tf.keras.callbacks.EarlyStopping("selection/entropy", mode="max", min_delta=9.0)
    history = run(linear(), adaptive(), epochs=9, callbacks=[stop]).history
    assert len(history["loss"]) == 2


# Strategies that need no record.


def test_uniform_records_nothing_and_needs_nothing():
    class Silent(Untrained):
        def train_step(self, data):
            return {"loss": tf.reduce_mean(self(data[0]))}

    train = adaptive(strategy=Uniform())
    model = Silent(lambda x: x * KERNEL)
    model.compile()
    history = run(model, train).history
    assert history["selection/unique_samples"] == [1.0] * 3
    assert train.epoch == 3


def test_two_callbacks_for_one_dataset():
    train = adaptive()
    callbacks = [tfml.AdaptiveBatchSelection(train), tfml.AdaptiveBatchSelection(train)]
    with pytest.raises(ValueError, match=r"One callback leads.* Received: two .* Leave one"):
        linear().fit(train, verbose=0, callbacks=callbacks)


def test_its_repr_shows_the_dataset_and_what_is_not_a_default():
    train = tfml.adaptive_dataset(numbered(27), Uniform(), 4, seed=1)
    assert repr(tfml.AdaptiveBatchSelection(train)) == f"AdaptiveBatchSelection({train!r})"
    shown = repr(tfml.AdaptiveBatchSelection(train, every=2, scores="predict", output=[0]))
    assert shown == f"AdaptiveBatchSelection({train!r}, scores='predict', every=2, output=[0])"


def test_its_repr_with_arrays_and_in_a_class_of_the_users():
    class Own(tfml.AdaptiveBatchSelection):
        def __init__(self, dataset, **options):
            super().__init__(dataset, **options)

    train = tfml.adaptive_dataset(numbered(27), Uniform(), 4, seed=1)
    shown = repr(Own(train, label_names=np.array(list("abcde"))))
    assert shown.startswith(f"Own({train!r}, label_names=array(['a'")


@pytest.mark.parametrize("device", ["cpu", "CPU:0", "/CPU:0", "/device:CPU:0"])
def test_names_of_a_device_that_is_there(device):
    train = tfml.adaptive_dataset(numbered(27), Uniform(), 4, seed=1)
    tfml.AdaptiveBatchSelection(train, state_device=device)


@pytest.mark.parametrize("device", ["nope", "GPU:7", "CPU:x", "", 3, True])
def test_a_device_that_is_not_there(device):
    train = tfml.adaptive_dataset(numbered(27), Uniform(), 4, seed=1)
    with pytest.raises(
        ValueError, match=r"one of the devices CPU:0.*Received: state_device=.*Pass"
    ):
        tfml.AdaptiveBatchSelection(train, state_device=device)
