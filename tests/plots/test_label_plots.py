"""Label attention, batch composition, label correlations: what is drawn, in which order."""

import itertools

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import sparse

import tfmlselect as tfml
from tfmlselect import plots

KEY = "selection/label_attention"
# Counts 4, 2, 1, 0: IRLbl 1, 2, 4, none; MeanIR 7/3, so that label 2 is the minority label.
Y = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]])
NAMES = ["sea", "boat", "whale", "gull"]
ATTENTION = [np.array([1.0, 0.5, 4.0, np.nan]), np.array([1.0, 2.0, 0.0, np.nan])]


def texts(labels):
    return [label.get_text() for label in labels]


def drawn_ticks(figure, axis):
    """The boxes of an axis' tick labels as they are drawn."""
    figure.savefig("/dev/null", format="png")
    return [label.get_window_extent() for label in axis.get_ticklabels() if label.get_text()]


def many_labels(q, n=300):
    """Labels of falling frequency, in shuffled order; the last one is empty."""
    rng = np.random.default_rng(q)
    y = (rng.random((n, q)) < rng.permutation(np.geomspace(0.5, 0.01, q))).astype(np.uint8)
    y[np.arange(q - 1) % n, np.arange(q - 1)] = 1
    y[:, -1] = 0
    return y


# --- label_attention ----------------------------------------------------------------------------


def test_attention_is_ordered_by_irlbl_and_on_a_scale_of_factors():
    ax = plots.label_attention({KEY: ATTENTION}, Y, label_names=NAMES)
    image = ax.images[0]
    # By rarity: whale, boat, sea, gull. Factors 4 and 0, 1/2 and 2, 1 and 1; 0 is the scale's end.
    expected = [[2.0, -2.0], [-1.0, 1.0], [0.0, 0.0]]
    np.testing.assert_allclose(image.get_array()[:3], expected)
    assert np.ma.getmaskarray(image.get_array())[3].all()
    assert texts(ax.get_yticklabels()) == ["whale (4)", "boat (2)", "sea (1)", "gull (none)"]
    low, high = image.get_clim()
    assert low == -high
    assert image.get_extent() == [0.5, 2.5, 3.5, -0.5]  # epochs from 1, the rarest on top
    assert texts(image.colorbar.ax.get_yticklabels()) == ["1/4", "1/2", "1", "2", "4"]
    assert image.colorbar.extend == "min"
    assert "IRLbl" in ax.get_ylabel()
    assert ax.get_xlabel() == "epoch"


def test_more_drawn_and_less_drawn_have_different_colours():
    image = plots.label_attention({KEY: ATTENTION}, Y).images[0]
    more, same, less = (np.array(image.cmap(image.norm(value))[:3]) for value in (1, 0, -1))
    assert same.min() > 0.9  # white
    assert more[0] > more[2]  # orange
    assert less[2] > less[0]  # purple


def test_attention_of_a_small_spread_is_shown_as_small():
    image = plots.label_attention({KEY: [np.array([1.05, 0.95, 1.1, np.nan])]}, Y).images[0]
    assert image.get_clim() == (-1, 1)
    assert image.colorbar.extend == "neither"


@pytest.mark.parametrize("kind", [sparse.csr_matrix, tfml.label_statistics, np.array])
@pytest.mark.filterwarnings("ignore:Labels without positives")
def test_labels_in_all_their_forms(kind):
    ax = plots.label_attention({KEY: ATTENTION}, kind(Y))
    assert texts(ax.get_yticklabels()) == ["2 (4)", "1 (2)", "0 (1)", "3 (none)"]


@pytest.mark.filterwarnings("ignore:Labels without positives")
def test_names_of_the_statistics_are_used():
    statistics = tfml.label_statistics(Y, NAMES)
    ax = plots.label_attention({KEY: ATTENTION}, statistics)
    assert texts(ax.get_yticklabels())[0] == "whale (4)"


def drawn_with(y):
    """The names that each plot of labels y shows."""
    history = {KEY: [np.ones(3), np.ones(3)]}
    axes = [
        plots.label_attention(history, y),
        plots.batch_composition(np.arange(5), y),
        plots.label_correlations(y),
    ]
    if isinstance(y, tfml.AdaptiveDataset):
        axes.append(plots.batch_composition(y))
    return [
        sorted(text.split(" (")[0] for text in texts(ax.get_yticklabels()) if text) for ax in axes
    ]


