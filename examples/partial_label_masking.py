"""Partial Label Masking beside other losses, on long-tailed multi-label digits.

Each method trains the same small ConvNet: the same images, initial weights, optimiser and number
of steps. The paper's claim is that masking raises the recall of rare labels and the precision of
frequent ones; the last lines say how that came out here, for the 3 rarest and the 3 most frequent
of the 10 labels. Everything about the images is in `digits.py`. Run it with
`python examples/partial_label_masking.py --help`.
"""

import argparse
import math
import os

# Fewer start-up messages. oneDNN's own stays, for with oneDNN a ConvNet takes half the time here.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from digits import long_tailed_digits, rare_and_frequent
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score

import tfmlselect as tfml

BATCH = 64
COLUMNS = {  # result: table heading
    "f1": "macro-F1",
    "ap": "macro-AP",
    "rare_recall": "recall rare",
    "rare_precision": "precis. rare",
    "frequent_recall": "recall freq.",
    "frequent_precision": "precis. freq.",
}
CLAIM = ("rare_recall", "frequent_precision")
# Of each method with masking, the same without: what the claim is tested against.
MASKED = {"PLM, sample": "BCE", "PLM, expected": "BCE", "D2ACE + PLM": "D2ACE"}
METHODS = ("BCE", "PLM, sample", "PLM, expected", "focal", "asymmetric", "D2ACE", "D2ACE + PLM")


def make_loss(method, y, rate, seed):
    """The loss of one of METHODS; masking needs the odds of the training labels (n, q)."""
    if method == "focal":
        return tf.keras.losses.BinaryFocalCrossentropy()
    if method == "asymmetric":
        return tfml.losses.AsymmetricLoss()
    if method not in MASKED:
        return "binary_crossentropy"
    return tfml.losses.PartialLabelMasking(
        "binary_crossentropy",
        odds=tfml.label_statistics(y).odds,
        mask="expected" if method == "PLM, expected" else "sample",
        rate=rate,
        seed=seed,
    )


def make_model(shape, q):
    """A small ConvNet with one sigmoid output per label."""
    return tf.keras.Sequential(
        [
            tf.keras.layers.Input(shape),
            tf.keras.layers.Conv2D(16, 5, strides=2, padding="same", activation="relu"),
            tf.keras.layers.MaxPooling2D(),
            tf.keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            tf.keras.layers.MaxPooling2D(),
            tf.keras.layers.Conv2D(64, 3, padding="same", activation="relu"),
            tf.keras.layers.Flatten(),
            tf.keras.layers.Dense(128, activation="relu"),
            tf.keras.layers.Dense(q, activation="sigmoid"),
        ]
    )


def train_model(method, train_part, epochs, rate, seed):
    """Trains a new model by one of METHODS; returns it."""
    x, y = train_part
    loss = make_loss(method, y, rate, seed)
    tf.keras.utils.set_random_seed(seed)  # the same initial weights whatever the method
    model = make_model(x.shape[1:], y.shape[1])
    # The learning rate falls to 0, so that the last epoch is no throw of the dice.
    steps = epochs * math.ceil(len(x) / BATCH)
    decay = tf.keras.optimizers.schedules.CosineDecay(1e-3, steps)
    model.compile(tf.keras.optimizers.Adam(decay), loss)
    if method.startswith("D2ACE"):
        # No neighbourhood: pixels of shifted digits are no space to look for neighbours in.
        strategy = tfml.strategies.D2ACE(neighbors=0)
        train = tfml.adaptive_dataset((x, y), strategy=strategy, batch_size=BATCH, seed=seed)
        # Adapts the ratios of a masking loss too, to the odds that its own draws have.
        callback = tfml.AdaptiveBatchSelection(train)
        model.fit(train, epochs=epochs, shuffle=False, verbose=0, callbacks=[callback])
    else:
        callbacks = [tfml.callbacks.PartialLabelMaskingUpdate()] if method in MASKED else []
        model.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0, callbacks=callbacks)
    return model


def measure(model, test_part, rare, frequent):
    """The columns of the table; recall and precision at 0.5, as means over the third's labels.

    A label that is never predicted has precision 0. Average precision needs no threshold: it tells
    a better model from one that merely predicts a label more readily.
    """
    x, y = test_part
    p = model(x, training=False).numpy()
    options = {"average": None, "zero_division": 0}
    recall, precision = recall_score(y, p > 0.5, **options), precision_score(y, p > 0.5, **options)
    return {
        "f1": f1_score(y, p > 0.5, average="macro", zero_division=0),
        "ap": average_precision_score(y, p, average="macro"),
        "rare_recall": recall[rare].mean(),
        "rare_precision": precision[rare].mean(),
        "frequent_recall": recall[frequent].mean(),
        "frequent_precision": precision[frequent].mean(),
    }


def print_results(results):
    """Prints the columns of every method, and what became of the claim."""
    width = max(map(len, METHODS))
    print("\nOn the test part:\n")
    print(f"{'method':<{width}}" + "".join(f"  {head:>13}" for head in COLUMNS.values()))
    for method, runs in results.items():
        cells = [summary([run[key] for run in runs]) for key in COLUMNS]
        print(f"{method:<{width}}" + "".join(f"  {cell:>13}" for cell in cells))

    print("\nThe claim: the difference to the same without masking, higher in so many seeds:\n")
    print(" " * (width + 16) + "".join(f"  {COLUMNS[key]:>15}" for key in CLAIM))
    for method, plain in MASKED.items():
        cells = []
        for key in CLAIM:
            pairs = zip(results[method], results[plain], strict=True)
            changes = np.array([run[key] - other[key] for run, other in pairs])
            gains = (changes > 1e-9).sum()  # not a last bit's worth
            cells.append(f"{round(changes.mean(), 3) + 0:+.3f} ({gains} of {len(changes)})")
        print(f"{method + ' - ' + plain:<{width + 16}}" + "".join(f"  {c:>15}" for c in cells))


def summary(values):
    """Mean, and standard deviation over the seeds where there are several."""
    spread = f" ±{np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"


def main(arguments=None):
    """Trains every method with every seed; prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="the first seed: data, weights, masks")
    parser.add_argument("--seeds", type=int, help="how many seeds; default 3, with --quick 1")
    parser.add_argument("--epochs", type=int, help="of each run; default 30, with --quick 4")
    parser.add_argument("--rate", type=float, default=0.01, help="how fast the ratios adapt")
    parser.add_argument("--quick", action="store_true", help="few images: runs, but says nothing")
    options = parser.parse_args(arguments)
    sizes = (640, 640) if options.quick else (3000, 4000)
    epochs = options.epochs or (4 if options.quick else 30)
    seeds = range(options.seed, options.seed + (options.seeds or (1 if options.quick else 3)))

    results = {method: [] for method in METHODS}
    for seed in seeds:
        train_part, test_part = long_tailed_digits(*sizes, seed=seed)
        rare, frequent = rare_and_frequent(train_part[1].sum(axis=0))
        if seed == options.seed:
            print("Training images:", tfml.label_statistics(train_part[1]))
            print(f"\nThirds of the labels: rare {rare}, frequent {frequent}; {epochs} epochs")
        for method, runs in results.items():
            model = train_model(method, train_part, epochs, options.rate, seed)
            runs.append(measure(model, test_part, rare, frequent))
            print(f"seed {seed}  {method}: macro-F1 {runs[-1]['f1']:.3f}", flush=True)

    print_results(results)


if __name__ == "__main__":
    main()
