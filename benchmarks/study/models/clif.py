"""CLIF: label embeddings from a graph network gate the features for each label."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from benchmarks.study.models.base import OwnLossModel, label_losses
from benchmarks.study.models.layers import PerLabelLogits, mlp

ADJACENCIES = ("conditional", "identity")
WIDTH = 768
SLOPE = 0.1


def build(x: np.ndarray, y: np.ndarray, adjacency: str = "conditional") -> tf.keras.Model:
    """CLIF with the graph of the labels in y.

    Args:
        x: (n, d) float32; of it, d.
        y: (n, q) 0/1; its labels are the nodes of the graph.
        adjacency: "conditional", the symmetric conditional probabilities of `label_graph`, or
            "identity", with which the authors' released runs were made.

    Raises:
        ValueError: there is no such adjacency.
    """
    if adjacency not in ADJACENCIES:
        raise ValueError(
            f"No such graph of labels. Received: adjacency={adjacency!r}. Take one of "
            f"{', '.join(map(repr, ADJACENCIES))}."
        )
    identity = np.eye(y.shape[1], dtype="float32")
    model = CLIF(identity if adjacency == "identity" else label_graph(y))
    model.make_weights(x, y)
    return model


def label_graph(y: np.ndarray) -> np.ndarray:
    """A (q, q) float32: A_jk = ½ (n_jk / c_j + n_jk / c_k), of pair counts n and label counts c.

    A label without positives has no edge. Ours: no edge from a label to itself. The graph layers
    add the node itself, and the target of its cosine is then 1.
    """
    y = np.asarray(y, "float64")
    pairs = y.T @ y
    conditional = pairs / np.maximum(np.diag(pairs), 1)  # column k: P(j | k)
    graph = (conditional + conditional.T) / 2
    np.fill_diagonal(graph, 0)
    return graph.astype("float32")


class GraphIsomorphism(tf.keras.layers.Layer):
    """h (q, f) to MLP((1 + ε) h + A h) + h, with ε learned.

    The MLP is f → ceil(f / 2) → f: dense, batch norm, leaky relu, dropout 0.2, twice. Its batch is
    the q nodes.
    """

    def __init__(self, graph: np.ndarray, **options):
        super().__init__(**options)
        self.graph = tf.constant(graph)

    def build(self, shape):
        """Makes ε, which starts at 0, and the layers."""
        self.epsilon = self.add_weight(shape=(), initializer="zeros", name="epsilon")
        layers = tf.keras.layers
        steps: list[tf.keras.layers.Layer] = []
        for width in (math.ceil(shape[-1] / 2), shape[-1]):
            steps += [layers.Dense(width), layers.BatchNormalization(momentum=0.9)]
            steps += [layers.LeakyReLU(SLOPE), layers.Dropout(0.2)]
        self.mlp = tf.keras.Sequential(steps)

    def call(self, h, training=None):
        """The next embeddings (q, f)."""
        return self.mlp((1 + self.epsilon) * h + self.graph @ h, training=training) + h


class CLIF(OwnLossModel):
    """Features (b, d) to probabilities (b, q).

    The label embedding E (q, q) comes from fixed random-normal nodes (q, q) by two graph layers.
    X = MLP(d → 768 → 768 → 768) and the gates G = dense(E) (q, 768) give H_ij = leaky_relu(
    dense_768(X_i ∘ G_j)), and each label has its weights on H_ij. The loss is the mean binary
    cross-entropy + 1e-3 · mean over j, k of (cos(E_j, E_k) - (A + I)_jk)².

    Ours, where the paper's text leaves it open: leaky relu of slope 0.1 everywhere; the momentum
    0.9 of batch norm, whose batch is the same nodes in every step; the gates are linear.

    Args:
        graph: A (q, q) float32.

    References:
        Hang and Zhang, "Collaborative Learning of Label Semantics and Deep Label-Specific Features
        for Multi-Label Classification", IEEE TPAMI 44(12), 2022.
    """

    def __init__(self, graph: np.ndarray):
        super().__init__(name="clif")
        q = len(graph)
        self.target = tf.constant(graph + np.eye(q, dtype="float32"))
        start = tf.keras.initializers.RandomNormal(0, 1)
        self.nodes = self.add_weight(shape=(q, q), initializer=start, trainable=False, name="nodes")
        self.graph_layers = [GraphIsomorphism(graph) for _ in range(2)]
        self.encoder = mlp([WIDTH] * 3, tf.keras.layers.LeakyReLU(SLOPE), dropout=0.2)
        self.gate = tf.keras.layers.Dense(WIDTH, name="gate")
        self.specific = tf.keras.layers.Dense(WIDTH, name="specific")
        self.classifier = PerLabelLogits(q, name="classifier")

    def embed_labels(self, training: bool = False) -> tf.Tensor:
        """E (q, q)."""
        embedding = tf.convert_to_tensor(self.nodes)
        for layer in self.graph_layers:
            embedding = layer(embedding, training=training)
        return embedding

    def call(self, x, training=False):
        """Probabilities (b, q)."""
        embedding = self.embed_labels(training)
        self.add_loss(1e-3 * self.correlation_term(embedding))
        gates = self.gate(embedding)  # (q, 768)
        features = self.encoder(x, training=training)[:, None] * gates  # (b, q, 768)
        hidden = tf.nn.leaky_relu(self.specific(features), SLOPE)
        return tf.keras.activations.sigmoid(self.classifier(hidden))

    def correlation_term(self, embedding: tf.Tensor) -> tf.Tensor:
        """How far the cosines of the labels' embeddings (q, q) are from A + I: a scalar."""
        unit = tf.math.l2_normalize(embedding, axis=1)
        return tf.reduce_mean((tf.matmul(unit, unit, transpose_b=True) - self.target) ** 2)

    def sample_losses(self, x, y, y_pred, training):
        """The cross-entropy, mean over labels: (b,)."""
        return tf.reduce_mean(label_losses(y, y_pred), axis=1)
