"""Major feature weakening as its formulas say it: float64, loops, no speed.

Written from the formulas alone (section 8), never from the package.

What must hold: a sample of the smallest class is never weakened, in either mode; nor is any, where
all classes are of one size; no strength passes the largest strength.
"""

import numpy as np


def sample_sizes(y, counts):
    """8.2, 8.3: N (b,), the size of each sample's rarest positive label, of `counts` (q,).

    On one-hot `y` (b, q) that is the size of its class. No positives: the largest size.
    """
    sizes = np.zeros(len(y))
    for i, row in enumerate(np.asarray(y)):
        held = [counts[c] for c in range(len(counts)) if row[c] == 1]
        sizes[i] = min(held) if held else max(counts)
    return sizes


def strength(sizes_of_samples, smallest, largest_strength=0.5, exponent=0.5):
    """8.2, mode "absolute": a (b,) = a_max (1 - (N_min / N)^γ)."""
    return np.array(
        [largest_strength * (1 - (smallest / size) ** exponent) for size in sizes_of_samples]
    )


def relative_strength(sizes, partner_sizes, largest_strength=0.5, exponent=0.5):
    """8.2, mode "relative": a (b,) = a_max max(0, 2 N^γ / (N^γ + M^γ) - 1), M the partner's."""
    a = np.zeros(len(sizes))
    for i, (own, other) in enumerate(zip(sizes, partner_sizes, strict=True)):
        own, other = float(own) ** exponent, float(other) ** exponent
        a[i] = largest_strength * max(0.0, 2 * own / (own + other) - 1)
    return a


def weaken(features, partners, strength):
    """8.1: f̃_i = (1 - a_i) f_i + a_i f_m, with m = `partners`[i], of features (b, ...).

    Partners are taken as they were before any mixing.
    """
    features = np.asarray(features, np.float64)
    mixed = np.zeros(features.shape)
    for i, m in enumerate(partners):
        mixed[i] = (1 - strength[i]) * features[i] + strength[i] * features[m]
    return mixed


def softmax(logits):
    """Of each row of logits (b, q)."""
    e = np.exp(logits - np.max(logits, axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def sigmoid(logits):
    """Of each entry of logits (b, q)."""
    return 1 / (1 + np.exp(-np.asarray(logits, np.float64)))


def softmax_feature_gradient(logits, y_onehot, kernel):
    """8.4: (b, d), of the cross-entropy at the features, (softmax - y) Wᵀ; `kernel` W (d, q)."""
    return (softmax(logits) - y_onehot) @ np.asarray(kernel, np.float64).T


def sigmoid_feature_gradient(logits, y, kernel):
    """8.4: (b, d), of the binary cross-entropy summed over labels, (σ - y) Wᵀ."""
    return (sigmoid(logits) - y) @ np.asarray(kernel, np.float64).T


def mean_norms(gradients, y):
    """8.4: (q,), the mean Euclidean norm over the samples that hold each label; none: NaN."""
    norms = np.sqrt(np.sum(np.square(gradients), axis=1))
    y = np.asarray(y)
    means = np.full(y.shape[1], np.nan)
    for c in range(y.shape[1]):
        if np.any(y[:, c] == 1):
            means[c] = np.mean(norms[y[:, c] == 1])
    return means
