"""Selection from a stream: `source.apply(adaptive(...))`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfmlselect.dataset import AdaptiveDataset
from tfmlselect.labels import check_labels
from tfmlselect.progress import check_verbose, verbosity
from tfmlselect.selection import Selection
from tfmlselect.strategies import Strategy
from tfmlselect.streams import StreamSource


def adaptive(
    strategy: str | Strategy = "d2ace",
    batch_size: int = 32,
    *,
    window: int = 16384,
    seed: int | None = None,
    drop_remainder: bool = False,
    features: Any = None,
    neighbors: Any = None,
    verbose: int = 1,
) -> Callable[[tf.data.Dataset], AdaptiveDataset]:
    """Selects from a stream, for data larger than memory: `source.apply(adaptive(...))`.

    The source is a finite dataset of single samples, `(x, y)` or `(x, y, sample_weight)`, that
    gives them in the same order in every pass; y is a 0/1 vector (q,) or a class id. It is read
    from front to back once an epoch, `window` samples at a time; the last window may be up to twice
    as long. Labels are collected in one pass when this is applied.

    An epoch's n emissions are counts: sample i comes `c_i` times, expected `n p_i`, by systematic
    resampling (c_i is n p_i rounded up or down). Inside a window all emissions are shuffled, so
    that no sample is in a batch twice. `adaptive_dataset` draws each batch from all samples, anew
    and independently: here counts vary less, and a batch holds samples of one window, or of two
    neighbouring ones. Shuffle a sorted source once, on disk. Warm-up epochs shuffle inside windows.

    Args:
        strategy: a name from `tfmlselect.strategies.names()`, or a `Strategy` object.
        batch_size: samples a batch.
        window: samples that are shuffled together, at least four batches.
        seed: makes plans repeatable; None: a new one each time.
        drop_remainder: leaves out the last n mod batch_size emissions.
        features: (n, d) array that neighbours are searched in, or a function of x that gives a
            vector (d,), which is called in the pass that collects labels.
        neighbors: precomputed (n, k) ids of nearest neighbours, nearest first.
        verbose: 1 shows how far the pass over the labels and the search of neighbours are, where
            they take longer than 2 s; 0 is silent.

    Returns:
        A function of the source that gives an `AdaptiveDataset`.

    Raises:
        ValueError: `verbose` is neither 0 nor 1.
        TypeError: when applied: a source of other elements.
        ValueError: when applied: a source of unknown or infinite length, or whose order changes; a
            window of less than four batches; labels as in `adaptive_dataset`.

    Example:
        >>> import numpy as np, tensorflow as tf, tfmlselect as tfml
        >>> x = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
        >>> source = tf.data.Dataset.from_tensor_slices((x, (x[:, :3] > 1).astype("float32")))
        >>> train = source.apply(tfml.adaptive("online_batch", batch_size=8, window=32, seed=0))
        >>> len(train)
        8

    References:
        Systematic resampling: Carpenter, Clifford and Fearnhead, "Improved particle filter for
        nonlinear problems", IEE Proceedings 146, 1999.
    """

    check_verbose(verbose)

    def select(source: tf.data.Dataset) -> AdaptiveDataset:
        called = callable(features)
        with verbosity(verbose):
            stream = StreamSource(source, features if called else None)
        return AdaptiveDataset(
            Selection(
                stream,
                check_labels(stream.labels),
                strategy,
                batch_size,
                seed,
                drop_remainder,
                stream.features if called else features,
                neighbors,
                window,
                verbose,
            )
        )

    return select
