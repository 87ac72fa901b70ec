"""What is generated from the frontiers: parts of pages, of cards and of README, two pictures."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

from benchmarks.evidence import frontier_plots, frontier_tables, frontiers, plots
from benchmarks.evidence.markers import between, read
from benchmarks.study.frontier import run, task_figures, tasks
from benchmarks.study.frontier.methods import AGAIN, UNIFORM
from tfmlselect import _steps_saved

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FORMS_ON = (*tasks.CHOSEN_ON, "yeast", "digits", "Corel5k", "yahoo-Arts1")
ADAM, SGD = run.OPTIMIZERS
BALANCED = ("positive weights 0.25", "adaptive_balance", "recipe")
IN_README = ("positive weights 0.25", "recipe")
EMPTY = (*BALANCED, "rare_events", "rare_events + positive weights")
THINNED = ("rare_events", *run.THINNING_FORMS)
IN_SHORT = (
    "recipe",
    "adaptive_balance",
    "rare_events",
    "positive weights 0.25",
    "positive weights 0.5",
    "asymmetric loss",
    "adaptive_balance + asymmetric loss",
    "online_batch",
    "d2ace",
    "weights of adaptive_balance in the loss",
    "placebo of adaptive_balance",
    "random half",
    AGAIN,
)
SHOWN = ("goemotions", "bibtex", "enron", "goemotions-under-2", "goemotions-dose-5", "yeast")
FITTED = ("birds", "enron", "bibtex", "goemotions", "goemotions-under-2", "goemotions-dose-5")
PICTURES = DOCS / "evidence"


def write() -> None:
    """Writes what changed, and pictures whose figures did."""
    texts, pictures = generated()
    for path, text in texts.items():
        if read(path) != text:
            path.write_text(text, encoding="utf-8")
    for picture in pictures:
        path = PICTURES / picture.name
        if picture.digest != plots.digest_of(read(path)):
            path.write_text(plots.svg(picture), encoding="utf-8")


def stale() -> list[str]:
    """Names of files that are not what the rows make them."""
    texts, pictures = generated()
    names = [str(path.relative_to(ROOT)) for path, text in texts.items() if read(path) != text]
    return names + [
        picture.name
        for picture in pictures
        if picture.digest != plots.digest_of(read(PICTURES / picture.name))
    ]


def generated() -> tuple[dict[Path, str], list[plots.Picture]]:
    """Each file as it should be, and the pictures."""
    found, figures = frontiers.load(), task_figures.read()
    texts = {}
    for path, contents in pages(found, figures).items():
        text = read(path)
        for marker, content in contents.items():
            text = between(text, marker, f"\n{content}\n")
        texts[path] = text
    adam = frontier_tables.of(found, ADAM)
    pictures = [
        frontier_plots.frontiers_picture(
            "frontiers.svg",
            "Macro average precision by steps; each point at its own rate, mean of five seeds",
            {name: adam[name] for name in SHOWN if name in adam},
        ),
        frontier_plots.calibration_picture(
            "gauge.svg",
            "The gauge: what was predicted and what was saved",
            calibration(found, figures),
            FITTED,
        ),
    ]
    return texts, pictures


def pages(
    found: frontier_tables.Found, figures: dict[str, dict[str, str]]
) -> dict[Path, dict[str, str]]:
    """File -> marker -> what stands there."""
    t = frontier_tables
    thinned = {
        (name, optimizer): each
        for (name, optimizer), each in found.items()
        if float(figures[name]["empty"]) >= run.EMPTY
    }
    few = t.by_group(found, ADAM, figures, (*BALANCED, "rare_events"))
    balance = ("adaptive_balance", "recipe", "positive weights 0.25", "placebo of adaptive_balance")
    weights = tuple(name for name in IN_SHORT if "weights 0." in name)
    return {
        ROOT / "README.md": {"pays": t.by_group(found, ADAM, figures, IN_README)},
        DOCS / "evidence.md": {"in short": t.in_short(found, ADAM, IN_SHORT), "groups": few},
        DOCS / "evidence" / "frontiers.md": {
            "tasks": t.task_table(figures),
            "expected": t.expected(found, ADAM, figures),
            "in short": t.in_short(found, ADAM),
        },
        DOCS / "evidence" / "frontiers_tables.md": {
            "at half": t.by_task(found, ADAM, (AGAIN, *EMPTY)),
            "at a quarter": t.by_task(found, ADAM, (AGAIN, *EMPTY), 1 / 4),
            "levels": t.levels(found, ADAM),
        },
        DOCS / "evidence" / "frontiers_methods.md": {
            "equal steps half": t.equal_steps(found, ADAM, 1 / 2),
            "equal steps best": t.equal_steps(found, ADAM, 1.0),
            "cross-entropy": t.calibration(found, ADAM),
        },
        DOCS / "evidence" / "frontiers_more.md": {
            "stopped": t.stopped(found, ADAM),
            "costs": t.costs(found, ADAM),
            "gauge": gauge_table(found, figures),
        },
        DOCS / "evidence" / "frontiers_sgd.md": {
            "in short sgd": t.in_short(found, SGD),
            "groups sgd": t.by_group(found, SGD, figures, EMPTY),
            "at half sgd": t.by_task(found, SGD, (AGAIN, *EMPTY)),
        },
        DOCS / "strategies" / "adaptive_balance.md": {
            "pays": t.in_short(found, ADAM, (*balance, "weights of adaptive_balance in the loss")),
            "lets go": t.forms(found, ADAM, FORMS_ON),
        },
        DOCS / "strategies" / "rare_events.md": {"pays": t.by_task(thinned, ADAM, EMPTY)},
        DOCS / "balancing" / "thinned_likelihood.md": {
            "pays": t.by_task(thinned, ADAM, EMPTY),
            "cross-entropy": t.calibration_by_task(thinned, ADAM, (UNIFORM, *THINNED)),
        },
        DOCS / "balancing" / "positive_weights.md": {
            "pays": t.in_short(found, ADAM, (*weights, "positive weights falling", "recipe"))
        },
    }


def predicted(figures: dict[str, str]) -> float:
    """What the gauge says of a task."""
    numbers = {name: float(figures[name]) for name in task_figures.FIGURES}
    return _steps_saved.steps_saved(SimpleNamespace(**numbers))


def calibration(found: frontier_tables.Found, figures: dict[str, dict[str, str]]) -> pd.DataFrame:
    """Predicted saving of each task, and what the recipe saved to half of uniform's best budget.

    That is: the steps of half of uniform's best budget, over those after which the recipe is as
    good by macro-AP. Where its shortest run is so already, it saved more.
    """
    rows = []
    for name, each in frontier_tables.of(found, ADAM).items():
        goal, method = each.at(UNIFORM, frontier_tables.HALF), frontier_tables.RECIPE
        if goal is None or method not in each.cells:
            continue
        value = each.uniform("ap_all", each.best_passes * frontier_tables.HALF, method).mean()
        cells = [each.cells[method][passes] for passes in each.budgets(method)]
        steps = np.array([cell.steps for cell in cells])
        values = np.maximum.accumulate([cell.mean("ap_all") for cell in cells])
        rows.append(
            {
                "task": name,
                "predicted": predicted(figures[name]),
                "saved": goal.steps / frontiers.steps_to(value, steps, values),
                "bound": ">" if values[0] >= value else "",
            }
        )
    return pd.DataFrame(rows)


def gauge_table(found: frontier_tables.Found, figures: dict[str, dict[str, str]]) -> str:
    """Task by prediction and what was saved, and how well they agree."""
    shown = calibration(found, figures)
    if shown.empty:
        return "No results yet."
    rows = [
        [row.task, f"{row.predicted:.1f}", f"{row.bound}{row.saved:.1f}"]
        for row in shown.itertuples()
    ]
    unseen = shown[~shown["task"].str.startswith(tasks.TEXT) & ~shown["task"].isin(FITTED)]
    rank = unseen[["predicted", "saved"]].corr(method="spearman").iloc[0, 1]
    measured = unseen[unseen["bound"] == ""]
    off = (measured["predicted"].map(math.log) - measured["saved"].map(math.log)).abs()
    text = (
        f"On the {len(unseen)} sets that it was not fitted on, those of GoEmotions left out: rank "
        f"correlation {rank:.2f}; of the {len(measured)} whose saving is no bound, half are "
        f"predicted within a factor of {math.exp(off.median()):.2f}."
    )
    return frontier_tables.table(["", "predicted", "saved, macro-AP"], rows) + f"\n\n{text}"
