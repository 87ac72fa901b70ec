"""What a fit warns of names the user's line, and is said again of the next dataset."""

import json
import re
import warnings

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml
from tests.support.recorded_fits import Spy, adaptive, linear, numbered
from tfmlselect.losses import PartialLabelMasking, PositiveWeights

X, Y = numbered(27)


def fit(train, model=None, callbacks=(), **options):
    """Calls `fit`, whose line a warning is to name: this one's."""
    options = {"epochs": 2, "verbose": 0, **options}
    (model or linear()).fit(train, callbacks=[*callbacks], **options)


def led(train, model=None, first=(), after=(), fit_options=None, **options):
    callback = tfml.AdaptiveBatchSelection(train, **options)
    fit(train, model, [*first, callback, *after], **(fit_options or {}))


def model_of(loss):
    model = linear()
    model.compile(tf.keras.optimizers.SGD(0.0), loss)
    return model


class Greedy(Spy):
    """Asks for one sample far more often than there are batches."""

    def probabilities(self, epoch):
        weights = np.where(np.arange(self.n) == 3, 50.0, 1.0)
        return tf.constant(weights / weights.sum())


def without_callback(tmp_path, monkeypatch):
    fit(adaptive())


def not_finite(tmp_path, monkeypatch):
    train = adaptive().map(lambda rows, y: (tf.where(rows > 0.9, np.nan, rows), y))
    led(train)


def long_warm_up(tmp_path, monkeypatch):
    led(tfml.adaptive_dataset((X, Y), Spy(warmup=2), 4, seed=1))


def early_stopping(tmp_path, monkeypatch):
    train = tfml.adaptive_dataset((X, Y), Spy(warmup=3), 4, seed=1)
    early = tf.keras.callbacks.EarlyStopping("loss", patience=1)
    led(train, after=[early], fit_options={"epochs": 20})


def few_adaptive_epochs(tmp_path, monkeypatch):
    train, model = tfml.adaptive_dataset((X, Y), Spy(warmup=4), 4, seed=1), linear()

    def stop(epoch, logs):
        model.stop_training = epoch == 4

    led(
        train,
        model,
        after=[tf.keras.callbacks.LambdaCallback(on_epoch_end=stop)],
        fit_options={"epochs": 40},
    )


def another_epoch(tmp_path, monkeypatch):
    led(adaptive(), fit_options={"initial_epoch": 5, "epochs": 6})


def too_often(tmp_path, monkeypatch):
    led(tfml.adaptive_dataset((X, Y), Greedy(), 4, seed=1))


def validation_on_the_batches(tmp_path, monkeypatch):
    train = adaptive()
    led(train, fit_options={"validation_data": train})


def a_loss_that_knows_of_no_thinning(tmp_path, monkeypatch):
    y = np.where(np.arange(27)[:, None] < 20, 0, Y)
    led(tfml.adaptive_dataset((X, y), "rare_events", 4, seed=1), model_of("binary_crossentropy"))


def one_machine_of_several(tmp_path, monkeypatch):
    train = adaptive()  # refused later on, with Keras 3
    workers = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(workers))
    led(train)


def late_progress(tmp_path, monkeypatch):
    progress = tfml.callbacks.TrainingProgress(Y.sum(axis=0))
    led(adaptive(), after=[progress], log_dir=tmp_path)


def two_runs_in_one_log_dir(tmp_path, monkeypatch):
    for again in range(2):
        with warnings.catch_warnings():
            warnings.simplefilter("always" if again else "ignore")
            led(adaptive(), log_dir=tmp_path)


def lost_log_dir(tmp_path, monkeypatch):
    def no_room(*args, **kwargs):
        raise tf.errors.OutOfRangeError(None, None, "disk full")

    monkeypatch.setattr(tf.summary, "histogram", no_room)
    led(adaptive(), log_dir=tmp_path)