def test_names_are_those_that_the_labels_have():
    table = pytest.importorskip("pandas").DataFrame(Y[:, :3], columns=NAMES[:3])
    train = tfml.adaptive_dataset((Y, table), "uniform", 2)
    for y in (table, train):
        assert all(names == sorted(NAMES[:3]) for names in drawn_with(y))
    assert tfml.label_statistics(table).label_names == tuple(NAMES[:3])
    assert tfml.potential(table).statistics.label_names == tuple(NAMES[:3])
    given = tfml.adaptive_dataset((Y, table), "uniform", 2, label_names=["x", "y", "z"])
    assert all(names == ["x", "y", "z"] for names in drawn_with(given))
    unnamed = tfml.adaptive_dataset((Y, Y[:, :3]), "uniform", 2)
    assert all(names == ["0", "1", "2"] for names in drawn_with(unnamed))


@pytest.mark.parametrize("q", [6, 14, 101, 983])
def test_no_names_touch_however_many_labels(q):
    y = many_labels(q)
    names = [f"a name that is much too long to show {j}" for j in range(q)]
    history = {KEY: np.ones((5, q))}
    pictures = [
        plots.label_attention(history, y, label_names=names),
        plots.batch_composition(np.arange(50), y, label_names=names),
        plots.label_correlations(y, label_names=names),
    ]
    for ax in pictures:
        boxes = drawn_ticks(ax.figure, ax.yaxis)
        assert min(q - 1, 40) <= len(boxes) <= 70
        bottoms = sorted((box.y0, box.y1) for box in boxes)
        assert all(below[1] <= above[0] for below, above in itertools.pairwise(bottoms))
        assert ("one in" in ax.get_ylabel()) == (len(boxes) < q - 1)
    boxes = sorted((box.x0, box.x1) for box in drawn_ticks(ax.figure, ax.xaxis))
    assert len(boxes) > min(q - 1, 30)
    assert all(left[1] <= right[0] for left, right in itertools.pairwise(boxes))


def test_long_names_keep_both_ends():
    ax = plots.label_correlations(Y, label_names=["a" * 30 + "1", "a" * 30 + "2", "b", "c"])
    assert texts(ax.get_yticklabels())[:2] == ["a" * 11 + "…" + "a" * 11 + end for end in "12"]


def test_attention_is_drawn_of_the_callback_that_keeps_it():
    train = tfml.adaptive_dataset((Y, Y), "label_balanced", batch_size=2, seed=0)
    selection = tfml.AdaptiveBatchSelection(train)
    selection.history = {KEY: ATTENTION}
    expected = plots.label_attention({KEY: ATTENTION}, Y).images[0].get_array()
    of_callback = plots.label_attention(selection, Y).images[0].get_array()
    np.testing.assert_array_equal(of_callback, expected)


@pytest.mark.parametrize(
    ("history", "error", "match"),
    [
        ({}, ValueError, rf"must have the key '{KEY}'\. Received: history=\{{\}}\. Pass"),
        (
            {"loss": [1.0]},
            ValueError,
            r"Received: history=\{'loss': \.\.\.\}\. Pass the .*callback .* verbose_logs=True",
        ),
        ({KEY: [np.ones(3)]}, ValueError, rf"4 numbers .* Received: .*'{KEY}' of shape \(1, 3\)\."),
        ({KEY: []}, ValueError, rf"4 numbers .* Received: .*'{KEY}' of shape \(0,\)\. Pass"),
        ({KEY: -np.ones((2, 4))}, ValueError, r"4 numbers >= 0 an epoch, .* Received: history="),
        ({KEY: [["1", "2", "3", "4"]]}, ValueError, r"4 numbers .* Received: history="),
        ({KEY: 3}, ValueError, r"4 numbers .* Received: history="),
        ([1.0], TypeError, r"Received: history=\[1\.0\]\. Pass history = model\.fit"),
    ],
    ids=str,
)
def test_no_attention(history, error, match):
    with pytest.raises(error, match=match):
        plots.label_attention(history, Y)


# --- batch_composition --------------------------------------------------------------------------


def by_label(ax):
    """The lines of the axes by their legend texts: (x, y) each."""
    return {line.get_label(): [a.tolist() for a in line.get_data()] for line in ax.get_lines()}


