"""The adaptive dataset: a `tf.data.Dataset` whose order a callback decides epoch by epoch."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect._checks import check_argument
from tfmlselect._warn import warn
from tfmlselect.distributed import workers
from tfmlselect.labels import LabelStatistics, label_statistics
from tfmlselect.pipeline import sample_maps
from tfmlselect.pipeline.inspection import Inspection, inspect_selection
from tfmlselect.pipeline.selection import Selection
from tfmlselect.strategies import Strategy

_NO_ORDER = "it changes which samples a batch holds, and the recorder knows samples by their place"
_NO_REPEAT = "`fit(epochs=...)` goes through the dataset once an epoch already"
_FROZEN = "it would keep the first epoch's samples for all later ones"
_REFUSED = {
    "batch": "the batches are made already: `batch_size` is an argument of the selection",
    "bucket_by_sequence_length": _NO_ORDER,
    "cache": _FROZEN,
    "concatenate": _NO_ORDER,
    "filter": _NO_ORDER,
    "flat_map": _NO_ORDER,
    "group_by_window": _NO_ORDER,
    "ignore_errors": _NO_ORDER,
    "interleave": _NO_ORDER,
    "padded_batch": "the batches are made already: `batch_size` is an argument of the selection",
    "ragged_batch": "the batches are made already: `batch_size` is an argument of the selection",
    "rejection_resample": _NO_ORDER,
    "repeat": _NO_REPEAT,
    "sample_from_datasets": _NO_ORDER,
    "save": _FROZEN,
    "scan": _NO_ORDER,
    "shard": _NO_ORDER,
    "shuffle": "the order is the strategy's, and it is shuffled already",
    "skip": _NO_ORDER,
    "snapshot": _FROZEN,
    "sparse_batch": "the batches are made already: `batch_size` is an argument of the selection",
    "take_while": _NO_ORDER,
    "unbatch": _NO_ORDER,
    "unique": _NO_ORDER,
    "window": _NO_ORDER,
}


class AdaptiveDataset(tf.data.Dataset):
    """Batches in the order that a strategy planned; made by `tfmlselect.adaptive_dataset`.

    A dataset of known length like any other: `map`, `map_samples`, `prefetch` and `with_options`
    give an adaptive dataset again, and what would break the order raises. While a fit runs with
    `AdaptiveBatchSelection(dataset)`, every iteration goes through the epoch's plan; otherwise, and
    as soon as the fit is interrupted, every iteration is a fresh permutation of the training set,
    or with `samples_per_epoch` a part of one. Iterating disturbs nothing, also in another thread.
    `take(k)` gives a plain dataset, for a look.
    """

    def __init__(self, selection: Selection, transforms: tuple[Callable, ...] = ()):
        if not isinstance(selection, Selection):
            raise TypeError(
                "An AdaptiveDataset is made by the package's functions. Received: selection of "
                f"type {type(selection).__name__}. Call tfmlselect.adaptive_dataset((x, y), ...) "
                "for arrays, or source.apply(tfmlselect.adaptive(...)) for a stream."
            )
        plan = selection.plan
        self._selection = selection
        self._transforms = transforms
        self._inner = self._transformed(_counted(selection.source.batches(plan), plan.steps))
        # The iterator that the fit was given last, weakly; the epoch then, and how often the plan
        # was fetched.
        self._latest: tuple[Callable, int, int] = (lambda: None, 0, 0)
        # The one private name of TensorFlow in this package: a dataset is its variant tensor.
        super().__init__(self._inner._variant_tensor)

    def _inputs(self) -> list[tf.data.Dataset]:
        return [self._inner]

    @property
    def element_spec(self) -> Any:
        """The type of a batch."""
        return self._inner.element_spec

    @property
    def strategy(self) -> Strategy:
        """The strategy that selects.

        It counts the samples that it was built on; those of weight 0 are not among them.
        """
        return self._selection.strategy

    @property
    def label_names(self) -> tuple[str, ...] | None:
        """The q names of the labels, or None."""
        return self._selection.source.labels.names

    @property
    def label_matrix(self) -> np.ndarray:
        """The labels of all samples, (n, q) uint8 0/1, as the strategy has them; read-only.

        With unknown labels float32, and NaN where one is. Rows of samples of weight 0, which are
        left out, are 0.
        """
        source = self._selection.source
        matrix = source.kept.spread(source.labels.table()).view()
        matrix.flags.writeable = False
        return matrix

    def label_statistics(self) -> LabelStatistics:
        """What `tfmlselect.label_statistics` measures of these labels, with their names.

        Warns:
            UserWarning: labels without positives; they are left out of MeanIR and CVIR.

        Example:
            >>> import numpy as np, tfmlselect as tfml
            >>> y = np.array([[1, 0], [1, 0], [1, 1], [0, 1]])
            >>> train = tfml.adaptive_dataset(
            ...     (y, y), "uniform", batch_size=2, label_names=["sea", "boat"]
            ... )
            >>> train.label_statistics().counts, train.label_statistics().label_names
            (array([3, 2]), ('sea', 'boat'))
        """
        labels = self._selection.source.labels
        missing = None if labels.known is None else float("nan")
        return label_statistics(labels.table(), labels.names, missing=missing)

    @property
    def probabilities(self) -> np.ndarray:
        """The distribution of the epoch that comes next, or runs now, (n,) float64; sums to 1.

        Of all samples that were given: 0 for those of weight 0, which are left out.
        """
        selection = self._selection
        return selection.source.kept.spread(selection.distribution.probabilities.copy())

    @property
    def mass(self) -> float:
        """The share of the whole distribution that these samples have.

        1.0; less where several machines train, each on a shard of the samples: the workers'
        `mass * probabilities` together are the distribution over all of them.
        """
        return self._selection.distribution.mass

    @property
    def epoch(self) -> int:
        """Epochs completed; a second fit of the same model goes on from here."""
        return self._selection.epoch

    @property
    def plan(self) -> np.ndarray | None:
        """The samples of the epoch that comes next, or runs now, in the order of training.

        (draws,) int64 ids, read-only, `batch_size` of them a batch; None while no fit is attached,
        when every iteration is a fresh permutation.
        """
        selection = self._selection
        ids = selection.plan.ids if selection.attached else None
        if ids is None:
            return None
        given = selection.source.kept.as_given(ids)
        given.setflags(write=False)
        return given

    def inspect(self, k: int = 10, *, label_names: Sequence[str] | None = None) -> Inspection:
        """The samples that are drawn most and least, and why: `print` it, or take its arrays.

        Shows the distribution of the epoch that comes next, or runs now, the latest predictions
        that the strategy keeps, and the parts that its scores add up from. What is drawn most is
        hard, uncertain, rare or mislabelled: look at the samples. Before the first epoch and in
        the warm-up all samples are drawn alike, and the order is that of the data.

        Predictions and parts are of what is recorded now. With `AdaptiveBatchSelection(every=...)`
        above 1 the distribution may be some epochs older. Sample i is the i-th row of x and y, or
        the i-th element of the stream. On several machines the samples are those of this worker,
        and all workers must call it together. Labels that are unknown are not shown.

        Args:
            k: how many of either, from 1 to n // 2.
            label_names: q names, for the table; None: those of the dataset, or numbers.

        Raises:
            ValueError: `k` is not in range, or there are not q label names.

        Example:
            >>> import numpy as np, tfmlselect as tfml
            >>> y = np.array([[1, 0], [1, 0], [1, 1], [0, 1]])
            >>> train = tfml.adaptive_dataset((y, y), "label_balanced", batch_size=2, seed=0)
            >>> found = train.inspect(k=1, label_names=["sea", "boat"])
            >>> print(found)
            LabelBalanced after 0 epochs: the most and the least drawn of 4 samples; all are ...
            <BLANKLINE>
            sample    p n  labels
                 0  1.000  sea
            ...
                 3  1.000  boat
            >>> found.to_dict()["labels"]
            [['sea'], ['boat']]
        """
        return inspect_selection(self._selection, k, label_names)

    def in_order(self) -> tf.data.Dataset:
        """All samples once, in the order they were given, through the same `map` calls.

        For `model.evaluate`, `model.predict` and scoring. Without importance weights. Samples of
        weight 0, which are never drawn, are among them, with their weight.
        """
        return self._in_order(kept_alone=False)

    def _in_order(self, kept_alone: bool) -> tf.data.Dataset:
        """As `in_order`: all samples that were given, or those alone that are drawn from."""
        source, plan = self._selection.source, self._selection.plan
        samples = source.in_order(plan.batch_size, kept_alone)
        count = source.n if kept_alone else source.kept.given
        if plan.options.weighs and len(samples.element_spec) == 2:
            # What is mapped over batches with importance weights finds a third element here too.
            parts = source.labels.parts

            def add_ones(x, y):
                labels = y[parts[0][0]] if parts else y
                return x, y, tf.ones(tf.shape(labels)[:1])

            samples = samples.map(add_ones)
        return self._transformed(_counted(samples, -(-count // plan.batch_size)))

    def _transformed(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        for transform in self._transforms:
            dataset = transform(dataset)
        return dataset

    def _then(self, transform: Callable) -> AdaptiveDataset:
        return AdaptiveDataset(self._selection, (*self._transforms, transform))

    def map(
        self, map_func, num_parallel_calls=None, deterministic=None, **options
    ) -> AdaptiveDataset:
        """As `tf.data.Dataset.map`, batch by batch, in order; `map_samples` is for single samples.

        Raises:
            ValueError: `deterministic=False`, which lets batches overtake each other.
            Exception: of whatever type the function's own is; where it would do for single samples,
                that is said.
        """
        if deterministic is False:
            raise ValueError(
                "An adaptive dataset keeps its order. Received: deterministic=False. Leave it out."
            )
        try:
            return self._then(
                lambda dataset: (
                    dataset.map(
                        map_func,
                        num_parallel_calls=num_parallel_calls,
                        deterministic=True,
                        **options,
                    )
                    if num_parallel_calls is not None
                    else dataset.map(map_func, **options)
                )
            )
        except Exception as error:
            self._check_takes_elements(map_func, error)
            if sample_maps.is_for_samples(map_func, self._inner):
                raise sample_maps.told_of_samples(error) from error
            raise

    def _check_takes_elements(self, function: Callable, error: Exception) -> None:
        """Says so if a function failed because it takes fewer arguments than elements have parts.

        Raises:
            TypeError: it does.
        """
        parts = len(self.element_spec) if isinstance(self.element_spec, tuple) else 1
        try:
            inspect.signature(function).bind(*range(parts))
        except TypeError:
            raise TypeError(
                "The function of a map gets all that a batch holds as its arguments, (x, y) or "
                f"(x, y, sample_weight). Received: {inspect.signature(function)} for {parts} of "
                "them. Give it as many, and return what it does not change."
            ) from error
        except ValueError:  # it has no signature
            return

    def map_samples(self, map_func: Callable) -> AdaptiveDataset:
        """Applies a function to each sample of the batches, several batches at a time, in order.

        For what works on one sample alone, such as decoding the file of a path. What works on
        whole batches is faster in `map`. Random numbers of the function are other ones in each run.

        Args:
            map_func: a function of `(x, y)` or `(x, y, sample_weight)` of one sample, without the
                batch's dimension, as `map` has it after `unbatch`. It returns the sample anew. Its
                results must have one shape in all samples; where that is not known before, it is
                taken from the first sample, which is read at once.

        Raises:
            ValueError: `map_func` is no function; or batches without a row for each sample.

        Example:
            >>> import numpy as np, tensorflow as tf, tfmlselect as tfml
            >>> texts, y = ["1 2", "3 4", "5 6", "7 8"], np.eye(4)
            >>> train = tfml.adaptive_dataset((texts, y), batch_size=2, seed=0)
            >>> def read(text, y):
            ...     return tf.strings.to_number(tf.strings.split(text)), y
            >>> train.map_samples(read).element_spec[0].shape
            TensorShape([2, 2])
        """
        check_argument(
            callable(map_func),
            "map_func",
            map_func,
            "a function of one sample",
            "Pass a function of (x, y), or (x, y, sample_weight), that returns the same",
        )
        kept = self._in_order(kept_alone=True)  # one of weight 0 may not be readable
        try:
            function = sample_maps.for_batches(map_func, kept)
        except Exception as error:
            self._check_takes_elements(map_func, error)
            raise
        return self.map(function, num_parallel_calls=tf.data.AUTOTUNE)

    def prefetch(self, buffer_size, name=None) -> AdaptiveDataset:
        """As `tf.data.Dataset.prefetch`."""
        return self._then(lambda dataset: dataset.prefetch(buffer_size, name=name))

    def with_options(self, options, name=None) -> AdaptiveDataset:
        """As `tf.data.Dataset.with_options`.

        Raises:
            ValueError: options that give up the order, or that read a plan before its epoch.
        """
        if options.deterministic is False:
            raise ValueError(
                "An adaptive dataset keeps its order. "
                "Received: options.deterministic=False. Leave it unset."
            )
        if options.experimental_warm_start:
            raise ValueError(
                "A warm start would fetch batches before their epoch is planned. "
                "Received: options.experimental_warm_start=True. Leave it unset."
            )
        return self._then(lambda dataset: dataset.with_options(options, name=name))

    def rebatch(self, batch_size=None, drop_remainder=False, name=None) -> tf.data.Dataset:
        """Cuts each batch into parts, one for each replica, as `tf.distribute` does; others raise.

        Where several machines train, the batches are this one's, and are cut for its replicas.

        Args:
            batch_size: vector of sizes that add up to a batch.
            drop_remainder, name: as `tf.data.Dataset.rebatch`.

        Raises:
            TypeError: any other sizes.
        """
        sizes = tf.get_static_value(batch_size) if tf.is_tensor(batch_size) else batch_size
        if sizes is None or np.ndim(sizes) != 1 or np.sum(sizes) != self._selection.plan.batch_size:
            raise _refusal("rebatch", _NO_ORDER)
        if workers.spans_workers(tf.distribute.get_strategy()):
            return workers.own_batches(self._inner, int(np.sum(sizes)))
        return self._inner.rebatch(batch_size, drop_remainder, name=name)

    def __iter__(self):
        if not self._selection.attached and self._selection.first_time("not attached"):
            warn(
                "This adaptive dataset is not attached to a callback: each iteration is a fresh "
                "uniform permutation. Received: an iteration outside of a fit with "
                "AdaptiveBatchSelection. For adaptive batches call model.fit(train, "
                "callbacks=[tfmlselect.AdaptiveBatchSelection(train)]). To look at a batch "
                "quietly, use train.take(1); for all samples, train.in_order().",
            )
        # Keras 3 makes an iterator at an epoch's end, drops it unread and makes the next. Each
        # costs some milliseconds: an unread one of an earlier epoch serves as new. Whoever else
        # iterates gets one of their own.
        selection = self._selection
        if selection.fit is None or not selection.fit.fetches_data():
            return iter(self._inner)
        reference, epoch, fetches = self._latest
        iterator = reference()
        unread = iterator is not None and fetches == selection.plan.fetches
        if not (unread and epoch < selection.epoch):
            iterator = iter(self._inner)
        self._latest = (weakref.ref(iterator), selection.epoch, selection.plan.fetches)
        return iterator

    def __repr__(self) -> str:
        selection = self._selection
        return (
            f"<AdaptiveDataset: {selection.source.kept}, {selection.source.labels.q} labels, "
            f"{selection.plan.steps} batches of {selection.plan.batch_size}, "
            f"{selection.strategy!r}, {self.epoch} epochs completed>"
        )


def _counted(dataset: tf.data.Dataset, steps: int) -> tf.data.Dataset:
    """The dataset with its length asserted, fetched ahead."""
    counted = dataset.apply(tf.data.experimental.assert_cardinality(steps))
    return counted.prefetch(tf.data.AUTOTUNE)


def _refusal(name: str, reason: str) -> TypeError:
    remedy = "Leave it out"
    if reason == _NO_ORDER:
        remedy = (
            "Do it to the samples, before selection, or use `.map`, which sees whole batches, or "
            "`.map_samples`"
        )
    return TypeError(
        f"`{name}` cannot follow an adaptive dataset: {reason}. Received: .{name}(...). {remedy}."
    )


def _refuse(name: str, reason: str) -> Callable:
    def method(self, *args, **kwargs):
        raise _refusal(name, reason)

    method.__name__ = name
    method.__doc__ = f"Raises a TypeError: {reason}."
    return method


for _name, _reason in _REFUSED.items():
    setattr(AdaptiveDataset, _name, _refuse(_name, _reason))
