"""Train one Keras model twice on real data: with uniform and with adaptive batches.

The data is Yeast: 2417 genes, 103 measurements each, 14 labels of very different frequency. It
lies in the wheel of river, so nothing is downloaded. Run it with `make quickstart`, or
`python examples/quickstart.py --help`.
"""

import argparse
import os

# No start-up messages; from TensorFlow 2.19 on, oneDNN's own goes away only with oneDNN.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from river.datasets import Yeast
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split

import tfmlselect as tfml


def load_yeast(seed):
    """Reads Yeast; returns (x, y) to train on, (x, y) to test on (30 %), and the label names."""
    samples = list(Yeast())
    x = np.array([list(features.values()) for features, _ in samples], "float32")
    y = np.array([list(labels.values()) for _, labels in samples], "float32")
    label_names = list(samples[0][1])
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.3, random_state=seed)
    low = x_train.min(axis=0)  # scaling to [0, 1] may look at the training part alone
    span = x_train.max(axis=0) - low
    return ((x_train - low) / span, y_train), ((x_test - low) / span, y_test), label_names


def make_model(q):
    """A plain multi-layer perceptron; tfmlselect asks nothing special of it."""
    model = tf.keras.Sequential(
        [
            tf.keras.layers.Dense(128, activation="relu"),
            tf.keras.layers.Dense(128, activation="relu"),
            tf.keras.layers.Dense(q, activation="sigmoid"),
        ]
    )
    macro_auc = tf.keras.metrics.AUC(multi_label=True, num_labels=q, name="macro_auc")
    model.compile(tf.keras.optimizers.Adam(1e-3), "binary_crossentropy", metrics=[macro_auc])
    return model


def train_model(train, test_part, epochs, seed):
    """Trains a new model on an adaptive dataset; returns it, and what the output shows of it."""
    x_test, y_test = test_part
    tf.keras.utils.set_random_seed(seed)  # the same initial weights whatever the strategy
    model = make_model(y_test.shape[1])
    history = model.fit(
        train,
        epochs=epochs,
        shuffle=False,  # the order is the strategy's, and Keras 3 would warn
        validation_data=test_part,
        callbacks=[tfml.AdaptiveBatchSelection(train)],
    ).history
    predicted = model.predict(x_test, verbose=0) > 0.5
    return model, {
        "history": history,
        "auc": np.array(history["val_macro_auc"]),
        "minority": np.array(history["selection/minority_share"]),
        "f1": f1_score(y_test, predicted, average="macro", zero_division=0),
    }


def learnability(reference, x_train, y_train):
    """The one strategy that needs a second model, a reference that is trained already.

    RHO-LOSS trains it on held-out data. This one has seen the samples that it judges, and takes
    what it learnt by heart for easy: enough to show the call, not to judge the strategy.
    """
    print("reference: the model of the uniform run, trained on these same samples")
    return tfml.strategies.Learnability.from_model(reference, x_train, y_train)


def print_results(names, results):
    """Prints both runs side by side, epoch by epoch, and what they come to."""
    print(
        "\nMacro-AUC on the test part; share of the draws that have a minority label (* above):\n"
    )
    w = max(10, *map(len, names))
    print(f"       {'macro-AUC':^{2 * w + 2}}    {'minority share':^{2 * w + 2}}")
    print(f"epoch  {names[0]:>{w}}  {names[1]:>{w}}    {names[0]:>{w}}  {names[1]:>{w}}")
    columns = [result[key] for key in ("auc", "minority") for result in results]
    for epoch, (auc0, auc1, share0, share1) in enumerate(zip(*columns, strict=True), start=1):
        print(f"{epoch:>5}  {auc0:{w}.4f}  {auc1:{w}.4f}    {share0:{w}.1%}  {share1:{w}.1%}")
    print()
    for name, result in zip(names, results, strict=True):
        auc, f1 = result["auc"], result["f1"]
        best = f"best {auc.max():.4f} (epoch {auc.argmax() + 1})"
        print(f"{name}: macro-AUC {best}, last {auc[-1]:.4f}; macro-F1, last {f1:.4f}")
    print(
        "One seed and one split, the best epoch chosen on the test part: it shows that both runs\n"
        "learn, not which strategy is better. Another --seed can turn the order round."
    )


def plot_results(names, results, warmup, path):
    """Writes two panels: the learning curves, and the share of minority labels in the draws."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    curves, shares = figure.subplots(1, 2)
    histories = {name: result["history"] for name, result in zip(names, results, strict=True)}
    tfml.plots.learning_curves(histories, "val_macro_auc", ax=curves)
    tfml.plots.learning_curves(histories, "selection/minority_share", ax=shares)
    curves.set(title="Learning curves on the test part", ylabel="macro-AUC")
    shares.set(title="Draws that have a minority label", ylabel="share of an epoch's draws")
    shares.set_ylim(bottom=0)
    shares.yaxis.set_major_formatter(PercentFormatter(1.0))
    for axes in (curves, shares):
        if warmup:
            label = "warm-up: uniform batches in both"
            axes.axvspan(0.5, warmup + 0.5, color="0.92", label=label)
        axes.set_xlim(0.5, len(results[0]["auc"]) + 0.5)
        axes.legend(loc="lower right")
    figure.savefig(path, dpi=150)


def main(arguments=None):
    """Trains with uniform batches, then with the strategy; prints and plots both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = tfml.strategies.names()
    parser.add_argument("--strategy", choices=known, default="d2ace", help="the second run's")
    parser.add_argument("--epochs", type=int, default=40, help="of each of the two runs")
    parser.add_argument("--seed", type=int, default=0, help="of split, weights and batches")
    parser.add_argument("--output", default="quickstart.png", help="where the picture goes")
    options = parser.parse_args(arguments)

    train_part, test_part, label_names = load_yeast(options.seed)
    print("Yeast, the training part:", tfml.label_statistics(train_part[1], label_names))

    names = ["uniform", options.strategy]
    model, results = None, []
    for name in names:
        print(f"\nTraining {options.epochs} epochs with strategy={name!r}")
        strategy = name
        if name == "learnability":
            strategy = learnability(model, *train_part)  # of the uniform run, which comes first
        train = tfml.adaptive_dataset(
            train_part, strategy=strategy, batch_size=64, seed=options.seed
        )
        model, result = train_model(train, test_part, options.epochs, options.seed)
        results.append(result)

    print_results(names, results)
    plot_results(names, results, train.strategy.warmup, options.output)
    print(f"\nThe learning curves are in {options.output}")


if __name__ == "__main__":
    main()
