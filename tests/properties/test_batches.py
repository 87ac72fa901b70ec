"""Any data, any strategy, any settings: each batch holds what its ids say, or nothing is made.

Nothing is trained: an epoch is drawn as the callback draws it, and the dataset is gone through.
"""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

import tfmlselect as tfml
from tests.properties.examples import examples

pytestmark = pytest.mark.filterwarnings("ignore")  # of small sets: neighbours, caps, short runs

FLOATS = ["float16", "float32", "float64"]
WHOLE = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"]
SPARSE = ["csr", "csc", "coo", "lil", "dok"]
# Without "rare_events", whose passes are shorter: tests/pipeline/test_short_epochs.py.
STRATEGIES = sorted({*tfml.strategies.names()} - {"rare_events"})


class Leaf:
    """One array as it is given, and the rows that batches must hold."""

    def __init__(self, given, rows):
        self.given, self.rows = given, rows

    def __repr__(self):
        return f"Leaf({self.given!r})"

    def check(self, batch, ids):
        if isinstance(batch, tf.RaggedTensor):
            assert batch.to_list() == [self.rows[i] for i in ids]
            return
        expected = self.rows[ids]
        assert batch.dtype == tf.as_dtype(expected.dtype)
        assert batch.shape == expected.shape
        np.testing.assert_array_equal(batch.numpy(), expected)


def floatx(array):
    """float64 is given to models in Keras' precision."""
    return array.astype("float32") if array.dtype == np.float64 else array


def numbers(n, shape, kinds=("bool", *WHOLE, *FLOATS)):
    small = {"f": st.floats(-8, 8, width=16), "b": st.booleans()}

    def of(kind):
        elements = small.get(np.dtype(kind).kind, st.integers(0, 100))
        return arrays(kind, (n, *shape), elements=elements)

    return st.sampled_from(kinds).flatmap(of)


def dense(n):
    shapes = st.sampled_from([(), (0,), (1,), (3,), (2, 1), (2, 2, 1)])
    ways = st.sampled_from([np.asarray, np.asfortranarray, tf.constant])
    return st.builds(
        lambda array, way: Leaf(way(array), floatx(array)),
        shapes.flatmap(lambda shape: numbers(n, shape)),
        ways,
    )


def listed(n):
    """Rows as Python has them."""
    return numbers(n, (2,), ["int64", "float64"]).map(lambda a: Leaf(a.tolist(), floatx(a)))


def texts(n):
    ways = st.sampled_from([list, np.array, tf.constant, lambda texts: np.array(texts, object)])
    names = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4),
                     min_size=n, max_size=n)  # fmt: skip
    return st.builds(
        lambda names, way: Leaf(way(names), np.array([t.encode() for t in names], object)),
        names,
        ways,
    )


def ragged(n):
    rows = st.lists(st.lists(st.integers(-9, 9), max_size=3), min_size=n, max_size=n)
    return rows.map(lambda rows: Leaf(tf.ragged.constant(rows, tf.int64), rows))


def scattered(n, kinds=("bool", "int32", "int64", "uint8", "float32", "float64")):
    return st.builds(
        lambda array, form: Leaf(sparse.csr_matrix(array).asformat(form), floatx(array)),
        numbers(n, (3,), kinds),
        st.sampled_from(SPARSE),
    )


def structures(leaf):
    return st.one_of(
        leaf,
        st.dictionaries(st.sampled_from("abc"), leaf, min_size=1),
        st.tuples(leaf, leaf),
        st.fixed_dictionaries({"pair": st.tuples(leaf, leaf), "one": leaf}),
    )


def given_of(structure):
    return tf.nest.map_structure(lambda leaf: leaf.given, structure)


@st.composite
def label_matrices(draw, n):
    """0/1, with whatever rows and columns are empty or full: (n, q)."""
    q = draw(st.integers(2, 4))
    return draw(arrays("uint8", (n, q), elements=st.integers(0, 1)))


def dense_labels(n):
    """A 0/1 matrix or class ids."""
    ways = st.sampled_from([np.asarray, np.asfortranarray, tf.constant])

    def leaf(y, kind, way):
        y = y.astype(kind)
        return Leaf(way(y), floatx(y))

    ids = arrays("int64", n, elements=st.integers(0, 4)).map(two_classes)
    kinds = st.sampled_from(["bool", *WHOLE, *FLOATS])
    return st.one_of(
        st.builds(leaf, label_matrices(n), kinds, ways),
        st.builds(leaf, ids, st.sampled_from(WHOLE), ways),
    )


def two_classes(ids):
    """Class ids of which not all are the same."""
    if np.ptp(ids) == 0:
        ids[0] += 1
    return ids


