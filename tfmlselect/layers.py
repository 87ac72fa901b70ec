"""Layers that balance labels inside the network, and the labels of the batch for them.

In a fit the labels come from a callback of `tfmlselect.callbacks`, not from here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect import _training_step
from tfmlselect._checks import (
    check_argument,
    check_array,
    check_choice,
    check_number,
    check_whole,
    holds_numbers,
    require,
)
from tfmlselect._training_step import training_step
from tfmlselect.labels import are_class_ids

__all__ = ["FeatureWeakening", "training_step"]


MODES = ("absolute", "relative")


@tf.keras.utils.register_keras_serializable("tfmlselect")
class FeatureWeakening(tf.keras.layers.Layer):
    """Mixes each sample's features with those of another of its batch, the more frequent its class.

    In training, with a random permutation of the batch that gives sample n the partner m,

        f̃_n = (1 - a_n) f_n + a_n f_m,    a_n = a_max (1 - (N_min / N_n)^γ),

    where N_n is the size of n's class and N_min that of the smallest: a sample of the rarest class
    is never weakened. No gradient goes to the partner's features, and the label stays n's own.
    "relative" compares with the partner instead: `a = a_max max(0, 2 N_n^γ / (N_n^γ + N_m^γ) - 1)`.
    With many labels N_n is the size of n's rarest positive label, and the largest size for a
    sample without labels. Out of training the layer gives its input back.

    Place it before the head, after the last batch normalisation, as mixing shrinks the variance.

    The layer needs the labels of the batch, and Keras does not hand them to layers. Any of the
    package's callbacks in the fit does: `AdaptiveBatchSelection`, `TrainingProgress`,
    `PartialLabelMaskingUpdate`, or `LabelsForLayers`, which does nothing else. A loop of your own
    runs the model inside `with tfmlselect.layers.training_step(y):`. So the model keeps its inputs
    and its class: `predict`, `export` and saved files know of no labels.

    Args:
        class_counts: (q,) positives of each class or label in the training set:
            `tfmlselect.label_statistics(y).counts`.
        strength: a_max, in [0, 0.5]. The default is small: in our runs each strength lost accuracy,
            and the more the larger (`docs/balancing/feature_weakening.md`).
        exponent: γ > 0.
        mode: "absolute" or "relative".
        seed: of the permutations.
        **kwargs: `name`, and what else a Keras layer takes.

    Raises:
        ValueError: an argument outside its range; labels of another width than the counts.
        RuntimeError: training without labels.

    Example:
        >>> import tensorflow as tf, tfmlselect as tfml
        >>> layer = tfml.layers.FeatureWeakening(class_counts=[400, 100])
        >>> features = tf.constant([[1.0], [0.0]])
        >>> with tfml.layers.training_step(labels=tf.constant([1, 1])):
        ...     layer(features, training=True).numpy().tolist()  # both are of the rarest class
        [[1.0], [0.0]]

    References:
        "Procrustean Training for Imbalanced Deep Learning", ICCV 2021.

    Deviations and open points:
        The mixing formula is our reconstruction from the abstract, and so are the default strength
        and exponent and the form for many labels.
    """

    def __init__(
        self,
        class_counts: Any,
        strength: float = 0.1,
        exponent: float = 0.5,
        mode: str = "absolute",
        seed: int = 0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        wanted = "the positives of each class, (q,) numbers >= 0, not all 0"
        remedy = "Pass tfmlselect.label_statistics(y).counts"
        given = check_array("class_counts", class_counts, wanted, remedy)
        counts = np.asarray(given, np.float64)
        sizes = np.isfinite(counts) & (counts >= 0)
        ok = counts.ndim == 1 and len(counts) >= 2 and sizes.all() and counts.any()
        check_argument(ok, "class_counts", class_counts, wanted, remedy)
        self.class_counts = counts.tolist()
        self.strength = check_number("strength", strength, 0, 0.5, example=0.1)
        self.exponent = check_number("exponent", exponent, above=0)
        self.mode = check_choice("mode", mode, MODES)
        self.seed = check_whole("seed", seed)

    def build(self, input_shape: Any) -> None:
        """Makes the counter of the permutations drawn."""
        self._drawn = self.add_weight(
            name="drawn", shape=(), dtype="int64", initializer="zeros", trainable=False
        )
        super().build(input_shape)

    def call(self, features: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Weakened features in training, else `features`: (b, ...)."""
        if not training:
            return features
        labels = _training_step.batch_labels()
        if labels is None:
            raise RuntimeError(
                "FeatureWeakening needs the labels of the batch in training. Received: no labels. "
                "Pass fit a callback that hands them over, such as callbacks=["
                "tfmlselect.callbacks.LabelsForLayers()]; in a loop of your own, run the model "
                "inside `with tfmlselect.layers.training_step(y):`."
            )
        sizes = self.class_sizes(labels)
        partner = self._permutation(tf.shape(features)[0])
        strength = tf.cast(self._strength(sizes, tf.gather(sizes, partner)), features.dtype)
        strength = tf.reshape(strength, [-1] + [1] * (features.shape.rank - 1))
        other = tf.gather(tf.stop_gradient(features), partner)
        return (1.0 - strength) * features + strength * other

    def class_sizes(self, labels: Any) -> tf.Tensor:
        """N_n of each sample, (b,) float32, of class ids (b,) or labels (b, q)."""
        each = tf.nest.flatten(labels)
        require(
            len(each) == 1,
            "FeatureWeakening needs the labels of one output",
            f"{len(each)} arrays",
            "Say which: override train_step and run the model inside "
            "`with tfmlselect.layers.training_step(y[...]):`",
        )
        labels = tf.convert_to_tensor(each[0])
        require(
            holds_numbers(labels.dtype) or labels.dtype == tf.bool,
            "Labels are class ids (b,) or 0 and 1 of shape (b, q)",
            f"labels of dtype {labels.dtype.name}",
            "Pass the labels of the batch: `with tfmlselect.layers.training_step(y):`",
        )
        # A class without a positive counts as being as rare as the rarest.
        counts = tf.constant(np.maximum(self.class_counts, self._smallest()), tf.float32)
        if are_class_ids(labels):
            return tf.gather(counts, tf.cast(tf.reshape(labels, [-1]), tf.int64))
        require(
            labels.shape.rank and labels.shape[-1] == len(self.class_counts),
            f"The labels must be those of class_counts, {len(self.class_counts)} of them",
            f"labels of shape {labels.shape}",
            "Count the labels that the model is trained on",
        )
        largest = tf.reduce_max(counts)
        held = tf.where(tf.cast(labels, tf.float32) > 0.5, counts, largest)
        return tf.reduce_min(held, axis=-1)

    def _strength(self, sizes: tf.Tensor, partners: tf.Tensor) -> tf.Tensor:
        if self.mode == "relative":
            own, other = sizes**self.exponent, partners**self.exponent
            return self.strength * tf.maximum(0.0, 2.0 * own / (own + other) - 1.0)
        return self.strength * (1.0 - (self._smallest() / sizes) ** self.exponent)

    def _smallest(self) -> float:
        return float(min(count for count in self.class_counts if count > 0))

    def _permutation(self, size: tf.Tensor) -> tf.Tensor:
        number = tf.convert_to_tensor(self._drawn)
        self._drawn.assign(number + 1)
        seed = tf.stack([tf.constant(self.seed, tf.int64), number])
        # Whole numbers, which are the same with and without XLA: floats are not.
        return tf.argsort(tf.random.stateless_uniform([size], seed, None, None, tf.int64))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "class_counts": self.class_counts,
            "strength": self.strength,
            "exponent": self.exponent,
            "mode": self.mode,
            "seed": self.seed,
        }


def __dir__() -> list[str]:
    return [*__all__]