def test_composition_of_draws():
    # Draws 2, 2, 1, 4: whale twice, boat once, sea three times, of 4.
    ax = plots.batch_composition(np.array([2, 2, 1, 4]), Y, label_names=NAMES)
    lines = by_label(ax)
    assert lines["uniform draws"] == [[20.0, 40.0, 80.0], [0, 1, 2]]
    assert lines["minority labels"] == [[50.0], [0]]
    assert lines["other labels"] == [[25.0, 75.0], [1, 2]]
    assert texts(ax.get_yticklabels()) == ["whale", "boat", "sea"]  # gull has no positives
    assert ax.get_ylim() == (2.5, -0.5)
    stems = [path.vertices.tolist() for lines in ax.collections for path in lines.get_paths()]
    assert stems == [[[20, 0], [50, 0]], [[40, 1], [25, 1]], [[80, 2], [75, 2]]]
    assert texts(ax.get_legend().get_texts()) == list(lines)
    assert "(%)" in ax.get_xlabel()


def test_a_label_that_was_never_drawn_ends_at_the_left_edge():
    ax = plots.batch_composition(np.array([0, 1]), Y)
    lines = by_label(ax)
    assert lines["minority labels"] == [[], []]
    (edge,), (row,) = lines["never drawn (1)"]
    assert row == 0
    assert edge == ax.get_xlim()[0] < 20


def test_composition_of_probabilities_is_the_expectation():
    p = np.array([0.1, 0.2, 0.4, 0.0, 0.3])
    lines = by_label(plots.batch_composition(p, sparse.csr_matrix(Y)))
    np.testing.assert_allclose(lines["minority labels"][0], [40])
    np.testing.assert_allclose(lines["other labels"][0], [20, 70])


def test_composition_of_a_dataset_is_that_of_its_next_epoch():
    y = Y[:, :3]
    train = tfml.adaptive_dataset((y, y), "label_balanced", batch_size=2, seed=0)
    train._selection.probabilities = train.strategy.probabilities(0).numpy()  # as a fit would
    ax, expected = plots.batch_composition(train), plots.batch_composition(train.probabilities, y)
    assert by_label(ax) == by_label(expected)
    assert "expected" in ax.get_title()


def test_a_dataset_has_its_labels():
    train = tfml.adaptive_dataset((Y, Y[:, :3]), "uniform", batch_size=2, seed=0)
    with pytest.raises(ValueError, match=r"`y` must be None where .* Received: y=array.*\. Leave"):
        plots.batch_composition(train, Y)


@pytest.mark.parametrize(
    ("drawn", "y", "match"),
    [
        ([0, 1], None, r"`y` is needed .* Received: y=None\. Pass"),
        (
            [0, 5],
            Y,
            r"ids of the samples that `y` has\. "
            r"Received: drawn=\[0, 5\] of shape \(2,\) for labels of 5 samples\. Pass",
        ),
        ([-1], Y, r"ids of the samples that `y` has"),
        (np.zeros(0, int), Y, r"ids of the samples that `y` has"),
        ([[0, 1]], Y, r"ids of the samples that `y` has"),
        ([0.5, 0.5], Y, r"Received: drawn=.* of shape \(2,\) for labels of 5 samples\. Pass"),
        ("x", Y, r"AdaptiveDataset, sample ids or probabilities\. Received: drawn='x'"),
        (None, Y, r"AdaptiveDataset, sample ids or probabilities\. Received: drawn=None"),
        ([True, False, False, False, False], Y, r"ids or probabilities\. Received: drawn=\[True"),
        ([[0], [1, 2]], Y, r"ids or probabilities\. Received: drawn=\[\[0\], \[1, 2\]\]"),
        ([0.5, 0.5, 0.5, 0.0, 0.0], Y, r"sum to 1"),
        ([0, 1], np.zeros((5, 2), int), r"No label has positives\. Received"),
    ],
    ids=str,
)
def test_no_draws(drawn, y, match):
    with pytest.raises(ValueError, match=match):
        plots.batch_composition(drawn, y)


# --- label_correlations -------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Labels without positives")
@pytest.mark.parametrize("kind", [sparse.csr_matrix, tfml.label_statistics, np.array])
def test_cosines_by_frequency(kind):
    shuffled = Y[:, [2, 0, 3, 1]]
    names = [NAMES[j] for j in (2, 0, 3, 1)]
    ax = plots.label_correlations(kind(shuffled), label_names=names)
    # sea, boat, whale: 2 of sqrt(4 2), 1 of sqrt(4 1), 0; the diagonal and gull are left out.
    a, b = 2 / np.sqrt(8), 0.5
    shown = ax.images[0].get_array()
    np.testing.assert_allclose(
        shown.filled(np.nan),
        [[np.nan, a, b, np.nan], [a, np.nan, 0, np.nan], [b, 0, np.nan, np.nan], [np.nan] * 4],
    )
    assert texts(ax.get_yticklabels()) == texts(ax.get_xticklabels()) == NAMES
    assert ax.images[0].get_clim() == (0, a)
    assert ax.images[0].colorbar.ax.get_ylabel() == "cosine"


