"""The two pictures of the frontiers: quality over steps, and what was predicted and saved."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from benchmarks.evidence.frontiers import Frontiers
from benchmarks.evidence.plots import COLUMNS, Picture, digest
from benchmarks.study.frontier.methods import UNIFORM

LOOKS = {
    UNIFORM: {"color": "#000000", "linestyle": "--", "marker": "o"},
    "positive weights 0.25": {"color": "#E69F00", "marker": "s"},
    "adaptive_balance": {"color": "#56B4E9", "marker": "v"},
    "recipe": {"color": "#0072B2", "marker": "D"},
    "rare_events": {"color": "#D55E00", "marker": "^"},
}


def curves(found: dict[str, Frontiers]) -> pd.DataFrame:
    """Macro-AP by task, method and steps, in steps of uniform's best budget."""
    rows = []
    for name, each in found.items():
        unit = each.cells[UNIFORM][each.best_passes].steps
        for method in LOOKS:
            for passes in each.budgets(method):
                cell = each.cells[method][passes]
                rows.append(
                    {
                        "task": name,
                        "method": method,
                        "steps": cell.steps / unit,
                        "value": cell.mean("ap_all"),
                        "error": cell.error("ap_all"),
                    }
                )
    return pd.DataFrame(rows)


def frontiers_picture(name: str, title: str, found: dict[str, Frontiers]) -> Picture:
    """Quality over steps, a panel a task, to be drawn."""
    shown = curves(found)
    return Picture(name, title, digest(shown), lambda: draw_frontiers(shown, title))


def draw_frontiers(shown: pd.DataFrame, title: str) -> Figure:
    """The panels with one legend above them."""
    names = list(dict.fromkeys(shown["task"]))
    rows = -(-len(names) // COLUMNS)
    figure = Figure(figsize=(3.6 * COLUMNS, 2.8 * rows + 1.1), layout="constrained")
    grid = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    handles = {}
    for axes, name in zip(grid, names, strict=False):
        panel = shown[shown["task"] == name]
        for method, look in LOOKS.items():
            own = panel[panel["method"] == method]
            if len(own):
                handles[method] = axes.errorbar(
                    own["steps"], own["value"], own["error"], markersize=4, linewidth=1.4, **look
                )
        axes.axvline(1.0, color="0.8", linewidth=1)
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlim(0.1, 4.5)
        seen = panel[panel["steps"].between(0.1, 4.5)]
        margin = 0.06 * (seen["value"].max() - seen["value"].min())
        axes.set_ylim(seen["value"].min() - margin, seen["value"].max() + margin)
        axes.set_title(name, fontsize=11)
        axes.grid(color="0.92")
        axes.tick_params(labelsize=9)
    for axes in grid[len(names) :]:
        axes.set_visible(False)
    figure.supxlabel("steps, in those of uniform's best budget", fontsize=11)
    figure.supylabel("macro average precision, test part", fontsize=11)
    figure.legend(
        handles.values(),
        handles.keys(),
        title=title,
        title_fontsize=12,
        loc="outside upper center",
        ncols=len(handles),
        fontsize=10,
        frameon=False,
    )
    return figure


def calibration_picture(name: str, title: str, shown: pd.DataFrame, sets: Sequence[str]) -> Picture:
    """Predicted against realised saving, to be drawn.

    Args:
        name: of the file.
        title: above it.
        shown: rows of "task", "predicted", "saved", "bound".
        sets: tasks that the gauge was fitted on.
    """
    return Picture(name, title, digest(shown), lambda: draw_calibration(shown, title, sets))


def draw_calibration(shown: pd.DataFrame, title: str, sets: Sequence[str]) -> Figure:
    """Points with names, and the line on which they would lie if the gauge were right.

    Triangles were as good with their shortest run already: at least so much is saved.
    """
    figure = Figure(figsize=(8.5, 6.5), layout="constrained")
    axes = figure.subplots()
    low = 0.9 * min(1.0, shown["saved"].min(), shown["predicted"].min())
    high = 1.15 * max(shown["saved"].max(), shown["predicted"].max())
    axes.plot([low, high], [low, high], color="0.6", linewidth=1)
    # Names on both sides in turn, from below: next to each other they would hide each other.
    for place, row in enumerate(shown.sort_values(["saved", "predicted"]).itertuples()):
        left = place % 2 == 1 or row.predicted > high / 2
        fitted = row.task in sets
        marker = "^" if row.bound == ">" else "o"
        color = "#E69F00" if fitted else "#0072B2"
        axes.plot(row.predicted, row.saved, marker, color=color, markersize=6)
        axes.annotate(
            row.task,
            (row.predicted, row.saved),
            xytext=(-6 if left else 6, 0),
            textcoords="offset points",
            fontsize=8,
            ha="right" if left else "left",
            va="center",
        )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    axes.set_xlabel("predicted from labels alone: times fewer steps")
    axes.set_ylabel("measured: to what uniform batches reach at half of their best budget")
    axes.grid(color="0.92")
    axes.set_title(title, fontsize=12)
    return figure
