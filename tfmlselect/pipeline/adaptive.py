"""The two entry functions: `adaptive_dataset` for arrays, `adaptive` for streams."""

from __future__ import annotations

import contextlib
import difflib
import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, cast

import tensorflow as tf

from tfmlselect import strategies
from tfmlselect._checks import check_flag, check_missing, check_whole, shown
from tfmlselect._progress import check_verbose, verbosity
from tfmlselect.pipeline.arrays import ArraySource
from tfmlselect.pipeline.dataset import AdaptiveDataset
from tfmlselect.pipeline.label_reading import LabelReading
from tfmlselect.pipeline.plan import PlanOptions
from tfmlselect.pipeline.py_datasets import PyDatasetBatches, is_py_dataset
from tfmlselect.pipeline.selection import Selection
from tfmlselect.pipeline.streams import StreamSource, check_window
from tfmlselect.schedules import Schedule
from tfmlselect.strategies import Strategy

Function = TypeVar("Function", bound=Callable[..., Any])


def _names_unknown_arguments(function: Function) -> Function:
    """A function whose error on an unknown keyword says what was meant."""
    parameters = inspect.signature(function).parameters

    @functools.wraps(function)
    def checked(*args: Any, **options: Any) -> Any:
        unknown = {name: value for name, value in options.items() if name not in parameters}
        if unknown:
            given = {**dict(zip(parameters, args, strict=False)), **options}
            raise _unknown_arguments(function, unknown, given.get("strategy", _DEFAULT))
        return function(*args, **options)

    return cast(Function, checked)


def _unknown_arguments(function: Callable, unknown: dict[str, Any], strategy: Any) -> TypeError:
    """What is raised for keywords that a function does not take."""
    own = [*inspect.signature(function).parameters]
    received = ", ".join(f"{name}={shown(value)}" for name, value in unknown.items())
    if isinstance(strategy, str) and strategy in strategies.names():
        strategy = strategies.get(strategy)
    if isinstance(strategy, Strategy):
        kind = type(strategy)
        if unknown.keys() <= inspect.signature(kind).parameters.keys():
            return TypeError(
                "Arguments of a strategy go to its object. Received: "
                f"{received}. Pass tfmlselect.strategies.{kind.__name__}({received}) as the "
                "strategy."
            )
    first = next(iter(unknown))
    close = difflib.get_close_matches(first.lower(), own, n=1, cutoff=0.75)
    hint = f"Did you mean {close[0]!r}? " if close else _belongs(first)
    return TypeError(
        f"No such argument. Received: {received}. {hint}`{function.__name__}` takes "
        f"{', '.join(own)}."
    )


def _belongs(name: str) -> str:
    """Where an argument that neither function has belongs."""
    places = {
        "It is an argument of AdaptiveBatchSelection. ": _OF_CALLBACK,
        "It is an argument of `adaptive`, which selects from streams. ": _OF_STREAMS,
        "It belongs to arrays; the weights of a stream are its third element. ": ("sample_weight",),
        "The selection orders the samples itself. ": ("shuffle", "shuffle_buffer_size"),
        "It is called `seed` here. ": ("random_state", "random_seed"),
        "Weights of samples are `sample_weight`. ": ("weights", "weight", "sample_weights"),
        "Weights of labels go into the loss: tfmlselect.losses.PositiveWeights. ": (
            "class_weight",
            "class_weights",
            "pos_weight",
        ),
    }
    for text, names in places.items():
        if name in names:
            return text
    takers = [
        each
        for each in strategies.__all__
        if isinstance(getattr(strategies, each), type)
        and name in inspect.signature(getattr(strategies, each)).parameters
    ]
    if not takers:
        return ""
    more = " and others" if len(takers) > 1 else ""
    return f"It is an argument of strategies.{takers[0]}{more}. "


_DEFAULT = "adaptive_balance"
_OF_STREAMS = ("window", "batched", "x_changes")
_OF_CALLBACK = (
    "scores",
    "every",
    "signal",
    "output",
    "from_logits",
    "check_order",
    "backup_dir",
    "backup_required",
    "state_device",
    "log_dir",
    "verbose_logs",
)


