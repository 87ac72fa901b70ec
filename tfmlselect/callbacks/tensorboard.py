"""Writes summaries of the selection for TensorBoard, once per epoch.

Into a directory of its own: Keras' TensorBoard callback writes the runs `train` and `validation`,
this the run `selection`.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfmlselect._checks import check_path
from tfmlselect._warn import warn
from tfmlselect.callbacks.companions import Companion, Epoch
from tfmlselect.callbacks.directory_checks import check_directory, require_directory
from tfmlselect.distributed import workers
from tfmlselect.labels import check_label_names
from tfmlselect.pipeline.epoch_statistics import attention
from tfmlselect.pipeline.selection import Selection
from tfmlselect.recording.label_errors import LabelErrors

SHOWN_EACH = 10  # labels: the rarest, and of each epoch the most and the least favoured
SHOWN_AT_MOST = 100  # labels; more lines than these nobody reads
# An epoch's arrays (q,), and the groups of lines that they become.
_LINES = {
    "selection/label_attention": "label_attention",
    "label_loss": "label_loss",
    "label_hardness": "label_hardness",
    "plm/ideal_ratios": "label_ideal_ratio",
    "plm/odds": "label_odds",
}
_EXPECTED_DRAWS = "selection/expected_draws"  # written last: an epoch that has it is whole


class SelectionSummaries(Companion):
    """Writes each epoch's figures as summaries; step = epochs completed.

    Args:
        log_dir: the directory that TensorBoard is pointed at.
        names: of the q labels.
        selection: of the dataset.

    Attributes:
        errors: how far the epoch's predictions are off, filled by the companion that records.
        restored: whether `restore` was called before the fit, also where it found no backup.

    Raises:
        ValueError: no directory, or none that can be written into.
        ImportError: TensorBoard is not installed.
    """

    def __init__(self, log_dir: Any, names: Sequence[str], selection: Selection):
        log_dir = check_path("log_dir", log_dir)
        if importlib.util.find_spec("tensorboard") is None:
            raise ImportError(
                "TensorFlow writes summaries with TensorBoard's help. Received: "
                f"log_dir={log_dir!r}, and no module named 'tensorboard'. Install it: "
                "pip install tensorboard."
            )
        self._log_dir = log_dir
        self._directory = os.path.join(log_dir, "selection")
        if "://" not in log_dir:  # else it is TensorFlow's to know
            check_directory("log_dir", self._directory, writes=True)
        self._names = names
        self._selection = selection
        self.errors: LabelErrors
        self.restored = False
        self._shown: set[int] = set()
        self._written: set[int] = set()  # steps, by a process that was killed since
        self._chief = False
        self._writer: Any = None

    def start(self) -> None:
        """A fit begins; of several machines the first writes.

        Raises:
            ValueError: the directory cannot be made.

        Warns:
            UserWarning: a run at its start, and a directory that holds events of another.
        """
        restored, self.restored = self.restored, False
        self._chief, self._written = workers.own_number() == 0, set()
        if self._chief:
            self._make_directory()
        steps, tags = read_events(self._directory) if self._chief else (set(), set())
        going_on = self._selection.epoch > 0
        if restored and (going_on or steps <= {1}):  # killed before its first backup was whole
            self._written = steps
        elif steps and not going_on:
            warn(
                "TensorBoard will draw two runs as one. Received: "
                f"log_dir={self._log_dir!r}, which holds the selection of "
                "another run, and a fit that starts at epoch 0. Pass a new directory for each run.",
            )
        self._shown = {j for j, name in enumerate(self._names) if f"label_attention/{name}" in tags}

    def _make_directory(self) -> None:
        problem = ""
        try:
            tf.io.gfile.makedirs(self._directory)
        except tf.errors.OpError as error:
            problem = error.message
        require_directory("log_dir", self._log_dir, problem)

    def finish_epoch(self, epoch: Epoch) -> None:
        """Writes the epoch that was just completed, and flushes it to the file.

        Warns:
            UserWarning: it cannot be written; nothing more is in this fit.
        """
        arrays = {**epoch.arrays, **self.errors.finish()}
        progress = {
            key: value for key, value in (epoch.logs or {}).items() if key.startswith("progress/")
        }
        selection = self._selection
        expected_draws = selection.plan.n * epoch.distribution.probabilities
        self._choose(expected_draws)
        if not self._chief or selection.epoch in self._written:
            return
        numbers = {**self._lines(arrays), **epoch.numbers, **epoch.in_force, **progress}
        try:
            self._write(numbers, expected_draws)
        except tf.errors.OpError as error:
            self._writer, self._chief = None, False
            warn(
                "Summaries for TensorBoard could not be written, and the fit goes on without. "
                f"Received: {error.message} Make room in log_dir={self._log_dir!r}.",
            )

    def _write(self, numbers: dict[str, float], expected_draws: np.ndarray) -> None:
        if self._writer is None:  # without a flush in between, an epoch comes whole or not at all
            self._writer = tf.summary.create_file_writer(self._directory, max_queue=1 << 20)
        # Keras' callback may have said that only every so many steps are recorded.
        with self._writer.as_default(step=self._selection.epoch), tf.summary.record_if(True):
            for tag, value in numbers.items():
                if not np.isnan(value):
                    tf.summary.scalar(tag, value)
            tf.summary.histogram(_EXPECTED_DRAWS, expected_draws)
        self._writer.flush()

    def _choose(self, expected_draws: np.ndarray) -> None:
        """Adds labels that get lines; none is taken out again, or its line would have gaps."""
        selection = self._selection
        of_labels = selection.source.labels.sums(expected_draws)
        n, *draws = workers.total(np.append(expected_draws.size, of_labels)).numpy()
        favour = attention(np.array(draws), n, selection.statistics.counts, n)
        for j in labels_to_show(selection.statistics.counts, favour, SHOWN_EACH):
            if len(self._shown) < SHOWN_AT_MOST:
                self._shown.add(j)

    def _lines(self, arrays: dict[str, np.ndarray]) -> dict[str, float]:
        return {
            f"{group}/{self._names[j]}": float(arrays[key][j])
            for key, group in _LINES.items()
            if key in arrays
            for j in sorted(self._shown)
        }

    def close(self) -> None:
        """The fit is over."""
        if self._writer is not None:
            self._writer.close()
        self._writer = None


def checked_names(label_names: Sequence[str] | None, q: int) -> tuple[str, ...]:
    """Names of q labels; their numbers where none are given.

    Raises:
        ValueError: not q of them, or two alike.
    """
    return check_label_names(label_names, q) or tuple(map(str, range(q)))


def labels_to_show(counts: np.ndarray, favour: np.ndarray, k: int) -> list[int]:
    """Which labels are worth a line, of an epoch.

    Args:
        counts: (q,) positives of each label.
        favour: (q,) attention that the distribution leads one to expect, without the chance of the
            draws, which moves rare labels most; NaN for labels without positives.
        k: how many of each kind.

    Returns:
        All labels where there are no more than 3 k; else the k rarest that have positives, up to k
        that are favoured most and up to k least. Among equals, frequent labels come first in the
        last two. Some may be named twice.

    Example:
        >>> labels_to_show(np.array([9, 8, 7, 1]), np.array([0.9, 1.0, 1.1, 1.2]), k=1)
        [3, 3, 0]
    """
    if len(counts) <= 3 * k:
        return list(range(len(counts)))
    rounding = 1e-9  # of sums over a uniform distribution

    def first(among: np.ndarray, *keys: np.ndarray) -> list[int]:
        ids = np.flatnonzero(among)
        order = np.lexsort([key[ids] for key in reversed(keys)])
        return ids[order][:k].tolist()

    rarest = first(counts > 0, counts)
    most = first(favour > 1 + rounding, -favour, -counts)
    least = first(favour < 1 - rounding, favour, -counts)
    return [*rarest, *most, *least]


def read_events(directory: str) -> tuple[set[int], set[str]]:
    """The steps that the event files of a directory hold wholly, and all their tags."""
    steps, tags = set(), set()
    for file in tf.io.gfile.glob(os.path.join(directory, "*tfevents*")):
        try:
            for record in tf.data.TFRecordDataset(file):
                event = tf.compat.v1.Event.FromString(record.numpy())
                for value in event.summary.value:
                    tags.add(value.tag)
                    if value.tag == _EXPECTED_DRAWS:
                        steps.add(event.step)
        except tf.errors.DataLossError:
            continue  # the process was killed while it wrote
    return steps, tags
