"""Feature weakening and Partial Label Masking on long-tailed images with one class each.

Each method trains the same small ConvNet on digits under exponential and under step imbalance: the
same images, initial weights, optimiser and number of steps. "balanced" is the strategy
`label_balanced`: a class uniformly, then one of its samples. It prints each class' accuracy on a
balanced test part, with means over the 3 classes that are rarest and the 3 most frequent in
training, and draws how training went on, class by class. Everything about the images is in
`digits.py`; with `--data-dir` they are CIFAR-10-LT. CIFAR-100 and MS-COCO, the sets of the two
papers, are not available here: what is printed is no copy of their tables. Run it with
`python examples/feature_weakening.py --help`.
"""

import argparse
import math
import os

# Fewer start-up messages. oneDNN's own stays, for with oneDNN a ConvNet takes half the time here.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from digits import IMBALANCES, imbalanced_digits, long_tailed_cifar10, rare_and_frequent
from matplotlib.figure import Figure

import tfmlselect as tfml

# Of each method in question, the same without: what it is compared with.
COMPARED = {
    "PLM": "one-vs-all",
    "weakened": "plain",
    "weakened + balanced": "balanced",
}
METHODS = ("plain", "one-vs-all", "PLM", "weakened", "balanced", "weakened + balanced")
DRAWN = ("plain", "weakened", "weakened + balanced")


def make_model(shape, counts, strength, seed):
    """A small ConvNet with a softmax over the classes of the training set, (q,) `counts`."""
    layers = [
        tf.keras.layers.Input(shape),
        tf.keras.layers.Conv2D(16, 5, strides=2, padding="same", activation="relu"),
        tf.keras.layers.MaxPooling2D(),
        tf.keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
        tf.keras.layers.MaxPooling2D(),
        tf.keras.layers.Flatten(),
        tf.keras.layers.Dense(64, activation="relu"),
    ]
    if strength:  # right before the head; without effect, and without labels, outside of training
        layers.append(tfml.layers.FeatureWeakening(counts, strength, seed=seed))
    layers.append(tf.keras.layers.Dense(len(counts), activation="softmax"))
    return tf.keras.Sequential(layers)


def make_loss(method, y, seed):
    """The loss of one of METHODS, for one-hot labels (n, q).

    PLM masks entries of a binary cross-entropy of softmax probabilities, each class against all
    others. "one-vs-all" is the same without masking: at rate 0 the ratios stay at the odds. So the
    change of loss is not taken for an effect of the mask. (Keras' own "binary_crossentropy" is
    another loss: it goes by a softmax layer's logits, and takes their sigmoid.)
    """
    if method not in ("one-vs-all", "PLM"):
        return "categorical_crossentropy"
    return tfml.losses.PartialLabelMasking(
        "binary_crossentropy",
        odds=tfml.label_statistics(y).odds,
        rate=0.01 if method == "PLM" else 0.0,
        seed=seed,
    )


def train_model(method, train_part, batch_size, epochs, strength, seed):
    """Trains a new model by one of METHODS; returns it, and its TrainingProgress."""
    x, ids = train_part
    y = np.eye(ids.max() + 1, dtype="float32")[ids]
    counts = tfml.label_statistics(y).counts
    loss = make_loss(method, y, seed)
    tf.keras.utils.set_random_seed(seed)  # the same initial weights whatever the method
    strength = strength if method.startswith("weakened") else 0.0
    model = make_model(x.shape[1:], counts, strength, seed)
    # The learning rate falls to 0, so that the last epoch is no throw of the dice.
    decay = tf.keras.optimizers.schedules.CosineDecay(1e-3, epochs * math.ceil(len(x) / batch_size))
    model.compile(tf.keras.optimizers.Adam(decay), loss)
    # Any callback of the package hands the labels to the weakening layer: this one does.
    progress = tfml.callbacks.TrainingProgress(class_counts=counts)
    if method.endswith("balanced"):
        train = tfml.adaptive_dataset((x, y), "label_balanced", batch_size=batch_size, seed=seed)
        callbacks = [tfml.AdaptiveBatchSelection(train), progress]
        model.fit(train, epochs=epochs, shuffle=False, verbose=0, callbacks=callbacks)
    else:
        callbacks = [progress]
        if method in ("one-vs-all", "PLM"):
            callbacks.append(tfml.callbacks.PartialLabelMaskingUpdate())
        model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0, callbacks=callbacks)
    return model, progress


def load_data(kind, options, seed):
    """Training and test part of one imbalance, from digits or from the user's directory."""
    if options.data_dir:
        return long_tailed_cifar10(options.data_dir)
    return imbalanced_digits(kind, largest=100 if options.quick else 350, seed=seed)


