"""Plant wrong labels in a real set, and count how many stand among the samples drawn most.

2 % of the samples exchange their label sets with each other, as records that were mixed up would.
So every label keeps its number of positives, and every label set is one that occurs: nothing but x
tells that it is wrong. Each strategy trains the same network on these data, and `train.inspect(k)`
is asked for the k samples drawn most, k being the number planted. A run with uniform batches has no
such order; its samples are ranked by their loss, for comparison.

The sets are Yeast (2417 genes, 14 labels), which lies in the wheel of river, and the digits of
scikit-learn (1797 images, 10 labels, one of them each): nothing is downloaded.
`python examples/mislabelled.py --help`
"""

import argparse
import os

# No start-up messages; from TensorFlow 2.19 on, oneDNN's own goes away only with oneDNN.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits
from yeast import make_model, read_yeast

import tfmlselect as tfml

SHARE = 0.02
STRATEGIES = ("online_batch", "hard_imbalance", "uncertainty", "d2ace", "positive_hardness")


def load(data):
    """Reads "yeast" or "digits"; returns x scaled to [0, 1], y of 0 and 1, and label names."""
    if data == "digits":
        x, digit = load_digits(return_X_y=True)
        y = np.eye(10, dtype="float32")[digit]
        return (x / 16).astype("float32"), y, [f"digit {j}" for j in range(10)]
    x, y, label_names = read_yeast()
    low, high = x.min(axis=0), x.max(axis=0)
    return (x - low) / (high - low), y, label_names


def plant(y, share, rng):
    """Has a share of the samples exchange their label sets with each other.

    Returns:
        The labels, and the planted samples, none of which has its own label set again.
    """
    while True:
        planted = rng.permutation(len(y))[: round(share * len(y))]
        wrong = y.copy()
        wrong[planted] = y[rng.permutation(planted)]
        if (wrong != y)[planted].any(axis=1).all():
            return wrong, planted


class Search(tf.keras.callbacks.Callback):
    """Counts, after some epochs, the planted samples among the k that are drawn most."""

    def __init__(self, train, planted, epochs):
        super().__init__()
        self.train, self.planted, self.epochs = train, planted, epochs
        self.found = []

    def on_epoch_end(self, epoch, logs=None):
        """Looks after `AdaptiveBatchSelection`, which comes first in the list of callbacks."""
        if epoch + 1 in self.epochs:
            self.found.append(np.isin(self.most_suspicious(), self.planted).sum())

    def most_suspicious(self):
        """The k samples at the top of the distribution."""
        k = len(self.planted)
        return self.train.inspect(k).ids[:k]


class SearchByLoss(Search):
    """The same among the k samples of the largest loss, which needs no strategy."""

    def __init__(self, train, planted, epochs, data):
        super().__init__(train, planted, epochs)
        self.data = data

    def most_suspicious(self):
        """The k samples of the largest loss."""
        x, y = self.data
        p = np.clip(self.model.predict(x, batch_size=512, verbose=0), 1e-7, 1 - 1e-7)
        loss = -np.log(np.where(y == 1, p, 1 - p)).mean(axis=1)
        return np.argsort(-loss, kind="stable")[: len(self.planted)]


def search(strategy, data, planted, epochs, seed):
    """Trains one network; returns the counts after `epochs`, and the dataset."""
    train = tfml.adaptive_dataset(data, strategy, batch_size=64, seed=seed)
    tf.keras.utils.set_random_seed(seed)  # the same initial weights whatever the strategy
    model = make_model(data[1].shape[1])
    looking = Search(train, planted, epochs)
    if strategy == "uniform":
        looking = SearchByLoss(train, planted, epochs, data)
    callbacks = [tfml.AdaptiveBatchSelection(train), looking]
    model.fit(train, epochs=max(epochs), verbose=0, shuffle=False, callbacks=callbacks)
    return looking.found, train


def print_results(found, epochs, planted, n):
    """The table: means over seeds and, behind them, the fewest and the most."""
    chance = planted**2 / n
    print(f"\nplanted samples among the {planted} most drawn; by chance {chance:.1f} of {planted}")
    print("means over the seeds (fewest to most):\n")
    heads = "".join(f"{f'epoch {epoch}':>18}" for epoch in epochs)
    print(f"{'':<24}{heads}")
    for name, counts in found.items():
        counts = np.array(counts)  # seeds x epochs
        cells = [
            f"{f'{column.mean():.1f} ({column.min()} to {column.max()})':>18}"
            for column in counts.T
        ]
        print(f"{name:<24}{''.join(cells)}")
    last = {name: np.mean(counts, axis=0)[-1] for name, counts in found.items()}
    poor = [name for name, mean in last.items() if mean < 2 * chance]
    print(f"\nafter epoch {epochs[-1]} less than twice chance: {', '.join(poor) or 'none'}")


def main(arguments=None):
    """Plants, trains, counts, and prints one inspection in full."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=("yeast", "digits"), default="yeast")
    parser.add_argument("--seeds", type=int, default=5, help="how often everything is repeated")
    parser.add_argument("--quick", action="store_true", help="few epochs of one seed")
    options = parser.parse_args(arguments)
    epochs = (2, 4) if options.quick else (10, 20, 40)
    seeds = 1 if options.quick else options.seeds

    x, y, label_names = load(options.data)
    found = {}
    for seed in range(seeds):
        wrong, planted = plant(y, SHARE, np.random.default_rng(seed))
        for strategy in ("uniform", *STRATEGIES):
            counts, train = search(strategy, (x, wrong), planted, epochs, seed)
            name = "uniform, by loss" if strategy == "uniform" else strategy
            found.setdefault(name, []).append(counts)
    differing = (wrong != y)[planted].sum(axis=1).mean()
    print(f"{options.data}: {len(y)} samples, {len(planted)} of them planted ({SHARE:.0%});")
    print(f"the last seed's are wrong in {differing:.1f} of {y.shape[1]} labels on average")
    print_results(found, epochs, len(planted), len(y))
    print("\nThe last run in detail, planted samples marked *:\n")
    print(marked(train, planted, label_names))


def marked(train, planted, label_names):
    """What `inspect` prints, with a mark behind each planted sample."""
    lines = str(train.inspect(5, label_names=label_names)).splitlines()
    return "\n".join(
        f"{line} *" if line.split()[:1] and line.split()[0] in map(str, planted) else line
        for line in lines
    )


if __name__ == "__main__":
    main()