@_names_unknown_arguments
def adaptive_dataset(
    data: tuple[Any, Any],
    strategy: str | Strategy = "adaptive_balance",
    batch_size: int = 32,
    *,
    seed: int | None = None,
    drop_remainder: bool = False,
    samples_per_epoch: int | None = None,
    draws: str = "systematic",
    importance_weights: float | Schedule = 0.0,
    epochs: int | None = None,
    features: Any = None,
    neighbors: Any = None,
    sample_weight: Any = None,
    labels: str | int | Sequence[str | int] | None = None,
    label_names: Sequence[str] | None = None,
    missing: float | None = None,
    verbose: int = 1,
) -> AdaptiveDataset:
    """Makes a dataset whose batches a strategy selects while a model trains on it.

    Pass it to `model.fit` together with `AdaptiveBatchSelection(dataset)`.

    Args:
        data: `(x, y)`. x: any structure (dict, tuple, nested) of arrays with n rows: numpy,
            scipy.sparse or tf.SparseTensor (rows become dense), np.memmap (stays on disk), tensors,
            tables of numbers and truth values, lists of strings or of paths.
            y: 0/1 labels (n, q), dense or sparse; or integer class ids (n,) for single-label
            data; or, for models with several outputs, a dict or tuple of arrays, of which `labels`
            says which are the labels. Batches hold x and y as given; float64 becomes Keras' floatx.
        strategy: a name from `tfmlselect.strategies.names()`, or a `Strategy` object. The default
            gives labels draws by what each still lacks; it looks at labels and predictions alone.
        batch_size: samples a batch, at most n.
        seed: makes plans repeatable; None: a new one each time.
        drop_remainder: leaves out the last n mod batch_size draws, so that all batches are whole.
        samples_per_epoch: draws an epoch of `fit`, from batch_size to n: the distribution then
            changes within a pass over the data. Whole numbers of epochs in schedules and `warmup`
            go on counting passes. None: a pass an epoch.
        draws: "systematic": of m draws an epoch sample i gets `m p_i` in the mean; what it
            was owed and did not get is carried over, equal probabilities are a permutation, and
            no sample comes more often than there are whole batches.
            "independent": each batch is drawn on its own, as the published strategies do it, and
            an epoch misses about a third of the samples.
        importance_weights: the exponent κ of `(n p_i)^-κ`, by which each draw is weighed as the
            third element of the batch, a number in [0, 1] or a `tfmlselect.schedules.Schedule`.
            Their mean is 1 an epoch, and `sample_weight` is multiplied in. 0: no weights. 1:
            gradients are those of uniform batches in expectation.
        epochs: the run's length for schedules, as `fit` counts them, where the fit's own number is
            not it: `epochs=1000` with early stopping, or a loop over `fit(epochs=1)`. None: that
            of the fit.
        features: for strategies that search neighbours, (n, d) array or sparse matrix that they are
            searched in where x will not do (images, text, several inputs, memory maps).
        neighbors: for the same, precomputed (n, k) ids of nearest neighbours, nearest first.
        sample_weight: (n,) numbers >= 0, or truth values, the third element of each batch. Samples
            of weight 0 are left out: they are never drawn, n counts the others in what is said of
            epochs and batches, and all are numbered as they were given.
        labels: where y is a dict or a tuple, the key or index of the part that is the labels; or a
            list of them, each a column (n,) or a matrix (n, q) of 0 and 1, whose columns together
            are the labels, in this order. The rest of y goes along. `AdaptiveBatchSelection` then
            records the model's outputs of these names, side by side. None: y is the labels.
        label_names: q names, which `inspect` and the callback use too. None: the columns' names
            where y is a DataFrame, the keys of parts of one column, else the columns' numbers.
        missing: what stands in y where a label is unknown, NaN or a number below 0. Such entries
            take no part in anything that selection measures; the model gets y as it is, for a
            masked loss. None: all labels are known.
        verbose: 1 shows how far the search of neighbours is, where it takes longer than 2 s; 0 is
            silent.

    Returns:
        An `AdaptiveDataset` of `(x, y)` or `(x, y, sample_weight)` batches.

    Raises:
        ValueError: x and y of different lengths, y with anything but 0, 1 and `missing`, fewer
            than two columns, several parts of y of which none is named, NaN in x or features, no
            samples, n < batch_size, `samples_per_epoch` above n or below batch_size, negative
            weights or zeros alone, an unknown strategy, another argument outside its range.
        TypeError: `data` is no pair.
        RuntimeError: several machines with Keras 3, which cannot train on them.

    Example:
        >>> import numpy as np, tensorflow as tf, tfmlselect as tfml
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=(64, 8)).astype("float32")
        >>> y = (x[:, :3] > 1).astype("float32")
        >>> train = tfml.adaptive_dataset((x, y), batch_size=16, seed=0)
        >>> model = tf.keras.Sequential([tf.keras.layers.Dense(3, activation="sigmoid")])
        >>> model.compile("adam", "binary_crossentropy")
        >>> history = model.fit(
        ...     train, epochs=3, verbose=0, callbacks=[tfml.AdaptiveBatchSelection(train)]
        ... )
        >>> train.epoch, len(train)
        (3, 4)
    """
    if isinstance(data, tf.data.Dataset):
        raise TypeError(
            "`adaptive_dataset` selects by row number and needs arrays. Received: a "
            f"{type(data).__name__}. Use source.apply(tfmlselect.adaptive(...)) for a stream; or "
            "pass (x, y) as arrays, np.memmap or file paths, and decode files in "
            "`.map_samples`."
        )
    if is_py_dataset(data):
        raise TypeError(
            "`adaptive_dataset` selects by row number and needs arrays. Received: a PyDataset, "
            f"{type(data).__name__}, which is read batch after batch. Select from it as from a "
            f"stream: tfmlselect.adaptive(batch_size={batch_size}, window=...)(sequence)."
        )
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        size = ""
        with contextlib.suppress(TypeError):  # what has no length
            size = f" of length {len(data)}"
        raise TypeError(
            f"`data` must be the pair (x, y). Received: {type(data).__name__}{size}. "
            "Pass adaptive_dataset((x, y), ...); sample weights go into `sample_weight=`."
        )
    check_verbose(verbose)
    epochs = None if epochs is None else check_whole("epochs", epochs, 1)
    options = PlanOptions(
        batch_size, seed, drop_remainder, samples_per_epoch, draws, importance_weights
    )
    reading = LabelReading(label_names, labels, check_missing("missing", missing))
    source = ArraySource(*data, sample_weight, features, neighbors, reading)
    return AdaptiveDataset(
        Selection(source, strategies.get(strategy), source.make_plan(options), epochs, verbose)
    )


