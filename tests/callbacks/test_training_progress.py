"""Training progress: recall and feature gradients of exactly the steps that were trained."""

import csv

import numpy as np
import pytest
import tensorflow as tf

import tests.support.oracles.feature_weakening as oracle
import tests.support.oracles.loss_tables as table
import tfmlselect as tfml
from tests.support.recorded_fits import (
    KERNEL,
    Breaks,
    Untrained,
    adaptive,
    is_clean,
    linear,
    numbered,
)
from tfmlselect.callbacks import TrainingProgress
from tfmlselect.callbacks.training_progress import thirds

N, D, Q = 22, 4, 3
COUNTS = [9, 4, 7]
X = np.random.default_rng(0).normal(size=(N, D)).astype(np.float32)
IDS = np.arange(N) ** 2 % 7 % 3
ONEHOT = np.eye(Q, dtype=np.float32)[IDS]
MULTILABEL = (X[:, :Q] > [0, 1, 0.3]).astype(np.float32)
NAMES = ("recall", "gradient")


def own_loss(y, y_pred):
    return tf.nn.sigmoid_cross_entropy_with_logits(y, y_pred)


class FromLogits:
    """Keras' losses that take logits."""

    sparse = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    categorical = tf.keras.losses.CategoricalCrossentropy(from_logits=True)
    binary = tf.keras.losses.BinaryCrossentropy(from_logits=True)
    asymmetric = tfml.losses.AsymmetricLoss(from_logits=True)


# Labels, loss, activation of the head, what makes probabilities of it, options of the callback.
CASES = {
    "ids": (IDS, "sparse_categorical_crossentropy", "softmax", None, {}),
    "ids, logits": (IDS, FromLogits.sparse, None, oracle.softmax, {}),
    "column of ids": (IDS[:, None], FromLogits.sparse, None, oracle.softmax, {}),
    "one-hot": (ONEHOT, "categorical_crossentropy", "softmax", None, {}),
    "one-hot, logits": (ONEHOT, FromLogits.categorical, None, oracle.softmax, {}),
    "multi-label": (MULTILABEL, "binary_crossentropy", "sigmoid", None, {}),
    "multi-label, logits": (MULTILABEL, FromLogits.binary, None, oracle.sigmoid, {}),
    "asymmetric, logits": (MULTILABEL, FromLogits.asymmetric, None, oracle.sigmoid, {}),
    "own loss": (MULTILABEL, own_loss, None, oracle.sigmoid, {"from_logits": True}),
}


class Noting(tf.keras.Sequential):
    """Notes labels, outputs and the head of every step, before the step; eagerly."""

    def train_step(self, data):
        x, y = data
        if self.run_eagerly:
            self.note(y.numpy(), self(x, training=True).numpy(), self.layers[-1].get_weights()[0])
        return super().train_step(data)


def learner(loss, activation, note=None, **options):
    start = [tf.keras.initializers.RandomUniform(-1, 1, seed=seed) for seed in (0, 1)]
    hidden = tf.keras.layers.Dense(5, "tanh", kernel_initializer=start[0])
    model = Noting([tf.keras.layers.Input([D]), hidden])
    model.add(tf.keras.layers.Dense(Q, activation, kernel_initializer=start[1], name="head"))
    model.note = note
    model.compile(tf.keras.optimizers.SGD(0.5), loss, **options)
    return model


def slow(notes, make_probabilities, one_of_many):
    """Recall and gradient (q,) of an epoch's notes, sample by sample."""
    labels, hits, gradients = [], [], []
    for y, outputs, kernel in notes:
        y = y if y.shape[-1] == Q and y.ndim == 2 else np.eye(Q)[y.ravel().astype(int)]
        p = make_probabilities(outputs) if make_probabilities else outputs
        decided = np.eye(Q)[np.argmax(p, axis=1)] if one_of_many else p >= 0.5
        labels.append(y)
        hits.append(decided)
        gradients.append((p - y) @ kernel.T)
    labels, hits, gradients = (np.concatenate(each) for each in (labels, hits, gradients))
    recall = [np.mean(hits[labels[:, c] == 1, c]) for c in range(Q)]
    return {"recall": recall, "gradient": oracle.mean_norms(gradients, labels)}


def fit(model, x, y, progress=None, callbacks=(), **options):
    """A fit of two epochs, in order, with the callback first; the logs of its epochs."""
    seen = []
    note = tf.keras.callbacks.LambdaCallback(on_epoch_end=lambda _, logs: seen.append(dict(logs)))
    progress = progress or TrainingProgress(COUNTS)
    options = {"batch_size": 6, "epochs": 2, "shuffle": False, "verbose": 0, **options}
    model.fit(x, y, callbacks=[progress, *callbacks, note], **options)
    return seen


