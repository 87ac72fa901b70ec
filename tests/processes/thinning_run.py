"""One fit on thinned data in replicas: `thinning_run.py REPLICAS N BATCH RATE RESULT`."""

import sys

import numpy as np
import tensorflow as tf

import tfmlselect as tfml
from tests.support.recorded_fits import numbered, run
from tests.support.thinned_fits import PROTECTED, Seen, SpyLoss, model_of


def main(replicas, n, batch_size, rate, result):
    """Trains three epochs and writes what was planned, and which rates the loss saw."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration()] * replicas
    tf.config.set_logical_device_configuration(cpu, devices)
    strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(replicas)])
    with strategy.scope():
        loss = SpyLoss(n, labels=PROTECTED)
        model = model_of(loss, rate)
        selector = tfml.strategies.RareEvents(PROTECTED, empty_share=0.35, draw="predicted")
        train = tfml.adaptive_dataset(numbered(n), selector, batch_size, seed=0)
    seen = Seen(train, loss)
    history = run(model, train, epochs=3, callbacks=[seen]).history
    seen.check(epochs=3)
    rates, kernel = np.stack(seen.rates), model.get_weights()[0]
    np.savez(result, plans=seen.plans, rates=rates, kernel=kernel, loss=history["loss"])


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]), float(sys.argv[4]), sys.argv[5])
