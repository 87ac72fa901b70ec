"""What a model's outputs mean: which output is recorded, and how it becomes probabilities."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import tensorflow as tf

from tfmlselect._checks import check_argument, holds_numbers, is_whole, require, shown
from tfmlselect.distributed import replicas
from tfmlselect.labels import Key, are_class_ids, one_hot, parts_shown, unknown_as_nan
from tfmlselect.losses.elementwise import is_from_logits, kind_of

FROM_LOGITS = (True, False, "auto", "sigmoid", "softmax")
_ACTIVATIONS = {"sigmoid": tf.nn.sigmoid, "softmax": tf.nn.softmax}
_MOST_OUTPUTS = 1 << 31

# What a step has as labels or outputs: a tensor, or a structure of them.
Nested: TypeAlias = tf.Tensor | dict[str, "Nested"] | list["Nested"] | tuple["Nested", ...]


class NoOutputNamed(ValueError):
    """The model has several outputs, and it is not known which of them is the labels'."""


class OutputReader:
    """Turns what a train step sees, y and y_pred, into rows of probabilities and losses.

    Args:
        q: number of labels.
        single_label: whether the training set has class ids.
        output: name or index of the output to record; None: the one that `parts` names, or the
            only one.
        from_logits: one of `FROM_LOGITS`: whether the output is logits; "auto" asks the compiled
            loss; "sigmoid" and "softmax": it is, and this makes them probabilities.
        signal: element-wise loss (y, y_pred) -> (b, q) on the raw output, or None.
        one_label_each: says, when asked, whether each sample has exactly one label, so that a
            matrix of labels does not tell softmax from sigmoid.
        parts: where y has several parts, the keys of those that are the labels, each with its
            number of labels.
        missing: what stands in y where a label is unknown; None: all are known.

    Attributes:
        q, missing: what they are called.
    """

    def __init__(
        self,
        q: int,
        single_label: bool,
        output: str | int | None,
        from_logits: bool | str,
        signal: Callable | None,
        one_label_each: Callable[[], bool] = lambda: False,
        parts: Sequence[tuple[Key, int]] = (),
        missing: float | None = None,
    ):
        self.q, self.missing = q, missing
        self._parts = tuple(parts)
        self._one_label_each = one_label_each
        self._single_label = single_label
        self._output = output
        self._from_logits = from_logits
        self._signal = signal
        self._activation: Callable[[tf.Tensor], tf.Tensor] | None = None
        self.one_of_many = False  # whether the loss is categorical: each sample has one label
        self._output_names: list[str] = []

    def prepare(self, model: tf.keras.Model) -> None:
        """Looks at the compiled model once, before its step is traced.

        Raises:
            NoOutputNamed: it has several outputs, and none is named.
            ValueError: where it is visible that the model has not q outputs; logits that may be
                those of a softmax or of sigmoids.
        """
        loss = self.loss_of(model)
        self.one_of_many = kind_of(loss) == "categorical" or self._from_logits == "softmax"
        self._activation = self._activation_of(loss)
        output = _outputs_of(model)
        if output is not None and (self._key is not None or len(tf.nest.flatten(output)) == 1):
            self._check_width(self.pick(output).shape)

    def loss_of(self, model: tf.keras.Model) -> Any:
        """What the recorded output is compiled with; None where that is nothing."""
        self._output_names = names = list(getattr(model, "output_names", None) or [])
        loss, key = model.loss, self._key
        outputs = _outputs_of(model)
        named = [*names, *outputs] if isinstance(outputs, dict) else names
        known = key in named or _is_place(key, names)
        if isinstance(loss, dict) and known and _found(loss, key, names) is None:
            return None  # an output that is not trained
        return self.pick(loss) if loss else None

    def _activation_of(self, loss: Any) -> Callable[[tf.Tensor], tf.Tensor] | None:
        """What makes probabilities of the output; None where it is probabilities already."""
        said, kind = self._from_logits, kind_of(loss)
        logits = is_from_logits(loss) if said == "auto" else said
        if not logits:
            return None
        own = getattr(loss, "activation", None)  # of the losses of this package
        if said in _ACTIVATIONS:
            return _ACTIVATIONS[said]
        if isinstance(own, str) and own in _ACTIVATIONS:
            return _ACTIVATIONS[own]
        if kind is not None:
            return tf.nn.softmax if kind == "categorical" else tf.nn.sigmoid
        if self._single_label:
            return tf.nn.softmax
        if self._one_label_each():
            raise ValueError(
                "Each sample has one label, and the loss does not say whether the model's logits "
                f"go through a softmax or through sigmoids. Received: loss={shown(loss)}, logits. "
                'Pass AdaptiveBatchSelection(train, from_logits="softmax"), or "sigmoid".'
            )
        return tf.nn.sigmoid

    def probabilities(self, y_pred: Nested) -> tf.Tensor:
        """Probabilities (b, q) float32, provided that the loss is right about `from_logits`.

        NaN where logits are not finite: no sigmoid makes a prediction of infinity.
        """
        y_pred = tf.cast(self._output_of(y_pred), tf.float32)
        if self._activation is None:
            return y_pred
        return tf.where(tf.math.is_finite(y_pred), self._activation(y_pred), float("nan"))

    def losses(self, y: Nested, y_pred: Nested) -> tf.Tensor:
        """The user's per-label loss: (b, q) float32, 0 where the label is unknown.

        Raises:
            ValueError: the function gives another shape.
        """
        y_pred = tf.cast(self._output_of(y_pred), tf.float32)
        if self._signal is None:
            raise RuntimeError("No loss was given. Received: signal=None. Make it with one.")
        labels = self._as_given(y)
        values = self._signal(tf.cast(labels, tf.float32), y_pred)
        if values.shape.rank != 2 or values.shape[-1] != self.q:
            raise ValueError(
                "`signal` must give one loss for each sample and label. Received: shape "
                f"{values.shape} from {self._signal!r}, wanted (b, {self.q}). Take the loss "
                "before any mean over labels, e.g. "
                "lambda y, p: tf.keras.backend.binary_crossentropy(y, p)."
            )
        values = tf.cast(values, tf.float32)
        if self.missing is not None:
            unknown = tf.math.is_nan(unknown_as_nan(labels, self.missing))
            values = tf.where(unknown, tf.zeros_like(values), values)
        return values

    def matrix(self, y: Nested) -> tf.Tensor:
        """The labels that arrive as (b, q); class ids as one-hot rows; NaN for unknown ones."""
        return unknown_as_nan(self._as_given(y), self.missing)

    def _as_given(self, y: Nested) -> tf.Tensor:
        y = tf.convert_to_tensor(self._labels_in(y))
        if self._single_label and are_class_ids(y):
            return one_hot(y, self.q)
        if y.shape.rank != 2 or y.shape[-1] != self.q or not _holds_values(y.dtype):
            raise self._other_labels(y)
        return y

    def _other_labels(self, y: tf.Tensor) -> ValueError:
        """What is raised of labels in the step, y, that are no matrix of q numbers a sample."""
        wanted = f"wanted (b, {self.q}) numbers. Received: y of shape {y.shape}, {y.dtype.name}"
        if y.shape.is_compatible_with([None, self.q]) and _holds_values(y.dtype):
            ids = self._single_label and y.shape.rank is None
            return ValueError(
                f"The shape of the labels in the train step is not known: {wanted}. Say it where "
                "it was lost, as in a `.map` that calls Python: y = tf.ensure_shape(y, "
                f"{[None] if ids else [None, self.q]})."
            )
        return ValueError(
            f"The labels in the train step have another form than those of the dataset: {wanted}. "
            "Look at each `.map` after selection, and at the y that a train_step of your own hands "
            "to compute_loss: leave them as the dataset has them. What else a loss needs can be "
            "the target of another output; output=... of the callback then names this one."
        )

    def matrices(self, y: Nested) -> list[tf.Tensor]:
        """The labels that arrive, (b, q) for each output that is recorded."""
        return [self.matrix(y)]

    def _labels_in(self, y: Nested) -> Any:
        """The labels, of a y that may have several parts; columns of those that are joined."""
        if not isinstance(y, (dict, list, tuple)):
            return y
        own = [_found(y, key, self._output_names) for key, _ in self._parts]
        if len(own) == 1 and own[0] is not None:
            return own[0]
        if own and all(each is not None for each in own):
            widths = [width for _, width in self._parts]
            each = [_columns(part, width) for part, width in zip(own, widths, strict=True)]
            return tf.concat(each, axis=1)
        if self._parts and self._output is None and len(y) > 1:
            raise ValueError(
                "The labels of the dataset are not in the y of the train step. Received: "
                f"labels={self._shown_parts()}, y={parts_shown(y)}. Let `.map` keep these parts, "
                "or name the output whose y they are: output=... of the callback."
            )
        return self.pick(y)

    def _output_of(self, y_pred: Nested) -> tf.Tensor:
        y_pred = self.pick(y_pred)
        if self.q == 1 and y_pred.shape.rank == 1:  # of a part of the labels
            y_pred = y_pred[:, None]
        self._check_width(y_pred.shape)
        if not _holds_values(y_pred.dtype):
            raise ValueError(
                f"The model must predict numbers. Received: an output of {y_pred.dtype}. Name the "
                "right one of several outputs: output=... of the callback."
            )
        return y_pred

    def _check_width(self, shape: Any) -> None:
        shape = tf.TensorShape(shape)
        if not shape.is_compatible_with([None, self.q]):
            more = ""
            if self._single_label:
                more = (
                    f" Class ids of the training set end at {self.q - 1}; with more classes pass "
                    "one-hot rows, np.eye(classes)[y], and compile with categorical_crossentropy."
                )
            raise ValueError(
                f"The model must predict one value for each of the {self.q} labels that "
                f"training follows. Received: an output of shape {shape}. Give the model an output "
                f"(b, {self.q}), or name the right one: output=... of the callback.{more}"
            )

    def pick(self, structure: Any) -> Any:
        """The recorded one of several outputs, labels or losses."""
        if not isinstance(structure, (dict, list, tuple)):
            return structure
        found = _found(structure, self._key, self._output_names)
        if found is not None:
            return found
        if self._output is None and len(structure) == 1:
            return next(iter(structure.values() if isinstance(structure, dict) else structure))
        names = list(structure) if isinstance(structure, dict) else self._output_names
        labels = f", labels={self._shown_parts()}" if self._parts else ""
        error = ValueError if self._output is not None else NoOutputNamed
        raise error(
            f"The model has {len(structure)} outputs and one of them is recorded. Received: "
            f"output={self._output!r}{labels}. Pass AdaptiveBatchSelection(train, output=...), "
            f"{f'one of {names}, ' if names else ''}or an index{self._about_parts(names)}."
        )

    def _about_parts(self, names: Sequence[str]) -> str:
        """What else may be done where outputs are of some of the labels each."""
        if self._parts:
            return "; or name the model's outputs as the parts of y that `labels` names"
        keys = ", ".join(f"{each!r}: y[:, {j}]" for j, each in enumerate(names[:2]))
        if len(names) < 2 or not all(isinstance(each, str) for each in names):
            return ""
        return (
            "; where each output is of one label, or some, make y a dict: "
            f"adaptive_dataset((x, {{{keys}, ...}}), labels=[{names[0]!r}, {names[1]!r}, ...])"
        )

    @property
    def _key(self) -> Key | None:
        """Name or index of the recorded output, as far as it is known."""
        if self._output is None and len(self._parts) == 1:
            return self._parts[0][0]
        return self._output

    def _shown_parts(self) -> str:
        keys = [key for key, _ in self._parts]
        return repr(keys[0] if len(keys) == 1 else keys)


