import gc
import re
import threading
import warnings

import numpy as np
import pytest
import tensorflow as tf
from scipy import sparse

import tfmlselect as tfml
from tfmlselect import strategies
from tfmlselect.pipeline.arrays import ArraySource
from tfmlselect.pipeline.plan import PlanOptions
from tfmlselect.pipeline.selection import Selection
from tfmlselect.scoring import neighbors
from tfmlselect.strategies import D2ACE, Strategy, Uniform

N, Q, BATCH = 10, 3, 4
X = np.arange(N, dtype=np.float32)[:, None]
Y = np.random.default_rng(0).integers(0, 2, (N, Q)).astype(np.uint8)


class Fixed(Strategy):
    """Draws from the distribution it is given; `visits` is its memory."""

    def __init__(self, p=(), *, warmup=0):
        super().__init__(warmup=warmup)
        self.p = np.asarray(p, np.float64)

    def build(self, y, features=None, neighbors=None):
        self.visits = tf.Variable(tf.zeros([len(y)]))

    def observe(self, ids, y_pred, loss=None):
        self.visits.scatter_add(tf.IndexedSlices(tf.ones_like(y_pred[:, 0]), ids))

    def probabilities(self, epoch):
        return tf.constant(self.p)


class Owner:
    """What attaches: a callback, as far as the selection sees."""

    is_running = True


class Model:
    pass


def make(strategy, x=X, y=Y, batch_size=BATCH, seed=0, drop_remainder=False, **options):
    given = {"features": None, "neighbors": None, **options}
    source = ArraySource(x, y, None, **given)
    plan = source.make_plan(PlanOptions(batch_size, seed, drop_remainder))
    return Selection(source, strategies.get(strategy), plan)


def epochs(selection, count, owner=None, model=None):
    """Plans of `count` epochs of one fit."""
    owner, model = owner or Owner(), model or Model()
    selection.attach(owner, model, None)
    plans = []
    for _ in range(count):
        selection.draw()
        plans.append(selection.plan.ids.tolist())
        selection.advance(refresh=True)
    selection.release(owner)
    return plans


def shown(selection):
    """What History shows of the epoch that was drawn: numbers, arrays."""
    return selection.statistics.of_epoch(selection.distribution, selection.plan.followed)


def steep(n=N):
    """Nearly all of the distribution on three samples."""
    p = np.full(n, 1e-6)
    p[:3] = 1
    return p / p.sum()


# In batches of 4, 4 and 2 the three come twice each, and the other seven share the four draws left.
CAPPED = np.array([2 / 10] * 3 + [4 / 7 / 10] * 7)


# --- a fit --------------------------------------------------------------------------------------


def test_warm_up_epochs_are_permutations():
    plans = epochs(make(Fixed(steep(), warmup=2)), 3)
    assert sorted(plans[0]) == sorted(plans[1]) == list(range(N))
    assert plans[0] != plans[1]
    assert sorted(plans[2]) != list(range(N))


def test_later_epochs_are_drawn_from_the_distribution():
    # The three likely samples are in two of the batches of 4, 4 and 2 each.
    for ids in epochs(make(Fixed(steep())), 3):
        assert np.bincount(ids, minlength=N)[:3].tolist() == [2, 2, 2]


def test_what_was_owed_is_made_good():
    # Each of the seven others is owed 4/7 of a visit an epoch: 4 visits in 7 epochs.
    plans = epochs(make(Fixed(steep())), 7)
    assert np.bincount(np.concatenate(plans)).tolist() == [14] * 3 + [4] * 7


def test_no_sample_is_twice_in_a_batch():
    for ids in epochs(make(Fixed(steep())), 5):
        for batch in (ids[:4], ids[4:8], ids[8:]):
            assert len(set(batch)) == len(batch)


@pytest.mark.parametrize(("drop_remainder", "draws"), [(False, 10), (True, 8)])
@pytest.mark.parametrize("strategy", [Uniform, lambda: Fixed(steep(), warmup=1)])
def test_every_epoch_has_the_same_length(strategy, drop_remainder, draws):
    plans = epochs(make(strategy(), drop_remainder=drop_remainder), 3)
    assert [len(ids) for ids in plans] == [draws] * 3


def test_plans_repeat_with_the_seed():
    def plans(seed):
        return epochs(make(Fixed(steep(), warmup=1), seed=seed), 3)

    assert plans(1) == plans(1)
    assert plans(1) != plans(2)


def test_without_a_seed_each_dataset_has_its_own():
    assert make("uniform", seed=None).plan.seed != make("uniform", seed=None).plan.seed


