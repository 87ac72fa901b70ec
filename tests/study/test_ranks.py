"""Ranks with ties, Friedman and Nemenyi, against hand values and Demsar's published example."""

import numpy as np
import pytest
from scipy import stats

pytest.importorskip("scikit_posthocs")

import tests.support.result_tables as tables
from benchmarks.evidence import judgement, ranks

AUC = "best_macro_auc"
# Demsar (2006), table 6: AUC of four variants of C4.5 on 14 sets. In the last but one the third
# and the fourth are printed alike; his mean ranks are those of the third before the fourth.
DEMSAR = {
    "uniform": ".763 .599 .954 .628 .882 .936 .661 .583 .775 1.000 .940 .619 .972 .957",
    "d2ace": ".768 .591 .971 .661 .888 .931 .668 .583 .838 1.000 .962 .666 .981 .978",
    "focal": ".771 .590 .968 .654 .886 .916 .609 .563 .866 1.000 .965 .614 .9751 .946",
    "plm": ".798 .569 .967 .657 .898 .931 .685 .625 .875 1.000 .962 .669 .975 .970",
}
# His table 5: q at 0.05 of 2 to 10 classifiers.
Q = [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]


def demsar():
    return tables.from_values(
        {
            name: {f"set{number}": [float(value)] for number, value in enumerate(values.split())}
            for name, values in DEMSAR.items()
        }
    )


def test_published_mean_ranks_and_distance():
    found = ranks.rank(demsar(), AUC, list(DEMSAR))
    expected = {"plm": 1.964, "d2ace": 2.000, "focal": 2.893, "uniform": 3.143}
    assert list(found.mean_ranks.index) == list(expected)
    np.testing.assert_allclose(found.mean_ranks, list(expected.values()), atol=5e-4)
    assert found.critical_difference == pytest.approx(1.25, abs=5e-3)
    assert (len(found.sets), found.left_out) == (14, [])
    # His statistic, 9.28, has no correction for ties, which makes p larger.
    assert 0.01 < found.p < stats.chi2.sf(9.28, 3)
    differ = found.nemenyi.to_numpy() < judgement.ALPHA
    names = found.nemenyi.index
    mean = found.mean_ranks[names].to_numpy()
    distance = np.abs(mean[:, None] - mean)
    np.testing.assert_array_equal(differ, distance > found.critical_difference)


@pytest.mark.parametrize(("count", "q"), [*enumerate(Q, start=2)])
def test_published_quantiles(count, q):
    distance = ranks.critical_difference(count, sets=10)
    assert distance == pytest.approx(q * np.sqrt(count * (count + 1) / 60), rel=5e-4)


def test_ties_share_their_ranks():
    table = tables.from_values(
        {
            "uniform": {"a": [0.5], "b": [0.5]},
            "d2ace": {"a": [0.7], "b": [0.5]},
            "focal": {"a": [0.5], "b": [0.5]},
        }
    )
    found = ranks.rank(table, AUC, ["uniform", "d2ace", "focal"])
    assert found.mean_ranks.to_dict() == {"d2ace": 1.5, "uniform": 2.25, "focal": 2.25}


def test_lower_may_be_better():
    table = tables.from_values({"uniform": {"a": [0.5]}, "d2ace": {"a": [0.7]}})
    assert ranks.rank(table, AUC, ["uniform", "d2ace"]).mean_ranks["d2ace"] == 1
    assert ranks.rank(table, "best_coverage", ["uniform", "d2ace"]).mean_ranks["d2ace"] == 2


def test_only_folds_of_all_count_and_incomplete_sets_are_named():
    table = tables.from_values(
        {
            "uniform": {"a": [0.5, 0.9], "b": [0.5], "c": [0.6]},
            "d2ace": {"a": [0.6, 0.1], "b": [None], "c": [0.7]},
            "focal": {"a": [0.7, None], "b": [0.5], "c": [0.8]},
        }
    )
    means, left_out = ranks.scores(table, AUC, ["uniform", "d2ace", "focal"])
    assert means.loc["a"].tolist() == [0.5, 0.6, 0.7]
    assert (list(means.index), left_out) == (["a", "c"], ["b"])
    found = ranks.rank(table, AUC, ["uniform", "d2ace", "focal"])
    assert found.mean_ranks.to_dict() == {"focal": 1, "d2ace": 2, "uniform": 3}
    assert found.p == pytest.approx(np.exp(-2))  # chi^2 = 4 with 2 degrees of freedom


def test_nothing_complete():
    table = tables.from_values({"uniform": {"a": [0.5]}, "d2ace": {"b": [0.7]}})
    found = ranks.rank(table, AUC, ["uniform", "d2ace"])
    assert found.mean_ranks.empty
    assert np.isnan(found.p)
    assert found.left_out == ["a", "b"]


def test_all_alike():
    table = tables.from_values(
        {name: {"a": [0.5], "b": [0.6]} for name in ("uniform", "d2ace", "focal")}
    )
    found = ranks.rank(table, AUC, ["uniform", "d2ace", "focal"])
    assert (found.p, {*found.mean_ranks}) == (1.0, {2.0})


def test_order_of_rows_and_what_a_fold_shares_change_nothing():
    grid = tables.random()
    names = ["uniform", "d2ace", "online_batch", "focal"]
    shifted = grid.assign(**{AUC: grid[AUC] + 0.03 * grid["fold"]})
    for other in (grid.sample(frac=1, random_state=3), shifted):
        found, wanted = ranks.rank(other, AUC, names), ranks.rank(grid, AUC, names)
        assert found.mean_ranks.to_dict() == wanted.mean_ranks.to_dict()
        assert found.p == pytest.approx(wanted.p)
