import gc
import re

import numpy as np
import pytest
import tensorflow as tf

import tfmlselect as tfml

N, BATCH = 10, 4
X = np.arange(N, dtype=np.float32)[:, None]  # a sample's x is its id
Y = np.random.default_rng(0).integers(0, 2, (N, 3)).astype(np.float32)
ORDER = [3, 1, 4, 0, 5, 9, 2, 6, 5, 3]

unattached = pytest.mark.filterwarnings("ignore:This adaptive dataset is not attached")


def make(n=N, batch_size=BATCH, seed=0, strategy="uniform", **options):
    return tfml.adaptive_dataset((X[:n], Y[:n]), strategy, batch_size, seed=seed, **options)


@pytest.fixture
def train():
    return make()


def follow(dataset, ids):
    """What the callback does with an epoch's plan."""
    dataset._selection.plan.follow(np.array(ids))


def ids_of(dataset):
    return [int(sample[0]) for x, *_ in dataset for sample in x.numpy()]


def twice(x, y):
    return 2 * x, y


# --- a tf.data.Dataset --------------------------------------------------------------------------


def test_is_a_dataset(train):
    assert isinstance(train, tf.data.Dataset)
    assert isinstance(train, tfml.AdaptiveDataset)


@pytest.mark.parametrize(
    ("n", "drop_remainder", "steps", "rows"),
    [(10, False, 3, None), (10, True, 2, 4), (8, False, 2, 4), (8, True, 2, 4), (4, False, 1, 4)],
)
@unattached
def test_length_and_batch_shape(n, drop_remainder, steps, rows):
    train = make(n, drop_remainder=drop_remainder)
    assert len(train) == train.cardinality() == steps == len(list(train))
    x, y = train.element_spec
    assert (x.shape.as_list(), x.dtype) == ([rows, 1], tf.float32)
    assert (y.shape.as_list(), y.dtype) == ([rows, 3], tf.float32)


def test_the_plan_can_be_looked_at_and_not_changed():
    x = np.arange(10.0)[:, None]
    train = tfml.adaptive_dataset((x, np.eye(10)[:, :3]), "label_balanced", 4, seed=0)
    assert train.plan is None
    follow(train, [3, 1, 2, 3, 0, 9, 8, 7, 5, 4])
    assert train.plan.dtype == np.int64
    assert train.plan.tolist() == [3, 1, 2, 3, 0, 9, 8, 7, 5, 4]
    assert train.plan.tolist() == np.concatenate([batch[0][:, 0] for batch in train]).tolist()
    assert train.map(lambda x, y: (2 * x, y)).plan is train.plan
    with pytest.raises(ValueError, match="read-only"):
        train.plan[0] = 5


def test_batches_hold_the_planned_samples():
    weights = np.linspace(1, 2, N, dtype=np.float32)
    train = make(sample_weight=weights)
    follow(train, ORDER)
    for step, (x, y, weight) in enumerate(train):
        ids = ORDER[step * BATCH : (step + 1) * BATCH]
        np.testing.assert_array_equal(x, X[ids])
        np.testing.assert_array_equal(y, Y[ids])
        np.testing.assert_array_equal(weight, weights[ids])


@unattached
def test_other_ways_to_read_it(train):
    assert len(list(train.as_numpy_iterator())) == 3
    assert train.reduce(0, lambda count, _: count + 1) == 3
    assert len(list(train.enumerate())) == 3


@unattached
def test_a_loop_inside_a_tf_function(train):
    @tf.function
    def samples():
        count = 0
        for x, _ in train:
            count += tf.shape(x)[0]
        return count

    assert samples() == N


@unattached
def test_take_is_for_a_look(train):
    look = train.take(1)
    assert not isinstance(look, tfml.AdaptiveDataset)
    assert len(list(look)) == 1


def test_representation_says_what_it_is():
    text = repr(make(strategy="uniform"))
    assert "10 samples, 3 labels, 3 batches of 4, Uniform(epochs=None), 0 epochs" in text


def test_before_training(train):
    assert train.epoch == 0
    np.testing.assert_array_equal(train.probabilities, np.full(N, 1 / N))


def test_probabilities_are_a_copy(train):
    train.probabilities[:] = 0
    assert train.probabilities.sum() == pytest.approx(1)


# --- what may follow ----------------------------------------------------------------------------


