"""Draws: exact enumeration, laws of large numbers, and draws that must end."""

import re
from itertools import permutations

import numpy as np
import pytest
import tensorflow as tf

from tfmlselect.sampling import draws

MILD = np.array([0.10, 0.12, 0.15, 0.18, 0.20, 0.25])
STEEP = np.array([0.96, 0.03, 0.006, 0.003, 0.0009, 0.0001])


def geometric(n, rate):
    p = np.exp(-rate * np.arange(n))
    return p / p.sum()


def draw_rows(p, rows, columns, seed=0):
    ids, edges = draws.cumulate(np.asarray(p, np.float64))
    return ids[draws._draw_rows(edges, rows, columns, np.random.default_rng(seed))]


def set_probabilities(p, size):
    """Oracle: the probability of each set, by enumeration of all orders of draw-and-remove."""
    sets = {}
    for order in permutations(range(len(p)), size):
        left, chance = 1.0, 1.0
        for i in order:
            chance, left = chance * p[i] / left, left - p[i]
        key = tuple(sorted(order))
        sets[key] = sets.get(key, 0.0) + chance
    return sets


def has_repeats(rows):
    ordered = np.sort(rows, axis=1)
    return bool((ordered[:, 1:] == ordered[:, :-1]).any())


# The draw is successive sampling.


@pytest.mark.parametrize("columns", [2, 3])
@pytest.mark.parametrize("p", [MILD, STEEP], ids=["mild", "steep"])
def test_sets_and_inclusions_match_enumeration(p, columns):
    rows = 200_000
    drawn = np.sort(draw_rows(p, rows, columns), axis=1)
    assert not has_repeats(drawn)
    inclusion = np.zeros(6)
    codes = np.bincount(drawn @ 6 ** np.arange(columns), minlength=6**columns)
    for members, chance in set_probabilities(p, columns).items():
        inclusion[list(members)] += chance
        seen = codes[np.dot(members, 6 ** np.arange(columns))] / rows
        # One part in `rows` besides: for rare sets the count is far from normal.
        assert abs(seen - chance) <= 5 * np.sqrt(chance * (1 - chance) / rows) + 3 / rows
    error = np.abs(np.bincount(drawn.ravel(), minlength=6) / rows - inclusion)
    assert (error <= 5 * np.sqrt(inclusion * (1 - inclusion) / rows)).all()


def test_the_public_draw_matches_enumeration():
    epochs = [draws.draw_epoch(STEEP, 3, seed=5, epoch=e) for e in range(2000)]
    inclusion = np.zeros(6)
    for members, chance in set_probabilities(STEEP, 3).items():
        inclusion[list(members)] += chance
    rows = 2 * len(epochs)
    error = np.abs(np.bincount(np.concatenate(epochs), minlength=6) / rows - inclusion)
    assert (error <= 5 * np.sqrt(inclusion * (1 - inclusion) / rows)).all()


def test_small_blocks_draw_the_same_law(monkeypatch):
    monkeypatch.setattr(draws, "_BLOCK", 30_000)
    inclusion = np.zeros(6)
    for members, chance in set_probabilities(STEEP, 3).items():
        inclusion[list(members)] += chance
    drawn = draw_rows(STEEP, 50_005, 3)
    assert not has_repeats(drawn)
    error = np.abs(np.bincount(drawn.ravel(), minlength=6) / len(drawn) - inclusion)
    assert (error <= 5 * np.sqrt(inclusion * (1 - inclusion) / len(drawn))).all()


def test_batches_are_independent():
    rows = draw_rows(MILD, 100_000, 2)
    has_last = (rows == 5).any(axis=1)
    assert abs(np.corrcoef(has_last[1:], has_last[:-1])[0, 1]) <= 5 / np.sqrt(len(rows))


