"""Batches of graphs and their padding to static shapes."""

from typing import Any, NamedTuple

import jraph
import numpy as np
import scipy.sparse as sp

from jgc.graph.features import SparseRows, sparse_rows
from jgc.graph.graphs_tuple import GraphsTuple
from jgc.graph.layout import graph_mask, n_nodes


def batch(graphs: list[GraphsTuple]) -> GraphsTuple:
    """Joins graphs to one `GraphsTuple` on the host.

    Raises:
        ValueError: for an empty list, or for several graphs with sparse features or features of
            different widths.

    Example:
        >>> from jgc.graph import from_edges
        >>> path = from_edges([0], [1])
        >>> batch([path, path]).receivers.tolist()
        [1, 3]
    """
    if not graphs:
        raise ValueError("`graphs` is empty; a batch needs at least one graph.")
    if len(graphs) == 1:
        return graphs[0]
    if any(isinstance(graph.nodes, SparseRows) for graph in graphs):
        raise ValueError("Graphs with sparse features cannot be batched; use dense `nodes`.")
    check_alike(graphs)
    join: Any = jraph.batch_np  # annotated with jraph's own type
    return join(graphs)


def pad(graph: GraphsTuple, *, n_node: int, n_edge: int, n_graph: int) -> GraphsTuple:
    """Pads a batch to given sizes; no real number changes.

    The first padding graph takes all padding nodes and edges, further ones are empty. Padding
    edges join padding nodes only and are spread over them.

    Args:
        graph: Concrete batch. SparseRows features stay sparse.
        n_node: Nodes of the result, >= those of `graph`.
        n_edge: Edges of the result.
        n_graph: Graphs of the result, more than those of `graph` where nodes or edges are added.

    Returns:
        The padded batch; its padding graphs have `globals["real"]` False.

    Raises:
        ValueError: if the graph does not fit, or padding edges find no padding node.

    Example:
        >>> from jgc.graph import from_edges, graph_mask
        >>> padded = pad(from_edges([0], [1]), n_node=4, n_edge=3, n_graph=2)
        >>> graph_mask(padded).tolist(), padded.receivers.tolist()
        ([True, False], [1, 2, 3])
    """
    have = {"n_node": n_nodes(graph), "n_edge": graph.senders.size, "n_graph": graph.n_node.size}
    more = {"n_node": n_node, "n_edge": n_edge, "n_graph": n_graph}
    for name, want in more.items():
        if want < have[name]:
            raise ValueError(f"`{name}`={want} is too small: the batch has {have[name]}.")
        more[name] = want - have[name]
    if (more["n_node"] or more["n_edge"]) and not more["n_graph"]:
        raise ValueError(
            f"`n_graph`={n_graph} leaves no graph for the padding; it must be >= {n_graph + 1}."
        )
    if more["n_edge"] and not more["n_node"]:
        raise ValueError(f"`n_node`={n_node} leaves no node for the padding edges; add one.")
    ends = (have["n_node"] + np.arange(more["n_edge"]) % max(more["n_node"], 1)).astype(np.int32)
    counts = np.zeros((2, more["n_graph"]), np.int32)
    counts[:, :1] = [[more["n_node"]], [more["n_edge"]]]
    others = graph.globals if isinstance(graph.globals, dict) else {}
    return GraphsTuple(
        nodes=_grow(graph.nodes, more["n_node"]),
        edges=_grow(graph.edges, more["n_edge"]),
        senders=np.concatenate([graph.senders, ends]),
        receivers=np.concatenate([graph.receivers, ends]),
        globals={name: _grow(leaf, more["n_graph"]) for name, leaf in others.items()}
        | {"real": _grow(np.asarray(graph_mask(graph)), more["n_graph"])},
        n_node=np.concatenate([graph.n_node, counts[0]]),
        n_edge=np.concatenate([graph.n_edge, counts[1]]),
    )


