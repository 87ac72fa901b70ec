"""Steps saved: how many uniform steps one step of a method stands for, each at its own tuned rate.

    python -m benchmarks.study.steps_saved --data-dir DIR   # runs what is missing, prints tables

GoEmotions by a frozen sentence encoder (`goemotions_minilm.npz`: x_train, y_train, x_dev, ...), all
labels, or those of less than 2 % of the samples, so that nine samples in ten carry none. An MLP of
256-256, Adam, batches of 128, a learning rate that rises over 30 % of the run and falls to 0.
Each method at each budget has five rates and three seeds: the rate is the one with the best macro
average precision on the development part, shown is the test part. A budget is a number of steps, in
passes of uniform batches over the data. Rows are kept in `steps_saved.csv`, from which
`python -m benchmarks.evidence.overview` makes the tables of the cards.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from tqdm import tqdm

import tfmlselect as tfml
from benchmarks.evidence.steps_table import CELL, COLUMNS, FILE, read, table
from benchmarks.study import data
from benchmarks.study.grid import BASELINE
from tfmlselect import metrics
from tfmlselect.schedules import Constant, Ramp
from tfmlselect.strategies import AdaptiveBalance, RareEvents

RATES = (0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128)  # five of them at each budget
SEEDS = (0, 1, 2)
BATCH_SIZE = 128
RARE = 0.02  # share of the samples
BASELINE_BUDGETS = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


@dataclass(frozen=True)
class Method:
    """One way to train.

    Attributes:
        strategy: its name, or makes it.
        loss: makes the loss, of the labels (n, q) and the dataset.
        updates: of the distribution, in a pass over the data; None: one.
        may_stop: whether the fit has an EarlyStopping, which never stops it: then the strategy
            does not know how long the run will be.
    """

    strategy: Callable[[], tfml.strategies.Strategy]
    loss: Callable
    updates: int | None = 8
    may_stop: bool = False


def binary_cross_entropy(y, train):
    """The plain loss."""
    return "binary_crossentropy"


def positive_weights(exponent):
    """Weights of positives, by the odds of the data."""

    def loss(y, train):
        odds = tfml.label_statistics(y).odds
        return tfml.losses.PositiveWeights("binary_crossentropy", odds=odds, exponent=exponent)

    return loss


def thinned_likelihood(y, train):
    """The likelihood of what `RareEvents` leaves."""
    return tfml.losses.ThinnedLikelihood()


METHODS = {
    BASELINE: Method(tfml.strategies.Uniform, binary_cross_entropy),
    "positive weights": Method(tfml.strategies.Uniform, positive_weights(0.25)),
    "adaptive_balance": Method(AdaptiveBalance, binary_cross_entropy),
    "adaptive_balance + falling positive weights": Method(
        AdaptiveBalance, positive_weights(Ramp(0.25, 0.0))
    ),
    "adaptive_balance(0.5) + falling positive weights": Method(
        lambda: AdaptiveBalance(0.5), positive_weights(Ramp(0.25, 0.0))
    ),
    "adaptive_balance, length not known": Method(
        AdaptiveBalance, binary_cross_entropy, may_stop=True
    ),
    "adaptive_balance, 3 correction rounds": Method(
        lambda: AdaptiveBalance(correction_rounds=3), binary_cross_entropy
    ),
    "ART": Method(
        lambda: AdaptiveBalance(Constant(0.5), lack="f1", max_repeats=1e9), binary_cross_entropy
    ),
    "rare_events": Method(RareEvents, thinned_likelihood, None),
    "rare_events, predicted": Method(
        lambda: RareEvents(draw="predicted"), thinned_likelihood, None
    ),
    "rare_events, not corrected": Method(RareEvents, binary_cross_entropy, None),
}
BUDGETS = {  # passes, by task and method
    "all labels": {
        BASELINE: BASELINE_BUDGETS,
        "positive weights": (0.5, 1.0, 2.0, 4.0),
        "adaptive_balance": (0.5, 1.0, 2.0, 4.0),
        "adaptive_balance + falling positive weights": (0.5, 1.0, 2.0, 4.0),
        "adaptive_balance(0.5) + falling positive weights": (0.5, 1.0, 2.0, 4.0),
        "adaptive_balance, length not known": (1.0, 2.0, 4.0),
        "adaptive_balance, 3 correction rounds": (1.0, 2.0),
        "ART": (1.0, 2.0),
    },
    "rare labels": {
        BASELINE: BASELINE_BUDGETS[:-1],
        "positive weights": (0.5, 1.0, 2.0),
        "adaptive_balance": (0.5, 1.0, 2.0),
        "rare_events": (0.5, 1.0, 2.0),
        "rare_events, predicted": (0.5, 1.0, 2.0),
        "rare_events, not corrected": (0.5, 1.0, 2.0),
    },
}


def main() -> None:
    """Runs what is missing and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", default=os.environ.get("TFMLSELECT_DATA"))
    parser.add_argument("--methods", help="with semicolons; all by default")
    parser.add_argument("--out", type=Path, default=FILE)
    options = parser.parse_args()
    wanted = options.methods.split(";") if options.methods else METHODS
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    done = {tuple(row[name] for name in CELL) for row in read(options.out)}
    for task, budgets in BUDGETS.items():
        cells = [
            (task, method, passes, rate, seed)
            for method in budgets
            if method in wanted
            for passes in budgets[method]
            for rate, seed in product(rates(passes), SEEDS)
        ]
        missing = [cell for cell in cells if tuple(map(str, cell)) not in done]
        if missing:
            parts = load(options.data_dir, task)
            for cell in tqdm(missing, desc=task):
                append(options.out, run(parts, *cell))
    for task, budgets in BUDGETS.items():
        print(task)
        print(table(read(options.out), task, [name for name in budgets if name != BASELINE]))


