"""The embedded sets hold what they promise: shape, determinism, and what decides the class."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression

from jgc.data import load, motif, sbm
from jgc.data.motifs import MOTIFS, theta


@pytest.fixture(scope="module")
def network():
    return load("sbm")


@pytest.fixture(scope="module")
def motifs():
    return load("motif")


def _features(data) -> sp.csr_array:
    rows = data.graphs[0].nodes
    parts = (np.asarray(a) for a in (rows.values, rows.structure.cols, rows.structure.indptr))
    return sp.csr_array(tuple(parts), shape=rows.shape)


def test_sbm_has_the_shape_of_cora(network):
    graph, labels = network.graphs[0], network.labels
    assert (graph.n_node[0], graph.n_edge[0], network.n_class) == (2708, 2 * 5278, 7)
    assert sorted(np.bincount(labels).tolist()) == [180, 217, 298, 351, 418, 426, 818]
    homophily = (labels[graph.senders] == labels[graph.receivers]).mean()
    assert abs(homophily - 0.81) < 0.03
    degree = np.bincount(graph.senders, minlength=2708)
    assert degree.min() >= 1 and 60 < degree.max() < 200 and np.median(degree) == 3
    features = _features(network)
    assert features.shape == (2708, 1433) and abs(features.nnz / (2708 * 1433) - 0.0127) < 2e-4
    np.testing.assert_allclose(features.sum(1), 1, rtol=1e-5)
    assert np.bincount(labels[network.splits[0].train]).tolist() == [20] * 7


def test_sbm_needs_features_and_graph(network):
    """Two propagation steps and a linear model (SGC): about 80 %, features alone far below."""
    graph, labels, split = network.graphs[0], network.labels, network.splits[0]
    ones = np.ones(graph.senders.size)
    adjacency = sp.csr_array((ones, (graph.receivers, graph.senders)), shape=(2708, 2708))
    adjacency = adjacency + sp.eye_array(2708)
    scale = sp.diags_array(1 / np.sqrt(adjacency.sum(1)))
    alone = 30 * _features(network)
    spread = scale @ adjacency @ scale
    # The same nodes without words: propagated one-hot labels of the training nodes.
    seeds = np.zeros((2708, 7))
    seeds[split.train, labels[split.train]] = 1
    for _ in range(10):
        seeds = spread @ seeds
    graph_alone = (seeds.argmax(1) == labels)[split.test].mean()
    both = _accuracy(spread @ (spread @ alone), labels, split)
    assert 0.78 < both < 0.88
    assert _accuracy(alone, labels, split) < 0.5
    assert graph_alone < both


def _accuracy(features, labels, split) -> float:
    model = LogisticRegression(C=10, max_iter=500)
    model.fit(features[split.train], labels[split.train])
    return float(model.score(features[split.test], labels[split.test]))


@pytest.mark.parametrize("make", [sbm, motif])
def test_same_seed_same_set(make):
    first, again, other = make(0), make(0), make(1)
    for a, b in zip(first.graphs, again.graphs, strict=True):
        np.testing.assert_array_equal(a.senders, b.senders)
        np.testing.assert_array_equal(a.receivers, b.receivers)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert any(
        a.senders.size != b.senders.size or (a.senders != b.senders).any()
        for a, b in zip(first.graphs, other.graphs, strict=True)
    )


def test_motifs_have_equal_degrees():
    for paths in MOTIFS:
        edges = np.array(theta(paths))
        assert len(edges) == 7 and np.bincount(edges.ravel()).tolist() == [3, 3, 2, 2, 2, 2]


def test_motif_counts_say_nothing_of_the_class(motifs):
    """Nodes, edges, degrees and features are the same multiset in every class: chance is 1/3."""

    def fingerprint(graph):
        degree = np.bincount(graph.senders, minlength=graph.n_node[0])
        return (int(graph.n_node[0]), int(graph.n_edge[0]), tuple(np.sort(degree)),
                float(graph.nodes.mean()))  # fmt: skip

    prints = [fingerprint(graph) for graph in motifs.graphs]
    classes = [sorted(p for p, y in zip(prints, motifs.labels, strict=True) if y == c)
               for c in range(3)]  # fmt: skip
    assert classes[0] == classes[1] == classes[2] and len(classes[0]) == 200


def test_motif_is_solved_by_rounds_of_neighbour_colours(motifs):
    """Weisfeiler-Lehman colours after three rounds, all that a GIN can see, tell the classes."""
    split = motifs.splits[0]
    table: dict = {}
    counts = sp.lil_array((len(motifs.graphs), 200_000))
    for i, graph in enumerate(motifs.graphs):
        colours = [0] * int(graph.n_node[0])
        for _ in range(3):
            nearby = [[] for _ in colours]
            for s, r in zip(graph.senders, graph.receivers, strict=True):
                nearby[r].append(colours[s])
            keys = [(c, tuple(sorted(n))) for c, n in zip(colours, nearby, strict=True)]
            colours = [table.setdefault(key, len(table)) for key in keys]
            for colour in colours:
                counts[i, colour] += 1
    features = sp.csr_array(counts)[:, : len(table)]
    assert _accuracy(features, motifs.labels, split) > 0.9