class JoinedOutputs(OutputReader):
    """Several outputs, each of some of the labels, read as one: their columns side by side.

    An output of all q labels, where it is the model's only one, is read as it is.

    Args:
        q: number of labels.
        parts: at least two names or indices of outputs, each with its number of labels.
        from_logits, signal, missing: as `OutputReader`.
        one_label_each: says of the labels from one column to another whether each sample has
            exactly one of them.

    Raises:
        ValueError: logits of a softmax, and an output of one label.
    """

    def __init__(
        self,
        q: int,
        parts: Sequence[tuple[Key, int]],
        from_logits: bool | str,
        signal: Callable | None,
        one_label_each: Callable[[int, int], bool] = lambda start, stop: False,
        missing: float | None = None,
    ):
        each_one = functools.partial(one_label_each, 0, q)
        super().__init__(q, False, None, from_logits, signal, each_one, parts, missing)
        alone = [key for key, width in parts if width == 1]
        require(
            from_logits != "softmax" or not alone,
            "A softmax over one label is always 1",
            f"from_logits='softmax', and the outputs {alone} of one label",
            "Pass from_logits='sigmoid', or leave it out where the loss says what the outputs are",
        )
        self._each, start = [], 0
        for key, width in parts:
            each = functools.partial(one_label_each, start, start + width)
            asked = each if width > 1 else bool
            rest = (from_logits, None, asked, [(key, width)], missing)
            self._each.append(OutputReader(width, False, None, *rest))
            start += width

    def prepare(self, model: tf.keras.Model) -> None:
        """Looks at the compiled model and the loss of each output."""
        several = _has_several_outputs(model)
        if several is not True:
            super().prepare(model)
        if several is not False:
            for reader in self._each:
                reader.prepare(model)

    def loss_of(self, model: tf.keras.Model) -> Any:
        """What the only output is compiled with; of several, a list of what each of them is."""
        if _has_several_outputs(model) is not True:
            return super().loss_of(model)
        return [reader.loss_of(model) for reader in self._each]

    def probabilities(self, y_pred: Nested) -> tf.Tensor:
        """Probabilities (b, q) float32, of each output as its own loss says."""
        if not _is_several(y_pred):
            return super().probabilities(y_pred)
        return tf.concat([reader.probabilities(y_pred) for reader in self._each], axis=1)

    def _output_of(self, y_pred: Nested) -> tf.Tensor:
        if not _is_several(y_pred):
            return super()._output_of(y_pred)
        each = [tf.cast(reader._output_of(y_pred), tf.float32) for reader in self._each]
        return tf.concat(each, axis=1)


