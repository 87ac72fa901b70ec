"""Draws how far training has come with each label, and with the rarest and most frequent third.

`TrainingProgress` measures it; here it is only drawn.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from tfmlselect._checks import check_argument, check_choice
from tfmlselect.callbacks.base import mean_known
from tfmlselect.callbacks.training_progress import QUANTITIES, TrainingProgress, thirds
from tfmlselect.plots._arguments import check_axes
from tfmlselect.plots._drawing import BLUE, VERMILION, axes_or_new

_EACH: dict[str, Any] = {"color": "0.8", "linewidth": 0.8}


def training_progress(
    progress: TrainingProgress, quantity: str = "recall", *, ax: Axes | None = None
) -> Axes:
    """Recall or feature gradient over the epochs: each label thin, the means of both thirds thick.

    The thirds are those of the labels with positives in the training set: the rarest and the most
    frequent ones by `class_counts`. Where training is balanced the two thick lines lie together;
    rare labels far below the frequent ones in recall are left behind. A label without positives in
    an epoch has a gap there, and is left out of the mean.

    Args:
        progress: the `TrainingProgress` that was in `callbacks=` of a fit; also amid the fit.
        quantity: "recall", or "gradient": the mean norm of the loss gradient at the features.
        ax: where to draw; None: in a new figure.

    Returns:
        The axes.

    Raises:
        ValueError: no `TrainingProgress`, an unknown quantity, or `ax` that is no Axes.
        RuntimeError: no epoch is completed.

    Example:
        >>> import numpy as np, tensorflow as tf, tfmlselect as tfml
        >>> x = np.random.default_rng(0).normal(size=(48, 4)).astype("float32")
        >>> y = (x[:, :3] > [0.0, 0.5, 1.0]).astype("float32")
        >>> model = tf.keras.Sequential([tf.keras.layers.Dense(3, activation="sigmoid")])
        >>> model.compile("adam", "binary_crossentropy")
        >>> progress = tfml.callbacks.TrainingProgress(tfml.label_statistics(y).counts)
        >>> history = model.fit(x, y, verbose=0, epochs=2, callbacks=[progress])
        >>> ax = tfml.plots.training_progress(progress, "recall")
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['rarest third', 'most frequent third', 'each label']
    """
    check_axes(ax)
    check_argument(
        isinstance(progress, TrainingProgress),
        "progress",
        progress,
        "a TrainingProgress",
        "Pass progress = tfmlselect.callbacks.TrainingProgress(class_counts) after a fit with it",
    )
    check_choice("quantity", quantity, tuple(QUANTITIES))
    values = np.array(progress.history[quantity])
    if values.size == 0:
        raise RuntimeError(
            "There is nothing to plot yet. Received: progress of no completed epoch. Pass the "
            "callback to fit first."
        )
    ax = axes_or_new(ax, 6.0, 4.0)
    epochs = np.arange(1, len(values) + 1)
    marker = "o" if len(epochs) == 1 else ""  # one point makes no line
    ax.plot(epochs, values, zorder=1, marker=marker, **_EACH)
    rare, frequent = thirds(progress.class_counts)
    for name, third, color, line in (
        ("rarest third", rare, VERMILION, "-"),
        ("most frequent third", frequent, BLUE, "--"),
    ):
        means = [mean_known(row[third]) for row in values]
        ax.plot(
            epochs, means, color=color, linestyle=line, marker=marker, linewidth=2.0, label=name
        )
    ax.plot([], [], label="each label", **_EACH)
    ax.set(title="Progress of training", xlabel="epoch", ylabel=QUANTITIES[quantity])
    ax.set_ylim(bottom=0, auto=True)  # panels that share it may still grow
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.legend()
    return ax
