"""The loop on a GPU: what is recorded, compiled, placed and replicated there.

`make gpu-check` runs this where there is a GPU. Elsewhere it runs on the CPU, and shows that the
tests themselves are right; `make test-full` does so.
"""

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml
from tests.support.recorded_fits import Spy

pytestmark = [pytest.mark.gpu, pytest.mark.full]

GPUS = tf.config.list_physical_devices("GPU")
DEVICE = "GPU:0" if GPUS else "CPU:0"
RNG = np.random.default_rng(0)
N, D, Q, BATCH = 512, 16, 6, 64
X = RNG.normal(size=(N, D)).astype("float32")
Y = (X[:, :Q] + 0.3 * RNG.normal(size=(N, Q)) > np.linspace(0, 1.5, Q)).astype("float32")


def model_of(jit_compile="auto", dtype=None, loss="binary_crossentropy"):
    tf.keras.utils.set_random_seed(0)
    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [
            tf.keras.Input((D,)),
            layers.Dense(32, activation="relu", dtype=dtype),
            layers.Dense(Q, activation="sigmoid", dtype=None if dtype is None else "float32"),
        ]
    )
    model.compile(tf.keras.optimizers.Adam(0.01), loss, **jit(jit_compile))
    return model


def jit(value):
    keras_3 = hasattr(tf.keras, "version")
    return {"jit_compile": value} if keras_3 or value != "auto" else {}


def fitted(strategy, model, epochs=3, **options):
    train = tfml.adaptive_dataset((X, Y), strategy, BATCH, seed=0, verbose=0)
    callback = tfml.AdaptiveBatchSelection(train, **options)
    history = model.fit(train, epochs=epochs, verbose=0, callbacks=[callback]).history
    assert np.all(np.isfinite(history["loss"]))
    return train


@pytest.mark.parametrize("jit_compile", ["auto", True, False])
@pytest.mark.parametrize("dtype", [None, "mixed_float16", "mixed_bfloat16"])
def test_rows_are_the_predictions_of_the_planned_samples(jit_compile, dtype):
    """A model that learns nothing, so that its predictions are known before and after."""
    model, spy = model_of(jit_compile, dtype), Spy()
    model.optimizer.learning_rate = 0.0
    fitted(spy, model)
    expected = model.predict(X, verbose=0)[spy.ids]
    np.testing.assert_allclose(np.array(spy.rows), expected, atol=2e-2 if dtype else 1e-4)
    assert sorted(spy.ids) == sorted(spy.planned(0, 1, 2))


@pytest.mark.parametrize("strategy", ["adaptive_balance", "d2ace"])
@pytest.mark.parametrize("state_device", [None, "CPU:0", DEVICE], ids=["default", "cpu", "same"])
def test_the_distribution_does_not_depend_on_the_device(strategy, state_device):
    """What is recorded is observed; on another device the distribution may differ by rounding."""
    model = model_of(jit_compile=False)
    model.optimizer.learning_rate = 0.0
    train = fitted(strategy, model, state_device=state_device)
    assert train.probabilities.sum() == pytest.approx(1)
    seen = train.strategy.latest_predictions(np.arange(N))
    visited = np.flatnonzero(np.isfinite(seen).all(axis=1))
    assert len(visited) > 0.8 * N
    expected = model.predict(X, verbose=0)
    np.testing.assert_allclose(seen[visited], expected[visited], atol=1e-4)
    if strategy == "adaptive_balance":  # which takes the latest prediction of each sample alone
        known = tfml.strategies.get(strategy)
        known.build(Y)
        with tf.device("CPU:0"):
            known.observe(visited, expected[visited])
        np.testing.assert_allclose(train.probabilities, known.probabilities(2), rtol=1e-3)


def test_state_is_where_it_was_asked_for():
    train = fitted("d2ace", model_of(), state_device=DEVICE)
    assert all(DEVICE in variable.device for variable in train.strategy.state.values())


@pytest.mark.parametrize("make", ["masking", "weights"])
def test_losses_that_adapt(make):
    odds = tfml.label_statistics(Y).odds
    loss = {
        "masking": lambda: tfml.losses.PartialLabelMasking(odds=odds),
        "weights": lambda: tfml.losses.PositiveWeights(odds=odds, exponent=0.5),
    }[make]()
    fitted("adaptive_balance", model_of(loss=loss))


@pytest.mark.parametrize(
    "replicas",
    [1, pytest.param(2, marks=pytest.mark.skipif(len(GPUS) < 2, reason="needs two GPUs"))],
)
def test_mirrored(replicas):
    devices = [f"GPU:{i}" for i in range(replicas)] if GPUS else ["CPU:0"]
    with tf.distribute.MirroredStrategy(devices).scope():
        model = model_of(jit_compile=False)
    spy = Spy()
    model.optimizer.learning_rate = 0.0
    fitted(spy, model)
    assert sorted(spy.ids) == sorted(spy.planned(0, 1, 2))
    by_sample = dict(zip(spy.ids, np.array(spy.rows), strict=True))
    expected = model.predict(X, verbose=0)
    for i, row in by_sample.items():
        np.testing.assert_allclose(row, expected[i], atol=1e-4)


@pytest.mark.skipif(not GPUS, reason="needs a GPU")
def test_the_step_runs_on_the_gpu():
    """TensorFlow puts it there by itself."""
    model = model_of()
    fitted("adaptive_balance", model)
    assert all("GPU" in tf.convert_to_tensor(v).device for v in model.trainable_variables)
