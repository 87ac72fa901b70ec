"""Several replicas of a model: where each one's rows stand in the batch of all."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfmlselect.distributed import workers


def count(model: Any) -> int:
    """In how many replicas a model is trained on this machine."""
    strategy = getattr(model, "distribute_strategy", None)
    return 1 if strategy is None else workers.replicas_here(strategy)


def place_in_batch(counts: tf.Variable, size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Where the rows of a replica stand among all rows; called by each replica in a step.

    A machine's batch is cut into one contiguous part a replica. How a short last batch is cut is
    TensorFlow's business and has changed: so replicas tell each other their sizes.

    Args:
        counts: rows that there were before this step, kept by each replica: (replicas,) int64.
        size: rows of this replica, int64.

    Returns:
        This replica's number, its first row's place, and the rows of all in this step, on this
        machine: int64 scalars.
    """
    strategy = tf.distribute.get_strategy()
    here = workers.replicas_here(strategy)
    if here == 1:
        number = tf.constant(0, tf.int64)
        return number, tf.gather(counts, number), size
    context = tf.distribute.get_replica_context()
    number = tf.cast(context.replica_id_in_sync_group, tf.int64)
    own = tf.one_hot(number, strategy.num_replicas_in_sync, dtype=tf.int64) * size
    sizes = context.all_reduce(tf.distribute.ReduceOp.SUM, own)
    first, number = number // here * here, number % here
    sizes = sizes[first : first + here]
    before = tf.range(here, dtype=tf.int64) < number
    start = tf.gather(counts, number) + tf.reduce_sum(tf.where(before, sizes, 0))
    return number, start, tf.reduce_sum(sizes)


def unmirrored(make: Callable[[], Any]) -> Any:
    """`make()` outside of every strategy's scope: its variables are plain ones, one for all.

    Mirrored variables cannot be scattered into, and plain ones can be used from replicas. Scopes
    belong to a thread, so that a new one is in none.
    """
    if not tf.distribute.has_strategy():
        return make()
    with concurrent.futures.ThreadPoolExecutor(1) as other:
        return other.submit(make).result()


def zeros(shape: list[int], dtype: tf.DType) -> tf.Variable:
    """A plain variable of zeros, the same one for all replicas."""
    return unmirrored(lambda: tf.Variable(tf.zeros(shape, dtype), trainable=False))


def free(variable: tf.Variable) -> None:
    """Gives a variable's memory back while the variable lives on, empty.

    Keras' optimizers keep the graph of each train function alive, and with it all variables that
    the graph reads or writes, also those that nobody else refers to any more.
    """
    nothing = tf.zeros([0, *variable.shape[1:]], variable.dtype)
    tf.raw_ops.AssignVariableOp(resource=variable.handle, value=nothing)
