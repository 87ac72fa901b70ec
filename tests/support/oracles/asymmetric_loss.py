"""Asymmetric loss as its formulas say it: float64, loops, no speed.

Written from the paper's formulas alone (Ridnik et al., "Asymmetric Loss For Multi-Label
Classification", ICCV 2021, arXiv:2009.14119, equations 5 to 8), never from the package:

    L+ = -(1 - p)^γ+ ln p,    L- = -p_m^γ- ln(1 - p_m),    p_m = max(p - m, 0)

What must hold: γ+ = γ- = 0 and m = 0 is binary cross-entropy; γ+ = γ- and m = 0 is focal loss; a
negative with p <= m has neither loss nor gradient.
"""

import numpy as np

from .feature_weakening import sigmoid

EPSILON = 1e-7


def asymmetric_loss(y, p, gamma_positive=0.0, gamma_negative=4.0, margin=0.05):
    """The loss (b, q) of each entry; p is clamped to [1e-7, 1 - 1e-7] first, then shifted."""
    y, p = np.asarray(y), np.clip(np.asarray(p, np.float64), EPSILON, 1 - EPSILON)
    loss = np.zeros(p.shape)
    for entry in np.ndindex(*p.shape):
        if y[entry] == 1:
            loss[entry] = -((1 - p[entry]) ** gamma_positive) * np.log(p[entry])
        else:
            p_m = max(p[entry] - margin, 0.0)
            loss[entry] = -(p_m**gamma_negative) * np.log(1 - p_m)
    return loss


def logit_gradient(y, logits, gamma_positive=0.0, gamma_negative=4.0, margin=0.05):
    """dL/dz (b, q) at logits z, the focusing weights differentiated too. By dp/dz = p (1 - p):

        dL+/dp = γ+ (1 - p)^(γ+ - 1) ln p - (1 - p)^γ+ / p
        dL+/dz = γ+ p (1 - p)^γ+ ln p - (1 - p)^(γ+ + 1)
        dL-/dz = p (1 - p) (p_m^γ- / (1 - p_m) - γ- p_m^(γ- - 1) ln(1 - p_m))    if p > m, else 0

    0 where p is clamped. With γ- = 0 and m > 0 the loss has a kink at p = m; the left side's 0 is
    taken.
    """
    y, p = np.asarray(y), sigmoid(logits)
    gradient = np.zeros(p.shape)
    for entry in np.ndindex(*p.shape):
        one = p[entry]
        if not EPSILON < one < 1 - EPSILON:
            continue
        if y[entry] == 1:
            focusing = gamma_positive * one * (1 - one) ** gamma_positive * np.log(one)
            gradient[entry] = focusing - (1 - one) ** (gamma_positive + 1)
        elif one > margin:
            p_m = one - margin
            plain = p_m**gamma_negative / (1 - p_m)
            focusing = gamma_negative * p_m ** (gamma_negative - 1) * np.log(1 - p_m)
            gradient[entry] = one * (1 - one) * (plain - focusing)
    return gradient


def numeric_logit_gradient(
    y, logits, gamma_positive=0.0, gamma_negative=4.0, margin=0.05, step=1e-5
):
    """The same by central differences; wrong by about `step` where a kink lies within it."""
    settings = (gamma_positive, gamma_negative, margin)
    above = asymmetric_loss(y, sigmoid(np.asarray(logits) + step), *settings)
    below = asymmetric_loss(y, sigmoid(np.asarray(logits) - step), *settings)
    return (above - below) / (2 * step)
