"""Inputs and results worked out by hand: sections 7 and 8 of the formulas, and the asymmetric loss.

A name says the step; an input precedes what follows from it. Nothing here is computed by an
oracle. ln is `np.log`; what is written as a fraction is exact.
"""

import numpy as np

LN2, LN3 = np.log(2), np.log(3)
R2, R3, R5, R10 = np.sqrt(2), np.sqrt(3), np.sqrt(5), np.sqrt(10)
NAN = np.nan

# --- 7, Partial Label Masking: the odds. Label 2 has no positives.
Y = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]], np.uint8)
ODDS = np.array([2 / 4, 3 / 3, NAN])
# Label 0: (3 + 1)/8 of positives, 4/8 of negatives. Label 1: (3 + 1 + 1)/8 and (1 + 1 + 1)/8.
SAMPLE_PROBABILITIES = np.array([3, 1, 1, 1, 1, 1]) / 8
ODDS_OF_DRAWS = np.array([1, 5 / 3, NAN])

# --- 7.1. Label 0: r = 1/2 > r̂ = 1/4, positives kept with 1/2: 2/2 kept over 4 is 1/4.
# Label 1: r = 1 < r̂ = 3, negatives kept with 1/3: 3 over 3/3 kept is 3. Label 2 takes no part.
IDEAL = np.array([1 / 4, 3, 5])
KEEP = np.array(
    [[1 / 2, 1, 1], [1 / 2, 1 / 3, 1], [1, 1, 1], [1, 1, 1], [1, 1 / 3, 1], [1, 1 / 3, 1]]
)
# The same r̂ against the odds of the draws. Label 0: r = 1, positives (1/4)/1. Label 1: r = 5/3,
# negatives (5/3)/3 = 5/9.
KEEP_OF_DRAWS = np.array(
    [[1 / 4, 1, 1], [1 / 4, 5 / 9, 1], [1, 1, 1], [1, 1, 1], [1, 5 / 9, 1], [1, 5 / 9, 1]]
)

# --- 7.2. Binary cross-entropy of P: a positive with 1/2, 1/4, 1/8 and a negative with 1/2, 3/4,
# 7/8 have 1, 2, 3 times ln 2.
P = np.array([[2, 4, 6], [1, 4, 4], [4, 1, 4], [6, 2, 4], [7, 6, 7], [4, 7, 6]]) / 8
ELEMENTWISE = LN2 * np.array([[2, 1, 2], [3, 1, 1], [1, 3, 1], [2, 2, 1], [3, 2, 3], [1, 3, 2]])
# Sums of KEEP times that, in ln 2: 1+1+2 = 4; 3/2+1/3+1 = 17/6; 5; 5; 3+2/3+3 = 20/3; 1+1+2 = 4.
# Over all entries: a third of it. Over the kept: KEEP sums to 5/2, 11/6, 3, 3, 7/3, 7/3.
EXPECTED_LOSS = {
    "all": LN2 * np.array([4 / 3, 17 / 18, 5 / 3, 5 / 3, 20 / 9, 4 / 3]),
    "kept": LN2 * np.array([8 / 5, 17 / 11, 5 / 3, 5 / 3, 20 / 7, 12 / 7]),
}
# One mask. Row 1 keeps nothing (never drawn from KEEP, where label 2 is always kept).
# Sums in ln 2: 1+2 = 3; 0; 5; 5; 3+3 = 6; 6. Kept: 2, 0, 3, 3, 2, 3.
MASK = np.array([[0, 1, 1], [0, 0, 0], [1, 1, 1], [1, 1, 1], [1, 0, 1], [1, 1, 1]])
MASKED_LOSS = {
    "all": LN2 * np.array([1, 0, 5 / 3, 5 / 3, 2, 2]),
    "kept": LN2 * np.array([3 / 2, 0, 5 / 3, 5 / 3, 3, 2]),
}

# --- 7.3, histograms of P over Y, four bins with edges at 2/8, 4/8, 6/8: 1/8 in bin 0, 2/8 in 1,
# 4/8 in 2, 6/8 and 7/8 in 3.
BINS = 4
HISTOGRAMS = np.array(
    [
        [[0, 0, 2, 2], [1, 1, 0, 0]],  # negatives 4 6 7 4, positives 2 1
        [[0, 0, 1, 2], [1, 1, 1, 0]],  # negatives 4 6 7, positives 4 1 2
        [[0, 0, 3, 3], [0, 0, 0, 0]],  # negatives 6 4 4 4 7 6
    ]
)
# Both ends, and edges of ten bins: one column of positives.
EDGE_P = np.array([[0.0], [0.1], [0.3], [0.7], [0.95], [1.0]])
EDGE_HISTOGRAM = np.array([1, 1, 0, 1, 0, 0, 0, 1, 0, 2])

