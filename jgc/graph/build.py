"""`GraphsTuple` from edge lists, scipy matrices, NetworkX graphs and PyG-shaped objects."""

from typing import Any

import numpy as np
import scipy.sparse as sp

from jgc.graph.features import SparseRows, sparse_rows
from jgc.graph.graphs_tuple import GraphsTuple


def from_edges(
    senders,
    receivers,
    *,
    n_node: int | None = None,
    nodes=None,
    edges=None,
    undirected: bool = False,
) -> GraphsTuple:
    """Builds one graph from an edge list and checks it.

    Args:
        senders: Source node of each edge, integers `[n_edge]`.
        receivers: Target node of each edge, integers `[n_edge]`.
        n_node: Number of nodes; by default the rows of `nodes`, else the largest id + 1.
        nodes: Node features: floats `[n_node, d]`, a scipy sparse matrix (kept sparse), a
            `SparseRows`, or `None`.
        edges: Edge features, floats `[n_edge]` or `[n_edge, d_edge]`, or `None`.
        undirected: Adds the reverse of every edge (a self loop is not doubled), features repeated.

    Returns:
        A `GraphsTuple` of one graph. `globals["real"]` (bool `[1]`) says that the graph is no
        padding: see `jgc.graph.pad`.

    Raises:
        ValueError: for ids that are not whole numbers or name a node that is not there, lengths
            that differ, an empty graph, or features that are not finite.

    Example:
        >>> graph = from_edges([0, 1], [1, 2], undirected=True)
        >>> graph.senders.tolist(), graph.receivers.tolist(), graph.n_node.tolist()
        ([0, 1, 1, 2], [1, 2, 0, 1], [3])
    """
    senders, receivers = _ids("senders", senders), _ids("receivers", receivers)
    if senders.shape != receivers.shape:
        raise ValueError(
            f"`senders` and `receivers` must have one id per edge each, got {senders.size} and "
            f"{receivers.size}."
        )
    nodes = _features("nodes", nodes)
    edges = None if edges is None else _features("edges", edges)
    if n_node is None:
        largest = int(max(senders.max(initial=-1), receivers.max(initial=-1))) + 1
        n_node = int(largest if nodes is None else nodes.shape[0])
    if n_node < 1:
        raise ValueError("The graph has no nodes: give `nodes` or `n_node` >= 1.")
    if nodes is not None and nodes.shape[0] != n_node:
        raise ValueError(f"`nodes` has {nodes.shape[0]} rows but the graph has {n_node} nodes.")
    if edges is not None and edges.shape[0] != senders.size:
        raise ValueError(f"`edges` has {edges.shape[0]} rows but there are {senders.size} edges.")
    for name, ids in (("senders", senders), ("receivers", receivers)):
        bad = np.flatnonzero((ids < 0) | (ids >= n_node))
        if bad.size:
            raise ValueError(
                f"`{name}[{bad[0]}]` is node {ids[bad[0]]}, but the graph has nodes 0..{n_node - 1}"
                f" ({bad.size} such edges). Are the ids counted from 1?"
            )
    if undirected:
        keep = np.flatnonzero(senders != receivers)
        edges = None if edges is None else np.concatenate([edges, edges[keep]])
        senders, receivers = (
            np.concatenate([senders, receivers[keep]]),
            np.concatenate([receivers, senders[keep]]),
        )
    return GraphsTuple(
        nodes=nodes,
        edges=edges,
        senders=senders,
        receivers=receivers,
        globals={"real": np.ones(1, bool)},
        n_node=np.array([n_node], np.int32),
        n_edge=np.array([senders.size], np.int32),
    )


def from_scipy(matrix, *, nodes=None, weights: bool = False) -> GraphsTuple:
    """Builds a graph from a scipy sparse adjacency; `matrix[i, j]` is the edge from i to j.

    Args:
        matrix: Square sparse matrix `[n_node, n_node]`; stored zeros are no edges.
        nodes: As in `from_edges`.
        weights: Keep the stored values as edge features `[n_edge, 1]`.

    Returns:
        A `GraphsTuple` of one graph.

    Raises:
        ValueError: if `matrix` is not square, and as `from_edges`.

    Example:
        >>> from_scipy(sp.eye_array(3, k=1)).receivers.tolist()
        [1, 2]
    """
    coo: Any = sp.coo_array(matrix)
    coo.eliminate_zeros()
    if coo.shape[0] != coo.shape[1]:
        raise ValueError(f"`matrix` must be square (an adjacency), got shape {coo.shape}.")
    edges = coo.data.reshape(-1, 1) if weights else None
    senders, receivers = coo.coords
    return from_edges(senders, receivers, n_node=coo.shape[0], nodes=nodes, edges=edges)


