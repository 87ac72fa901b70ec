"""What several tests look at while a fit runs."""

import tensorflow as tf


class Watch(tf.keras.callbacks.Callback):
    """Keeps the plan, the distribution and its mass of every epoch."""

    def __init__(self, train):
        super().__init__()
        self._train = train
        self.plans, self.distributions, self.masses = [], [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.plans.append(self._train.plan.copy())
        self.distributions.append(self._train.probabilities)
        self.masses.append(self._train.mass)
