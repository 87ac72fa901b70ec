"""The pressure law and its decay, against tables worked by hand."""

import numpy as np
import pytest
import tensorflow as tf

from tfmlselect.sampling import decayed_pressure, pressure_probabilities


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        # s = 16 and n = 4, so p ∝ 2^-Q.
        ([0.0, 1.0, 2.0, 3.0], np.array([1, 2, 4, 8]) / 15),  # Q = 4, 3, 2, 1
        ([5, 1, 3, 2], np.array([8, 1, 4, 2]) / 15),  # (1 - u) n = 0, 4, 2, 3
        ([0.0, 3.0, 10.0, 9.0], np.array([1, 2, 8, 8]) / 19),  # (1 - u) n = 4, 2.8, 0, 0.4
        ([-7.0, -7.0, -7.0, -7.0], np.full(4, 0.25)),
        ([3.0], np.ones(1)),
    ],
)
def test_pressure_table(score, expected):
    p = pressure_probabilities(score, 16.0)
    assert p.dtype == tf.float64
    assert p.shape == expected.shape
    np.testing.assert_allclose(p, expected, rtol=1e-14)


@pytest.mark.parametrize("n", [2, 7, 1000])
@pytest.mark.parametrize("pressure", [1, 2, 8.0, 100.0, 1e12])
def test_pressure_is_the_ratio_up_to_one_step(n, pressure):
    score = np.random.default_rng(n).normal(size=n)
    p = pressure_probabilities(score, pressure).numpy()
    assert p.sum() == pytest.approx(1.0, abs=1e-12)
    assert (p > 0).all()
    assert (np.diff(p[np.argsort(score)]) >= 0).all()
    ratio = np.log(p.max() / p.min())
    assert ratio == pytest.approx(np.log(pressure) * (n - 1) / n, abs=1e-12)
    assert abs(ratio - np.log(pressure)) <= np.log(pressure) / n + 1e-12


def test_pressure_keeps_float64_of_lists():
    close = [1.0, 1.0 + 1e-12, 1.0 + 2e-12]
    p = pressure_probabilities(close, 8.0).numpy()
    assert len(np.unique(p)) == 3


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
def test_pressure_in_a_graph_equals_eager(jit, dtype):
    score = tf.constant(np.random.default_rng(1).normal(size=501), dtype)
    eager = pressure_probabilities(score, 8.0)

    @tf.function(jit_compile=jit)
    def compiled(score, pressure):
        return pressure_probabilities(score, pressure)

    np.testing.assert_allclose(compiled(score, 8.0), eager, rtol=1e-12)
    np.testing.assert_allclose(compiled(score, tf.constant(8.0)), eager, rtol=1e-12)
    np.testing.assert_allclose(compiled(score * 0, 8.0), np.full(501, 1 / 501), rtol=1e-12)


def test_pressure_with_a_length_unknown_to_the_graph():
    law = tf.function(
        lambda score: pressure_probabilities(score, 16.0),
        input_signature=[tf.TensorSpec([None], tf.float32)],
    )
    np.testing.assert_allclose(law([0.0, 1.0, 2.0, 3.0]), np.array([1, 2, 4, 8]) / 15, rtol=1e-14)
    assert np.isnan(law([0.0, np.nan])).all()  # values are not checked here


def test_pressure_takes_variables():
    score, pressure = tf.Variable([0.0, 1.0, 2.0, 3.0]), tf.Variable(16.0)
    p = pressure_probabilities(score, pressure)
    np.testing.assert_allclose(p, np.array([1, 2, 4, 8]) / 15, rtol=1e-14)


@pytest.mark.parametrize("pressure", [0.5, -1, float("nan"), float("inf"), tf.constant(0.0)])
def test_pressure_below_one_is_refused(pressure):
    with pytest.raises(ValueError, match=r"finite number >= 1\. Received: pressure=.*Use 1"):
        pressure_probabilities([0.0, 1.0], pressure)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [np.array, tf.constant, tf.Variable])
def test_pressure_refuses_scores_that_are_not_finite(bad, kind):
    with pytest.raises(ValueError, match=r"`score` must be finite\. Received: 1 .*score\[1\]"):
        pressure_probabilities(kind([0.0, bad, 1.0]), 2.0)


@pytest.mark.parametrize("score", [1.0, [], [[1.0, 2.0]], tf.zeros([2, 3])])
def test_pressure_refuses_shapes(score):
    with pytest.raises(ValueError, match=r"one entry for each sample\. Received: score\.shape="):
        pressure_probabilities(score, 2.0)


@pytest.mark.parametrize("score", [["a", "b"], [True, False], tf.constant(["a", "b"])], ids=str)
def test_pressure_refuses_what_are_no_numbers(score):
    with pytest.raises(ValueError, match=r"`score` must .*numbers.*Received: score"):
        pressure_probabilities(score, 2.0)


@pytest.mark.parametrize(
    "pressure", ["2", True, [2.0], tf.constant([2.0]), tf.constant("2")], ids=str
)
def test_a_pressure_is_one_number(pressure):
    with pytest.raises(ValueError, match=r"must be a .*number.*\. Received: pressure="):
        pressure_probabilities([0.0, 1.0], pressure)


def test_the_lowest_score_is_a_number():
    # u = 1/2 and 1, Q = 1 and 1: both are drawn alike.
    assert pressure_probabilities([1.0, 2.0], 4.0, lowest=0).numpy().tolist() == [0.5, 0.5]
    with pytest.raises(
        ValueError, match=r"`lowest` must be a finite number\. Received: lowest='0'"
    ):
        pressure_probabilities([1.0, 2.0], 4.0, lowest="0")


# The decay.


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [(0, 16.0), (9, 16.0), (10, 16.0), (20, 8.0), (30, 4.0), (40, 2.0), (50, 1.0), (80, 1.0)],
)
def test_decay_table(epoch, expected):
    pressure = decayed_pressure(epoch, 16, 10, 50)
    assert type(pressure) is float
    assert pressure == pytest.approx(expected, rel=1e-15)


def test_decay_without_room_is_constant():
    assert decayed_pressure(70, 8.0, 10, 10) == 8.0
    assert decayed_pressure(70, 8.0, 10, 5) == 8.0


@pytest.mark.parametrize("initial", [0.99, float("nan"), float("inf")])
def test_decay_refuses_a_pressure_below_one(initial):
    with pytest.raises(ValueError, match=r"finite number >= 1\. Received: initial="):
        decayed_pressure(0, initial, 10, 100)


@pytest.mark.parametrize("name", ["epoch", "start", "end"])
@pytest.mark.parametrize("wrong", ["1", None, float("nan"), float("inf")])
def test_decay_refuses_points_that_are_no_numbers(name, wrong):
    with pytest.raises(ValueError, match=rf"`{name}` must be a finite number.*Received: {name}="):
        decayed_pressure(**{"epoch": 0, "initial": 8.0, "start": 1, "end": 9, name: wrong})
