"""Summaries for TensorBoard are read back from the files, and compared with History and by hand."""

import copy
import importlib.util
import shutil

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml
from tests.support.recorded_fits import KERNEL, Spy, linear, numbered, run
from tfmlselect.callbacks import tensorboard
from tfmlselect.callbacks.tensorboard import labels_to_show, read_events
from tfmlselect.strategies import D2ACE, LabelBalanced, OnlineBatch, Switch, Uniform

pytest.importorskip("tensorboard")

N, Q = 40, 5
X = np.random.default_rng(0).normal(size=(N, 6)).astype("float32")
Y = (X[:, :Q] > [0, 0.3, 0.6, 0.9, 1.2]).astype("float32")
NAMES = ["sea", "sky", "boat", "gull", "whale"]


def make_model(loss="binary_crossentropy", q=Q, activation="sigmoid", **options):
    start = tf.keras.initializers.RandomUniform(-1, 1, seed=1)
    dense = tf.keras.layers.Dense(q, activation, kernel_initializer=start)
    model = tf.keras.Sequential([tf.keras.Input((6,)), dense])
    model.compile(tf.keras.optimizers.SGD(0.1), loss, **options)
    return model


def make_train(strategy=None, data=(X, Y)):
    return tfml.adaptive_dataset(data, strategy or OnlineBatch(), batch_size=16, seed=0)


def fit(log_dir, epochs=3, train=None, model=None, callbacks=(), first=(), **options):
    """History of a fit with our callback between others."""
    train = train or make_train()
    selection = tfml.AdaptiveBatchSelection(train, log_dir=log_dir, verbose_logs=True, **options)
    model = model or make_model()
    run = {"initial_epoch": train.epoch, "epochs": epochs, "verbose": 0}
    return model.fit(train, callbacks=[*first, selection, *callbacks], **run).history


def summaries(directory):
    """tag -> [(step, value), ...] of all event files, in order."""
    found = {}
    for file in sorted(directory.glob("*tfevents*")):
        for record in tf.data.TFRecordDataset(str(file)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, tf.make_ndarray(value.tensor)))
    return found


def values(found, tag):
    return [float(value) for _, value in found[tag]]


def steps(found):
    """The steps of each tag."""
    return {tag: [step for step, _ in points] for tag, points in found.items()}


# What is written.


def test_scalars_and_attention_are_those_of_history(tmp_path):
    history = fit(tmp_path, label_names=NAMES)
    found = summaries(tmp_path / "selection")
    for name in ("effective_sample_size", "entropy", "unique_samples", "minority_share"):
        key = f"selection/{name}"
        np.testing.assert_allclose(values(found, key), history[key], rtol=1e-6)
        assert steps(found)[key] == [1, 2, 3]
    for j, name in enumerate(NAMES):
        attention = [row[j] for row in history["selection/label_attention"]]
        np.testing.assert_allclose(values(found, f"label_attention/{name}"), attention, rtol=1e-6)


def test_loss_and_hardness_are_of_the_recorded_predictions(tmp_path):
    """A model that predicts x * KERNEL, whatever it is shown."""
    x, y = numbered(27)
    spy = Spy()
    train = tfml.adaptive_dataset((x, y), spy, 4, seed=1)
    run(linear(), train, epochs=3, log_dir=tmp_path)
    found = summaries(tmp_path / "selection")
    p = (x * KERNEL).astype(np.float64)
    loss = -np.log(np.where(y > 0, p, 1 - p))
    for j in range(5):
        of_epochs = [spy.plans[epoch] for epoch in range(3)]
        expected = [loss[ids, j].mean() for ids in of_epochs]
        np.testing.assert_allclose(values(found, f"label_loss/{j}"), expected, rtol=1e-5)
        expected = [np.abs(y - p)[ids, j].mean() for ids in of_epochs]
        np.testing.assert_allclose(values(found, f"label_hardness/{j}"), expected, rtol=1e-5)
    assert np.ptp(expected) > 1e-3