def test_the_short_batch_is_drawn_anew():
    epochs = np.stack([draws.draw_epoch(MILD, 4, seed=0, epoch=e) for e in range(2000)])
    short = np.bincount((epochs[:, 4:] == 5).any(axis=1) + 2 * (epochs[:, :4] == 5).any(axis=1))
    (neither, in_short), (in_full, both) = short.reshape(2, 2) / len(epochs)
    alone = sum(chance for pair, chance in set_probabilities(MILD, 2).items() if 5 in pair)
    assert in_short + both == pytest.approx(alone, abs=0.05)
    assert both == pytest.approx((in_short + both) * (in_full + both), abs=0.05)
    assert neither > 0


def test_permuting_samples_permutes_the_draw():
    p = np.random.default_rng(3).dirichlet(np.full(50, 0.3))
    order = np.random.default_rng(4).permutation(50)
    drawn, permuted = (draws.draw_epoch(q, 7, seed=1, epoch=2) for q in (p, p[order]))
    np.testing.assert_array_equal(order[permuted], drawn)


@pytest.mark.parametrize("p", [geometric(60, 0.5), np.full(60, 1 / 60)], ids=["steep", "uniform"])
@pytest.mark.parametrize(
    ("n", "batch_size"), [(60, b) for b in (1, 2, 7, 15, 16, 31, 59, 60)] + [(9, 4), (11, 4)]
)
def test_an_epoch_is_n_draws_without_repeats_in_a_batch(p, n, batch_size):
    p = p[:n] / p[:n].sum()
    whole = n // batch_size * batch_size
    for seed in range(5):
        ids = draws.draw_epoch(p, batch_size, seed, epoch=0)
        assert ids.dtype == np.int64
        assert ids.shape == (n,)
        assert ids.min() >= 0
        assert ids.max() < n
        assert not has_repeats(ids[:whole].reshape(-1, batch_size))
        assert not has_repeats(ids[None, whole:])
        cut = draws.draw_epoch(p, batch_size, seed, epoch=0, drop_remainder=True)
        np.testing.assert_array_equal(cut, ids[:whole])


# Draws that must end.


def test_the_tail_is_drawn_only_where_it_is_needed():
    p = geometric(4000, 0.2)  # the last 280 underflow to 0
    small = draws.draw_epoch(p, 8, seed=0, epoch=0)
    assert small.max() < 150
    rows = draws.draw_epoch(p, 128, seed=0, epoch=0, drop_remainder=True).reshape(-1, 128)
    assert not has_repeats(rows)
    assert (np.sort(rows, axis=1)[:, :20] == np.arange(20)).all()
    assert rows.max() < 400


def test_a_ratio_of_1e12():
    p = np.repeat([1.0, 1e-12], 100)
    p /= p.sum()
    rows = draws.draw_epoch(p, 100, seed=0, epoch=0).reshape(2, 100)
    np.testing.assert_array_equal(np.sort(rows, axis=1), np.tile(np.arange(100), (2, 1)))
    rows = draw_rows(p, 20_000, 101)
    assert ((rows < 100).sum(axis=1) == 100).all()
    counts = np.bincount(rows.max(axis=1) - 100, minlength=100)
    assert np.abs(counts - 200).max() <= 5 * np.sqrt(200)


def test_a_round_fills_a_slot_of_every_open_row(monkeypatch):
    rounds, inner = [], draws.draw_outside

    def counted(edges, held, row, rng):
        rounds.append(row.size)
        return inner(edges, held, row, rng)

    monkeypatch.setattr(draws, "draw_outside", counted)
    rows = draw_rows(geometric(68, 10.0), 20, 64)
    assert not has_repeats(rows)
    assert 30 < len(rounds) <= 64
    assert (np.diff(rounds[:-1]) <= 0).all()


def test_half_of_the_mass_on_four_samples():
    p = np.full(1000, 0.5 / 996)
    p[:4] = 0.125
    rows = draw_rows(p, 500, 128)
    assert not has_repeats(rows)
    assert (np.sort(rows, axis=1)[:, :4] == np.arange(4)).all()