CHAINS = {
    "map": lambda dataset: dataset.map(twice),
    "parallel map": lambda dataset: dataset.map(twice, num_parallel_calls=2),
    "autotuned map": lambda dataset: dataset.map(twice, tf.data.AUTOTUNE, deterministic=True),
    "map, prefetch": lambda dataset: dataset.map(twice).prefetch(4),
    "prefetch, map": lambda dataset: dataset.prefetch(tf.data.AUTOTUNE).map(twice),
    "with_options, map": lambda dataset: dataset.with_options(tf.data.Options()).map(twice),
    "apply": lambda dataset: dataset.apply(lambda inner: inner.map(twice).prefetch(1)),
    "named": lambda dataset: dataset.map(twice, name="augment").prefetch(2, name="ahead"),
}


@pytest.fixture(params=CHAINS.values(), ids=CHAINS)
def chain(request):
    return request.param


def test_a_chain_is_adaptive_again(train, chain):
    chained = chain(train)
    assert isinstance(chained, tfml.AdaptiveDataset)
    assert chained.strategy is train.strategy
    assert len(chained) == len(train)
    train._selection.epoch = 5
    assert chained.epoch == 5


def test_a_chain_keeps_the_order(train, chain):
    chained = chain(train)
    follow(train, ORDER)
    assert ids_of(chained) == [2 * i for i in ORDER]


def test_a_chain_leaves_its_start_as_it_was(train, chain):
    chain(train)
    follow(train, ORDER)
    assert ids_of(train) == ORDER


def test_maps_follow_one_another(train):
    follow(train, ORDER)
    chained = train.map(twice).prefetch(1).map(lambda x, y: (x + 1, y))
    assert ids_of(chained) == [2 * i + 1 for i in ORDER]


def test_map_may_change_the_structure(train):
    spec = train.map(lambda x, y: {"x": x}).element_spec
    assert spec == {"x": tf.TensorSpec([None, 1])}


def test_files_are_decoded_in_map(tmp_path):
    paths = []
    for i in range(N):
        paths.append(str(tmp_path / f"{i}.txt"))
        (tmp_path / f"{i}.txt").write_text(str(i))

    def decode(paths, y):
        def read(path):
            return tf.strings.to_number(tf.io.read_file(path))

        return tf.map_fn(read, paths, fn_output_signature=tf.float32)[:, None], y

    train = tfml.adaptive_dataset((paths, Y), "uniform", BATCH).map(decode, num_parallel_calls=2)
    follow(train, ORDER)
    assert ids_of(train) == ORDER


def test_options_are_kept(train):
    options = tf.data.Options()
    options.threading.private_threadpool_size = 2
    chained = train.with_options(options).map(twice)
    assert chained.options().threading.private_threadpool_size == 2


def test_parallel_maps_may_not_overtake(train):
    with pytest.raises(ValueError, match=r"order\. Received: deterministic=False\. Leave it out\."):
        train.map(twice, num_parallel_calls=2, deterministic=False)


@pytest.mark.parametrize("option", ["deterministic", "experimental_warm_start"])
def test_options_that_break_the_order(train, option):
    value = option != "deterministic"
    options = tf.data.Options()
    setattr(options, option, value)
    with pytest.raises(ValueError, match=rf"\. Received: options\.{option}={value}\. Leave it"):
        train.with_options(options)


# --- what may not -------------------------------------------------------------------------------

ADAPTIVE = {"map", "prefetch", "with_options", "apply"}
READING = {"as_numpy_iterator", "enumerate", "get_single_element", "reduce", "take"}
ABOUT = {"cardinality", "element_spec", "fingerprint", "options"}
# Made by the class, not from a dataset.
STATIC = {
    "choose_from_datasets",
    "counter",
    "from_generator",
    "from_tensor_slices",
    "from_tensors",
    "list_files",
    "load",
    "random",
    "range",
    "zip",
}
REFUSED = {
    "batch",
    "bucket_by_sequence_length",
    "cache",
    "concatenate",
    "filter",
    "flat_map",
    "group_by_window",
    "ignore_errors",
    "interleave",
    "padded_batch",
    "ragged_batch",
    "rebatch",
    "rejection_resample",
    "repeat",
    "sample_from_datasets",
    "save",
    "scan",
    "shard",
    "shuffle",
    "skip",
    "snapshot",
    "sparse_batch",
    "take_while",
    "unbatch",
    "unique",
    "window",
}


def test_every_method_of_tensorflow_is_thought_of():
    public = {name for name in dir(tf.data.Dataset) if not name.startswith("_")}
    assert public - {"fingerprint"} == (
        ADAPTIVE | READING | ABOUT - {"fingerprint"} | STATIC | REFUSED
    )


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_breaks_the_order_raises(train, name):
    with pytest.raises(
        TypeError, match=rf"^`{name}` cannot .*\. Received: \.{name}\(\.\.\.\)\. (Do|Leave) it"
    ):
        getattr(train, name)()


