"""D2ACE: uncertainty and hardness, weighted by label statistics and dynamic label correlations."""

from __future__ import annotations

import warnings

import tensorflow as tf

from tfmlselect import sampling, schedules
from tfmlselect._checks import check_argument
from tfmlselect.distributed import workers
from tfmlselect.labels import check_labels
from tfmlselect.schedules import check_knot, knot_epoch, ramp
from tfmlselect.scoring.correlations import (
    cosine_correlation,
    label_context,
    make_context,
    make_gram,
)
from tfmlselect.scoring.label_weights import signal_weights
from tfmlselect.scoring.memories import Hardness, Memory, Predictions, Uncertainty
from tfmlselect.scoring.neighbors import check_neighbors, nearest_neighbors
from tfmlselect.scoring.signals import HARDNESS_KINDS
from tfmlselect.strategies.base import Strategy


class D2ACE(Strategy):
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
        warmup: first epochs that are uniform permutations.
        decay_start: where the pressure begins to fall; it reaches 1 at the end of the run.
        mix: beta before and after its ramp.
        mix_span: where the ramp of beta begins and ends.
        epochs: the run's length; None: the callback fills it in, 100 when used alone.

    `warmup`, `decay_start` and `mix_span` are points of the run: a float is a fraction of it, an
    int is a number of epochs.

    Raises:
        ValueError: an argument outside its range.

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

    def __init__(
        self,
        pressure: float | schedules.Schedule = 8.0,
        *,
        window: int = 5,
        neighbors: int = 6,
        flip_weight: float = 0.7,
        hardness: str = "bounded",
        warmup: float = 0.1,
        decay_start: float = 0.1,
        mix: tuple[float, float] = (0.7, 0.3),
        mix_span: tuple[float, float] = (0.1, 0.7),
        epochs: int | None = None,
    ):
        super().__init__(warmup=warmup, epochs=epochs)
        check_argument(
            window >= 2 and window == int(window), "window", window, "a whole number >= 2"
        )
        check_argument(
            neighbors >= 0 and neighbors == int(neighbors),
            "neighbors",
            neighbors,
            "a whole number >= 0 (0: no neighbourhood)",
        )
        check_argument(0 <= flip_weight <= 1, "flip_weight", flip_weight, "a number in [0, 1]")
        check_argument(hardness in HARDNESS_KINDS, "hardness", hardness, f"one of {HARDNESS_KINDS}")
        check_argument(
            len(mix) == 2 and all(0 <= beta <= 1 for beta in mix),
            "mix",
            mix,
            "two numbers in [0, 1]: beta before and after its ramp",
        )
        check_argument(len(mix_span) == 2, "mix_span", mix_span, "two points of the run")
        check_knot("decay_start", decay_start)
        for knot in mix_span:
            check_knot("mix_span", knot)
        self.pressure = schedules.pressure(pressure, decay_start)
        self.window = int(window)
        self.neighbors = int(neighbors)
        self.flip_weight = float(flip_weight)
        self.hardness = hardness
        self.decay_start = decay_start
        self.mix = tuple(map(float, mix))
        self.mix_span = tuple(mix_span)

    def build(self, y, features=None, neighbors=None) -> None:
        """Allocates the signals and looks up, or searches, each sample's neighbours.

        Args:
            y: labels (n, q), 0/1, dense or scipy.sparse.
            features: (n, d), searched by Euclidean distance where `neighbors` is None.
            neighbors: ids (n, k), nearest first; more columns than needed are left out.

        Raises:
            ValueError: y is not 0/1, or the neighbours have the wrong shape or range.
        """
        labels = check_labels(y).matrix
        n, q = labels.shape
        self._shape = (n, q)
        self._predictions = Predictions(n, q)
        self._uncertainty = Uncertainty(n, q, self.window)
        self._hardness = Hardness(labels, self.flip_weight, self.hardness)
        context = label_context(labels, self._neighborhood(n, features, neighbors))
        self._gram = make_gram(labels)
        self._context = make_context(labels, context)
        self._mixture = workers.compiled(self._mixture_ops)

    def _neighborhood(self, n, features, neighbors):
        if self.neighbors == 0:
            return None
        if neighbors is not None:
            return check_neighbors(neighbors, n, self.neighbors)
        if features is not None:
            return nearest_neighbors(features, self.neighbors)
        warnings.warn(
            "D2ACE has nothing to search neighbours in and goes on without a neighbourhood (a "
            "sample's context is its own labels). Received: features=None, neighbors=None, and x "
            "is no matrix of numbers in memory. Pass `features=` (n, d), e.g. embeddings or "
            "several inputs side by side, or `neighbors=` ids (n, k); D2ACE(neighbors=0) says that "
            "this is meant.",
            stacklevel=2,
        )
        return None

    def observe(self, ids, y_pred, loss=None) -> None:
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

    def score_parts(self, ids) -> dict[str, tf.Tensor]:
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

    def probabilities(self, epoch: int) -> tf.Tensor:
        """The mixture for the epoch after `epoch`: (n,) float64, sums to 1."""
        figures = self.figures(epoch)
        pressure, beta = figures["pressure"], figures["mixture_weight"]
        return self._mixture(tf.constant(pressure, tf.float64), tf.constant(beta, tf.float64))

    def figures(self, epoch: int) -> dict[str, float]:
        """The selection pressure, and beta as "mixture_weight"."""
        epochs = self.run_epochs
        beta = ramp(epoch, *self.mix, *(knot_epoch(knot, epochs) for knot in self.mix_span))
        return {"pressure": self.pressure(epoch, epochs), "mixture_weight": beta}

    def _mixture_ops(self, pressure, beta):
        of_uncertainty, of_hardness = (
            sampling.pressure_probabilities(score, pressure) for score in self.scores()
        )
        return beta * of_uncertainty + (1.0 - beta) * of_hardness

    def get_config(self) -> dict:
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