@_names_unknown_arguments
def adaptive(
    strategy: str | Strategy = "adaptive_balance",
    batch_size: int = 32,
    *,
    window: int = 16384,
    seed: int | None = None,
    drop_remainder: bool = False,
    samples_per_epoch: int | None = None,
    importance_weights: float | Schedule = 0.0,
    epochs: int | None = None,
    features: Any = None,
    neighbors: Any = None,
    labels: str | int | Sequence[str | int] | None = None,
    label_names: Sequence[str] | None = None,
    missing: float | None = None,
    batched: bool | None = None,
    x_changes: bool = False,
    verbose: int = 1,
) -> Callable[[Any], AdaptiveDataset]:
    """Selects from a stream, for data larger than memory: `source.apply(adaptive(...))`.

    The source is a finite dataset of single samples, `(x, y)` or `(x, y, sample_weight)`, that
    gives them in the same order in every pass; y is a 0/1 vector (q,) or a class id, or a dict or
    tuple of which `labels` names the parts that are, and the weight one number, where 0 leaves a
    sample out, as in `adaptive_dataset`. It is read from front to back once an epoch, `window`
    samples at a time; the last window may be up to twice as long. In one pass when this is applied
    samples are counted, labels collected, shapes that the source does not know seen, and each x
    gets a checksum, by which later passes are compared.

    A `tf.keras.utils.PyDataset` (`Sequence` in Keras 2) is a source too:
    `adaptive(...)(sequence)`. Its batches 0, 1, ... are read in this order and taken apart;
    `on_epoch_end` is not called, so what it shuffles there stays in order. Batches are `(x, y)` or
    `(x, y, sample_weight)` of NumPy arrays, and differ in their number of rows alone; float64
    becomes Keras' floatx. Its `workers` are threads; processes are not used.

    An epoch is drawn as in `adaptive_dataset`, but for the order: samples are shuffled inside
    windows, so a batch holds samples of one window, or of two neighbouring ones. Shuffle a sorted
    source once, on disk. With `samples_per_epoch` each epoch still reads the whole source.

    Args:
        strategy: as in `adaptive_dataset`.
        batch_size: samples a batch.
        window: samples that are shuffled together, at least four batches.
        seed: makes plans repeatable; None: a new one each time.
        drop_remainder: leaves out the last n mod batch_size draws.
        samples_per_epoch, importance_weights, epochs: as in `adaptive_dataset`.
        features: for strategies that search neighbours, (n, d) array that they are searched in, or
            a function of x that gives a vector (d,), which is called in the pass that collects
            labels.
        neighbors: for the same, precomputed (n, k) ids of nearest neighbours, nearest first.
        labels: which parts of a y that is a dict or a tuple are the labels, as in
            `adaptive_dataset`.
        label_names: q names, which `inspect` and the callback use too. None: the keys of parts of
            one column, else the columns' numbers.
        missing: as in `adaptive_dataset`.
        batched: True: the source has batches, which are taken apart. False: it has samples. None:
            it has samples, and what looks like batches is an error. Of a PyDataset, which has
            batches always, nothing need be said.
        x_changes: whether x is another one in each pass on purpose, as by random augmentation
            before selection. Then nobody notices files that come in another order.
        verbose: 1 shows how far the pass over the labels and the search of neighbours are, where
            they take longer than 2 s; 0 is silent.

    Returns:
        A function of the source that gives an `AdaptiveDataset`.

    Raises:
        ValueError: `verbose` is neither 0 nor 1.
        TypeError: when applied: no dataset, or a source of other elements.
        ValueError: when applied: a source of infinite length, or of another one than it says, or
            whose order or x changes; samples of different shapes; a window of less than four
            batches; labels and weights as in `adaptive_dataset`.

    Example:
        >>> import numpy as np, tensorflow as tf, tfmlselect as tfml
        >>> x = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
        >>> source = tf.data.Dataset.from_tensor_slices((x, (x[:, :3] > 1).astype("float32")))
        >>> train = source.apply(tfml.adaptive(batch_size=8, window=32, seed=0))
        >>> len(train)
        8
    """

    check_verbose(verbose)
    strategies.get(strategy)  # an unknown one is refused here, and not where this is applied
    epochs = None if epochs is None else check_whole("epochs", epochs, 1)
    options = PlanOptions(
        batch_size,
        seed,
        drop_remainder,
        samples_per_epoch,
        importance_weights=importance_weights,
    )
    check_window(check_whole("window", window, 1), batch_size)
    if batched is not None:
        check_flag("batched", batched)
    check_flag("x_changes", x_changes)
    reading = LabelReading(label_names, labels, check_missing("missing", missing))

    def select(source: Any) -> AdaptiveDataset:
        own_errors: contextlib.AbstractContextManager = contextlib.nullcontext()
        of_batches = batched
        if is_py_dataset(source):
            if batched is False:
                raise ValueError(
                    "A PyDataset gives whole batches, and they are taken apart. Received: "
                    "batched=False. Leave it out."
                )
            own_errors = batches = PyDatasetBatches(source)
            source, of_batches = batches.dataset, True
        elif not isinstance(source, tf.data.Dataset):
            raise _not_a_stream(source)
        with verbosity(verbose), own_errors:
            stream = StreamSource(
                source, window, features, neighbors, of_batches, x_changes, reading
            )
        plan = stream.make_plan(options)
        return AdaptiveDataset(Selection(stream, strategies.get(strategy), plan, epochs, verbose))

    return select


def _not_a_stream(source: Any) -> TypeError:
    remedy = "Make a tf.data.Dataset of it"
    if hasattr(source, "to_tf_dataset"):  # of Hugging Face
        remedy = (
            "Make a tf.data.Dataset of its batches, source.to_tf_dataset(..., shuffle=False), and "
            "pass batched=True"
        )
    elif isinstance(source, (tuple, list)):
        remedy = "Arrays go into tfmlselect.adaptive_dataset((x, y), ...)"
    elif isinstance(source, Iterator) or callable(source):
        remedy = (
            "A function that yields (x, y) anew each time it is called becomes one by "
            "tf.data.Dataset.from_generator(function, output_signature=(tf.TensorSpec(...), "
            "tf.TensorSpec(...)))"
        )
    return TypeError(
        "`adaptive(...)` selects from a tf.data.Dataset, or a keras.utils.PyDataset. Received: "
        f"{type(source).__name__}. {remedy}."
    )
