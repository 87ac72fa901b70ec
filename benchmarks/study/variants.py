"""What is compared, by name: strategies, their ablations, and what a user would try first instead.

A variant says how batches are chosen, and where it is another loss or network, that too. All else
is the same for all: data, initial weights, optimizer, steps, order of a uniform epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

import tfmlselect as tfml
from tfmlselect.strategies import D2ACE, PositiveHardness, Strategy, get, names


@dataclass(frozen=True)
class Variant:
    """One way to train.

    Attributes:
        strategy: makes the strategy, anew for each run.
        scores: of `AdaptiveBatchSelection`.
        loss: makes the loss from the labels (n, q) of the training part; None: the model's own.
        weakening: whether `FeatureWeakening` stands before the head.
        papers: whether batches are drawn as in the papers, each on its own.
    """

    strategy: Callable[[], Strategy]
    scores: str = "record"
    loss: Callable[[np.ndarray], tf.keras.losses.Loss] | None = None
    weakening: bool = False
    papers: bool = True

    @property
    def draws(self) -> str:
        """Of `adaptive_dataset`."""
        return "independent" if self.papers else "systematic"


PUBLISHED = (
    "uniform",
    "label_balanced",
    "online_batch",
    "active_bias",
    "recency_bias",
    "learnability",
    "hard_imbalance",
    "uncertainty",
    "d2ace",
    "positive_hardness",
)


def as_published(kind: type[Strategy], **arguments) -> Strategy:
    """A strategy that warms up as long as its paper says, however long the run is."""
    if kind.published_warmup:
        arguments = {"warmup": kind.published_warmup, **arguments}
    return kind(**arguments)


def of_paper(name: str) -> Strategy:
    """The same, by name."""
    return as_published(type(get(name)))


class AblatedD2ACE(D2ACE):
    """D2ACE whose label weights are all 1, or whose correlation term is left out."""

    def __init__(self, *, label_weights: bool = True, correlations: bool = True, **kwargs):
        super().__init__(**kwargs)
        self.label_weights, self.correlations = label_weights, correlations

    def build(self, y, features=None, neighbors=None) -> None:
        """As D2ACE's, with a context that leaves the parts out."""
        super().build(y, features, neighbors)
        self._context = self._without(self._context)

    def _without(self, context):
        def scores(signals, weights, correlations):
            if not self.label_weights:
                weights = [tf.ones_like(v) for v in weights]
            if not self.correlations:
                correlations = [tf.zeros_like(c) for c in correlations]
            return context.scores(signals, weights, correlations)

        return SimpleNamespace(scores=scores)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        switches = {"label_weights": self.label_weights, "correlations": self.correlations}
        return {**super().get_config(), **switches}


def masking(y: np.ndarray) -> tf.keras.losses.Loss:
    """Partial Label Masking of the cross-entropy."""
    return tfml.losses.PartialLabelMasking(
        "binary_crossentropy", odds=tfml.label_statistics(y).odds
    )


VARIANTS: dict[str, Variant] = {
    **{name: Variant(lambda name=name: of_paper(name)) for name in PUBLISHED},
    **{
        name: Variant(lambda name=name: get(name), papers=False)
        for name in names()
        if name not in PUBLISHED
    },
    "d2ace-no-correlations": Variant(lambda: as_published(AblatedD2ACE, correlations=False)),
    "d2ace-no-label-weights": Variant(lambda: as_published(AblatedD2ACE, label_weights=False)),
    "d2ace-uncertainty-only": Variant(lambda: as_published(D2ACE, mix=(1.0, 1.0))),
    "d2ace-hardness-only": Variant(lambda: as_published(D2ACE, mix=(0.0, 0.0))),
    **{
        f"d2ace-pressure-{s}": Variant(lambda s=s: as_published(D2ACE, pressure=float(s)))
        for s in (2, 4, 16, 32, 64)
    },
    "d2ace-warmup-3": Variant(lambda: D2ACE(warmup=0.03)),
    "d2ace-predict": Variant(lambda: of_paper("d2ace"), scores="predict"),
    **{
        f"positive_hardness-pressure-{s}": Variant(
            lambda s=s: as_published(PositiveHardness, pressure=float(s))
        )
        for s in (2, 4, 64)
    },
    "positive_hardness-warmup-10": Variant(lambda: PositiveHardness(warmup=0.1)),
    "positive_hardness-predict": Variant(lambda: of_paper("positive_hardness"), scores="predict"),
    "plm": Variant(tfml.strategies.Uniform, loss=masking),
    "plm+positive_hardness": Variant(lambda: of_paper("positive_hardness"), loss=masking),
    "feature_weakening": Variant(tfml.strategies.Uniform, weakening=True),
    "feature_weakening+positive_hardness": Variant(
        lambda: of_paper("positive_hardness"), weakening=True
    ),
    "focal": Variant(
        tfml.strategies.Uniform, loss=lambda y: tf.keras.losses.BinaryFocalCrossentropy()
    ),
    "asymmetric": Variant(tfml.strategies.Uniform, loss=lambda y: tfml.losses.AsymmetricLoss()),
}