def class_accuracies(model, test_part):
    """Share of each class' test images that are recognised: (q,)."""
    x, ids = test_part
    parts = [model(part, training=False).numpy() for part in np.array_split(x, 4)]
    predicted = np.concatenate(parts).argmax(axis=1)
    return np.array([np.mean(predicted[ids == k] == k) for k in range(ids.max() + 1)])


def print_results(results, counts):
    """Prints one table: mean over the seeds, in per cent, of each class and of the thirds.

    Args:
        results: method: (seeds, q) accuracies.
        counts: (q,) images of each class to train on.
    """
    rare, frequent = rare_and_frequent(counts)
    width = max(map(len, METHODS))
    heads = [f"{k:>4}" for k in range(len(counts))] + [
        f"{head:>10}" for head in ("all", "rare", "frequent")
    ]
    print(f"{'class':<{width}}" + " ".join(heads))
    print(f"{'training images':<{width}}" + " ".join(f"{n:>4}" for n in counts))
    for method, runs in results.items():
        cells = [f"{100 * accuracy:>4.0f}" for accuracy in runs.mean(axis=0)]
        for third in (slice(None), rare, frequent):
            cells.append(f"{summary(100 * runs[:, third].mean(axis=1)):>10}")
        print(f"{method:<{width}}" + " ".join(cells))

    print("\nDifferences, and in how many seeds there is a gain:")
    for method, other in COMPARED.items():
        changes = 100 * (results[method] - results[other])
        cells = []
        for name, third in (("all", slice(None)), ("rare", rare), ("frequent", frequent)):
            change = changes[:, third].mean(axis=1)
            gains = (change > 1e-9).sum()  # not a last bit's worth
            cells.append(f"{name} {round(change.mean(), 1) + 0:+.1f} ({gains} of {len(change)})")
        print(f"{method + ' - ' + other:<{width + 12}}" + "   ".join(cells))


def summary(values):
    """Mean, and standard deviation over the seeds where there are several."""
    spread = f" ±{np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{np.mean(values):.1f}{spread}"


def plot_progress(progress, kind, path):
    """Draws training recall and feature gradients of DRAWN, from their TrainingProgress."""
    figure = Figure(figsize=(10, 6), layout="constrained")
    figure.suptitle(f"{kind} imbalance, one seed")
    panels = figure.subplots(2, len(DRAWN), sharex=True, sharey="row")
    for row, quantity in zip(panels, ("recall", "gradient"), strict=True):
        for axes, method in zip(row, DRAWN, strict=True):
            tfml.plots.training_progress(progress[method], quantity, ax=axes).set_title(method)
            axes.get_legend().remove()  # one for all of them, where no curve is
            axes.label_outer()
        row[0].autoscale(axis="y")  # over the whole row
        row[0].set_ylim(bottom=0)
    handles = panels[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=len(handles[0]))
    figure.savefig(path, dpi=120)


def main(arguments=None):
    """Trains every method under every imbalance with every seed; prints tables, draws a picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--seed", type=int, default=0, help="the first seed: data, weights, batches"
    )
    parser.add_argument("--seeds", type=int, help="how many seeds; default 3, with --quick 1")
    parser.add_argument("--epochs", type=int, help="of each run; default 30, with --quick 6")
    parser.add_argument(
        "--data-dir", help="where cifar10_lt100.npz is: trains on it, not on digits"
    )
    parser.add_argument("--strength", type=float, default=0.1, help="of weakening, up to 0.5")
    parser.add_argument("--output", default="feature_weakening.png", help="where the picture goes")
    parser.add_argument("--quick", action="store_true", help="few images: runs, but says nothing")
    options = parser.parse_args(arguments)
    # A batch holds no sample twice, and "balanced" draws the rarest images some 25 times an epoch.
    batch_size = 16 if options.quick else 32
    epochs = options.epochs or (6 if options.quick else 30)
    seeds = range(options.seed, options.seed + (options.seeds or (1 if options.quick else 3)))

    drawn = None
    for kind in IMBALANCES[:1] if options.data_dir else IMBALANCES:
        results = {method: [] for method in METHODS}
        for seed in seeds:
            train_part, test_part = load_data(kind, options, seed)
            counts = np.bincount(train_part[1])
            followed = {}
            for method, runs in results.items():
                model, followed[method] = train_model(
                    method, train_part, batch_size, epochs, options.strength, seed
                )
                runs.append(class_accuracies(model, test_part))
                print(f"seed {seed}  {method}: accuracy {runs[-1].mean():.1%}", flush=True)
            drawn = drawn or (followed, kind)
        print(f"\nAccuracy on the test part (%), {kind} imbalance, {epochs} epochs:\n")
        print_results({method: np.array(runs) for method, runs in results.items()}, counts)
        print()

    plot_progress(*drawn, options.output)
    print(f"The progress of training is in {options.output}")


if __name__ == "__main__":
    main()