class AveragedOutputs(OutputReader):
    """Several outputs of one label space, read as one: the mean of their probabilities.

    Args:
        outputs: names or indices of the outputs to record.
        q, single_label, from_logits, signal, one_label_each, missing: as `OutputReader`, the same
            for each.
    """

    def __init__(
        self,
        q: int,
        single_label: bool,
        outputs: Sequence[str | int],
        from_logits: bool | str,
        signal: Callable | None,
        one_label_each: Callable[[], bool] = lambda: False,
        missing: float | None = None,
    ):
        rest = (from_logits, signal, one_label_each, (), missing)
        super().__init__(q, single_label, outputs[0], *rest)
        self._each = [OutputReader(q, single_label, output, *rest) for output in outputs]

    def prepare(self, model: tf.keras.Model) -> None:
        """Looks at the compiled model and the loss of each output."""
        super().prepare(model)
        for reader in self._each:
            reader.prepare(model)

    def probabilities(self, y_pred: Nested) -> tf.Tensor:
        """The mean of the outputs' probabilities.

        2, which is no probability, where one output has none: in the mean it would go unnoticed.
        """
        rows = tf.stack([reader.probabilities(y_pred) for reader in self._each])
        outside = tf.reduce_any(_is_outside(rows), axis=0)
        return tf.where(outside, 2.0, tf.reduce_mean(rows, axis=0))

    def losses(self, y: Nested, y_pred: Nested) -> tf.Tensor:
        """The mean of the outputs' per-label losses."""
        return tf.reduce_mean(tf.stack([reader.losses(y, y_pred) for reader in self._each]), axis=0)

    def matrices(self, y: Nested) -> list[tf.Tensor]:
        """The labels of each output, (b, q)."""
        return [reader.matrix(y) for reader in self._each]


