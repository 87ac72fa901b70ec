"""The controls of the frontiers, and their tasks."""

import numpy as np
import pytest

import tfmlselect as tfml
from benchmarks.study.frontier import tasks
from benchmarks.study.frontier.methods import FALLING, METHODS, Placebo, Subset, WithRate
from benchmarks.study.frontier.run import (
    BEFORE,
    CORE,
    FORMS,
    MORE,
    RIVALS,
    SLOW,
    STOPPING,
    THINNING,
    THINNING_FORMS,
    wanted,
)

RNG = np.random.default_rng(0)
Y = (RNG.random((300, 3)) < [0.5, 0.2, 0.1]).astype("uint8")


def observed(strategy):
    strategy.build(Y, neighbors=RNG.integers(0, 300, (300, 10)))
    strategy.observe(np.arange(300), RNG.random((300, 3)).astype("float32"))
    return strategy


def test_a_placebo_hands_probabilities_to_samples_of_the_same_labels():
    inner = tfml.strategies.OnlineBatch(warmup=0)
    placebo = observed(Placebo(inner, same_labels=True))
    own, handed = inner.probabilities(3).numpy(), placebo.probabilities(3).numpy()
    assert np.mean(own == handed) < 0.5
    assert placebo.warmup == inner.warmup
    assert set(placebo.state) == set(inner.state)
    for labels in np.unique(Y, axis=0):
        rows = (labels == Y).all(axis=1)
        np.testing.assert_array_equal(np.sort(own[rows]), np.sort(handed[rows]))


def test_a_placebo_among_all_samples_no_longer_knows_labels():
    inner = tfml.strategies.AdaptiveBalance()
    placebo = observed(Placebo(inner, same_labels=False))
    own, handed = inner.probabilities(3).numpy(), placebo.probabilities(3).numpy()
    np.testing.assert_array_equal(np.sort(own), np.sort(handed))
    rare = Y[:, 2] == 1
    assert own[rare].mean() > 2 * handed[rare].mean()


def test_half_of_the_samples_is_half():
    half = Subset()
    half.build(Y)
    p = half.probabilities(0).numpy()
    assert np.count_nonzero(p) == half.epoch_draws() == 150
    assert p.sum() == pytest.approx(1.0)


def test_a_share_with_the_learning_rate():
    share = WithRate(0.5)
    assert [share(epoch, 100) for epoch in (0, 15, 30, 65, 100)] == [0, 0.25, 0.5, 0.25, 0]
    assert FALLING(0, 10) == 0.25
    assert FALLING(10, 10) == 0


def test_every_method_is_run_somewhere():
    names = {*CORE, *THINNING, *THINNING_FORMS, *MORE, *RIVALS, *SLOW, *FORMS, *STOPPING, "uniform"}
    assert names == set(METHODS)


def test_what_is_wanted_of_a_task():
    x = np.zeros((300, 2), "float32")
    filled = np.where(Y.any(axis=1)[:, None], Y, np.uint8([1, 0, 0]))
    task = tasks.Task("birds", (x, filled), (x, Y), (x, Y))
    assert {*FORMS, *BEFORE} <= set(wanted(task, "adam", core=False))
    assert not {*FORMS, *SLOW} & set(wanted(task, "sgd", core=False))
    assert set(wanted(task, "adam", core=True)) == set(CORE)
    empty = Y * (np.arange(300) < 100)[:, None]
    task = tasks.Task("goemotions-dose-5", (x, empty), (x, Y), (x, Y))
    assert set(wanted(task, "adam", core=False)) == {*CORE, *THINNING}


def test_thirds_of_labels_by_their_positives():
    x = np.zeros((300, 2), "float32")
    thirds = tasks.Task("made up", (x, Y), (x, Y), (x, Y)).thirds
    assert {name: columns.tolist() for name, columns in thirds.items()} == {
        "rare": [2],
        "middle": [1],
        "frequent": [0],
    }


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_a_dose_leaves_all_empty_samples_and_a_share_of_others(share):
    y = Y * (RNG.random(300) < 0.8)[:, None]
    x = np.arange(300.0)[:, None]
    kept, labels = tasks.dosed(x, y, share)
    filled = labels.any(axis=1)
    assert filled.mean() == pytest.approx(share, abs=1 / 100)
    assert set(x[~y.any(axis=1), 0]) == set(kept[~filled, 0])
    np.testing.assert_array_equal(labels, y[kept[:, 0].astype(int)])


def test_digits_are_long_tailed_in_training_alone():
    task = tasks.load("digit-images")
    train, dev, test = (y.sum(axis=0) for _, y in (task.train, task.dev, task.test))
    # 90 / 30^(k/9), by hand: 90, 61.7, 42.3, 29.0, 19.8, 13.6, 9.3, 6.4, 4.4, 3.
    assert train.tolist() == [90, 62, 42, 29, 20, 14, 9, 6, 4, 3]
    assert set(dev) == {30}
    assert test.min() > 50
    every = np.concatenate([x.reshape(len(x), -1) for x, _ in (task.train, task.dev, task.test)])
    assert len(np.unique(every, axis=0)) == len(every)  # no image in two parts
    assert not tasks.has_same_shares(task.name)
    assert tasks.has_same_shares("birds")
    assert not tasks.has_same_shares("goemotions-dose-5")


def test_images_of_half_the_size():
    image = np.uint8([[0, 255, 10, 10], [255, 0, 10, 30]])[None, ..., None]
    np.testing.assert_allclose(tasks.halved(image)[0, ..., 0], [[0.5, 15 / 255]], rtol=1e-6)


def test_an_unknown_task():
    with pytest.raises(ValueError, match=r"Received: 'bird'\. Known: birds, "):
        tasks.load("bird")
