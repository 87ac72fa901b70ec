"""Adaptive batches of images that stay on disk: x is a vector of file paths.

Writes multi-label images of digits, long-tailed (see `digits.py`), as PNG files into a temporary
directory, and trains the same small ConvNet on their paths twice, with uniform and with adaptive
batches: same images, initial weights, optimiser and number of steps. Files are read and
decoded one by one in `.map_samples`, batches augmented in `.map`, so that each draw of an image is
augmented anew. Prints average precision and recall of the minority labels (IRLbl > MeanIR) on
held-out images. Run it with `python examples/images_from_paths.py --help`.
"""

import argparse
import math
import os
import tempfile
from pathlib import Path

# Fewer start-up messages. oneDNN's own stays, for with oneDNN a ConvNet takes half the time here.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from digits import CANVAS, long_tailed_digits
from sklearn.metrics import average_precision_score, recall_score

import tfmlselect as tfml

BATCH = 64
SHIFT = 2  # pixels, the most that augmentation moves an image
SHAPE = (CANVAS, CANVAS, 1)


def write_images(images, directory):
    """Writes images (n, h, w, 1) in [0, 1] as PNG files; returns their paths (n,)."""
    directory.mkdir()
    paths = [str(directory / f"{i:05d}.png") for i in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        pixels = np.rint(image * 255).astype("uint8")
        tf.io.write_file(path, tf.io.encode_png(pixels))
    return np.array(paths)


def load(path, y):
    """Reads a file: a path to an image (h, w, 1) in [0, 1]."""
    pixels = tf.io.decode_png(tf.io.read_file(path), channels=1)
    return tf.ensure_shape(tf.image.convert_image_dtype(pixels, tf.float32), SHAPE), y


def augment(images, y):
    """Moves each image by up to SHIFT pixels and scales its brightness, each at random."""
    edge = [SHIFT, SHIFT]
    padded = tf.pad(images, [[0, 0], edge, edge, [0, 0]])
    moved = tf.map_fn(lambda image: tf.image.random_crop(image, SHAPE), padded)
    return moved * tf.random.uniform([tf.shape(images)[0], 1, 1, 1], 0.7, 1.0), y


def make_model(q):
    """A small ConvNet with one sigmoid output per label."""
    return tf.keras.Sequential(
        [
            tf.keras.layers.Input(SHAPE),
            tf.keras.layers.Conv2D(16, 5, strides=2, padding="same", activation="relu"),
            tf.keras.layers.MaxPooling2D(),
            tf.keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            tf.keras.layers.MaxPooling2D(),
            tf.keras.layers.Flatten(),
            tf.keras.layers.Dense(128, activation="relu"),
            tf.keras.layers.Dense(q, activation="sigmoid"),
        ]
    )


def train_model(strategy, paths, y, epochs, seed):
    """Trains a new model; returns it and the share of minority samples in all draws."""
    tf.keras.utils.set_random_seed(seed)  # the same initial weights whatever the strategy
    train = tfml.adaptive_dataset((paths, y), strategy=strategy, batch_size=BATCH, seed=seed)
    train = train.map_samples(load).map(augment, num_parallel_calls=tf.data.AUTOTUNE)
    model = make_model(y.shape[1])
    # The learning rate falls to 0, so that the last epoch is no throw of the dice.
    decay = tf.keras.optimizers.schedules.CosineDecay(1e-3, epochs * math.ceil(len(y) / BATCH))
    model.compile(tf.keras.optimizers.Adam(decay), "binary_crossentropy")
    callback = tfml.AdaptiveBatchSelection(train)
    history = model.fit(train, epochs=epochs, shuffle=False, verbose=0, callbacks=[callback])
    return model, np.mean(history.history["rare"])


def measure(model, paths, y, minority):
    """Average precision and recall at 0.5 of the minority labels, average precision of all."""
    images = tf.data.Dataset.from_tensor_slices((paths, y)).map(load).batch(256)
    p = model.predict(images, verbose=0)
    recall = recall_score(y, p > 0.5, average=None, zero_division=0)
    precision = average_precision_score(y, p, average=None)
    return precision[minority].mean(), recall[minority].mean(), precision.mean()


def known_strategies():
    """Names of those that search no neighbours: paths have none, pixels of digits no good ones."""
    names = [name for name in tfml.strategies.names() if name != "uniform"]
    return [name for name in names if not tfml.strategies.get(name).uses_neighbors]


def main(arguments=None):
    """Writes the images, trains with both strategies and every seed, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strategy", choices=known_strategies(), default="positive_hardness")
    parser.add_argument("--seed", type=int, default=0, help="the first: images, weights, draws")
    parser.add_argument("--seeds", type=int, help="how many seeds; default 3, with --quick 1")
    parser.add_argument("--epochs", type=int, help="of each run; default 30, with --quick 12")
    parser.add_argument("--quick", action="store_true", help="few images: runs, but says nothing")
    options = parser.parse_args(arguments)
    sizes = (640, 640) if options.quick else (3000, 4000)
    epochs = options.epochs or (12 if options.quick else 30)
    seeds = range(options.seed, options.seed + (options.seeds or (1 if options.quick else 3)))

    results = {"uniform": [], options.strategy: []}
    for seed in seeds:
        (x, y), (x_test, y_test) = long_tailed_digits(*sizes, seed=seed)
        minority = tfml.label_statistics(y).minority
        with tempfile.TemporaryDirectory() as scratch:
            paths = write_images(x, Path(scratch, "train"))
            test_paths = write_images(x_test, Path(scratch, "test"))
            if seed == options.seed:
                print(f"{len(paths)} PNG files to train on, {len(test_paths)} to test on")
                print(f"minority labels: {np.flatnonzero(minority).tolist()}")
            for name, runs in results.items():
                model, share = train_model(name, paths, y, epochs, seed)
                runs.append((share, *measure(model, test_paths, y_test, minority)))
                print(f"seed {seed}  {name}: minority AP {runs[-1][1]:.3f}", flush=True)

    print(f"\nMeans over {len(seeds)} seed(s), on the test part but for the first column:\n")
    heads = ("minority drawn", "minority AP", "minority recall", "macro-AP")
    width = max(map(len, results))
    print(" " * width + "".join(f"  {head:>15}" for head in heads))
    for name, runs in results.items():
        print(f"{name:<{width}}" + "".join(f"  {mean:>15.3f}" for mean in np.mean(runs, axis=0)))
    gains = sum(run[1] > plain[1] for plain, run in zip(*results.values(), strict=True))
    print(f"\nminority AP is higher with {options.strategy} in {gains} of {len(seeds)} seeds")


if __name__ == "__main__":
    main()
