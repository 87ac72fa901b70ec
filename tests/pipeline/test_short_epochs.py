"""Epochs shorter than a pass over the data: what is owed is carried from one to the next."""

import collections
import warnings

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

import tfmlselect as tfml
from tests.support.recorded_fits import Spy, check_rows, linear, numbered, run
from tests.support.watching import Watch
from tfmlselect.pipeline.plan import Plan, PlanOptions
from tfmlselect.pipeline.streams import StreamPlan
from tfmlselect.sampling.stream_order import window_sizes
from tfmlselect.schedules import Ramp
from tfmlselect.strategies import D2ACE, LabelBalanced, Mixture, OnlineBatch, RareEvents, Uniform


def planned(plan, distributions):
    """The ids of each epoch."""
    drawn = []
    for epoch, p in enumerate(distributions):
        drawn.append(plan.drawn(Uniform(), np.asarray(p), epoch))
        plan.settle()
    return drawn


def test_three_epochs_of_two_are_a_permutation_of_six_any_alike():
    """All 90 ways to part six samples into three pairs in order, each as often."""
    seen = collections.Counter()
    for seed in range(9000):
        plan = Plan(6, PlanOptions(2, seed, samples_per_epoch=2))
        parts = planned(plan, [np.full(6, 1 / 6)] * 3)
        assert sorted(np.concatenate(parts)) == list(range(6))
        seen[tuple(tuple(sorted(part)) for part in parts)] += 1
    assert len(seen) == 90
    assert np.abs(np.array([*seen.values()]) - 100).max() < 5 * np.sqrt(100)


@given(st.integers(2, 40), st.integers(1, 40), st.integers(1, 10), st.integers(0, 10**6))
def test_equal_probabilities_run_through_permutations(n, samples, batch_size, seed):
    """However an epoch ends: after k draws no sample is a whole visit ahead of another."""
    samples = min(samples, n)
    batch_size = min(batch_size, samples)
    plan = Plan(n, PlanOptions(batch_size, seed, samples_per_epoch=samples))
    counts = np.zeros(n, int)
    for ids in planned(plan, [np.full(n, 1 / n)] * 7):
        counts += np.bincount(ids, minlength=n)
        assert counts.max() - counts.min() <= 1


@given(st.integers(6, 30), st.integers(0, 10**6), st.floats(0.5, 20.0))
def test_visits_stay_near_what_was_owed(n, seed, concentration):
    """Never a whole visit away, however often the distribution changes."""
    rng = np.random.default_rng(seed)
    samples = int(rng.integers(4, n + 1))
    plan = Plan(n, PlanOptions(2, seed, samples_per_epoch=samples))
    for epoch in range(12):
        if epoch % 4 == 0:
            p = plan.in_force(Uniform(), rng.dirichlet(np.full(n, concentration)))
        plan.drawn(Uniform(), p, epoch)
        plan.settle()
        assert plan.owed.min() >= -1
        assert plan.owed.max() < 1
        assert abs(plan.owed.sum()) < 2 * np.sqrt(n)


@pytest.mark.parametrize("ratio", [3.0, 30.0])
@pytest.mark.parametrize("samples", [60, 20])
def test_each_sample_comes_as_often_as_expected_in_every_epoch(samples, ratio):
    """Means over many plans, where likely and unlikely samples change places half-way."""
    n, plans = 60, 1500
    first = np.where(np.arange(n) % 2, 1.0, 1 / ratio)
    distributions = [first / first.sum()] * 4 + [first[::-1] / first.sum()] * 4
    counts = np.zeros((8, n))
    for seed in range(plans):
        plan = Plan(n, PlanOptions(5, seed, samples_per_epoch=samples))
        for epoch, ids in enumerate(planned(plan, distributions)):
            counts[epoch] += np.bincount(ids, minlength=n)
    for found, p in zip(counts / plans, distributions, strict=True):
        likely = p > 1 / n
        for group in (likely, ~likely):
            expected = samples * p[group].sum()
            assert found[group].sum() == pytest.approx(expected, rel=0.06, abs=0.1)


def test_a_probability_of_zero_is_never_drawn():
    """Not even where the sample was owed a visit when it still had one."""
    before, after = np.full(8, 1 / 8), np.array([0, 0, 0, 0, 0.25, 0.25, 0.25, 0.25])
    for seed in range(20):
        plan = Plan(8, PlanOptions(2, seed, samples_per_epoch=4))
        assert min(planned(plan, [before, after, after])[1]) >= 4


@pytest.mark.parametrize("stream", [False, True])
def test_only_samples_that_had_their_visit(stream):
    """Nobody who may come is owed anything: they come again, and nobody else does."""
    options = PlanOptions(20, 0, samples_per_epoch=100)
    plan = Plan(1000, options)
    if stream:
        plan = StreamPlan(1000, options, window_sizes(1000, 200))
    for epoch in range(5):
        plan.shuffled(LabelBalanced(), epoch)
        plan.settle()
    p = np.where(plan.owed < 0, 1.0, 0.0)
    p = plan.in_force(LabelBalanced(), p / p.sum())
    ids = plan.drawn(LabelBalanced(), p, 5)
    assert len(ids) == 100
    assert (p[ids] > 0).all()


def test_uniform_epochs_are_permutations_again():
    plan = Plan(40, PlanOptions(4, 0))
    steep = plan.in_force(Uniform(), np.random.default_rng(0).dirichlet(np.ones(40)))
    plans = planned(plan, [steep] * 3 + [np.full(40, 1 / 40)] * 3)
    for ids in plans[3:]:
        assert sorted(ids) == list(range(40))


