"""The samples of a stream: what form they must have, and one pass that tells the rest.

The pass counts the samples, collects their labels, sees which shapes they really have, and keeps a
checksum of each sample's x, by which every later pass is compared with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfmlselect._checks import require
from tfmlselect._progress import Progress
from tfmlselect.pipeline.label_reading import PLAIN, LabelReading

READ_AT_ONCE = 1024
_LOOKED_AT = 4  # samples by which a batch is told from a sample
_SKETCHES = 64  # samples by which a stream is known on another machine
_AGAIN = 4096  # samples of a second pass that are compared with those of the first
_DIFFERENT_SHAPES = ("Cannot batch tensors", "Cannot add tensor to the batch")  # of tf.data
_REMEDY_WEIGHT = "Make the weight one number a sample; weights of labels go into the loss"
_REMEDY_IDS = "of label ids tf.minimum(tf.reduce_sum(tf.one_hot(ids, q), axis=0), 1.0)"
_REMEDY_LENGTH = "source.apply(tf.data.experimental.assert_cardinality({}))"


class StreamSamples(NamedTuple):
    """What a pass over a stream gave.

    Attributes:
        dataset: of single samples, with static shapes and the length asserted.
        labels: (n, q) or (n,), as the stream gives them.
        weights: (n,) float64, or None where the stream has none.
        features: (n, d) by the user's function, or None.
        checksums: (n,) int64 of x; None where x is to change.
        sketches: (about 64, 2) float64, of samples spread evenly; none where x is to change.
    """

    dataset: tf.data.Dataset
    labels: np.ndarray
    weights: np.ndarray | None
    features: np.ndarray | None
    checksums: np.ndarray | None
    sketches: np.ndarray


def read_samples(
    dataset: tf.data.Dataset,
    features: Callable | None = None,
    batched: bool | None = None,
    x_changes: bool = False,
    reading: LabelReading = PLAIN,
) -> StreamSamples:
    """Checks a stream, goes through it once, and through its beginning once more.

    Args:
        dataset: the stream, of `(x, y)` or `(x, y, sample_weight)`.
        features: makes a vector (d,) of x, or None.
        batched: whether its elements are batches, to be taken apart; None: they are not, and what
            looks like one is an error.
        x_changes: whether x is another one in each pass, on purpose.
        reading: which parts of y are the labels.

    Raises:
        TypeError: elements of another form.
        ValueError: a length that is not finite or not true; shapes that differ from sample to
            sample; an order that changes; it is not said which parts of y are the labels.
    """
    _check_form(dataset, batched, reading)
    if batched:
        _check_no_label_weights(dataset, reading)
        dataset = _taken_apart(dataset)
    elif batched is None:
        _check_is_sample(dataset, reading)
    whole = _is_static(dataset.element_spec) and features is None

    def of_rows(x, *weight):
        found = {"finite": _are_finite(x)}
        if x_changes:
            return found
        sketches = _sketches((x, *weight))
        found["checksum"] = checksums(x)
        return found | ({} if sketches is None else {"sketch": sketches})

    def of_batch(x, y, *weight):
        found = {"y": reading.in_batch(y), **of_rows(x, *weight)}
        return found | ({"weight": tf.cast(weight[0], tf.float64)} if weight else {})

    def of_sample(x, y, *weight):
        found = {"y": reading.in_sample(y)}
        for each in weight:  # none, or one, which may turn out to be no number but several
            found["weight"] = tf.reduce_sum(tf.cast(each, tf.float64))
            found["weight rank"], found["weight size"] = tf.rank(each), tf.size(each)
        for name, part in zip("xy", _free(x, y), strict=False):
            unknown = enumerate(_unknown(part))
            found |= {f"{name} shape {i}": tf.shape(leaf) for i, leaf in unknown}
        one = tf.nest.map_structure(lambda leaf: tf.expand_dims(leaf, 0), (x, *weight))
        found |= {name: rows[0] for name, rows in of_rows(*one).items()}
        if features is not None:
            found["features"] = tf.cast(features(x), tf.float32)
        return found

    def pass_over(samples: tf.data.Dataset) -> tf.data.Dataset:
        if whole:
            return samples.batch(READ_AT_ONCE).map(of_batch)
        return samples.map(of_sample).batch(READ_AT_ONCE)

    collected = _collected(pass_over(dataset), int(dataset.cardinality()))
    n = len(collected["y"])
    _check_weight_shapes(collected)
    _check_finite(collected["finite"])
    _check_again(collected, pass_over(dataset.take(_AGAIN)))
    dataset = _with_shapes(dataset, collected).apply(tf.data.experimental.assert_cardinality(n))
    sketches = collected.get("sketch", np.empty((0, 2)))
    return StreamSamples(
        dataset,
        collected["y"],
        collected.get("weight"),
        collected.get("features"),
        collected.get("checksum"),
        sketches[:: max(1, len(sketches) // _SKETCHES)],
    )


def _taken_apart(dataset: tf.data.Dataset) -> tf.data.Dataset:
    try:
        return dataset.unbatch()
    except ValueError as error:  # of shapes that cannot be of batches
        raise ValueError(
            "The elements are no batches. Received: batched=True, and "
            f"element_spec={dataset.element_spec}. Leave batched=True out, or give x, y and weights"
            " as many rows."
        ) from error


def _check_no_label_weights(batches: tf.data.Dataset, reading: LabelReading) -> None:
    """Raises if each batch has the same weights, one a label, where shapes do not tell.

    That is where a batch has as many samples as there are labels.
    """
    if len(batches.element_spec) < 3:
        return
    found = [(reading.in_batch(y).shape, weights.numpy()) for _, y, weights in batches.take(2)]
    square = all(y.rank == 2 and weights.shape == (y[0],) == (y[1],) for y, weights in found)
    if len(found) == 2 and square and np.array_equal(found[0][1], found[1][1]):
        weights = found[0][1]
        if (weights != weights[0]).any():
            raise ValueError(
                "The third element of a stream must be one number a sample. Received: batches of "
                f"{len(weights)} samples with {len(weights)} labels, all with the weights "
                f"{weights}. {_REMEDY_WEIGHT}; if these are of samples, make batches of another "
                "size."
            )


def _check_finite(finite: np.ndarray) -> None:
    wrong = np.flatnonzero(~finite)
    if wrong.size:
        require(
            False,
            "x must be finite",
            f"NaN or infinity in {wrong.size} of {len(finite)} samples, first in that number "
            f"{wrong[0]}",
            "Fill missing values before selection, .map(lambda x, y: "
            "(tf.where(tf.math.is_finite(x), x, 0.0), y)), or leave such samples out with .filter",
        )


def _are_finite(x: Any) -> tf.Tensor:
    """Which samples of a batch have no NaN and no infinity in x: (b,) bool."""
    leaves = tf.nest.flatten(x)
    rows = leaves[0].nrows() if isinstance(leaves[0], tf.RaggedTensor) else tf.shape(leaves[0])[0]
    finite = tf.ones([rows], tf.bool)
    for leaf in leaves:
        if leaf.dtype.is_floating and isinstance(leaf, tf.Tensor):
            each = tf.reshape(tf.math.is_finite(leaf), [rows, -1])
            finite &= tf.reduce_all(each, axis=1)
    return finite


def checksums(x: Any) -> tf.Tensor:
    """(b,) int64 of a batch of x; ragged leaves count for nothing."""
    leaves = [leaf for leaf in tf.nest.flatten(x) if not isinstance(leaf, tf.RaggedTensor)]
    if not leaves:
        return tf.zeros([tf.nest.flatten(x)[0].nrows()], tf.int64)
    each = [tf.fingerprint(leaf) for leaf in leaves]
    return tf.bitcast(tf.fingerprint(tf.concat(each, axis=1)), tf.int64)


def _sketches(samples: Any) -> tf.Tensor | None:
    """Two numbers a sample that tell its numbers, and their order, from most others.

    Another machine may compute x with another last bit, which a checksum does not forgive.

    Args:
        samples: a batch, of which about 64 samples are taken, or all.

    Returns:
        (samples, 2) float64; None where there are no numbers.
    """
    leaves = [
        leaf
        for leaf in tf.nest.flatten(samples)
        if isinstance(leaf, tf.Tensor)
        and (leaf.dtype.is_floating or leaf.dtype.is_integer or leaf.dtype.is_bool)
    ]
    if not leaves:
        return None
    rows = tf.shape(leaves[0])[0]
    taken = tf.range(0, rows, tf.maximum(1, rows // _SKETCHES))
    parts = [tf.reshape(tf.gather(leaf, taken), [tf.size(taken), -1]) for leaf in leaves]
    values = tf.concat([tf.cast(part, tf.float64) for part in parts], axis=1)
    weights = tf.cos(tf.range(tf.cast(tf.shape(values)[1], tf.float64)))
    return tf.stack(
        [tf.reduce_sum(values * weights, axis=1), tf.reduce_sum(tf.abs(values), axis=1)], axis=1
    )


def _check_form(dataset: tf.data.Dataset, batched: bool | None, reading: LabelReading) -> None:
    """What can be said of the elements without reading any, all in one error."""
    spec = dataset.element_spec
    problems = []  # what was received, and what to do
    pair = isinstance(spec, tuple) and len(spec) in (2, 3)
    if not pair or not tf.nest.flatten(spec[0]):
        problems.append((f"element_spec={spec}", "Bring them into this form with .map"))
    else:
        problems += _wrong_parts(spec, batched, reading)
    error = TypeError if problems else ValueError
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        problems.append(("infinite cardinality", "Leave .repeat() out"))
    if dataset.options().deterministic is False:
        problems.append(("options.deterministic=False", "Leave it unset"))
    if problems:
        received, remedies = ("; ".join(part) for part in zip(*problems, strict=True))
        raise error(
            "The stream must give single samples (x, y) or (x, y, sample_weight), a finite number "
            f"of them and in the same order in every pass. Received: {received}. {remedies}."
        )


def _wrong_parts(spec: tuple, batched: bool | None, reading: LabelReading) -> list[tuple[str, str]]:
    found = []
    sparse = [leaf for leaf in tf.nest.flatten(spec[0]) if isinstance(leaf, tf.SparseTensorSpec)]
    if sparse:
        to_dense = "Make it dense: .map(lambda x, y: (tf.sparse.to_dense(x), y))"
        found.append((f"x of {sparse[0]}", to_dense))
    reading.keys(spec[1])
    wrong = [each for y in reading.leaves(spec[1]) for each in _wrong_labels(y, batched)]
    found += wrong[:1]
    if len(spec) == 3 and not _may_be_weights(spec[2], spec[1], batched):
        found.append((f"sample_weight of {spec[2]}", _REMEDY_WEIGHT))
    return found


def _wrong_labels(y: Any, batched: bool | None) -> list[tuple[str, str]]:
    """What is wrong with the type of labels."""
    if isinstance(y, tf.SparseTensorSpec):
        return [(f"y of {y}", "Make it dense: .map(lambda x, y: (x, tf.sparse.to_dense(y)))")]
    if not isinstance(y, tf.TensorSpec):
        remedy = "Make y one 0/1 vector (q,) or class id a sample with .map"
        if isinstance(y, tf.RaggedTensorSpec):
            remedy += f"; {_REMEDY_IDS}"
        return [(f"y of {y}", remedy)]
    if batched and y.shape.rank == 0:
        return [(f"batched=True, and y of {y}", "Leave batched=True out")]
    if (y.shape.rank or 0) > (2 if batched else 1):
        remedy = "Leave .batch(...) out, take batches apart with .unbatch(), or pass batched=True"
        return [(f"y of {y}", "Make y a vector (q,)" if batched else remedy)]
    return []


def _may_be_weights(spec: Any, y_spec: Any, batched: bool | None) -> bool:
    """Whether the third element may be one number a sample."""
    if not isinstance(spec, tf.TensorSpec):
        return False
    dtype, shape = spec.dtype, spec.shape
    number = dtype.is_floating or dtype.is_integer or dtype.is_bool
    if not number or shape.rank not in (None, 1 if batched else 0):
        return False
    # A vector of fixed length beside batches of any length is not theirs: one weight a label, ...
    lengths = [shape[:1].as_list(), y_spec.shape[:1].as_list()] if _ranked(spec, y_spec) else []
    return not (batched and lengths and lengths[1] == [None] and lengths[0] != [None])


def _ranked(*specs: Any) -> bool:
    return all(isinstance(each, tf.TensorSpec) and each.shape.rank for each in specs)


def _check_is_sample(dataset: tf.data.Dataset, reading: LabelReading) -> None:
    """A batch of class ids, (b,), looks like the labels of one sample; x tells, in most cases."""

    def looks_like_batch(x: Any, y: Any) -> bool:
        return all(_looks_like_batch(x, labels) for labels in reading.leaves(y))

    spec = dataset.element_spec
    if not looks_like_batch(*spec[:2]):
        return
    if not _is_static(spec):
        looks = [looks_like_batch(x, y) for x, y, *_ in dataset.take(_LOOKED_AT)]
        if not looks or not all(looks):
            return
    leaves = tf.nest.flatten(spec[0])
    raise TypeError(
        "The elements of the stream look like batches: x and y have as many rows. Received: "
        f"x of {leaves[0]}, y of {spec[1]}. Leave .batch(...) out, take batches apart with "
        ".unbatch(), or pass batched=True; where each is one sample with a vector of labels, "
        "batched=False."
    )


def _looks_like_batch(x: Any, y: Any) -> bool:
    """Whether x and y, tensors or their specs, may have one row for each of some samples."""
    leaves = tf.nest.flatten(x)
    return (
        y.shape.rank in (None, 1)
        and all(
            not isinstance(leaf, (tf.RaggedTensor, tf.RaggedTensorSpec))
            # One vector of numbers may be as long as y by chance; several, or texts, are seldom.
            and (leaf.shape.rank != 1 or leaf.dtype == tf.string or len(leaves) > 1)
            and leaf.shape.rank != 0
            and leaf.shape[:1].is_compatible_with(y.shape[:1])
            for leaf in leaves
        )
    )


def _collected(dataset: tf.data.Dataset, cardinality: int) -> dict[str, np.ndarray]:
    """One pass: name -> rows."""
    known = cardinality >= 0
    progress = Progress("Reading the stream's labels", cardinality if known else None)
    parts = []
    try:
        for part in dataset.as_numpy_iterator():
            parts.append(part)
            progress.add(len(part["y"]))
    except tf.errors.FailedPreconditionError as error:  # of assert_cardinality
        raise ValueError(
            "The stream has another length than it says. Received: cardinality "
            f"{cardinality}, and {error.message} Assert the right one: "
            f"{_REMEDY_LENGTH.format('n')}."
        ) from error
    except tf.errors.InvalidArgumentError as error:
        if not any(words in error.message for words in _DIFFERENT_SHAPES):
            raise
        said = error.message.split(" [Op")[0].split("}} ")[-1]  # without the op that says so
        raise ValueError(
            "Every sample must have y of the same length, and the vector of `features`. Received: "
            f"{said}. Make y a 0/1 vector of all labels with .map; {_REMEDY_IDS}."
        ) from error
    n = sum(len(part["y"]) for part in parts)
    if known and n != cardinality:
        raise ValueError(
            "The stream has another length than it says. Received: "
            f"{n} samples, cardinality {cardinality}. Assert the right one: "
            f"{_REMEDY_LENGTH.format(n)}."
        )
    if not parts:
        raise ValueError(
            "The stream has no samples. Received: 0 elements. Look for a pattern that matches no "
            "file, or a filter that keeps nothing."
        )
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _check_weight_shapes(collected: dict[str, np.ndarray]) -> None:
    """Of weights whose shape is not known before they are read."""
    ranks = collected.get("weight rank", np.zeros(1, int))
    if ranks.any():
        first = int(np.flatnonzero(ranks)[0])
        raise ValueError(
            "The third element of a stream must be the weight of its sample, one number. Received: "
            f"{collected['weight size'][first]} numbers, of rank {ranks[first]}, with sample "
            f"{first}. {_REMEDY_WEIGHT}."
        )


def _check_again(collected: dict[str, np.ndarray], again: tf.data.Dataset) -> None:
    """Compares the beginning of a second pass with that of the first."""
    first = collected["y"][:_AGAIN]
    parts = list(again.as_numpy_iterator())
    y = np.concatenate([part["y"] for part in parts]) if parts else first[:0]
    if len(y) < len(first):
        raise ValueError(
            "A stream must give its samples in every pass. Received: "
            f"{len(collected['y'])} samples in the first pass, {len(y)} in the second. Make it of "
            "what can be read again: a generator function that begins anew each time, files, "
            "arrays."
        )
    if not np.array_equal(first, y, equal_nan=y.dtype.kind == "f"):
        raise ValueError(
            "A stream must give its samples in the same order in every pass. Received: two "
            "passes with different labels. Leave shuffling to the selection: no .shuffle, "
            "shuffle=False in functions that make datasets (image_dataset_from_directory, "
            "make_csv_dataset, list_files), no chance in a generator or PyDataset; and read files "
            "with interleave(..., deterministic=True)."
        )
    if "checksum" not in collected:
        return
    checksum = np.concatenate([part["checksum"] for part in parts])
    changed = int(np.sum(collected["checksum"][: len(checksum)] != checksum))
    if changed:
        raise x_changed(changed, len(checksum), ValueError)


def x_changed(changed: int, rows: int, error: type[Exception]) -> Exception:
    """What is raised where samples with the right labels have another x than in the first pass."""
    return error(
        "A stream must give its samples in the same order in every pass. Received: two passes with "
        f"the same labels and another x in {changed} of {rows} samples. If files are shuffled, "
        "list them in order: tf.data.Dataset.list_files(..., shuffle=False). If x is changed by "
        "chance, do it after selection, train.map(...); or say that it is on purpose: "
        "adaptive(..., x_changes=True)."
    )


def _with_shapes(dataset: tf.data.Dataset, collected: dict[str, np.ndarray]) -> tf.data.Dataset:
    """The dataset with the shapes that all samples had, where it does not know them itself."""
    x_spec, y_spec, *rest = dataset.element_spec
    free = _free(x_spec, y_spec)
    wanted = iter(
        [_common(rows, name[0]) for name, rows in collected.items() if name[1:8] == " shape "]
    )
    shapes = [next(wanted) if _is_unknown(spec) else None for spec in tf.nest.flatten(free)]
    y_shape = None
    if len(free) == 1 and not y_spec.shape.is_fully_defined():
        y_shape = collected["y"].shape[1:]
    w_unknown = bool(rest) and not rest[0].shape.is_fully_defined()
    if y_shape is None and not w_unknown and not any(shape is not None for shape in shapes):
        return dataset

    def fixed(x, y, *weight):
        free = _free(x, y)
        leaves = [
            leaf if shape is None else tf.ensure_shape(leaf, shape)
            for leaf, shape in zip(tf.nest.flatten(free), shapes, strict=True)
        ]
        x, *own = tf.nest.pack_sequence_as(free, leaves)
        y = own[0] if own else y if y_shape is None else tf.ensure_shape(y, y_shape)
        return (x, y, *(tf.ensure_shape(each, []) for each in weight))

    return dataset.map(fixed)


def _common(shapes: np.ndarray, name: str) -> tuple[int, ...]:
    """The one shape of all samples, of their shapes (n, rank); `name` is "x" or "y"."""
    least, most = shapes.min(axis=0), shapes.max(axis=0)
    if (least != most).any():
        received = f"from {tuple(map(int, least))} to {tuple(map(int, most))}"
        pads = [
            f"[0, {end} - tf.shape({name})[{axis}]]" if start < end else "[0, 0]"
            for axis, (start, end) in enumerate(zip(least, most, strict=True))
        ]
        pad = f"tf.pad({name}, [{', '.join(pads)}])"
        padded = f".map(lambda x, y: ({pad}, y)); images with tf.image.resize"
        if name == "y":
            padded = f".map(lambda x, y: (x, {pad}))"
        raise ValueError(
            f"Samples of a stream go into batches, and {name} must have the same shape in each. "
            f"Received: {name} of shapes {received}. Pad or cut it: {padded}."
        )
    return tuple(map(int, most))


def _free(x: Any, y: Any) -> tuple:
    """What may have any shape: x, and a y of several parts, whose shape its labels do not tell."""
    return (x, y) if isinstance(y, (dict, tuple)) else (x,)


def _is_static(specs: Any) -> bool:
    return not any(_is_unknown(spec) for spec in tf.nest.flatten(specs))


def _is_unknown(spec: Any) -> bool:
    return isinstance(spec, tf.TensorSpec) and not spec.shape.is_fully_defined()


def _unknown(x: Any) -> list[tf.Tensor]:
    """The leaves of x whose shape is not known before they are read."""
    return [
        leaf
        for leaf in tf.nest.flatten(x)
        if isinstance(leaf, tf.Tensor) and not leaf.shape.is_fully_defined()
    ]