def test_without_warm_up_the_first_epoch_uses_the_distribution_before_any_visit():
    selection = make(Fixed(steep()))
    selection.attach(Owner(), Model(), None)
    selection.draw()
    np.testing.assert_allclose(selection.distribution.probabilities, CAPPED, rtol=1e-12)


def test_what_no_batch_can_hold_is_said_once():
    selection = make(Fixed(steep()))
    selection.attach(Owner(), Model(), None)
    with pytest.warns(
        UserWarning, match=r"40% of the draws too many, sample 0 to come 3.3 times .* of 2.0\."
    ):
        selection.draw()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        selection.advance(refresh=True)
        selection.draw()


def test_less_than_a_hundredth_too_many_is_not_worth_a_word():
    p = np.full(100, 0.945 / 99)
    p[0] = 0.055  # 5.5 of 100 draws in five whole batches
    selection = make(Fixed(p), np.zeros((100, 1)), np.zeros((100, 2)), batch_size=20)
    selection.attach(Owner(), Model(), None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        selection.draw()
    assert selection.distribution.probabilities[0] == pytest.approx(5 / 100, rel=1e-12)


def test_a_distribution_is_kept_between_refreshes():
    strategy = Fixed(steep())
    selection = make(strategy)
    selection.attach(Owner(), Model(), None)
    selection.draw()
    strategy.p = np.full(N, 1 / N)
    selection.advance(refresh=False)
    np.testing.assert_allclose(selection.distribution.probabilities, CAPPED, rtol=1e-12)
    selection.advance(refresh=True)
    np.testing.assert_allclose(selection.distribution.probabilities, np.full(N, 1 / N), rtol=1e-15)


@pytest.mark.parametrize("strategy", ["uniform", D2ACE(neighbors=2, warmup=1)])
def test_probabilities_sum_to_one_in_every_epoch(strategy):
    selection = make(strategy)
    selection.attach(Owner(), Model(), None)
    for _ in range(4):
        selection.draw()
        p = selection.distribution.probabilities
        assert p.dtype == np.float64
        assert p.shape == (N,)
        assert abs(p.sum() - 1) < 1e-12
        selection.advance(refresh=True)


# --- fit after fit ------------------------------------------------------------------------------


def test_a_second_fit_of_the_model_goes_on():
    model = Model()
    in_one = epochs(make(Fixed(steep(), warmup=1)), 4)
    selection = make(Fixed(steep(), warmup=1))
    in_two = epochs(selection, 2, model=model) + epochs(selection, 2, model=model)
    assert in_two == in_one
    assert selection.epoch == 4


def test_a_new_model_starts_afresh():
    selection, first = make(Fixed(steep(), warmup=1)), Model()
    plans = epochs(selection, 2, model=first)
    selection.strategy.observe(np.arange(4), np.ones((4, Q), np.float32))
    selection.attach(Owner(), Model(), None)
    assert selection.epoch == 0
    assert not selection.strategy.visits.numpy().any()
    np.testing.assert_array_equal(selection.distribution.probabilities, np.full(N, 1 / N))
    assert epochs(selection, 2) == plans


def test_a_new_model_starts_afresh_when_the_first_is_gone():
    selection = make("uniform")
    epochs(selection, 2)
    gc.collect()
    selection.attach(Owner(), Model(), None)
    assert selection.epoch == 0


def test_what_was_observed_before_the_first_fit_stays():
    selection = make(Fixed(steep()))
    selection.strategy.observe(np.arange(4), np.ones((4, Q), np.float32))
    selection.attach(Owner(), Model(), None)
    assert selection.strategy.visits.numpy().sum() == 4


def test_released_after_its_fit():
    selection = make("uniform")
    epochs(selection, 1)
    assert not selection.attached


def test_another_callback_s_end_does_not_release():
    selection, owner = make("uniform"), Owner()
    selection.attach(owner, Model(), None)
    selection.draw()
    selection.release(Owner())
    assert selection.attached
    selection.release(owner)
    assert not selection.attached


def test_a_second_thread_must_wait():
    selection, owner = make("uniform"), Owner()
    leave, attached = threading.Event(), threading.Event()

    def fit():
        selection.attach(owner, Model(), None)
        attached.set()
        leave.wait()

    thread = threading.Thread(target=fit, name="first fit")
    thread.start()
    attached.wait()
    try:
        with pytest.raises(RuntimeError, match=r"one fit at a time. Received: .*'first fit'.*Make"):
            selection.attach(Owner(), Model(), None)
    finally:
        leave.set()
        thread.join()
    selection.attach(Owner(), Model(), None)


def test_a_fit_that_raised_does_not_hold_the_next_one_up():
    selection, failed = make("uniform"), Owner()
    selection.attach(failed, Model(), None)
    selection.attach(Owner(), Model(), None)
    selection.release(failed)


# --- one strategy, one dataset ------------------------------------------------------------------


class Holds(Fixed):
    """A strategy of a user's own, with another one in a dict."""

    def __init__(self, part):
        super().__init__(np.full(N, 1 / N))
        self.held = {"part": part}


COMPOSITES = {
    "alone": lambda part: part,
    "Mixture": lambda part: strategies.Mixture([(part, 0.5), ("uniform", 0.5)]),
    "Switch": lambda part: strategies.Switch([("uniform", 0.5), (part, 1.0)]),
    "nested": lambda part: strategies.Switch([(strategies.Mixture([(part, 1.0)]), 1.0)]),
    "own": Holds,
}


@pytest.mark.parametrize("second", COMPOSITES)
@pytest.mark.parametrize("first", COMPOSITES)
def test_a_strategy_or_part_that_another_dataset_uses(first, second):
    part = strategies.OnlineBatch()
    used = make(COMPOSITES[first](part))
    with pytest.raises(ValueError, match=r"one dataset\. Received: strategy=.*OnlineBatch.*Pass a"):
        make(COMPOSITES[second](part))
    del used
    gc.collect()
    make(COMPOSITES[second](part))


def test_two_composites_of_parts_of_their_own():
    first, second = (make(COMPOSITES["nested"](strategies.OnlineBatch())) for _ in range(2))
    assert first.strategy is not second.strategy


# --- figures ------------------------------------------------------------------------------------


class Listed(Fixed):
    """An epoch of samples 0, 2, 0, 1."""

    def plan(self, probabilities, batch_size, seed, epoch, drop_remainder=False):
        return np.array([0, 2, 0, 1])


def test_figures_by_hand():
    # Counts 3 and 1, so IRLbl 1 and 3, MeanIR 2: the second label is a minority label.
    y = np.array([[1, 0], [1, 0], [1, 1], [0, 0]])
    selection = make(Listed([1 / 2, 1 / 4, 1 / 4, 0]), X[:4], y, batch_size=2)
    selection.attach(Owner(), Model(), None)
    selection.draw()
    figures, arrays = shown(selection)
    assert {type(figure) for figure in figures.values()} == {float}
    assert figures == pytest.approx(
        {
            "selection/effective_sample_size": 1 / (1 / 4 + 1 / 16 + 1 / 16),
            "selection/entropy": (1 / 2 * 1 + 2 * 1 / 4 * 2) / 2,  # in bits, of log2(4)
            "selection/unique_samples": 3 / 4,
            "selection/minority_share": 1 / 4,
        }
    )
    # All four draws have the first label, uniform ones would 3 times; one has the second.
    assert arrays.keys() == {"selection/label_attention"}
    np.testing.assert_allclose(arrays["selection/label_attention"], [4 / 3, 1 / 1], rtol=1e-12)


def test_attention_of_a_shorter_epoch_and_of_labels_without_positives():
    y = np.array([[1, 0, 0], [1, 0, 1], [0, 0, 1], [0, 0, 1], [0, 0, 0]])
    listed = Listed([1 / 2, 1 / 4, 1 / 4, 0, 0])
    selection = make(listed, X[:5], y, batch_size=2, drop_remainder=True)
    selection.attach(Owner(), Model(), None)
    selection.draw()
    attention = shown(selection)[1]["selection/label_attention"]
    # Samples 0, 2, 0, 1: three of four draws, instead of 2/5 of them; two, instead of 3/5.
    np.testing.assert_allclose(attention, [(3 / 4) / (2 / 5), np.nan, (2 / 4) / (3 / 5)])


@pytest.mark.parametrize("form", ["dense", "sparse", "ids"])
def test_attention_of_any_labels(form):
    ids = np.array([0, 0, 1, 0])
    y = {"dense": np.eye(2)[ids], "sparse": sparse.csr_matrix(np.eye(2)[ids]), "ids": ids}[form]
    selection = make(Listed([1 / 2, 1 / 4, 1 / 4, 0]), X[:4], y, batch_size=2)
    selection.attach(Owner(), Model(), None)
    selection.draw()
    attention = shown(selection)[1]["selection/label_attention"]
    assert attention.dtype == np.float64
    np.testing.assert_allclose(attention, [(3 / 4) / (3 / 4), (1 / 4) / (1 / 4)])


def test_attention_in_expectation():
    """Many epochs of draws: the mean comes to what the distribution says."""
    y = np.repeat(np.eye(2), [30, 10], axis=0)
    p = np.repeat([1 / 60, 1 / 20], [30, 10])
    selection = make(Fixed(p), np.zeros((40, 1)), y, batch_size=1, seed=0)
    selection.attach(Owner(), Model(), None)
    seen = []
    for _ in range(200):
        selection.draw()
        seen.append(shown(selection)[1]["selection/label_attention"])
        selection.advance(True)
    # Half of the draws for a label of three quarters, half for one of a quarter.
    np.testing.assert_allclose(np.mean(seen, axis=0), [2 / 3, 2], rtol=0.05)


def test_figures_of_a_uniform_epoch():
    y = np.array([[1, 0], [1, 0], [1, 1], [0, 0]])
    selection = make("uniform", X[:4], y, batch_size=2)
    selection.attach(Owner(), Model(), None)
    selection.draw()
    figures, arrays = shown(selection)
    assert figures == pytest.approx(
        {
            "selection/effective_sample_size": 4,
            "selection/entropy": 1,
            "selection/unique_samples": 1,
            "selection/minority_share": 1 / 4,
        }
    )
    assert arrays["selection/label_attention"].tolist() == [1, 1]


@pytest.mark.parametrize("y", [np.zeros((N, 2)), np.ones((N, 2)), np.eye(N)])
def test_without_minority_labels_their_share_is_zero(y):
    selection = make("uniform", y=y)
    selection.attach(Owner(), Model(), None)
    selection.draw()
    assert shown(selection)[0]["selection/minority_share"] == 0


def test_minority_labels_are_those_of_the_label_statistics():
    counts = np.array([15, 18, 20, 20, 3, 9])  # the last one's IRLbl, 20 / 9, is MeanIR
    y = (np.arange(20)[:, None] < counts).astype(np.uint8)
    selection = make("uniform", np.zeros((20, 1)), y)
    selection.attach(Owner(), Model(), None)
    selection.draw()
    share = y[:, tfml.label_statistics(y).minority].any(axis=1).mean()
    assert shown(selection)[0]["selection/minority_share"] == share == 3 / 20


def test_figures_of_a_single_sample():
    selection = make("uniform", X[:1], Y[:1], batch_size=1)
    selection.attach(Owner(), Model(), None)
    selection.draw()
    assert shown(selection)[0]["selection/entropy"] == 1


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, True, None, "32", float("nan"), [4]])
def test_batch_size_that_is_none(batch_size):
    received = f"Received: batch_size={batch_size!r}. Pass"
    with pytest.raises(ValueError, match=f"whole number >= 1. {re.escape(received)}"):
        make("uniform", batch_size=batch_size)