class Buckets(NamedTuple):
    """Padded batches and what they cost.

    Attributes:
        batches: Padded graphs.
        ids: For each batch the positions of its graphs in the list, int `[n]`.
        shapes: The distinct `(n_node, n_edge, n_graph)`; a program compiles once for each.
        fill: Share of node slots that hold real nodes, in (0, 1].

    Example:
        >>> from jgc.graph import from_edges
        >>> made = bucket([from_edges([0], [1]), from_edges([], [], n_node=1)], batch_size=2)
        >>> made.ids[0].tolist(), len(made.shapes)
        ([0, 1], 1)
    """

    batches: list[GraphsTuple]
    ids: list[np.ndarray]
    shapes: list[tuple[int, int, int]]
    fill: float


def bucket(
    graphs: list[GraphsTuple], batch_size: int, *, max_shapes: int = 4, order=None
) -> Buckets:
    """Batches graphs into at most `max_shapes` static shapes.

    Args:
        graphs: Concrete single graphs.
        batch_size: Graphs a batch, >= 1; the last may hold fewer.
        max_shapes: Upper bound of the number of compiled shapes, >= 1.
        order: Permutation of the graphs; by default their own order.

    Returns:
        The `Buckets`, in order.

    Raises:
        ValueError: for an empty list, or sizes below 1.

    Example:
        >>> from jgc.graph import from_edges
        >>> paths = [from_edges(range(n), range(1, n + 1)) for n in (1, 2, 9, 3)]
        >>> buckets = bucket(paths, 1, max_shapes=2)
        >>> len(buckets.batches), buckets.shapes
        (4, [(4, 2, 2), (11, 9, 2)])
    """
    for name, value in (("batch_size", batch_size), ("max_shapes", max_shapes)):
        if value < 1:
            raise ValueError(f"`{name}` must be >= 1, got {value}.")
    order = np.arange(len(graphs)) if order is None else np.asarray(order)
    ids = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    joined = [batch([graphs[i] for i in part]) for part in ids]
    if not joined:
        raise ValueError("`graphs` is empty; there is nothing to batch.")
    sizes = np.array([[g.n_node.sum() + 1, g.senders.size] for g in joined])
    # Batches of like size share a shape: neighbours in the order of nodes, cut into equal groups.
    groups = np.array_split(np.argsort(sizes[:, 0], kind="stable"), min(max_shapes, len(joined)))
    shape_of = {
        i: (*sizes[group].max(0).tolist(), batch_size + 1) for group in groups for i in group
    }
    padded = []
    for i, graph in enumerate(joined):
        n_node, n_edge, n_graph = shape_of[i]
        padded.append(pad(graph, n_node=n_node, n_edge=n_edge, n_graph=n_graph))
    slots = sum(shape[0] for shape in shape_of.values())
    fill = float((sizes[:, 0] - 1).sum() / slots)
    return Buckets(padded, ids, sorted(set(shape_of.values())), fill)


def check_alike(graphs: list[GraphsTuple]) -> None:
    """Raises a ValueError that names the first graph whose features differ in width from graph 0's.

    A graph without such features has the width `None`.
    """
    for name in ("nodes", "edges"):
        widths = [None if v is None else v.shape[1] for v in (getattr(g, name) for g in graphs)]
        odd = [i for i, width in enumerate(widths) if width != widths[0]]
        if odd:
            raise ValueError(
                f"`{name}` of graph 0 and graph {odd[0]} have widths {widths[0]} and "
                f"{widths[odd[0]]}; all graphs must be alike."
            )


def _grow(values, extra: int):
    """Appends `extra` zero rows."""
    if values is None or not extra:
        return values
    if isinstance(values, SparseRows):
        s = values.structure
        indptr = np.append(s.indptr, np.full(extra, s.n_entry, np.int32))
        shape = (s.n_row + extra, s.n_col)
        return sparse_rows(sp.csr_array((values.values, s.cols, indptr), shape=shape))
    return np.concatenate([values, np.zeros((extra, *values.shape[1:]), values.dtype)])