@pytest.mark.parametrize("uniform", [0.0, 1.0 - 2.0**-53])
def test_the_ends_of_a_gap_stay_in_it(uniform):
    class Ends:
        def random(self, size):
            return np.full(size, uniform)

    # 0.25 + 0.25 (1 - 2^-53) rounds to 0.5, where the held position 2 begins.
    edges, held = np.array([0.0, 0.25, 0.5, 1.0]), np.array([[0, 2]])
    assert draws.draw_outside(edges, held, np.array([0]), Ends()).tolist() == [1]


@pytest.mark.parametrize("unit", [1e-300, 1e-310, 5e-324])
def test_denormal_probabilities_keep_their_ratio(unit):
    rows = draw_rows([unit, 0.5, 0.0, 2 * unit, 0.5], 20_000, 3)
    assert ((rows == 1) | (rows == 4)).sum() == 40_000
    share = (rows == 3).any(axis=1).mean()
    assert abs(share - 2 / 3) <= 5 * np.sqrt(2 / 9 / len(rows))


def test_masses_that_vanish_beside_each_other():
    p = np.ldexp(1.0, -np.arange(0, 1075, 10))  # 108 entries from 1 to 2^-1070
    rows = draw_rows(p / p.sum(), 50, 100)
    assert not has_repeats(rows)
    assert (np.sort(rows, axis=1)[:, :90] == np.arange(90)).all()


def test_intervals_keep_their_relative_width():
    p = np.exp(-np.log(1e12) * np.random.default_rng(0).random(10_000))
    ids, edges = draws.cumulate(p)
    width = np.ldexp(p[ids], 1000)
    assert (np.abs(np.diff(edges) / width - 1) <= p.size * np.finfo(float).eps).all()


def test_samples_of_zero_probability_are_never_drawn():
    p = np.array([0.0, 0.7, 0.0, 0.2, 0.1, 0.0])
    for batch_size in (1, 2, 3):
        drawn = [draws.draw_epoch(p, batch_size, 0, epoch) for epoch in range(200)]
        assert set(np.concatenate(drawn)) == {1, 3, 4}


def test_a_batch_of_everything():
    ids = draws.draw_epoch(geometric(100, 5.0), 100, seed=0, epoch=0)
    np.testing.assert_array_equal(np.sort(ids), np.arange(100))
    assert (ids != np.sort(ids)).any()


# Purity.


def test_golden_order():
    for epoch, mild, steep, uniform in [
        (3, [4, 2, 5, 5, 0, 4], [0, 3, 2, 1, 0, 1], [5, 4, 1, 2, 0, 3]),
        (4, [5, 0, 4, 0, 1, 2], [0, 1, 3, 2, 0, 3], [4, 3, 5, 0, 2, 1]),
    ]:
        assert draws.draw_epoch(MILD, 3, seed=2024, epoch=epoch).tolist() == mild
        assert draws.draw_epoch(STEEP, 4, seed=2024, epoch=epoch).tolist() == steep
        assert draws.permute_epoch(6, 4, seed=2024, epoch=epoch).tolist() == uniform


def test_draws_are_a_pure_function_of_seed_epoch_and_probabilities():
    p = np.random.default_rng(0).dirichlet(np.ones(200))
    first = draws.draw_epoch(p, 16, seed=1, epoch=0)
    np.random.seed(0)  # noqa: NPY002  the global state is not looked at
    np.testing.assert_array_equal(draws.draw_epoch(p, 16, seed=1, epoch=0), first)
    np.testing.assert_array_equal(
        draws.draw_epoch(tf.constant(p), np.int64(16), np.int32(1), np.int64(0)), first
    )
    others = [
        draws.draw_epoch(p, 16, seed=1, epoch=1),
        draws.draw_epoch(p, 16, seed=2, epoch=0),
        draws.draw_epoch(p, 16, seed=0, epoch=1),
        draws.draw_epoch(p, 16, seed=1 + 2**200, epoch=0),
        draws.draw_epoch(p[::-1], 16, seed=1, epoch=0),
    ]
    assert len({tuple(ids) for ids in [first, *others]}) == 6


