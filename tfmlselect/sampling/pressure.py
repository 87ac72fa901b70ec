"""The pressure law, from a score to probabilities, and how the pressure falls over a run."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect._checks import check_pressure, check_vector
from tfmlselect.distributed import workers


def pressure_probabilities(score: Any, pressure: Any, *, lowest: float | None = None) -> tf.Tensor:
    """Selection probabilities whose largest is about `pressure` times their smallest.

    With `u` the min-max scaled score and `s` the pressure, `Q_i = clip(ceil((1 - u_i) n), 1, n)`
    and `p_i ∝ exp(-(ln s / n) Q_i)`. Since Q runs from 1 to n, `max p / min p = s^((n - 1) / n)`.
    Scores that are all equal give the uniform distribution. Runs inside a `tf.function`, also with
    `jit_compile=True`; the values of symbolic tensors are not checked there.

    Args:
        score: (n,) numbers, array or tensor; the larger, the more often drawn.
        pressure: the selection pressure s >= 1, a number or a scalar tensor.
        lowest: the score that counts as u = 0, at most the smallest one; None: the smallest one.

    Returns:
        (n,) float64 tensor that sums to 1.

    Raises:
        ValueError: `score` is not of rank 1, is empty, or has a NaN or infinite entry.
        ValueError: `pressure` is not a finite number >= 1.

    Example:
        >>> pressure_probabilities([0.0, 1.0, 2.0, 3.0], pressure=16.0).numpy().round(3)
        array([0.067, 0.133, 0.267, 0.533])

    References:
        Loshchilov and Hutter, "Online Batch Selection for Faster Training of Neural Networks",
        2015: the exponential law and the selection pressure. Song et al., "Carpe Diem, Seize the
        Samples Uncertain 'At the Moment' for Adaptive Batch Selection", 2020: the index Q.
    """
    # What is no tensor yet, TensorFlow would round to float32 on its way to float64.
    score, pressure = (
        x if tf.is_tensor(x) else np.asarray(x, np.float64) for x in (score, pressure)
    )
    check_vector("score", score, values=_is_known(score))
    if _is_known(pressure):
        check_pressure("pressure", float(pressure))
    score = tf.cast(score, tf.float64)
    n = workers.total(tf.cast(tf.shape(score)[0], tf.float64))
    high = workers.highest(score)
    low = workers.lowest(score) if lowest is None else tf.constant(lowest, tf.float64)
    u = tf.math.divide_no_nan(score - low, high - low)
    q = tf.clip_by_value(tf.math.ceil((1.0 - u) * n), 1.0, n)
    return exponential_law(q, n, pressure)


def exponential_law(rank: tf.Tensor, n: Any, pressure: Any) -> tf.Tensor:
    """`p ∝ exp(-(ln s / n) rank)`: (n,) float64, whose total over all workers is 1.

    Args:
        rank: from 1, the most often drawn, to n: (n,) float64.
        n: number of samples, of all workers.
        pressure: the selection pressure s.
    """
    weight = tf.exp(-tf.math.log(tf.cast(pressure, tf.float64)) / n * rank)
    return weight / workers.total(tf.reduce_sum(weight))


def decayed_pressure(epoch: float, initial: float, start: float, end: float) -> float:
    """The selection pressure s(e) of an epoch: constant, then falling exponentially to 1.

    `s(e) = s0` where `e < start` or `end <= start`; else
    `s(e) = max(1, s0 · s0^(-(e - start) / (end - start)))`.

    Args:
        epoch: e, counted from 0.
        initial: s0, a finite number >= 1.
        start: the epoch from which the pressure falls.
        end: the epoch at which it would be 1: the number of epochs of the run.

    Raises:
        ValueError: `initial` is not a finite number >= 1.

    Example:
        >>> [round(decayed_pressure(e, initial=8.0, start=10, end=100), 3) for e in (0, 55, 100)]
        [8.0, 2.828, 1.0]

    References:
        Song et al., 2020, as in `pressure_probabilities`: the decay of the pressure.
    """
    initial = float(initial)
    check_pressure("initial", initial)
    if epoch < start or end <= start:
        return initial
    return max(1.0, initial ** (1.0 - (epoch - start) / (end - start)))


def _is_known(value: Any) -> bool:
    return tf.executing_eagerly() or not tf.is_tensor(value)