def test_cosines_are_those_of_the_package_before_rows_are_divided():
    from tfmlselect.scoring.correlations import cosine_correlation

    y = many_labels(9)[:, :-1]
    c = cosine_correlation(tfml.label_statistics(y).cooccurrence.astype(float)).numpy()
    order = np.argsort(-y.sum(axis=0), kind="stable")
    c = (c / np.diag(c)[:, None])[np.ix_(order, order)]
    shown = plots.label_correlations(y).images[0].get_array()
    np.testing.assert_allclose(shown.filled(1.0), c, rtol=1e-6)


@pytest.mark.parametrize("missing", [-1, np.nan])
def test_plots_leave_out_what_is_unknown(missing):
    y = np.array([[1, missing, 1], [1, 1, missing], [0, 1, 1], [1, missing, 0]])
    # Of rows where both are known: 1 of sqrt(1 2), 1 of sqrt(2 2), 1 of sqrt(1 1).
    cells = plots.label_correlations(y, missing=missing).images[0].get_array().filled(0)
    half = 1 / np.sqrt(2)
    np.testing.assert_allclose(cells, [[0, half, 0.5], [half, 0, 1], [0.5, 1, 0]])
    # Of draws 0, 0, 1, 2 all but one have label 0; label 1 is known of two, label 2 of three.
    ax = plots.batch_composition(np.array([0, 0, 1, 2]), y, missing=missing)
    drawn = {line.get_label(): line.get_xdata() for line in ax.get_lines()}
    np.testing.assert_allclose(np.sort(drawn["uniform draws"]), [200 / 3, 75, 100])
    both = np.concatenate([drawn["minority labels"], drawn["other labels"]])
    np.testing.assert_allclose(np.sort(both), [75, 100, 100])
    train = tfml.adaptive_dataset((np.eye(4), y), "uniform", 2, missing=missing)
    ax = plots.batch_composition(train)
    np.testing.assert_allclose(ax.get_lines()[0].get_xdata()[-1], 75)
    history = {"selection/label_attention": [np.ones(3)]}
    plots.label_attention(history, y, missing=missing)


def test_a_matrix_is_drawn_as_it_is():
    matrix = np.array([[1.0, -0.5], [0.25, 1.0]])
    ax = plots.label_correlations(matrix, label_names=["sea", "boat"])
    np.testing.assert_array_equal(ax.images[0].get_array().filled(0), [[0, -0.5], [0.25, 0]])
    assert ax.images[0].get_clim() == (-0.5, 0.5)
    assert texts(ax.get_yticklabels()) == ["sea", "boat"]
    assert ax.images[0].colorbar.ax.get_ylabel() == "correlation"


def test_neither_labels_nor_a_square_matrix():
    with pytest.raises(ValueError, match=r"square.* Received: y=.* of shape \(2, 3\)\. Pass"):
        plots.label_correlations(np.full((2, 3), 0.5))


def test_a_matrix_of_texts_is_no_matrix_of_correlations():
    with pytest.raises(ValueError, match=r"`y` must hold numbers.* Received: y with text"):
        plots.label_correlations(np.array([["a", "b"], ["c", "d"]]))


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: plots.label_attention({KEY: ATTENTION}, Y, label_names=NAMES[:3], ax=ax),
        lambda ax: plots.batch_composition([0], Y, label_names=NAMES[:3], ax=ax),
        lambda ax: plots.label_correlations(Y, label_names=NAMES[:3], ax=ax),
        lambda ax: plots.label_correlations(np.full((4, 4), 0.5), label_names=NAMES[:3], ax=ax),
    ],
    ids=["attention", "composition", "correlations", "matrix"],
)
def test_names_of_other_labels(draw):
    ax = Figure().subplots()
    with pytest.raises(ValueError, match=r"each of the 4 labels\. Received: .*\. Give"):
        draw(ax)
    assert not ax.has_data()
