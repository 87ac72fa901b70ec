"""How long, and at which learning rates, a model is trained: the same for every strategy.

Both budgets: Adam with decoupled weight decay 1e-4, batches of 128, 100 epochs of n draws each, the
learning rate rising linearly over the first tenth. "paper" then keeps 1e-4, the papers' rate.
"tuned" falls to 0 along a cosine from the rate at which the *baseline* ended best on the validation
part of fold 0, one for each data set and model (`results/learning_rates.csv`, made by
`python -m benchmarks.study.tune`).
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

BATCH_SIZE = 128
WEIGHT_DECAY = 1e-4
RATES = (3e-4, 1e-3, 3e-3, 1e-2)
TUNED = Path(__file__).with_name("results") / "learning_rates.csv"


@dataclass(frozen=True)
class Budget:
    """Epochs, and the learning rate over their steps.

    Attributes:
        name: "paper", "tuned", or what a caller makes.
        epochs: of n draws each.
        rate: the highest learning rate.
        falls: whether it falls to 0 along a cosine, or stays.
    """

    name: str
    epochs: int
    rate: float
    falls: bool

    def optimizer(self, n: int) -> tf.keras.optimizers.Optimizer:
        """An optimizer for a fit on n samples."""
        steps = self.epochs * math.ceil(n / BATCH_SIZE)
        rise = steps // 10
        rate = tf.keras.optimizers.schedules.CosineDecay(
            0.0,
            steps - rise,
            alpha=0.0 if self.falls else 1.0,
            warmup_target=self.rate,
            warmup_steps=rise,
        )
        return tf.keras.optimizers.Adam(rate, weight_decay=WEIGHT_DECAY)


def get(name: str, data: str, model: str) -> Budget:
    """The budget of a name for a data set and a model.

    Raises:
        ValueError: the learning rate of "tuned" has not been chosen for them.
    """
    if name == "paper":
        return Budget("paper", 100, 1e-4, falls=False)
    with open(TUNED, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if (row["data"], row["model"], row["chosen"]) == (data, model, "yes"):
                return Budget("tuned", 100, float(row["rate"]), falls=True)
    raise ValueError(
        f"No learning rate has been chosen for {model} on {data}. "
        f"Choose one: python -m benchmarks.study.tune --data {data} --model {model}"
    )
