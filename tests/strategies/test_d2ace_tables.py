"""D2ACE by hand: one example of n = 4 samples and q = 3 labels, worked step by step.

Every number below was worked out on paper, from the formulas; the comments show the arithmetic.
Both the oracle and the package must reproduce it.

The visits, in three batches, with the predictions (label 0, label 1, label 2):

    batch 1   sample 1: .9 .1 .25    sample 0: .7 .7 .9
    batch 2   sample 2: .5 .5 .9     sample 1: .5 .9 .75
    batch 3   sample 0: .5 .5 .75    sample 1: .5 .5 .25

Sample 0 has two visits, sample 1 three, sample 2 one; sample 3 none, so it counts as .5.
"""

import numpy as np
import pytest
import tensorflow as tf

import tests.support.oracles.d2ace as oracle
from tfmlselect import sampling
from tfmlselect.losses import cross_entropy
from tfmlselect.scoring import signals
from tfmlselect.scoring.correlations import cosine_correlation, label_context
from tfmlselect.scoring.label_weights import label_weights
from tfmlselect.strategies import D2ACE

Y = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 0], [0, 0, 0]], np.uint8)
NEIGHBORS = np.array([[2], [0], [3], [1]])
BATCHES = [
    ([1, 0], [[0.9, 0.1, 0.25], [0.7, 0.7, 0.9]]),
    ([2, 1], [[0.5, 0.5, 0.9], [0.5, 0.9, 0.75]]),
    ([0, 1], [[0.5, 0.5, 0.75], [0.5, 0.5, 0.25]]),
]

# The latest predictions.
P = np.array([[0.5, 0.5, 0.75], [0.5, 0.5, 0.25], [0.5, 0.5, 0.9], [0.5, 0.5, 0.5]])

# 4.1: d.  Sample 0, one difference: .7 > .5 is .2; .9 > .75 is .15.
# Sample 1, the mean of two: .9 > .5 > .5 is (.4 + 0)/2 = .2; .1 > .9 > .5 is (.8 + .4)/2 = .6;
# .25 > .75 > .25 is (.5 + .5)/2 = .5.  Samples 2 and 3: no difference yet.
D = np.array([[0.2, 0.2, 0.15], [0.2, 0.6, 0.5], [0, 0, 0], [0, 0, 0]])

# 5.1: E = d/2 + H2/2, with H2(.5) = 1,
# H2(.25) = H2(.75) = 2 - .75 log2(3) = 2 - 1.18872188 = .81127812,
# H2(.9) = .9 * .15200309 + .1 * 3.32192809 = .13680278 + .33219281 = .46899559.
E = np.array(
    [
        [0.6, 0.6, 0.48063906],  # .1 + .5;  .1 + .5;  .075 + .40563906
        [0.6, 0.8, 0.65563906],  # .1 + .5;  .3 + .5;  .25 + .40563906
        [0.5, 0.5, 0.23449780],  # .5;  .5;  .46899559 / 2
        [0.5, 0.5, 0.5],
    ]
)

# Notation: l = -ln(p of the true outcome): ln 2, ln 4 or ln 10.
LN2, LN4, LN10 = 0.69314718, 1.38629436, 2.30258509
LOSS = np.array(
    [
        [LN2, LN2, LN4],  # label 2: y = 0, p = .75
        [LN2, LN2, LN4],  # label 2: y = 1, p = .25
        [LN2, LN2, LN10],  # label 2: y = 0, p = .9
        [LN2, LN2, LN2],
    ]
)

# 5.2: F, one step of a batch of three: the second visit of sample 0, the third of sample 1, the
# first of sample 2, whose change from the assumed .5 to .9 does not count.
FLIP_VISITED = np.array([True, True, False])
FLIP_P_OLD = np.array([[0.7, 0.7, 0.9], [0.5, 0.9, 0.75], [0.5, 0.5, 0.5]])
FLIP_P_NEW = P[:3]
FLIP_OLD = np.array([[0, 0, 0], [0.28, 0.56, 0.35], [0, 0, 0]])  # .7 * .4, .7 * .8, .7 * .5
FLIP_NEW = np.array(
    [
        [0.14, 0.14, 0.105],  # .7 * .2;  .7 * .2;  .7 * .15
        [0.084, 0.448, 0.455],  # .3 * .28;  .7 * .4 + .3 * .56;  .7 * .5 + .3 * .35
        [0, 0, 0],
    ]
)
FLIP = np.vstack([FLIP_NEW, [0, 0, 0]])  # sample 3: no visit