def test_batch_larger_than_the_training_set():
    with pytest.raises(ValueError, match=r"Received: batch_size=11, n=10 samples\. Pass .* <= 10"):
        make("uniform", batch_size=11)


@pytest.mark.parametrize("seed", [-1, 0.5, True, "0", float("nan"), [1]])
def test_seed_that_is_none(seed):
    with pytest.raises(ValueError, match=f"`seed` .*{re.escape(f'Received: seed={seed!r}. Pass')}"):
        make("uniform", seed=seed)


def test_numpy_integers_are_whole_numbers():
    selection = make("uniform", batch_size=np.int32(5), seed=np.uint32(3))
    assert (selection.plan.batch_size, selection.plan.seed) == (5, 3)


@pytest.mark.parametrize("name", ["d2ac", "D2ACE"])
def test_unknown_strategy(name):
    with pytest.raises(
        ValueError, match=rf"strategy='{name}'\. Did you mean 'd2ace'\? .*'uniform'.*'d2ace'"
    ):
        make(name)


def test_unknown_strategy_like_no_other():
    with pytest.raises(ValueError, match=r"Received: strategy='best'\. Choose one of 'uniform'"):
        make("best")


def test_strategy_class_in_place_of_an_object():
    with pytest.raises(TypeError, match=r"Received: strategy=.*D2ACE.*strategies\.D2ACE\(\)"):
        make(D2ACE)