def lost_backup_dir(tmp_path, monkeypatch):
    def no_room(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(tfml.callbacks.backup_files, "write", no_room)
    led(adaptive(), backup_dir=tmp_path / "run")


def labels_that_are_not_masked(tmp_path, monkeypatch):
    y = Y.copy()
    y[:, 2] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loss = PartialLabelMasking(odds=tfml.label_statistics(y).odds)
    fit(
        tf.data.Dataset.from_tensors((X, y)),
        model_of(loss),
        [tfml.callbacks.PartialLabelMaskingUpdate()],
    )


def an_exponent_that_nobody_moves(tmp_path, monkeypatch):
    odds = tfml.label_statistics(Y).odds
    loss = PositiveWeights(odds=odds, exponent=tfml.schedules.Ramp(0.5, 0.0))
    fit(tf.data.Dataset.from_tensors((X, Y)), model_of(loss))


def backups_of_keras(tmp_path, monkeypatch):
    led(adaptive(), after=[tf.keras.callbacks.BackupAndRestore(str(tmp_path / "run"))])


def backups_of_both(tmp_path, monkeypatch):
    keras_own = tf.keras.callbacks.BackupAndRestore(str(tmp_path / "keras"))
    led(adaptive(), after=[keras_own], backup_dir=tmp_path / "ours")


def loaded(model, tmp_path):
    model.save(tmp_path / "model.keras")
    return tf.keras.models.load_model(tmp_path / "model.keras")


def a_loaded_model(tmp_path, monkeypatch):
    train, model = adaptive(), linear()
    led(train, model)
    led(train, loaded(model, tmp_path))


CASES = [
    (backups_of_keras, "no backup_dir. Keep the run with AdaptiveBatchSelection"),
    (backups_of_both, "a backup_dir. Leave it out"),
    (a_loaded_model, "recorded in 2 epochs is lost. Received: .* 14 steps, .*backup_dir"),
    (without_callback, "not attached"),
    (not_finite, "were not finite"),
    (long_warm_up, "No adaptive epoch"),
    (early_stopping, "EarlyStopping may end"),
    (few_adaptive_epochs, "Few epochs of this fit"),
    (another_epoch, "Keras starts with epoch 5"),
    (too_often, "would come more often"),
    (validation_on_the_batches, "validates on the samples"),
    (a_loss_that_knows_of_no_thinning, "RareEvents leaves most"),
    (one_machine_of_several, "on this machine alone"),
    (late_progress, "Put TrainingProgress first"),
    (two_runs_in_one_log_dir, "two runs as one"),
    (lost_log_dir, "Summaries for TensorBoard could not"),
    (lost_backup_dir, "A backup could not be written"),
    (labels_that_are_not_masked, "take no part in Partial"),
    (an_exponent_that_nobody_moves, "no callback moves it"),
]


@pytest.mark.parametrize(("case", "text"), CASES, ids=[case.__name__ for case, _ in CASES])
def test_a_warning_names_the_line_that_calls_fit(case, text, tmp_path, monkeypatch):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        case(tmp_path, monkeypatch)
    said = [each for each in caught if re.search(text, str(each.message))]
    assert len(said) == 1
    start = fit.__code__.co_firstlineno
    lines = {line for *_, line in fit.__code__.co_lines() if line is not None}
    assert said[0].filename == __file__
    assert said[0].lineno in lines - {start}


def test_each_of_five_datasets_says_so():
    model = linear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")  # by which Python drops what a line said before
        for _ in range(5):
            train = adaptive()
            for _ in range(2):
                fit(train, model, epochs=1)
    texts = [str(each.message) for each in caught if "not attached" in str(each.message)]
    assert len(texts) == 5
    assert len(set(texts)) == 1


def test_a_loaded_model_goes_on_where_it_is_restored(tmp_path):
    """What the warning says to do; it would be an error here."""
    train, model = adaptive(), linear()
    selection = tfml.AdaptiveBatchSelection(train, backup_dir=tmp_path / "run")
    fit(train, model, [selection], shuffle=False)
    again = loaded(model, tmp_path)
    start = selection.restore(again)
    fit(train, again, [selection], shuffle=False, initial_epoch=start, epochs=3)
    assert (start, train.epoch) == (2, 3)
    assert len(selection.history["selection/passes"]) == 1


def test_a_new_model_on_a_used_dataset_is_nothing_to_warn_of():
    train = adaptive()
    for _ in range(2):
        led(train, fit_options={"shuffle": False})
