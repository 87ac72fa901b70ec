"""How far training has come, class by class: are the rare ones left behind?"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect._checks import check_argument
from tfmlselect.callbacks.base import StepListener, mean_known
from tfmlselect.distributed import replicas, workers
from tfmlselect.recording.outputs import OutputReader, ProbabilityCheck

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

    Args:
        class_counts: (q,) positives of each label in the training set:
            `tfmlselect.label_statistics(y).counts`.
        head: the last layer, or its name: one with a `kernel` (d, q); None: the last such layer.
        output: name or index of the output, for models with several.
        from_logits: whether that output is logits; "auto" asks the compiled loss.

    Raises:
        ValueError: counts of another form; in the first step: no head.

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
        class_counts: Any,
        *,
        head: Any = None,
        output: str | int | None = None,
        from_logits: bool | str = "auto",
    ):
        super().__init__()
        counts = np.asarray(class_counts)
        if counts.ndim != 1 or len(counts) < 2 or counts.dtype.kind not in "iuf":
            raise ValueError(
                "`class_counts` are the positives of each label, (q,) numbers. Received: "
                f"class_counts={class_counts!r}. Pass tfmlselect.label_statistics(y).counts."
            )
        self.class_counts = counts
        self._head = head
        # Logits mean another thing with class ids; which they are is known in the first step.
        self._readers = {
            ids: OutputReader(len(counts), ids, output, from_logits, None) for ids in (True, False)
        }
        self.history: dict[str, list[np.ndarray]] = {name: [] for name in QUANTITIES}

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Starts counting."""
        for reader in self._readers.values():
            reader.prepare(self.model)
        shape = [3, len(self.class_counts)]  # hits, sums of gradient norms, positives
        self._sums = replicas.unmirrored(
            lambda: tf.Variable(tf.zeros(shape, tf.float64), trainable=False)
        )
        self.history = {name: [] for name in QUANTITIES}
        self._probabilities = ProbabilityCheck()
        self._running = True

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
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
            of_rare, of_frequent = mean_known(values[rare]), mean_known(values[frequent])
            numbers[f"progress/{name}_rare"] = of_rare
            numbers[f"progress/{name}_frequent"] = of_frequent
            numbers[f"progress/{name}_ratio"] = of_rare / of_frequent if of_frequent else np.nan
        self._show(logs, numbers, arrays)

    def plot(self, quantity: str = "recall", axes: Any = None) -> Any:
        """Draws a quantity over the epochs: each label thin, the means of both thirds thick.

        Args:
            quantity: "recall" or "gradient".
            axes: matplotlib Axes to draw on; None: new ones.

        Returns:
            The Axes.
        """
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        known = quantity in QUANTITIES
        check_argument(known, "quantity", quantity, f"one of {tuple(QUANTITIES)}")
        values = np.array(self.history[quantity])
        if values.size == 0:
            raise RuntimeError(
                "There is nothing to plot yet. Received: no completed epoch. Pass the callback to "
                "fit first."
            )
        if axes is None:
            axes = Figure(layout="constrained").subplots()
        epochs = np.arange(1, len(values) + 1)
        axes.plot(epochs, values, color="0.8", linewidth=0.8, zorder=1)
        rare, frequent = thirds(self.class_counts)
        looks = {"rarest third": (rare, "#D55E00", "-")}
        looks["most frequent third"] = (frequent, "#0072B2", "--")
        for name, (third, color, line) in looks.items():
            means = [mean_known(row[third]) for row in values]
            axes.plot(epochs, means, color=color, linestyle=line, linewidth=2.0, label=name)
        axes.plot([], [], color="0.8", linewidth=0.8, label="each label")
        axes.set(xlabel="epoch", ylabel=QUANTITIES[quantity], title="Progress of training")
        axes.set_ylim(bottom=0, auto=True)  # panels that share it may still grow
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.legend()
        return axes

    def _record(self, y: Any, y_pred: Any) -> None:
        if not self._running:
            return
        labels = tf.convert_to_tensor(self._readers[True].pick(y))
        ids = labels.shape.rank == 1 or labels.shape[-1] == 1
        reader = self._readers[ids]
        p = reader.probabilities(y_pred)
        self._probabilities.add(p)
        y = tf.cast(reader.matrix(y), tf.float32)
        decided = tf.cast(p >= 0.5, tf.float32)
        if ids or reader.one_of_many:
            decided = tf.one_hot(tf.argmax(p, axis=-1), p.shape[-1])
        finite = tf.reduce_all(tf.math.is_finite(p), axis=1, keepdims=True)
        kernel = tf.cast(tf.convert_to_tensor(self._kernel()), tf.float32)
        norm = tf.norm(tf.matmul(p - y, kernel, transpose_b=True), axis=1, keepdims=True)
        positive = tf.cast((y > 0.5) & finite, tf.float32)
        each = [positive * decided, positive * tf.where(finite, norm, 0.0), positive]
        sums = tf.stack([tf.reduce_sum(values, axis=0) for values in each])
        self._sums.assign_add(tf.cast(sums, tf.float64))  # of a batch exact, of an epoch not

    def _kernel(self) -> Any:
        """The kernel (d, q) of the head."""
        q = len(self.class_counts)
        layers = self.model.layers if self._head is None else [self._head]
        if isinstance(self._head, str):
            layers = [self.model.get_layer(self._head)]
        for layer in reversed(layers):
            kernel = getattr(layer, "kernel", None)
            if kernel is not None and len(kernel.shape) == 2 and kernel.shape[1] == q:
                return kernel
        raise ValueError(
            f"TrainingProgress needs the head, a layer with a kernel (d, {q}). Received: "
            f"head={self._head!r}, layers {[layer.name for layer in layers]}. Name it: "
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