def test_permutations_are_a_pure_function_of_seed_and_epoch():
    first = draws.permute_epoch(100, 16, seed=1, epoch=0)
    assert first.dtype == np.int64
    np.testing.assert_array_equal(np.sort(first), np.arange(100))
    np.testing.assert_array_equal(draws.permute_epoch(100, 16, seed=1, epoch=0), first)
    np.testing.assert_array_equal(
        draws.permute_epoch(100, 16, seed=1, epoch=0, drop_remainder=True), first[:96]
    )
    for seed, epoch in [(1, 1), (2, 0), (0, 1), (1 + 2**200, 0)]:
        assert (draws.permute_epoch(100, 16, seed, epoch) != first).any()


def test_draws_and_permutations_use_different_streams():
    streams = (draws.DRAW, draws.PERMUTE)
    draw, permute = (draws.epoch_generator(0, 0, stream).random(4) for stream in streams)
    assert (draw != permute).all()


# Bad input to the draw.


@pytest.mark.parametrize(
    ("p", "message"),
    [
        ([0.5, np.nan], r"must be finite\. Received: 1 NaN or infinite"),
        ([np.inf, 0.5], r"must be finite\. Received: 1 NaN or infinite"),
        ([1.5, -0.5], r"not be negative\. Received: probabilities\[1\]=-0\.5"),
        ([[0.5, 0.5]], r"one entry for each sample\. Received: probabilities\.shape=\(1, 2\)"),
        (1.0, r"one entry for each sample\. Received: probabilities\.shape=\(\)"),
        ([], r"one entry for each sample\. Received: probabilities\.shape=\(0,\)"),
        ([0.0, 0.0], r"sum to 1 within 1e-6\. Received: sum=0\.0\. .*positive"),
        ([1.0, 1.0], r"sum to 1 within 1e-6\. Received: sum=2\.0\. .*normalise"),
        ([0.5, 0.5 - 2e-6], r"sum to 1 within 1e-6"),
    ],
)
def test_draw_refuses_what_is_no_distribution(p, message):
    with pytest.raises(ValueError, match=message):
        draws.draw_epoch(p, 1, seed=0, epoch=0)


def test_draw_takes_a_sum_of_nearly_one():
    assert draws.draw_epoch([0.5, 0.5 - 5e-7], 1, seed=0, epoch=0).shape == (2,)


def test_draw_refuses_fewer_samples_than_a_batch():
    with pytest.raises(ValueError, match=r"Received: batch_size=3, non-zero probabilities=2 of 4"):
        draws.draw_epoch([0.5, 0.0, 0.5, 0.0], 3, seed=0, epoch=0)


def draw(**changed):
    return draws.draw_epoch([0.5, 0.5], **{"batch_size": 1, "seed": 0, "epoch": 0, **changed})


def permute(**changed):
    return draws.permute_epoch(**{"n": 2, "batch_size": 1, "seed": 0, "epoch": 0, **changed})


@pytest.mark.parametrize("function", [draw, permute])
@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("batch_size", 0, "a whole number from 1 to 2"),
        ("batch_size", 3, "a whole number from 1 to 2"),
        ("batch_size", 1.0, "a whole number from 1 to 2"),
        ("seed", -1, "a whole number >= 0"),
        ("seed", None, "a whole number >= 0"),
        ("epoch", -1, "a whole number >= 0"),
        ("epoch", 2**63, "a whole number from 0 to 2**63 - 1"),
        ("drop_remainder", "no", "True or False"),
    ],
)
def test_numbers_out_of_bounds_are_refused(function, name, value, wanted):
    message = re.escape(f"`{name}` must be {wanted}. Received: {name}={value!r}. Pass for example")
    with pytest.raises(ValueError, match=message):
        function(**{name: value})


def test_permute_refuses_an_empty_set():
    with pytest.raises(ValueError, match=r"whole number >= 1\. Received: n=0"):
        permute(n=0)