def test_a_strategy_belongs_to_one_dataset():
    strategy = Uniform()
    first = make(strategy)
    with pytest.raises(
        ValueError, match=r"one dataset. Received: strategy=Uniform.*Pass a new one"
    ):
        make(strategy)
    del first
    gc.collect()
    make(strategy)


def test_a_dataset_that_failed_does_not_keep_the_strategy():
    strategy = D2ACE(neighbors=2)
    with pytest.raises(ValueError, match="`neighbors` must hold") as error:
        make(strategy, neighbors=np.full((N, 2), N))
    make(strategy)
    assert error  # and with it the frames of the failed call, as a notebook keeps them


def test_wrong_neighbours_are_refused_also_where_none_are_used():
    with pytest.raises(ValueError, match=r"`neighbors` must hold a row.*neighbors\.dtype=float64"):
        make("uniform", neighbors=np.full((N, 2), 0.5))


@pytest.mark.parametrize(
    ("features", "received"),
    [
        (np.ones((N - 1, 2)), r"features.shape=\(9, 2\)"),
        (np.ones(N), r"features.shape=\(10,\)"),
        (np.full((N, 2), np.nan), "nan in row 0"),
        (np.full((N, 2), "a"), "features.dtype=<U1"),
    ],
)
@pytest.mark.parametrize("strategy", ["uniform", "d2ace"])
def test_features_that_cannot_be_searched(strategy, features, received):
    with pytest.raises(ValueError, match=rf"`features` must .*Received: .*{received}.*\. [A-Z]"):
        make(strategy, features=features)