def test_refused_also_with_arguments_and_after_map(train):
    with pytest.raises(TypeError, match="`shuffle` cannot"):
        train.map(twice).shuffle(100, seed=1)


def test_refused_inside_apply(train):
    with pytest.raises(TypeError, match="`unbatch` cannot"):
        train.apply(lambda dataset: dataset.unbatch())


# --- not attached to a callback -----------------------------------------------------------------


@unattached
@pytest.mark.parametrize(("drop_remainder", "draws"), [(False, 10), (True, 8)])
def test_each_iteration_is_a_fresh_permutation(drop_remainder, draws):
    train = make(drop_remainder=drop_remainder)
    orders = [ids_of(train) for _ in range(3)]
    for ids in orders:
        assert len(ids) == len(set(ids)) == draws
    assert orders[0] != orders[1] != orders[2]


@unattached
def test_iterations_repeat_with_the_seed():
    def orders(seed):
        train = make(seed=seed)
        return [ids_of(train) for _ in range(3)]

    assert orders(0) == orders(0)
    assert orders(0) != orders(1)


def test_the_way_to_adaptive_batches_is_said_once(train):
    remedy = r"callbacks=\[tfmlselect\.AdaptiveBatchSelection\(train\)\]"
    with pytest.warns(UserWarning, match=remedy) as said:
        iter(train)
    assert len(said) == 1
    assert said[0].filename == __file__
    list(train)
    list(train.map(twice))


def test_attached_iterations_say_nothing(train):
    follow(train, ORDER)
    list(train)


def test_quiet_looks_say_nothing(train):
    list(train.take(1))
    list(train.in_order())


# --- all samples, in order ----------------------------------------------------------------------


