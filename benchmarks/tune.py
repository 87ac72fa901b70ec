"""Chooses the learning rate of the tuned budget: where the baseline validates best on fold 0.

    python -m benchmarks.tune --data yeast --model mlp

Adds one row for each of `budgets.RATES` to `results/learning_rates.csv`; `chosen` is "yes" at the
rate with the highest macro-AUC on the validation part, at its best epoch.
"""

from __future__ import annotations

import argparse
import functools
import os

from tqdm import tqdm

from benchmarks import table
from benchmarks.budgets import RATES, TUNED, Budget
from benchmarks.pool import run_all
from benchmarks.variants import BASELINE


def main() -> None:
    """Runs the rates of what has none yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=lambda text: text.split(","))
    parser.add_argument("--model", default="mlp")
    parser.add_argument("--data-dir", default=os.environ.get("TFMLSELECT_DATA"))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    cells = [(data, options.model, rate) for data in options.data for rate in RATES]
    run = functools.partial(validate, options.data_dir)
    scores = {}
    for cell, row, error in tqdm(run_all(cells, options.jobs, run), total=len(cells)):
        if error:
            raise error
        scores[cell] = row["best_validation"], row["best_epoch"]
        tried = {rate: scores.get((*cell[:2], rate)) for rate in RATES}
        if all(tried.values()):  # the last of its data set
            best = max(RATES, key=lambda rate: tried[rate][0])
            for rate, (score, epoch) in tried.items():
                table.append(
                    TUNED,
                    {
                        "data": cell[0],
                        "model": cell[1],
                        "rate": f"{rate:g}",
                        "validation_macro_auc": f"{score:.6g}",
                        "best_epoch": str(epoch),
                        "chosen": "yes" if rate == best else "no",
                    },
                )


def validate(directory: str | None, cell: tuple[str, str, float]) -> dict:
    """The baseline at one rate, in a process of the pool."""
    from benchmarks.training import run_cell

    data, model, rate = cell
    return run_cell(data, model, BASELINE, 0, Budget("tuned", 100, rate, falls=True), directory)


if __name__ == "__main__":
    main()
