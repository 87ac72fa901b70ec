"""Train one small network with uniform and with adaptive batches, and draw what came of it.

The data are long-tailed images made from real digits (see `digits.py`; nothing is downloaded): one
to three digits on each of 20,000; 94 % of the images have a 0, and 0.3 %, 63 images, have a 9. Each
method trains the same ConvNet on the same images: same initial weights, optimizer, number of steps,
and learning rate. They go over the data twice, and the distribution changes eight times in each
pass. Methods are

* uniform: shuffled batches, the baseline;
* a strategy, by default `adaptive_balance`, the default of the package;
* `AdaptiveBalance(0.5)` with `PositiveWeights` in the loss, whose exponent falls from 0.25 to 0.

The learning rate, 0.004, is the best of 0.002, 0.004 and 0.008 for *uniform* batches: at the end of
two passes they had a macro average precision of 0.489, 0.522 and 0.513, in the mean of three seeds
that the defaults below do not use. The other methods have the same one; no other number was tuned.

Run it with `make quickstart`, or `python examples/quickstart.py --help`.
"""

import argparse
import os

# Fewer start-up messages. oneDNN's own stays, for with oneDNN a ConvNet takes half the time here.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from digits import long_tailed_digits
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

import tfmlselect as tfml

IMAGES, TEST_IMAGES = 20_000, 8_000
RARER = 300  # how many times rarer the rarest label is than the most frequent one
EPOCHS_A_PASS = 8
BATCH = 64
RATE = 0.004
WITH_WEIGHTS = "adaptive_balance(0.5) + falling positive weights"


def make_model(shape, q):
    """A small ConvNet with one sigmoid output per label; tfmlselect asks nothing special of it."""
    return tf.keras.Sequential(
        [
            tf.keras.layers.Input(shape),
            tf.keras.layers.Conv2D(16, 5, strides=2, padding="same", activation="relu"),
            tf.keras.layers.MaxPooling2D(),
            tf.keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            tf.keras.layers.MaxPooling2D(),
            tf.keras.layers.Flatten(),
            tf.keras.layers.Dense(128, activation="relu"),
            tf.keras.layers.Dense(q, activation="sigmoid"),
        ]
    )


def make_strategy(method, reference, x, y):
    """The strategy of a method, and features to search neighbours in where it searches any.

    What some strategies need beyond images and labels comes from `reference`, the model of the
    uniform run: `learnability` its losses, and those that search neighbours its last hidden layer,
    as pixels do not say which images are alike. That is enough to show the call, not to judge them:
    the model has seen these same images.
    """
    if method == WITH_WEIGHTS:
        return tfml.strategies.AdaptiveBalance(0.5), None
    if method == "learnability":
        return tfml.strategies.Learnability.from_model(reference, x, y), None
    strategy, features = tfml.strategies.get(method), None
    if strategy.uses_neighbors:
        hidden = tf.keras.Sequential(reference.layers[:-1])
        features = hidden.predict(x, batch_size=1000, verbose=0)
    return strategy, features


def make_loss(method, y):
    """Binary cross-entropy; in one method with weights of positives that fall over the run."""
    if method != WITH_WEIGHTS:
        return "binary_crossentropy"
    return tfml.losses.PositiveWeights(
        "binary_crossentropy",
        odds=tfml.label_statistics(y).odds,
        exponent=tfml.schedules.Ramp(0.25, 0.0),
    )


class HeldOut(tf.keras.callbacks.Callback):
    """Measures macro average precision on held-out images after each epoch."""

    def __init__(self, test_part):
        super().__init__()
        self.x, self.y = test_part
        self.precision = []

    def on_epoch_end(self, epoch, logs=None):
        """Of each label the average precision, then the mean over the labels."""
        predicted = self.model.predict(self.x, batch_size=1000, verbose=0)
        self.precision.append(tfml.metrics.macro_average_precision(self.y, predicted))