# What is measured.


@pytest.mark.parametrize("case", CASES)
def test_as_a_slow_reference_of_the_same_steps(case):
    y, loss, activation, make_probabilities, options = CASES[case]
    notes = []
    eager = learner(loss, activation, lambda *each: notes.append(each), run_eagerly=True)
    watched = TrainingProgress(COUNTS, **options)
    fit(eager, X, y, watched)
    compiled = TrainingProgress(COUNTS, **options)
    fit(learner(loss, activation, jit_compile=case == "multi-label"), X, y, compiled)
    steps = -(-N // 6)
    for epoch in range(2):
        part = notes[epoch * steps : (epoch + 1) * steps]
        wanted = slow(part, make_probabilities, case.startswith(("ids", "column", "one-hot")))
        for name in NAMES:
            for progress in (watched, compiled):
                np.testing.assert_allclose(progress.history[name][epoch], wanted[name], rtol=1e-4)


def by_hand(logits, y, loss, softmax):
    """One epoch in which the outputs are `logits`, and the head's kernel that of the table."""
    head = tf.keras.layers.Dense(3, use_bias=False)
    head.build([None, 2])
    head.set_weights([table.KERNEL])
    model = Untrained(tf.nn.softmax if softmax else tf.nn.sigmoid)
    model.compile(loss=loss)
    progress = TrainingProgress(table.SIZES, head=head)
    (logs,) = fit(model, logits.astype(np.float32), y, progress, batch_size=3, epochs=1)
    return progress.history, logs


def test_class_ids_by_hand():
    """Rows 0 and 3 are of class 0: one is seen. Row 2, of class 2, is a tie, and is not."""
    ids = np.argmax(table.Y_ONEHOT, axis=1)
    history, logs = by_hand(table.LOGITS_SOFTMAX, ids, "sparse_categorical_crossentropy", True)
    np.testing.assert_array_equal(history["recall"], [[1 / 2, 1, 0]])
    np.testing.assert_allclose(history["gradient"], [table.MEAN_NORMS_SOFTMAX], rtol=1e-6)
    rare, frequent = table.MEAN_NORMS_SOFTMAX[2], table.MEAN_NORMS_SOFTMAX[0]  # sizes 16, 4, 1
    by_hand_too = {
        "recall_rare": 0,
        "recall_frequent": 1 / 2,
        "recall_ratio": 0,
        "gradient_rare": rare,
        "gradient_frequent": frequent,
        "gradient_ratio": rare / frequent,
    }
    for name, value in by_hand_too.items():
        np.testing.assert_allclose(logs[f"progress/{name}"], value, rtol=1e-6)


def test_many_labels_by_hand():
    """p = 1/2 is a hit; every positive has that or more."""
    y = table.Y_MULTILABEL.astype(np.float32)
    history, _ = by_hand(table.LOGITS_SIGMOID, y, "binary_crossentropy", False)
    np.testing.assert_array_equal(history["recall"], [[1, 1, 1]])
    np.testing.assert_allclose(history["gradient"], [table.MEAN_NORMS_SIGMOID], rtol=1e-6)
    history, _ = by_hand(table.LOGITS_SIGMOID - 0.01, y, "binary_crossentropy", False)
    # p >= 1/2 is left in row 0 alone, for label 0 alone: one of three, none, none.
    np.testing.assert_allclose(history["recall"], [[1 / 3, 0, 0]])


def test_a_label_without_positives_is_unknown():
    y = MULTILABEL * [1, 0, 1]
    progress = TrainingProgress([9, 1, 7])
    logs = fit(learner("binary_crossentropy", "sigmoid"), X, y, progress)
    for name in NAMES:
        np.testing.assert_array_equal(np.isnan(progress.history[name]), [[0, 1, 0]] * 2)
        for each in logs:  # label 1 is the rarest third
            assert np.isnan(each[f"progress/{name}_rare"])
            assert np.isnan(each[f"progress/{name}_ratio"])
            assert np.isfinite(each[f"progress/{name}_frequent"])


def test_outputs_that_are_not_finite_are_left_out():
    progress = TrainingProgress([1] * 5, head=linear().layers[-1])
    model = Untrained(lambda x: tf.where(x > 0.8, np.nan, x) * KERNEL)
    model.compile(loss="mse")
    x, y = numbered(27)
    fit(model, x, y, progress, epochs=1)
    p, y = (x * KERNEL)[x[:, 0] <= 0.8], y[x[:, 0] <= 0.8]
    recall = ((p >= 0.5) * y).sum(axis=0) / y.sum(axis=0)
    np.testing.assert_allclose(progress.history["recall"], [recall])
    assert np.isfinite(progress.history["gradient"]).all()


@pytest.mark.parametrize(
    ("counts", "rare", "frequent"),
    [
        ([5, 1], [1], [0]),
        ([9, 4, 7], [1], [0]),
        ([7, 6, 5, 4, 3, 2, 1], [6, 5], [1, 0]),
        ([8, 7, 6, 5, 4, 3, 2, 1], [7, 6, 5], [2, 1, 0]),
        ([0, 6, 5, 4, 3, 2, 1, 0], [6, 5], [2, 1]),
        ([0, 3], [1], [1]),
    ],
)
def test_thirds(counts, rare, frequent):
    found = thirds(np.array(counts))
    np.testing.assert_array_equal(found[0], rare)
    np.testing.assert_array_equal(found[1], frequent)


# Which layer is the head.


class TwoHeads(tf.keras.Sequential):
    def __init__(self):
        first = tf.keras.layers.Dense(Q, name="first")
        last = tf.keras.layers.Dense(Q, "sigmoid", name="last")
        super().__init__([tf.keras.layers.Input([Q]), first, last])
        first.set_weights([np.full([Q, Q], 2.0), np.zeros(Q)])
        last.set_weights([np.full([Q, Q], 3.0), np.zeros(Q)])
        self.compile(tf.keras.optimizers.SGD(0.0), "binary_crossentropy")


@pytest.mark.parametrize(
    ("head", "entry"),
    [
        (lambda model: None, 3.0),
        (lambda model: "first", 2.0),
        (lambda model: model.layers[-2], 2.0),
    ],
)
def test_the_head_is_the_last_layer_or_the_named_one(head, entry):
    model = TwoHeads()
    progress = TrainingProgress(COUNTS, head=head(model))
    fit(model, X[:, :Q], MULTILABEL, progress)
    # All entries of the kernel alike: |W (p - y)| is √3 times |entry * sum (p - y)|.
    error = (model.predict(X[:, :Q], verbose=0) - MULTILABEL).sum(axis=1)
    norms = np.sqrt(3) * entry * np.abs(error)
    wanted = [norms[MULTILABEL[:, c] == 1].mean() for c in range(Q)]
    np.testing.assert_allclose(progress.history["gradient"], [wanted] * 2, rtol=1e-5)


@pytest.mark.parametrize("head", [None, "hidden", "nowhere"])
def test_no_head_is_an_error_with_the_way_out(head):
    layers = [tf.keras.layers.Dense(7, name="hidden"), tf.keras.layers.Dense(1)]
    layers.append(tf.keras.layers.Reshape([1, 1]))
    layers.append(tf.keras.layers.UpSampling1D(Q))
    model = tf.keras.Sequential([tf.keras.layers.Input([D]), *layers])
    model.add(tf.keras.layers.Flatten())
    model.compile("sgd", "mse")
    match = rf"kernel \(d, 3\).*Received: head={head!r}.*hidden.*head=\.\.\."
    with pytest.raises(ValueError, match=match):
        fit(model, X, MULTILABEL, TrainingProgress(COUNTS, head=head))


@pytest.mark.parametrize(
    "counts",
    [3, [5], [[3, 1]], ["a", "b"], None, [[3], [1, 2]], [3, -1], [3, np.nan], [3, np.inf], [0, 0]],
    ids=str,
)
def test_counts_of_another_form(counts):
    with pytest.raises(ValueError, match=r"`class_counts`.*Received: class_counts=.*Pass"):
        TrainingProgress(counts)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("head", value) for value in (3, "", True, tf.keras.layers.Dense, np.ones((4, 3)))),
        *(("output", value) for value in (-1, 0.5, True, ["a"], {})),
        *(("from_logits", value) for value in (None, 1, "yes", [], 10**400)),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_wrong_argument_is_an_error_when_the_callback_is_made(name, value):
    match = rf"^`{name}` must be .*\. Received: {name}=.*\. Pass for example {name}="
    with pytest.raises(ValueError, match=match):
        TrainingProgress(COUNTS, **{name: value})