# 5.3: h = g(l) (1 - F), with 1 - F = .86 .86 .895 / .916 .552 .545 / 1 1 1 / 1 1 1.
HARDNESS = {
    # g = 1 - e^-l = 1 - p of the true outcome: .5 (ln 2), .75 (ln 4), .9 (ln 10).
    "bounded": [
        [0.43, 0.43, 0.67125],  # .5 * .86;  .5 * .86;  .75 * .895
        [0.458, 0.276, 0.40875],  # .5 * .916;  .5 * .552;  .75 * .545
        [0.5, 0.5, 0.9],
        [0.5, 0.5, 0.5],
    ],
    # g = l.
    "loss": [
        [0.59610658, 0.59610658, 1.24073346],  # ln 2 * .86, twice;  ln 4 * .895
        [0.63492282, 0.38261725, 0.75553043],  # ln 2 * .916;  ln 2 * .552;  ln 4 * .545
        [0.69314718, 0.69314718, 2.30258509],
        [0.69314718, 0.69314718, 0.69314718],
    ],
    # g = 2 - e^-l: 1.5, 1.75, 1.9.
    "released": [
        [1.29, 1.29, 1.56625],  # 1.5 * .86, twice;  1.75 * .895
        [1.374, 0.828, 0.95375],  # 1.5 * .916;  1.5 * .552;  1.75 * .545
        [1.5, 1.5, 1.9],
        [1.5, 1.5, 1.5],
    ],
}
H = np.array(HARDNESS["bounded"])

# 5.4: v = exp(mean/2 + std/2), for M = E.
# Column 0, .6 .6 .5 .5: mean .55, all .05 away from it: std .05; v = exp(.3).
# Column 1, .6 .8 .5 .5: mean .6, squares 0 .04 .01 .01, variance .015, std .12247449;
#   v = exp(.3 + .06123724).
# Column 2: mean 1.87077592 / 4 = .46769398; away by .01294508 .18794508 -.23319618 .03230602,
#   squares .00016758 .03532335 .05438046 .00104368, variance .09091507 / 4 = .02272877,
#   std .15076063; v = exp(.23384699 + .07538031).
MEAN_E = np.array([0.55, 0.6, 0.46769398])
STD_E = np.array([0.05, 0.12247449, 0.15076063])
V_E = np.array([1.34985881, 1.43510389, 1.36237201])
# For M = h.
# Column 0, .43 .458 .5 .5: mean .472, squares .001764 .000196 .000784 .000784,
#   variance .000882, std .02969848; v = exp(.236 + .01484924).
# Column 1, .43 .276 .5 .5: mean .4265, squares .00001225 .02265025 .00540225 .00540225,
#   variance .00836675, std .09146994; v = exp(.21325 + .04573497).
# Column 2, .67125 .40875 .9 .5: mean .62, squares .00262656 .04462656 .0784 .0144,
#   variance .03501328, std .18711836; v = exp(.31 + .09355918).
MEAN_H = np.array([0.472, 0.4265, 0.62])
STD_H = np.array([0.02969848, 0.09146994, 0.18711836])
V_H = np.array([1.28511633, 1.29561433, 1.49714383])

# 5.5: K = M * Y, for M = E.
K_E = np.array([[0.6, 0.6, 0], [0, 0.8, 0.65563906], [0.5, 0, 0], [0, 0, 0]])
# K'K.  00: .36 + .25;  01: .6 * .6;  11: .36 + .64;  12: .8 * .65563906;  22: .65563906^2.
GRAM_E = np.array([[0.61, 0.36, 0], [0.36, 1, 0.52451125], [0, 0.52451125, 0.42986258]])
# Norms .78102497, 1, .65563906.  Cosines 01: .36 / .78102497 = .46093277;  02: 0;  12: .8.
# Row sums 1.46093277, 2.26093277, 1.8.
C_E = np.array(
    [
        [0.68449420, 0.31550580, 0],  # 1;  .46093277;  each / 1.46093277
        [0.20386841, 0.44229533, 0.35383626],  # .46093277;  1;  .8;  each / 2.26093277
        [0, 0.44444444, 0.55555556],  # .8;  1;  each / 1.8
    ]
)
# For M = h.
K_H = np.array([[0.43, 0.43, 0], [0, 0.276, 0.40875], [0.5, 0, 0], [0, 0, 0]])
# 00: .1849 + .25;  01: .43 * .43;  11: .1849 + .076176;  12: .276 * .40875;  22: .40875^2.
GRAM_H = np.array([[0.4349, 0.1849, 0], [0.1849, 0.261076, 0.112815], [0, 0.112815, 0.16707656]])
# Norms .65946948, .51095597, .40875.  Cosines 01: .1849 / (.65946948 * .51095597) = .54873004;
# 12: .276 / .51095597 = .54016396.  Row sums 1.54873004, 2.08889400, 1.54016396.
C_H = np.array(
    [
        [0.64569033, 0.35430967, 0],  # 1;  .54873004;  each / 1.54873004
        [0.26268927, 0.47872223, 0.25858850],  # .54873004;  1;  .54016396;  each / 2.08889400
        [0, 0.35071848, 0.64928152],  # .54016396;  1;  each / 1.54016396
    ]
)

