"""D2ACE: uncertainty and hardness, weighted by label statistics and dynamic label correlations."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect import sampling
from tfmlselect._checks import (
    check_argument,
    check_choice,
    check_number,
    check_numbers,
    check_whole,
)
from tfmlselect._warn import warn
from tfmlselect.distributed import workers
from tfmlselect.labels import Labels
from tfmlselect.schedules import Ramp, Schedule, check_point
from tfmlselect.scoring.correlations import (
    cosine_correlation,
    label_context,
    make_context,
    make_gram,
)
from tfmlselect.scoring.label_weights import signal_weights
from tfmlselect.scoring.memories import Hardness, Memory, Predictions, Uncertainty
from tfmlselect.scoring.neighbors import find_neighbors
from tfmlselect.scoring.signals import HARDNESS_KINDS
from tfmlselect.strategies.base import Array, PressureStrategy


class D2ACE(PressureStrategy):
    """Draws samples whose labels are uncertain (early) and hard (later), where labels co-occur.

    Two signals per sample i and label j are kept: uncertainty `E_ij` (binary entropy and recent
    change of the prediction) and hardness `h_ij` (grown loss, damped by the flip average `F_ij`).
    For M in {E, h}, label weights are `v_j = exp((mean_i M_ij + std_i M_ij) / 2)`, label
    correlations `C` are cosines between the columns of `M o Y`, a sample's context `Z` holds its
    and its neighbours' labels, `S = Z C'`, and

        score_i = sum_j M_ij v_j + sum_j Y_ij M_ij v_j S_ij.

    Each score becomes a distribution by the pressure law, and the two are mixed,
    `p = beta p_E + (1 - beta) p_h`.

    Before any visit every prediction counts as 0.5, so E and h are the same everywhere (1/2 each,
    with bounded hardness) and samples differ by the correlation term alone; a sample without labels
    then has the smallest probability. Where each label's predictions are constant over all samples
    and visits, E is constant label by label, h has one value for the positives of a label and one
    for its negatives, and samples of equal labels and context are equally likely.

    State, with the default window: 32 bytes per (sample, label) for the signals, up to 8 more for
    visits, labels, context and their pairs: at most 40.

    Args:
        pressure: selection pressure, max p / min p of each component: a number >= 1, which falls
            to 1 over the run, from `decay_start` on, or a `tfmlselect.schedules.Schedule`.
        window: predictions whose changes make up the uncertainty, T >= 2.
        neighbors: nearest neighbours that make up the context, k; 0 for none (Z = Y).
        flip_weight: weight of the newest change in the flip average, in [0, 1].
        hardness: how the loss grows: "bounded" 1 - e^-l, "loss" l, "released" 2 - e^-l.
        warmup: first epochs that are uniform permutations; None: 10 % of the run, as published,
            but at most 5 epochs.
        decay_start: where the pressure begins to fall; it reaches 1 at the end of the run.
        mix: beta before and after its ramp.
        mix_span: where the ramp of beta begins and ends.
        epochs: the run's length; None: that of the fit, or 100 where used alone.

    `warmup`, `decay_start` and `mix_span` are points of the run: a float is a fraction of it, an
    int is a number of epochs.

    Raises:
        ValueError: an argument outside its range. At `build`: features or neighbours of another
            shape, or ids that are none.

    Example:
        >>> import numpy as np, tfmlselect as tfml
        >>> y = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 0]])
        >>> strategy = tfml.strategies.D2ACE(neighbors=0)
        >>> strategy.build(y)
        >>> strategy.observe(np.array([0, 1]), np.array([[0.9, 0.1, 0.2], [0.1, 0.9, 0.1]], "f"))
        >>> bool(abs(sum(strategy.probabilities(0).numpy()) - 1) < 1e-12)
        True

    References:
        "D2ACE", IJCAI-ECAI 2026. Steps and symbols are those of the authors' released code.

    Deviations and open points:
        `hardness="bounded"` is our reading: the released line computes 2 - e^-l, which looks like a
        slip, and the authors' README shows l. Warm-up epochs are shuffled; the released code keeps
        one order. Features are searched as given: scale them first, as the papers do (to [0, 1]).
    """

    uses_neighbors = True
    _figures_taken = ("pressure", "mixture_weight")
    published_warmup = 0.1

    def __init__(
        self,
        pressure: float | Schedule = 8.0,
        *,
        window: int = 5,
        neighbors: int = 6,
        flip_weight: float = 0.7,
        hardness: str = "bounded",
        warmup: float | None = None,
        decay_start: float = 0.1,
        mix: tuple[float, float] = (0.7, 0.3),
        mix_span: tuple[float, float] = (0.1, 0.7),
        epochs: int | None = None,
    ):
        super().__init__(pressure, decay_start, warmup=warmup, epochs=epochs)
        self.window = check_whole("window", window, 2)
        self.neighbors = check_whole("neighbors", neighbors, 0)
        self.flip_weight = check_number("flip_weight", flip_weight, 0, 1)
        self.hardness = check_choice("hardness", hardness, HARDNESS_KINDS)
        self.decay_start = check_point("decay_start", decay_start)
        self.mix = check_numbers("mix", mix, 2, 0, 1)
        span = mix_span.tolist() if isinstance(mix_span, np.ndarray) else mix_span
        pair = isinstance(span, (tuple, list)) and len(span) == 2
        remedy = "Pass for example mix_span=(0.1, 0.7), where the ramp begins and ends"
        check_argument(pair, "mix_span", mix_span, "two points of the run", remedy)
        self.mix_span = tuple(check_point("mix_span", point) for point in span)

    def _build(self, labels: Labels, features: Any, neighbors: Any) -> None:
        n, q = labels.matrix.shape
        self._shape = (n, q)
        self._predictions = Predictions(n, q)
        self._uncertainty = Uncertainty(labels, self.window)
        self._hardness = Hardness(labels, self.flip_weight, self.hardness)
        context = label_context(labels.matrix, self._neighborhood(n, features, neighbors))
        self._gram = make_gram(labels)
        self._context = make_context(labels.matrix, context)

    def _neighborhood(self, n: int, features: Any, neighbors: Any) -> np.ndarray | None:
        """The ids (n, k) of each sample's neighbours; None: samples have no neighbourhood."""
        if self.neighbors == 0:
            return None
        found = find_neighbors(features, neighbors, n, self.neighbors)
        if found is None:
            warn(
                "D2ACE has nothing to search neighbours in and goes on without a neighbourhood (a "
                "sample's context is its own labels). Received: features=None, neighbors=None, and "
                "x is no matrix of numbers in memory. Pass `features=` (n, d), e.g. embeddings or "
                "several inputs side by side, or `neighbors=` ids (n, k); D2ACE(neighbors=0) says "
                "that this is meant.",
            )
        return found

    def observe(self, ids: Array, y_pred: Array, loss: Array | None = None) -> None:
        """Records one batch: ids (b,), probabilities (b, q), optionally the per-label loss."""
        visit = self._predictions.observe(ids, y_pred)
        self._uncertainty.observe(visit)
        self._hardness.observe(visit, loss)

    def scores(self) -> tuple[tf.Tensor, tf.Tensor]:
        """The scores of both signals, uncertainty and hardness: (n,) float32 each."""
        of_uncertainty, of_hardness = self._scores(self._label_weights())
        return of_uncertainty, of_hardness

    @property
    def _signals(self) -> list[Memory]:
        return [self._uncertainty, self._hardness]

    def _label_weights(self) -> list[tf.Tensor]:
        return [signal_weights(signal, *self._shape) for signal in self._signals]

    def _scores(self, weights: list[tf.Tensor]) -> list[tf.Tensor]:
        grams = [workers.total(self._gram(signal)) for signal in self._signals]
        correlations = [tf.cast(cosine_correlation(gram), tf.float32) for gram in grams]
        return self._context.scores(self._signals, weights, correlations)

    def score_parts(self, ids: Array) -> dict[str, tf.Tensor]:
        """The two terms of both scores: `sum_j M_ij v_j`, and what correlations add to it.

        Returns:
            `uncertainty` and `uncertainty_correlation`, which add up to the score of the
            uncertainty; `hardness` and `hardness_correlation`, to that of the hardness.
        """
        weights = self._label_weights()
        parts: dict[str, tf.Tensor] = {}
        for name, signal, weight, score in zip(
            ("uncertainty", "hardness"),
            self._signals,
            weights,
            self._scores(weights),
            strict=True,
        ):
            plain = tf.linalg.matvec(signal.gather(ids), weight)
            parts |= {name: plain, f"{name}_correlation": tf.gather(score, ids) - plain}
        return parts

    def figures(self, epoch: int) -> dict[str, float]:
        """The selection pressure, and beta as "mixture_weight"."""
        beta = self._at(Ramp(*self.mix, *self.mix_span), epoch)
        return {"pressure": self._at(self.pressure, epoch), "mixture_weight": beta}

    def _distribution_ops(self, pressure: tf.Tensor, beta: tf.Tensor) -> tf.Tensor:
        of_uncertainty, of_hardness = (
            sampling.pressure_probabilities(score, pressure) for score in self.scores()
        )
        return beta * of_uncertainty + (1.0 - beta) * of_hardness

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "pressure": self.pressure.get_config(),
            "window": self.window,
            "neighbors": self.neighbors,
            "flip_weight": self.flip_weight,
            "hardness": self.hardness,
            "decay_start": self.decay_start,
            "mix": self.mix,
            "mix_span": self.mix_span,
            **super().get_config(),
        }