# --- neighbours ---------------------------------------------------------------------------------


WITHOUT_A_MATRIX = {
    "nested": {"a": X, "b": X},
    "strings": [str(i) for i in range(N)],
    "numbers": X[:, 0],
    "images": np.zeros((N, 2, 2)),
    "ragged": tf.RaggedTensor.from_row_lengths(np.arange(N), [1] * N),
}


@pytest.mark.parametrize("x", WITHOUT_A_MATRIX.values(), ids=WITHOUT_A_MATRIX)
def test_nothing_to_search_neighbours_in_is_said_once(x):
    with pytest.warns(UserWarning, match="neighbo") as said:
        selection = make(D2ACE(neighbors=2), x)
    assert len(said) == 1
    epochs(selection, 1)
    epochs(selection, 1)  # of another model: built again


@pytest.mark.parametrize("x", WITHOUT_A_MATRIX.values(), ids=WITHOUT_A_MATRIX)
@pytest.mark.parametrize(
    "given",
    [{"features": np.eye(N)}, {"neighbors": np.tile([1, 2], (N, 1))}],
    ids=["features", "neighbors"],
)
def test_given_features_or_neighbours_are_enough(x, given):
    make(D2ACE(neighbors=2), x, **given)


@pytest.mark.parametrize("x", WITHOUT_A_MATRIX.values(), ids=WITHOUT_A_MATRIX)
def test_strategy_without_neighbours_says_nothing(x):
    make(D2ACE(neighbors=0), x)
    make("uniform", x)


@pytest.mark.parametrize("kind", [np.asarray, np.ndarray.tolist, tf.constant])
def test_a_matrix_is_searched(kind, monkeypatch):
    searched = []
    monkeypatch.setattr(
        "tfmlselect.scoring.neighbors.nearest_neighbors",
        lambda features, k: searched.append(np.shape(features)) or np.zeros((N, k), np.int32),
    )
    make(D2ACE(neighbors=2), kind(X))
    assert searched == [(N, 1)]


def test_a_memmap_is_not_searched_unasked(tmp_path):
    x = np.memmap(tmp_path / "x", np.float32, "w+", shape=(N, 2))
    with pytest.warns(UserWarning, match="`features=`"):
        make(D2ACE(neighbors=2), x)
    make(D2ACE(neighbors=2), x, features=x)


def test_public_entry_hands_everything_over():
    train = tfml.adaptive_dataset(
        (X, Y),
        D2ACE(neighbors=2),
        5,
        seed=7,
        drop_remainder=True,
        neighbors=np.tile([1, 2], (N, 1)),
        sample_weight=np.ones(N),
    )
    selection = train._selection
    assert (selection.plan.batch_size, selection.plan.seed) == (5, 7)
    assert selection.plan.drop_remainder


def test_neighbours_behind_those_needed_may_be_missing():
    """An approximate index fills up with -1; a strategy without neighbours looks at none."""
    ids = (np.arange(N)[:, None] + np.arange(1, 9)) % N
    ids[:, 6:] = -1
    for strategy in (D2ACE(neighbors=6), D2ACE(neighbors=0), Uniform()):
        assert make(strategy, neighbors=ids).source.neighbors is ids
    with pytest.raises(ValueError, match="ids from -1"):
        make(D2ACE(neighbors=7), neighbors=ids)


def test_neighbours_in_a_tensor_are_searched_once(monkeypatch):
    searched = []
    inner = neighbors._search
    monkeypatch.setattr(neighbors, "_search", lambda *args: searched.append(1) or inner(*args))
    selection = make(D2ACE(neighbors=2), x=tf.constant(X))
    for _ in range(3):
        epochs(selection, 1)
    assert len(searched) == 1
