"""Results are read as they were written, and what contradicts itself is refused."""

import numpy as np
import pandas as pd
import pytest

import tests.support.result_tables as tables
from benchmarks.evidence import results


def test_files_and_rows_in_any_order_give_the_same(tmp_path):
    grid = tables.random()
    other = grid.assign(model="dela")
    for name, part in (("x", grid), ("y", other)):
        part.sample(frac=1, random_state=1).to_csv(tmp_path / f"{name}.csv", index=False)
    read = results.load(tmp_path)
    wanted = results.check(pd.concat([grid, other], ignore_index=True))
    pd.testing.assert_frame_equal(read, wanted, check_dtype=False)
    assert results.parts(read) == [("dela", "paper"), ("mlp", "paper")]
    fewer = read[(read["model"] == "mlp") | (read["data"] < "set3")]
    assert results.parts(fewer) == [("mlp", "paper"), ("dela", "paper")]
    assert len(results.part(read, "dela", "paper")) == len(grid)


def test_words_stay_words_and_empty_metrics_are_nan(tmp_path):
    row = tables.row(environment="0123", data="007", curve_test="1 0.5 1 1")
    pd.DataFrame([{**row, "best_minority_f1": None}]).to_csv(tmp_path / "mlp.csv", index=False)
    read = results.load(tmp_path).iloc[0]
    assert (read["environment"], read["data"]) == ("0123", "007")
    assert np.isnan(read["best_minority_f1"])
    assert results.curve(read["curve_test"]).tolist() == [1, 0.5, 1, 1]


def test_no_results(tmp_path):
    read = results.load(tmp_path)
    assert list(read.columns) == results.COLUMNS
    assert results.parts(read) == results.compared(read) == results.ablations(read) == []


def test_strategies_are_told_from_ablations():
    names = ["d2ace-predict", "focal", "uniform", "d2ace", "online_batch"]
    grid = tables.frame(*(tables.row(strategy=name) for name in names))
    assert results.compared(grid) == ["online_batch", "d2ace"]
    assert results.ablations(grid) == ["d2ace-predict", "focal"]


def test_what_is_refused(tmp_path):
    row = tables.row()
    with pytest.raises(ValueError, match=r"twice \{'data': 'a', 'model': 'mlp', .*'fold': 0"):
        tables.frame(row, {**row, "seed": 3})
    with pytest.raises(ValueError, match="Received: 7 of '5 10 15 20'"):
        tables.frame({**row, "best_epoch": 7})
    with pytest.raises(ValueError, match=r"lengths \[4, 4, 3\] in \{'data': 'a'"):
        tables.frame({**row, "curve_test": "0.5 0.6 0.7"})
    pd.DataFrame([row]).drop(columns="steps").to_csv(tmp_path / "mlp.csv", index=False)
    with pytest.raises(ValueError, match=r"without \['steps'\]"):
        results.load(tmp_path)


def test_sign():
    assert results.sign("best_ranking_loss") == results.sign("last_coverage") == -1
    assert results.sign("best_macro_auc") == results.sign("last_tuned_macro_f1") == 1


def test_pairs_hold_cells_of_both_alone():
    grid = tables.from_values(
        {"uniform": {"a": [0.1, 0.2], "b": [0.3, None]}, "d2ace": {"a": [None, 0.5], "c": [0.6]}}
    )
    both = results.pairs(grid, "d2ace")
    assert both[["data", "fold"]].to_numpy().tolist() == [["a", 1]]
    assert both["best_macro_auc"].item() == 0.5
    assert both["best_macro_auc_baseline"].item() == 0.2


def test_along_the_way_is_half_of_the_epochs_and_the_mean_of_those_evaluated():
    frame = tables.frame(
        tables.row(fold=0, curve_test="0.5 0.6 0.8 0.7"),
        tables.row(fold=1, epochs=29, curve_test="0.1 0.2 0.3 0.4"),
        tables.row(fold=2, epochs=8, curve_test="0.1 0.2 0.3 0.4"),
    )
    assert frame["half_macro_auc"].tolist()[:2] == [0.6, 0.2]
    assert np.isnan(frame["half_macro_auc"][2])  # nothing was evaluated by then
    np.testing.assert_allclose(frame["mean_macro_auc"], [0.65, 0.25, 0.25])
