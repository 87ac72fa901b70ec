"""Both ways to the Gram matrix, and to the scores, against loops; and which way is taken."""

import numpy as np
import pytest
import tensorflow as tf

from tfmlselect.labels import Labels
from tfmlselect.scoring import row_chunks
from tfmlselect.scoring.correlations import (
    PairContext,
    PairGram,
    ProductContext,
    ProductGram,
    cosine_correlation,
    make_context,
    make_gram,
)
from tfmlselect.scoring.memories import Memory

N, Q = 11, 6


def make_case(name):
    """Labels and context (n, q) uint8."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, (N, Q), np.uint8)
    if name == "holes":
        y[::3], y[:, 2] = 0, 0
    elif name == "none":
        y[:] = 0
    elif name == "all":
        y[:] = 1
    return y, np.maximum(y, rng.integers(0, 2, (N, Q), np.uint8))


def make_signal(n=N, q=Q, seed=1):
    table = np.random.default_rng(seed).random((n, q)).astype(np.float32)
    memory = Memory(n, q, 0.0, "signal")
    memory.variable.assign(table)
    return memory, table.astype(np.float64)


def gram_by_loops(table, y):
    gram = np.zeros((y.shape[1], y.shape[1]))
    for m, labels in zip(table, y, strict=True):
        for j in np.flatnonzero(labels):
            for k in np.flatnonzero(labels):
                gram[j, k] += m[j] * m[k]
    return gram


def score_by_loops(table, y, context, weight, correlation):
    scores = np.zeros(len(y))
    for i, m in enumerate(table):
        for j, value in enumerate(m * weight):
            support = sum(correlation[j, k] for k in np.flatnonzero(context[i]))
            scores[i] += value + y[i, j] * value * support
    return scores


@pytest.fixture(params=[1, 4, 100])
def _chunks(request, monkeypatch):
    """Rows a chunk."""
    monkeypatch.setattr(row_chunks, "CHUNK_ENTRIES", Q * request.param)


@pytest.mark.usefixtures("_chunks")
@pytest.mark.parametrize("kind", [PairGram, ProductGram])
@pytest.mark.parametrize("name", ["random", "holes", "none", "all"])
def test_gram(kind, name):
    y, _ = make_case(name)
    signal, table = make_signal()
    gram = kind(y)(signal)
    assert gram.dtype == tf.float64
    np.testing.assert_allclose(gram, gram_by_loops(table, y), rtol=1e-6)


@pytest.mark.usefixtures("_chunks")
@pytest.mark.parametrize("kind", [PairContext, ProductContext])
@pytest.mark.parametrize("name", ["random", "holes", "none", "all"])
def test_scores(kind, name):
    y, context = make_case(name)
    rng = np.random.default_rng(2)
    signals, tables = zip(make_signal(seed=1), make_signal(seed=2), strict=True)
    weights = rng.random((2, Q)).astype(np.float32)
    correlations = rng.random((2, Q, Q)).astype(np.float32)  # not symmetric, as C is not
    scores = kind(y, context).scores(signals, tf.unstack(weights), tf.unstack(correlations))
    assert len(scores) == 2
    for score, *one in zip(scores, tables, weights, correlations, strict=True):
        table, weight, correlation = one
        expected = score_by_loops(table, y, context, weight, correlation)
        assert score.dtype == tf.float32
        np.testing.assert_allclose(score, expected, rtol=1e-5)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("name", ["holes", "none"])
def test_pairs_and_products_agree_in_a_graph(name, jit_compile):
    y, context = make_case(name)
    signal, _ = make_signal()

    @tf.function(jit_compile=jit_compile)
    def both(kind_of_gram, kind_of_context):
        correlation = cosine_correlation(kind_of_gram(y)(signal))
        correlation = tf.cast(correlation, tf.float32)
        return kind_of_context(y, context).scores([signal], [tf.ones([Q])], [correlation])[0]

    pairs, products = both(PairGram, PairContext), both(ProductGram, ProductContext)
    np.testing.assert_allclose(pairs, products, rtol=1e-5)


def labels_of(cardinality, n=30, q=200):
    y = np.zeros((n, q), np.uint8)
    y[:, :cardinality] = 1
    return y


@pytest.mark.parametrize(
    ("cardinality", "q", "kind"),
    [
        (0, 200, "Pair"),
        (3, 200, "Pair"),  # 9 pairs a sample; 1000 * 9 < 200 * 200
        (7, 200, "Product"),  # 49 pairs, too much work
        (22, 2000, "Pair"),  # 484 pairs, less than a quarter of 2000
        (23, 2000, "Product"),  # 529 pairs: little work, but too much memory
        (3, 20, "Product"),  # few labels: products are cheap
    ],
)
def test_the_cheaper_way_is_taken(cardinality, q, kind):
    y = labels_of(cardinality, q=q)
    assert type(make_gram(Labels(y, False))).__name__ == f"{kind}Gram"
    assert type(make_context(y, y)).__name__ == f"{kind}Context"


def test_a_wide_context_is_multiplied_out():
    y = labels_of(3)
    assert isinstance(make_context(y, labels_of(14)), ProductContext)  # 42 pairs
    assert isinstance(make_context(y, labels_of(13)), PairContext)  # 39 pairs
