"""Yeast for the examples, and the network that they train on it: no script.

2417 genes, 103 measurements each, 14 labels of very different frequency. The set lies in the wheel
of river, so nothing is downloaded.
"""

import numpy as np
import tensorflow as tf
from river.datasets import Yeast
from sklearn.model_selection import train_test_split


def read_yeast():
    """Returns x (2417, 103) as it is, y (2417, 14) of 0 and 1, and the label names."""
    samples = list(Yeast())
    x = np.array([list(features.values()) for features, _ in samples], "float32")
    y = np.array([list(labels.values()) for _, labels in samples], "float32")
    return x, y, list(samples[0][1])


def load_yeast(seed):
    """Returns (x, y) to train on, (x, y) to test on (30 %), scaled to [0, 1], and label names."""
    x, y, label_names = read_yeast()
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.3, random_state=seed)
    low = x_train.min(axis=0)  # scaling may look at the training part alone
    span = x_train.max(axis=0) - low
    return ((x_train - low) / span, y_train), ((x_test - low) / span, y_test), label_names


def make_model(q):
    """A plain multi-layer perceptron with one sigmoid output per label."""
    layers = [tf.keras.layers.Dense(128, activation="relu") for _ in range(2)]
    model = tf.keras.Sequential([*layers, tf.keras.layers.Dense(q, activation="sigmoid")])
    model.compile(tf.keras.optimizers.Adam(1e-3), "binary_crossentropy")
    return model
