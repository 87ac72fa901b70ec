"""How a fit is judged."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.study.evaluation import Evaluation, measure
from benchmarks.study.rows import METRICS

Y = np.array([[1, 0], [1, 1], [0, 0], [1, 0]], "uint8")
P = np.array([[0.9, 0.4], [0.3, 0.45], [0.2, 0.1], [0.6, 0.7]], "float32")


def test_metrics_by_hand():
    values = measure(Y, P, thresholds=np.array([0.25, 0.42]), minority=np.array([False, True]))
    assert list(values) == list(METRICS)
    # at 0.5: label 0 finds 2 of 3, all right; label 1 finds 1, wrong, of 1
    assert values["macro_f1"] == pytest.approx((0.8 + 0) / 2)
    assert values["micro_f1"] == pytest.approx(2 * 2 / (3 + 4))
    assert values["minority_recall"] == 0
    assert values["minority_f1"] == 0
    # tuned: label 0 finds all 3, right; label 1 finds 2, one of them right
    assert values["tuned_macro_f1"] == pytest.approx((1 + 2 / 3) / 2)
    assert values["tuned_micro_f1"] == pytest.approx(2 * 4 / (5 + 4))
    assert values["tuned_minority_recall"] == 1
    assert values["tuned_minority_f1"] == pytest.approx(2 / 3)
    assert values["hamming_loss"] == pytest.approx(3 / 8)
    # label 0: all three pairs right; label 1: .45 beats .4 and .1, not .7
    assert values["macro_auc"] == pytest.approx((1 + 2 / 3) / 2)
    assert values["macro_ap"] == pytest.approx((1 + 1 / 2) / 2)
    assert values["one_error"] == pytest.approx(1 / 3)  # of three samples with labels
    assert values["ranking_loss"] == pytest.approx(1 / 4)  # sample 3 has its pair wrong
    assert values["coverage"] == pytest.approx((1 + 2 + 0 + 2) / 4)


def test_without_minority_labels_theirs_are_nan():
    values = measure(Y, P, np.full(2, 0.5), np.zeros(2, bool))
    missing = {name for name, value in values.items() if np.isnan(value)}
    assert missing == {name for name in METRICS if "minority" in name}


class Scripted(tf.keras.Model):
    """Predicts what the epoch's script says, and trains nothing."""

    def __init__(self, script):
        super().__init__()
        self.script, self.epoch = script, self.add_weight(name="epoch", initializer="zeros")

    def call(self, x):
        return tf.gather(self.script[int(self.epoch.numpy())], tf.cast(x[:, 0], "int32"))


def test_the_best_epoch_is_chosen_on_validation_alone():
    good, bad = P * 0 + Y, 1 - P * 0 - Y
    # rows 0..3 validate, rows 4..7 test
    script = [np.concatenate(parts).astype("float32") for parts in ([bad, good], [good, bad])]
    script.append(np.concatenate([bad, good]).astype("float32"))
    x = np.arange(8, dtype="float32")[:, None]
    evaluation = Evaluation((x[:4], Y), (x[4:], Y), every=1)
    model = Scripted(script)
    model.compile(run_eagerly=True)
    evaluation.set_model(model)
    evaluation.set_params({"epochs": 3})
    evaluation.on_train_begin()
    for epoch in range(3):
        model.epoch.assign(epoch)
        evaluation.on_epoch_end(epoch)
    row = evaluation.result(np.array([False, True]))
    assert (row["best_epoch"], row["best_validation"]) == (2, 1)
    assert (row["best_macro_auc"], row["last_macro_auc"]) == (0, 1)
    assert row["curve_epochs"] == "1 2 3"
    assert row["curve_validation"] == "0 1 0"
    assert row["curve_test"] == "1 0 1"
    assert len(evaluation.seconds) == 3


def test_evaluates_every_few_epochs_and_at_the_end():
    x = np.zeros((8, 1), "float32")
    evaluation = Evaluation((x[:4], Y), (x[4:], Y), every=2)
    model = tf.keras.Sequential([tf.keras.Input((1,)), tf.keras.layers.Dense(2, "sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    model.fit(x[:4], Y, epochs=5, verbose=0, callbacks=[evaluation])
    row = evaluation.result(np.array([False, True]))
    assert row["curve_epochs"] == "2 4 5"
    assert row["best_epoch"] == 5  # all equal: the later
    assert row["best_macro_f1"] == row["last_macro_f1"]
