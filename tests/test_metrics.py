"""Metrics against values computed by hand, scikit-learn, and a slow count of pairs."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

import tfmlselect as tfml
from tfmlselect.metrics import macro_auc, macro_average_precision, one_error, tuned_thresholds

Y = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]])
P = np.array([[0.8, 0.3, 0.1], [0.6, 0.7, 0.9], [0.4, 0.2, 0.3], [0.5, 0.1, 0.2]])


def random_case(n=60, q=5, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.random((n, q)) < [0.5, 0.3, 0.2, 0.1, 0.05]).astype(int), rng.random((n, q))


def test_macro_auc_by_hand():
    # label 0: pairs (.8>.6), (.8>.5), (.4<.6), (.4<.5): 2/4
    # label 1: .7 beats both, .2 beats one of .3, .1: 3/4; label 2 has no positives
    assert macro_auc(Y, P) == pytest.approx((2 / 4 + 3 / 4) / 2)


def test_macro_auc_counts_pairs():
    y, p = random_case()
    p = p.round(1)  # ties count half
    slow = []
    for j in range(y.shape[1]):
        up, down = p[y[:, j] == 1, j], p[y[:, j] == 0, j]
        wins = [(a > b) + 0.5 * (a == b) for a in up for b in down]
        slow.append(np.mean(wins))
    assert macro_auc(y, p) == pytest.approx(np.mean(slow))
    assert macro_auc(y, p) == pytest.approx(roc_auc_score(y, p))


def test_a_label_of_one_kind_takes_no_part():
    y, p = random_case()
    more = np.column_stack([y, np.zeros(len(y)), np.ones(len(y))]).astype(int)
    scores = np.column_stack([p, p[:, :2]])
    assert macro_auc(more, scores) == macro_auc(y, p)
    without_positives = more[:, :-1], scores[:, :-1]
    assert macro_average_precision(*without_positives) == macro_average_precision(y, p)
    assert np.isnan(macro_auc(np.zeros((4, 2)), P[:, :2]))
    assert np.isnan(macro_auc(np.ones((4, 2)), P[:, :2]))
    assert np.isnan(macro_average_precision(np.zeros((4, 2)), P[:, :2]))
    assert np.isnan(one_error(np.zeros((4, 2)), P[:, :2]))


def test_macro_average_precision_by_hand():
    # label 0, by score .8 (1), .6 (0), .5 (0), .4 (1): 1/2 * 1 + 1/2 * 2/4
    # label 1, by score .7 (1), .3 (0), .2 (1), .1 (0): 1/2 * 1 + 1/2 * 2/3
    assert macro_average_precision(Y, P) == pytest.approx((3 / 4 + 5 / 6) / 2)
    y, p = random_case()
    assert macro_average_precision(y, p) == pytest.approx(average_precision_score(y, p))


def test_one_error_by_hand():
    # first labels: 0 (right), 2 (wrong), 0 (right); the last sample has no labels
    assert one_error(Y, P) == pytest.approx(1 / 3)
    assert one_error([[1, 0], [0, 1]], [[0.5, 0.5], [0.5, 0.5]]) == 0.5  # the first of equals


def test_thresholds_by_hand():
    y = np.array([[1, 0], [1, 0], [0, 0], [1, 0], [0, 0]])
    p = np.array([[0.9, 0.1], [0.6, 0.2], [0.5, 0.3], [0.4, 0.4], [0.1, 0.9]])
    # label 0: F1 at .9 2/4, at .6 4/5, at .5 4/6, at .4 6/7, at .1 6/8
    assert tuned_thresholds(y, p).tolist() == [0.4, 0.5]
    # F1 of 2/3 at .9 and at .3: the larger
    y, p = np.array([[1], [0], [0], [1]]), np.array([[0.9], [0.5], [0.4], [0.3]])
    assert tuned_thresholds(y, p).tolist() == [0.9]


def test_no_threshold_is_better():
    y, p = random_case()
    found = tuned_thresholds(y, p)
    for j, threshold in enumerate(found):
        best = f1_score(y[:, j], p[:, j] >= threshold)
        assert best > 0
        for cut in np.unique(p[:, j]):
            assert f1_score(y[:, j], p[:, j] >= cut) <= best + 1e-12


@pytest.mark.parametrize("metric", [macro_auc, macro_average_precision, one_error])
def test_order_of_samples_and_of_labels_does_not_matter(metric):
    y, p = random_case()
    rng = np.random.default_rng(1)
    rows, columns = rng.permutation(len(y)), rng.permutation(y.shape[1])
    assert metric(y[rows], p[rows]) == pytest.approx(metric(y, p), abs=1e-12)
    assert metric(y[:, columns], p[:, columns]) == pytest.approx(metric(y, p), abs=1e-12)


@pytest.mark.parametrize("metric", [macro_auc, macro_average_precision, one_error])
def test_only_the_order_of_scores_matters(metric):
    y, p = random_case()
    assert metric(y, p**3) == pytest.approx(metric(y, p), abs=1e-12)


@pytest.mark.parametrize(
    "function", [macro_auc, macro_average_precision, one_error, tuned_thresholds]
)
@pytest.mark.parametrize(
    ("y", "p", "message"),
    [
        ([1, 0], [0.5, 0.2], r"shapes \(2,\) and \(2,\)"),
        (Y, P[:, :2], r"shapes \(4, 3\) and \(4, 2\)"),
        (np.zeros((0, 3)), np.zeros((0, 3)), r"shapes \(0, 3\)"),
        (P, Y, r"must be 0/1 labels\. Received: values .*right order"),
        (Y, np.where(P > 0.8, np.nan, P), "1 entries.*diverge"),
        (Y.astype(str), P, "`y` must be a matrix of numbers"),
        (Y, P.astype(str), "`y_pred` must be a matrix of numbers"),
        (Y, [[0.1], [0.2, 0.3]], r"`y_pred` must be a matrix of numbers.*Received: y_pred=\["),
    ],
)
def test_bad_input(function, y, p, message):
    with pytest.raises(ValueError, match=message):
        function(y, p)


def test_is_public():
    assert "metrics" in tfml.__all__
    assert tfml.metrics.macro_auc is macro_auc


def test_decisions_and_columns_of_several_types():
    y = np.array([[1, 0], [0, 1], [1, 1]])
    decided = np.array([[True, False], [False, False], [True, True]])
    expected = macro_auc(y, decided.astype(float))
    assert macro_auc(y, decided) == expected
    assert macro_auc(y.astype(object), decided.astype(object)) == expected


class TestUnknownLabels:
    """Unknown entries take no part."""

    def case(self, missing):
        y, p = random_case()
        known = np.random.default_rng(1).random(y.shape) < 0.7
        return np.where(known, y, missing), p, known

    @pytest.mark.parametrize("missing", [-1, float("nan")], ids=str)
    def test_labels_are_those_of_their_known_samples(self, missing):
        y, p, known = self.case(missing)
        columns = [(y[k, j], p[k, j]) for j, k in enumerate(known.T)]
        slow = [roc_auc_score(*column) for column in columns]
        assert macro_auc(y, p, missing) == pytest.approx(np.mean(slow))
        slow = [average_precision_score(*column) for column in columns]
        assert macro_average_precision(y, p, missing) == pytest.approx(np.mean(slow))
        for threshold, (truth, scores) in zip(
            tuned_thresholds(y, p, missing), columns, strict=True
        ):
            expected = tuned_thresholds(truth[:, None], scores[:, None])
            assert threshold == expected[0]

    def test_one_error_looks_at_known_labels(self):
        # the highest score is of an unknown label; then a right, and a wrong one
        y, p = [[-1, 1, 0], [-1, 0, 1], [-1, -1, 0]], [[0.9, 0.5, 0.1], [0.9, 0.5, 0.1]] * 1
        assert one_error(y, [*p, [0.9, 0.5, 0.1]], missing=-1) == 0.5

    @pytest.mark.parametrize(
        "metric", [macro_auc, macro_average_precision, one_error, tuned_thresholds]
    )
    def test_scores_of_unknown_entries_do_not_matter(self, metric):
        y, p, known = self.case(-1)
        expected = metric(y, p, -1)
        for wrong in (-5.0, 5.0, np.nan, np.inf):
            np.testing.assert_array_equal(metric(y, np.where(known, p, wrong), -1), expected)
        everything = np.full(y.shape, -1)
        nothing = metric(everything, p, -1)
        assert np.all(nothing == 0.5) if metric is tuned_thresholds else np.isnan(nothing)

    @pytest.mark.parametrize(
        ("value", "said"), [(-1, "pass missing=-1"), (np.nan, "pass missing=float"), (2, "order")]
    )
    def test_the_error_names_the_way_out(self, value, said):
        y = np.where(np.eye(3) == 1, value, 0.0)
        with pytest.raises(ValueError, match=rf"Received: values \[.*{said}"):
            macro_auc(y, np.ones((3, 3)))
