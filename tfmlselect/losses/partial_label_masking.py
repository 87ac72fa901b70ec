"""Partial Label Masking: drops entries of a loss so that labels' positives and negatives balance.

How the ratios that it aims at are updated is in `masking_ratios`; when, in `tfmlselect.callbacks`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect._checks import (
    check_argument,
    check_array,
    check_choice,
    check_number,
    check_whole,
)
from tfmlselect.losses.balancing import BalancingLoss, checked_odds
from tfmlselect.losses.base import mean_over_known
from tfmlselect.losses.masking_ratios import DIRECTIONS

MASKS, DENOMINATORS = ("sample", "expected"), ("all", "kept")


@tf.keras.utils.register_keras_serializable("tfmlselect")
class PartialLabelMasking(BalancingLoss):
    """Masks entries of a loss so that each label's positives and negatives come in an ideal ratio.

    A label c has odds `r_c`, positives over negatives, and an ideal ratio `r̂_c`. Where r_c > r̂_c, a
    positive entry is kept with probability r̂_c / r_c; where r_c < r̂_c, a negative one with r_c /
    r̂_c; all others are kept. Then E[kept positives] / E[kept negatives] = r̂_c. The mask is drawn
    anew in every step.

    The ideal ratios start at the odds, so that nothing is masked, and adapt after each epoch, from
    the predictions of its training steps. `tfmlselect.callbacks.PartialLabelMaskingUpdate` does
    that in a fit, or `AdaptiveBatchSelection` where that is used: then the odds are those of
    its draws, renewed with every distribution. Under either, validation in the fit takes the loss
    without a mask, whatever ran before; called on its own, and in `model.evaluate`, the loss masks.

    A label without positives or without negatives (odds NaN, 0 or infinite) takes no part: nothing
    of it is masked. Ratios are saved and loaded with the compiled model, as a part of the config.

    Args:
        loss: what is masked: the name or an object of a Keras loss ("binary_crossentropy",
            `BinaryFocalCrossentropy()`), `AsymmetricLoss()`, or a function (y, y_pred) -> (b, q).
        odds: (q,) positives / negatives of each label in the training set:
            `tfmlselect.label_statistics(y).odds`.
        mask: "sample" draws the mask, "expected" weighs by its expectation.
        denominator: the mean over a sample's labels is over "all" of them, or over the "kept" ones.
        initial: ideal ratios at the start: "actual" (the odds), "global" (the odds of all labels
            taken together), a number, or (q,) numbers.
        rate: λ, how far one epoch moves the ratios.
        limit: largest factor between ideal ratio and odds, either way.
        direction: "truth_predicted", KL(truth || predicted), or "predicted_truth".
        bins: of the histograms of predictions.
        smoothing: mass that is added to each bin.
        from_logits: whether predictions are logits; None: what the loss object says, else False.
        activation: with logits, what makes probabilities of them: "sigmoid", or "softmax" for
            class ids, whose C one-vs-all entries are then masked.
        missing: what stands for an unknown label in y: NaN, or a number below 0; None:
            what the loss object says, else all labels are known.
        seed: of the masks.
        name: of the loss; None: Keras picks one.
        **kwargs: `reduction`, and what else a Keras loss takes.

    Attributes:
        actual: variable (q,) float32, the odds; NaN where a label takes no part.
        ideal: variable (q,) float32, the ideal ratios; NaN where a label takes no part.

    Raises:
        ValueError: an argument outside its range.

    Example:
        >>> import numpy as np, tfmlselect as tfml
        >>> y = np.array([[1, 0], [1, 0], [1, 1], [0, 0]], "float32")
        >>> loss = tfml.losses.PartialLabelMasking(
        ...     odds=tfml.label_statistics(y).odds, initial=1.0, mask="expected"
        ... )
        >>> print(loss.keep_probability(y).numpy().round(2))
        [[0.33 0.33]
         [0.33 0.33]
         [0.33 1.  ]
         [1.   0.33]]

    References:
        Duarte, Rawat and Shah, "PLM: Partial Label Masking for Imbalanced Multi-label
        Classification", CVPR Workshops 2021, arXiv:2105.10782.

    Deviations and open points:
        Formulas are those of the abstract and of a port: the paper's body was not at hand. The
        direction of the divergence, the smoothing and the limit are ours, and so is the
        single-label form. "global" is one number for all labels, all positives over all negatives.
    """

    def __init__(
        self,
        loss: Any = "binary_crossentropy",
        *,
        odds: Any = None,
        mask: str = "sample",
        denominator: str = "all",
        initial: Any = "actual",
        rate: float = 0.01,
        limit: float = 100.0,
        direction: str = "truth_predicted",
        bins: int = 10,
        smoothing: float = 1e-3,
        from_logits: bool | None = None,
        activation: str = "sigmoid",
        missing: float | None = None,
        seed: int = 0,
        name: str | None = "partial_label_masking",
        **kwargs: Any,
    ):
        odds = checked_odds(odds)
        super().__init__(
            loss,
            len(odds),
            from_logits=from_logits,
            activation=activation,
            missing=missing,
            name=name,
            **kwargs,
        )
        self.mask = check_choice("mask", mask, MASKS)
        self.denominator = check_choice("denominator", denominator, DENOMINATORS)
        self.rate = check_number("rate", rate, 0, example=0.01)
        self.limit = check_number("limit", limit, above=1, example=100.0)
        self.direction = check_choice("direction", direction, DIRECTIONS)
        self.bins = check_whole("bins", bins, 2)
        self.smoothing = check_number("smoothing", smoothing, above=0, example=1e-3)
        self.seed = check_whole("seed", seed)
        self.starts_at_odds = isinstance(initial, str) and initial == "actual"
        self.actual = tf.Variable(odds, trainable=False, dtype=tf.float32)
        self.ideal = tf.Variable(_initial_ratios(initial, odds), trainable=False, dtype=tf.float32)
        self._drawn = tf.Variable(
            tf.constant(0, tf.int64),
            trainable=False,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    def keep_probability(self, y_true: Any) -> tf.Tensor:
        """With which probability each entry is kept: (b, q) float32, of labels (b, q)."""
        ratio = self.ideal / self.actual
        positive = _probability(ratio)
        negative = _probability(1.0 / ratio)
        return tf.where(tf.cast(y_true, tf.float32) > 0.5, positive, negative)

    def per_sample(
        self, y_true: tf.Tensor, y_pred: tf.Tensor, weight: Any = None, known: Any = None
    ) -> tf.Tensor:
        """The masked mean over labels: (b,)."""
        values = self.entries(y_true, y_pred)
        values = values if weight is None else values * weight
        whole = self._in_validation()
        mask = self.keep_probability(y_true)
        if self.mask == "sample":
            drawn = self._uniform(tf.shape(mask), tf.where(whole, 0, 1))
            mask = tf.cast(drawn < mask, tf.float32)
        mask = tf.where(whole, 1.0, mask)
        values = tf.where(mask > 0, values * mask, 0.0)
        if self.denominator == "all":
            return mean_over_known(values, known)
        if known is not None:
            values, mask = tf.where(known, values, 0.0), tf.where(known, mask, 0.0)
        return tf.math.divide_no_nan(tf.reduce_sum(values, axis=-1), tf.reduce_sum(mask, axis=-1))

    def _uniform(self, shape: tf.Tensor, counts: Any = 1) -> tf.Tensor:
        """The next random numbers in [0, 1); the same ones again where the draw counts 0."""
        number = self._drawn.read_value()
        self._drawn.assign_add(tf.cast(counts, tf.int64))
        seed = tf.stack([tf.constant(self.seed, tf.int64), number])
        # Whole numbers, which are the same with and without XLA: floats are not.
        whole = tf.random.stateless_uniform(shape, seed, 0, 1 << 24, tf.int32)
        return tf.cast(whole, tf.float32) / (1 << 24)

    @property
    def state(self) -> dict[str, tf.Variable]:
        """All that changes in a run, name -> variable."""
        return {"actual": self.actual, "ideal": self.ideal, "drawn": self._drawn}

    def restored(self) -> None:
        """The ideal ratios are those of the backup."""
        self.starts_at_odds = False

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, with odds and ideal ratios as they are now."""
        return {
            **super().get_config(),
            "odds": np.nan_to_num(self.actual.numpy()).tolist(),
            "mask": self.mask,
            "denominator": self.denominator,
            "initial": np.nan_to_num(self.ideal.numpy()).tolist(),
            "rate": self.rate,
            "limit": self.limit,
            "direction": self.direction,
            "bins": self.bins,
            "smoothing": self.smoothing,
            "seed": self.seed,
        }


def _probability(ratio: tf.Tensor) -> tf.Tensor:
    return tf.where(tf.math.is_finite(ratio), tf.minimum(ratio, 1.0), 1.0)


def _initial_ratios(initial: Any, odds: np.ndarray) -> np.ndarray:
    """(q,) float64; NaN where a label takes no part."""
    if isinstance(initial, str):
        if check_choice("initial", initial, ("actual", "global")) == "actual":
            return odds
        positive = odds / (1.0 + odds)  # share of the samples
        initial = np.nansum(positive) / np.nansum(1.0 - positive)
    wanted = f"a ratio above 0, or one for each of the {len(odds)} labels"
    remedy = 'Pass "actual", "global", or numbers > 0'
    ratios = np.asarray(check_array("initial", initial, wanted, remedy), np.float64)
    fits = ratios.ndim == 0 or ratios.shape == odds.shape
    ok = fits and np.all(np.isnan(odds) | ((ratios > 0) & np.isfinite(ratios)))
    check_argument(ok, "initial", initial, wanted, remedy)
    return np.where(np.isnan(odds), np.nan, ratios)
