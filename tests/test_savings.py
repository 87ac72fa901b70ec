import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

import tfmlselect as tfml

STRATEGIES = {"uniform", "adaptive_balance"}


def rare(n=1000):
    """Two labels, 45 samples in a thousand have one of them or both."""
    y = np.zeros((n, 2), int)
    y[:40, 0] = y[30:45, 1] = 1
    return y


def imbalanced():
    """Counts 64, 16, 4, 1; every sample has a label."""
    y = np.zeros((64, 4), int)
    for label, count in enumerate([64, 16, 4, 1]):
        y[:count, label] = 1
    return y


def even():
    """Each of four labels alone in a quarter of the samples."""
    return np.repeat(np.eye(4, dtype=int), 5, axis=0)


def test_balanced_labels():
    found = tfml.potential(even())
    assert (found.low, found.high, found.strategy) == (1.0, 1.0, "uniform")
    assert str(found) == (
        "Little: about as many steps as with uniform batches.\n"
        "The labels are about equally frequent. Every sample carries a label.\n"
        "Uniform batches will do."
    )


def test_a_little_imbalance():
    found = tfml.potential([[1, 0, 0], [1, 1, 0], [1, 0, 1], [1, 1, 0], [0, 0, 0]])
    # f = .8, .4, .2. The squared errors .24, .44, .84, .44, .84 have the sum 2.8, their roots that
    # of 3.6494: R = 5 · 2.8 / 13.318 = 1.0512. Mean ln IRLbl is ln 2: 2^0.19 · R^0.4 = 1.1637.
    assert found.statistics.potential == pytest.approx(1.1637, abs=1e-4)
    assert (found.low, found.high) == pytest.approx((1.1637**0.7, 1.1637**1.3), abs=1e-3)
    assert found.strategy == "uniform"
    assert str(found).splitlines() == [
        "Little: about 1.1 to 1.2 times fewer steps than with uniform batches.",
        "A typical label is 2.0 times rarer than the most frequent one. "
        "20.0 % of the samples carry no label.",
        "Uniform batches will do.",
    ]


def test_imbalanced_labels():
    found = tfml.potential(imbalanced())
    # IRLbl 1, 4, 16, 64: their geometric mean is 8.
    expected = 8**0.19 * found.statistics.variance_ratio**0.4
    assert found.statistics.potential == pytest.approx(expected)
    assert found.strategy == "adaptive_balance"
    assert str(found).splitlines() == [
        "Some: about 1.5 to 2.1 times fewer steps than with uniform batches.",
        "A typical label is 8.0 times rarer than the most frequent one. "
        "Every sample carries a label.",
        "Balance the labels: tfmlselect.strategies.AdaptiveBalance and "
        "tfmlselect.losses.PositiveWeights.",
    ]


def test_most_samples_without_a_label():
    found = tfml.potential(rare())
    saved = found.statistics.variance_ratio**0.4 * (40 / 15) ** (0.19 / 2)
    assert (found.low, found.high) == pytest.approx((saved**0.7, saved**1.3))
    assert found.strategy == "adaptive_balance"
    assert str(found).splitlines() == [
        "Much: about 1.8 to 3.1 times fewer steps than with uniform batches.",
        "A typical label is 1.6 times rarer than the most frequent one. "
        "95.5 % of the samples carry no label.",
        "Balance the labels: tfmlselect.strategies.AdaptiveBalance and "
        "tfmlselect.losses.PositiveWeights.",
        "Or leave most samples without a label out: tfmlselect.strategies.RareEvents and "
        "tfmlselect.losses.ThinnedLikelihood.",
    ]
    assert repr(found) == (
        "<Potential: Much: about 1.8 to 3.1 times fewer steps than with uniform batches.>"
    )


@pytest.mark.parametrize("y", [rare(), imbalanced(), even()], ids=["rare", "imbalanced", "even"])
def test_what_is_advised_can_be_made(y):
    found = tfml.potential(y)
    train = tfml.adaptive_dataset((np.zeros((len(y), 1)), y), found.strategy, batch_size=4)
    assert train.strategy is not None
    for name in {word.strip(",.") for word in str(found).split() if "tfmlselect." in word}:
        room, member = name.removeprefix("tfmlselect.").split(".")
        assert member in getattr(tfml, room).__all__


def test_every_form_of_labels():
    ids = np.repeat([0, 1, 2], [40, 4, 1])
    expected = tfml.potential(np.eye(3, dtype=int)[ids])
    for y in (ids, sparse.csr_matrix(np.eye(3)[ids]), np.eye(3, dtype=bool)[ids]):
        found = tfml.potential(y)
        assert str(found) == str(expected)
        assert (found.low, found.high) == (expected.low, expected.high)
    assert "carry no label" not in str(expected)


def test_no_label_at_all():
    with pytest.warns(UserWarning, match="2 of 2 labels"):
        found = tfml.potential(np.zeros((4, 2), int))
    assert (found.low, found.high, found.strategy) == (1.0, 1.0, "uniform")
    assert "No sample carries a label." in str(found)


def test_one_label_alone_has_positives():
    with pytest.warns(UserWarning, match="1 of 2 labels") as caught:
        found = tfml.potential([[1, 0], [0, 0]], ["sea", "unicorn"])
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert "labels: unicorn." in str(caught[0].message)
    assert found.reasons == (
        "One label alone has positives.",
        "50.0 % of the samples carry no label.",
    )
    assert found.statistics.label_names == ("sea", "unicorn")


@given(
    arrays(np.uint8, st.tuples(st.integers(1, 30), st.integers(2, 5)), elements=st.integers(0, 1))
)
def test_any_labels(y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # labels without positives
        found = tfml.potential(y)
        order = np.random.default_rng(0).permutation(len(y))
        permuted = tfml.potential(y[order, ::-1])
    assert 1.0 <= found.low <= found.statistics.potential <= found.high < np.inf
    assert found.strategy in STRATEGIES
    assert "nan" not in str(found)
    assert str(permuted) == str(found)
    assert (permuted.low, permuted.high) == pytest.approx((found.low, found.high))
