"""Learnability: samples that are hard now and easy for a reference model."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect._checks import (
    check_argument,
    check_array,
    check_finite,
    check_unmasked,
    check_whole,
    require,
)
from tfmlselect._warn import warn
from tfmlselect.labels import Labels, check_labels
from tfmlselect.losses.cross_entropy import EPSILON
from tfmlselect.schedules import Schedule
from tfmlselect.scoring.memories import MeanLoss
from tfmlselect.strategies.base import Array, ScoredStrategy


class Learnability(ScoredStrategy):
    """Draws samples by reducible loss: latest mean loss minus that of a reference model.

    A sample that is hard for both is noise, one that is easy for both is learnt; the score
    `mean_j l_ij - mean_j l_ij^ref` is high where there is something left to learn. A sample not yet
    visited counts as p = 0.5. State: 8 bytes a sample.

    Args:
        reference_losses: losses of the reference model on the training set, in its order: (n,)
            means over labels, or (n, q) per label. `Learnability.from_model` computes them. None:
            zeros, which leaves selection by loss, and a warning says so.
        pressure: selection pressure s, a number (constant) or a `tfmlselect.schedules.Schedule`.
        warmup: first epochs that are uniform permutations; None: 1 % of the run, as published,
            but at most 5 epochs.
        epochs: the run's length; None: that of the fit, or 100 where used alone.

    Raises:
        ValueError: losses that are not finite or of another shape; at `build`, of another length
            than the labels.

    Example:
        >>> import numpy as np, tfmlselect as tfml
        >>> strategy = tfml.strategies.Learnability(np.array([0.1, 0.1, 2.0]))
        >>> strategy.build(np.eye(3))
        >>> int(strategy.probabilities(0).numpy().argmin())
        2

    References:
        Mindermann et al., "Prioritized Training on Points that are Learnable, Worth Learning, and
        not yet Learnt" (RHO-LOSS), ICML 2022, arXiv:2206.07137, equation 3; Evans et al., "Data
        curation via joint example selection" (JEST), 2024, arXiv:2406.17711.

    Deviations and open points:
        RHO-LOSS picks the top of a larger uniform batch by the current loss; here the latest
        recorded loss makes a distribution over all samples.
    """

    published_warmup = 0.01

    def __init__(
        self,
        reference_losses: Any = None,
        pressure: float | Schedule = 8.0,
        *,
        warmup: float | None = None,
        epochs: int | None = None,
    ):
        super().__init__(pressure, decay_start=None, warmup=warmup, epochs=epochs)
        self.reference_losses = None if reference_losses is None else _losses(reference_losses)

    @classmethod
    def from_model(
        cls,
        model: Any,
        x: Any,
        y: Any,
        *,
        batch_size: int | None = 256,
        missing: float | None = None,
        **arguments: Any,
    ) -> Learnability:
        """Computes the reference losses once, with a trained Keras model that gives probabilities.

        Args:
            model: predicts (n, q) probabilities of x.
            x: inputs of the training set, as for `model.predict`.
            y: its labels, as for `adaptive_dataset`.
            batch_size: of the prediction; None: as Keras has it.
            missing: what stands in y where a label is unknown, as for `adaptive_dataset`.
            **arguments: of `Learnability`.

        Raises:
            ValueError: predictions of another shape than the labels, or no probabilities.
        """
        labels = check_labels(y, missing=missing)
        batch_size = None if batch_size is None else check_whole("batch_size", batch_size, 1)
        for leaf in tf.nest.flatten(x):  # Keras knows no masks either
            check_unmasked("x", leaf)
        p = model.predict(x, batch_size=batch_size, verbose=0)
        require(
            isinstance(p, np.ndarray),
            "The reference model must have one output",
            f"predictions as a {type(p).__name__} of {len(p)}",
            "Make a model of the output of the labels: tf.keras.Model(model.input, "
            "model.get_layer(name).output)",
        )
        p = p.astype(np.float64)
        span = f" from {p.min()} to {p.max()}" if p.size else ""
        require(
            p.shape == labels.matrix.shape and p.min() >= 0 and p.max() <= 1,
            "The reference model must predict a probability for each sample and label",
            f"predictions of shape {p.shape}{span}, for labels {labels.matrix.shape}",
            "End it in a sigmoid or softmax over the same labels",
        )
        truth = np.where(labels.matrix == 1, p, 1.0 - p)
        losses = -np.log(np.clip(truth, EPSILON, 1.0))
        return cls(_means(losses, labels.known), **arguments)

    def _build(self, labels: Labels, features: Any, neighbors: Any) -> None:
        losses = self.reference_losses
        if losses is None:
            warn(
                "Learnability without a reference model is selection by loss. Received: "
                "reference_losses=None. Use Learnability.from_model(model, x, y).",
            )
            losses = np.zeros(labels.n)
        elif self.sample_ids is not None and len(losses) == self._samples_given:
            losses = losses[self.sample_ids]
        require(
            losses.shape in ((labels.n,), labels.matrix.shape),
            "`reference_losses` must be those of this training set, in its order",
            f"shape {losses.shape} for labels {labels.matrix.shape}",
            "Pass a mean over labels for each sample, or a loss for each label",
        )
        self._reference = tf.constant(losses if losses.ndim == 1 else _means(losses, labels.known))
        self._loss = MeanLoss(labels)

    def observe(self, ids: Array, y_pred: Array, loss: Array | None = None) -> None:
        """Records the mean loss of one batch."""
        self._loss.observe(ids, y_pred, loss)

    def scores(self) -> tf.Tensor:
        """The reducible loss of each sample: (n,) float64."""
        return tf.cast(self._loss.variable, tf.float64) - self._reference

    def score_parts(self, ids: Array) -> dict[str, tf.Tensor]:
        """`loss`, the latest mean loss, and `reference`, minus that of the reference model."""
        loss = tf.cast(tf.gather(self._loss.variable, ids), tf.float64)
        return {"loss": loss, "reference": -tf.gather(self._reference, ids)}

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; the losses as a list."""
        losses = self.reference_losses
        return self._config(None if losses is None else losses.tolist())

    def _config(self, reference_losses: Any) -> dict[str, Any]:
        return {
            "reference_losses": reference_losses,
            "pressure": self.pressure.get_config(),
            **super().get_config(),
        }

    def __repr__(self) -> str:
        # Not by `get_config`, whose list of all losses may take gigabytes.
        return self._as_typed(self._config(self.reference_losses))

    def _argument(self, name: str, value: Any) -> str:
        if name == "reference_losses" and value is not None:
            return f"<losses of shape {value.shape}>"
        return super()._argument(name, value)


def _losses(given: Any) -> np.ndarray:
    """Reference losses as (n,) or (n, q) float64.

    Raises:
        ValueError: they are something else, or not finite.
    """
    wanted = "an array of losses, (n,) or (n, q)"
    remedy = "Pass (n,) or (n, q) numbers, or use Learnability.from_model(model, x, y)"
    given = check_array("reference_losses", given, wanted, remedy)
    losses: np.ndarray = given.astype(np.float64, copy=False)
    fits = losses.ndim in (1, 2) and losses.size > 0
    check_argument(fits, "reference_losses", given, wanted, remedy)
    check_finite(losses, "reference_losses")
    return losses


def _means(losses: np.ndarray, known: np.ndarray | None) -> np.ndarray:
    """The mean over each sample's known labels (n,), 0 where there are none, of losses (n, q)."""
    if known is None:
        return np.asarray(losses.mean(axis=1))
    sums = np.where(known, losses, 0.0).sum(axis=1)
    return np.asarray(sums / np.maximum(known.sum(axis=1), 1))