@pytest.mark.parametrize("strategy", [Uniform, LabelBalanced])
def test_strategies_that_need_no_record_show_loss_and_hardness_too(tmp_path, strategy):
    fit(tmp_path, train=make_train(strategy()))
    found = summaries(tmp_path / "selection")
    assert steps(found)["label_loss/0"] == steps(found)["label_hardness/4"] == [1, 2, 3]


def test_scores_that_are_predicted_show_where_they_are(tmp_path):
    """Exact predictions of all samples, after every second epoch."""
    model, after = make_model(), []
    note = tf.keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: after.append(model.predict(X, verbose=0))
    )
    options = {"scores": "predict", "every": 2}
    fit(tmp_path, 4, make_train(OnlineBatch(warmup=0)), model, [note], **options)
    found = summaries(tmp_path / "selection")
    assert steps(found)["label_hardness/2"] == [2, 4]
    expected = np.abs(Y - np.stack(after[1::2])).mean(axis=1)[:, 2]
    np.testing.assert_allclose(values(found, "label_hardness/2"), expected, rtol=1e-5)
    fit(tmp_path / "uniform", train=make_train(Uniform()), scores="predict")
    assert "label_hardness/0" not in summaries(tmp_path / "uniform" / "selection")


def test_pressure_and_mixture_weight_in_force(tmp_path):
    """The third epoch is the first adaptive one, drawn from what the second gave."""
    strategy = D2ACE(neighbors=2, warmup=2, decay_start=0, mix_span=(0, 4), epochs=4)
    fit(tmp_path, 4, make_train(strategy))
    found = summaries(tmp_path / "selection")
    assert steps(found)["selection/pressure"] == [3, 4]
    pressures, weights = zip(*(strategy.figures(epoch).values() for epoch in (1, 2)), strict=True)
    np.testing.assert_allclose(values(found, "selection/pressure"), pressures, rtol=1e-6)
    np.testing.assert_allclose(values(found, "selection/mixture_weight"), weights, rtol=1e-6)
    assert weights[0] == pytest.approx(0.6)


def test_the_part_in_force(tmp_path):
    fit(tmp_path, 3, make_train(Switch([("uniform", 2), (LabelBalanced(0.5), 1.0)])))
    found = summaries(tmp_path / "selection")
    assert values(found, "selection/part") == [0, 0, 1]
    assert values(found, "selection/1/share") == [0.5, 0.5, 0.5]


def test_the_histogram_is_of_expected_draws(tmp_path):
    train, seen = make_train(OnlineBatch(warmup=1)), []
    note = tf.keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda *_: seen.append(N * train.probabilities)
    )
    fit(tmp_path, train=train, callbacks=[note])
    histograms = summaries(tmp_path / "selection")["selection/expected_draws"]
    for (_, buckets), expected in zip(histograms, seen, strict=True):
        assert buckets[:, 2].sum() == N
        np.testing.assert_allclose(
            [buckets[:, 0].min(), buckets[:, 1].max()], [expected.min(), expected.max()], rtol=0.5
        )
    assert np.ptp(seen[2]) > 1


def test_ratios_of_partial_label_masking(tmp_path):
    loss = tfml.losses.PartialLabelMasking(odds=tfml.label_statistics(Y).odds)
    history = fit(tmp_path, model=make_model(loss))
    found = summaries(tmp_path / "selection")
    for key, tag in (("ideal_ratios", "label_ideal_ratio/4"), ("odds", "label_odds/4")):
        of_label = [row[4] for row in history[f"plm/{key}"]]
        np.testing.assert_allclose(values(found, tag), of_label, rtol=1e-6)
    np.testing.assert_allclose(
        values(found, "plm/largest_factor"), history["plm/largest_factor"], rtol=1e-6
    )


def test_training_progress_that_comes_first(tmp_path):
    progress = tfml.callbacks.TrainingProgress(Y.sum(axis=0))
    history = fit(tmp_path, first=[progress])
    found = summaries(tmp_path / "selection")
    for name in ("recall_rare", "gradient_frequent"):
        key = f"progress/{name}"
        np.testing.assert_allclose(values(found, key), history[key], rtol=1e-6)
    with pytest.warns(UserWarning, match="Put TrainingProgress first"):
        fit(tmp_path / "late", callbacks=[progress])
    assert "progress/recall_rare" not in summaries(tmp_path / "late" / "selection")