# Beside others.


def test_history_gets_arrays_and_logs_numbers_alone():
    model = learner("binary_crossentropy", "sigmoid")
    progress = TrainingProgress(COUNTS)
    logs = fit(model, X, MULTILABEL, progress, validation_data=(X, MULTILABEL))
    keys = {f"progress/{name}_{part}" for name in NAMES for part in ("rare", "frequent", "ratio")}
    for epoch, each in enumerate(logs):
        assert {key for key in each if key.startswith("progress/")} == keys
        assert all(np.ndim(value) == 0 for value in each.values())
        for key in keys:
            assert model.history.history[key][epoch] == each[key]
    for name in NAMES:
        arrays = model.history.history[f"progress/{name}"]
        assert [array.shape for array in arrays] == [(Q,)] * 2
        np.testing.assert_array_equal(arrays, progress.history[name])


def test_beside_csv_logger_and_model_checkpoint(tmp_path):
    model = learner("binary_crossentropy", "sigmoid")
    monitor = {"monitor": "progress/recall_frequent", "mode": "max"}
    others = [
        tf.keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        tf.keras.callbacks.ModelCheckpoint(str(tmp_path / "model.keras"), **monitor),
    ]
    logs = fit(model, X, MULTILABEL, callbacks=others)
    with open(tmp_path / "log.csv") as file:
        rows = list(csv.DictReader(file))
    for row, each in zip(rows, logs, strict=True):
        assert float(row["progress/gradient_ratio"]) == each["progress/gradient_ratio"]
    assert (tmp_path / "model.keras").stat().st_size


