"""The pictures in docs/evidence/, as SVG that one version of matplotlib draws the same each time.

Each picture carries a digest of the figures it shows, so that a stale one is noticed whatever
version drew it.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable
from typing import NamedTuple

import matplotlib
import pandas as pd
import scikit_posthocs
from matplotlib.figure import Figure

from benchmarks.evidence import ranks, results

COLUMNS = 3
# Okabe and Ito's colours, which colour-blind readers can tell apart; the baseline is black, and the
# last two are told by their lines.
LOOKS = {
    "uniform": {"color": "#000000", "linestyle": "--", "linewidth": 1.8, "zorder": 3},
    "online_batch": {"color": "#E69F00"},
    "hard_imbalance": {"color": "#56B4E9"},
    "uncertainty": {"color": "#009E73"},
    "d2ace": {"color": "#0072B2"},
    "positive_hardness": {"color": "#D55E00"},
    "label_balanced": {"color": "#CC79A7"},
    "active_bias": {"color": "#777777", "linestyle": ":"},
    "recency_bias": {"color": "#777777", "linestyle": "-."},
}


class Picture(NamedTuple):
    """One that can be drawn, which takes much longer than to see whether it is stale."""

    name: str  # of its file
    title: str
    digest: str  # of the figures it shows
    draw: Callable[[], Figure]


def gain_curves(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Gains in test macro-AUC over the baseline, epoch by epoch, a panel for each data set.

    Returns:
        For each set the mean gains (epochs x strategies, without the baseline), of the folds that
        all strategies with a row on this set have; sets without a fold of all, or without a
        strategy beside the baseline, are left out. Columns' name is the number of folds.
    """
    panels = {}
    for data, rows in frame[frame["strategy"].isin(LOOKS)].groupby("data"):
        curves = [
            pd.DataFrame(
                {
                    "epoch": results.curve(row.curve_epochs),
                    "value": results.curve(row.curve_test),
                    "fold": row.fold,
                    "strategy": row.strategy,
                }
            )
            for row in rows.itertuples()
        ]
        table = pd.concat(curves).pivot(index=["fold", "epoch"], columns="strategy", values="value")
        table = table[[name for name in LOOKS if name in table]].dropna()
        if len(table) and results.BASELINE in table and len(table.columns) > 1:
            folds = table.index.get_level_values("fold").nunique()
            baseline = table.pop(results.BASELINE)
            gains = table.sub(baseline, axis=0)
            panels[data] = gains.groupby("epoch").mean().rename_axis(columns=folds)
    return panels


def curves_picture(name: str, title: str, panels: dict[str, pd.DataFrame]) -> Picture:
    """Gains over epochs, to be drawn."""
    return Picture(name, title, digest(pd.concat(panels)), lambda: draw_curves(panels, title))


def ranks_picture(name: str, title: str, ranking: ranks.Ranking) -> Picture:
    """A critical-difference diagram, to be drawn."""
    of = pd.concat([ranking.mean_ranks.to_frame(), ranking.nemenyi], axis=1)
    return Picture(name, title, digest(of), lambda: draw_ranks(ranking, title))


def draw_curves(panels: dict[str, pd.DataFrame], title: str) -> Figure:
    """The panels with one legend above them, the baseline at 0.

    Early gains and losses, before the learning rate is warm, can be many times those that last: the
    axes fit what comes after a tenth of the epochs, and early lines may leave them.
    """
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(max(3.6 * columns, 7.2), 2.6 * rows + 1.1), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    handles = {}
    for axes, (data, panel) in zip(grid, panels.items(), strict=False):
        for name in panel:
            look = {"linewidth": 1.4, **LOOKS[name]}
            (handles[name],) = axes.plot(panel.index, panel[name], label=name, **look)
        handles[results.BASELINE] = axes.axhline(0, **LOOKS[results.BASELINE])
        axes.set_ylim(limits(panel))
        folds = panel.columns.name
        axes.set_title(f"{data}, {folds} fold{'s' if folds > 1 else ''}", fontsize=11)
        axes.grid(color="0.9")
        axes.tick_params(labelsize=9)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    figure.supxlabel("epoch", fontsize=11)
    figure.supylabel("macro-AUC on the test part, minus that of uniform", fontsize=11)
    order = [name for name in LOOKS if name in handles]
    figure.legend(
        [handles[name] for name in order],
        order,
        title=title,
        title_fontsize=12,
        loc="outside upper center",
        ncols=5,
        fontsize=10,
        frameon=False,
    )
    return figure


def limits(panel: pd.DataFrame) -> tuple[float, float]:
    """The vertical axis: what comes after the warm-up, 0 and, at the least, 0.002 either side."""
    late = panel[panel.index > panel.index.max() / 10]
    low, high = min(late.min().min(), -0.002), max(late.max().max(), 0.002)
    margin = 0.05 * (high - low)
    return low - margin, high + margin


def draw_ranks(ranking: ranks.Ranking, title: str) -> Figure:
    """The critical-difference diagram: a bar joins strategies that the test does not tell apart."""
    figure = Figure(figsize=(9, 0.34 * len(ranking.mean_ranks) + 1.4), layout="constrained")
    axes = figure.subplots()
    drawn = scikit_posthocs.critical_difference_diagram(
        ranking.mean_ranks,
        ranking.nemenyi,
        ax=axes,
        label_props={"fontsize": 11},
        color_palette={name: LOOKS[name]["color"] for name in ranking.mean_ranks.index},
        label_fmt_left="{label} ({rank:.2f})\N{NO-BREAK SPACE}",
        label_fmt_right="\N{NO-BREAK SPACE}({rank:.2f}) {label}",
    )
    for (bar,) in drawn["crossbars"]:
        bar.set_xdata(sorted(bar.get_xdata()))  # its points come in the order of a set
    for text in axes.texts:
        text.set_color("black")  # letters in the lines' colours would be pale
    axes.set_title(title, fontsize=12, pad=14)
    return figure


def svg(picture: Picture) -> str:
    """Its text, without the date, and with ids that are the same each time."""
    about = {"Date": None, "Creator": None, "Description": f"figures {picture.digest}"}
    file = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "tfmlselect"}):
        picture.draw().savefig(file, format="svg", metadata=about)
    # Lines that end in a space are what editors and linters change.
    return re.sub(r" +$", "", file.getvalue(), flags=re.M)


def digest(shown: pd.DataFrame) -> str:
    """Of the figures to four places, which is more than can be seen."""
    text = shown.round(4).to_csv(float_format="%.4f")
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def digest_of(text: str) -> str:
    """The digest that a drawn picture carries."""
    found = re.search(r"figures ([0-9a-f]{16})", text)
    return found[1] if found else ""
