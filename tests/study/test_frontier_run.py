"""The grid of the frontiers: what is run, that it goes on where it stopped, rows run again."""

import numpy as np
import pytest

from benchmarks.evidence.frontiers import Frontiers
from benchmarks.study.frontier import fit, run
from benchmarks.study.frontier.tasks import Task


@pytest.fixture(scope="module")
def task():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(260, 5)).astype("float32")
    y = (x[:, :3] + rng.normal(size=(260, 3)) > [0.3, 1.0, 1.5]).astype("uint8")
    return Task("emotions", *((x[rows], y[rows]) for rows in np.split(np.arange(260), [140, 200])))


@pytest.fixture(scope="module")
def done(task, tmp_path_factory):
    """A small grid: one method, few seeds, up to four passes."""
    patch = pytest.MonkeyPatch()
    patch.setattr(run, "LONGEST", 4)
    patch.setattr(fit, "LONGEST", 3)
    patch.setattr(run, "CORE", ("adaptive_balance",))
    patch.setattr(run, "WHOLE", (1 / 2, 1.0))
    patch.setattr(run, "TUNING", (100,))
    patch.setattr(run, "SEEDS", (0, 1))
    patch.setattr(run, "STOPPING", ())
    path = tmp_path_factory.mktemp("frontier") / "emotions-adam.csv"
    grid = run.Frontier(task, "adam", path)
    grid.run(core=True)
    yield grid, path, Frontiers("emotions", run.read(path))
    patch.undo()


def test_each_cell_has_its_best_rate_inside_the_grid_and_new_seeds(done):
    grid, _, frontiers = done
    assert set(frontiers.cells) == {"uniform", "adaptive_balance"}
    for method, cells in frontiers.cells.items():
        for passes, cell in cells.items():
            assert cell.inside, (method, passes)
            assert len(cell.figures["ap_all"]) == 2
    best = frontiers.best_passes
    assert set(frontiers.budgets("uniform")) >= {best / 2, best}
    assert frontiers.budgets("adaptive_balance") == [best * part for part in run.WHOLE]
    assert np.inf in frontiers.cells["uniform"]
    tuning = [row for row in grid.rows.values() if int(row["seed"]) in run.TUNING]
    assert all("auc_all" not in row or not row["auc_all"] for row in tuning)


def test_it_goes_on_where_it_stopped(done, task, monkeypatch):
    grid, path, _ = done
    before = path.read_bytes()
    run.Frontier(task, "adam", path).run(core=True)
    assert path.read_bytes() == before
    cut = path.with_name("cut.csv")
    cut.write_bytes(before[: before.rindex(b"adaptive_balance")])
    again = run.Frontier(task, "adam", cut)
    again.run(core=True)
    assert {k: row["dev_ap"] for k, row in again.rows.items()} == {
        k: row["dev_ap"] for k, row in grid.rows.items()
    }


def test_rows_come_out_again(done, task):
    _, path, _ = done
    assert run.Frontier(task, "adam", path).check(3) == "3 of 3 rows the same"
    spoilt = path.with_name("spoilt.csv")
    spoilt.write_text(path.read_text(encoding="utf-8").replace(",0.", ",0.9"), encoding="utf-8")
    assert run.Frontier(task, "adam", spoilt).check(2) == "0 of 2 rows the same"


def test_a_run_that_is_stopped_is_judged_where_it_was_best(task):
    fits = fit.Fits(task, "adam")
    stopped = fits.run("adaptive_balance", fit.STOPPED, 0.01, seed=0)
    in_pass = len(task.train[0]) // task.batch_size
    assert 1 <= stopped["steps"] < fit.LONGEST * in_pass
    assert stopped["auc_all"] > 0.6


def test_a_run_that_diverges_has_no_figures(task):
    row = fit.Fits(task, "sgd").run("uniform", 4.0, 1e30, seed=0)
    assert row["dev_ap"] == 0.0
    assert "auc_all" not in row


def test_how_long_a_run_is(task):
    assert fit.length(task, 1.0) == fit.Length(1, 4)  # 140 samples, batches of 32
    assert fit.length(task, 0.25) == fit.Length(1, 1)
    assert fit.length(task, 32.0) == fit.Length(32, 4)
    assert fit.shortened(fit.Length(32, 4), 3) == fit.Length(43, 3)
