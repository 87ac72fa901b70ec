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
# # A training step of your own, and a loop of your own
#
# Batch selection needs to see what a step predicts. In `model.fit` it does so through
# `compute_loss` or `compute_metrics`, which any step calls anyway: so a custom `train_step` needs
# nothing special. Without `fit`, a strategy can be driven by hand. Yeast lies in the wheel of
# river.

# %%
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # no start-up messages
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import tensorflow as tf
from river.datasets import Yeast
from sklearn.model_selection import train_test_split

import tfmlselect as tfml

samples = list(Yeast())
x = np.array([list(features.values()) for features, _ in samples], "float32")
y = np.array([list(labels.values()) for _, labels in samples], "float32")
x, x_test, y, y_test = train_test_split(x, y, test_size=0.3, random_state=0)
x.shape, y.shape


# %% [markdown]
# ## Sharpness-aware minimisation
#
# A step that goes forward twice: it first moves the weights a little uphill, takes the gradient
# there, and applies it where it was ([Foret et al., 2021](https://arxiv.org/abs/2010.01412)). The
# first call of `compute_loss` in a step is what is recorded: the predictions at the weights as
# they are. That is the one to want.


# %%
class SharpnessAware(tf.keras.Sequential):
    """A Sequential model, trained at the worst weights within `radius`."""

    radius = 0.05

    def train_step(self, data):
        """One step, by two gradients."""
        x, y, weight = tf.keras.utils.unpack_x_y_sample_weight(data)
        weights = self.trainable_variables
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=weight)
        uphill = tape.gradient(loss, weights)
        scale = self.radius / (tf.linalg.global_norm(uphill) + 1e-12)
        for w, g in zip(weights, uphill, strict=True):
            w.assign_add(scale * g)
        with tf.GradientTape() as tape:
            there = self.compute_loss(x=x, y=y, y_pred=self(x, training=True), sample_weight=weight)
        gradients = tape.gradient(there, weights)
        for w, g in zip(weights, uphill, strict=True):
            w.assign_sub(scale * g)
        self.optimizer.apply_gradients(zip(gradients, weights, strict=True))
        return {"loss": loss}


def layers():
    """A small network for Yeast."""
    return [
        tf.keras.Input((x.shape[1],)),
        tf.keras.layers.Dense(128, activation="relu"),
        tf.keras.layers.Dense(y.shape[1], activation="sigmoid"),
    ]


for name, kind in {"plain": tf.keras.Sequential, "sharpness-aware": SharpnessAware}.items():
    tf.keras.utils.set_random_seed(0)
    model = kind(layers())
    model.compile(tf.keras.optimizers.Adam(1e-3), "binary_crossentropy")
    train = tfml.adaptive_dataset((x, y), "hard_imbalance", batch_size=64, seed=0)
    history = model.fit(
        train, epochs=30, shuffle=False, verbose=0, callbacks=[tfml.AdaptiveBatchSelection(train)]
    )
    auc = tfml.metrics.macro_auc(y_test, model.predict(x_test, verbose=0))
    print(f"{name:>15}: macro-AUC {auc:.3f} on the test part")

# %% [markdown]
# A step that calls neither `compute_loss` nor `compute_metrics` gives an error with the way out
# within the first epoch: `AdaptiveBatchSelection(train, scores="predict")` predicts all samples
# after it.
#
# ## No `fit` at all
#
# A strategy works alone. Once an epoch ask it for probabilities and a plan (which samples, in
# which order); after each step tell it what was predicted. Warm-up is the loop's own business.

# %%
strategy = tfml.strategies.HardImbalance(epochs=30)
strategy.build(y, features=x)
tf.keras.utils.set_random_seed(0)
model = tf.keras.Sequential(layers())
optimizer = tf.keras.optimizers.Adam(1e-3)
loss_of = tf.keras.losses.BinaryCrossentropy()


@tf.function
def step(ids, x, y):
    """One step on a batch, and the strategy's look at it."""
    with tf.GradientTape() as tape:
        p = model(x, training=True)
        loss = loss_of(y, p)
    optimizer.apply_gradients(
        zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables, strict=True)
    )
    strategy.observe(ids, p)


n, batch = len(y), 64
for epoch in range(30):
    if epoch < strategy.warmup:
        ids = np.random.default_rng(epoch).permutation(n)
    else:
        probabilities = strategy.probabilities(epoch - 1)  # from what epoch - 1 recorded
        ids = strategy.plan(probabilities, batch_size=batch, seed=0, epoch=epoch)
    ids = np.asarray(ids)
    for begin in range(0, n, batch):
        rows = ids[begin : begin + batch]
        step(tf.constant(rows), tf.constant(x[rows]), tf.constant(y[rows]))

print(f"macro-AUC {tfml.metrics.macro_auc(y_test, model(x_test).numpy()):.3f} on the test part")
share = np.sort(strategy.probabilities(29).numpy())[::-1].cumsum()
print(f"a tenth of the samples has {share[n // 10]:.0%} of the probability")