def train_model(method, reference, train_part, test_part, epochs, seed):
    """Trains a new model; returns it, and its curves, one number an epoch."""
    x, y = train_part
    strategy, features = make_strategy(method, reference, x, y)
    train = tfml.adaptive_dataset(
        train_part,
        strategy,
        batch_size=BATCH,
        seed=seed,
        samples_per_epoch=len(x) // EPOCHS_A_PASS,
        features=features,
    )
    tf.keras.utils.set_random_seed(seed)  # the same initial weights whatever the method
    model = make_model(x.shape[1:], y.shape[1])
    model.compile(tf.keras.optimizers.Adam(RATE), make_loss(method, y))
    held_out = HeldOut(test_part)
    selection = tfml.AdaptiveBatchSelection(train)
    model.fit(
        train,
        epochs=epochs,
        shuffle=False,  # the order is the strategy's, and Keras 3 would warn
        verbose=0,
        callbacks=[selection, held_out],
    )
    return model, {
        "passes": selection.history["selection/passes"],
        "precision": held_out.precision,
        "minority": selection.history["selection/minority_share"],
    }


def print_results(runs):
    """Prints the means over the seeds, epoch by epoch, and where uniform's last was reached."""
    passes = runs["uniform"][0]["passes"]
    means = {name: np.mean([run["precision"] for run in runs[name]], axis=0) for name in runs}
    print("\nMacro average precision on held-out images, mean over the seeds:\n")
    for letter, name in zip("ABC", means, strict=True):
        print(f"{letter}: {name}")
    print("\npasses      A      B      C")
    for done, *values in zip(passes, *means.values(), strict=True):
        print(f"{done:6.3f}  " + "  ".join(f"{value:.3f}" for value in values))
    last = means["uniform"][-1]
    print(f"\nuniform came to {last:.3f} in {passes[-1]:g} passes. First there, or above:")
    for name, values in means.items():
        there = np.flatnonzero(values >= last)
        print(f"{name}: " + (f"after {passes[there[0]]:g} passes" if there.size else "never"))
    print("That is one made-up set. Measured on many: docs/evidence.md.")


def plot_results(runs, path):
    """Writes two panels: the learning curves, and the share of minority labels in the draws."""
    figure = Figure(figsize=(11, 5), layout="constrained")
    panels = dict(zip(("precision", "minority"), figure.subplots(1, 2), strict=True))
    for key, axes in panels.items():
        for name, of_seeds in runs.items():
            passes = of_seeds[0]["passes"]
            curves = np.array([run[key] for run in of_seeds])
            (mean,) = axes.plot(passes, curves.mean(axis=0), linewidth=2.5, label=name)
            axes.plot(passes, curves.T, color=mean.get_color(), linewidth=0.7, alpha=0.6)
        axes.set_xlabel(f"passes over the {IMAGES:,} training images")
        axes.grid(color="0.9")
    precision, minority = panels.values()
    precision.set(
        title=f"Macro average precision on {TEST_IMAGES:,} held-out images",
        ylabel="macro average precision",
    )
    minority.set(title="Draws that have a minority label: 7, 8 or 9", ylabel="share of the draws")
    minority.set_ylim(bottom=0)
    minority.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    handles, labels = precision.get_legend_handles_labels()
    seeds = len(runs["uniform"])
    of_what = f"mean of {seeds} seeds; thin lines: each seed" if seeds > 1 else "one seed"
    figure.legend(handles, labels, loc="outside lower center", ncols=len(runs), title=of_what)
    figure.savefig(path, dpi=130)


def main(arguments=None):
    """Trains with every method and seed; prints and plots the curves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = [name for name in tfml.strategies.names() if name != "uniform"]
    parser.add_argument(
        "--strategy", choices=known, default="adaptive_balance", help="to compare with uniform"
    )
    parser.add_argument(
        "--epochs", type=int, default=16, help=f"of each run, {EPOCHS_A_PASS} to a pass"
    )
    parser.add_argument("--seed", type=int, default=0, help="the first, of images and weights")
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--output", default="quickstart.png", help="where the picture goes")
    options = parser.parse_args(arguments)

    runs = {name: [] for name in ("uniform", options.strategy, WITH_WEIGHTS)}
    for seed in range(options.seed, options.seed + options.seeds):
        train_part, test_part = long_tailed_digits(IMAGES, TEST_IMAGES, RARER, seed)
        if seed == options.seed:
            print("The training images:", tfml.label_statistics(train_part[1]), "\n")
        reference = None
        for name, of_seeds in runs.items():
            model, run = train_model(name, reference, train_part, test_part, options.epochs, seed)
            if name == "uniform":
                reference = model
            of_seeds.append(run)
            print(f"seed {seed}, {name}: macro average precision {run['precision'][-1]:.3f}")

    print_results(runs)
    plot_results(runs, options.output)
    print(f"The picture is {options.output}")


if __name__ == "__main__":
    main()
