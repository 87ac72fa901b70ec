"""Several replicas of a model on one machine: their rows in its batch, and variables they share.

Sums over several machines are in `workers`.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from typing import TypeVar

import tensorflow as tf

from tfmlselect.distributed import workers

T = TypeVar("T")


def count(model: tf.keras.Model) -> int:
    """In how many replicas a model is trained on this machine."""
    strategy = getattr(model, "distribute_strategy", None)
    return 1 if strategy is None else workers.replicas_here(strategy)


def place_in_batch(counts: tf.Variable, size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Where the rows of a replica stand among all rows; called by each replica in a step.

    A machine's batch is cut into one contiguous part for each replica. How TensorFlow cuts a short
    last batch has changed between its versions, so replicas tell each other how many rows they got.

    Args:
        counts: how many rows the machine had before this step: (replicas,) int64, one entry for
            each replica, all the same.
        size: how many rows this replica has in this step, int64.

    Returns:
        Three int64 scalars, of this machine: this replica's number, the place of its first row
        among all rows so far, and how many rows all replicas have in this step.
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


def outside_scopes(make: Callable[[], T]) -> T:
    """`make()` outside of every strategy's scope: it makes plain variables, shared by all replicas.

    Inside a scope it would make mirrored ones, one copy for each replica, which `scatter_update`
    refuses. A scope belongs to its thread, so a new thread is outside of all of them.
    """
    if not tf.distribute.has_strategy():
        return make()
    with concurrent.futures.ThreadPoolExecutor(1) as other:
        return other.submit(make).result()


def zeros(shape: list[int], dtype: tf.DType) -> tf.Variable:
    """A plain variable of zeros, the same one for all replicas."""
    return outside_scopes(lambda: tf.Variable(tf.zeros(shape, dtype), trainable=False))


def free(variable: tf.Variable) -> None:
    """Gives a variable's memory back while the variable lives on, empty.

    Keras' optimizers keep the graph of each train function alive, and with it all variables that
    the graph reads or writes, also those that nobody else refers to any more.
    """
    nothing = tf.zeros([0, *variable.shape[1:]], variable.dtype)
    tf.raw_ops.AssignVariableOp(resource=variable.handle, value=nothing)
