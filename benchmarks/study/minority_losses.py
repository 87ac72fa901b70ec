"""Do samples with a minority label have a larger loss? Measured on Yeast while a network trains.

    python benchmarks/study/minority_losses.py          # prints a table
    python benchmarks/study/minority_losses.py --write  # stores minority_losses.json in docs

The papers on batch selection for multi-label data start from that observation. Network, data and
split are those of `examples/yeast.py`; a seed decides split, weights and batches. After some epochs
the training part is predicted in inference mode, and the binary cross-entropy (natural log, mean
over labels) averaged over the samples with a minority label, IRLbl > MeanIR, and over those
without.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
sys.path.append(str(Path(__file__).parents[2] / "examples"))

import numpy as np
import tensorflow as tf
from yeast import load_yeast, make_model

import tfmlselect as tfml
from benchmarks.study.variants import of_paper

LOSSES = Path(__file__).parents[2] / "docs" / "strategies" / "minority_losses.json"
STRATEGIES = ("uniform", "hard_imbalance", "d2ace", "positive_hardness")
MEASURED_AFTER = (1, 5, 10, 20, 40)  # epochs
BATCH = 64
NOTE = (
    "losses are means over seeds; a ratio is that of the means, ratio_min and ratio_max are "
    "those of single seeds"
)


class TrainingLosses(tf.keras.callbacks.Callback):
    """Computes the mean loss of every training sample, (n,), after some of the epochs."""

    def __init__(self, x: np.ndarray, y: np.ndarray):
        super().__init__()
        self.x, self.y = x, y
        self.losses: dict[int, np.ndarray] = {}

    def on_epoch_end(self, epoch, logs=None):
        """Keras counts epochs from 0, the table from 1."""
        if epoch + 1 in MEASURED_AFTER:
            p = self.model.predict_on_batch(self.x)
            self.losses[epoch + 1] = tf.keras.losses.binary_crossentropy(self.y, p).numpy()


def main() -> None:
    """Trains all strategies with all seeds; prints and stores the means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=40, help="of each run")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each strategy")
    parser.add_argument("--write", action="store_true", help=f"store {LOSSES.name}")
    options = parser.parse_args()
    result = measure(options.epochs, options.seeds)
    print(as_markdown(result))
    if options.write:
        LOSSES.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def measure(epochs: int, seeds: int) -> dict:
    """All figures, as they are stored in minority_losses.json."""
    rows: dict[str, list] = {name: [] for name in STRATEGIES}
    counts = []
    for seed in range(seeds):
        (x, y), _, label_names = load_yeast(seed)
        minority = tfml.label_statistics(y).minority
        has_minority = y[:, minority].any(axis=1)
        counts.append(
            {
                "seed": seed,
                "minority_labels": [
                    name for name, m in zip(label_names, minority, strict=True) if m
                ],
                "with": int(has_minority.sum()),
                "without": int((~has_minority).sum()),
                "cardinality_with": rounded(y[has_minority].sum(axis=1).mean()),
                "cardinality_without": rounded(y[~has_minority].sum(axis=1).mean()),
            }
        )
        for name in STRATEGIES:
            losses = train(name, x, y, epochs, seed)
            rows[name].append(
                {
                    epoch: (loss[has_minority].mean(), loss[~has_minority].mean())
                    for epoch, loss in losses.items()
                }
            )
    return {
        "note": NOTE,
        "data": "Yeast, the training part (70 %)",
        "seeds": seeds,
        "epochs": epochs,
        "batch_size": BATCH,
        "tensorflow": tf.__version__,
        "samples": counts,
        "strategies": {name: summary(runs) for name, runs in rows.items()},
    }


def train(name: str, x: np.ndarray, y: np.ndarray, epochs: int, seed: int) -> dict:
    """One run; the training samples' losses (n,) by epoch."""
    dataset = tfml.adaptive_dataset(
        (x, y), of_paper(name), batch_size=BATCH, seed=seed, draws="independent"
    )
    tf.keras.utils.set_random_seed(seed)
    model = make_model(y.shape[1])
    measured = TrainingLosses(x, y)
    callbacks = [tfml.AdaptiveBatchSelection(dataset), measured]
    model.fit(dataset, epochs=epochs, shuffle=False, verbose=0, callbacks=callbacks)
    return measured.losses


def summary(runs: list[dict]) -> dict:
    """Means over seeds by epoch, and the range of the ratio."""
    result = {}
    for epoch in runs[0]:
        pairs = np.array([run[epoch] for run in runs])  # (seeds, 2): with, without
        ratios = pairs[:, 0] / pairs[:, 1]
        mean_with, mean_without = pairs.mean(axis=0)
        result[str(epoch)] = {
            "with": rounded(mean_with),
            "without": rounded(mean_without),
            "ratio": rounded(mean_with / mean_without),
            "ratio_min": rounded(ratios.min()),
            "ratio_max": rounded(ratios.max()),
        }
    return result


def rounded(value: float) -> float:
    """Four digits after the point."""
    return round(float(value), 4)


def as_markdown(result: dict) -> str:
    """The table that is printed."""
    lines = [f"{result['data']}; {result['seeds']} seeds, TensorFlow {result['tensorflow']}"]
    lines += [str(row) for row in result["samples"]]
    lines += [
        "",
        "| batches | epoch | with | without | ratio | of single seeds |",
        "|---" * 6 + "|",
    ]
    for name, row in result["strategies"].items():
        for epoch, at in row.items():
            lines.append(
                f"| {name} | {epoch} | {at['with']:.3f} | {at['without']:.3f} | {at['ratio']:.2f} "
                f"| {at['ratio_min']:.2f} to {at['ratio_max']:.2f} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
