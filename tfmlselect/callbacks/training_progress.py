"""Follows how far training has come with each label: are the rare ones left behind?

It changes nothing in training, and draws nothing: `plots.training_progress` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from tfmlselect._checks import (
    check_argument,
    check_choice,
    check_missing,
    check_unmasked,
    require,
    shown,
)
from tfmlselect._warn import warn
from tfmlselect.callbacks.base import StepListener, mean_known
from tfmlselect.distributed import replicas, workers
from tfmlselect.labels import are_class_ids, one_hot
from tfmlselect.losses.cross_entropy import finite_rows
from tfmlselect.recording.outputs import (
    FROM_LOGITS,
    Nested,
    OutputReader,
    ProbabilityCheck,
    check_output,
)

if TYPE_CHECKING:
    import matplotlib.axes

QUANTITIES = {
    "recall": "training recall",
    "gradient": "mean norm of the feature gradient",
}


class TrainingProgress(StepListener):
    """Follows each class' recall and feature gradient over the training steps of each epoch.

    Of the predictions that training itself makes, at no further forward pass:

    * recall: the share of a label's positives that were predicted with p >= 0.5; of class ids, the
      share of a class' samples whose largest output is their class (per-class accuracy);
    * gradient: the mean, over the samples that have the label, of the norm of the loss gradient at
      the features that go into the head, `|W (p - y)|` for a cross-entropy summed over labels, with
      W (d, q) the kernel of the head.

    Balanced training has both alike for rare and frequent labels. Adds to the epoch's logs, and so
    to History, `progress/recall_rare` and `progress/recall_frequent`, means over the rarest and the
    most frequent third of the labels, their ratio `progress/recall_ratio` (rare / frequent), and
    the same for `gradient`; to History alone, the arrays (q,) `progress/recall` and
    `progress/gradient`. NaN stands for labels without a positive in the epoch.
    `tfmlselect.plots.training_progress` draws them.

    Args:
        class_counts: (q,) positives of each label in the training set:
            `tfmlselect.label_statistics(y).counts`.
        head: the last layer, or its name: one with a `kernel` (d, q); None: the last such layer.
        output: name or index of the output, for models with several.
        from_logits: whether that output is logits; "auto" asks the compiled loss; "sigmoid" and
            "softmax" say so, and what makes probabilities of them.
        missing: what stands in y where a label is unknown, NaN or a number below 0: such entries
            have no part. None: all labels are known.

    Raises:
        ValueError: counts of another form, a head that is neither a layer nor a name, an output
            that is neither a name nor an index, or `from_logits` that is none of these; in the
            first step: no head.

    Example:
        >>> import numpy as np, tensorflow as tf, tfmlselect as tfml
        >>> x = np.random.default_rng(0).normal(size=(48, 4)).astype("float32")
        >>> y = (x[:, :3] > [0.0, 0.5, 1.0]).astype("float32")
        >>> model = tf.keras.Sequential([tf.keras.layers.Dense(3, activation="sigmoid")])
        >>> model.compile("adam", "binary_crossentropy")
        >>> progress = tfml.callbacks.TrainingProgress(tfml.label_statistics(y).counts)
        >>> history = model.fit(x, y, verbose=0, epochs=2, callbacks=[progress])
        >>> history.history["progress/recall"][1].shape
        (3,)

    References:
        "Procrustean Training for Imbalanced Deep Learning", ICCV 2021, which compares classes by
        their training accuracy and feature gradients.

    Deviations and open points:
        The abstract alone was at hand; recall for many labels and the thirds are ours.
    """

    def __init__(
        self,
        class_counts: Sequence[float] | np.ndarray,
        *,
        head: tf.keras.layers.Layer | str | None = None,
        output: str | int | None = None,
        from_logits: bool | str = "auto",
        missing: float | None = None,
    ):
        super().__init__()
        self.class_counts = counts = _checked_counts(class_counts)
        check_argument(
            head is None
            or isinstance(head, tf.keras.layers.Layer)
            or (isinstance(head, str) and head != ""),
            "head",
            head,
            "None, a layer or the name of one",
            "Pass for example head=model.layers[-1]",
        )
        check_output(output)
        check_choice("from_logits", from_logits, FROM_LOGITS)
        self._head = head
        # Whether y is class ids shows in the first step only: their logits go through softmax,
        # others through sigmoid. So there is a reader for each.
        self._readers = {
            ids: OutputReader(
                len(counts),
                ids,
                output,
                from_logits,
                None,
                missing=check_missing("missing", missing),
            )
            for ids in (True, False)
        }
        self.history: dict[str, list[np.ndarray]] = {name: [] for name in QUANTITIES}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Starts counting."""
        for reader in self._readers.values():
            reader.prepare(self.model)
        shape = [3, len(self.class_counts)]  # hits, sums of gradient norms, positives
        self._sums = replicas.zeros(shape, tf.float64)
        self.history = {name: [] for name in QUANTITIES}
        self._probabilities = ProbabilityCheck()
        self._running = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Shows the epoch and starts the next."""
        self._probabilities.check()
        with self._together():
            hits, norms, positives = workers.total(self._sums.numpy()).numpy()
        self._sums.assign(tf.zeros_like(self._sums))
        unseen = np.full(len(hits), np.nan)
        rare, frequent = thirds(self.class_counts)
        numbers, arrays = {}, {}
        for name, sums in (("recall", hits), ("gradient", norms)):
            values = np.divide(sums, positives, out=unseen.copy(), where=positives > 0)
            self.history[name].append(values)
            arrays[f"progress/{name}"] = values
            rare_mean, frequent_mean = mean_known(values[rare]), mean_known(values[frequent])
            ratio = rare_mean / frequent_mean if frequent_mean else np.nan
            numbers[f"progress/{name}_rare"] = rare_mean
            numbers[f"progress/{name}_frequent"] = frequent_mean
            numbers[f"progress/{name}_ratio"] = ratio
        self._show(logs, numbers, arrays)

    def plot(
        self, quantity: str = "recall", axes: matplotlib.axes.Axes | None = None
    ) -> matplotlib.axes.Axes:
        """Deprecated: `tfmlselect.plots.training_progress(progress, quantity, ax=axes)`."""
        from tfmlselect import plots

        warn(
            "TrainingProgress.plot will be removed in the next release. Call "
            "tfmlselect.plots.training_progress(progress, quantity, ax=...) instead.",
            DeprecationWarning,
        )
        return plots.training_progress(self, quantity, ax=axes)

    def _record(self, y: Nested, y_pred: Nested) -> None:
        if not self._running:
            return
        ids = are_class_ids(tf.convert_to_tensor(self._readers[True].pick(y)))
        reader = self._readers[ids]
        p = reader.probabilities(y_pred)
        self._probabilities.add(p)
        y = tf.cast(reader.matrix(y), tf.float32)
        decided = tf.cast(p >= 0.5, tf.float32)
        if ids or reader.one_of_many:
            decided = one_hot(tf.argmax(p, axis=-1), len(self.class_counts))
        finite = finite_rows(p)[:, None]
        kernel = tf.cast(tf.convert_to_tensor(self._kernel()), tf.float32)
        errors = tf.where(tf.math.is_nan(y), tf.zeros_like(p), p - y)
        norm = tf.norm(tf.matmul(errors, kernel, transpose_b=True), axis=1, keepdims=True)
        positive = tf.cast((y > 0.5) & finite, tf.float32)
        each = [positive * decided, positive * tf.where(finite, norm, 0.0), positive]
        sums = tf.stack([tf.reduce_sum(values, axis=0) for values in each])
        # Counts of a batch are exact in float32, those of an epoch need not be.
        self._sums.assign_add(tf.cast(sums, tf.float64))

    def _fit_over(self) -> None:
        if self._running:
            replicas.free(self._sums)
        super()._fit_over()

    def _kernel(self) -> tf.Variable:
        """The kernel (d, q) of the head.

        Raises:
            ValueError: there is no such layer.
        """
        q = len(self.class_counts)
        layers = self.model.layers
        heads = layers if self._head is None else [self._head]
        if isinstance(self._head, str):
            heads = [layer for layer in layers if layer.name == self._head]
        for layer in reversed(heads):
            kernel = getattr(layer, "kernel", None)
            if kernel is not None and len(kernel.shape) == 2 and kernel.shape[1] == q:
                return kernel
        raise ValueError(
            f"TrainingProgress needs the head, a layer with a kernel (d, {q}). Received: "
            f"head={self._head!r}, and layers {[layer.name for layer in layers]}. Name it: "
            "TrainingProgress(counts, head=...)."
        )


def thirds(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which labels are the rarest and the most frequent third: ids, of those with positives.

    A third is rounded to the nearest whole number, of at least one label.
    """
    order = np.argsort(counts, kind="stable")
    order = order[counts[order] > 0]
    size = max(1, round(len(order) / 3))
    return order[:size], order[-size:]


def _checked_counts(class_counts: Sequence[float] | np.ndarray) -> np.ndarray:
    """(q,) numbers >= 0 of two labels or more.

    Raises:
        ValueError: something else.
    """
    check_unmasked("class_counts", class_counts)
    try:
        counts = np.asarray(class_counts)
    except ValueError:  # a ragged list
        counts = np.empty(())
    ok = counts.ndim == 1 and len(counts) >= 2 and counts.dtype.kind in "iuf"
    require(
        ok and (np.isfinite(counts) & (counts >= 0)).all() and counts.any(),
        "`class_counts` are the positives of each label, (q,) numbers >= 0, not all 0",
        f"class_counts={shown(class_counts)}",
        "Pass tfmlselect.label_statistics(y).counts",
    )
    return counts
