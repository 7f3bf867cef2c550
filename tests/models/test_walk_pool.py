"""WalkPool against its definition: full matrices, powers and traces."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgc.graph import batch, from_edges, layout
from jgc.models.walk_pool import _pair, pair_features

# A pair (0, 3) in a graph with a triangle, a tail, and node 5 without any edge; nodes 3 and 0 of
# the others have no neighbour but each other, or one side only.
GRAPHS = {
    "both sides": (6, [(0, 1), (1, 2), (2, 0), (2, 3), (3, 4)], (0, 3)),
    "no neighbours": (3, [(1, 2)], (2, 0)),
    "one side": (4, [(0, 1), (1, 2)], (3, 0)),
    "alone": (2, [], (0, 1)),
}
WALKS, HEADS = 7, 2


def marked(n_node, edges, pair):
    both = [*edges, *((b, a) for a, b in edges), pair, pair[::-1]]
    if pair in edges or pair[::-1] in edges:
        raise ValueError("the pair's edges are there once, marked")
    mark = np.zeros((len(both), 1), np.float32)
    mark[-2:] = 1
    senders, receivers = zip(*both, strict=True)
    return from_edges(senders, receivers, nodes=np.ones((n_node, 1), np.float32), edges=mark)


def scores_of(at):
    count = np.arange(at.edges.n_entry * HEADS)
    return jnp.asarray(2 * np.sin(2.3 * count), jnp.float32).reshape(-1, HEADS)


def features(graph, scores, at):
    mark = jnp.asarray(graph.edges)[at.edges.order][:, 0] == 1
    return pair_features(scores, _pair(mark, at), at, WALKS)


def by_definition(graph, scores, at, pair):
    """Authors' way: both walks as full matrices, their powers and traces."""
    n_node = graph.nodes.shape[0]
    rows, cols = np.asarray(at.edges.rows), np.asarray(at.edges.cols)
    own = np.asarray(graph.edges)[at.edges.order][:, 0] == 1
    found = []
    for head in range(HEADS):
        walks = []
        for kept in (np.ones_like(own), ~own):
            m = np.zeros((n_node, n_node))
            m[rows[kept], cols[kept]] = np.exp(np.asarray(scores, float)[kept, head])
            walks.append(m / np.maximum(m.sum(1, keepdims=True), 1e-30))
        i, j = pair
        powers = [[np.linalg.matrix_power(m, k) for k in range(2, WALKS + 2)] for m in walks]
        linked = 1 / (1 + np.exp(-np.asarray(scores, float)[own, head]))
        columns = [
            [p[i, i] + p[j, j] for p in powers[0]],
            [p[i, i] + p[j, j] for p in powers[1]],
            [p[i, j] + p[j, i] for p in powers[0]],
            [p[i, j] + p[j, i] for p in powers[1]],
            [np.trace(a) - np.trace(b) for a, b in zip(*powers, strict=True)],
        ]
        found.append(np.concatenate([[linked.sum()], *columns]))
    return np.stack(found)


@pytest.mark.parametrize("name", GRAPHS)
def test_features_are_those_of_full_matrices(name):
    n_node, edges, pair = GRAPHS[name]
    graph = marked(n_node, edges, pair)
    at = layout(graph)
    scores = scores_of(at)
    got = features(graph, scores, at)
    assert got.shape == (1, HEADS, 5 * WALKS + 1)
    np.testing.assert_allclose(got[0], by_definition(graph, scores, at, pair), atol=2e-6)


def test_a_batch_is_its_pairs_one_by_one():
    graphs = [marked(*graph) for graph in GRAPHS.values()]
    joined, ats = batch(graphs), [layout(graph) for graph in graphs]
    # Edges of a batch are its graphs' edges in turn, sorted graph by graph.
    scores = [scores_of(at) for at in ats]
    got = features(joined, jnp.concatenate(scores), layout(joined))
    alone = [features(*one) for one in zip(graphs, scores, ats, strict=True)]
    np.testing.assert_allclose(got, jnp.concatenate(alone), atol=1e-6)


def test_gradients_are_finite_and_those_of_differences():
    graph = marked(*GRAPHS["both sides"])
    at = layout(graph)
    scores = scores_of(at)
    weights = jnp.sin(jnp.arange(HEADS * (5 * WALKS + 1.0))).reshape(HEADS, -1)

    @jax.jit
    def loss(scores):
        return (features(graph, scores, at)[0] * weights).sum()

    gradient, h = jax.grad(loss)(scores), 1e-2
    steps = jnp.eye(scores.size).reshape(-1, *scores.shape) * h
    slopes = jnp.stack([(loss(scores + s) - loss(scores - s)) / (2 * h) for s in steps])
    np.testing.assert_allclose(gradient.ravel(), slopes, atol=5e-3)
    lonely = marked(*GRAPHS["alone"])
    at = layout(lonely)
    alone = jax.grad(lambda s: features(lonely, s, at).sum())(scores_of(at))
    assert np.isfinite(alone).all()