def labels(n):
    def scatter(y, kind, form):
        y = y.astype(kind)
        return Leaf(sparse.csr_matrix(y).asformat(form), y)

    kinds, forms = st.sampled_from(["bool", "int32", "float32"]), st.sampled_from(SPARSE)
    return st.one_of(
        dense_labels(n),
        label_matrices(n).map(lambda y: Leaf(y.tolist(), y.astype("int64"))),
        st.builds(scatter, label_matrices(n), kinds, forms),
    )


def weights(n):
    some_zeros = st.just(0.0) | st.floats(0.125, 8, width=16)
    whole = {"bool": st.booleans(), **dict.fromkeys(["int32", "uint8"], st.integers(0, 9))}
    of = dict.fromkeys(FLOATS, some_zeros) | whole
    some = st.sampled_from(sorted(of)).flatmap(lambda kind: arrays(kind, n, elements=of[kind]))
    return st.none() | some.map(lambda w: Leaf(w, floatx(w)))


@st.composite
def settings_of(draw, n, largest=None):
    """Settings that n samples allow."""
    samples = draw(st.none() | st.integers(1, n))
    return {
        "batch_size": draw(st.integers(1, min(samples or n, largest or n))),
        "seed": draw(st.integers(0, 2**40)),
        "drop_remainder": draw(st.booleans()),
        "samples_per_epoch": samples,
        "importance_weights": draw(st.sampled_from([0, 0.5, 1.0, tfml.schedules.Ramp(0.0, 1.0)])),
        "epochs": draw(st.none() | st.integers(1, 20)),
    }


