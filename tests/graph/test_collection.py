"""Batches drawn on the device are the batches that the host would build."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgc.graph import (
    Budget,
    aggregate,
    batch,
    collection,
    draw,
    from_edges,
    layout,
    pack,
    pad,
    pool,
    sparse_rows,
)
from tests.graph.cases import check_structure, random_graph

BUDGET = Budget(n_node=24, n_edge=40, n_graph=5)


def graphs_of_many_sizes(d_edge=1):
    sizes = [(3, 5), (1, 0), (6, 9), (2, 4), (5, 0), (4, 12), (1, 1)]
    return [
        random_graph(i, n_node=n, n_edge=e, d=2, d_edge=d_edge) for i, (n, e) in enumerate(sizes)
    ]


GRAPHS = graphs_of_many_sizes()
draw_in_program = functools.partial(jax.jit(draw, static_argnums=(2, 3)), collection(GRAPHS))
CHOICES = {
    "four": [5, 0, 2, 3],
    "one twice": [2, 2, 0, 6],
    "with edgeless": [1, 4, 5, 1],
    "two of four": [3, 0, 7, 7],
    "a gap": [3, 7, 0, 7],
    "none": [7, 7, 7, 7],
}


def on_host(ids):
    """The same batch by `batch` and `pad`, edges sorted as a drawn batch has them."""
    chosen = [GRAPHS[i] for i in ids if i < len(GRAPHS)]
    return pad(batch(chosen), n_node=BUDGET.n_node, n_edge=BUDGET.n_edge, n_graph=BUDGET.n_graph)


@pytest.mark.parametrize("name", CHOICES)
def test_structures_hold_their_invariants(name):
    graph, at = draw_in_program(jnp.array(CHOICES[name]), BUDGET, "segment")
    check_structure(at.edges, graph.receivers, graph.senders)
    check_structure(at.members, at.node_graph, np.arange(BUDGET.n_node))
    assert (graph.n_node.sum(), graph.n_edge.sum()) == BUDGET[:2]
    assert graph.globals["real"].tolist() == [i < 7 for i in CHOICES[name]] + [False]
    assert at.node_mask.sum() == sum(GRAPHS[i].n_node[0] for i in CHOICES[name] if i < 7)
    assert at.edge_mask.sum() == sum(GRAPHS[i].n_edge[0] for i in CHOICES[name] if i < 7)


@pytest.mark.parametrize("name", ["four", "one twice", "with edgeless", "two of four"])
def test_a_drawn_batch_is_the_batch_of_the_host(name):
    ids = CHOICES[name]
    drawn, at = draw_in_program(jnp.array(ids), BUDGET, "segment")
    graph = on_host(ids)
    expected = layout(graph, "segment")
    real, real_edges = np.asarray(expected.node_mask), np.asarray(expected.edge_mask)
    np.testing.assert_array_equal(at.node_mask, real)
    np.testing.assert_array_equal(at.edge_mask, real_edges)
    np.testing.assert_array_equal(at.graph_mask, expected.graph_mask)
    np.testing.assert_array_equal(drawn.nodes, graph.nodes)
    np.testing.assert_array_equal(drawn.edges, graph.edges[np.asarray(expected.edges.order)])
    for one, other in (
        (at.edges.rows[real_edges], expected.edges.rows[real_edges]),
        (at.edges.cols[real_edges], expected.edges.cols[real_edges]),
        (at.in_degree[real], expected.in_degree[real]),
        (at.out_degree[real], expected.out_degree[real]),
        (at.loops[real], expected.loops[real]),
        (at.node_graph[real], expected.node_graph[real]),
    ):
        np.testing.assert_array_equal(one, other)
    for reduce in ("sum", "max"):
        np.testing.assert_array_equal(
            aggregate(drawn.nodes, at, reduce=reduce)[real],
            aggregate(graph.nodes, expected, reduce=reduce)[real],
        )
        np.testing.assert_array_equal(
            pool(drawn.nodes, at, reduce), pool(graph.nodes, expected, reduce)
        )


def test_gradients_flow_as_on_the_host():
    ids = CHOICES["four"]
    drawn, at = draw_in_program(jnp.array(ids), BUDGET, "segment")
    graph = on_host(ids)

    @jax.jit
    def gradient(nodes, at):
        return jax.grad(lambda x: jnp.sin(pool(aggregate(x, at) ** 2, at)).sum())(nodes)

    got, expected = gradient(drawn.nodes, at), gradient(graph.nodes, layout(graph, "segment"))
    # The order of edges of one sender differs: sums of a few float32 numbers near 10.
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-4)


def test_one_program_serves_every_draw():
    traces = []

    @jax.jit
    def step(graphs, ids):
        traces.append(1)
        graph, at = draw(graphs, ids, BUDGET)
        return pool(graph.nodes, at)

    for ids in CHOICES.values():
        step(collection(GRAPHS), jnp.array(ids))
    assert len(traces) == 1


def test_sets_without_edges_or_edge_features():
    edgeless = [from_edges([], [], n_node=n, nodes=np.full((n, 1), n)) for n in (2, 3)]
    graph, at = draw(collection(edgeless), jnp.array([1, 0]), Budget(6, 2, 3))
    assert graph.nodes[:, 0].tolist() == [3, 3, 3, 2, 2, 0] and graph.edges is None
    check_structure(at.edges, graph.receivers, graph.senders)
    assert aggregate(graph.nodes, at)[:5].tolist() == [[0]] * 5
    _, at = draw(collection(edgeless), jnp.array([1, 0]), Budget(6, 0, 3))
    check_structure(at.edges)
    assert aggregate(graph.nodes, at).tolist() == [[0]] * 6


@pytest.mark.parametrize(
    "graphs, message",
    [
        ([], "`graphs` is empty; a collection needs at least one"),
        ([GRAPHS[0], from_edges([0], [1])], "Graph 1 has no node features"),
        ([GRAPHS[0], random_graph(0, d=3, d_edge=1)], "`nodes` of graph 0 and graph 1 .*2 and 3"),
        ([GRAPHS[0], random_graph(0, d=2)], "`edges` of graph 0 and graph 1 .* 1 and None"),
        ([random_graph(0, d=2), GRAPHS[0]], "`edges` of graph 0 and graph 1 .* None and 1"),
        ([GRAPHS[0]._replace(nodes=sparse_rows(np.eye(3, 2)))], "Graph 0 has sparse"),
        ([GRAPHS[0], batch(GRAPHS[:2])], "Graph 1 is a batch of 2"),
    ],
)
def test_what_is_no_set_of_graphs_is_refused(graphs, message):
    with pytest.raises(ValueError, match=message):
        collection(graphs)


@pytest.mark.parametrize("seed", range(5))
def test_packing_takes_each_graph_once_within_the_budget(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers([1, 0], [12, 30], (50, 2))
    order = rng.permutation(50)[: 50 - seed]
    packed = pack(sizes, order, BUDGET)
    assert packed.dtype == np.int32 and packed.shape[1] == BUDGET.n_graph - 1
    assert sorted(packed[packed < 50]) == sorted(order)
    of_batch = np.vstack([sizes, [0, 0]])[packed].sum(1)
    assert (of_batch <= [BUDGET.n_node - 1, BUDGET.n_edge]).all()
    assert (packed[:, 0] < 50).all()
    # First fit keeps the batches well filled: no two neighbours would fit into one.
    together = (of_batch[:-1] + of_batch[1:] <= [BUDGET.n_node - 1, BUDGET.n_edge]).all(1)
    counts = (packed < 50).sum(1)
    assert not (together & (counts[:-1] + counts[1:] <= BUDGET.n_graph - 1)).any()


def test_packing_to_a_fixed_number_of_batches():
    sizes = np.array([[2, 1], [3, 1], [2, 1]])
    budget = Budget(5, 4, 3)
    assert pack(sizes, np.arange(3), budget, 3).tolist() == [[0, 2], [1, 3], [3, 3]]
    assert pack(sizes, np.array([], int), budget, 1).tolist() == [[3, 3]]
    with pytest.raises(ValueError, match="`n_batch`=1 is too small: 2 batches are needed"):
        pack(sizes, np.arange(3), budget, 1)
    with pytest.raises(ValueError, match=r"Graph 1 has \[5, 1\] nodes and edges; .* \[4, 4\]"):
        pack(np.array([[2, 1], [5, 1]]), np.arange(2), budget)
