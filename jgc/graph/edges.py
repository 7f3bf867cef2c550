"""Edge lists made fit for use: self loops, duplicates, degrees, normalised weights."""

import numpy as np

from jgc.graph.graphs_tuple import GraphsTuple


def add_self_loops(graph: GraphsTuple, fill: float = 1.0) -> GraphsTuple:
    """Adds a self loop to every node that has none.

    Args:
        graph: One concrete graph.
        fill: Edge feature of the new loops, where edges have features.

    Returns:
        The graph with the loops behind its edges.

    Raises:
        ValueError: for a batch of several graphs; add the loops before batching.

    Example:
        >>> from jgc.graph import from_edges
        >>> add_self_loops(from_edges([0, 1], [1, 1])).senders.tolist()
        [0, 1, 0]
    """
    _only_one(graph, "add_self_loops")
    has_loop = np.zeros(int(graph.n_node[0]), bool)
    has_loop[graph.senders[graph.senders == graph.receivers]] = True
    new = np.flatnonzero(~has_loop).astype(np.int32)
    edges = graph.edges
    if edges is not None:
        edges = np.concatenate([edges, np.full((new.size, edges.shape[1]), fill, np.float32)])
    return _with_edges(
        graph, np.concatenate([graph.senders, new]), np.concatenate([graph.receivers, new]), edges
    )


def remove_self_loops(graph: GraphsTuple) -> GraphsTuple:
    """Drops the edges from a node to itself.

    Example:
        >>> from jgc.graph import from_edges
        >>> remove_self_loops(from_edges([0, 1], [1, 1])).senders.tolist()
        [0]
    """
    return drop_edges(graph, graph.senders != graph.receivers)


def drop_edges(graph: GraphsTuple, edge_mask) -> GraphsTuple:
    """The graph with the edges that a mask keeps and no others.

    What is built of it (layouts, degrees, sums over edges) has only these. A padded batch keeps its
    nodes and graphs; `pad` brings it back to an old size.

    Args:
        graph: A concrete graph or batch.
        edge_mask: True = kept, bool `[n_edge]` in the graph's own order of edges. (One in layout
            order is `mask[np.argsort(layout.edges.order)]` in the graph's.)

    Returns:
        The graph; features follow their edges, and edges keep their order.

    Raises:
        ValueError: for a mask that is not bool `[n_edge]`.

    Example:
        >>> from jgc.graph import from_edges
        >>> pruned = drop_edges(from_edges([0, 1, 2], [1, 2, 0]), [True, False, True])
        >>> pruned.senders.tolist(), pruned.n_edge.tolist()
        ([0, 2], [2])
    """
    mask = np.asarray(edge_mask)
    if mask.dtype != bool or mask.shape != np.shape(graph.senders):
        raise ValueError(
            f"`edge_mask` must be bool {np.shape(graph.senders)}, one entry an edge and True = "
            f"kept; got {mask.dtype} {mask.shape}."
        )
    owner = np.repeat(np.arange(graph.n_edge.size), graph.n_edge)
    return graph._replace(
        senders=np.asarray(graph.senders)[mask],
        receivers=np.asarray(graph.receivers)[mask],
        edges=None if graph.edges is None else np.asarray(graph.edges)[mask],
        n_edge=np.bincount(owner[mask], minlength=graph.n_edge.size).astype(np.int32),
    )


def coalesce(graph: GraphsTuple, reduce: str = "first") -> GraphsTuple:
    """Joins parallel edges and sorts by receiver, then sender.

    Args:
        graph: One concrete graph.
        reduce: What becomes of the features of joined edges: `"first"`, `"sum"` or `"mean"`.

    Returns:
        The graph with at most one edge from a node to another.

    Raises:
        ValueError: for an unknown `reduce` or a batch of several graphs.

    Example:
        >>> from jgc.graph import from_edges
        >>> twice = from_edges([0, 0], [1, 1], edges=[[1.0], [2.0]])
        >>> coalesce(twice, "sum").edges.tolist()
        [[3.0]]
    """
    _only_one(graph, "coalesce")
    if reduce not in ("first", "sum", "mean"):
        raise ValueError(f'`reduce` must be "first", "sum" or "mean", got {reduce!r}.')
    n_node = int(graph.n_node[0])
    code = graph.receivers.astype(np.int64) * n_node + graph.senders
    unique, first, group = np.unique(code, return_index=True, return_inverse=True)
    edges = graph.edges
    if edges is not None and reduce == "first":
        edges = edges[first]
    elif edges is not None:
        total = np.zeros((unique.size, edges.shape[1]), np.float32)
        np.add.at(total, group, edges)
        edges = total / np.bincount(group)[:, None] if reduce == "mean" else total
        edges = edges.astype(np.float32)
    return _with_edges(
        graph, (unique % n_node).astype(np.int32), (unique // n_node).astype(np.int32), edges
    )


def in_degree(graph: GraphsTuple) -> np.ndarray:
    """Number of incoming edges of each node, int `[n_node]`.

    Example:
        >>> from jgc.graph import from_edges
        >>> in_degree(from_edges([0, 1], [2, 2])).tolist()
        [0, 0, 2]
    """
    return np.bincount(graph.receivers, minlength=int(np.sum(graph.n_node)))


def out_degree(graph: GraphsTuple) -> np.ndarray:
    """Number of outgoing edges of each node, int `[n_node]`.

    Example:
        >>> from jgc.graph import from_edges
        >>> out_degree(from_edges([0, 0], [1, 2])).tolist()
        [2, 0, 0]
    """
    return np.bincount(graph.senders, minlength=int(np.sum(graph.n_node)))


def normalised_weights(graph: GraphsTuple, kind: str = "symmetric") -> np.ndarray:
    """Weights that normalise the sum over incoming edges.

    Args:
        graph: A concrete graph; add self loops first where the method wants them.
        kind: `"symmetric"` gives `1 / sqrt(d_out(sender) d_in(receiver))`, for an undirected graph
            the `D^-1/2 A D^-1/2` of GCN; `"row"` gives `1 / d_in(receiver)`, the mean.

    Returns:
        float32 `[n_edge]` in the graph's own edge order. (`aggregate` wants layout order:
        `weights[layout.edges.order]`.)

    Raises:
        ValueError: for an unknown `kind`.

    Example:
        >>> from jgc.graph import from_edges
        >>> normalised_weights(from_edges([0, 1], [2, 2]), "row").tolist()
        [0.5, 0.5]
    """
    into = in_degree(graph)[graph.receivers]
    if kind == "row":
        return (1 / into).astype(np.float32)
    if kind == "symmetric":
        return (1 / np.sqrt(into * out_degree(graph)[graph.senders])).astype(np.float32)
    raise ValueError(f'`kind` must be "symmetric" or "row", got {kind!r}.')


def _only_one(graph: GraphsTuple, what: str) -> None:
    if graph.n_node.shape[0] != 1:
        raise ValueError(
            f"`{what}` works on one graph, got a batch of {graph.n_node.shape[0]}; "
            "apply it before batching."
        )


def _with_edges(graph: GraphsTuple, senders, receivers, edges) -> GraphsTuple:
    count = np.array([senders.size], np.int32)
    return graph._replace(senders=senders, receivers=receivers, edges=edges, n_edge=count)
