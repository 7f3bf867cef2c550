"""Batches, padding and buckets."""

import jraph
import numpy as np
import pytest

from jgc.graph import (
    batch,
    bucket,
    edge_mask,
    from_edges,
    graph_mask,
    layout,
    node_mask,
    pad,
    sparse_rows,
)
from tests.graph.cases import GRAPHS, mixed, random_graph


def members(graph):
    """Each real graph of a batch by itself: features, ids counted from 0, edge features."""
    nodes, edges = np.append(0, graph.n_node.cumsum()), np.append(0, graph.n_edge.cumsum())
    for g in np.flatnonzero(graph_mask(graph)):
        place = slice(edges[g], edges[g + 1])
        yield (
            graph.nodes[nodes[g] : nodes[g + 1]].tolist(),
            (graph.senders[place] - nodes[g]).tolist(),
            (graph.receivers[place] - nodes[g]).tolist(),
            graph.edges[place].tolist(),
        )


def alone(graph):
    return tuple(
        leaf.tolist() for leaf in (graph.nodes, graph.senders, graph.receivers, graph.edges)
    )


def graphs_of_many_sizes(n=11):
    return [random_graph(i, n_node=1 + i, n_edge=(3 * i) % 7, d=2, d_edge=1) for i in range(n)]


@pytest.mark.parametrize("name", GRAPHS)
def test_a_single_graph_is_not_masked_out(name):
    graph = GRAPHS[name]
    assert graph_mask(graph).all() and node_mask(graph).all() and edge_mask(graph).all()
    foreign = graph._replace(globals=None)
    assert graph_mask(foreign).tolist() == [True] and layout(foreign).node_mask.all()


def test_a_batch_holds_each_graph_unchanged():
    graphs = graphs_of_many_sizes()
    joined = batch(graphs)
    assert list(members(joined)) == [alone(graph) for graph in graphs]
    assert batch(graphs[:1]) is graphs[0]


@pytest.mark.parametrize("n_node, n_edge, n_graph", [(7, 10, 2), (9, 10, 4), (8, 15, 2)])
def test_padding_keeps_what_is_real_and_masks_the_rest(n_node, n_edge, n_graph):
    graph = random_graph(0, d=2, d_edge=1)
    padded = pad(graph, n_node=n_node, n_edge=n_edge, n_graph=n_graph)
    assert list(members(padded)) == [alone(graph)]
    assert node_mask(padded).tolist() == [True] * 6 + [False] * (n_node - 6)
    assert edge_mask(padded).tolist() == [True] * 10 + [False] * (n_edge - 10)
    assert graph_mask(padded).tolist() == [True] + [False] * (n_graph - 1)
    assert padded.n_node.sum() == n_node == len(padded.nodes)
    assert padded.n_edge.sum() == n_edge == len(padded.edges)
    # Padding edges keep to padding nodes and do not pile up on one of them.
    fakes = padded.receivers[10:]
    assert (fakes >= 6).all() and (padded.senders[10:] == fakes).all()
    counts = np.bincount(fakes, minlength=n_node)[6:]
    assert counts.max() - counts.min() <= 1


def test_padding_twice_and_padding_by_nothing():
    graph = random_graph(0, d=2, d_edge=1)
    twice = pad(pad(graph, n_node=8, n_edge=12, n_graph=2), n_node=11, n_edge=12, n_graph=3)
    assert list(members(twice)) == [alone(graph)] and node_mask(twice).sum() == 6
    same = pad(graph, n_node=6, n_edge=10, n_graph=1)
    assert alone(same) == alone(graph) and graph_mask(same).all()


def test_padding_by_jraph_is_known():
    padded = jraph.pad_with_graphs(random_graph(0, d=2, d_edge=1), 9, 12, 3)
    assert graph_mask(padded).tolist() == [True, False, False]
    assert np.asarray(layout(padded).node_mask).tolist() == [True] * 6 + [False] * 3
    assert list(members(padded)) == [alone(random_graph(0, d=2, d_edge=1))]


def test_sparse_features_are_padded_sparse():
    dense = np.eye(6, 4, dtype=np.float32)
    padded = pad(mixed(sparse_rows(dense)), n_node=8, n_edge=10, n_graph=2)
    assert padded.nodes.shape == (8, 4) and padded.nodes.structure.n_entry == 4
    assert padded.nodes.todense().tolist() == np.vstack([dense, np.zeros((2, 4))]).tolist()


@pytest.mark.parametrize(
    "sizes, message",
    [
        ((5, 10, 2), "`n_node`=5 is too small: the batch has 6"),
        ((7, 9, 2), "`n_edge`=9 is too small: the batch has 10"),
        ((7, 10, 1), "`n_graph`=1 leaves no graph for the padding; it must be >= 2"),
        ((6, 11, 2), "`n_node`=6 leaves no node for the padding edges"),
    ],
)
def test_padding_that_does_not_fit_is_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        pad(mixed(), **dict(zip(("n_node", "n_edge", "n_graph"), sizes, strict=True)))


@pytest.mark.parametrize("max_shapes", [1, 2, 4, 100])
@pytest.mark.parametrize("batch_size", [1, 3, 20])
def test_buckets_hold_every_graph_once_in_few_shapes(batch_size, max_shapes):
    graphs = graphs_of_many_sizes()
    order = np.random.default_rng(0).permutation(len(graphs))
    buckets = bucket(graphs, batch_size, max_shapes=max_shapes, order=order)
    assert np.concatenate(buckets.ids).tolist() == order.tolist()
    shapes = {(len(g.nodes), len(g.edges), g.n_node.size) for g in buckets.batches}
    assert shapes == set(buckets.shapes) and len(shapes) <= max_shapes
    for ids, graph in zip(buckets.ids, buckets.batches, strict=True):
        assert list(members(graph)) == [alone(graphs[i]) for i in ids]
    slots = sum(len(g.nodes) for g in buckets.batches)
    assert buckets.fill == pytest.approx(sum(len(g.nodes) for g in graphs) / slots)


def test_more_shapes_fill_better():
    graphs = graphs_of_many_sizes()
    fills = [bucket(graphs, 1, max_shapes=n).fill for n in (1, 2, 4)]
    assert fills == sorted(fills) and fills[0] < fills[-1]


def test_graphs_without_edges_are_batched_and_bucketed():
    graphs = [from_edges([], [], n_node=n, nodes=np.ones((n, 1))) for n in (1, 3)]
    assert batch(graphs).n_edge.tolist() == [0, 0]
    assert bucket(graphs, 1, max_shapes=1).shapes == [(4, 0, 2)]


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: batch([]), "`graphs` is empty; a batch needs at least one"),
        (lambda: batch([mixed(sparse_rows(np.eye(6)))] * 2), "sparse features cannot be batched"),
        (lambda: batch([mixed(), mixed(np.eye(6))]), "`nodes` of graph 0 and graph 1 .*None and 6"),
        (lambda: bucket([], 2), "`graphs` is empty; there is nothing to batch"),
        (lambda: bucket([mixed()], 0), "`batch_size` must be >= 1, got 0"),
        (lambda: bucket([mixed()], 1, max_shapes=0), "`max_shapes` must be >= 1, got 0"),
    ],
)
def test_what_cannot_be_batched_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
