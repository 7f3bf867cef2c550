"""`Layout`: by hand, on the host as in a compiled program, and the choice of the back end."""

import jax
import numpy as np
import pytest
from jax import export

from jgc import native
from jgc.graph import (
    GraphsTuple,
    aggregate,
    batch,
    edge_mask,
    explain_backend,
    from_edges,
    layout,
    pad,
    pool,
    sparse_rows,
)
from tests.graph.cases import GRAPHS, check_structure, mixed, random_graph


def test_by_hand():
    graph = pad(
        batch([from_edges([1, 0, 2], [2, 0, 2]), from_edges([0], [1])]),
        n_node=7, n_edge=5, n_graph=3,
    )  # fmt: skip
    at = layout(graph)
    assert at.edges.rows.tolist() == [0, 2, 2, 4, 5] and at.edges.cols.tolist() == [0, 1, 2, 3, 5]
    assert at.node_graph.tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert at.node_mask.tolist() == [True] * 5 + [False] * 2
    assert at.edge_mask.tolist() == [True] * 4 + [False]
    assert at.graph_mask.tolist() == [True, True, False]
    assert at.loops.tolist() == [1, 0, 1, 0, 0, 1, 0]
    assert at.in_degree.tolist() == [1, 0, 2, 0, 1, 1, 0]
    assert at.out_degree.tolist() == [1, 1, 1, 1, 0, 1, 0]
    assert at.n_node == 7


@pytest.mark.parametrize("name", GRAPHS)
def test_structures_hold_their_invariants(name):
    graph = GRAPHS[name]
    at = layout(graph)
    check_structure(at.edges, graph.receivers, graph.senders)
    check_structure(at.members, np.zeros(at.n_node, int), np.arange(at.n_node))


@pytest.mark.parametrize("backend", ["segment", "bcsr", "scatter"])
@pytest.mark.parametrize("marked", [True, False])
def test_traced_layout_is_that_of_the_host(backend, marked):
    graph = pad(random_graph(0, d=2), n_node=9, n_edge=14, n_graph=3)
    graph = graph if marked else graph._replace(globals=None)
    traced = jax.jit(lambda graph: layout(graph, backend))(graph)
    host = layout(graph, backend)
    assert jax.tree.structure(traced) == jax.tree.structure(host)
    for (path, got), expected in zip(
        jax.tree_util.tree_leaves_with_path(traced), jax.tree.leaves(host), strict=True
    ):
        np.testing.assert_array_equal(got, expected, err_msg=jax.tree_util.keystr(path))
        assert got.dtype == expected.dtype


def test_scatter_leaves_edges_in_the_callers_order():
    at = layout(from_edges([1, 0, 2, 2], [2, 0, 0, 2]), "scatter")
    assert at.edges.rows.tolist() == [2, 0, 0, 2] and at.edges.cols.tolist() == [1, 0, 2, 2]
    assert at.edges.order.tolist() == [0, 1, 2, 3]
    assert at.in_degree.tolist() == [2, 0, 2] and at.out_degree.tolist() == [1, 1, 2]
    assert at.loops.tolist() == [1, 0, 1]


@pytest.mark.parametrize("backend", ["segment", "scatter"])
def test_sizes_may_be_symbols(backend):
    def run(nodes, senders, receivers, sizes):
        graph = GraphsTuple(nodes, None, receivers, senders, None, sizes, sizes)
        at = layout(graph, backend)
        return pool(aggregate(nodes, at) + at.loops[:, None], at)

    shapes = export.symbolic_shape("n_node, n_edge, n_graph")
    ids = [jax.ShapeDtypeStruct((n,), np.int32) for n in (shapes[1], shapes[1], shapes[2])]
    nodes = jax.ShapeDtypeStruct((shapes[0], 2), np.float32)
    program = export.export(jax.jit(run))(nodes, *ids)
    for graph in (batch([from_edges([1, 0, 2], [2, 0, 2]), from_edges([0], [1])]), mixed()):
        nodes = np.arange(2.0 * graph.n_node.sum(), dtype=np.float32).reshape(-1, 2)
        args = nodes, graph.senders, graph.receivers, graph.n_node
        np.testing.assert_array_equal(program.call(*args), run(*args))


def test_edge_mask_follows_the_edges_into_layout_order():
    graph = pad(from_edges([0, 1], [1, 0]), n_node=3, n_edge=4, n_graph=2)
    # A batch whose padding stands first, as a foreign program may build it.
    swapped = graph._replace(
        senders=np.array([2, 2, 1, 0]), receivers=np.array([2, 2, 0, 1]),
        n_node=np.array([0, 3]), n_edge=np.array([2, 2]),
        globals={"real": np.array([False, True])},
    )  # fmt: skip
    assert edge_mask(swapped).tolist() == [False, False, True, True]
    assert layout(swapped).edge_mask.tolist() == [True, True, False, False]


def test_a_traced_graph_needs_features_to_tell_its_size():
    with pytest.raises(ValueError, match="A traced graph needs node features"):
        jax.jit(layout)(mixed())
    features = sparse_rows(np.eye(6))
    assert jax.jit(layout)(mixed(features)).n_node == 6


def test_the_choice_of_the_back_end_can_be_asked_and_made():
    one = explain_backend(mixed())
    if jax.default_backend() == "cpu":
        assert one.backend == ("native" if native.status().ready else "bcsr")
    assert layout(mixed()).backend == one.backend and len(one.reason) > 20
    assert layout(mixed(), "segment").backend == "segment"
    with pytest.raises(ValueError, match=r"`backend` must be one of .*'bcsr'.*got 'csr'"):
        layout(mixed(), "csr")


def test_a_program_compiles_once_for_layouts_of_one_shape():
    traces = []

    @jax.jit
    def run(values, at):
        traces.append(1)
        return aggregate(values, at)

    for seed in range(3):
        run(np.ones((6, 2), np.float32), layout(random_graph(seed)))
    assert len(traces) == 1