# 5.6: Z, own labels and those of the neighbour.
Z = np.array(
    [
        [1, 1, 0],  # 110 or 100
        [1, 1, 1],  # 011 or 110
        [1, 0, 0],  # 100 or 000
        [0, 1, 1],  # 000 or 011
    ]
)
# S_ij: the sum of row j of C over the labels of Z_i.
S_E = np.array(
    [
        [1, 0.64616374, 0.44444444],  # labels 0, 1: all but C_02 = 0;  .20386841 + .44229533
        [1, 1, 1],  # all labels
        [0.68449420, 0.20386841, 0],  # label 0: the first column of C
        [0.31550580, 0.79613159, 1],  # labels 1, 2;  .44229533 + .35383626
    ]
)
S_H = np.array(
    [
        [1, 0.74141150, 0.35071848],  # .26268927 + .47872223
        [1, 1, 1],
        [0.64569033, 0.26268927, 0],
        [0.35430967, 0.73731073, 1],  # .47872223 + .25858850
    ]
)

# 5.7: score = sum of M v over the labels + sum of M v S over the positive labels.
# E v:  .80991528  .86106233  .65480920     sums 2.32578682
#       .80991528 1.14808311  .89322431          2.85122270
#       .67492940  .71755194  .31947323          1.71195458
#       .67492940  .71755194  .68118600          2.07366735
SCORE_E = np.array(
    [
        3.69208936,  # + .80991528 * 1 + .86106233 * .64616374 = .80991528 + .55638726
        4.89253012,  # + 1.14808311 * 1 + .89322431 * 1
        2.17393984,  # + .67492940 * .68449420 = .46198526
        2.07366735,  # no positive label
    ]
)
# h v:  .55260002  .55711416 1.00495780     sums 2.11467198
#       .58858328  .35758956  .61195754          1.55813038
#       .64255816  .64780717 1.34742945          2.63779478
#       .64255816  .64780717  .74857192          2.03893725
SCORE_H = np.array(
    [
        3.08032285,  # + .55260002 * 1 + .55711416 * .74141150 = .55260002 + .41305085
        2.52767747,  # + .35758956 * 1 + .61195754 * 1
        3.05268837,  # + .64255816 * .64569033 = .41489359
        2.03893725,
    ]
)

# 5.8: with pressure 16 and n = 4 each step of Q halves the weight: 16^(-1/4) = 1/2.
# E: u = 1.61842201 / 2.81886277 = .57414, 1, .10027249 / 2.81886277 = .03557, 0;
#   4 (1 - u) = 1.70, 0, 3.86, 4; Q = 2, 1, 4, 4; weights 4 8 1 1, of 14.
P_E_16 = np.array([4, 8, 1, 1]) / 14
# h: u = 1, .48874022 / 1.04138560 = .46932, 1.01375112 / 1.04138560 = .97346, 0;
#   4 (1 - u) = 0, 2.12, .11, 4; Q = 1, 3, 1, 4; weights 8 2 8 1, of 19.
P_H_16 = np.array([8, 2, 8, 1]) / 19
# At pressure 4 each step divides by the root of 2.
# E: .5 .70710678 .25 .25, sum 1.70710678.  h: .70710678 .35355339 .70710678 .25, sum 2.01776695.
P_E_4 = np.array([0.29289322, 0.41421356, 0.14644661, 0.14644661])
P_H_4 = np.array([0.35044026, 0.17522013, 0.35044026, 0.12389935])