def check_an_epoch(train, x, y, sample_weight, settings):
    """The batches of the epoch that was drawn, against its plan."""
    selection, plan, size = train._selection, train.plan, settings["batch_size"]
    draws = settings["samples_per_epoch"]
    n = len(train.probabilities)
    if sample_weight is not None:
        left_out = sample_weight.rows == 0
        n -= np.sum(left_out)
        assert not train.probabilities[left_out].any()
        assert not left_out[plan].any()
    draws = n if draws is None else draws
    if settings["drop_remainder"]:
        draws -= draws % size
    assert plan.shape == (draws,)
    assert len(train) == -(-draws // size)
    kappa = settings["importance_weights"]
    adapts = train.epoch >= train.strategy.warmup
    if isinstance(kappa, tfml.schedules.Schedule):
        kappa = train.strategy._at(kappa, train.epoch)
    p = np.maximum(train.probabilities, train.probabilities[train.probabilities > 0].min())
    drawn = (n * p[plan]) ** -(float(kappa) if adapts else 0.0)
    drawn /= drawn.mean()
    seen = 0
    for batch in train:
        rows = slice(seen, seen + size)
        ids = plan[rows]
        seen += len(ids)
        assert len(set(ids)) == len(ids) > 0, "a sample comes twice in a batch"
        tf.nest.map_structure(lambda leaf, part, ids=ids: leaf.check(part, ids), x, batch[0])
        y.check(batch[1], ids)
        weighs = selection.plan.options.weighs
        assert len(batch) == 2 + (sample_weight is not None or weighs)
        if sample_weight is not None and not weighs:
            sample_weight.check(batch[2], ids)
        elif weighs:
            own = np.ones(1, "f") if sample_weight is None else sample_weight.rows[ids]
            assert batch[2].dtype == (own.dtype if own.dtype.kind == "f" else np.float32)
            rtol = 2e-3 if own.dtype == np.float16 else 1e-5
            np.testing.assert_allclose(batch[2], drawn[rows] * own.astype(float), rtol)
    assert seen == draws


def check_epochs(train, *expected):
    """Two epochs as a fit draws them, and what is gone through before and after."""
    selection = train._selection
    selection.start(refresh=True)
    check_an_epoch(train, *expected)
    selection.advance(refresh=True)
    selection.draw()
    check_an_epoch(train, *expected)
    selection.plan.release()
    assert train.plan is None


def made(make, strategy, weight):
    """A dataset; or None, where one is refused with words that say why."""
    try:
        return make()
    except ValueError as error:
        said = str(error)
    assert "Received: " in said
    if "weight is not 0" in said or "weight 0 are left out" in said:
        assert not weight.rows.all()
        return None
    assert tfml.strategies.get(strategy).uses_neighbors, "nothing is wrong with this data"
    assert "neighbo" in said
    return None


@st.composite
def array_cases(draw):
    n = draw(st.integers(2, 12))
    leaf = st.one_of(dense(n), listed(n), texts(n), ragged(n), scattered(n))
    return {
        "x": draw(structures(leaf)),
        "y": draw(labels(n)),
        "sample_weight": draw(weights(n)),
        "settings": draw(settings_of(n)),
        "draws": draw(st.sampled_from(["systematic", "independent"])),
        "features": draw(st.none() | numbers(n, (2,), FLOATS)),
        "strategy": draw(st.sampled_from(STRATEGIES)),
    }


@examples(25)
@given(array_cases())
def test_batches_of_arrays(case):
    x, y, weight, settings = (case[name] for name in ("x", "y", "sample_weight", "settings"))
    options = {
        "draws": case["draws"],
        "features": case["features"],
        "sample_weight": None if weight is None else weight.given,
        **settings,
    }
    data = given_of(x), y.given
    make = lambda: tfml.adaptive_dataset(data, case["strategy"], **options)  # noqa: E731
    train = made(make, case["strategy"], weight)
    if train is None:
        return
    check_epochs(train, x, y, weight, settings)
    first = 0
    for batch in train.in_order():
        ids = np.arange(first, min(first + settings["batch_size"], len(train.probabilities)))
        first += len(ids)
        tf.nest.map_structure(lambda leaf, part, ids=ids: leaf.check(part, ids), x, batch[0])
        y.check(batch[1], ids)
    assert first == len(train.probabilities)


@st.composite
def stream_cases(draw):
    n = draw(st.integers(4, 24))
    settings = draw(settings_of(n, largest=n // 4))
    return {
        "x": draw(structures(dense(n) | texts(n))),
        "y": draw(dense_labels(n)),
        "sample_weight": draw(weights(n)),
        "settings": settings,
        "window": draw(st.integers(4 * settings["batch_size"], 2 * n)),
        "strategy": draw(st.sampled_from(STRATEGIES)),
    }


@examples(12)
@given(stream_cases())
def test_batches_of_streams(case):
    x, y, weight, settings = (case[name] for name in ("x", "y", "sample_weight", "settings"))
    parts = (x, y) if weight is None else (x, y, weight)
    tensors = tf.nest.map_structure(lambda leaf: tf.constant(leaf.rows), parts)
    source = tf.data.Dataset.from_tensor_slices(tensors)
    select = tfml.adaptive(case["strategy"], window=case["window"], batched=False, **settings)
    train = made(lambda: source.apply(select), case["strategy"], weight)
    if train is not None:
        check_epochs(train, x, y, weight, settings)


WRONG = {
    "y of one column": {"y": np.ones((6, 1))},
    "y between 0 and 1": {"y": np.full((6, 2), 0.5)},
    "y with NaN": {"y": np.full((6, 2), np.nan)},
    "y of one class": {"y": np.zeros(6, int)},
    "y of negative ids": {"y": np.arange(6) - 3},
    "y of float ids": {"y": np.arange(6.0)},
    "y of texts": {"y": list("abcdef")},
    "two outputs": {"y": [np.ones((6, 2)), np.ones((6, 2))]},
    "a dict of outputs": {"y": {"a": np.ones((6, 2)), "b": np.ones((6, 2))}},
    "sparse y of three dimensions": {"y": tf.sparse.from_dense(np.ones((6, 2, 1)))},
    "ragged y": {"y": tf.ragged.constant([[1], [0, 1], [], [1], [0], []])},
    "no y": {"y": None},
    "x with NaN": {"x": np.full((6, 2), np.nan)},
    "x with infinity": {"x": {"a": np.full((6, 2), np.inf)}},
    "x of other length": {"x": np.ones((5, 2))},
    "sparse x of three dimensions": {"x": tf.sparse.from_dense(np.ones((6, 2, 1)))},
    "x of objects": {"x": np.array([None] * 6)},
    "no x": {"x": {}},
    "weights of labels": {"sample_weight": np.ones((6, 2))},
    "weights with NaN": {"sample_weight": np.full(6, np.nan)},
    "weights below 0": {"sample_weight": -np.ones(6)},
    "weights of 0 alone": {"sample_weight": np.zeros(6)},
    "features of other length": {"features": np.ones((5, 2))},
    "features with NaN": {"features": np.full((6, 2), np.nan)},
    "a batch of nothing": {"batch_size": 0},
    "a batch of more than all": {"batch_size": 7},
    "too many samples an epoch": {"samples_per_epoch": 7},
    "fewer samples an epoch than a batch": {"samples_per_epoch": 1, "batch_size": 2},
    "a seed below 0": {"seed": -1},
    "a seed between": {"seed": 0.5},
    "another draw": {"draws": "random"},
    "weights of another power": {"importance_weights": 1.5},
    "no epochs": {"epochs": 0},
    "half a flag": {"drop_remainder": 0.5},
    "an unknown strategy": {"strategy": "best"},
}


@examples(80)
@given(st.data(), st.sampled_from(sorted(WRONG)), st.sampled_from(STRATEGIES))
def test_one_thing_that_is_wrong_is_named(data, wrong, strategy):
    """Whatever else is given, and in whichever kind: an error, and no dataset."""
    settings = data.draw(settings_of(6))
    given = {
        "x": np.ones((6, 2), "float32"),
        "y": data.draw(labels(6)).given,
        "strategy": strategy,
        **settings,
        **WRONG[wrong],
    }
    arrays = given.pop("x"), given.pop("y")
    with pytest.raises((TypeError, ValueError), match="Received: "):
        tfml.adaptive_dataset(arrays, **given)