def from_networkx(graph, *, node_attr: str | None = None, edge_attr: str | None = None):
    """Builds a graph from a NetworkX graph; nodes are numbered in the graph's own order.

    Args:
        graph: `networkx.Graph` or `DiGraph` (multigraphs keep parallel edges). Each undirected
            edge becomes two directed ones.
        node_attr: Node attribute that holds a number or a vector; becomes `nodes`.
        edge_attr: Edge attribute that holds a number or a vector; becomes `edges`.

    Returns:
        A `GraphsTuple` of one graph.

    Raises:
        ValueError: if a node or an edge lacks the attribute, and as `from_edges`.

    Example:
        >>> import networkx as nx
        >>> from_networkx(nx.path_graph(3)).n_edge.tolist()
        [4]
    """
    index = {node: i for i, node in enumerate(graph.nodes)}
    pairs = [(index[u], index[v]) for u, v in graph.edges()]
    senders, receivers = np.array(pairs, np.int64).reshape(-1, 2).T
    return from_edges(
        senders,
        receivers,
        n_node=len(index),
        nodes=_attribute("node", graph.nodes(data=True), node_attr),
        edges=_attribute("edge", graph.edges(data=True), edge_attr),
        undirected=not graph.is_directed(),
    )


def from_pyg(data: Any) -> GraphsTuple:
    """Builds a graph from anything shaped like PyG's `Data`; PyG itself is not imported.

    Args:
        data: Object with `edge_index` `[2, n_edge]` and optionally `x` `[n_node, d]`, `edge_attr`
            `[n_edge, d_edge]`, `num_nodes` and `batch` (the graph of each node, ascending
            `[n_node]`). Tensors need only convert by `numpy.asarray`.

    Returns:
        A `GraphsTuple` of one graph, or of `max(batch) + 1` graphs. Labels stay with `data.y`.

    Raises:
        ValueError: if `edge_index` is missing or not `[2, n_edge]`, `batch` is not ascending, an
            edge joins two graphs of the batch, and as `from_edges`.

    Example:
        >>> from types import SimpleNamespace
        >>> data = SimpleNamespace(edge_index=[[0, 2], [1, 3]], batch=[0, 0, 1, 1])
        >>> from_pyg(data).n_node.tolist(), from_pyg(data).n_edge.tolist()
        ([2, 2], [1, 1])
    """
    get = lambda name: getattr(data, name, None)  # noqa: E731
    if get("edge_index") is None:
        raise ValueError(f"`data` has no `edge_index`; it is a {type(data).__name__}.")
    edge_index = np.asarray(get("edge_index"))
    if edge_index.ndim != 2 or edge_index.shape[0] != 2:
        raise ValueError(
            f"`edge_index` must be [2, n_edge], got shape {edge_index.shape}; is it transposed?"
        )
    batch = None if get("batch") is None else np.asarray(get("batch"))
    x = _features("nodes", get("x"))
    n_node = x.shape[0] if x is not None else get("num_nodes")
    if n_node is None and batch is not None:
        n_node = batch.size
    edge_attr = None if get("edge_attr") is None else np.asarray(get("edge_attr"))
    graph = from_edges(*edge_index, n_node=n_node, nodes=x, edges=edge_attr)
    return graph if batch is None else _split(graph, batch)


def _split(graph: GraphsTuple, batch: np.ndarray) -> GraphsTuple:
    if batch.size != graph.n_node[0] or (np.diff(batch) < 0).any():
        raise ValueError("`batch` must give the graph of each node in ascending order.")
    crossing = np.flatnonzero(batch[graph.senders] != batch[graph.receivers])
    if crossing.size:
        raise ValueError(f"Edge {crossing[0]} joins two graphs of the batch.")
    n_graph = int(batch.max()) + 1
    order = np.argsort(batch[graph.senders], kind="stable")
    return graph._replace(
        senders=graph.senders[order],
        receivers=graph.receivers[order],
        edges=None if graph.edges is None else graph.edges[order],
        globals={"real": np.ones(n_graph, bool)},
        n_node=np.bincount(batch, minlength=n_graph).astype(np.int32),
        n_edge=np.bincount(batch[graph.senders], minlength=n_graph).astype(np.int32),
    )


def _ids(name: str, ids) -> np.ndarray:
    ids = np.asarray(ids)
    if ids.ndim != 1:
        raise ValueError(f"`{name}` must be a flat list of node ids, got shape {ids.shape}.")
    if ids.size == 0:
        return np.zeros(0, np.int32)
    if not np.issubdtype(ids.dtype, np.integer):
        raise ValueError(f"`{name}` must be whole numbers, got dtype {ids.dtype}.")
    if int(np.abs(ids).max()) >= 2**31:
        raise ValueError(f"`{name}` has an id beyond 2^31; jgc counts nodes in int32.")
    return ids.astype(np.int32)


def _features(name: str, values):
    if values is None or isinstance(values, SparseRows):
        return values
    if sp.issparse(values):
        return sparse_rows(values)
    values = np.asarray(values)
    if values.dtype.kind not in "fiub":
        raise ValueError(f"`{name}` must be numbers, got dtype {values.dtype}.")
    values = values.astype(np.float32, copy=False)
    values = values[:, None] if values.ndim == 1 else values
    if not np.isfinite(values).all():
        place = np.argwhere(~np.isfinite(values))[0].tolist()
        raise ValueError(f"`{name}{place}` is {values[tuple(place)]}; features must be finite.")
    return values


def _attribute(kind: str, items, attr: str | None):
    if attr is None:
        return None
    rows = [(item[:-1], item[-1].get(attr)) for item in items]
    for name, value in rows:
        if value is None:
            raise ValueError(f"{kind} {name} has no attribute {attr!r}.")
    return np.array([np.atleast_1d(value) for _, value in rows], np.float32)