# --- 7.3, divergences of other histograms, three bins, 1/3 added to each mass.
SMOOTHING = 1 / 3
COUNTS = np.array([[[4, 1, 0], [0, 1, 2]], [[6, 0, 0], [1, 0, 0]], [[1, 2, 3], [0, 0, 0]]])
# (count / total + 1/3) / 2. Masses of positives: (1 2 3)/6, (4 1 1)/6, none.
# Masses of negatives: (17 8 5)/30, (4 1 1)/6, (3 4 5)/12.
# KL(truth || predicted) is -ln of the last mass of positives, of the first mass of negatives.
TRUTH_PREDICTED = (
    np.array([LN2, np.log(6), NAN]),
    np.array([np.log(30 / 17), np.log(3 / 2), np.log(4)]),
)
# The truth, smoothed, of all: positives (1 1 4)/6, negatives (4 1 1)/6.
PREDICTED_TRUTH = (
    np.array([1 / 3 * LN2 + 1 / 2 * np.log(3 / 4), LN2, NAN]),
    np.array(
        [
            17 / 30 * np.log(17 / 20) + 4 / 15 * np.log(8 / 5),
            0,
            1 / 4 * np.log(3 / 8) + 1 / 3 * LN2 + 5 / 12 * np.log(5 / 2),
        ]
    ),
)

# --- 7.4. Label 3 has no positives and takes no part.
# D+ = 1 2 3: mean 2, variance 2/3, z = -√(3/2) 0 √(3/2). D- = 3 0 3: mean 2, variance 2,
# z = 1/√2 -√2 1/√2. d = (-(√3 + 1)  2  √3 - 1)/√2. The rate ln 2/√2 makes of it the powers of 2
# -(√3 + 1)/2, 1, (√3 - 1)/2, which add up to 0.
D_POSITIVE = np.array([1, 2, 3, NAN])
D_NEGATIVE = np.array([3, 0, 3, 9])
RATE = LN2 / R2
ACTUAL_BEFORE = np.array([1 / 2, 1 / 4, 4, NAN])
IDEAL_BEFORE = np.array([1, 1 / 4, 2, 7])
IDEAL_AFTER = np.array([2 ** (-(R3 + 1) / 2), 1 / 2, 2 * 2 ** ((R3 - 1) / 2), 7])
# r̂/r after that, as powers of 2: 1 - 1.366, 1, -1 + .366. With the limit √2 they have to lie
# within ±1/2: label 0 is free, label 1 stops at r √2, label 2 at r/√2.
CLAMPED_LIMIT = R2
IDEAL_CLAMPED = np.array([2 ** (-(R3 + 1) / 2), R2 / 4, 4 / R2, 7])

# --- 8.2, Major feature weakening: classes of 16, 4 and 1, a_max = 1/2, γ = 1/2.
SIZES = np.array([16, 4, 1])
LARGEST_STRENGTH = EXPONENT = 1 / 2
Y_ONEHOT = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]], np.uint8)
SIZES_ONEHOT = np.array([16, 4, 1, 16])
# √(1/16) = 1/4, √(1/4) = 1/2, 1: half of 3/4, 1/2, 0.
STRENGTH = np.array([3 / 8, 1 / 4, 0, 3 / 8])
# The partners have 4, 1, 16, 16. Roots: 4 and 2, 2 and 1, 1 and 4, 4 and 4; 2·4/6 - 1 = 1/3,
# 2·2/3 - 1 = 1/3, 2·1/5 - 1 < 0, 0.
PARTNERS = np.array([1, 2, 3, 0])
PARTNERS_RELATIVE = np.array([1, 2, 3, 3])
RELATIVE_STRENGTH = np.array([1 / 6, 1 / 6, 0, 0])

# --- 8.1. 5/8 (8 0) + 3/8 (0 8); 3/4 (0 8) + 1/4 (4 4); (4 4); 5/8 (16 -8) + 3/8 (8 0).
FEATURES = np.array([[8, 0], [0, 8], [4, 4], [16, -8]])
WEAKENED = np.array([[5, 3], [1, 7], [4, 4], [13, -5]])
# With RELATIVE_STRENGTH: 5/6 (8 0) + 1/6 (0 8); 5/6 (0 8) + 1/6 (4 4); the others as they are.
WEAKENED_RELATIVE = np.array([[20 / 3, 4 / 3], [2 / 3, 22 / 3], [4, 4], [16, -8]])

