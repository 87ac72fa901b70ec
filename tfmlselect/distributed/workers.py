"""Several machines: what is of all of them crosses the network, once an epoch.

Under a `tf.distribute.MultiWorkerMirroredStrategy` each worker holds a shard of the samples and
what is remembered of them. A distribution over all samples needs a few figures of all shards:
sums, extremes, histograms, none of which grows with the number of samples. Strategies ask for them
here; on one machine each function gives back what it was given.
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


def spans_workers(strategy: Any) -> bool:
    """Whether a distribution strategy has replicas on other machines than this one."""
    several = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
    return several and strategy.num_replicas_in_sync > replicas_here(strategy)


def replicas_here(strategy: Any) -> int:
    """How many replicas this machine has."""
    if strategy.num_replicas_in_sync == 1:
        return 1
    return len(strategy.extended.worker_devices)


def of_model(model: Any) -> Any:
    """The strategy that trains a model on several machines; None where one machine does."""
    strategy = getattr(model, "distribute_strategy", None)
    return strategy if spans_workers(strategy) else None


@contextlib.contextmanager
def sharing(strategy: Any) -> Iterator[None]:
    """Inside, in this thread, figures are of all workers of `strategy`; None: of this machine.

    All workers must enter it and ask for the same figures in the same order.
    """
    before = shared_by()
    _thread.strategy = strategy
    try:
        yield
    finally:
        _thread.strategy = before


def shared_by() -> Any:
    """The strategy that `sharing` was entered with, or None."""
    return getattr(_thread, "strategy", None)


def _replica() -> Any:
    """The context of a replica of several workers that runs, or is traced, in this thread."""
    context = tf.distribute.get_replica_context()
    return context if context is not None and spans_workers(context.strategy) else None


def several() -> bool:
    """Whether figures are of several workers here."""
    return _replica() is not None or shared_by() is not None


def compiled(ops: Callable, **options: Any) -> Callable:
    """`ops`, tensors to tensors, as a `tf.function` in which figures can be of all workers.

    Called through its concrete function: each strategy object traces its own, once, which
    TensorFlow, counting traces by the line of code, would take for one function that is traced
    again and again, and warn.
    """
    functions: dict[Any, Any] = {None: tf.function(ops, autograph=False, **options)}

    def call(*args):
        strategy = shared_by()
        if strategy not in functions:
            functions[strategy] = tf.function(
                lambda *args: strategy.run(ops, args), autograph=False, **options
            )
        results = functions[strategy].get_concrete_function(*args)(*args)
        if strategy is None:
            return results
        # All local replicas computed the same: one of them is enough.
        return tf.nest.map_structure(
            lambda result: strategy.experimental_local_results(result)[0], results
        )

    return call


def total(x: Any) -> tf.Tensor:
    """The sum over all workers of what each of them calls this with, of any shape."""
    context = _replica()
    if context is None:
        return tf.convert_to_tensor(x) if shared_by() is None else _at_once(_total, x)
    x = tf.identity(x)  # on the replica's device
    here = replicas_here(context.strategy)
    if here > 1:  # each worker counts once
        x = tf.where(context.replica_id_in_sync_group % here == 0, x, tf.zeros_like(x))
    return context.all_reduce(tf.distribute.ReduceOp.SUM, x)


def each(x: Any) -> tf.Tensor:
    """What each worker calls this with, one row a worker: (workers, ...)."""
    context = _replica()
    if context is None:
        return tf.convert_to_tensor(x)[None] if shared_by() is None else _at_once(_each, x)
    x, here = tf.identity(x), replicas_here(context.strategy)
    count = context.num_replicas_in_sync // here
    mine = tf.range(count) == context.replica_id_in_sync_group // here
    mine = tf.reshape(mine, [count] + [1] * x.shape.rank)
    return total(tf.where(mine, x[None], tf.zeros_like(x)[None]))


_VECTOR = [tf.TensorSpec([None], tf.float64)]
_total, _each = (compiled(ops, input_signature=_VECTOR) for ops in (total, each))


def _at_once(ops: Callable, x: Any) -> tf.Tensor:
    """Outside of a replica: one call for one tensor, which all go through the same trace."""
    x = tf.convert_to_tensor(x)
    flat = ops(tf.reshape(tf.cast(x, tf.float64), [-1]))
    return tf.cast(tf.reshape(flat, [*flat.shape[:-1], *x.shape]), x.dtype)


def label_counts(matrix: np.ndarray) -> np.ndarray:
    """The positives of each label among the samples of all workers: (q,) int64.

    Args:
        matrix: labels of the samples here, (n, q) uint8 0/1.
    """
    return total(matrix.sum(axis=0, dtype=np.int64)).numpy()


def lowest(x: tf.Tensor) -> tf.Tensor:
    """The smallest entry of all workers' vectors `x`."""
    return tf.reduce_min(each(tf.reduce_min(x)))


def highest(x: tf.Tensor) -> tf.Tensor:
    """The largest entry of all workers' vectors `x`."""
    return tf.reduce_max(each(tf.reduce_max(x)))


def number() -> int:
    """This worker's number, from 0; 0 on one machine."""
    strategy = shared_by()
    if strategy is None:
        return 0
    mine = tf.function(lambda: strategy.run(_replica_number), autograph=False)()
    return int(strategy.experimental_local_results(mine)[0]) // replicas_here(strategy)


def _replica_number() -> tf.Tensor:
    return tf.identity(tf.distribute.get_replica_context().replica_id_in_sync_group)


def words(said: str) -> list[str]:
    """What each worker says, a few words."""
    letters = np.frombuffer(said.encode()[:_LETTERS].ljust(_LETTERS), np.uint8)
    table = each(letters.astype(np.float64)).numpy().astype(np.uint8)
    return [bytes(row).decode(errors="replace").strip() for row in table]


def machines() -> int:
    """How many machines TF_CONFIG names to train on."""
    jobs = tf.distribute.cluster_resolver.TFConfigClusterResolver().cluster_spec().as_dict()
    return sum(len(jobs.get(job, ())) for job in ("chief", "worker"))


def check_keras() -> None:
    """Called where a dataset is made: the fit of Keras 3 would fail before it calls us.

    Raises:
        RuntimeError: Keras 3 on several machines, where its `fit` fails.
    """
    if not getattr(tf.keras, "__version__", "2").startswith("3"):
        return
    if machines() > 1 or spans_workers(tf.distribute.get_strategy()):
        raise RuntimeError(
            "The fit of Keras 3 cannot train on several machines. Received: "
            f"Keras {tf.keras.__version__}, {machines()} machines in TF_CONFIG. Install tf_keras, "
            "set TF_USE_LEGACY_KERAS=1 before TensorFlow is imported, and use tf.keras."
        )


def own_batches(dataset: tf.data.Dataset, batch_size: int) -> tf.data.Dataset:
    """A worker's own batches, as they are, cut for its replicas.

    Args:
        dataset: whose batches are this worker's, not those of all workers.
        batch_size: of this worker.
    """
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    here = replicas_here(tf.distribute.get_strategy())
    if here > 1:
        least, more = divmod(batch_size, here)
        dataset = dataset.rebatch([least + 1] * more + [least] * (here - more))
    return dataset.with_options(options)