def _found(structure: Any, key: Any, names: list[str]) -> Any:
    """What a structure has by a name or an index, by the names of its places; None: nothing."""
    if isinstance(structure, dict):
        key = names[key] if key not in structure and _is_place(key, names) else key
        return structure.get(key)
    key = names.index(key) if key in names else key
    return structure[key] if _is_place(key, structure) else None


def _is_place(key: Any, sequence: Any) -> bool:
    return is_whole(key) and 0 <= key < len(sequence)


def _columns(part: Any, width: int) -> tf.Tensor:
    """Some of the labels, (b,) or (b, width), as (b, width) float32."""
    part = tf.convert_to_tensor(part)
    part = part[:, None] if width == 1 and part.shape.rank == 1 else part
    if part.shape.rank != 2 or part.shape[-1] != width or not _holds_values(part.dtype):
        raise ValueError(
            "Labels in the train step are not those of the dataset: wanted a part of y of shape "
            f"(b, {width}). Received: {parts_shown(part)}. Let each `.map` after selection "
            "leave the form of these parts as the dataset has them."
        )
    return tf.cast(part, tf.float32)


def _outputs_of(model: tf.keras.Model) -> Any:
    """The outputs of a model whose layers are known; None of any other."""
    return getattr(model, "output", getattr(model, "outputs", None))


