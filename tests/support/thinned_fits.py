"""Fits on thinned data in which the loss notes the rate that each sample has, by its number."""

import numpy as np
import tensorflow as tf

from tfmlselect import _training_step
from tfmlselect.distributed import replicas
from tfmlselect.losses import ThinnedLikelihood

PROTECTED = [4]  # of the labels of `numbered`: samples 16 to 31 have it


class SpyLoss(ThinnedLikelihood):
    """Notes the rates of each step; the labels are the binary digits of the sample's number."""

    def __init__(self, n, **options):
        super().__init__(**options)
        self.seen = replicas.zeros([n], tf.float32)
        self.again = replicas.zeros([n], tf.float32)  # the last but one, of samples drawn twice

    def per_sample(self, y_true, y_pred, weight=None):
        rates = _training_step.batch_rates()
        if _training_step.is_running():
            number = tf.reduce_sum(y_true * tf.constant([1.0, 2.0, 4.0, 8.0, 16.0]), axis=-1)
            ids = tf.cast(number, tf.int64)
            self.again.scatter_update(tf.IndexedSlices(tf.gather(self.seen, ids), ids))
            self.seen.scatter_update(tf.IndexedSlices(rates, ids))
        return super().per_sample(y_true, y_pred, weight)


class Seen(tf.keras.callbacks.Callback):
    """Keeps each epoch's plan, the rates (n,) that the strategy gave for it, and those seen."""

    def __init__(self, train, loss):
        super().__init__()
        self._train, self._loss = train, loss
        self.plans, self.rates, self.found = [], [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.plans.append(self._train.plan.copy())
        self.rates.append(self._train.strategy.rates())
        for each in (self._loss.seen, self._loss.again):
            each.assign(tf.zeros_like(each))

    def on_epoch_end(self, epoch, logs=None):
        self.found.append((self._loss.seen.numpy(), self._loss.again.numpy()))

    def check(self, epochs):
        """Each sample of each plan had its rate whenever it came, and no other sample had one."""
        assert len(self.plans) == epochs
        for plan, rates, (seen, again) in zip(self.plans, self.rates, self.found, strict=True):
            times = np.bincount(plan, minlength=len(rates))
            np.testing.assert_array_equal(seen, np.where(times > 0, rates, 0))
            np.testing.assert_array_equal(again, np.where(times > 1, rates, 0))


def model_of(loss, rate=0.5, dtype=None, **compiled):
    """A small model of 5 labels, made the same each time."""
    start = tf.keras.initializers.RandomUniform(-2, 2, seed=1)
    dense = tf.keras.layers.Dense(5, "sigmoid", kernel_initializer=start, dtype=dtype)
    model = tf.keras.Sequential([tf.keras.Input((1,)), dense])
    model.compile(tf.keras.optimizers.SGD(rate), loss, **compiled)
    return model
