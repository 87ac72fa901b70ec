"""The tables in docs/evidence/: most functions take the results of one model and one budget."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.evidence import judgement, ranks, results, speed
from benchmarks.evidence.judgement import Interval, Verdict
from benchmarks.evidence.markers import table

AUC = "best_macro_auc"
OVER_DATA = (
    AUC,
    "last_macro_auc",
    "half_macro_auc",
    "mean_macro_auc",
    "best_macro_ap",
    "best_macro_f1",
    "best_tuned_macro_f1",
    "best_micro_f1",
    "best_ranking_loss",
    "best_minority_recall",
    "best_minority_f1",
    "best_tuned_minority_f1",
)
RANKED = (AUC, "best_macro_ap", "best_macro_f1", "best_tuned_macro_f1")
SHORT = (AUC, "best_macro_ap", "best_tuned_macro_f1")
WHEN = {"last": "last epoch", "half": "half-way", "mean": "mean over epochs"}
D2ACE = "d2ace"
NONE = "-"


def in_short(parts: dict[tuple[str, str], pd.DataFrame]) -> str:
    """Of all models and budgets the gain in three metrics: mean over sets, wins-ties-losses."""
    there = {name for frame in parts.values() for name in results.compared(frame)}
    strategies = [name for name in results.STRATEGIES if name in there]
    rows = []
    for names, frame in parts.items():
        for column in SHORT:
            found = judgement.verdicts(frame, column, results.compared(frame))
            sets = max(verdict.gain.count for verdict in found.values())
            cells = (gain_over_sets(found[s]) if s in found else NONE for s in strategies)
            rows.append([title(*names), str(sets), metric(column), *cells])
    return table(["model, budget", "sets", "metric", *strategies], rows)


def gain_over_sets(found: Verdict) -> str:
    """A mean gain and wins-ties-losses, bold where the corrected p is below 0.05."""
    if not found.gain.count:
        return NONE
    text = f"{number(found.gain.mean)} {found.wins}-{found.ties}-{found.losses}"
    return f"**{text}**" if found.p < judgement.ALPHA else text


def per_data(frame: pd.DataFrame) -> str:
    """Macro-AUC of the baseline on each set, and what each strategy gains, with its interval."""
    strategies = results.compared(frame)
    found = {name: judgement.by_data(frame, AUC, name) for name in strategies}
    baseline = frame[frame["strategy"] == results.BASELINE].groupby("data")[AUC]
    rows = [
        [
            data,
            f"{values.mean():.3f} ({len(values)})",
            *(gain_on_set(found[name].get(data), len(values)) for name in strategies),
        ]
        for data, values in baseline
    ]
    return table(["data", "uniform (folds)", *strategies], rows)


def gain_on_set(gain: Interval | None, folds: int) -> str:
    """A gain and its interval, bold where that excludes 0; its folds where they are fewer."""
    if gain is None:
        return NONE
    text = number(gain.mean)
    if gain.count > 1:
        text = f"**{text}**" if gain.excludes_zero else text
        text += f" [{number(gain.low)}, {number(gain.high)}]"
    return text if gain.count == folds else f"{text} ({gain.count})"


def over_data(frame: pd.DataFrame) -> str:
    """Of each metric: the mean gain over sets, wins-ties-losses, Holm's p of the Wilcoxon test."""
    strategies = results.compared(frame)
    rows = []
    for column in OVER_DATA:
        found = judgement.verdicts(frame, column, strategies)
        rows.append([metric(column), *(verdict(found[s]) for s in strategies)])
    return table(["metric", *strategies], rows)


def against_d2ace(frame: pd.DataFrame) -> str:
    """What all others gain over D2ACE, in macro-AUC; nothing where sets are few."""
    others = [name for name in results.compared(frame) if name != D2ACE]
    found = judgement.verdicts(frame, AUC, [results.BASELINE, *others], baseline=D2ACE)
    if not found[results.BASELINE].tells:
        return ""
    return table([*found], [[*map(verdict, found.values())]])


def verdict(found: Verdict) -> str:
    """One cell; bold where the corrected p is below 0.05, and no p where it cannot be."""
    if not found.tells:
        return gain_over_sets(found)
    text = f"{number(found.gain.mean)} {found.wins}-{found.ties}-{found.losses}, {p(found.p)}"
    return f"**{text}**" if found.p < judgement.ALPHA else text


