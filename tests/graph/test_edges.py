"""Self loops, duplicates, degrees and normalised weights, by hand and against scipy."""

import numpy as np
import pytest
import scipy.sparse as sp

from jgc.graph import (
    add_self_loops,
    aggregate,
    batch,
    coalesce,
    drop_edges,
    from_edges,
    in_degree,
    layout,
    normalised_weights,
    out_degree,
    pad,
    remove_self_loops,
)
from tests.graph.cases import GRAPHS, mixed, random_graph


def adjacency(graph, values=None):
    """`[receivers, senders]`, parallel edges summed."""
    n = int(graph.n_node[0])
    values = np.ones(graph.senders.size) if values is None else values
    return sp.coo_array((values, (graph.receivers, graph.senders)), shape=(n, n)).toarray()


def test_degrees_by_hand():
    assert in_degree(mixed()).tolist() == [1, 4, 2, 1, 2, 0]
    assert out_degree(mixed()).tolist() == [3, 2, 1, 2, 2, 0]


@pytest.mark.parametrize("name", GRAPHS)
def test_every_function_takes_every_graph(name):
    graph = GRAPHS[name]
    loops = add_self_loops(graph)
    assert (adjacency(loops).diagonal() == 1).all()
    bare = remove_self_loops(graph)
    assert not adjacency(bare).diagonal().any() and bare.n_edge[0] == bare.senders.size
    assert adjacency(coalesce(graph)).max(initial=0) <= 1
    assert normalised_weights(graph).shape == normalised_weights(graph, "row").shape


def test_a_loop_that_is_there_is_kept_alone():
    graph = from_edges([0, 1, 1], [1, 1, 0], edges=[5.0, 6.0, 7.0])
    loops = add_self_loops(graph, fill=9.0)
    assert loops.senders.tolist() == [0, 1, 1, 0] and loops.edges[:, 0].tolist() == [5, 6, 7, 9]
    assert loops.n_edge.tolist() == [4]
    assert remove_self_loops(loops).edges[:, 0].tolist() == [5, 7]


@pytest.mark.parametrize("name", GRAPHS)
def test_dropped_edges_are_gone_from_every_sum(name):
    graph = GRAPHS[name]
    mask = np.arange(graph.senders.size) % 3 != 1
    less = drop_edges(graph, mask)
    assert less.senders.size == mask.sum() == less.n_edge.sum()
    x = np.arange(float(graph.n_node[0]), dtype=np.float32)[:, None] + 1
    weights = mask[layout(graph).edges.order].astype(np.float32)
    np.testing.assert_allclose(
        aggregate(x, layout(less)), aggregate(x, layout(graph), weights), rtol=1e-6
    )
    np.testing.assert_array_equal(adjacency(less), adjacency(graph, mask.astype(float)))


def test_dropped_edges_by_hand_in_a_padded_batch():
    pair = from_edges([0, 1], [1, 0], edges=[1.0, 2.0])
    triangle = from_edges([0, 1, 2], [1, 2, 0], edges=[3.0, 4.0, 5.0])
    padded = pad(batch([pair, triangle]), n_node=7, n_edge=8, n_graph=4)
    assert padded.n_edge.tolist() == [2, 3, 3, 0]
    less = drop_edges(padded, [True, False, False, True, True, True, False, False])
    assert less.n_edge.tolist() == [1, 2, 1, 0] and less.n_edge.dtype == np.int32
    assert less.edges[:, 0].tolist() == [1, 4, 5, 0]
    assert less.senders.tolist()[:3] == [0, 3, 4] and less.receivers.tolist()[:3] == [1, 4, 2]
    assert layout(less).edge_mask.sum() == 3 and less.n_node.tolist() == padded.n_node.tolist()
    again = pad(less, n_node=8, n_edge=8, n_graph=5)
    assert layout(again).edge_mask.sum() == 3


@pytest.mark.parametrize("mask", [[True], [1.0, 0.0, 1.0], [[True, True, True]]])
def test_a_mask_of_edges_is_bool_and_one_an_edge(mask):
    with pytest.raises(ValueError, match=r"`edge_mask` must be bool \(3,\), one entry an edge"):
        drop_edges(from_edges([0, 1, 2], [1, 2, 0]), mask)


@pytest.mark.parametrize("reduce, expected", [("first", 1), ("sum", 5), ("mean", 2.5)])
def test_coalesce_by_hand(reduce, expected):
    graph = from_edges([1, 2, 1], [0, 0, 0], edges=[1.0, 8.0, 4.0])
    joined = coalesce(graph, reduce)
    assert joined.senders.tolist() == [1, 2] and joined.receivers.tolist() == [0, 0]
    assert joined.edges[:, 0].tolist() == [expected, 8] and joined.n_edge.tolist() == [2]
    assert joined.edges.dtype == np.float32 and joined.senders.dtype == np.int32


@pytest.mark.parametrize("seed", range(3))
def test_coalesce_against_scipy(seed):
    graph = random_graph(seed, n_node=5, n_edge=30, d_edge=1)
    joined = coalesce(graph, "sum")
    expected = adjacency(graph, graph.edges[:, 0])
    # Sums of a few float32 numbers near 1.
    np.testing.assert_allclose(adjacency(joined, joined.edges[:, 0]), expected, atol=1e-6)
    places = joined.receivers * 5 + joined.senders
    assert (np.diff(places) > 0).all() and places.size == (adjacency(graph) > 0).sum()


def test_normalised_weights_by_hand():
    graph = from_edges([0, 0, 1, 2], [1, 2, 2, 2])
    # d_out = 2, 1, 1; d_in = 0, 1, 3.
    symmetric = [1 / np.sqrt(2), 1 / np.sqrt(6), 1 / np.sqrt(3), 1 / np.sqrt(3)]
    np.testing.assert_allclose(normalised_weights(graph), symmetric, rtol=1e-6)
    np.testing.assert_allclose(normalised_weights(graph, "row"), [1, 1 / 3, 1 / 3, 1 / 3])


def test_symmetric_weights_of_an_undirected_graph_are_those_of_networkx():
    networkx = pytest.importorskip("networkx", reason="its normalised Laplacian as oracle")
    graph = from_edges([0, 0, 1, 3], [1, 2, 2, 2], undirected=True)
    source = networkx.Graph([(0, 1), (0, 2), (1, 2), (3, 2)])
    laplacian = networkx.normalized_laplacian_matrix(source, nodelist=range(4)).toarray()
    got = adjacency(graph, normalised_weights(graph))
    np.testing.assert_allclose(got, np.eye(4) - laplacian, atol=1e-7)


def test_row_weights_sum_to_one_at_each_receiver():
    graph = random_graph(0)
    total = adjacency(graph, normalised_weights(graph, "row")).sum(1)
    np.testing.assert_allclose(total, in_degree(graph) > 0, rtol=1e-6)


@pytest.mark.parametrize("function", [add_self_loops, coalesce])
def test_a_batch_is_refused(function):
    with pytest.raises(ValueError, match=f"`{function.__name__}` works on one graph.* batch of 2"):
        function(batch([mixed(), mixed()]))


def test_unknown_words_are_refused():
    with pytest.raises(ValueError, match="`reduce` must be .*got 'max'"):
        coalesce(mixed(), "max")
    with pytest.raises(ValueError, match="`kind` must be .*got 'col'"):
        normalised_weights(mixed(), "col")