@pytest.mark.parametrize("form", ["ids", "stream"])
def test_class_ids_and_streams(tmp_path, form):
    if form == "ids":
        model = make_model("sparse_categorical_crossentropy", 3, "softmax")
        train = make_train(data=(X, np.arange(N) % 3))
    else:
        source = tf.data.Dataset.from_tensor_slices((X, Y))
        train = source.apply(tfml.adaptive("online_batch", batch_size=4, window=16, seed=0))
        model = make_model()
    history = fit(tmp_path, train=train, model=model)
    found = summaries(tmp_path / "selection")
    attention = np.array(history["selection/label_attention"])
    np.testing.assert_allclose(attention[0], 1.0)
    assert np.ptp(attention[2]) > 0
    np.testing.assert_allclose(values(found, "label_attention/2"), attention[:, 2], rtol=1e-6)
    assert "label_loss/2" in found


def test_labels_without_positives_have_no_attention(tmp_path):
    y = Y.copy()
    y[:, 3] = 0
    history = fit(tmp_path, train=make_train(data=(X, y)))
    found = summaries(tmp_path / "selection")
    assert np.isnan(np.array(history["selection/label_attention"])[:, 3]).all()
    assert "label_attention/3" not in found
    assert "label_loss/3" in found


# Which labels.


def test_all_labels_where_there_are_few():
    assert labels_to_show(np.arange(6), np.ones(6), k=2) == [0, 1, 2, 3, 4, 5]


def test_the_rarest_the_most_and_the_least_favoured_by_hand():
    counts = np.array([50, 40, 30, 20, 10, 5, 0, 8])
    favour = np.array([0.9, 1.0, 1.3, 0.5, 1.3, 0.5, np.nan, 2.0])
    # The rarest is 5; most favoured 7; least 3 and 5, of which 3 is more frequent.
    assert labels_to_show(counts, favour, k=1) == [5, 7, 3]
    # And 7; then 2 and 4, of which 2 is more frequent; 5.
    assert labels_to_show(counts, favour, k=2) == [5, 7, 7, 2, 3, 5]
    # In a warm-up nothing is favoured, but for rounding.
    assert labels_to_show(counts, 1 + 1e-15 * np.arange(8), k=2) == [5, 7]


class Favours(Spy):
    """Label 0 in the second epoch, label 1 in the third, ...; `Y` here has one label a sample."""

    def probabilities(self, epoch):
        p = np.where(np.arange(N) % Q == epoch % Q, 4.0, 1.0)
        return tf.constant(p / p.sum())


@pytest.mark.parametrize("most", [100, 3])
def test_a_line_goes_on_once_it_has_begun(tmp_path, monkeypatch, most):
    monkeypatch.setattr(tensorboard, "SHOWN_EACH", 1)
    monkeypatch.setattr(tensorboard, "SHOWN_AT_MOST", most)
    y = np.eye(Q)[np.arange(N) % Q]
    y[-1] = 0  # the last label is the rarest
    train, model = make_train(Favours(warmup=1), (X, y)), make_model()
    fit(tmp_path, 3, train, model)
    fit(tmp_path, 5, train, model)  # with a callback of its own
    found = steps(summaries(tmp_path / "selection"))
    # Epoch 1 is the warm-up. Least favoured are all but one: of them label 1 is the first in
    # epoch 2, and else label 0. So label 4 from epoch 1 on, 0 and 1 from 2, 2 from 4, 3 from 5.
    begins = {4: 1, 0: 2, 1: 2, 2: 4, 3: 5}
    for group in ("label_attention", "label_loss", "label_hardness"):
        lines = {j: found.get(f"{group}/{j}") for j in range(Q)}
        shown = [4, 0, 1, 2, 3][:most]
        expected = {j: [*range(begins[j], 6)] if j in shown else None for j in range(Q)}
        assert lines == expected


