"""The best nodes of every graph."""

import math

import jax
import numpy as np
import pytest

from jgc.graph import batch, from_edges, layout, pad, pool, top_nodes

SIZES = (5, 1, 4)


def joined():
    return batch([from_edges([], [], nodes=np.ones((n, 1))) for n in SIZES])


def kept_of(nodes, kept, graph):
    mask = np.asarray(kept.node_mask) & (np.asarray(kept.node_graph) == graph)
    return np.asarray(nodes)[mask].tolist()


@pytest.mark.parametrize("ratio", [0.3, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("extra", [0, 7])
def test_every_graph_keeps_its_best(ratio, extra):
    graph = pad(joined(), n_node=10 + extra + 1, n_edge=3, n_graph=5) if extra else joined()
    scores = np.random.default_rng(0).normal(size=graph.nodes.shape[0]).astype(np.float32)
    scores[10:] = 100
    at = layout(graph)
    selection, kept = jax.jit(top_nodes, static_argnums=2)(scores, at, ratio)
    nodes = selection.nodes
    starts = np.append(0, np.cumsum(SIZES))
    for g, n in enumerate(SIZES):
        order = starts[g] + np.argsort(-scores[starts[g] : starts[g + 1]], kind="stable")
        assert kept_of(nodes, kept, g) == order[: math.ceil(ratio * n)].tolist()
    assert kept.node_mask.sum() == sum(math.ceil(ratio * n) for n in SIZES)
    assert (nodes[~kept.node_mask] == at.n_node).all()
    assert kept.graph_mask.tolist() == [*at.graph_mask.tolist(), False]
    sums = pool(np.ones((kept.n_node, 1), np.float32), kept)[:, 0]
    assert sums[:3].tolist() == [math.ceil(ratio * n) for n in SIZES]


def test_ties_go_to_the_lower_index_and_levels_stack():
    first, kept = top_nodes(np.zeros(10), layout(joined()), 0.5)
    assert [kept_of(first.nodes, kept, g) for g in range(3)] == [[0, 1, 2], [5], [6, 7]]
    again, fewer = top_nodes(np.arange(kept.n_node), kept, 0.5)
    assert [kept_of(again.nodes, fewer, g) for g in range(3)] == [[2, 1], [3], [5]]


def test_rows_move_to_their_slots_and_gradients_back():
    scores = np.random.default_rng(1).normal(size=10).astype(np.float32)
    selection, kept = top_nodes(scores, layout(joined()), 0.5)
    x = np.random.default_rng(2).normal(size=(10, 2)).astype(np.float32)
    moved = np.asarray(selection.rows(x))
    real = np.asarray(kept.node_mask)
    np.testing.assert_array_equal(moved[real], x[np.asarray(selection.nodes)[real]])
    assert not real.all() and (moved[~real] == 0).all()
    weights = np.random.default_rng(3).normal(size=moved.shape).astype(np.float32)
    gradient = np.asarray(jax.grad(lambda x: (selection.rows(x) * weights).sum())(x))
    expected = np.zeros_like(x)
    expected[np.asarray(selection.nodes)[real]] = weights[real]
    np.testing.assert_array_equal(gradient, expected)


@pytest.mark.parametrize("ratio", [0.0, 1.5])
def test_a_ratio_outside_its_range_is_an_error(ratio):
    with pytest.raises(ValueError, match=f"`ratio` is a share.*got {ratio}"):
        top_nodes(np.zeros(10), layout(joined()), ratio)
