"""Chooses the learning rate of the tuned budget: where the baseline ends best on validation data.

    python -m benchmarks.study.tune --data yeast --model mlp

Adds one row for each of `budgets.RATES` to `results/learning_rates.csv`; `chosen` is "yes" at the
rate with the highest macro-AUC on the validation part of fold 0 after the last epoch. The best
epoch would not do: at a high rate it comes while the rate still rises and selection warms up, and
all that follows is overfitting.
"""

from __future__ import annotations

import argparse
import functools
import os

from tqdm import tqdm

from benchmarks.evidence import results
from benchmarks.study import rows
from benchmarks.study.budgets import RATES, TUNED, Budget
from benchmarks.study.grid import BASELINE
from benchmarks.study.pool import run_all


def main() -> None:
    """Runs the rates of what has none yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=lambda text: text.split(","))
    parser.add_argument("--model", default="mlp")
    parser.add_argument("--data-dir", default=os.environ.get("TFMLSELECT_DATA"))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    chosen = already_chosen(options.model)
    names = [data for data in dict.fromkeys(options.data) if data not in chosen]
    cells = [(data, options.model, rate) for data in names for rate in RATES]
    run = functools.partial(validate, options.data_dir)
    scores = {}
    for cell, row, error in tqdm(run_all(cells, options.jobs, run), total=len(cells)):
        if error:
            raise error
        scores[cell] = row["curve_validation"].split()[-1], row
        tried = {rate: scores.get((*cell[:2], rate)) for rate in RATES}
        if all(tried.values()):  # the last of its data set
            best = max(RATES, key=lambda rate: float(tried[rate][0]))
            for rate, (score, row) in tried.items():
                rows.append(
                    TUNED,
                    {
                        "data": cell[0],
                        "model": cell[1],
                        "rate": f"{rate:g}",
                        "last_validation": score,
                        "best_validation": f"{row['best_validation']:.6g}",
                        "best_epoch": str(row["best_epoch"]),
                        "chosen": "yes" if rate == best else "no",
                    },
                )


def already_chosen(model: str) -> set[str]:
    """The data sets for which this model has a rate: each is chosen once."""
    return {data for data, of in results.tuned() if of == model}


def validate(directory: str | None, cell: tuple[str, str, float]) -> dict:
    """The baseline at one rate, in a process of the pool."""
    from benchmarks.study.training import run_cell

    data, model, rate = cell
    return run_cell(data, model, BASELINE, 0, Budget("tuned", 100, rate, falls=True), directory)


if __name__ == "__main__":
    main()
