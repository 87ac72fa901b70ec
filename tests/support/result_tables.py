"""Small results to judge, as the runner writes them."""

import numpy as np
import pandas as pd

from benchmarks.evidence import results

EPOCHS = "5 10 15 20"


def row(data="a", strategy="uniform", fold=0, value=0.7, **others):
    """One row; `value` is every metric's."""
    metrics = {f"{at}_{name}": value for name in results.METRICS for at in ("best", "last")}
    made = {
        **{"data": data, "model": "mlp", "strategy": strategy, "fold": fold, "budget": "paper"},
        **{"environment": "e", "seed": 0, "n_train": 400, "n_test": 100, "d": 3, "q": 4},
        **{"batch_size": 50, "epochs": 20, "steps": 160, "learning_rate": 1e-4},
        **{"build_seconds": 0.5, "seconds": 20.0, "epoch_seconds": 1.0, "best_epoch": 10},
        **{"best_validation": value, **metrics},
        **{"curve_epochs": EPOCHS, "curve_validation": "0.5 0.7 0.6 0.6"},
        **{"curve_test": "0.5 0.6 0.7 0.7", **others},
    }
    assert {*made} == {*results.COLUMNS}
    return made


def frame(*rows):
    return results.check(pd.DataFrame(rows, columns=results.COLUMNS))


def from_values(values):
    """Of {strategy: {data: [value of each fold]}}, None for a missing cell."""
    return frame(
        *(
            row(data, strategy, fold, value)
            for strategy, sets in values.items()
            for data, folds in sets.items()
            for fold, value in enumerate(folds)
            if value is not None
        )
    )


def random(seed=0, sets=8, folds=3, strategies=("uniform", "d2ace", "online_batch", "focal")):
    """Every cell of a grid, with figures that differ."""
    rng = np.random.default_rng(seed)
    rows = []
    for data in range(sets):
        for fold in range(folds):
            for number, strategy in enumerate(strategies):
                value = 0.7 + 0.02 * data + 0.01 * number + 0.02 * rng.standard_normal()
                climb = value - 0.2 * 0.5 ** np.arange(4) + 0.01 * rng.standard_normal(4)
                curve = " ".join(f"{number:.4f}" for number in climb)
                epoch_seconds = 1 + 0.1 * number + 0.01 * rng.random()
                made = row(f"set{data}", strategy, fold, value, curve_test=curve)
                rows.append({**made, "epoch_seconds": epoch_seconds})
    return frame(*rows)
