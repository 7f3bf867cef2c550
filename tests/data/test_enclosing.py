"""Graphs around pairs against NetworkX, and what they may not hold."""

import networkx as nx
import numpy as np
import pytest

from jgc.data import DataError, Split, enclosing_graphs, load
from jgc.graph import from_edges


@pytest.fixture(scope="module")
def network():
    return load("sbm", task="link", n_splits=2)


@pytest.fixture(scope="module")
def cut(network):
    return enclosing_graphs(network.graphs[0], network.splits)


@pytest.mark.parametrize("hops", [1, 2])
def test_a_pairs_graph_is_the_one_that_networkx_cuts_out(network, hops):
    split = network.splits[0]
    graphs, labels, (parts,) = enclosing_graphs(network.graphs[0], (split,), hops=hops, width=4)
    whole = nx.Graph(map(tuple, split.train.tolist()))
    whole.add_nodes_from(range(2708))
    held_out = np.concatenate([split.val, split.val_neg])
    cases = [(split.train[i], parts.train[i], 1) for i in (0, 7, 700)]
    cases += [(held_out[i], parts.val[i], i < len(split.val)) for i in (0, 3, -1 + len(held_out))]
    for (a, b), at, linked in cases:
        near = [nx.ego_graph(whole, end, hops).nodes for end in (a, b)]
        expected = whole.subgraph({*near[0], *near[1]}).copy()
        expected.add_edge(a, b)
        assert labels[at, 0] == linked
        graph, names = graphs[at], sorted(expected)
        edges = zip(graph.senders.tolist(), graph.receivers.tolist(), strict=True)
        got = {(names[s], names[r]): mark for (s, r), mark in zip(edges, graph.edges, strict=True)}
        assert set(got) == {p for e in expected.edges for p in (e, e[::-1])}
        assert {pair for pair, mark in got.items() if mark == 1} == {(a, b), (b, a)}


def test_every_part_has_its_pairs_and_half_of_them_are_linked(network, cut):
    graphs, labels, splits = cut
    assert len(graphs) == len(labels) and labels.shape[1] == 1
    for split, link in zip(splits, network.splits, strict=True):
        assert isinstance(split, Split) and split.name == link.name
        assert [len(part) for part in split[:3]] == [2 * len(part) for part in link[:3]]
        assert all(labels[part].mean() == 0.5 for part in split[:3])
    everything = np.concatenate([part for split in splits for part in split[:3]])
    assert sorted(everything) == list(range(len(graphs)))


def test_no_held_out_edge_is_in_any_graph_but_as_its_own_pair(network):
    train = {tuple(pair) for pair in network.splits[0].train.tolist()}
    # A feature that names each node, as no singular direction does.
    names = np.arange(2708, dtype=np.float32)[:, None]
    whole = network.graphs[0]._replace(nodes=names)
    graphs, _, (parts,) = enclosing_graphs(whole, network.splits[:1], hops=2)
    for part in (parts.train[:50], parts.val[:50], parts.test[-50:]):
        for at in part:
            graph = graphs[at]
            inner = graph.edges[:, 0] == 0
            ends = graph.nodes[:, 0].astype(int)[np.stack([graph.senders, graph.receivers], 1)]
            assert {tuple(sorted(pair)) for pair in ends[inner].tolist()} <= train


def test_wide_features_are_reduced_and_the_same_every_time(network, cut):
    again, _, _ = enclosing_graphs(network.graphs[0], network.splits[:1])
    assert again[5].nodes.shape[1] == 32
    np.testing.assert_array_equal(again[5].nodes, cut[0][5].nodes)


def test_it_loads_by_name():
    data = load("sbm-pairs", split="link-80")
    assert (data.name, data.task, data.kind, data.metric) == (
        "sbm-pairs", "graph", "binary", "roc_auc",
    )  # fmt: skip
    assert data.splits[0].name == "link-80-0" and data.n_class == 1
    assert load("sbm-pairs").splits[0].name == "link-0"


def test_what_cannot_be_is_said(network):
    with pytest.raises(DataError, match=r"`split` is 'kfold'.*\['link', 'link-80'\]"):
        load("sbm-pairs", split="kfold")
    with pytest.raises(DataError, match="Unknown data set 'motif-pairs'"):
        load("motif-pairs")
    bare = from_edges([0, 1], [1, 2], undirected=True)
    with pytest.raises(DataError, match="need node features"):
        enclosing_graphs(bare, network.splits)
