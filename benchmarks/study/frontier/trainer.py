"""A small network trained fast: an epoch is one call into TensorFlow, with no Keras step between.

What chooses the samples is the package itself: its strategies, its plans, its losses. A fit here
follows the steps that `model.fit` with `AdaptiveBatchSelection` takes, which a test compares.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from tfmlselect.recording.visits import visit_rounds

HIDDEN = (256, 256)  # of the MLP
FILTERS, ON_TOP = (32, 64), (128,)  # of the ConvNet: 3 x 3, each layer followed by pooling of 2 x 2
RISE = 0.3  # of the run, in which the learning rate rises
MOMENTUM = 0.9
_CHUNK = 65536

# Loss of a batch: labels (b, q), logits (b, q), what the batch needs to know (see `Batch`) -> ().
Loss = Callable[[tf.Tensor, tf.Tensor, "Batch"], tf.Tensor]


@dataclass(frozen=True)
class Batch:
    """What a loss may know of its batch beside labels and logits.

    Attributes:
        weights: (b,) of the samples.
        rates: (b,) at which each would be kept if it were empty, for `ThinnedLikelihood`.
        positive: (q,) what a positive of each label weighs.
    """

    weights: tf.Tensor
    rates: tf.Tensor
    positive: tf.Tensor


def cross_entropy(y: tf.Tensor, logits: tf.Tensor, batch: Batch) -> tf.Tensor:
    """Binary cross-entropy with the weights of samples and of positives."""
    entries = tf.nn.sigmoid_cross_entropy_with_logits(y, logits)
    entries *= y * batch.positive + (1.0 - y)
    return tf.reduce_mean(batch.weights * tf.reduce_mean(entries, axis=1))


class Network:
    """The network of one data set, an MLP or for images a ConvNet; `start` makes it a new one.

    Args:
        x: (n, d) float32 training features, or (n, height, width, channels) images.
        y: (n, q) training labels.
        optimizer: "adam" or "sgd", which has a momentum of 0.9.
        loss: of a batch.
        batch_size: samples a batch.
    """

    def __init__(self, x, y, optimizer: str, loss: Loss, batch_size: int):
        self._x, self._y = tf.constant(x), tf.constant(y, tf.float32)
        self._loss, self._adam, self._batch_size = loss, optimizer == "adam", batch_size
        self._kernels = kernels(x.shape[1:], y.shape[1])
        shapes = [shape for kernel in self._kernels for shape in (kernel, kernel[-1:])]
        make = [tf.Variable(tf.zeros(shape)) for shape in shapes * 3]
        self._weights, self._first, self._second = (
            make[start : start + len(shapes)] for start in range(0, len(make), len(shapes))
        )
        self._steps = tf.Variable(0.0)
        self._train = tf.function(self._train_ops, reduce_retracing=True)
        self._predict = tf.function(self._forward, reduce_retracing=True)

    def start(self, seed: int) -> None:
        """New weights: Glorot's uniform ones, and biases of 0."""
        rng = np.random.default_rng(seed)
        for variable in (*self._weights, *self._first, *self._second, self._steps):
            variable.assign(tf.zeros_like(variable))
        for shape, variable in zip(self._kernels, self._weights[::2], strict=True):
            limit = np.sqrt(6.0 / (math.prod(shape[:-2]) * (shape[-2] + shape[-1])))
            variable.assign(rng.uniform(-limit, limit, shape).astype("float32"))

    @property
    def weights(self) -> list[np.ndarray]:
        """Kernel and bias of each layer, in order, as Keras gives them."""
        return [variable.numpy() for variable in self._weights]

    @weights.setter
    def weights(self, values: Sequence[np.ndarray]) -> None:
        for variable, value in zip(self._weights, values, strict=True):
            variable.assign(value)

    def train(self, ids, rates, positive, weights=None, kept=None) -> np.ndarray:
        """One epoch.

        Args:
            ids: (m,) samples in the order of training, whole batches.
            rates: (steps,) learning rates.
            positive: (q,) weights of positives.
            weights: (m,) of the draws; None: 1.
            kept: (m,) rates of `ThinnedLikelihood`; None: 1.

        Returns:
            (m, q) what was predicted in the steps.
        """
        shape = (len(rates), self._batch_size)
        ones = np.ones(shape, "float32")
        p = self._train(
            tf.constant(np.asarray(ids, "int32").reshape(shape)),
            tf.constant(rates, tf.float32),
            tf.constant(positive, tf.float32),
            tf.constant(ones if weights is None else weights.reshape(shape), tf.float32),
            tf.constant(ones if kept is None else kept.reshape(shape), tf.float32),
        )
        return p.numpy().reshape(len(ids), -1)

    def logits(self, x: np.ndarray) -> np.ndarray:
        """(n, q) float32."""
        parts = [
            self._predict(tf.constant(x[start : start + 4096])).numpy()
            for start in range(0, len(x), 4096)
        ]
        return np.concatenate(parts)

    def _forward(self, x: tf.Tensor) -> tf.Tensor:
        for kernel, bias in zip(self._weights[:-2:2], self._weights[1:-2:2], strict=True):
            if len(kernel.shape) == 4:
                x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), bias))
                x = tf.nn.max_pool2d(x, 2, 2, "VALID")
            else:
                x = tf.reshape(x, (-1, kernel.shape[0]))
                x = tf.nn.relu(tf.nn.bias_add(x @ kernel, bias))
        return tf.nn.bias_add(x @ self._weights[-2], self._weights[-1])

    def _train_ops(self, ids, rates, positive, weights, kept):
        steps = tf.shape(ids)[0]
        log = tf.TensorArray(tf.float32, steps, element_shape=(self._batch_size, self._y.shape[1]))
        for step in tf.range(steps):
            y = tf.gather(self._y, ids[step])
            with tf.GradientTape() as tape:
                logits = self._forward(tf.gather(self._x, ids[step]))
                loss = self._loss(y, logits, Batch(weights[step], kept[step], positive))
            self._apply(tape.gradient(loss, self._weights), rates[step])
            log = log.write(step, tf.sigmoid(logits))
        return log.stack()

    def _apply(self, gradients, rate) -> None:
        """A step of Adam, or of momentum, as Keras takes it, by TensorFlow's own kernels."""
        self._steps.assign_add(1.0)
        for w, m, v, g in zip(self._weights, self._first, self._second, gradients, strict=True):
            if self._adam:
                tf.raw_ops.ResourceApplyAdam(
                    var=w.handle,
                    m=m.handle,
                    v=v.handle,
                    beta1_power=tf.pow(0.9, self._steps),
                    beta2_power=tf.pow(0.999, self._steps),
                    lr=rate,
                    beta1=0.9,
                    beta2=0.999,
                    epsilon=1e-7,
                    grad=g,
                )
            else:
                tf.raw_ops.ResourceApplyKerasMomentum(
                    var=w.handle, accum=m.handle, lr=rate, grad=g, momentum=MOMENTUM
                )