# --- 8.3. Rarest of 16 and 4; of 16 and 1; no label: the largest; 16. Strengths as above.
Y_MULTILABEL = np.array([[1, 1, 0], [1, 0, 1], [0, 0, 0], [1, 0, 0]], np.uint8)
SIZES_MULTILABEL = np.array([4, 1, 16, 16])
STRENGTH_MULTILABEL = np.array([1 / 4, 0, 3 / 8, 3 / 8])

# --- 8.4. With this kernel an error (a b c) gives the gradient (a + 2c  4b - c).
KERNEL = np.array([[1, 0, 2], [0, 4, -1]])
# softmax: (2 1 1)/4, (1 3 1)/5, (1 1 1)/3, (1 2 1)/4.
# Less Y_ONEHOT: (-2 1 1)/4, (1 -2 1)/5, (1 1 -2)/3, (-3 2 1)/4.
LOGITS_SOFTMAX = np.array([[LN2, 0, 0], [0, LN3, 0], [0, 0, 0], [0, LN2, 0]])
GRADIENT_SOFTMAX = np.array([[0, 3 / 4], [3 / 5, -9 / 5], [-1, 2], [-1 / 4, 7 / 4]])
# Norms: 3/4, √90/5, √5, √50/4. Class 0 has the first and the last.
MEAN_NORMS_SOFTMAX = np.array([(3 / 4 + 5 * R2 / 4) / 2, 3 * R10 / 5, R5])
# σ: (3 2 1)/4, (2 1 2)/4, (1 2 3)/4, (2 2 2)/4.
# Less Y_MULTILABEL: (-1 -2 1)/4, (-2 1 -2)/4, (1 2 3)/4, (-2 2 2)/4.
LOGITS_SIGMOID = np.array([[LN3, 0, -LN3], [0, -LN3, 0], [-LN3, 0, LN3], [0, 0, 0]])
GRADIENT_SIGMOID = np.array([[1, -9], [-6, 6], [7, 5], [2, 6]]) / 4
# Norms times 4: √82, 6√2, √74, 2√10. Label 0 is held by samples 0, 1 and 3.
MEAN_NORMS_SIGMOID = np.array([(np.sqrt(82) + 6 * R2 + 2 * R10) / 3, np.sqrt(82), 6 * R2]) / 4

# --- Asymmetric loss: γ+ = 1, γ- = 2, m = 1/4; p = 3/4, 3/4, 1/5.
ASL = {"gamma_positive": 1, "gamma_negative": 2, "margin": 1 / 4}
ASL_Y = np.array([[1, 0, 0]])
ASL_LOGITS = np.array([[LN3, LN3, -np.log(4)]])
ASL_P = np.array([[3 / 4, 3 / 4, 1 / 5]])
# (1/4) ln(4/3); p_m = 1/2, (1/2)² ln 2; p_m = 0.
ASL_LOSS = np.array([[np.log(4 / 3) / 4, LN2 / 4, 0]])
# 1 (3/4) (1/4) ln(3/4) - (1/4)²; (3/4) (1/4) ((1/4)/(1/2) + 2 (1/2) ln 2); 0.
ASL_GRADIENT = np.array([[3 / 16 * np.log(3 / 4) - 1 / 16, 3 / 16 * (1 / 2 + LN2), 0]])

# --- 17, positive weights: shares 1/5, 9/10, none and 1/257, exponent 1/2. Of the odds 1/4, 9, -
# and 1/256 the inverse roots are 2, 1/3, - and 16; a limit of 10 leaves 10 of 16.
WEIGHTS_ODDS = np.array([1 / 4, 9, NAN, 1 / 256])
WEIGHTS_EXPONENT, WEIGHTS_LIMIT = 1 / 2, 10
WEIGHTS = np.array([2, 1 / 3, 1, 10])
# Row 0 all positive, row 1 none, row 2 soft: 1 + 1/2 = 3/2, 1 - (2/3)/2 = 2/3, 1, 1 + 9/3 = 4.
WEIGHTS_Y = np.array([[1, 1, 1, 1], [0, 0, 0, 0], [1 / 2, 1 / 2, 1 / 2, 1 / 3]])
ENTRY_WEIGHTS = np.array([WEIGHTS, [1, 1, 1, 1], [3 / 2, 2 / 3, 1, 4]])
# Losses of the entries, and their weighted means: (2 + 1 + 2 + 20)/4; 8/4; (6 + 4 + 2 + 12)/4.
WEIGHTS_ELEMENTWISE = np.array([[1, 3, 2, 2], [2, 1, 2, 3], [4, 6, 2, 3]])
WEIGHTED_LOSS = np.array([25 / 4, 2, 6])
