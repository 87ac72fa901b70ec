"""Sums, extremes and short texts over all machines (workers) that train one model together.

Under a `tf.distribute.MultiWorkerMirroredStrategy` each worker holds a shard of the samples, and
what is remembered of them stays there. Only what is asked for here crosses the network, once an
epoch: what a distribution over all samples needs of each shard, which does not grow with the number
of samples. On one machine each function gives back what it was given.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

_thread = threading.local()
_LETTERS = 64


def spans_workers(strategy: tf.distribute.Strategy | None) -> bool:
    """Whether a distribution strategy has replicas on other machines than this one."""
    if strategy is None or not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return False
    return bool(strategy.num_replicas_in_sync > replicas_here(strategy))


def replicas_here(strategy: tf.distribute.Strategy) -> int:
    """How many replicas this machine has."""
    if strategy.num_replicas_in_sync == 1:
        return 1
    return len(strategy.extended.worker_devices)


def strategy_of(model: tf.keras.Model) -> tf.distribute.Strategy | None:
    """The strategy that trains a model on several machines; None where one machine does."""
    strategy = getattr(model, "distribute_strategy", None)
    return strategy if spans_workers(strategy) else None


@contextlib.contextmanager
def together(strategy: tf.distribute.Strategy | None) -> Iterator[None]:
    """Inside, in this thread, sums are over all workers of `strategy`; None: over this machine.

    All workers must enter it and ask for the same sums in the same order.
    """
    before = current_strategy()
    _thread.strategy = strategy
    try:
        yield
    finally:
        _thread.strategy = before


def current_strategy() -> tf.distribute.Strategy | None:
    """The strategy that `together` was entered with, or None."""
    return getattr(_thread, "strategy", None)


def _replica() -> tf.distribute.ReplicaContext | None:
    """The replica's context, where this thread runs or traces one of several workers' replicas."""
    context = tf.distribute.get_replica_context()
    return context if context is not None and spans_workers(context.strategy) else None


def are_several() -> bool:
    """Whether sums are over several workers here."""
    return _replica() is not None or current_strategy() is not None


def compiled(ops: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """`ops`, tensors to tensors, as a `tf.function` in which sums can be over all workers.

    It is called through its concrete function. Each distribution strategy has a trace of its own;
    TensorFlow, which counts traces by the line of code, would warn that one function is traced
    again and again.
    """
    functions: dict[Any, Any] = {None: tf.function(ops, autograph=False, **options)}

    def on_replicas(strategy: tf.distribute.Strategy) -> Callable[..., Any]:
        made: Callable[..., Any]
        made = tf.function(lambda *args: strategy.run(ops, args), autograph=False, **options)
        return made

    def call(*args: tf.Tensor) -> Any:
        strategy = current_strategy()
        if strategy is not None and strategy not in functions:
            functions[strategy] = on_replicas(strategy)
        results = functions[strategy].get_concrete_function(*args)(*args)
        if strategy is None:
            return results
        # All replicas here computed the same: the first one's results will do.
        return tf.nest.map_structure(
            lambda result: strategy.experimental_local_results(result)[0], results
        )

    return call


def total(x: Any) -> tf.Tensor:
    """The sum over all workers of the `x`, of any shape, that each of them calls this with."""
    context = _replica()
    if context is None:
        return tf.convert_to_tensor(x) if current_strategy() is None else _at_once(_total, x)
    x = tf.identity(x)  # on the replica's device
    here = replicas_here(context.strategy)
    if here > 1:  # each worker counts once
        x = tf.where(context.replica_id_in_sync_group % here == 0, x, tf.zeros_like(x))
    return context.all_reduce(tf.distribute.ReduceOp.SUM, x)


def each(x: Any) -> tf.Tensor:
    """The `x` that each worker calls this with, one row a worker: (workers, ...)."""
    context = _replica()
    if context is None:
        return tf.convert_to_tensor(x)[None] if current_strategy() is None else _at_once(_each, x)
    x, here = tf.identity(x), replicas_here(context.strategy)
    count = context.num_replicas_in_sync // here
    mine = tf.range(count) == context.replica_id_in_sync_group // here
    mine = tf.reshape(mine, [count] + [1] * x.shape.rank)
    return total(tf.where(mine, x[None], tf.zeros_like(x)[None]))


_VECTOR = [tf.TensorSpec([None], tf.float64)]
_total, _each = (compiled(ops, input_signature=_VECTOR) for ops in (total, each))


def _at_once(ops: Callable[[tf.Tensor], tf.Tensor], x: Any) -> tf.Tensor:
    """Asks from outside of a replica, for one tensor; all go through the same trace, as vectors."""
    x = tf.convert_to_tensor(x)
    flat = ops(tf.reshape(tf.cast(x, tf.float64), [-1]))
    return tf.cast(tf.reshape(flat, [*flat.shape[:-1], *x.shape]), x.dtype)


def label_counts(matrix: np.ndarray) -> np.ndarray:
    """The positives of each label among the samples of all workers: (q,) int64.

    Args:
        matrix: labels of the samples here, (n, q) uint8 0/1.
    """
    return np.asarray(total(matrix.sum(axis=0, dtype=np.int64)))


def lowest(x: tf.Tensor) -> tf.Tensor:
    """The smallest entry of all workers' vectors `x`."""
    return tf.reduce_min(each(tf.reduce_min(x)))