def kernels(sample: Sequence[int], q: int) -> list[tuple[int, ...]]:
    """Shapes of the kernels, for samples of a shape and so many labels."""
    if len(sample) == 1:
        return [*itertools.pairwise((*sample, *HIDDEN, q))]
    height, width, channels = sample
    convolutions = [(3, 3, *pair) for pair in itertools.pairwise((channels, *FILTERS))]
    shrunk = 2 ** len(FILTERS)
    flat = (height // shrunk) * (width // shrunk) * FILTERS[-1]
    return [*convolutions, *itertools.pairwise((flat, *ON_TOP, q))]


@dataclass
class Clock:
    """Seconds of a fit, by what took them."""

    steps: float = 0.0
    selection: float = 0.0
    _mark: float = field(default_factory=time.perf_counter)

    def stop(self, what: str) -> None:
        """Adds the time since the last stop."""
        now = time.perf_counter()
        setattr(self, what, getattr(self, what) + now - self._mark)
        self._mark = now

    def skip(self) -> None:
        """Leaves out the time since the last stop."""
        self._mark = time.perf_counter()


def one_cycle(peak: float, steps: int) -> np.ndarray:
    """(steps,) learning rates that rise over 30 % of a run and fall to 0."""
    done = (np.arange(steps) + 1.0) / steps
    return peak * np.minimum(done / RISE, (1.0 - done) / (1.0 - RISE) + 1e-6)


def observe(strategy, ids: np.ndarray, p: np.ndarray) -> None:
    """Tells a strategy of an epoch, as the callback does."""
    if strategy.uses_predictions:
        for rows in visit_rounds(ids, _CHUNK):
            strategy.observe(tf.constant(ids[rows]), tf.constant(p[rows]))
