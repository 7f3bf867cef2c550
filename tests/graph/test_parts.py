import jax
import numpy as np
import pytest
import scipy.sparse as sp

from jgc.graph import cut, from_edges, layout, sparse_rows
from tests.graph.cases import GRAPHS, check_structure, random_graph


def piece(tree, p):
    return jax.tree.map(lambda leaf: leaf[p], tree)


def columns(parts, values):
    """What each part sees: the exchange in numpy."""
    own, n_send = parts.rows_of(values), parts.n_send
    messages = [own[p][parts.layout.part.sends.cols[p]] for p in range(len(own))]
    zeros = np.zeros((1, *own.shape[2:]))
    return [
        np.concatenate([own[q], *(m.reshape(len(own), n_send, -1)[q] for m in messages), zeros])
        for q in range(len(own))
    ]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n_part", [1, 2, 5])
def test_parts_together_sum_what_the_graph_sums(seed, n_part):
    rng = np.random.default_rng(seed)
    graph = random_graph(seed, n_node=12, n_edge=40, d=3)
    part_of = rng.integers(0, n_part, 12) if seed else np.zeros(12, int)  # Parts may be empty.
    whole, x = layout(graph), rng.normal(size=(12, 3))
    parts = cut(graph, whole, part_of, n_part)
    summed, seen = np.zeros((12, 3)), np.zeros(40, int)
    for p, values in enumerate(columns(parts, x)):
        local, mine = piece(parts.layout, p), piece(parts.layout.part, p)
        check_structure(local.edges), check_structure(mine.sends)
        real = local.node_mask
        y = np.zeros((local.n_node, 3))
        np.add.at(y, local.edges.rows, values[local.edges.cols])
        summed[mine.nodes[real]] = y[real]
        assert not y[~real].any()
        seen[mine.edges[local.edge_mask]] += 1
        np.testing.assert_array_equal(part_of[mine.nodes[real]], p)
        np.testing.assert_array_equal(local.loops[real], whole.loops[mine.nodes[real]])
        np.testing.assert_array_equal(local.in_degree[real], whole.in_degree[mine.nodes[real]])
    want = np.zeros((12, 3))
    np.add.at(want, whole.edges.rows, x[whole.edges.cols])
    np.testing.assert_allclose(summed, want, atol=1e-12)
    assert (seen == 1).all()
    ends = part_of[graph.senders], part_of[graph.receivers]
    assert parts.n_cut == (ends[0] != ends[1]).sum()
    needed = {(s, r) for s, r in zip(graph.senders, ends[1], strict=True) if part_of[s] != r}
    assert parts.sent.sum() == len(needed)


def test_a_path_by_hand():
    path = from_edges([0, 1, 2, 3], [1, 2, 3, 0], nodes=np.arange(4.0))
    parts = cut(path, layout(path), [0, 1, 0, 1], 2)
    assert (parts.n_cut, parts.n_send, parts.sent.tolist()) == (4, 2, [[0, 2], [2, 0]])
    assert parts.graph.nodes[..., 0].tolist() == [[0, 2, 0], [1, 3, 0]]
    assert parts.layout.node_mask.tolist() == [[True, True, False]] * 2
    # Own rows 0..2; from part 0 columns 3, 4; from part 1 columns 5, 6; zeros 7.
    assert parts.layout.edges.cols.tolist() == [[6, 5], [3, 4]]
    assert parts.rows_of([5, 6, 7, 8], -1).tolist() == [[5, 7, -1], [6, 8, -1]]


def test_sparse_features_stay_sparse():
    matrix = sp.random_array((9, 6), density=0.4, rng=np.random.default_rng(0))
    graph = from_edges([0, 4], [8, 3], nodes=sparse_rows(matrix))
    parts = cut(graph, layout(graph), np.arange(9) % 3, 3)
    dealt = parts.rows_of(graph.nodes.todense())
    for p in range(3):
        local = piece(parts.graph.nodes, p)
        check_structure(local.structure)
        np.testing.assert_array_equal(local.todense(), dealt[p])
        entries = piece(parts.layout.part, p).entries
        real = local.values != 0
        np.testing.assert_array_equal(graph.nodes.values[entries[real]], local.values[real])


@pytest.mark.parametrize("name", GRAPHS)
def test_the_least_graphs(name):
    graph = GRAPHS[name]
    graph = graph._replace(nodes=np.ones((int(graph.n_node[0]), 1), np.float32))
    parts = cut(graph, layout(graph), np.zeros(int(graph.n_node[0]), int), 2)
    assert parts.n_cut == 0 and parts.layout.node_mask.sum() == graph.n_node[0]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"wire": "int4"}, r"`wire` must be one of \['float32', 'int8'\], got 'int4'"),
        ({"part_of": [0, 1]}, r"`part_of` must be \[3\], one part a node, got \(2,\)"),
        ({"part_of": [0, 1, 2]}, r"`part_of` must be in 0\.\.1, got 0\.\.2"),
        ({"backend": "scatter"}, "whose edges are not sorted"),
    ],
)
def test_wrong_words_are_errors(changed, message):
    graph = from_edges([0, 1], [1, 2], nodes=np.eye(3))
    whole = layout(graph, changed.get("backend", "segment"))
    with pytest.raises(ValueError, match=message):
        cut(graph, whole, changed.get("part_of", [0, 1, 1]), 2, changed.get("wire", "float32"))
