"""Moves the exponent of a `PositiveWeights` loss over the epochs of a fit.

What the exponent does is in `losses.positive_weights`.
"""

from __future__ import annotations

from tfmlselect._checks import check_whole
from tfmlselect.callbacks.base import StepListener, compiled_loss
from tfmlselect.losses import PositiveWeights
from tfmlselect.recording.outputs import check_output


class ExponentUpdate:
    """Moves the exponent of one loss in one fit.

    Args:
        loss: whose exponent is moved.
        leader: the callback that calls this.
    """

    def __init__(self, loss: PositiveWeights, leader: StepListener):
        self._loss = loss
        self._exponent = 0.0
        loss.lead(leader)

    def start_epoch(self, exponent: float) -> None:
        """Takes the exponent of the epoch that begins."""
        self._exponent = self._loss.set_exponent(exponent)
        self.validate(False)

    def finish_epoch(self) -> dict[str, float]:
        """What History shows of the epoch.

        Until the next one begins, evaluations by other callbacks are validation.
        """
        self.validate(True)
        return {"positive_weights/exponent": self._exponent}

    def validate(self, begins: bool) -> None:
        """A validation begins, or ends."""
        self._loss.validate(begins)

    def close(self) -> None:
        """The fit is over: nobody moves the exponent any more."""
        self._loss.lead(None)


class PositiveWeightsUpdate(StepListener):
    """Moves the exponent of a compiled `tfmlselect.losses.PositiveWeights` once per epoch.

    For a fit without `AdaptiveBatchSelection`, which does the same by itself; beside it, this
    callback does nothing to the loss that is led there. Before the first step of epoch k of a fit
    of E epochs the exponent becomes `loss.schedule(k, E)`. k is Keras' count: from 0, or from
    `fit(initial_epoch=...)`, with which a second fit goes on. Adds to the epoch's logs, and so to
    History, `positive_weights/exponent`: what the epoch was trained with.

    Args:
        output: name or index of the output that the loss is for, where several have one.
        epochs: E, where the run is longer than this fit; None: the `epochs` of `fit`.

    Raises:
        ValueError: an argument outside its range; at the start of training, where the model has no
            such loss, or several and no `output` is named.

    Example:
        >>> import numpy as np, tensorflow as tf, tfmlselect as tfml
        >>> x = np.random.default_rng(0).normal(size=(48, 4)).astype("float32")
        >>> y = (x[:, :2] > [0.0, 1.0]).astype("float32")
        >>> model = tf.keras.Sequential([tf.keras.layers.Dense(2, activation="sigmoid")])
        >>> odds = tfml.label_statistics(y).odds
        >>> falling = tfml.schedules.Ramp(0.25, 0.0)
        >>> model.compile("adam", tfml.losses.PositiveWeights(odds=odds, exponent=falling))
        >>> history = model.fit(
        ...     x, y, epochs=4, verbose=0, callbacks=[tfml.callbacks.PositiveWeightsUpdate()]
        ... )
        >>> history.history["positive_weights/exponent"]
        [0.25, 0.1875, 0.125, 0.0625]
    """

    def __init__(self, output: str | int | None = None, *, epochs: int | None = None):
        super().__init__()
        check_output(output)
        self._output = output
        self._epochs = None if epochs is None else check_whole("epochs", epochs, 1)
        self._update: ExponentUpdate | None = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Finds the loss."""
        self._running = True
        loss, _ = compiled_loss(self.model, PositiveWeights, self._output)
        if loss is None:
            raise ValueError(
                "This callback moves the exponent of a PositiveWeights loss, and the model has "
                "none, or several. Received: "
                f"model.loss={getattr(self.model, 'loss', None)!r}, output={self._output!r}. "
                "Compile the model with it; where several outputs have one, name the output."
            )
        self._loss = loss

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Sets the exponent, unless `AdaptiveBatchSelection` leads the loss."""
        # Not in `on_train_begin`: by now every callback of the fit has had its own.
        if self._update is None and not self._is_led_here():
            self._update = ExponentUpdate(self._loss, self)
        if self._update is not None:
            epochs = self._epochs or self.params["epochs"]
            self._update.start_epoch(self._loss.schedule(epoch, epochs))

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Shows the exponent."""
        if self._update is not None:
            self._show(logs, self._update.finish_epoch(), {})

    def _is_led_here(self) -> bool:
        """Whether `AdaptiveBatchSelection` leads the loss in this fit."""
        leader = self._loss.leader
        others = leader is None or isinstance(leader, PositiveWeightsUpdate)
        return not others and leader.model is self.model

    def _validates(self, begins: bool) -> None:
        if self._update is not None:
            self._update.validate(begins)

    def _fit_over(self) -> None:
        if self._update is not None:
            self._update.close()
        self._update = None
        super()._fit_over()
