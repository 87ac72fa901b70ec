"""The pressure law, from scores to probabilities, and how the pressure falls over a run.

What the scores mean is not known here. Where several machines train, the probabilities of all their
samples together sum to 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect._checks import (
    check_argument,
    check_array,
    check_number,
    check_pressure,
    check_vector,
    holds_numbers,
)
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
        ValueError: `pressure` is not a finite number >= 1, or `lowest` not a finite number.

    Example:
        >>> pressure_probabilities([0.0, 1.0, 2.0, 3.0], pressure=16.0).numpy().round(3)
        array([0.067, 0.133, 0.267, 0.533])

    References:
        Loshchilov and Hutter, "Online Batch Selection for Faster Training of Neural Networks",
        2015: the exponential law and the selection pressure. Song et al., "Carpe Diem, Seize the
        Samples Uncertain 'At the Moment' for Adaptive Batch Selection", 2020: the index Q.
    """
    if not _is_tensor(score):
        # A list of floats: TensorFlow would round it to float32 on its way to float64.
        numbers = check_array("score", score, "numbers, one for each sample", "Give it shape (n,)")
        score = np.asarray(numbers, np.float64)
    check_vector("score", score, values=_is_known(score))
    pressure = _checked_pressure(pressure)
    if lowest is not None:
        lowest = check_number("lowest", lowest, example=0.0)
    score = tf.cast(score, tf.float64)
    n = workers.total(tf.cast(tf.shape(score)[0], tf.float64))
    high = workers.highest(score)
    low = workers.lowest(score) if lowest is None else tf.constant(lowest, tf.float64)
    whole, half = tf.constant(1.0, tf.float64), tf.constant(0.5, tf.float64)
    half = tf.where(tf.math.is_finite(high - low), whole, half)  # of a range beyond all floats
    u = tf.math.divide_no_nan(score * half - low * half, high * half - low * half)
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
    total = workers.total(tf.reduce_sum(weight))
    # Equal ranks at a pressure so large that each weight is 0.
    lost = total < np.finfo(np.float64).tiny
    return tf.where(lost, 1.0 / n, weight / total)


def decayed_pressure(epoch: float, initial: float, start: float, end: float) -> float:
    """The selection pressure s(e) of an epoch: constant, then falling exponentially to 1.

    `s(e) = s0` where `e < start` or `end <= start`; else
    `s(e) = max(1, s0 · s0^(-(e - start) / (end - start)))`.

    Args:
        epoch: e >= 0, counted from 0.
        initial: s0, a finite number >= 1.
        start: the epoch from which the pressure falls.
        end: the epoch at which it would be 1: the number of epochs of the run.

    Raises:
        ValueError: `initial` is not a finite number >= 1, `epoch` not one >= 0, `start` or `end`
            not a finite number.

    Example:
        >>> [round(decayed_pressure(e, initial=8.0, start=10, end=100), 3) for e in (0, 55, 100)]
        [8.0, 2.828, 1.0]

    References:
        Song et al., 2020, as in `pressure_probabilities`: the decay of the pressure.
    """
    epoch = check_number("epoch", epoch, 0, example=0)
    initial = check_pressure("initial", initial)
    start = check_number("start", start, example=0)
    end = check_number("end", end, example=100)
    if epoch < start or end <= start:
        return initial
    return float(max(1.0, initial ** (1.0 - (epoch - start) / (end - start))))


def _checked_pressure(pressure: Any) -> tf.Tensor:
    """A pressure as a float64 tensor; its value is checked where it is known."""
    if _is_tensor(pressure):
        scalar = pressure.shape.rank in (None, 0) and holds_numbers(pressure.dtype)
        check_argument(scalar, "pressure", pressure, "a number or a scalar tensor", "Pass a number")
        if not _is_known(pressure):
            return tf.cast(pressure, tf.float64)
        pressure = float(pressure)
    return tf.constant(check_pressure("pressure", pressure), tf.float64)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, (tf.Tensor, tf.Variable))


def _is_known(value: Any) -> bool:
    return tf.executing_eagerly() or not _is_tensor(value)