def rates(passes: float) -> tuple[float, ...]:
    """The five learning rates of a budget: the shorter the run, the higher."""
    first = 2 if passes < 1 else 1 if passes < 3 else 0
    return RATES[first : first + 5]


def load(directory: str | None, task: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """(x, y) of each part."""
    path = data.need(directory, "goemotions_minilm", "goemotions_minilm.npz")
    with np.load(path) as z:
        parts = {
            part: (z[f"x_{part}"].astype("float32"), z[f"y_{part}"])
            for part in ("train", "dev", "test")
        }
    if task == "rare labels":
        kept = parts["train"][1].mean(axis=0) < RARE
        parts = {part: (x, y[:, kept]) for part, (x, y) in parts.items()}
    return parts


class OneCycle(tf.keras.optimizers.schedules.LearningRateSchedule):
    """Rises to `peak` over 30 % of the steps, and falls to 0."""

    def __init__(self, peak: float, steps: int):
        self.peak, self.steps = peak, steps

    def __call__(self, step):
        """The rate of a step."""
        done = (tf.cast(step, tf.float32) + 1.0) / self.steps
        return self.peak * tf.minimum(done / 0.3, (1.0 - done) / 0.7 + 1e-6)

    def get_config(self):
        """The constructor's arguments."""
        return {"peak": self.peak, "steps": self.steps}


def run(parts: dict, task: str, method: str, passes: float, rate: float, seed: int) -> dict:
    """One fit, judged: a row."""
    (x, y), chosen = parts["train"], METHODS[method]
    tf.keras.backend.clear_session()
    tf.keras.utils.set_random_seed(seed)
    samples = None if chosen.updates is None else len(x) // chosen.updates
    train = tfml.adaptive_dataset(
        (x, y), chosen.strategy(), BATCH_SIZE, seed=seed, samples_per_epoch=samples
    )
    epochs = max(1, round(passes * len(x) / BATCH_SIZE / len(train)))
    steps = epochs * len(train)
    dense = tf.keras.layers.Dense
    model = tf.keras.Sequential(
        [
            tf.keras.Input((x.shape[1],)),
            dense(256, "relu"),
            dense(256, "relu"),
            dense(y.shape[1], "sigmoid"),
        ]
    )
    model.compile(tf.keras.optimizers.Adam(OneCycle(rate, steps)), chosen.loss(y, train))
    callbacks = [tfml.AdaptiveBatchSelection(train)]
    if chosen.may_stop:
        callbacks.append(tf.keras.callbacks.EarlyStopping("loss", patience=10**6))
    model.fit(train, epochs=epochs, verbose=0, callbacks=callbacks)
    judged = {part: judge(model, *parts[part]) for part in ("dev", "test")}
    return {
        "task": task,
        "method": method,
        "passes": passes,
        "rate": rate,
        "seed": seed,
        "steps": steps,
        "dev_macro_ap": judged["dev"]["macro_ap"],
        **judged["test"],
    }


def judge(model: tf.keras.Model, x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """The `FIGURES` of a model."""
    p = model.predict(x, batch_size=2048, verbose=0).astype(np.float64)
    clipped = np.clip(p, 1e-7, 1 - 1e-7)
    return {
        "macro_auc": metrics.macro_auc(y, p),
        "macro_ap": metrics.macro_average_precision(y, p),
        "log_loss": float(-np.log(np.where(y == 1, clipped, 1 - clipped)).mean()),
    }


def append(path: Path, row: dict) -> None:
    """Adds a row."""
    new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(
            {name: f"{row[name]:.5f}" if name in COLUMNS[6:] else row[name] for name in COLUMNS}
        )


if __name__ == "__main__":
    main()