# 5.9: β is .7 up to epoch 10, .3 from epoch 70 on, and .5 in the middle, at epoch 40.
# The pressure decays late here, from epoch 70 of 100: at 85, half way, it is the root of 16.
LATE = {"pressure": 16.0, "decay_start": 0.7, "epochs": 100}
MIXTURES = {
    10: 0.7 * P_E_16 + 0.3 * P_H_16,
    40: 0.5 * P_E_16 + 0.5 * P_H_16,
    85: 0.3 * P_E_4 + 0.7 * P_H_4,
    100: np.array([0.25, 0.25, 0.25, 0.25]),
}

# A label without positives: a column of zeros in K, no correlation with any label.
# Columns (.5, 0), (.3, .4), (0, 0): both norms .5, cosine .15 / .25 = .6, row sums 1.6.
K_EMPTY = np.array([[0.5, 0.3, 0], [0, 0.4, 0]])
GRAM_EMPTY = np.array([[0.25, 0.15, 0], [0.15, 0.25, 0], [0, 0, 0]])
C_EMPTY = np.array([[0.625, 0.375, 0], [0.375, 0.625, 0], [0, 0, 0]])

# The pressure law by itself, at pressure 16 and n = 4, so weights 2^-Q.
PRESSURE_TABLES = [
    # u = 0, .3, 1, .4; 4 (1 - u) = 4, 2.8, 0, 2.4; Q = 4, 3, 1, 3; weights 1 2 8 2, of 13.
    ([0, 3, 10, 4], np.array([1, 2, 8, 2]) / 13),
    # u = 0, .25, .5, 1; 4 (1 - u) = 4, 3, 2, 0: whole numbers stay; weights 1 2 4 8, of 15.
    ([1, 2, 3, 5], np.array([1, 2, 4, 8]) / 15),
    # All equal: u = 0.
    ([7, 7, 7, 7], np.array([1, 1, 1, 1]) / 4),
]


def assert_close(actual, table):
    np.testing.assert_allclose(actual, table, rtol=1e-6, atol=1e-6)


def single(array):
    """A float32 tensor, as the package's steps take them."""
    return tf.constant(array, tf.float32)


def observed_oracle(**settings):
    d2ace = oracle.D2ACEOracle(Y, NEIGHBORS, **settings)
    for ids, y_pred in BATCHES:
        d2ace.observe(ids, np.array(y_pred))
    return d2ace


def observed_strategy(**settings):
    d2ace = D2ACE(neighbors=1, **settings)
    d2ace.build(Y, neighbors=NEIGHBORS)
    for ids, y_pred in BATCHES:
        d2ace.observe(tf.constant(ids), single(y_pred))
    return d2ace


# The oracle.


def test_oracle_mean_difference():
    seven_visits = [np.array([p]) for p in (0.9, 0.1, 0.5, 0.75, 0.5, 0.25, 0.25)]
    # The last five: .5 .75 .5 .25 .25, differences .25 .25 .25 0.
    assert_close(oracle.mean_difference(seven_visits, window=5), [0.1875])
    # All seven: .8 and .4 more, 1.95 / 6.
    assert_close(oracle.mean_difference(seven_visits, window=7), [0.325])
    assert oracle.mean_difference(seven_visits[:1], window=5) == 0


def test_oracle_uncertainty():
    assert_close(oracle.uncertainty(P, D), E)


def test_oracle_binary_cross_entropy():
    assert_close(oracle.binary_cross_entropy(Y, P), LOSS)


def test_oracle_flip_average():
    for i, visited in enumerate(FLIP_VISITED):
        p_old = FLIP_P_OLD[i] if visited else None
        assert_close(oracle.flip_step(FLIP_OLD[i], FLIP_P_NEW[i], p_old), FLIP_NEW[i])


@pytest.mark.parametrize("kind", HARDNESS)
def test_oracle_hardness(kind):
    assert_close(oracle.hardness(LOSS, FLIP, kind), HARDNESS[kind])


def test_oracle_signals_of_the_visits():
    e, h = observed_oracle().signals()
    assert_close(e, E)
    assert_close(h, H)


@pytest.mark.parametrize(("m", "v"), [(E, V_E), (H, V_H)], ids=["E", "h"])
def test_oracle_label_weights(m, v):
    assert_close(oracle.label_weights(m), v)


@pytest.mark.parametrize(
    ("k", "c"), [(K_E, C_E), (K_H, C_H), (K_EMPTY, C_EMPTY)], ids=["E", "h", "empty"]
)
def test_oracle_correlation(k, c):
    assert_close(oracle.cosine_correlation(k), c)


