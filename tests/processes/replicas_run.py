"""One fit in replicas: `replicas_run.py REPLICAS N BATCH RATE RESULT`, run by test_replicas."""

import sys
import warnings

import numpy as np
import tensorflow as tf

import tfmlselect as tfml
from tests.support.watching import Watch


def main(replicas, n, batch_size, rate, result):
    """Trains three epochs and writes what was planned, recorded and predicted."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration()] * replicas
    tf.config.set_logical_device_configuration(cpu, devices)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 5)).astype("float32")
    y = (x[:, :3] > [0, 0.7, 1.2]).astype("float32")
    counts = y.sum(axis=0)
    strategy = tf.distribute.get_strategy()
    if replicas > 1:
        strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(replicas)])
    with strategy.scope():
        start = tf.keras.initializers.RandomUniform(-1, 1, seed=1)
        dense = tf.keras.layers.Dense(3, "sigmoid", kernel_initializer=start)
        model = tf.keras.Sequential([tf.keras.Input((5,)), dense])
        loss = tfml.losses.PartialLabelMasking(odds=tfml.label_statistics(y).odds, mask="expected")
        model.compile(tf.keras.optimizers.SGD(rate), loss)
        selector = tfml.strategies.D2ACE(neighbors=2, warmup=1)
        train = tfml.adaptive_dataset((x, y), strategy=selector, batch_size=batch_size, seed=0)
    watch = Watch(train)
    progress = tfml.callbacks.TrainingProgress(counts)
    callbacks = [tfml.AdaptiveBatchSelection(train, verbose_logs=True), progress, watch]
    warnings.filterwarnings("error", "This fit validates")
    fit = {"verbose": 0, "validation_data": (x, y)}
    history = model.fit(train, epochs=3, callbacks=callbacks, **fit).history
    with strategy.scope():
        plain = tf.keras.models.clone_model(model)
        plain.set_weights(model.get_weights())
        plain.compile(tf.keras.optimizers.SGD(0.0), "binary_crossentropy")
    uniform = tfml.adaptive_dataset((x, y), "uniform", batch_size=batch_size, seed=0)
    callbacks = [tfml.AdaptiveBatchSelection(uniform, verbose_logs=True)]
    of_uniform = plain.fit(uniform, epochs=2, callbacks=callbacks, **fit).history
    with strategy.scope():
        odds, falling = tfml.label_statistics(y).odds, tfml.schedules.Ramp(0.5, 0.0)
        weights = tfml.losses.PositiveWeights(odds=odds, exponent=falling, odds_of="draws")
        weighted = tf.keras.models.clone_model(model)
        weighted.set_weights(model.get_weights())
        weighted.compile(tf.keras.optimizers.SGD(rate), weights)
        balanced = tfml.adaptive_dataset(
            (x, y),
            "adaptive_balance",
            batch_size=batch_size,
            seed=0,
            samples_per_epoch=2 * batch_size,
            importance_weights=tfml.schedules.Ramp(0.0, 1.0),
        )
    short = Watch(balanced)
    callbacks = [tfml.AdaptiveBatchSelection(balanced), short]
    weighted.fit(balanced, epochs=4, callbacks=callbacks, **fit)
    state = {f"state_{name}": each.numpy() for name, each in selector.state.items()}
    np.savez(
        result,
        plans=watch.plans,
        distributions=[*watch.distributions, train.probabilities],
        variance_ratio=history["selection/variance_ratio"],
        uniform_variance_ratio=of_uniform["selection/variance_ratio"],
        recall=progress.history["recall"],
        ideal=loss.ideal.numpy(),
        kernel=model.get_weights()[0],
        short_plans=short.plans,
        short_distributions=short.distributions,
        weighted_kernel=weighted.get_weights()[0],
        weighted_odds=weights.odds.numpy(),
        weighted_exponent=weights.exponent.numpy(),
        weighted_losses=[weighted.history.history[key][1] for key in ("loss", "val_loss")],
        **state,
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]), float(sys.argv[4]), sys.argv[5])
