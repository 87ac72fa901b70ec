"""Training progress as it is drawn: each label, both thirds, and what cannot be drawn."""

import numpy as np
import pytest

from tfmlselect import plots
from tfmlselect.callbacks import TrainingProgress

COUNTS = [9, 4, 7, 8, 5, 1]
RECALL = np.arange(12.0).reshape(2, 6) / 12
RECALL[1, 5] = np.nan


def after(epochs):
    progress = TrainingProgress(COUNTS)
    progress.history = {"recall": [*RECALL[:epochs]], "gradient": [*2 * RECALL[:epochs]]}
    return progress


def by_label(ax):
    return {line.get_label(): line for line in ax.lines}


def test_each_label_and_both_thirds():
    ax = plots.training_progress(after(2))
    lines = {label: line.get_ydata() for label, line in by_label(ax).items()}
    np.testing.assert_allclose(lines["rarest third"], [(1 + 5) / 24, 7 / 12])  # labels 1 and 5
    np.testing.assert_allclose(lines["most frequent third"], [3 / 24, 15 / 24])  # 0 and 3
    np.testing.assert_array_equal([line.get_ydata() for line in ax.lines[:6]], RECALL.T)
    assert [line.get_xdata().tolist() for line in ax.lines[:8]] == [[1, 2]] * 8
    assert ax.get_ylabel() == "training recall"
    assert ax.get_xlabel() == "epoch"
    assert ax.get_ylim()[0] == 0


def test_the_gradient_is_drawn_in_axes_that_are_given():
    ax = plots.training_progress(after(2)).figure.add_subplot()
    assert plots.training_progress(after(2), "gradient", ax=ax) is ax
    np.testing.assert_array_equal([line.get_ydata() for line in ax.lines[:6]], 2 * RECALL.T)
    assert ax.get_ylabel() == "mean norm of the feature gradient"


def test_thirds_are_told_apart_without_colours():
    lines = by_label(plots.training_progress(after(2)))
    rare, frequent = lines["rarest third"], lines["most frequent third"]
    assert rare.get_linestyle() != frequent.get_linestyle()
    assert rare.get_color() != frequent.get_color()


@pytest.mark.parametrize(("epochs", "marker"), [(1, "o"), (2, "")])
def test_one_epoch_is_drawn_as_points_since_it_makes_no_line(epochs, marker):
    lines = by_label(plots.training_progress(after(epochs)))
    assert lines["rarest third"].get_marker() == lines["_child0"].get_marker() == marker


def test_panels_that_share_their_scale_show_the_largest():
    figure = plots.training_progress(after(1)).figure
    left, right = figure.subplots(1, 2, sharey=True)
    plots.training_progress(after(1), "recall", ax=left)
    plots.training_progress(after(1), "gradient", ax=right)
    assert left.get_ylim() == right.get_ylim()
    assert left.get_ylim()[1] > 2 * np.nanmax(RECALL[:1])


def test_nothing_to_draw_yet():
    with pytest.raises(RuntimeError, match=r"nothing to plot.*Received.*Pass the callback to fit"):
        plots.training_progress(TrainingProgress(COUNTS))


@pytest.mark.parametrize("quantity", ["loss", "Recall", None, 3, ["recall"], 10**400], ids=str)
def test_an_unknown_quantity(quantity):
    match = r"^`quantity` must be one of 'recall', 'gradient'\. Received: quantity=.*\. Pass"
    with pytest.raises(ValueError, match=match):
        plots.training_progress(TrainingProgress(COUNTS), quantity)


@pytest.mark.parametrize(
    "progress", [None, "x", {"recall": [RECALL[0]]}, TrainingProgress], ids=str
)
def test_something_else(progress):
    match = r"^`progress` must be a TrainingProgress\. Received: progress=.*\. Pass progress ="
    with pytest.raises(ValueError, match=match):
        plots.training_progress(progress)
