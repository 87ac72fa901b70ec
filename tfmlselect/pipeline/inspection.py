"""Which samples a distribution draws most and least, and what their scores are made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfmlselect._checks import check_whole
from tfmlselect._html_table import MOST_ROWS, html_table
from tfmlselect.labels import check_label_names
from tfmlselect.pipeline.selection import Selection

_LABELS_SHOWN = 3
_OTHERS_SHOWN = 2


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Inspection:
    """What `AdaptiveDataset.inspect` finds; `print`, or a notebook, shows a table, a row a sample.

    Rows are in descending probability: the k samples that are drawn most, then the k that are drawn
    least. All of them are of one distribution, the one that the next epoch is drawn from.

    Attributes:
        ids: (2k,) int64, the samples, counted in the order in which they were given.
        relative_probability: (2k,) float64, p n: how often a sample is drawn, 1 being uniform.
        labels: (2k, q) uint8, 0/1; 0 where unknown.
        predictions: (2k, q) float32, the latest recorded ones, NaN for samples that were not
            visited yet; None where the strategy keeps none.
        parts: name -> (2k,) float64, what the strategy's scores are made of, by
            `Strategy.score_parts`; empty where it has none.
        strategy: its class.
        n: number of samples, without those of weight 0, which are left out.
        epoch: epochs completed.
        warmup: how many first epochs are uniform.
        label_names: q names, or None.
        known: (2k, q) bool, which labels are known; None: all are.
    """

    ids: np.ndarray
    relative_probability: np.ndarray
    labels: np.ndarray
    predictions: np.ndarray | None
    parts: dict[str, np.ndarray]
    strategy: str
    n: int
    epoch: int
    warmup: int
    label_names: tuple[str, ...] | None = None
    known: np.ndarray | None = None

    def to_dict(self) -> dict[str, list]:
        """Columns of plain Python values, a row a sample: what `pandas.DataFrame` takes.

        Returns:
            `sample`, `relative_probability`, the parts by name, `labels` (a list of names, or
            numbers, a sample), where some are unknown `unknown` (the same), and, where the strategy
            keeps predictions, `predictions` (a list of q floats a sample).
        """
        names = np.array(self.label_names or range(self.labels.shape[1]), object)
        columns: dict[str, list] = {
            "sample": self.ids.tolist(),
            "relative_probability": self.relative_probability.tolist(),
            **{name: values.tolist() for name, values in self.parts.items()},
            "labels": [names[row == 1].tolist() for row in self.labels],
        }
        if self.known is not None:
            columns["unknown"] = [names[~row].tolist() for row in self.known]
        if self.predictions is not None:
            columns["predictions"] = self.predictions.tolist()
        return columns

    def __repr__(self) -> str:
        return f"<Inspection: {self._headline()}>"

    def __str__(self) -> str:
        rows = [self._row(row) for row in range(len(self.ids))]
        lines = [*map(list, zip(*self._headings(), strict=True)), *rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        numbers = 2 + len(self.parts)
        text = [
            "  ".join(
                f"{cell:>{width}}" if column < numbers else f"{cell:<{width}}"
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        half = 2 + len(rows) // 2
        heading = [line for line in text[:2] if line]
        return "\n".join([self._headline(), "", *heading, *text[2:half], "...", *text[half:]])

    def _repr_html_(self) -> str:
        most = MOST_ROWS // 2
        half = len(self.ids) // 2
        shown = [*range(half)][:most], [*range(half, 2 * half)][-most:]
        upper, lower = ([self._row(row) for row in part] for part in shown)
        left_out = 2 * half - len(upper) - len(lower)
        headings = [" ".join(filter(None, heading)) for heading in self._headings()]
        words = range(2 + len(self.parts), len(headings))
        between = ["..."] + [""] * (len(headings) - 1)
        note = f"{left_out} rows between them are left out: print() shows them." if left_out else ""
        return html_table(
            [self._headline()], headings, [*upper, between, *lower], words=words, note=note
        )

    def _headings(self) -> list[tuple[str, str]]:
        """Of each column, in two lines."""
        headings = [("", "sample"), ("", "p n"), *map(_two_lines, self.parts), ("", "labels")]
        if self.predictions is not None:
            headings[-1] = ("labels,", "as predicted")
            headings.append(("others that are", "predicted most"))
        return headings

    def _headline(self) -> str:
        epochs = f"{self.epoch} epoch{'s' if self.epoch != 1 else ''}"
        said = f"{self.strategy} after {epochs}: the most and the least drawn of {self.n} samples"
        if np.ptp(self.relative_probability) < 1e-9:
            said += "; all are drawn alike"
            if self.epoch < self.warmup:
                said += f" in the warm-up of {self.warmup} epochs"
        return said

    def _row(self, row: int) -> list[str]:
        # What rounds to 0 from below would be shown as -0.000.
        parts = [f"{round(values[row], 3) + 0.0:.3f}" for values in self.parts.values()]
        first = [str(self.ids[row]), f"{self.relative_probability[row]:.3f}", *parts]
        own = np.flatnonzero(self.labels[row])
        if self.predictions is None or np.isnan(self.predictions[row]).any():
            shown = self._shown(own, None, _LABELS_SHOWN)
            return [*first, shown] + [""] * (self.predictions is not None)
        p = self.predictions[row]
        others = np.flatnonzero((self.labels[row] == 0) & self._known_of(row))
        own = own[np.argsort(p[own], kind="stable")]
        others = others[np.argsort(-p[others], kind="stable")][:_OTHERS_SHOWN]
        return [*first, self._shown(own, p, _LABELS_SHOWN), self._shown(others, p, len(others))]

    def _known_of(self, row: int) -> np.ndarray:
        return np.ones(self.labels.shape[1], bool) if self.known is None else self.known[row]

    def _shown(self, labels: np.ndarray, p: np.ndarray | None, most: int) -> str:
        texts = [str(self.label_names[j] if self.label_names else j) for j in labels[:most]]
        if p is not None:
            texts = [f"{name} {p[j]:.2f}" for name, j in zip(texts, labels, strict=False)]
        more = [f"+{len(labels) - most}"] if len(labels) > most else []
        return ", ".join(texts + more) or "-"


def inspect_selection(
    selection: Selection, k: int, label_names: Sequence[str] | None
) -> Inspection:
    """As `AdaptiveDataset.inspect`, of a selection."""
    p = selection.distribution.probabilities
    k = check_whole("k", k, 1, len(p) // 2)  # of either end
    labels, strategy = selection.source.labels, selection.strategy
    names = check_label_names(label_names, labels.q) or labels.names
    order = np.argsort(-p, kind="stable")
    ids = np.concatenate([order[:k], order[-k:]])
    with selection.together():
        parts = strategy.score_parts(ids)
    return Inspection(
        ids=selection.source.kept.as_given(ids),
        relative_probability=p[ids] * len(p),
        labels=labels.matrix[ids],
        known=None if labels.known is None else labels.known[ids],
        predictions=strategy.latest_predictions(ids),
        parts={name: np.asarray(values, np.float64) for name, values in parts.items()},
        strategy=type(strategy).__name__,
        n=len(p),
        epoch=selection.epoch,
        warmup=strategy.warmup,
        label_names=names,
    )


def _two_lines(name: str) -> tuple[str, str]:
    first, _, last = name.rpartition("_")
    return first, last