# Beside others.


@pytest.mark.parametrize("frequency", ["epoch", 1000])
@pytest.mark.parametrize("ours_first", [True, False])
def test_beside_keras_own_callback(tmp_path, frequency, ours_first):
    keras = [tf.keras.callbacks.TensorBoard(tmp_path, update_freq=frequency)]
    order = {"callbacks": keras} if ours_first else {"first": keras}
    fit(tmp_path, **order)
    assert {path.name for path in tmp_path.iterdir()} >= {"train", "selection"}
    theirs, ours = summaries(tmp_path / "train"), summaries(tmp_path / "selection")
    assert "epoch_loss" in theirs or frequency == 1000  # which silences Keras 3 and Keras 2.15
    assert not ours.keys() & theirs.keys()
    assert not [tag for tag in theirs if "attention" in tag]  # an array
    assert steps(ours)["selection/pressure"] == [2, 3]
    assert {tuple(seen) for seen in steps(ours).values()} == {(1, 2, 3), (2, 3)}


# Fits, one after the other.


def whole(directory):
    """What a run that never stopped writes."""
    return summaries(directory / "selection")


def assert_same(found, expected):
    assert steps(found) == steps(expected)
    for tag, points in expected.items():
        for (_, value), (_, wanted) in zip(found[tag], points, strict=True):
            np.testing.assert_allclose(value, wanted, rtol=1e-5, err_msg=tag)


def test_a_second_fit_goes_on(tmp_path):
    train, model = make_train(OnlineBatch(warmup=1, epochs=4)), make_model()
    fit(tmp_path / "two", 2, train, model)
    fit(tmp_path / "two", 4, train, model)
    fit(tmp_path / "one", 4, make_train(OnlineBatch(warmup=1, epochs=4)))
    assert_same(whole(tmp_path / "two"), whole(tmp_path / "one"))


@pytest.mark.parametrize("lost", [0, 1])
def test_a_resumed_run_writes_each_epoch_once(tmp_path, lost):
    """Also where it was killed between writing and its backup."""
    options = {"backup_dir": tmp_path / "backup"}

    def train():
        return make_train(OnlineBatch(warmup=1, epochs=5))

    fit(tmp_path / "log", 3, train(), **options)
    for epoch in range(3, 3 - lost, -1):
        shutil.rmtree(tmp_path / "backup" / f"epoch-{epoch:08d}")
    again, model = train(), make_model()
    selection = tfml.AdaptiveBatchSelection(again, log_dir=tmp_path / "log", **options)
    epoch = selection.restore(model)
    assert epoch == 3 - lost
    model.fit(again, initial_epoch=epoch, epochs=5, verbose=0, callbacks=[selection])
    fit(tmp_path / "straight", 5, train())
    assert_same(whole(tmp_path / "log"), whole(tmp_path / "straight"))


def test_a_run_that_was_killed_before_its_first_backup(tmp_path):
    fit(tmp_path, 1, make_train(Uniform()))
    train, model = make_train(), make_model()
    options = {"log_dir": tmp_path, "backup_dir": tmp_path / "backup"}
    selection = tfml.AdaptiveBatchSelection(train, **options)
    assert selection.restore(model) == 0
    model.fit(train, epochs=2, verbose=0, callbacks=[selection])
    assert steps(summaries(tmp_path / "selection"))["selection/entropy"] == [1, 2]


def test_another_run_in_the_same_directory(tmp_path):
    fit(tmp_path, 2)
    with pytest.warns(UserWarning, match=r"two runs as one\. Received: log_dir=.*new directory"):
        fit(tmp_path, 2)
    assert steps(summaries(tmp_path / "selection"))["selection/entropy"] == [1, 2, 1, 2]


def test_a_file_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path):
    fit(tmp_path, 2)
    (file,) = (tmp_path / "selection").iterdir()
    file.write_bytes(file.read_bytes()[:-20])  # in the histogram that ends the second epoch
    assert read_events(str(tmp_path / "selection"))[0] == {1}


