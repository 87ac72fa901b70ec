"""Fits whose every prediction is known: models that do not learn, and a strategy that keeps all."""

import numpy as np
import tensorflow as tf

import tfmlselect as tfml

KERAS_3 = hasattr(tf.keras, "version")
KERNEL = np.array([[0.1, 0.3, 0.5, 0.7, 0.9]], np.float32)


class Spy(tfml.strategies.Strategy):
    """Keeps every visit in order, and draws each epoch from another distribution."""

    def build(self, y, features=None, neighbors=None):
        self.n = len(y)
        self.plans, self.asked = {}, []
        self.ids, self.rows, self.losses = [], [], []

    def observe(self, ids, y_pred, loss=None):
        def keep(ids, y_pred, loss):
            assert len(set(ids)) == len(ids), "a batch that is observed holds no sample twice"
            self.ids.extend(ids.tolist())
            self.rows.extend(y_pred.copy())
            self.losses.extend(loss.copy())
            selection = self._selection()
            ids = selection.plan.followed  # of the epoch that was just trained
            kept = self.plans.setdefault(selection.epoch, ids)
            assert np.array_equal(kept, ids), "an epoch has one plan"

        tf.numpy_function(keep, [ids, y_pred, np.float32([]) if loss is None else loss], [])

    def probabilities(self, epoch):
        self.asked.append(epoch)
        weights = np.roll(np.arange(1.0, self.n + 1), 3 * epoch)
        return tf.constant(weights / weights.sum())

    def planned(self, *epochs):
        """The ids of some epochs, in order."""
        return np.concatenate([self.plans[epoch] for epoch in epochs])


class Untrained(tf.keras.Model):
    """Predicts what `rule(x)` gives and learns nothing."""

    def __init__(self, rule):
        super().__init__()
        self.rule = rule

    def call(self, x):
        return self.rule(x)

    def train_step(self, data):
        x, y = data
        return {"loss": self.compute_loss(x, y, self(x))}


def numbered(n):
    """x (n, 1) in (0, 1), and as y (n, 5) the binary digits of the sample's number."""
    x = np.arange(1, n + 1, dtype=np.float32)[:, None] / (n + 1)
    return x, (np.arange(n)[:, None] >> np.arange(5) & 1).astype(np.float32)


def linear(rate=0.0, **options):
    """A model that predicts x * KERNEL, and learns at the given rate."""
    start = tf.keras.initializers.Constant(KERNEL)
    layers = [tf.keras.layers.Input([1]), tf.keras.layers.Dense(5, None, False, start)]
    model = tf.keras.Sequential(layers)
    model.compile(tf.keras.optimizers.SGD(rate), "mse", **options)
    return model


def run(model, train, epochs=3, callbacks=(), fit=None, **options):
    """A fit with our callback, all of whose figures are in History, and then others."""
    selection = tfml.AdaptiveBatchSelection(train, **{"verbose_logs": True, **options})
    fit = fit or {}
    return model.fit(train, epochs=epochs, verbose=0, callbacks=[selection, *callbacks], **fit)


def check_visits(spy, plan, expected, rtol=1e-6):
    """The contract: each visit of the plan is observed once, a sample's visits in their order."""
    planned, observed = (np.argsort(ids, kind="stable") for ids in (plan, spy.ids))
    np.testing.assert_array_equal(np.array(spy.ids)[observed], plan[planned])
    np.testing.assert_allclose(np.stack(spy.rows)[observed], expected[planned], rtol)


def check_rows(spy, x, epochs=(0, 1, 2), **tolerance):
    """The same for a model that does not learn."""
    plan = spy.planned(*epochs)
    check_visits(spy, plan, x[plan] * KERNEL, **tolerance)


class Breaks(tf.keras.callbacks.Callback):
    """Ends a fit in its second epoch, after the third batch."""

    def __init__(self, error):
        super().__init__()
        self.error, self.epoch = error, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == 1 and batch == 2:
            raise self.error("stop")


def is_clean(model):
    made = {f"make_{kind}_function" for kind in ("train", "test", "predict")}
    names = {"train_step", "compute_loss", "compute_metrics"} | made
    return not names & set(model.__dict__)


def adaptive(n=27, **options):
    return tfml.adaptive_dataset(numbered(n), Spy(), 4, seed=1, **options)