@pytest.mark.parametrize("first", [True, False])
def test_beside_adaptive_batch_selection_it_follows_the_draws(first):
    train, model = adaptive(), linear()
    progress = TrainingProgress([14, 13, 12, 11, 11])
    callbacks = [tfml.AdaptiveBatchSelection(train), progress]
    model.fit(train, epochs=3, verbose=0, callbacks=callbacks[:: 1 if first else -1])
    x, y = numbered(27)
    for epoch in range(3):
        plan = train.strategy.plans[epoch]
        p, drawn = x[plan] * KERNEL, y[plan]
        recall = ((p >= 0.5) * drawn).sum(axis=0) / drawn.sum(axis=0)
        gradient = oracle.mean_norms((p - drawn) @ KERNEL.T, drawn)
        np.testing.assert_allclose(progress.history["recall"][epoch], recall)
        np.testing.assert_allclose(progress.history["gradient"][epoch], gradient, rtol=1e-5)
    assert len(train.strategy.ids) == 81


# From fit to fit.


def test_nothing_is_left_on_the_model():
    model = learner("binary_crossentropy", "sigmoid")
    model.fit(X, MULTILABEL, verbose=0)
    before = set(model.__dict__)
    fit(model, X, MULTILABEL)
    assert is_clean(model)
    assert set(model.__dict__) - before <= {"_eval_epoch_iterator"}


def test_evaluate_and_predict_with_the_callback_leave_no_hook():
    model = linear()
    x, y = numbered(9)
    model.evaluate(x, y, verbose=0, callbacks=[TrainingProgress([1] * 5)])
    assert is_clean(model)
    model.predict(x, verbose=0, callbacks=[TrainingProgress([1] * 5)])
    assert is_clean(model)


def test_a_second_fit_starts_anew():
    x, y = numbered(27)
    first, second = TrainingProgress([1] * 5), TrainingProgress([1] * 5)
    model = linear()
    with pytest.raises(ZeroDivisionError):
        fit(model, x, y, first, [Breaks(ZeroDivisionError)])  # amid its second epoch
    fit(model, x, y, first)
    fit(linear(), x, y, second)
    for name in NAMES:
        assert len(first.history[name]) == 2
        np.testing.assert_array_equal(first.history[name], second.history[name])
    assert is_clean(model)


# The old name of `plots.training_progress`, for one release.


def test_plot_forwards_and_warns():
    pytest.importorskip("matplotlib")
    progress = TrainingProgress([9, 1])
    progress.history = {name: [np.ones(2)] for name in NAMES}
    match = r"Call tfmlselect\.plots\.training_progress\(progress, quantity, ax=\.\.\.\) instead"
    with pytest.warns(DeprecationWarning, match=match) as caught:
        axes = progress.plot()
    assert caught[0].filename == __file__
    assert axes.get_ylabel() == "training recall"
    with pytest.warns(DeprecationWarning, match=match):
        assert progress.plot("gradient", axes) is axes
    assert axes.get_ylabel() == "mean norm of the feature gradient"
