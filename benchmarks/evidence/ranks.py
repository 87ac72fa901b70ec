"""Several strategies at once: mean ranks over data sets, Friedman's test, Nemenyi's distance.

References:
    Demsar, Statistical comparisons of classifiers over multiple data sets, JMLR 7 (2006).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import scikit_posthocs
from scipy import stats

from benchmarks.evidence import results
from benchmarks.evidence.judgement import ALPHA

LEAST_SETS = 6  # of fewer, chi^2 is no guide, and the critical difference nearly the whole scale
_DECIMALS = 12


class Ranking(NamedTuple):
    """Strategies ranked on data sets; 1 is the best."""

    mean_ranks: pd.Series  # by strategy, best first; empty without a complete set
    sets: list[str]  # complete for all strategies
    left_out: list[str]  # the others
    p: float  # Friedman's test that all are alike; NaN with fewer than 3 strategies or 2 sets
    critical_difference: float  # of two mean ranks, by Nemenyi; NaN without sets
    nemenyi: pd.DataFrame  # p of each pair; empty where `p` is NaN


def scores(
    frame: pd.DataFrame, column: str, strategies: list[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Means over the folds that all strategies have, turned so that higher is better.

    Returns:
        The table (data sets x strategies), and the data sets left out: no fold is there for all.
    """
    cells = frame[frame["strategy"].isin(strategies)].dropna(subset=column)
    table = cells.pivot(index=["data", "fold"], columns="strategy", values=column)
    table = results.sign(column) * table.reindex(columns=strategies).dropna()
    means = table.groupby("data").mean().round(_DECIMALS)
    return means, sorted({*frame["data"]} - {*means.index})


def rank(frame: pd.DataFrame, column: str, strategies: list[str]) -> Ranking:
    """Ranks strategies on the data sets that are complete for all of them.

    Args:
        frame: results of one model and budget.
        column: such as best_macro_auc.
        strategies: k names, the baseline among them if it is to be ranked.
    """
    table, left_out = scores(frame, column, strategies)
    if table.empty:
        return Ranking(pd.Series(dtype=float), [], left_out, np.nan, np.nan, pd.DataFrame())
    ranks = table.rank(axis=1, ascending=False)
    p, pairs = np.nan, pd.DataFrame()
    if len(strategies) > 2 and len(table) > 1:
        # Where all are equal everywhere the statistic is 0 / 0.
        alike = (ranks.nunique(axis=1) == 1).all()
        p = 1.0 if alike else float(stats.friedmanchisquare(*table.to_numpy().T).pvalue)
        pairs = scikit_posthocs.posthoc_nemenyi_friedman(table.reset_index(drop=True))
    mean_ranks = ranks.mean().sort_values(kind="stable")
    distance = critical_difference(len(strategies), len(table))
    return Ranking(mean_ranks, list(table.index), left_out, p, distance, pairs)


def critical_difference(strategies: int, sets: int) -> float:
    """Nemenyi: mean ranks further apart differ, q_alpha sqrt(k (k + 1) / (6 N)), at `ALPHA`."""
    q = stats.studentized_range.ppf(1 - ALPHA, strategies, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(strategies * (strategies + 1) / (6 * sets)))