class Stops(tf.keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


@pytest.fixture
def closed(monkeypatch):
    """For each writer that was made, whether it was closed."""
    made, make = [], tf.summary.create_file_writer

    def create(*args, **kwargs):
        writer = make(*args, **kwargs)
        number, close = len(made), writer.close
        made.append(False)

        def closing():
            made[number] = True
            close()

        writer.close = closing
        return writer

    monkeypatch.setattr(tf.summary, "create_file_writer", create)
    return made


def test_a_fit_that_raises_has_written_what_it_completed(tmp_path, closed):
    train, model = make_train(OnlineBatch(epochs=4)), make_model()
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, 4, train, model, callbacks=[Stops()])
    assert steps(summaries(tmp_path / "selection"))["selection/entropy"] == [1, 2]
    fit(tmp_path, 4, train, model)
    assert steps(summaries(tmp_path / "selection"))["selection/entropy"] == [1, 2, 3, 4]
    assert closed == [True, True]


def test_the_writer_is_closed_when_the_fit_is_over(tmp_path, closed):
    fit(tmp_path)
    assert closed == [True]


# Arguments.


def test_without_a_directory_nothing_is_recorded_or_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    added = []
    monkeypatch.setattr(
        "tfmlselect.recording.recorder.Recorder.add_errors", lambda *args: added.append(args)
    )
    fit(None, label_names=NAMES)
    assert not added
    assert not list(tmp_path.iterdir())


def test_a_copy_writes_to_the_same_directory(tmp_path):
    train = make_train()
    twin = copy.deepcopy(tfml.AdaptiveBatchSelection(train, log_dir=tmp_path, label_names=NAMES))
    make_model().fit(train, epochs=2, verbose=0, callbacks=[twin])
    assert "label_attention/whale" in summaries(tmp_path / "selection")


@pytest.mark.parametrize("names", [NAMES[:4], [*NAMES[:4], "sea"], "abcdef", []])
@pytest.mark.parametrize("log_dir", ["logs", None])
def test_names_that_are_not_one_for_each_label(names, log_dir):
    with pytest.raises(ValueError, match=r"`label_names`.*Received: "):
        tfml.AdaptiveBatchSelection(make_train(), log_dir=log_dir, label_names=names)


@pytest.mark.parametrize("wrong", [3, True, ["logs"]])
def test_no_directory(wrong):
    with pytest.raises(ValueError, match=r"`log_dir`.*Received: log_dir=.*Name a directory"):
        tfml.AdaptiveBatchSelection(make_train(), log_dir=wrong)


def test_without_tensorboard(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "tensorboard" else find(name)
    )
    with pytest.raises(ImportError, match=r"Received: log_dir=.*pip install tensorboard\."):
        tfml.AdaptiveBatchSelection(make_train(), log_dir=tmp_path)
    tfml.AdaptiveBatchSelection(make_train(), label_names=NAMES)


def test_a_directory_that_cannot_be_made_any_more(tmp_path):
    """Made when the callback was, a file stands there when the fit begins."""
    train = make_train()
    selection = tfml.AdaptiveBatchSelection(train, log_dir=tmp_path / "logs")
    (tmp_path / "logs").write_text("dear")
    with pytest.raises(ValueError, match=r"`log_dir` must be a directory .*Received: .*logs"):
        make_model().fit(train, epochs=2, verbose=0, callbacks=[selection])


def test_what_cannot_be_written_does_not_stop_the_fit(tmp_path):
    """The directory is lost while the fit runs; it says so once."""

    def lose(epoch, logs=None):
        if epoch == 0:
            shutil.rmtree(tmp_path)
            tmp_path.write_text("dear")

    first = [tf.keras.callbacks.LambdaCallback(on_epoch_begin=lose)]
    with pytest.warns(UserWarning, match=r"could not be written, .*Received: ") as caught:
        history = fit(tmp_path, first=first)
    assert len(history["selection/entropy"]) == 3
    assert sum("could not be written" in str(each.message) for each in caught) == 1
