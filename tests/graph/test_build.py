"""Builders: the same graph from every source, and a clear word for what is no graph."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp

from jgc.graph import SparseRows, from_edges, from_networkx, from_pyg, from_scipy

NAN, INF = np.nan, np.inf


def pairs(graph):
    return sorted(zip(graph.senders.tolist(), graph.receivers.tolist(), strict=True))


def test_edges_in_the_given_order_and_types():
    graph = from_edges([2, 0, 2], [1, 1, 1], nodes=[1, 2, 3], edges=[[1, 2], [3, 4], [5, 6]])
    assert graph.senders.tolist() == [2, 0, 2] and graph.receivers.tolist() == [1, 1, 1]
    assert graph.n_node.tolist() == [3] and graph.n_edge.tolist() == [3]
    assert graph.nodes.shape == (3, 1) and graph.edges.shape == (3, 2)
    assert graph.nodes.dtype == graph.edges.dtype == np.float32
    assert graph.senders.dtype == graph.n_node.dtype == np.int32
    assert graph.globals["real"].tolist() == [True]


def test_undirected_doubles_edges_but_not_loops():
    graph = from_edges([0, 1, 1], [1, 1, 2], edges=[5, 6, 7], undirected=True)
    assert pairs(graph) == [(0, 1), (1, 0), (1, 1), (1, 2), (2, 1)]
    assert graph.edges[:, 0].tolist() == [5, 6, 7, 5, 7]


def test_number_of_nodes_comes_from_features_before_ids():
    assert from_edges([0], [1], nodes=np.ones((4, 1))).n_node.tolist() == [4]
    assert from_edges([0], [1], n_node=7).n_node.tolist() == [7]
    assert from_edges([], [], n_node=2).n_edge.tolist() == [0]


def test_scipy_features_stay_sparse():
    nodes = from_edges([0], [1], nodes=sp.csr_array(np.eye(2))).nodes
    assert isinstance(nodes, SparseRows) and nodes.todense().tolist() == np.eye(2).tolist()


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"receivers": [1, 3]}, r"`receivers\[1\]` is node 3, but the graph has nodes 0..2"),
        ({"senders": [0, -1]}, r"`senders\[1\]` is node -1"),
        ({"n_node": 0, "senders": [], "receivers": []}, "The graph has no nodes"),
        ({"n_node": None, "senders": [], "receivers": []}, "The graph has no nodes"),
        ({"senders": [0]}, "one id per edge each, got 1 and 2"),
        ({"senders": [0.0, 1.0]}, "`senders` must be whole numbers, got dtype float64"),
        ({"senders": [[0, 1]]}, r"`senders` must be a flat list of node ids, got shape \(1, 2\)"),
        ({"senders": [0, 2**31]}, "beyond 2\\^31"),
        ({"nodes": np.ones((2, 1))}, "`nodes` has 2 rows but the graph has 3 nodes"),
        ({"edges": np.ones((3, 1))}, "`edges` has 3 rows but there are 2 edges"),
        ({"nodes": [[0, 1], [NAN, 0], [0, 0]]}, r"`nodes\[1, 0\]` is nan; features must be finite"),
        ({"edges": [0, INF]}, r"`edges\[1, 0\]` is inf; features must be finite"),
        ({"nodes": sp.csr_array([[0, 1], [0, -INF], [0, 0]])}, r"Feature \[1, 1\] is -inf"),
        ({"nodes": np.array(["a", "b", "c"])}, "`nodes` must be numbers, got dtype <U1"),
    ],
)
def test_bad_edge_lists_are_refused(settings, message):
    good = {"senders": [0, 1], "receivers": [1, 2], "n_node": 3}
    with pytest.raises(ValueError, match=message):
        from_edges(**good | settings)


def test_scipy_matrix_sends_from_row_to_column():
    matrix = sp.csr_array(np.array([[0, 2, 0], [0, 5, 0], [0, 0, 0]]))
    graph = from_scipy(matrix, weights=True)
    assert pairs(graph) == [(0, 1), (1, 1)] and graph.n_node.tolist() == [3]
    assert graph.edges[:, 0].tolist() == [2, 5]
    assert from_scipy(matrix).edges is None


def test_explicit_zeros_of_scipy_are_no_edges_and_the_matrix_is_left_alone():
    matrix = sp.coo_array(([0.0, 1.0], ([0, 1], [1, 0])), shape=(2, 2))
    assert pairs(from_scipy(matrix)) == [(1, 0)]
    assert matrix.nnz == 2


@pytest.mark.parametrize(
    "matrix, message",
    [
        (sp.csr_array((2, 3)), r"`matrix` must be square \(an adjacency\), got shape \(2, 3\)"),
        (sp.csr_array((0, 0)), "The graph has no nodes"),
    ],
)
def test_bad_matrices_are_refused(matrix, message):
    with pytest.raises(ValueError, match=message):
        from_scipy(matrix)


@pytest.mark.parametrize(
    "kind, expected, weights",
    [
        ("Graph", [(0, 1), (1, 0), (1, 1)], [4, 3, 4]),
        ("DiGraph", [(1, 0), (1, 1)], [4, 3]),
        ("MultiGraph", [(0, 1), (0, 1), (1, 0), (1, 0), (1, 1)], [2, 4, 3, 2, 4]),
        ("MultiDiGraph", [(1, 0), (1, 0), (1, 1)], [2, 4, 3]),
    ],
)
def test_networkx_of_every_kind(kind, expected, weights):
    networkx = pytest.importorskip("networkx", reason="builds from NetworkX graphs")
    source = getattr(networkx, kind)()
    source.add_node("b", x=[1.0, 2.0])
    source.add_node("a", x=[3.0, 4.0])
    for u, v, w in (("a", "b", 2.0), ("a", "b", 4.0), ("a", "a", 3.0)):
        source.add_edge(u, v, w=w)
    graph = from_networkx(source, node_attr="x", edge_attr="w")
    assert pairs(graph) == expected
    assert graph.nodes.tolist() == [[1, 2], [3, 4]]
    assert sorted(graph.edges[:, 0].tolist()) == sorted(weights)
    # The loop's own feature stays with the loop.
    assert graph.edges[graph.senders == graph.receivers].tolist() == [[3]]


def test_networkx_without_edges_and_without_nodes():
    networkx = pytest.importorskip("networkx", reason="builds from NetworkX graphs")
    graph = from_networkx(networkx.empty_graph(3), edge_attr="w")
    assert graph.n_node.tolist() == [3] and graph.n_edge.tolist() == [0]
    with pytest.raises(ValueError, match="The graph has no nodes"):
        from_networkx(networkx.Graph())


@pytest.mark.parametrize("what", ["node", "edge"])
def test_networkx_attribute_that_is_missing(what):
    networkx = pytest.importorskip("networkx", reason="builds from NetworkX graphs")
    source = networkx.path_graph(2)
    with pytest.raises(ValueError, match=rf"{what} \(0,.*\) has no attribute 'x'"):
        from_networkx(source, **{f"{what}_attr": "x"})


def pyg_shaped(**changes):
    """Two graphs, the edges of the second first."""
    fields = {
        "x": np.arange(8.0).reshape(4, 2),
        "edge_index": np.array([[3, 0, 2, 1], [2, 1, 3, 1]]),
        "edge_attr": np.array([10.0, 20, 30, 40]),
        "batch": np.array([0, 0, 1, 1]),
    }
    return SimpleNamespace(**fields | changes)


def test_pyg_shape_of_one_graph_and_of_a_batch():
    one = from_pyg(pyg_shaped(batch=None))
    assert one.senders.tolist() == [3, 0, 2, 1] and one.n_node.tolist() == [4]
    batch = from_pyg(pyg_shaped())
    assert batch.n_node.tolist() == [2, 2] and batch.n_edge.tolist() == [2, 2]
    assert batch.senders.tolist() == [0, 1, 3, 2] and batch.receivers.tolist() == [1, 1, 2, 3]
    assert batch.edges[:, 0].tolist() == [20, 40, 10, 30]
    assert batch.globals["real"].tolist() == [True, True]


def test_pyg_shape_without_features_or_edges():
    bare = SimpleNamespace(edge_index=np.zeros((2, 0)), num_nodes=3)
    assert from_pyg(bare).n_node.tolist() == [3]
    assert from_pyg(pyg_shaped(x=None, num_nodes=None)).n_node.tolist() == [2, 2]
    sparse = from_pyg(pyg_shaped(x=sp.csr_array(np.eye(4))))
    assert isinstance(sparse.nodes, SparseRows)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"edge_index": None}, "`data` has no `edge_index`; it is a SimpleNamespace"),
        ({"edge_index": [[0, 1], [1, 2], [2, 3]]}, r"`edge_index` must be \[2, n_edge\].*\(3, 2\)"),
        ({"batch": [1, 1, 0, 0]}, "`batch` must give the graph of each node in ascending order"),
        ({"batch": [0, 0, 1]}, "`batch` must give the graph of each node"),
        ({"batch": [0, 0, 0, 1]}, r"Edge 0 joins two graphs of the batch"),
        ({"edge_index": [[0], [4]], "edge_attr": None}, r"`receivers\[0\]` is node 4"),
        ({"x": [[NAN], [0], [0], [0]]}, r"`nodes\[0, 0\]` is nan"),
    ],
)
def test_bad_pyg_shapes_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        from_pyg(pyg_shaped(**changes))


def test_real_pyg_data_and_batch():
    torch = pytest.importorskip("torch", reason="PyG's own objects")
    pyg = pytest.importorskip("torch_geometric.data", reason="PyG's own objects")
    data = pyg.Data(
        x=torch.arange(6.0).reshape(3, 2), edge_index=torch.tensor([[0, 1], [1, 2]]),
        edge_attr=torch.ones(2, 1), y=torch.tensor([1]),
    )  # fmt: skip
    graph = from_pyg(data)
    assert pairs(graph) == [(0, 1), (1, 2)] and graph.nodes.tolist() == data.x.tolist()
    batch = from_pyg(pyg.Batch.from_data_list([data, data]))
    assert batch.n_node.tolist() == [3, 3] and pairs(batch) == [(0, 1), (1, 2), (3, 4), (4, 5)]