def highest(x: tf.Tensor) -> tf.Tensor:
    """The largest entry of all workers' vectors `x`."""
    return tf.reduce_max(each(tf.reduce_max(x)))


def own_number() -> int:
    """This worker's number, from 0; 0 on one machine."""
    strategy = current_strategy()
    if strategy is None:
        return 0
    mine = tf.function(lambda: strategy.run(_replica_number), autograph=False)()
    return int(strategy.experimental_local_results(mine)[0]) // replicas_here(strategy)


def _replica_number() -> tf.Tensor:
    return tf.identity(tf.distribute.get_replica_context().replica_id_in_sync_group)


def each_text(text: str) -> list[str]:
    """The short `text` that each worker calls this with, cut after 64 bytes: one a worker."""
    letters = np.frombuffer(text.encode()[:_LETTERS].ljust(_LETTERS), np.uint8)
    table = each(letters.astype(np.float64)).numpy().astype(np.uint8)
    return [bytes(row).decode(errors="replace").strip() for row in table]


def machines_in_tf_config() -> int:
    """How many machines TF_CONFIG names for the training."""
    jobs = tf.distribute.cluster_resolver.TFConfigClusterResolver().cluster_spec().as_dict()
    return sum(len(jobs.get(job, ())) for job in ("chief", "worker"))


def check_keras() -> None:
    """Whether Keras can train on the machines that there are; asked when a dataset is made.

    Later is too late: the fit of Keras 3 fails before it calls anything of this package.

    Raises:
        RuntimeError: Keras 3 on several machines, where its `fit` fails.
    """
    if not getattr(tf.keras, "__version__", "2").startswith("3"):
        return
    machines = machines_in_tf_config()
    if machines > 1 or spans_workers(tf.distribute.get_strategy()):
        raise RuntimeError(
            "The fit of Keras 3 cannot train on several machines. Received: "
            f"Keras {tf.keras.__version__}, {machines} machines in TF_CONFIG. Install tf_keras, "
            "set TF_USE_LEGACY_KERAS=1 before TensorFlow is imported, and use tf.keras."
        )


def own_batches(dataset: tf.data.Dataset, batch_size: int) -> tf.data.Dataset:
    """The batches of a worker's own dataset, cut into one part for each of its replicas.

    TensorFlow would deal out batches of one dataset to all workers; this one is not to be dealt.

    Args:
        dataset: whose batches are this worker's alone.
        batch_size: of this worker.
    """
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    here = replicas_here(tf.distribute.get_strategy())
    if here > 1:
        least, more = divmod(batch_size, here)
        dataset = dataset.rebatch([least + 1] * more + [least] * (here - more))
    return dataset.with_options(options)
