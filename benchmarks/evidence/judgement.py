"""Each strategy against a baseline: differences by folds, then by data sets, with their doubt.

A gain is the difference strategy - baseline, turned so that positive is better whatever the
metric. Functions take results of one model and one budget, and a column such as best_macro_auc;
only cells that both have, with a figure in both, are compared.
"""

from __future__ import annotations

import gc
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests

from benchmarks.evidence import results

# statsmodels collects garbage in each correction. What has been imported by now is none, and takes
# most of the time to be looked through.
gc.freeze()

ALPHA = 0.05
# Half of the last digit that the tables show.
TIE = 0.0005
# Means of the same figures in another order differ in the last bits: no reason to rank them apart.
_DECIMALS = 12


class Interval(NamedTuple):
    """A mean and its confidence interval; the bounds are NaN for fewer than two figures."""

    mean: float
    low: float
    high: float
    count: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of 0."""
        return self.low > 0 or self.high < 0


class Verdict(NamedTuple):
    """One strategy against the baseline over data sets; a set counts with its mean over folds."""

    gain: Interval  # over data sets, by t
    wins: int
    ties: int  # gains below `TIE`
    losses: int
    p: float  # Wilcoxon signed-rank, two-sided
    least: float  # the smallest p that so many sets with a difference can give

    @property
    def tells(self) -> bool:
        """Whether p is, or could have been, below `ALPHA`: else it says nothing."""
        return self.p < ALPHA or self.least < ALPHA


def gains(
    frame: pd.DataFrame, column: str, strategy: str, baseline: str = results.BASELINE
) -> pd.DataFrame:
    """One row per (data, fold) that both have: data, fold, gain, baseline, n_train, n_test."""
    needed = frame[[*results.KEY, column, "n_train", "n_test"]]
    both = results.pairs(needed, strategy, baseline)
    there = pd.DataFrame(
        {
            "data": both["data"],
            "fold": both["fold"],
            "gain": results.sign(column) * (both[column] - both[f"{column}_baseline"]),
            "baseline": both[f"{column}_baseline"],
            "n_train": both["n_train"],
            "n_test": both["n_test"],
        }
    )
    return there.dropna(subset="gain").sort_values(["data", "fold"], ignore_index=True)


def over_folds(gain: np.ndarray, n_train: float, n_test: float) -> Interval:
    """Mean over the folds of one data set, with the corrected interval of Nadeau and Bengio.

    Folds share most of their training samples, so their gains are not independent, and the plain
    t interval, with the variance s^2 / k, is too narrow: optimistic. Here the variance of the mean
    is (1 / k + n_test / n_train) s^2, with k - 1 degrees of freedom. That is a correction, not a
    cure: no unbiased estimate of this variance exists, and of few folds it is rough.

    Args:
        gain: (k,) one of each fold.
        n_train: samples that train, in a fold.
        n_test: samples that test, in a fold.

    References:
        Nadeau and Bengio, Inference for the generalization error, Machine Learning 52 (2003).
        Bengio and Grandvalet, No unbiased estimator of the variance of K-fold cross-validation,
        JMLR 5 (2004).
    """
    return _t_interval(gain, 1 / max(1, len(gain)) + n_test / n_train)


def _t_interval(values: np.ndarray, factor: float) -> Interval:
    count = len(values)
    mean = float(np.mean(values)) if count else np.nan
    if count < 2:
        return Interval(mean, np.nan, np.nan, count)
    half = stats.t.ppf(1 - ALPHA / 2, count - 1) * np.sqrt(factor * np.var(values, ddof=1))
    return Interval(mean, mean - half, mean + half, count)


def by_data(
    frame: pd.DataFrame, column: str, strategy: str, baseline: str = results.BASELINE
) -> dict[str, Interval]:
    """The gain on each data set that both have, over the folds that both have."""
    found = gains(frame, column, strategy, baseline)
    return {
        data: over_folds(fold["gain"].to_numpy(), fold["n_train"].mean(), fold["n_test"].mean())
        for data, fold in found.groupby("data")
    }


def over_data(
    frame: pd.DataFrame, column: str, strategy: str, baseline: str = results.BASELINE
) -> Verdict:
    """The gain over data sets: its interval, how often either wins, and the signed-rank test.

    Data sets are independent as folds are not, so this interval is by the plain t; it speaks of
    sets like these ones.
    """
    means = np.array([gain.mean for gain in by_data(frame, column, strategy, baseline).values()])
    means = np.round(means, _DECIMALS)
    interval = _t_interval(means, 1 / max(1, len(means)))
    wins, losses = int((means >= TIE).sum()), int((means <= -TIE).sum())
    ties = len(means) - wins - losses
    least = min(1.0, 2.0 ** (1 - np.count_nonzero(means)))
    return Verdict(interval, wins, ties, losses, signed_rank(means), least)


def signed_rank(means: np.ndarray) -> float:
    """p of Wilcoxon's signed-rank test that gains lie around 0, two-sided.

    Zeros are left out; exact without ties. Five sets give no p below 0.0625, whatever they say.

    Args:
        means: (sets,) gains.

    Returns:
        p; 1 where all gains are 0, NaN without any.
    """
    if not len(means):
        return np.nan
    if not np.any(means):
        return 1.0
    return float(stats.wilcoxon(means[means != 0]).pvalue)


def holm(p: np.ndarray) -> np.ndarray:
    """p of several tests, corrected by Holm for their number; NaN stay NaN and do not count."""
    corrected = np.full(len(p), np.nan)
    there = ~np.isnan(p)
    if there.any():
        corrected[there] = multipletests(np.asarray(p)[there], method="holm")[1]
    return corrected


def verdicts(
    frame: pd.DataFrame,
    column: str,
    strategies: list[str],
    baseline: str = results.BASELINE,
) -> dict[str, Verdict]:
    """`over_data` of several strategies, with p corrected for their number.

    So is `least`, as if it came first; Holm corrects less where others are smaller.
    """
    found = {name: over_data(frame, column, name, baseline) for name in strategies}
    p = np.array([verdict.p for verdict in found.values()])
    tests = np.count_nonzero(~np.isnan(p))
    return {
        name: verdict._replace(p=float(p), least=min(1.0, tests * verdict.least))
        for (name, verdict), p in zip(found.items(), holm(p), strict=True)
    }
