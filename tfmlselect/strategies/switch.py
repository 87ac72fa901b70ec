"""Switch: several strategies in turn, each until its point of the run."""

from __future__ import annotations

import itertools
from typing import Any

import tensorflow as tf

from tfmlselect._checks import check_argument, is_whole, shown
from tfmlselect.schedules import check_point, warmup_epochs
from tfmlselect.strategies.argument_text import value_as_typed
from tfmlselect.strategies.composite import CompositeStrategy


class Switch(CompositeStrategy):
    """Draws from one strategy after the other, each in force until its point of the run.

    A point is a float, a fraction of the run, or an int, a number of passes over the data. Epoch k,
    counted from 0, is drawn from the first part whose point lies after k: whose point, as a number
    of epochs, is above k. The last point is 1.0, the end of the run. So in a run of 5 epochs::

        [("uniform", 0.8), ("label_balanced", 1.0)]    uniform 0 1 2 3, label_balanced 4
        [("uniform", 0.5), ("label_balanced", 1.0)]    uniform 0 1 2,   label_balanced 3 4
        [("label_balanced", 1), ("uniform", 1.0)]      label_balanced 0, uniform 1 2 3 4

    After the end of the run the last part stays. A point in the middle of an epoch counts from the
    next one on. A part that other points leave no epoch is never in force: the second one of a run
    that ends before an int point of the first.

    All parts observe all visits, so a part begins with what was recorded before its turn. Warm-up
    is that of the first part, within its turn; those of later parts do not count, since their turns
    come later. A part that was made with `epochs` of its own keeps them for its schedules, which
    all run from the start of training. A part's `plan` is not used.

    Args:
        parts: pairs of a strategy, or its name, and the point of the run until which it is in
            force; points ascend.
        epochs: the run's length, for all parts; None: that of the fit, or 100 where used alone.

    Raises:
        ValueError: no parts; an object that is in two of them; one whose batches are more than
            draws from its distribution (`own_plan`); a point that is none; fractions or whole
            numbers, each by themselves, that do not ascend from above 0; a last one that is not
            1.0.

    Example:
        >>> import numpy as np, tfmlselect as tfml
        >>> strategy = tfml.strategies.Switch(
        ...     [("uniform", 0.8), ("label_balanced", 1.0)], epochs=5
        ... )
        >>> strategy.build(np.array([[1, 0], [1, 0], [1, 0], [0, 1]]))
        >>> strategy.probabilities(2).numpy().round(3)  # at the end of epoch 2: for epoch 3
        array([0.25, 0.25, 0.25, 0.25])
        >>> strategy.probabilities(3).numpy().round(3)
        array([0.167, 0.167, 0.167, 0.5  ])

    References:
        Deferred re-sampling, uniform batches and then balanced ones: Cao et al., "Learning
        Imbalanced Datasets with Label-Distribution-Aware Margin Loss", NeurIPS 2019,
        arXiv:1906.07413.

    Deviations and open points:
        The paper defers until the learning rate is lowered first; here the point is given. With
        `AdaptiveBatchSelection(every=...)` strategies are asked every so many epochs, and a part
        whose turn comes between two of these is in force from the second on.
    """

    _second_called = "point of the run"

    def _second(self, value: Any) -> float:
        return check_point("point", value)

    def _second_config(self, second: float) -> float:
        return second

    def _second_as_typed(self, second: float) -> str:
        return value_as_typed(second)

    def _check_parts(self) -> None:
        points = [point for _, point in self.parts]
        for alike in (True, False):
            of_kind = [0, *(point for point in points if is_whole(point) == alike)]
            check_argument(
                all(first < then for first, then in itertools.pairwise(of_kind)),
                "parts",
                points,
                "strategies with points of the run that ascend from above 0",
                "Give each strategy the point at which its turn ends, not how long it takes: "
                '[("uniform", 0.3), ("label_balanced", 0.6), ("uniform", 1.0)]',
            )
        last = points[-1]
        check_argument(
            not is_whole(last) and last == 1,
            "parts",
            points,
            "strategies of which the last one is in force to the end of the run",
            f"Pass 1.0 in place of the last point, {shown(last)}",
        )
        super()._check_parts()

    def in_force(self, epoch: int) -> int:
        """The number of the part, from 0, that an epoch is drawn from.

        Args:
            epoch: counted from 0; that which is drawn.
        """
        ends = (self._first_epochs(point) for _, point in self.parts)
        return next((k for k, end in enumerate(ends) if epoch < end), len(self.parts) - 1)

    def _known_distributions(self) -> list[tf.Tensor]:
        """Those of the parts that are in force after the warm-up."""
        after = range(self.warmup, self.run_epochs)
        parts = [self.parts[k][0] for k in sorted({self.in_force(epoch) for epoch in after})]
        return [p for part in parts for p in part._known_distributions()]

    def _first_epochs(self, point: float) -> int:
        """How many epochs begin before a point of the run, as many as a warm-up until it takes."""
        return warmup_epochs(point, self.run_epochs, self.passes_per_epoch)

    def probabilities(self, epoch: int) -> tf.Tensor:
        """That of the part which is in force in the epoch after `epoch`: (n,) float64, sums to 1.

        Args:
            epoch: counted from 0; -1 stands for the time before the first epoch.
        """
        return self._part_probabilities(self.in_force(epoch + 1), epoch)

    def figures(self, epoch: int) -> dict[str, float]:
        """Which part is in force, "part", and the figures of all parts behind their numbers."""
        return {"part": float(self.in_force(epoch + 1)), **self._figures_of_parts(epoch)}

    @property
    def warmup(self) -> int:
        """The warm-up of the first part, within its turn."""
        first, point = self.parts[0]
        return min(first.warmup, self._first_epochs(point))
