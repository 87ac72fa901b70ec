"""Learning curves and the distribution; what all plots have in common."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
import tensorflow as tf
from matplotlib.figure import Figure

import tfmlselect as tfml
from tfmlselect import plots

RUNS = {
    "uniform": {"auc": [0.5, 0.6, 0.7, 0.65], "val_loss": [0.9, 0.8, 0.7, 0.7]},
    "d2ace": {"auc": [0.6, 0.75, 0.7], "val_loss": [0.95, 0.9, 0.9]},
}
Y = np.array([[1, 0], [1, 0], [1, 1], [1, 0]])
PLOTS = {
    "attention": lambda ax=None: plots.label_attention(
        {"selection/label_attention": [np.ones(2)]}, Y, ax=ax
    ),
    "distribution": lambda ax=None: plots.distribution([0.5, 0.25, 0.25], ax=ax),
    "curves": lambda ax=None: plots.learning_curves(RUNS, "auc", ax=ax),
    "correlations": lambda ax=None: plots.label_correlations(Y, ax=ax),
    "composition": lambda ax=None: plots.batch_composition([0, 2], Y, ax=ax),
    "progress": lambda ax=None: plots.training_progress(trained(), ax=ax),
}


def trained():
    """A TrainingProgress as a fit of two epochs leaves it."""
    progress = tfml.callbacks.TrainingProgress([4, 1])
    progress.history = {name: [np.ones(2), np.zeros(2)] for name in ("recall", "gradient")}
    return progress


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def line(ax, label):
    (found,) = [line for line in ax.get_lines() if line.get_label() == label]
    return found


# --- all plots ----------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", PLOTS.values(), ids=PLOTS)
def test_the_axes_that_are_given_are_drawn_in(draw):
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert draw(ax=right) is right
    assert right.has_data()
    assert not left.has_data()
    assert all((right.get_title(), right.get_xlabel(), right.get_ylabel()))


@pytest.mark.parametrize("draw", PLOTS.values(), ids=PLOTS)
def test_without_axes_a_figure_is_made_and_nothing_global_changes(draw, tmp_path):
    from matplotlib import pyplot

    settings, backend = dict(matplotlib.rcParams), matplotlib.get_backend()
    ax, other = draw(), draw()
    assert ax.figure is not other.figure
    assert ax in ax.figure.axes
    assert pyplot.get_fignums() == []
    assert dict(matplotlib.rcParams) == settings
    assert matplotlib.get_backend() == backend
    ax.figure.savefig(tmp_path / "picture.png")


@pytest.mark.parametrize("draw", PLOTS.values(), ids=PLOTS)
@pytest.mark.parametrize(
    "ax",
    [False, "x", 10**400, [], Figure, Figure(), Figure().subplots(1, 2)],
    ids=["flag", "text", "number", "list", "class", "figure", "several"],
)
def test_what_is_no_axes_cannot_be_drawn_in(draw, ax):
    with pytest.raises(ValueError, match=r"^`ax` must be matplotlib Axes\. Received: ax=.*\. Pass"):
        draw(ax=ax)


def test_every_plot_is_tested_so():
    assert len(PLOTS) == len(plots.__all__)


def test_the_package_works_without_matplotlib_and_says_what_plots_need():
    script = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "import importlib.util; find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *_: None if name == 'matplotlib' else find(name)\n"
        "import inspect, tfmlselect\n"
        "assert 'plots' not in dict(inspect.getmembers(tfmlselect))\n"
        "for _ in range(2):\n"
        "    try:\n        tfmlselect.plots\n"
        "    except ImportError as error:\n        print(error)\n"
        "try:\n    from tfmlselect import plots\n"
        "except ImportError as error:\n    print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    lines = run.stdout.splitlines()
    assert len(lines) == 3
    assert set(lines) == {
        "tfmlselect.plots needs matplotlib. Received: no module named 'matplotlib'. "
        "Install it: pip install matplotlib."
    }


def test_the_package_has_no_other_attributes():
    with pytest.raises(AttributeError, match="no attribute 'plot'"):
        tfml.plot  # noqa: B018


# --- learning_curves ----------------------------------------------------------------------------


def test_curves_without_a_target():
    ax = plots.learning_curves(RUNS, "auc")
    assert legend(ax) == ["uniform", "d2ace"]
    assert line(ax, "uniform").get_xdata().tolist() == [1, 2, 3, 4]
    assert line(ax, "uniform").get_ydata().tolist() == RUNS["uniform"]["auc"]
    assert line(ax, "d2ace").get_xdata().tolist() == [1, 2, 3]
    assert line(ax, "uniform").get_color() != line(ax, "d2ace").get_color()
    assert len(ax.get_lines()) == 2


def marks(ax):
    """Where large circles are."""
    circles = [line for line in ax.get_lines() if line.get_marker() == "o"]
    return [tuple(zip(*circle.get_data(), strict=True)) for circle in circles]


@pytest.mark.parametrize(
    ("metric", "target", "higher", "texts", "marked"),
    [
        ("auc", 0.6, None, ["uniform: epoch 2", "d2ace: epoch 1", "target 0.6"], [2, 1]),
        (
            "auc",
            "uniform",
            None,
            ["uniform: epoch 3", "d2ace: epoch 2", "target 0.7, best of uniform"],
            [3, 2],
        ),
        (
            "auc",
            "d2ace",
            None,
            ["uniform: not reached", "d2ace: epoch 2", "target 0.75, best of d2ace"],
            [None, 2],
        ),
        (
            "val_loss",
            "d2ace",
            None,
            ["uniform: epoch 1", "d2ace: epoch 2", "target 0.9, best of d2ace"],
            [1, 2],
        ),
        ("auc", 0.55, False, ["uniform: epoch 1", "d2ace: not reached", "target 0.55"], [1, None]),
        ("val_loss", 0.92, True, ["uniform: not reached", "d2ace: epoch 1", "target 0.92"], [0, 1]),
    ],
)
def test_epochs_to_target(metric, target, higher, texts, marked):
    ax = plots.learning_curves(RUNS, metric, target=target, higher_is_better=higher)
    assert legend(ax) == texts
    expected = [
        ((epoch, RUNS[run][metric][epoch - 1]),) if epoch else ()
        for run, epoch in zip(RUNS, marked, strict=True)
    ]
    assert marks(ax) == expected


def test_a_history_of_keras_is_taken():
    history = tf.keras.callbacks.History()
    history.history = {"auc": [0.1, 0.2]}
    ax = plots.learning_curves({"run": history}, "auc")
    assert line(ax, "run").get_ydata().tolist() == [0.1, 0.2]


def test_many_runs_can_be_told_apart():
    runs = {f"run {number}": {"auc": [0.1 * number, 0.5]} for number in range(20)}
    ax = plots.learning_curves(runs, "auc")
    assert len({(line.get_color(), line.get_linestyle()) for line in ax.get_lines()}) == 20


def test_epochs_without_a_value_are_gaps():
    ax = plots.learning_curves({"run": {"auc": [np.nan, 0.4, np.nan, 0.6]}}, "auc", target="run")
    assert legend(ax)[0] == "run: epoch 4"


@pytest.mark.parametrize(
    ("histories", "metric", "target", "error", "match"),
    [
        ({}, "auc", None, ValueError, r"runs by name\. Received: histories=\{\}\. Pass"),
        (
            [RUNS["d2ace"]],
            "auc",
            None,
            ValueError,
            r"runs by name\. Received: histories=\[.*\. Pass",
        ),
        (3, None, object(), ValueError, r"runs by name\. Received: histories=3\. Pass"),
        (
            RUNS["d2ace"],
            "auc",
            None,
            TypeError,
            r"Received: histories\['auc'\]=\[0\.6, .*\]\. Pass history = model\.fit",
        ),
        (
            RUNS,
            "f1",
            None,
            ValueError,
            r"key of each history\. Received: metric='f1', where histories\['uniform'\]="
            r"\{'auc': \.\.\., 'val_loss': \.\.\.\}\. Name",
        ),
        (RUNS, 3, None, ValueError, r"key of each history\. Received: metric=3, where"),
        (
            RUNS,
            ["auc"],
            None,
            ValueError,
            r"key of each history\. Received: metric=\['auc'\], where",
        ),
        (RUNS, "auc", "best", ValueError, r"Received: target='best'\. Name one of 'uniform', 'd2"),
        (RUNS, "auc", True, ValueError, r"`target` must be .* Received: target=True\. Name one of"),
        (
            RUNS,
            "auc",
            np.nan,
            ValueError,
            r"`target` must be .* Received: target=nan\. Name one of",
        ),
        (
            {"a": {"m": [np.ones(2)]}},
            "m",
            None,
            ValueError,
            r"one number an epoch\. Received: metric='m', where histories\['a'\]\['m'\]=\[array",
        ),
        (
            {"a": {"m": []}},
            "m",
            None,
            ValueError,
            r"number an epoch\. Received: metric='m', where histories\['a'\]\['m'\]=\[\]\. Name",
        ),
        (
            {"a": {"m": ["0.5"]}},
            "m",
            None,
            ValueError,
            r"one number an epoch\. Received: metric='m'",
        ),
        (
            {"a": {"m": [10**400]}},
            "m",
            None,
            ValueError,
            r"one number an epoch\. Received: metric=",
        ),
        ({"a": {"m": 0.5}}, "m", None, ValueError, r"one number an epoch\. Received: metric='m'"),
    ],
    ids=[
        "none",
        "list",
        "number",
        "one history",
        "unknown metric",
        "metric that is a number",
        "metric that is a list",
        "unknown target",
        "target that is a flag",
        "target that is NaN",
        "arrays",
        "empty",
        "texts",
        "too large",
        "no list",
    ],
)
def test_no_curves(histories, metric, target, error, match):
    with pytest.raises(error, match=match):
        plots.learning_curves(histories, metric, target=target)


def test_a_direction_is_none_or_a_truth_value():
    with pytest.raises(
        ValueError, match=r"`higher_is_better` .* Received: higher_is_better='no'\."
    ):
        plots.learning_curves(RUNS, "auc", higher_is_better="no")


# --- distribution -------------------------------------------------------------------------------


def test_a_distribution_in_descending_order_against_uniform():
    ax = plots.distribution(np.array([0.1, 0.2, 0.4, 0.3]))
    curve = ax.get_lines()[0]
    np.testing.assert_allclose(curve.get_ydata(), [1.6, 1.2, 0.8, 0.4])
    np.testing.assert_allclose(curve.get_xdata(), [0.125, 0.375, 0.625, 0.875])
    # 1 / (.01 + .04 + .16 + .09) = 3.33
    assert legend(ax) == ["4 samples, effective 3 (83%)", "uniform", "quantiles"]
    assert ax.get_yscale() == "log"
    assert line(ax, "uniform").get_ydata() == [1, 1]


def test_quantiles_are_marked_and_written():
    p = np.arange(200, 0, -1.0)
    ax = plots.distribution(p / p.sum())
    x, y = line(ax, "quantiles").get_data()
    np.testing.assert_allclose(x, [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99])
    # The samples at 2, 20, 50, ... in descending order have weights 198, 180, 150, ... of 20100.
    np.testing.assert_allclose(y, np.array([198, 180, 150, 100, 50, 20, 2]) * 200 / 20100)
    assert [text.get_text() for text in ax.texts] == [f"{value:.2f}" for value in y]


def test_samples_that_are_never_drawn_are_counted():
    ax = plots.distribution([0.5, 0.0, 0.5, 0.0])
    np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), [2, 2])
    assert legend(ax)[0] == "4 samples, effective 2 (50%), 2 never drawn"
    assert line(ax, "quantiles").get_xdata().max() < 0.5


def test_a_uniform_distribution_is_a_flat_line_in_the_middle():
    ax = plots.distribution(np.full(7, 1 / 7))
    low, high = ax.get_ylim()
    assert low <= 0.5 < 2 <= high
    assert legend(ax)[0] == "7 samples, effective 7 (100%)"


def test_a_million_samples_are_a_small_line_with_both_ends():
    p = np.random.default_rng(0).random(1_000_000)
    p /= p.sum()
    drawn = plots.distribution(p).get_lines()[0].get_ydata()
    assert len(drawn) <= 2000
    assert drawn[0] == p.max() * len(p)
    assert drawn[-1] == p.min() * len(p)


def test_a_dataset_is_named():
    train = tfml.adaptive_dataset((Y, Y), "label_balanced", batch_size=2, seed=0)
    ax = plots.distribution(train)
    assert ax.get_title() == "Distribution over samples, LabelBalanced after 0 epochs"
    np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), 1)


@pytest.mark.parametrize("p", [[0.5, 0.6], [1.5, -0.5], [], [[0.5, 0.5]], [np.nan, 1.0]], ids=str)
def test_no_distribution(p):
    with pytest.raises(ValueError, match=r"Received: .*\. \w+"):
        plots.distribution(p)


@pytest.mark.parametrize(
    "train",
    [
        "x",
        None,
        1.0,
        pytest.param(object(), id="an object"),
        ["1.0"],
        [True, False],
        [[0.5], [0.25, 0.25]],
        [10**400],
        {"p": 1.0},
    ],
    ids=str,
)
def test_neither_a_dataset_nor_numbers(train):
    with pytest.raises(
        ValueError, match=r"^`train` must be an AdaptiveDataset.* Received: train=.*\."
    ):
        plots.distribution(train)
