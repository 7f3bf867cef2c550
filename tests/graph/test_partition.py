import sys

import numpy as np
import pytest

from jgc.graph import from_edges, in_degree, partition
from jgc.graph.partition import SLACK
from tests.graph.cases import random_graph


@pytest.fixture(params=["stream", "metis"])
def method(request):
    if request.param == "metis":
        pytest.importorskip("pymetis", reason="METIS: pip install 'jgc[partition]'")
    return request.param


def cliques(n, size):
    """Full graphs in a ring, one edge from each to the next; nodes shuffled."""
    inside = [(size * c + i, size * c + j) for c in range(n) for i in range(size) for j in range(i)]
    ring = [(size * c, size * ((c + 1) % n) + 1) for c in range(n)]
    name = np.random.default_rng(0).permutation(n * size)
    senders, receivers = name[np.array(inside + ring).T]
    return from_edges(senders, receivers, undirected=True), name.reshape(n, size)


def test_cliques_stay_whole(method):
    graph, found = cliques(4, 10)
    part = partition(graph, 4, method=method, seed=1)
    assert part.dtype == np.int32
    assert sorted(part[found[:, 0]]) == [0, 1, 2, 3]
    assert (part[found] == part[found[:, :1]]).all()


def test_parts_weigh_alike_and_a_seed_says_all(method):
    graph = random_graph(0, n_node=300, n_edge=1500)
    part, again = (partition(graph, 7, method=method, seed=3) for _ in range(2))
    np.testing.assert_array_equal(part, again)
    weights = 1 + in_degree(graph)
    loads = np.bincount(part, weights, minlength=7)
    assert loads.max() <= SLACK * weights.sum() / 7
    cut = (part[graph.senders] != part[graph.receivers]).mean()
    assert cut < 0.9 * 6 / 7  # What chance would cut.


def test_who_has_no_room_takes_no_more(method):
    """Two nodes with a hundred edges into each are neighbours; no part has room for both."""
    graph = from_edges([2] * 100 + [3] * 100 + [0], [0] * 100 + [1] * 100 + [1])
    part = partition(graph, 2, method=method)
    assert part[0] != part[1]


@pytest.mark.parametrize(
    "graph", [from_edges([], [], n_node=3), from_edges([0, 0, 0], [1, 1, 1]), from_edges([0], [0])]
)
def test_the_least_graphs(graph, method):
    n_node = int(graph.n_node[0])
    for n_part in (1, n_node):
        part = partition(graph, n_part, method=method)
        assert part.shape == (n_node,) and 0 <= part.min() and part.max() < n_part


@pytest.mark.parametrize(
    ("n_part", "method", "message"),
    [
        (0, "auto", r"`n_part` must be in 1\.\.3, the number of nodes, got 0"),
        (4, "auto", "got 4. More devices than nodes have nothing to do"),
        (2, "random", r"`method` must be one of \['auto', 'metis', 'stream'\], got 'random'"),
    ],
)
def test_wrong_words_are_errors(n_part, method, message):
    with pytest.raises(ValueError, match=message):
        partition(from_edges([0, 1], [1, 2]), n_part, method=method)


def test_where_metis_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymetis", None)
    graph = from_edges([0, 1], [1, 2])
    with pytest.raises(ValueError, match=r'pip install "jgc\[partition\]"`, or take "stream"'):
        partition(graph, 2, method="metis")
