"""Samples of weight 0 are left out: all is as if they had been removed by hand, but for ids."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

import tfmlselect as tfml
from tests.properties.examples import examples
from tests.support.watching import Watch
from tfmlselect import strategies
from tfmlselect.pipeline.kept_samples import KeptSamples
from tfmlselect.strategies import D2ACE, Learnability, Mixture, Switch
from tfmlselect.strategies.base import strategies_in

N, Q, BATCH = 48, 3, 6
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 5)).astype("float32")
Y = (X[:, :Q] + RNG.normal(size=(N, Q)) > [0.0, 0.6, 1.0]).astype("float32")
WEIGHTS = np.where(RNG.random(N) < 0.35, 0.0, RNG.uniform(0.5, 2.0, N)).astype("float32")
KEPT = np.flatnonzero(WEIGHTS)
M = len(KEPT)
OTHERS = np.flatnonzero(WEIGHTS == 0)
REFERENCE = RNG.random(N)
NAMES = strategies.names()


def arrays(strategy, rows=slice(None), weights=WEIGHTS, batch_size=BATCH, **options):
    options = {"seed": 0, "sample_weight": weights[rows], **options}
    return tfml.adaptive_dataset((X[rows], Y[rows]), strategy, batch_size, **options)


def stream(strategy, rows=slice(None), weights=WEIGHTS, batch_size=BATCH, **options):
    data = tf.data.Dataset.from_tensor_slices((X[rows], Y[rows], weights[rows]))
    options = {"window": 24, "seed": 0, "features": X[rows], **options}
    return data.apply(tfml.adaptive(strategy, batch_size, **options))


WAYS = {"arrays": arrays, "stream": stream}


def make_model():
    start = tf.keras.initializers.RandomUniform(-1, 1, seed=1)
    layer = tf.keras.layers.Dense(Q, "sigmoid", kernel_initializer=start)
    model = tf.keras.Sequential([tf.keras.Input((5,)), layer])
    model.compile(tf.keras.optimizers.SGD(0.3), "binary_crossentropy")
    return model


def fit(train, epochs=3, model=None, **options):
    watch = Watch(train)
    callbacks = [tfml.AdaptiveBatchSelection(train, **options), watch]
    model = model or make_model()
    return watch, model.fit(train, epochs=epochs, verbose=0, callbacks=callbacks).history


def is_as_removed(make, strategy, epochs=3, **options):
    """A fit on all samples is that on the kept ones, strategies and options being made twice."""
    train, removed = make(strategy()), make(strategy(), KEPT)
    (watch, history), (by_hand, expected) = (
        fit(each, epochs, **options) for each in (train, removed)
    )
    for plan, distribution, other_plan, p in zip(
        watch.plans, watch.distributions, by_hand.plans, by_hand.distributions, strict=True
    ):
        np.testing.assert_array_equal(plan, KEPT[other_plan])
        assert not np.isin(plan, OTHERS).any()
        assert distribution.shape == (N,)
        assert not distribution[OTHERS].any()
        np.testing.assert_array_equal(distribution[KEPT], p)
    assert history.keys() == expected.keys()
    for name, values in history.items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)
    return train, removed


QUICK = {"adaptive_balance", "d2ace", "online_batch"}  # of streams; all strategies of arrays


@pytest.mark.filterwarnings("ignore::UserWarning")  # of a short run, no reference model
@pytest.mark.parametrize(
    ("name", "way"),
    [
        *((name, "arrays") for name in NAMES),
        *(
            (name, "stream")
            if name in QUICK
            else pytest.param(name, "stream", marks=pytest.mark.full)
            for name in NAMES
        ),
    ],
)
def test_a_fit_is_that_on_the_samples_with_weight(name, way):
    is_as_removed(WAYS[way], lambda: strategies.get(name))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "strategy",
    [
        lambda: Mixture([("online_batch", 0.5), (Learnability(REFERENCE), 0.5)]),
        lambda: Switch([(Learnability(REFERENCE), 0.5), ("label_balanced", 1.0)]),
    ],
    ids=["mixture", "switch"],
)
def test_what_a_strategy_was_given_for_each_sample(strategy):
    train = arrays(strategy())
    parts = strategies_in(train.strategy)
    part = next(each for each in parts if isinstance(each, Learnability))
    np.testing.assert_allclose(part.score_parts(np.arange(M))["reference"], -REFERENCE[KEPT])


@pytest.mark.parametrize(
    ("way", "options"),
    [("arrays", {}), ("stream", {"signal": tf.keras.backend.binary_crossentropy})],
    ids=["arrays", "stream, losses"],
)
def test_exact_predictions_are_of_the_samples_with_weight(way, options):
    options = {"scores": "predict", **options}
    train, _ = is_as_removed(WAYS[way], lambda: tfml.strategies.Uncertainty(warmup=1), 2, **options)
    model = make_model()
    fit(train, 2, model, **options)
    p = train.strategy.state["prediction"].numpy()
    np.testing.assert_allclose(p, model.predict(X[KEPT], verbose=0), rtol=1e-5)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("options", [{"samples_per_epoch": 12}, {"importance_weights": 1.0}])
def test_settings_are_of_the_samples_with_weight(way, options):
    def make(*given):
        return WAYS[way](*given, **options)

    is_as_removed(make, lambda: tfml.strategies.OnlineBatch(warmup=0))


def test_independent_draws():
    def make(*given):
        return arrays(*given, draws="independent")

    is_as_removed(make, lambda: tfml.strategies.HardImbalance(correlations=True, warmup=0))


@pytest.mark.parametrize("way", WAYS)
def test_without_a_zero_nothing_is_left_out(way):
    train, plain = (WAYS[way]("label_balanced", weights=w) for w in (WEIGHTS + 1, 0 * WEIGHTS + 1))
    assert train._selection.source.kept.ids is None
    plans = [np.concatenate(fit(each, 1)[0].plans) for each in (train, plain)]
    np.testing.assert_array_equal(*plans)
    assert set(plans[0]) & set(OTHERS)


MASK = WEIGHTS > 0


@pytest.mark.parametrize(
    "mask",
    [
        MASK,
        MASK.tolist(),
        MASK.astype("int8"),
        -0.0 + MASK.astype("float16"),
        np.where(MASK, 1e-30, -0.0),
        tf.constant(MASK),
        tf.cast(MASK, tf.bfloat16),
    ],
    ids=["bool", "list", "int8", "float16", "tiny", "tensor", "bfloat16"],
)
def test_a_mask_of_any_kind(mask):
    train = tfml.adaptive_dataset((X, Y), "uniform", BATCH, seed=0, sample_weight=mask)
    np.testing.assert_array_equal(np.flatnonzero(train.probabilities), KEPT)


@pytest.mark.parametrize("way", WAYS)
def test_batches_hold_the_samples_with_weight(way):
    """Also where no fit is attached, and with the samples' own weights."""
    train = WAYS[way]("uniform")
    assert len(train) == -(-M // BATCH)
    seen = [row for x, _, w in train.take(len(train)) for row in zip(x[:, 0].numpy(), w.numpy(),
            strict=True)]  # fmt: skip
    assert sorted(seen) == sorted(zip(X[KEPT, 0], WEIGHTS[KEPT], strict=True))


@pytest.mark.parametrize("way", WAYS)
def test_in_order_gives_all(way):
    every = WAYS[way]("uniform").map(lambda x, y, w: (2.0 * x, y, w)).in_order()
    assert len(every) == N // BATCH
    for number, expected in enumerate([2.0 * X, Y, WEIGHTS]):
        found = np.concatenate([batch[number] for batch in every])
        np.testing.assert_array_equal(found, expected)


def test_evaluation_in_order_leaves_them_out_as_keras_does():
    model = make_model()
    found = model.evaluate(arrays("uniform").in_order(), verbose=0)
    assert found == pytest.approx(model.evaluate(X, Y, BATCH, 0, WEIGHTS), rel=1e-5)


@pytest.mark.parametrize("way", WAYS)
def test_inspect_and_repr_show_the_numbers_that_were_given(way):
    train, removed = WAYS[way]("label_balanced"), WAYS[way]("label_balanced", KEPT)
    for each in (train, removed):
        each._selection.start(refresh=True)
    found, expected = train.inspect(5), removed.inspect(5)
    np.testing.assert_array_equal(found.ids, KEPT[expected.ids])
    np.testing.assert_array_equal(found.labels, Y[found.ids])
    np.testing.assert_array_equal(found.relative_probability, expected.relative_probability)
    assert found.n == M
    with pytest.raises(ValueError, match=f"from 1 to {M // 2}"):
        train.inspect(M // 2 + 1)
    assert f"{M} samples, those of {N} whose weight is not 0" in repr(train)


def test_plots_are_of_the_samples_with_weight():
    pytest.importorskip("matplotlib")
    drawn = []
    for rows in (slice(None), KEPT):
        train = arrays("label_balanced", rows)
        train._selection.start(refresh=True)
        lines = tfml.plots.distribution(train).get_lines()
        lines += tfml.plots.batch_composition(train).get_lines()
        drawn.append([np.asarray(line.get_xydata()) for line in lines])
    for line, expected in zip(*drawn, strict=True):
        np.testing.assert_allclose(line, expected)


def test_x_on_disk_is_not_loaded(tmp_path):
    np.save(tmp_path / "x.npy", X)
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    train = tfml.adaptive_dataset((x, Y), "uniform", BATCH, seed=0, sample_weight=WEIGHTS)
    assert train._selection.source.x is x
    found = np.concatenate([batch[0] for batch in train.take(len(train))])
    assert sorted(found[:, 0]) == sorted(X[KEPT, 0])


# Neighbours.


@pytest.mark.parametrize("way", WAYS)
def test_given_neighbours_are_those_with_weight(way):
    near = np.argsort(np.linalg.norm(X[:, None] - X[None], axis=2), axis=1)[:, 1:]
    of_kept = np.linalg.norm(X[KEPT, None] - X[None, KEPT], axis=2)
    expected = np.argsort(of_kept, axis=1)[:, 1:6]
    train = WAYS[way](D2ACE(neighbors=5), neighbors=near, features=None)
    np.testing.assert_array_equal(train._selection.source.neighbors[:, :5], expected)


def test_too_few_neighbours_are_left():
    near = np.argsort(np.linalg.norm(X[:, None] - X[None], axis=2), axis=1)[:, 1:6]
    with pytest.raises(ValueError, match=r"at least 5 .* Received: .* and none among samples of"):
        arrays(D2ACE(neighbors=5), neighbors=near)


@pytest.mark.parametrize(
    "wrong", [np.full((N, 3), -1), np.full((N, 3), N), np.full((N, 3), 2**63, np.uint64)]
)
def test_neighbours_that_are_no_samples(wrong):
    with pytest.raises(ValueError, match=rf"row numbers from 0 to n - 1 = {M - 1}\. Received: "):
        arrays(D2ACE(neighbors=3), neighbors=wrong)


@pytest.mark.parametrize(
    "features", [X, tf.constant(X), X.tolist()], ids=["array", "tensor", "list"]
)
@pytest.mark.parametrize("way", WAYS)
def test_features_are_given_for_all(features, way):
    train = WAYS[way](D2ACE(neighbors=2), features=features)
    np.testing.assert_allclose(train._selection.source.features, X[KEPT])
    with pytest.raises(ValueError, match=f"one row for each of the {N} samples"):
        WAYS[way](D2ACE(neighbors=2), features=X[KEPT])


@examples(60)
@given(st.data())
def test_which_are_kept(data):
    """Against lists, slowly."""
    n = data.draw(st.integers(1, 12))
    given_ids = st.lists(st.integers(-1, n), min_size=3, max_size=3)
    weights = data.draw(st.lists(st.sampled_from([0.0, 0.5, 2.0]), min_size=n, max_size=n))
    near = data.draw(st.lists(given_ids, min_size=n, max_size=n))
    in_use = [i for i in range(n) if weights[i] > 0]
    if not in_use:
        with pytest.raises(ValueError, match="no sample is left"):
            KeptSamples(n, np.array(weights))
        return
    kept = KeptSamples(n, np.array(weights))
    assert kept.n == len(in_use)
    values = np.arange(10, 10 + n)
    assert kept.of_given(values).tolist() == [10 + i for i in in_use]
    assert kept.as_given(np.arange(kept.n)).tolist() == in_use
    spread = kept.spread(np.arange(1, 1 + kept.n)).tolist()
    assert spread == [1 + in_use.index(i) if i in in_use else 0 for i in range(n)]
    rows = [
        [in_use.index(j) if j in in_use else j for j in near[i] if j in in_use or not 0 <= j < n]
        for i in in_use
    ]
    columns = min(map(len, rows))
    assert kept.neighbors_of_given(np.array(near)).tolist() == [row[:columns] for row in rows]


# Streams.


@pytest.mark.parametrize("batched", [False, True])
def test_streams_of_unknown_shapes(batched):
    def rows():
        yield from zip(X, Y, WEIGHTS, strict=True)

    signature = tuple(tf.TensorSpec(None, tf.float32) for _ in range(3))
    data = tf.data.Dataset.from_generator(rows, output_signature=signature)
    data = data.batch(7) if batched else data
    train = data.apply(tfml.adaptive("uniform", BATCH, window=24, seed=0, batched=batched))
    np.testing.assert_array_equal(np.flatnonzero(train.probabilities), KEPT)
    assert sorted(row for x, _, _ in train.take(len(train)) for row in x[:, 0].numpy()) == sorted(
        X[KEPT, 0]
    )


def test_weights_of_a_stream_that_change_do_not_change_who_is_in():
    data = tf.data.Dataset.from_tensor_slices((X, Y, WEIGHTS))
    rolls = tf.random.Generator.from_seed(0)
    noisy = data.map(lambda x, y, w: (x, y, w * tf.round(rolls.uniform([]))))
    train = noisy.apply(tfml.adaptive("uniform", BATCH, window=24, seed=0, x_changes=True))
    kept = np.flatnonzero(train.probabilities)
    for _ in range(2):
        found = np.concatenate([x for x, _, _ in train.take(len(train))])
        assert sorted(found[:, 0]) == sorted(X[kept, 0])


def test_features_made_of_x_and_an_x_that_is_compared():
    weights = np.where(np.arange(N) < 3, 0.0, 1.0).astype("float32")
    x = tf.Variable(X)
    data = tf.data.Dataset.range(N).map(
        lambda i: (x[i], tf.constant(Y)[i], tf.constant(weights)[i])
    )
    train = data.apply(
        tfml.adaptive(D2ACE(neighbors=2), BATCH, window=24, seed=0, features=lambda x: x[1:])
    )
    np.testing.assert_allclose(train._selection.source.features, X[3:, 1:])
    list(train.take(len(train)))
    train._selection.source.check_read()
    x.assign(tf.concat([X[:3] + 1, X[3:]], axis=0))  # of samples that are left out
    list(train.take(len(train)))
    train._selection.source.check_read()
    x.assign(tf.concat([X[:-1], X[-1:] + 1], axis=0))
    list(train.take(len(train)))
    with pytest.raises(RuntimeError, match=f"another x in 1 of {N - 3} samples"):
        train._selection.source.check_read()


# What is refused.


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (np.zeros(N, "f"), f"no sample is left. Received: `sample_weight` of {N} zeros. Give"),
        (
            np.where(np.arange(N) == 5, -1, 1.0),
            r"not be negative. Received: -1.0 in row 5, 1 of",
        ),
        (np.where(np.arange(N) == 5, np.nan, 1.0), "finite. Received: nan in row 5"),
        (np.where(np.arange(N) == 5, -np.inf, 1.0), "finite. Received: -inf in row 5"),
    ],
    ids=["zeros", "negative", "nan", "inf"],
)
def test_weights_that_are_none(way, weights, said):
    with pytest.raises(ValueError, match=said):
        WAYS[way]("uniform", weights=weights)