@pytest.mark.parametrize("n", [8, 10])
@pytest.mark.parametrize("drop_remainder", [False, True])
def test_in_order_has_all_samples(n, drop_remainder):
    train = make(n, drop_remainder=drop_remainder)
    assert ids_of(train.in_order()) == list(range(n))
    assert len(train.in_order()) == -(-n // BATCH)


def test_in_order_goes_through_the_maps(train, chain):
    assert ids_of(chain(train).in_order()) == list(range(0, 2 * N, 2))


def test_in_order_does_not_follow_the_plan(train):
    follow(train, ORDER)
    assert ids_of(train.in_order()) == list(range(N))


def test_in_order_is_an_ordinary_dataset(train):
    everything = train.in_order()
    assert not isinstance(everything, tfml.AdaptiveDataset)
    assert ids_of(everything.unbatch().batch(3)) == list(range(N))


def test_in_order_outlives_the_adaptive_dataset(tmp_path):
    x = np.memmap(tmp_path / "x", np.float32, "w+", shape=X.shape)
    x[:] = X
    everything = tfml.adaptive_dataset((x, Y), "uniform", BATCH).in_order()
    gc.collect()
    assert ids_of(everything) == list(range(N))


# --- the pipeline reads the plan late -----------------------------------------------------------


def test_an_iterator_made_before_the_plan_follows_it(train, chain):
    follow(train, range(N))
    batches = iter(chain(train))
    follow(train, ORDER)
    assert ids_of(batches) == [2 * i for i in ORDER]


def test_two_iterators_see_the_same_plan(train):
    follow(train, ORDER)
    first, second = iter(train), iter(train)
    np.testing.assert_array_equal(next(first)[0], next(second)[0])
    next(first)
    assert ids_of(second) == ORDER[BATCH:]


def test_a_peek_changes_nothing(train):
    follow(train, ORDER)
    batches = iter(train)
    start = next(batches)[0].numpy()[:, 0].tolist()
    next(iter(train.map(twice)))
    assert start + ids_of(batches) == ORDER
    assert ids_of(train) == ORDER


def test_a_pipeline_goes_from_plan_to_plan(train):
    chained = train.map(twice).prefetch(4)
    for ids in (ORDER, ORDER[::-1], range(N)):
        follow(train, ids)
        assert ids_of(chained) == [2 * i for i in ids]


@unattached
def test_peeks_before_training_change_no_plan():
    def first_plan(peeks):
        selection = make(strategy=tfml.strategies.D2ACE(neighbors=2))._selection
        train = tfml.AdaptiveDataset(selection)
        for _ in range(peeks):
            next(iter(train))
        selection.draw()
        return ids_of(train)

    assert first_plan(peeks=0) == first_plan(peeks=3)


@unattached
def test_normalization_adapts_to_it():
    x = np.random.default_rng(0).normal(3, 2, (50, 4)).astype(np.float32)
    y = (x[:, :2] > 3).astype(np.float32)
    train = tfml.adaptive_dataset((x, y), "uniform", 8)
    layer = tf.keras.layers.Normalization()
    layer.adapt(train.map(lambda x, y: x))
    np.testing.assert_allclose(np.ravel(layer.mean), x.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(np.ravel(layer.variance), x.var(axis=0), rtol=1e-4)
    assert train.epoch == 0


# --- what is refused at construction ------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "received"),
    [
        (X, "ndarray of length 10"),
        ((X,), "tuple of length 1"),
        ((X, Y, np.ones(N)), "tuple of length 3"),
        ({"x": X, "y": Y}, "dict of length 2"),
        (None, "NoneType"),
    ],
)
def test_data_that_is_no_pair(data, received):
    with pytest.raises(TypeError, match=rf"pair \(x, y\)\. Received: {received}\. Pass .*weight"):
        tfml.adaptive_dataset(data)


def test_a_dataset_in_place_of_arrays():
    dataset = tf.data.Dataset.from_tensor_slices((X, Y))
    with pytest.raises(TypeError, match=r"needs arrays\. .*Dataset\. Use source\.apply"):
        tfml.adaptive_dataset(dataset)


@pytest.mark.parametrize(
    ("y", "received"),
    [
        (Y[:5], "x with 10 rows, y with 5 rows"),
        (Y / 2, "=0.5"),
        (np.where(Y == 1, np.nan, Y), "=nan"),
        (Y[:, :1], "y.shape=(10, 1)"),
        (Y[:, :0], "y.shape=(10, 0)"),
        (Y[:, 0], "y.dtype=float32"),
        (Y[None], "y.shape=(1, 10, 3)"),
        (["cat"] * 5 + ["dog"] * 5, "y with text such as 'cat'"),
        (None, "y.shape=()"),
        ({"a": Y, "b": Y[:, :1]}, "y={'a': (10, 3) float32, 'b': (10, 1) float32}"),
    ],
)
def test_labels_that_are_none(y, received):
    with pytest.raises(ValueError, match=rf"\. Received: .*{re.escape(received)}.*\. [A-Z]"):
        tfml.adaptive_dataset((X, y), "uniform", 2)


def test_nan_in_x():
    x = np.where(X == 7, np.nan, X)
    with pytest.raises(ValueError, match=r"`x` must be finite\. Received: nan in row 7\. Fill"):
        tfml.adaptive_dataset((x, Y), "uniform", 2)


def test_class_ids_stay_class_ids():
    ids = np.arange(N) % 3
    train = tfml.adaptive_dataset((X, ids), "uniform", BATCH)
    follow(train, ORDER)
    assert np.concatenate([y for _, y in train]).tolist() == ids[ORDER].tolist()


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("filter", "to the samples"), ("shuffle", "Leave it"), ("cache", "Leave it")],
)
def test_what_to_do_instead(train, name, remedy):
    with pytest.raises(TypeError, match=remedy):
        getattr(train, name)()


class TestLabelNames:
    """Given once, they are known wherever labels are shown."""

    @pytest.mark.parametrize("columns", [["sea", "boat"], [0, 1]], ids=["texts", "numbers"])
    def test_of_a_table(self, columns):
        pandas = pytest.importorskip("pandas")
        y = pandas.DataFrame(np.tile(np.eye(2, dtype=int), (3, 1)), columns=columns)
        train = tfml.adaptive_dataset((np.ones((6, 2)), y), "uniform", 2)
        assert train.label_names == (("sea", "boat") if columns[0] == "sea" else None)
        given = tfml.adaptive_dataset((np.ones((6, 2)), y), "uniform", 2, label_names=["a", "b"])
        assert given.label_names == ("a", "b")

    def test_given_to_a_stream(self):
        y = np.tile(np.eye(2, dtype=int), (6, 1))
        source = tf.data.Dataset.from_tensor_slices((np.ones((12, 2)), y))
        names = ["sea", "boat"]
        train = source.apply(tfml.adaptive("uniform", 2, window=8, label_names=names))
        assert train.map(lambda x, y: (x, y)).label_names == ("sea", "boat")
        assert "boat" in str(train.inspect(1))
