"""NumPy's masked arrays: nothing here knows masks, so none is silently ignored."""

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml
from tfmlselect import losses, metrics, sampling, strategies
from tfmlselect.scoring.neighbors import nearest_neighbors

N, Q = 8, 2
X = np.arange(N * 3.0, dtype="float32").reshape(N, 3)
Y = np.array([[1, 0], [0, 1]] * 4)
IDS = np.arange(N) % 3
NEAR = (np.arange(N)[:, None] + [1, 2]) % N
P = np.full((N, Q), 0.5)
EACH = np.full(N, 1 / N)


def dataset(x=X, y=Y, strategy="uniform", **options):
    return tfml.adaptive_dataset((x, y), strategy, 2, seed=0, **options)


def with_neighbours(**options):
    return dataset(strategy=strategies.D2ACE(neighbors=2), **options)


def stream(**options):
    data = tf.data.Dataset.from_tensor_slices((X, Y))
    return data.apply(tfml.adaptive(strategies.D2ACE(neighbors=2), 2, window=8, **options))


def reference_of(x):
    model = tf.keras.Sequential([tf.keras.Input((3,)), tf.keras.layers.Dense(Q, "sigmoid")])
    return strategies.Learnability.from_model(model, x, Y)


def plot(name, *given):
    pytest.importorskip("matplotlib")
    return getattr(tfml.plots, name)(*given)


# What takes an array, the name of it, and one that it takes.
CASES = {
    "x": (lambda x: dataset(x), "x", X),
    "x in a dict": (lambda x: dataset({"a": X, "b": x}), r"x\['b'\]", X),
    "x in a tuple": (lambda x: dataset((x, X)), r"x\[0\]", X),
    "y": (lambda y: dataset(y=y), "y", Y),
    "class ids": (lambda y: dataset(y=y), "y", IDS),
    "sample_weight": (lambda w: dataset(sample_weight=w), "sample_weight", np.ones(N)),
    "features": (lambda f: with_neighbours(features=f), "features", X),
    "neighbors": (lambda ids: with_neighbours(neighbors=ids), "neighbors", NEAR),
    "features of a stream": (lambda f: stream(features=f), "features", X),
    "neighbors of a stream": (lambda ids: stream(neighbors=ids), "neighbors", NEAR),
    "nearest_neighbors": (lambda f: nearest_neighbors(f, 2), "features", X),
    "label_statistics": (tfml.label_statistics, "y", Y),
    "potential": (tfml.potential, "y", Y),
    "stratified_shards": (lambda y: tfml.stratified_shards(y, 2), "y", Y),
    "a strategy": (strategies.OnlineBatch().build, "y", Y),
    "y of a metric": (lambda y: metrics.one_error(y, P), "y", Y),
    "scores of a metric": (lambda p: metrics.macro_average_precision(Y, p), "y_pred", P),
    "thresholds": (lambda p: metrics.tuned_thresholds(Y, p), "y_pred", P),
    "probabilities": (lambda p: sampling.draw_epoch(p, 2, 0, 0), "probabilities", EACH),
    "scores": (lambda s: sampling.pressure_probabilities(s, 2.0), "score", EACH),
    "reference losses": (strategies.Learnability, "reference_losses", EACH),
    "x of a reference": (reference_of, "x", X),
    "odds": (lambda odds: losses.PartialLabelMasking(odds=odds), "odds", np.ones(Q)),
    "counts of TrainingProgress": (tfml.callbacks.TrainingProgress, "class_counts", np.ones(Q)),
    "plotted draws": (lambda ids: plot("batch_composition", ids, Y), "drawn", np.arange(N)),
    "plotted probabilities": (lambda p: plot("distribution", p), "train", EACH),
    "plotted labels": (lambda y: plot("label_correlations", y), "y", Y),
}


def masked(array):
    mask = np.zeros(array.shape, bool)
    mask.flat[1] = True
    return np.ma.array(array, mask=mask)


@pytest.mark.parametrize("case", CASES)
def test_a_mask_is_refused_and_not_ignored(case):
    call, name, array = CASES[case]
    said = rf"`{name}` must not be a masked array.* Received: 1 masked of {array.size} entries\. "
    with pytest.raises(ValueError, match=said):
        call(masked(array))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("case", CASES)
def test_a_mask_that_masks_nothing_is_taken(case):
    call, _, array = CASES[case]
    call(np.ma.array(array))


def test_rows_that_are_masked_each():
    with pytest.raises(ValueError, match=r"`y` must not .* Received: 1 masked of 16 entries"):
        dataset(y=[masked(Y[0]), *map(np.ma.array, Y[1:])])
    with pytest.raises(ValueError, match=r"`sample_weight` must not .* Received: 1 masked of 1 "):
        dataset(sample_weight=[1.0] * 7 + [np.ma.masked])


def test_what_the_errors_say_to_do_works():
    weight = masked(np.ones(N))
    with pytest.raises(ValueError, match=r"np\.ma\.filled\(sample_weight, 0\)"):
        dataset(sample_weight=weight)
    train = dataset(sample_weight=np.ma.filled(weight, 0))
    assert np.flatnonzero(train.probabilities == 0).tolist() == [1]
    with pytest.raises(ValueError, match=r"np\.ma\.filled\(x, value\)"):
        dataset(masked(X))
    x = np.concatenate([x for x, _ in dataset(np.ma.filled(masked(X), -5)).in_order()])
    assert x[0].tolist() == [0, -5, 2]
    with pytest.raises(
        ValueError, match=r"np\.ma\.filled\(y, -1\)\), \.\.\., missing=-1\), or leave"
    ):
        dataset(y=masked(Y))


def test_batches_of_arrays_whose_mask_masks_nothing():
    for x, y in dataset(np.ma.array(X), np.ma.array(Y)).in_order().take(1):
        np.testing.assert_array_equal(x, X[:2])
        np.testing.assert_array_equal(y, Y[:2])