def ranking(frame: pd.DataFrame) -> str:
    """Mean ranks of all strategies and the baseline, on the sets that have them all, if enough."""
    strategies = [results.BASELINE, *results.compared(frame)]
    rows, notes = [], {}
    for column in RANKED:
        found = ranks.rank(frame, column, strategies)
        if len(found.sets) < ranks.LEAST_SETS:
            continue
        shown = [f"{found.mean_ranks[name]:.2f}" for name in strategies]
        distance = f"{found.critical_difference:.2f}"
        rows.append([metric(column), str(len(found.sets)), *shown, p(found.p), distance])
        if found.left_out:
            notes.setdefault(", ".join(found.left_out), []).append(metric(column))
    head = ["metric", "sets", *strategies, "Friedman", "critical difference"]
    lines = [
        f"Not run with all strategies, so left out of {', '.join(metrics)}: {sets}."
        for sets, metrics in notes.items()
    ]
    return "\n\n".join([table(head, rows), *lines]) if rows else ""


def reach(frame: pd.DataFrame) -> str:
    """When each strategy is where the baseline's best was."""
    rows = []
    for name in results.compared(frame):
        found = speed.reach(frame, name)
        if not found.cells:
            continue
        rows.append(
            [
                name,
                f"{found.reached} of {found.cells}",
                str(speed.reach(frame, results.BASELINE, baseline=name).reached),
                f"{median(found.epochs, 'g')} ({median(found.baseline_epochs, 'g')})",
                f"{median(found.steps, '.0f')} ({median(found.baseline_steps, '.0f')})",
                f"{median(found.seconds, '.3g')} ({median(found.baseline_seconds, '.3g')})",
                ratio(found.ratio_reached),
                "never" if np.isinf(found.ratio) else ratio(found.ratio),
                ratio(found.seconds_ratio),
            ]
        )
    head = ["strategy", "cells that reach it", "where uniform reaches the strategy's"]
    head += ["epochs (uniform)", "steps (uniform)"]
    head += ["seconds (uniform)", "epochs / uniform's, of those", "of all", "seconds / uniform's"]
    return table(head, rows)


def costs(frame: pd.DataFrame) -> str:
    """What each strategy adds in time."""
    rows = []
    for name in results.compared(frame):
        found = speed.cost(frame, name)
        if found.cells:
            seconds = [f"{found.epoch_seconds:.3g}", f"{found.build_seconds:.2g}"]
            rows.append([name, str(found.cells), ratio(found.epoch_ratio), *seconds])
    return table(["strategy", "cells", "epoch / uniform's", "epoch, s", "building, s"], rows)


def ablations(frame: pd.DataFrame) -> str:
    """Each ablation against what it was made of, and against the baseline; nothing without any."""
    rows = []
    for name in results.ablations(frame):
        for other in dict.fromkeys([*parents(name), results.BASELINE]):
            found = judgement.over_data(frame, AUC, name, other)
            f1 = judgement.over_data(frame, "best_tuned_macro_f1", name, other)
            if not found.gain.count:
                rows.append([name, other, "0", NONE, NONE, NONE])
                continue
            interval = f"{number(found.gain.mean)} {bounds(found.gain)}"
            wins = f"{found.wins}-{found.ties}-{found.losses}"
            count = str(found.gain.count)
            rows.append([name, other, count, interval, wins, number(f1.gain.mean)])
    head = ["variant", "against", "sets", "macro_auc", "wins-ties-losses", "tuned_macro_f1"]
    return table(head, rows) if rows else ""


def parents(name: str) -> list[str]:
    """What a variant is made of: a and b of a+b, a of a-without-something."""
    if "+" in name:
        return name.split("+")
    return [name.split("-", 1)[0]] if "-" in name else []


def metric(column: str) -> str:
    """macro_auc of best_macro_auc; what is not of the best epoch says so."""
    when, name = column.split("_", 1)
    return name if when == "best" else f"{name}, {WHEN[when]}"


def number(value: float) -> str:
    """A difference with its sign, to three places; no sign where nothing is left of it."""
    if np.isnan(value):
        return NONE
    text = f"{value:+.3f}"
    return text if float(text) else "0.000"


def bounds(gain: Interval) -> str:
    """The interval in brackets; nothing where there is none."""
    return "" if np.isnan(gain.low) else f"[{number(gain.low)}, {number(gain.high)}]"


def median(value: float, form: str) -> str:
    """A figure that is missing where no cell reaches the target."""
    return NONE if np.isnan(value) else f"{value:{form}}"


def ratio(value: float) -> str:
    """A ratio to two places."""
    return median(value, ".2f")


def p(value: float) -> str:
    """A p-value in words."""
    if np.isnan(value):
        return NONE
    return "p < 0.001" if value < 0.0005 else f"p = {value:.3f}"


def title(model: str, budget: str) -> str:
    """How the pages call a model under a budget."""
    budgets = {"paper": "the papers' budget", "tuned": "the tuned budget"}
    return f"{model}, {budgets.get(budget, budget)}"
