"""Plans of a fixed seed, as they were when this was written.

These numbers may change with a version of tfmlselect that says so in the changelog, since runs of a
seed are then other runs, and backups of before go on with other plans; or with a NumPy that changes
its generators. They are the same on NumPy 1.26 and 2.4. Never update them to make a test pass.
"""

import numpy as np
import tensorflow as tf

import tfmlselect as tfml

IDS = np.arange(24)
X = IDS[:, None].astype("float32")
Y = np.stack([IDS % 2 == 0, IDS % 3 == 0, IDS % 8 == 0], axis=1).astype("uint8")


def written(ids):
    return " ".join(map(str, ids))


def plans(selection, epoch):
    """A permutation, warm-up, and draws from a distribution that is exact in any precision."""
    strategy, plan = selection.strategy, selection.plan
    p = plan.in_force(strategy, strategy.probabilities(epoch).numpy())
    return tuple(
        map(
            written,
            (
                plan.permutation(epoch),
                plan.shuffled(strategy, epoch),
                plan.drawn(strategy, p, epoch),
            ),
        )
    )


def test_arrays():
    train = tfml.adaptive_dataset((X, Y), "label_balanced", batch_size=8, seed=2026)
    assert plans(train._selection, epoch=7) == (PERMUTATION, SHUFFLED, DRAWN)


def test_independent_draws():
    train = tfml.adaptive_dataset(
        (X, Y), "label_balanced", batch_size=8, seed=2026, draws="independent"
    )
    independent = train.strategy.probabilities(7).numpy()
    ids = train._selection.plan.drawn(train.strategy, independent, 7)
    assert written(ids) == INDEPENDENT


def test_short_epochs_carry_over():
    train = tfml.adaptive_dataset((X, Y), "uniform", batch_size=4, seed=2026, samples_per_epoch=8)
    selection, drawn = train._selection, []
    for epoch in range(3):
        drawn.append(selection.plan.drawn(train.strategy, np.full(24, 1 / 24), epoch))
        selection.plan.settle()
    assert [written(ids) for ids in drawn] == SHORT


def test_a_stream():
    source = tf.data.Dataset.from_tensor_slices((X, Y))
    train = source.apply(tfml.adaptive("label_balanced", batch_size=2, window=8, seed=2026))
    found = plans(train._selection, epoch=3)
    assert found == (STREAM_PERMUTATION, STREAM_SHUFFLED, STREAM_DRAWN)


def test_correlated_batches():
    strategy = tfml.strategies.HardImbalance(correlations=True, neighbors=1)
    strategy.build(Y, neighbors=(IDS[:, None] + 1) % 24)
    p = tfml.strategies.LabelBalanced()
    p.build(Y)
    plan = strategy.plan(p.probabilities(0), 8, seed=2026, epoch=2)
    assert written(plan) == CORRELATED


PERMUTATION = "10 8 12 20 21 17 0 13 9 4 2 5 23 15 3 14 18 1 16 19 11 22 6 7"
SHUFFLED = "13 11 21 4 8 22 12 16 6 20 1 0 7 19 15 10 3 18 2 5 14 17 9 23"
DRAWN = "22 20 9 16 14 0 8 18 3 12 6 16 0 8 18 21 15 12 6 16 0 2 8 4"
INDEPENDENT = "12 8 2 16 10 4 14 15 4 10 21 12 16 0 20 18 8 3 21 12 18 0 6 4"
SHORT = [
    "19 14 0 16 7 21 12 1",
    "11 6 8 13 15 9 10 4",
    "23 18 2 17 22 5 20 3",
]
STREAM_PERMUTATION = "5 6 0 4 2 7 1 3 10 14 13 8 15 11 12 9 18 19 22 20 17 16 21 23"
STREAM_SHUFFLED = "2 3 4 0 1 6 7 5 13 12 15 10 11 8 14 9 17 22 23 20 21 18 16 19"
STREAM_DRAWN = "4 6 0 6 0 3 3 14 12 8 10 8 15 8 12 9 16 18 18 16 21 20 21 22"
CORRELATED = "0 6 3 2 4 16 15 9 8 9 6 4 22 0 20 16 0 18 6 8 10 16 20 21"