def _is_several(structure: Any) -> bool:
    return isinstance(structure, (dict, list, tuple)) and len(structure) > 1


def _has_several_outputs(model: tf.keras.Model) -> bool | None:
    """Whether a model has more than one output; None where that shows in its first step only."""
    output = _outputs_of(model)
    if output is not None:
        return len(tf.nest.flatten(output)) > 1
    return True if _is_several(model.loss) else None


def check_output(output: Any, several: bool = False) -> None:
    """Which output is recorded: None, a name or an index; with `several` also a list of them.

    Raises:
        ValueError: it is none of these.
    """
    each = output if several and isinstance(output, (list, tuple)) else [output]
    named = [
        one != "" if isinstance(one, str) else is_whole(one) and 0 <= one < _MOST_OUTPUTS
        for one in each
    ]
    check_argument(
        output is None or (named and all(named)),
        "output",
        output,
        "the name or the index of an output of the model" + ", or a list of them" * several,
        "Pass for example output=0, or leave it out where the model has one output",
    )


def are_outside(p: tf.Tensor) -> tf.Tensor:
    """Which rows of p (b, q) lie outside [0, 1]: (b,) bool."""
    return tf.reduce_any(_is_outside(p), axis=1)


def rows_outside(p: tf.Tensor) -> tf.Tensor:
    """How many rows of p (b, q) lie outside [0, 1]: int64."""
    return tf.math.count_nonzero(are_outside(p))


def _holds_values(dtype: tf.DType) -> bool:
    """Whether numbers can be made of it: TensorFlow casts text too, and fails in the step."""
    return dtype == tf.bool or holds_numbers(dtype)


def _is_outside(p: tf.Tensor) -> tf.Tensor:
    # Half precision rounds. What is not finite diverged, and is left out where rows are taken in.
    return ((p < -0.01) | (p > 1.01)) & tf.math.is_finite(p)


def no_probabilities(outside: int, rows: int | None = None) -> ValueError:
    """What is raised where `outside` rows, of so many looked at, lie outside [0, 1]."""
    looked_at = "" if rows is None else f" of {rows}"
    return ValueError(
        "The model's outputs are no probabilities and look like logits. Received: "
        f"{outside}{looked_at} rows with values outside [0, 1], and a loss that does not say "
        "from_logits=True. Make the loss with from_logits=True (where it is your own, pass "
        "from_logits=True to the callback), or end the model in a sigmoid."
    )


class ProbabilityCheck:
    """Counts, in the training steps, rows of outputs that are no probabilities."""

    def __init__(self) -> None:
        self._outside = replicas.zeros([], tf.int64)

    def add(self, p: tf.Tensor) -> None:
        """Looks at one batch, (b, q); traced into the train step."""
        self._outside.assign_add(rows_outside(p))

    def check(self) -> None:
        """Raises a ValueError if there were any."""
        if rows := int(self._outside):
            raise no_probabilities(rows)