@pytest.mark.parametrize("way", WAYS)
def test_epochs_longer_than_the_samples_with_weight(way):
    few = np.where(np.arange(N) < 4, 1.0, 0.0)
    counted = f"n=4 samples, those of {N} whose weight is not 0"
    with pytest.raises(ValueError, match=f"batch_size=6, {counted}. Pass batch_size <= 4"):
        WAYS[way]("uniform", weights=few)
    with pytest.raises(ValueError, match=f"samples_per_epoch=6, {counted}, 4 draws a pass. Pass"):
        WAYS[way]("uniform", weights=few, batch_size=2, samples_per_epoch=6)


@pytest.mark.parametrize("way", WAYS)
def test_a_backup_is_of_the_samples_with_weight(way, tmp_path):
    def make(weights=WEIGHTS):
        return WAYS[way](tfml.strategies.OnlineBatch(warmup=0), weights=weights)

    fit(make(), 1, backup_dir=tmp_path)
    same, model = make(), make_model()
    selection = tfml.AdaptiveBatchSelection(same, backup_dir=tmp_path)
    assert selection.restore(model) == 1
    whole, _ = fit(make(), 2)
    watch = Watch(same)
    model.fit(same, initial_epoch=1, epochs=2, verbose=0, callbacks=[selection, watch])
    np.testing.assert_array_equal(watch.plans[-1], whole.plans[-1])
    swapped = WEIGHTS.copy()
    swapped[[OTHERS[0], KEPT[0]]] = swapped[[KEPT[0], OTHERS[0]]]
    other = tfml.AdaptiveBatchSelection(make(swapped), backup_dir=tmp_path)
    with pytest.raises(
        ValueError, match=r"of another run. Received: .*other (sample_weight|left_out)"
    ):
        other.restore(make_model())


class Fixed(strategies.Uniform):
    """A user's own strategy, with a number of its own for each sample of the dataset."""

    def __init__(self, numbers, takes_rows):
        super().__init__()
        self.numbers, self.takes_rows = numbers, takes_rows

    def probabilities(self, epoch):
        numbers = self.numbers
        if self.takes_rows and self.sample_ids is not None:
            numbers = numbers[self.sample_ids]
        return tf.constant(numbers / numbers.sum())


def test_a_strategy_of_ones_own_knows_which_samples_are_left():
    watch, _ = fit(arrays(Fixed(REFERENCE, True)), 1)
    np.testing.assert_allclose(
        watch.distributions[0][KEPT], REFERENCE[KEPT] / REFERENCE[KEPT].sum()
    )
    with pytest.raises(
        ValueError, match=rf"Received: shape \({N},\) for {M} samples, those of {N}"
    ):
        fit(arrays(Fixed(REFERENCE, False)), 1)
