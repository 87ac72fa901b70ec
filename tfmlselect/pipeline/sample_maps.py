"""A function of single samples, applied to each sample of a batch.

It is `tf.map_fn` in several batches at a time: about as fast as taking batches apart, and batches
stay what they are. `tf.vectorized_map` is no faster where files are decoded, and what it speeds up,
`.map` does on whole batches (`benchmarks/speed/map_samples.py`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import tensorflow as tf


def for_batches(function: Callable, batches: tf.data.Dataset) -> Callable:
    """The function of a batch that applies a function to each of its samples.

    Args:
        function: of a sample, as `tf.data.Dataset.map` calls it.
        batches: such as it will get. The first sample is read if the function's results have
            shapes that are not known before.

    Raises:
        ValueError: what `batches` has are no batches; or the function's own.
    """
    samples = _samples(batches).map(function)
    spec, first = samples.element_spec, None
    if isinstance(batches.element_spec, tuple) and not isinstance(spec, tuple):
        raise TypeError(
            "The function of `map_samples` must return (x, y), as `fit` needs them, or "
            f"(x, y, weight). Received: {spec}. Return y beside it: lambda x, y: (decode(x), y)."
        )
    if any(_is_unknown(leaf) for leaf in tf.nest.flatten(spec)):
        first = tf.nest.flatten(next(iter(samples.take(1))))
        leaves = [
            tf.TensorSpec(one.shape, leaf.dtype) if _is_unknown(leaf) else leaf
            for leaf, one in zip(tf.nest.flatten(spec), first, strict=True)
        ]
        wanted, spec = tf.nest.flatten(spec), tf.nest.pack_sequence_as(spec, leaves)

    def of_sample(sample):
        made = function(*sample) if type(sample) is tuple else function(sample)
        made = tuple(made) if isinstance(made, list) else made  # as `tf.data.Dataset.map` does
        if first is None:
            return made
        leaves = [
            _of_shape(leaf, one.shape) if _is_unknown(known) else leaf
            for leaf, known, one in zip(tf.nest.flatten(made), wanted, first, strict=True)
        ]
        return tf.nest.pack_sequence_as(spec, leaves)

    def of_batch(*batch):
        whole = batch if isinstance(batches.element_spec, tuple) else batch[0]
        return tf.map_fn(of_sample, whole, fn_output_signature=spec)

    return of_batch


def is_for_samples(function: Callable, batches: tf.data.Dataset) -> bool:
    """Whether a function fails on these batches, and not on their samples; none is read."""

    def fails_on(dataset: tf.data.Dataset) -> bool:
        try:
            dataset.map(function)
        except Exception:  # of any kind: it is the user's
            return True
        return False

    try:
        samples = _samples(batches)
    except ValueError:
        return False
    return fails_on(batches) and not fails_on(samples)


def told_of_samples(error: Exception) -> Exception:
    """An error of a `.map` over batches whose function is one of single samples, as it is raised.

    Args:
        error: that the function ended in.

    Returns:
        One of the same type, or of the nearest type above it that is made of a text alone.
    """
    received = f"{type(error).__name__}: {error}".strip().removesuffix(".")
    message = (
        "`.map` sees whole batches, and its function fails on them, but not on single samples. "
        f"Received: {received}. For a function of one sample use .map_samples(function)."
    )
    if isinstance(error, tf.errors.OpError):
        return type(error)(error.node_def, error.op, message)
    for kind in type(error).__mro__:
        with contextlib.suppress(TypeError):  # autograph's own KeyError wants a key too
            return kind(message)
    return error


def _samples(batches: tf.data.Dataset) -> tf.data.Dataset:
    try:
        return batches.unbatch()
    except ValueError as error:
        raise ValueError(
            "`map_samples` needs batches with a row for each sample. Received: "
            f"element_spec={batches.element_spec}. Do it before the `.map` that made these."
        ) from error


def _is_unknown(spec: Any) -> bool:
    return isinstance(spec, tf.TensorSpec) and not spec.shape.is_fully_defined()


def _of_shape(leaf: Any, shape: tf.TensorShape) -> tf.Tensor:
    """The same, if it has the shape that the first sample's has."""
    leaf = tf.convert_to_tensor(leaf)
    wanted = tf.constant(shape.as_list(), tf.int32)
    found = tf.shape(leaf)
    same = tf.equal(tf.strings.format("{}", found), tf.strings.format("{}", wanted))
    said = tf.Assert(
        same,
        [
            "`map_samples` must give samples of one shape, since they go into batches. Received: ",
            found,
            "; of the first sample ",
            wanted,
            ". Bring them into one: images with tf.image.resize, rows with tf.pad.",
        ],
    )
    with tf.control_dependencies([said]):
        return tf.ensure_shape(tf.identity(leaf), shape)
