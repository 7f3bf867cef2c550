"""HGP-SL against the paper's equations, one graph after another in numpy."""

import math

import jax
import numpy as np
import pytest

from jgc.graph import batch, coalesce, from_edges, layout, pad
from jgc.models import HGPSL, for_task
from tests.models.cases import edgeless, variables, wave
from tests.models.test_sparsemax import by_sorting

MODEL = HGPSL(hidden=4, out=3, dropout=0.0)


def ring(n, phase):
    """A ring of `n` nodes with one chord."""
    ends = np.arange(n)
    senders, receivers = np.append(ends, 0), np.append((ends + 1) % n, n // 2)
    return coalesce(from_edges(senders, receivers, nodes=wave((n, 5), phase), undirected=True))


def by_hand(p, graph):
    """The answer for one graph, with its whole adjacency in view."""
    x, n = graph.nodes.astype(np.float64), graph.nodes.shape[0]
    near = np.zeros((n, n))
    near[graph.receivers, graph.senders] = 1
    looped = near + np.eye(n) * (near.diagonal() == 0)
    root = 1 / np.sqrt(looped.sum(1))
    weights = root[:, None] * looped * root
    mean = near / np.maximum(near.sum(1, keepdims=True), 1)
    total = 0
    for i in (1, 2, 3):
        conv = p[f"conv{i}"]
        x = np.maximum(weights @ (x @ conv["linear"]["kernel"]) + conv["bias"], 0)
        if i < 3:
            score = np.abs(x - mean @ x).sum(1)
            kept = np.argsort(-score, kind="stable")[: math.ceil(len(x) / 2)]
            x, near = x[kept], near[np.ix_(kept, kept)]
            own, other = np.split(p[f"pool{i}"]["attention"][0], 2)
            pairs = (x @ own)[:, None] + x @ other
            pairs = np.where(pairs > 0, pairs, 0.2 * pairs) + near
            weights = mean = near = np.stack([by_sorting(row) for row in pairs])
        total = total + np.maximum(np.concatenate([x.max(0), x.mean(0)]), 0)
    for i in (1, 2):
        total = np.maximum(total @ p[f"head{i}"]["kernel"] + p[f"head{i}"]["bias"], 0)
    return total @ p["head3"]["kernel"] + p["head3"]["bias"]


def answers(graph, weights):
    return np.asarray(jax.jit(MODEL.apply)(weights, graph, layout(graph)))


@pytest.mark.parametrize("sizes", [(7,), (1,), (4, 13, 2, 9)])
def test_equals_the_equations(sizes):
    graphs = [ring(n, phase) for phase, n in enumerate(sizes)] + [edgeless(6)._replace(edges=None)]
    joined = batch(graphs)
    weights = variables(MODEL, joined)
    expected = np.stack([by_hand(weights["params"], graph) for graph in graphs])
    np.testing.assert_allclose(answers(joined, weights), expected, rtol=1e-4, atol=1e-4)
    padded = pad(joined, n_node=60, n_edge=90, n_graph=9)
    beyond = np.arange(60)[:, None] >= joined.nodes.shape[0]
    padded = padded._replace(nodes=np.where(beyond, 100, padded.nodes).astype(np.float32))
    np.testing.assert_allclose(
        answers(padded, weights)[: len(graphs)], expected, rtol=1e-4, atol=1e-4
    )


@pytest.mark.slow
def test_learned_weights_reach_the_gradient():
    graph = batch([ring(9, 0), ring(6, 1)])
    weights = variables(MODEL, graph)

    def loss(params):
        return (MODEL.apply({"params": params}, graph) ** 2).sum()

    gradient = jax.grad(loss)(weights["params"])
    for name in ("pool1", "pool2"):
        assert np.abs(gradient[name]["attention"]).max() > 1e-6
    # Along the gradient the loss changes as it says.
    step = 1e-3 / math.sqrt(sum(float((g**2).sum()) for g in jax.tree.leaves(gradient)))
    ahead, behind = (
        jax.tree.map(lambda p, g, s=s: p + s * step * g, weights["params"], gradient)
        for s in (1, -1)
    )
    expected = 2 * step * sum(float((g**2).sum()) for g in jax.tree.leaves(gradient))
    assert loss(ahead) - loss(behind) == pytest.approx(expected, rel=0.02)


def test_it_is_made_for_graphs_only():
    assert for_task(MODEL, "graph", 7).out == 7
    with pytest.raises(ValueError, match="HGPSL is made for task 'graph', got `task`='node'"):
        for_task(MODEL, "node", 7)