def test_oracle_label_context():
    np.testing.assert_array_equal(oracle.label_context(Y, NEIGHBORS), Z)
    np.testing.assert_array_equal(oracle.label_context(Y), Y)


@pytest.mark.parametrize(("c", "s"), [(C_E, S_E), (C_H, S_H)], ids=["E", "h"])
def test_oracle_label_support(c, s):
    assert_close(oracle.label_support(Z, c), s)


@pytest.mark.parametrize(
    ("m", "v", "s", "score"), [(E, V_E, S_E, SCORE_E), (H, V_H, S_H, SCORE_H)], ids=["E", "h"]
)
def test_oracle_score(m, v, s, score):
    assert_close(oracle.score(m, v, Y, s), score)


@pytest.mark.parametrize(("score", "p"), PRESSURE_TABLES)
def test_oracle_pressure_probabilities(score, p):
    assert_close(oracle.pressure_probabilities(np.array(score), 16.0), p)


# From 16 at epoch 2 to 1 at epoch 10: every second epoch divides by 16^(1/4) = 2.
@pytest.mark.parametrize(
    ("epoch", "s"), [(0, 16), (2, 16), (4, 8), (6, 4), (8, 2), (10, 1), (12, 1)]
)
def test_oracle_decayed_pressure(epoch, s):
    assert oracle.decayed_pressure(epoch, 16, 2, 10) == pytest.approx(s)


def test_oracle_pressure_that_has_no_epochs_to_decay_in():
    assert oracle.decayed_pressure(7, 16, 5, 5) == 16


@pytest.mark.parametrize(("epoch", "beta"), [(0, 0.7), (10, 0.7), (25, 0.6), (40, 0.5), (99, 0.3)])
def test_oracle_mixture_weight(epoch, beta):
    assert oracle.mixture_weight(epoch, 0.7, 0.3, 10, 70) == pytest.approx(beta)


def test_oracle_scores():
    score_e, score_h = observed_oracle().scores()
    assert_close(score_e, SCORE_E)
    assert_close(score_h, SCORE_H)


@pytest.mark.parametrize("epoch", MIXTURES)
def test_oracle_probabilities(epoch):
    assert_close(observed_oracle(**LATE).probabilities(epoch), MIXTURES[epoch])


# The package.


def test_package_uncertainty():
    assert_close(signals.uncertainty(single(P), single(D)), E)


def test_package_binary_cross_entropy():
    assert_close(cross_entropy.binary_cross_entropy(single(Y), single(P)), LOSS)


def test_package_flip_average():
    p_new, p_old = single(FLIP_P_NEW), single(FLIP_P_OLD)
    change = signals.change(p_new, p_old, tf.constant(FLIP_VISITED))
    assert_close(signals.flip_average(single(FLIP_OLD), change, 0.7), FLIP_NEW)


@pytest.mark.parametrize("kind", HARDNESS)
def test_package_hardness(kind):
    assert_close(signals.hardness(single(LOSS), single(FLIP), kind), HARDNESS[kind])


@pytest.mark.parametrize(
    ("mean", "std", "v"), [(MEAN_E, STD_E, V_E), (MEAN_H, STD_H, V_H)], ids=["E", "h"]
)
def test_package_label_weights(mean, std, v):
    assert_close(label_weights(single(mean), single(std)), v)


@pytest.mark.parametrize(
    ("gram", "c"), [(GRAM_E, C_E), (GRAM_H, C_H), (GRAM_EMPTY, C_EMPTY)], ids=["E", "h", "empty"]
)
def test_package_correlation(gram, c):
    assert_close(cosine_correlation(single(gram)), c)


def test_package_label_context():
    context = label_context(Y, NEIGHBORS)
    assert context.dtype == np.uint8
    np.testing.assert_array_equal(context, Z)
    np.testing.assert_array_equal(label_context(Y, None), Y)


@pytest.mark.parametrize(("score", "p"), PRESSURE_TABLES)
def test_package_pressure_probabilities(score, p):
    actual = sampling.pressure_probabilities(single(score), 16.0)
    assert actual.dtype == tf.float64
    np.testing.assert_allclose(actual, p, rtol=1e-12)


def test_package_scores():
    score_e, score_h = observed_strategy().scores()
    assert_close(score_e, SCORE_E)
    assert_close(score_h, SCORE_H)


@pytest.mark.parametrize("epoch", MIXTURES)
def test_package_probabilities(epoch):
    assert_close(observed_strategy(**LATE).probabilities(epoch), MIXTURES[epoch])
