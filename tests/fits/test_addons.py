"""One fit with the loss, metrics and progress bar of TensorFlow Addons, and with the callback."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import f1_score, hamming_loss

import tfmlselect as tfml
from tests.support.recorded_fits import Spy, check_visits

tfa = pytest.importorskip("tensorflow_addons")

N, Q, SIZE, EPOCHS = 67, 4, 16, 6
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 6)).astype("float32")
Y = (X[:, :Q] > [0.0, 0.3, 0.6, 1.2]).astype("float32")
FIGURES = [
    "effective_sample_size",
    "entropy",
    "unique_samples",
    "minority_share",
    "passes",
    "variance_ratio",
]


def make_model():
    start = tf.keras.initializers.RandomUniform(-1, 1, seed=1)
    model = tf.keras.Sequential([tf.keras.layers.Dense(Q, "sigmoid", kernel_initializer=start)])
    metrics = [
        tfa.metrics.F1Score(Q, average="macro", threshold=0.5),
        tfa.metrics.HammingLoss(mode="multilabel", threshold=0.5),
    ]
    loss = tfa.losses.SigmoidFocalCrossEntropy(reduction=tf.keras.losses.Reduction.AUTO)
    model.compile(tf.keras.optimizers.SGD(0.5), loss, metrics)
    return model


@pytest.fixture(scope="module")
def fit():
    """The strategy that watched, History, and the bar."""
    train = tfml.adaptive_dataset((X, Y), Spy(), batch_size=SIZE, seed=1)
    bar = tfa.callbacks.TQDMProgressBar()
    callbacks = [tfml.AdaptiveBatchSelection(train, verbose_logs=True), bar]
    history = make_model().fit(train, epochs=EPOCHS, verbose=0, callbacks=callbacks).history
    return train.strategy, history, bar


def focal_loss(y, p, alpha=0.25, gamma=2.0):
    """Lin et al. 2017, equation 5, summed over a sample's labels as Addons do: (b,)."""
    right = np.where(y == 1, p, 1 - p)
    weights = np.where(y == 1, alpha, 1 - alpha)
    return -(weights * (1 - right) ** gamma * np.log(right)).sum(axis=1)


def test_every_row_is_recorded_as_it_was_predicted(fit):
    spy = fit[0]
    twin, expected = make_model(), []
    for epoch in range(EPOCHS):
        for ids in np.split(spy.plans[epoch], range(SIZE, N, SIZE)):
            expected.append(twin.predict_on_batch(X[ids]))
            twin.train_on_batch(X[ids], Y[ids])
    check_visits(spy, spy.planned(*range(EPOCHS)), np.concatenate(expected), rtol=1e-4)


def test_history_has_the_metrics_of_what_was_recorded(fit):
    spy, history, _ = fit
    assert len(history["loss"]) == EPOCHS
    for epoch in range(EPOCHS):
        visits = slice(epoch * N, (epoch + 1) * N)
        y, p = Y[spy.ids[visits]], np.stack(spy.rows[visits])
        f1 = f1_score(y, p > 0.5, average="macro")
        assert history["f1_score"][epoch] == pytest.approx(f1, rel=1e-5)
        assert history["hamming_loss"][epoch] == pytest.approx(hamming_loss(y, p > 0.5), rel=1e-5)
        assert history["loss"][epoch] == pytest.approx(focal_loss(y, p).mean(), rel=1e-4)


def test_it_trains(fit):
    history = fit[1]
    assert history["loss"][-1] < 0.7 * history["loss"][0]
    assert history["f1_score"][-1] > history["f1_score"][0] + 0.1


def test_history_has_the_figures_of_the_selection(fit):
    spy, history, _ = fit
    names = [*FIGURES, "label_attention"]
    assert {name for name in history if "/" in name} == {f"selection/{name}" for name in names}
    drawn = [len(set(spy.plans[epoch])) / N for epoch in range(EPOCHS)]
    np.testing.assert_allclose(history["selection/unique_samples"], drawn)
    assert drawn[1] < 1


def test_the_progress_bar_shows_metrics_and_figures(fit):
    _, history, bar = fit
    shown = dict(pair.split(": ") for pair in bar.epoch_progress_tqdm.desc.split(" - "))
    assert {*shown} == {*history} - {"selection/label_attention"}  # an array, for History alone
    assert float(shown["f1_score"]) == pytest.approx(history["f1_score"][-1], abs=1e-4)
    assert bar.overall_progress_tqdm.n == EPOCHS


def test_logits_of_the_focal_loss_are_recorded_as_probabilities():
    model = tf.keras.Sequential([tf.keras.Input((6,)), tf.keras.layers.Dense(Q)])
    loss = tfa.losses.SigmoidFocalCrossEntropy(from_logits=True)
    model.compile(tf.keras.optimizers.SGD(0.0), loss)
    train = tfml.adaptive_dataset((X, Y), Spy(), batch_size=SIZE, seed=1)
    model.fit(train, epochs=2, verbose=0, callbacks=[tfml.AdaptiveBatchSelection(train)])
    plan = train.strategy.planned(0, 1)
    expected = tf.sigmoid(model.predict(X, verbose=0)).numpy()[plan]
    check_visits(train.strategy, plan, expected, rtol=1e-5)