@pytest.mark.parametrize("tiny", [1e-309, 1e-250, 1e-30])
def test_tiny_probabilities(tiny):
    p = np.full(47, tiny)
    p[:3] = 1
    plan = Plan(47, PlanOptions(10, 0))
    in_force = plan.in_force(Uniform(), p / p.sum())
    assert in_force.sum() == pytest.approx(1, rel=1e-12)
    np.testing.assert_allclose(in_force[:3], 4 / 47, rtol=1e-9)
    assert len(plan.drawn(Uniform(), in_force, 0)) == 47


def test_numpy_numbers():
    train = tfml.adaptive_dataset(
        numbered(27), "uniform", np.int32(4), samples_per_epoch=np.int64(12), epochs=np.int16(3)
    )
    assert len(train) == 3


def test_a_strategy_that_leaves_samples_out_draws_independently():
    x, y = numbered(27)
    strategy = RareEvents([4])
    train = tfml.adaptive_dataset((x, y), strategy, 4, seed=0, draws="independent")
    watch = Watch(train)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the loss
        run(linear(), train, epochs=2, callbacks=[watch])
    assert [len(ids) for ids in watch.plans] == [strategy.epoch_draws()] * 2 == [22] * 2


def test_a_plan_is_the_same_until_it_was_trained():
    plan, p = Plan(8, PlanOptions(2, 0, samples_per_epoch=4)), np.full(8, 1 / 8)
    first = plan.drawn(Uniform(), p, 0)
    np.testing.assert_array_equal(plan.drawn(Uniform(), p, 0), first)
    plan.settle()
    assert not set(first) & set(plan.drawn(Uniform(), p, 1))


@pytest.mark.parametrize("samples", [10, 12, 27])
@pytest.mark.parametrize("drop_remainder", [False, True])
def test_what_is_recorded_is_what_was_planned(samples, drop_remainder):
    x, y = numbered(27)
    train = tfml.adaptive_dataset(
        (x, y), Spy(), 4, seed=1, samples_per_epoch=samples, drop_remainder=drop_remainder
    )
    history = run(linear(), train, epochs=3).history
    draws = samples // 4 * 4 if drop_remainder else samples
    assert len(train) == -(-draws // 4)
    assert len(train.strategy.ids) == 3 * draws
    check_rows(train.strategy, x)
    np.testing.assert_allclose(history["selection/passes"], np.arange(1, 4) * draws / 27)


def test_a_uniform_fit_goes_through_the_data():
    x, y = numbered(24)
    train = tfml.adaptive_dataset((x, y), "uniform", 4, seed=0, samples_per_epoch=8)
    watch = Watch(train)
    run(linear(), train, epochs=6, callbacks=[watch])
    for first in (0, 3):
        assert sorted(np.concatenate(watch.plans[first : first + 3])) == list(range(24))


def test_a_stream_s_short_epochs():
    x, y = numbered(64)
    source = tf.data.Dataset.from_tensor_slices((x, y))
    select = tfml.adaptive("uniform", 4, window=16, seed=0, samples_per_epoch=16)
    train = source.apply(select)
    assert [len(train), len(list(train.take(99)))] == [4, 4]
    watch = Watch(train)
    run(linear(), train, epochs=4, callbacks=[watch])
    assert sorted(np.concatenate(watch.plans)) == list(range(64))


def test_whole_numbers_of_epochs_count_passes():
    """A quarter of a pass an epoch: a warm-up of one pass is four epochs."""
    x, y = numbered(32)
    strategy = OnlineBatch(Ramp(9.0, 1.0, start=1, end=3), warmup=1)
    train = tfml.adaptive_dataset((x, y), strategy, 4, seed=0, samples_per_epoch=8)
    run(linear(), train, epochs=16)
    assert strategy.warmup == 4
    # From 9 at the end of the first pass, which is epoch 4, to 1 at that of the third.
    assert [strategy.figures(epoch)["pressure"] for epoch in (4, 8, 12)] == [9.0, 5.0, 1.0]


def test_fractions_are_of_the_run():
    x, y = numbered(32)
    strategy = D2ACE(neighbors=2)
    train = tfml.adaptive_dataset((x, y), strategy, 4, seed=0, samples_per_epoch=8)
    run(linear(), train, epochs=20)
    assert strategy.warmup == 2
    assert strategy.figures(14)["mixture_weight"] == pytest.approx(0.3)
    strategy.run_epochs = 1000  # an eighth of which are more than five passes
    assert strategy.warmup == 20


def test_parts_of_a_mixture_are_told():
    mixture = Mixture([("uniform", 0.5), (OnlineBatch(warmup=2), 0.5)])
    x, y = numbered(32)
    tfml.adaptive_dataset((x, y), mixture, 4, seed=0, samples_per_epoch=8)
    assert mixture.warmup == 8


def test_independent_draws_of_a_short_epoch():
    x, y = numbered(27)
    train = tfml.adaptive_dataset(
        (x, y), LabelBalanced(), 4, seed=0, samples_per_epoch=10, draws="independent"
    )
    watch = Watch(train)
    run(linear(), train, epochs=3, callbacks=[watch])
    assert [len(ids) for ids in watch.plans] == [10] * 3


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"samples_per_epoch": 28}, r"at most one pass.*samples_per_epoch=28.*Pass .*<= 27"),
        ({"samples_per_epoch": 3}, r"larger than an epoch.*batch_size=4, .*3 draws an epoch"),
        ({"samples_per_epoch": 2.5}, r"`samples_per_epoch`.*Received"),
        ({"draws": "random"}, r"`draws`.*'systematic'.*Received: draws='random'"),
        ({"epochs": 0}, r"`epochs`.*Received: epochs=0"),
    ],
)
def test_what_is_refused(options, error):
    with pytest.raises(ValueError, match=f"(?s){error}"):
        tfml.adaptive_dataset(numbered(27), "uniform", 4, **options)
