"""A data set of small graphs on the device, from which compiled programs draw batches by number.

Epochs of small graphs are bound by how batches are made. Here the whole set lies on the device
once, every batch has one static size (so one compiled program serves all), and a batch is a short
list of graph numbers: nothing else travels, and no Python runs between two steps.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jgc.graph.batch import check_alike
from jgc.graph.features import SparseRows
from jgc.graph.graphs_tuple import GraphsTuple
from jgc.graph.layout import Layout
from jgc.graph.structure import Structure, members, structure


class Budget(NamedTuple):
    """Static size of a batch: slots for nodes, edges and graphs, padding included.

    Example:
        >>> Budget(n_node=64, n_edge=256, n_graph=9).n_graph
        9
    """

    n_node: int
    n_edge: int
    n_graph: int


class Collection(NamedTuple):
    """All graphs of a set end to end; ids inside a graph count from 0.

    Attributes:
        nodes: Features, `[n_node, d]`.
        edges: Features in row order, `[n_edge, d_edge]`, or `None`.
        pattern: Edges sorted both ways, with positions counted inside each graph; `indptr` and
            `t_indptr` hold the first edge of each node, `[n_node]`.
        loops: Number of self loops of each node, `[n_node]`.
        node_start: Graph `g` owns the nodes `node_start[g]:node_start[g + 1]`, `[n_graph + 2]`; the
            last graph is an empty one, the padding of batches.
        edge_start: The same of edges.

    Example:
        >>> from jgc.graph import from_edges
        >>> both = collection([from_edges([0], [1], nodes=jnp.ones((2, 3)))] * 2)
        >>> both.nodes.shape, both.node_start.tolist()
        ((4, 3), [0, 2, 4, 4])
    """

    nodes: Array
    edges: Array | None
    pattern: Structure
    loops: Array
    node_start: Array
    edge_start: Array

    @property
    def n_graph(self) -> int:
        """Number of graphs; this number itself names the empty graph."""
        return self.node_start.shape[0] - 2


def collection(graphs: list[GraphsTuple]) -> Collection:
    """Lays graphs end to end.

    Args:
        graphs: Concrete single graphs with dense features of one width.

    Returns:
        The `Collection`.

    Raises:
        ValueError: for an empty list, a batch in it, or a graph whose features are missing, sparse
            or of another width.

    Example:
        >>> from jgc.graph import from_edges
        >>> paths = [from_edges([0], [1], nodes=np.ones((n, 1))) for n in (2, 3)]
        >>> collection(paths).node_start.tolist()
        [0, 2, 5, 5]
    """
    if not graphs:
        raise ValueError("`graphs` is empty; a collection needs at least one graph.")
    for i, graph in enumerate(graphs):
        if graph.n_node.shape[0] != 1:
            raise ValueError(
                f"Graph {i} is a batch of {graph.n_node.shape[0]}; give single graphs."
            )
        if graph.nodes is None:
            raise ValueError(f"Graph {i} has no node features; give every node at least a 1.")
        if isinstance(graph.nodes, SparseRows):
            raise ValueError(f"Graph {i} has sparse features; use dense `nodes`.")
    check_alike(graphs)
    sizes = np.array([[g.nodes.shape[0], g.senders.size] for g in graphs])
    node_start, edge_start = (np.append(0, np.append(s.cumsum(), s.sum())) for s in sizes.T)
    starts = node_start[:-2], edge_start[:-2]
    edge_node, edge_edge = (np.repeat(start, sizes[:, 1]) for start in starts)
    receivers, senders = (
        np.concatenate([getattr(g, name) for g in graphs]) + edge_node
        for name in ("receivers", "senders")
    )
    n_node = int(node_start[-1])
    whole = structure(receivers, senders, n_row=n_node, n_col=n_node)
    whole = jax.tree.map(np.asarray, whole)
    node_edge = np.repeat(starts[1], sizes[:, 0])
    local = Structure(
        indptr=whole.indptr[:-1] - node_edge, rows=whole.rows - edge_node,
        cols=whole.cols - edge_node, t_indptr=whole.t_indptr[:-1] - node_edge,
        t_rows=whole.t_rows - edge_node, t_cols=whole.t_cols - edge_node,
        t_order=whole.t_order - edge_edge, order=whole.order,
    )  # fmt: skip
    features = None
    if graphs[0].edges is not None:
        features = np.concatenate([g.edges for g in graphs])[whole.order]
    return Collection(
        nodes=jnp.asarray(np.concatenate([g.nodes for g in graphs])),
        edges=None if features is None else _never_empty(features),
        pattern=Structure(*(_never_empty(leaf.astype(np.int32)) for leaf in local)),
        loops=jnp.asarray(np.bincount(receivers[receivers == senders], minlength=n_node), "f4"),
        node_start=jnp.asarray(node_start, jnp.int32),
        edge_start=jnp.asarray(edge_start, jnp.int32),
    )


def draw(graphs: Collection, ids: Array, budget: Budget, backend: str = "segment"):
    """Builds the batch of the given graphs, inside a compiled program.

    Args:
        graphs: The set.
        ids: Graph numbers, int32 `[budget.n_graph - 1]`; `graphs.n_graph` stands for no graph.
        budget: Static size. The graphs must fit with at least one node to spare (see `pack`): what
            does not fit is cut off without a word, as values cannot be checked here.
        backend: Of the layout. Static.

    Returns:
        `(graph, layout)`: a padded `GraphsTuple` of `budget` size and its `Layout`. The last graph
        is padding; so is every graph number that stands for no graph.

    Example:
        >>> from jgc.graph import from_edges
        >>> paths = [from_edges([0], [1], nodes=np.full((n, 1), n)) for n in (2, 3)]
        >>> graph, layout = draw(collection(paths), jnp.array([1, 2]), Budget(5, 2, 3))
        >>> graph.nodes[:, 0].tolist(), layout.graph_mask.tolist(), layout.edges.cols.tolist()
        ([3.0, 3.0, 3.0, 0.0, 0.0], [True, False, False], [0, 4])
    """
    node_of, node_slot, n_real = _slots(graphs.node_start, ids, budget.n_node)
    node_mask = jnp.arange(budget.n_node) < n_real
    edges, edge_slot, edge_mask = _edges(graphs, ids, budget, node_of, node_slot, node_mask)
    node_graph = jnp.where(node_mask, node_of, budget.n_graph - 1)
    n_node, n_edge = (
        jnp.append(counts, total - counts.sum()).astype(jnp.int32)
        for counts, total in (
            (jnp.diff(graphs.node_start)[ids], budget.n_node),
            (jnp.diff(graphs.edge_start)[ids], budget.n_edge),
        )
    )
    real = jnp.append(ids < graphs.n_graph, False)
    layout = Layout(
        edges=edges,
        members=members(node_graph, n_node),
        node_graph=node_graph,
        node_mask=node_mask,
        edge_mask=edge_mask,
        graph_mask=real,
        loops=jnp.where(node_mask, graphs.loops[node_slot], 0),
        backend=backend,
    )
    graph = GraphsTuple(
        nodes=jnp.where(node_mask[:, None], graphs.nodes[node_slot], 0),
        edges=None
        if graphs.edges is None
        else jnp.where(edge_mask[:, None], graphs.edges[edge_slot], 0),
        senders=edges.cols,
        receivers=edges.rows,
        globals={"real": real},
        n_node=n_node,
        n_edge=n_edge,
    )
    return graph, layout


def pack(
    sizes: np.ndarray, ids: np.ndarray, budget: Budget, n_batch: int | None = None
) -> np.ndarray:
    """Packs graphs, in the given order, into batches that fit a budget (first fit, on the host).

    Args:
        sizes: Nodes and edges of every graph of the set, int `[n_graph, 2]`.
        ids: Graphs to pack, int `[n]`, a permutation for a shuffled epoch.
        budget: Of a batch; one node and one graph slot are kept for padding.
        n_batch: Number of batches of the result; by default as many as are needed.

    Returns:
        int32 `[n_batch, budget.n_graph - 1]`; `n_graph` stands for no graph.

    Raises:
        ValueError: if a graph is larger than the budget or `n_batch` is too small.

    Example:
        >>> pack(np.array([[2, 1], [3, 1], [2, 1]]), np.arange(3), Budget(5, 4, 3)).tolist()
        [[0, 2], [1, 3]]
    """
    room = np.array([budget.n_node - 1, budget.n_edge])
    too_large = [int(i) for i in ids if (sizes[i] > room).any()]
    if too_large:
        raise ValueError(
            f"Graph {too_large[0]} has {sizes[too_large[0]].tolist()} nodes and edges; the budget "
            f"takes {room.tolist()}."
        )
    # The third column counts graphs. Batches beyond the last are empty ones, so one always fits.
    wanted = np.append(sizes[ids], np.ones((len(ids), 1), sizes.dtype), 1)
    free = np.tile(np.append(room, budget.n_graph - 1), (len(ids), 1))
    batch_of, n_used = np.zeros(len(ids), int), 0
    for i, size in enumerate(wanted):
        b = batch_of[i] = (free[: n_used + 1] >= size).all(1).argmax()
        free[b] -= size
        n_used = max(n_used, b + 1)
    if n_batch is not None and n_used > n_batch:
        raise ValueError(f"`n_batch`={n_batch} is too small: {n_used} batches are needed.")
    packed = np.full((n_batch or n_used, budget.n_graph - 1), len(sizes), np.int32)
    for row, b in zip(packed, range(n_used), strict=False):
        members = ids[batch_of == b]
        row[: len(members)] = members
    return packed


def _slots(start: Array, ids: Array, n_slot: int):
    """For each slot of a batch: which of `ids`, which position in the set; and the slots used."""
    counts = jnp.diff(start)[ids]
    ends = jnp.cumsum(counts)
    slot = jnp.arange(n_slot, dtype=jnp.int32)
    owner = jnp.searchsorted(ends, slot, side="right").astype(jnp.int32)
    owner = jnp.minimum(owner, ids.shape[0] - 1)
    place = start[ids[owner]] + slot - (ends - counts)[owner]
    return owner, jnp.clip(place, 0, jnp.maximum(start[-1] - 1, 0)), ends[-1]


def _never_empty(values: np.ndarray | Array) -> Array:
    """A set without any edge keeps one unused row, since nothing can be gathered from none."""
    return jnp.asarray(values if len(values) else np.zeros((1, *values.shape[1:]), values.dtype))


def _edges(graphs: Collection, ids, budget: Budget, node_of, node_slot, node_mask):
    """The batch's `Structure`, the place of each edge slot in the set, and which slots are real."""
    edge_of, slot, n_real = _slots(graphs.edge_start, ids, budget.n_edge)
    mask = jnp.arange(budget.n_edge) < n_real
    first_node, first_edge = (
        jnp.cumsum(counts) - counts
        for counts in (jnp.diff(graphs.node_start)[ids], jnp.diff(graphs.edge_start)[ids])
    )

    # Padding edges are loops of the last node, so that rows stay ascending.
    def ends(local):
        return jnp.where(mask, local[slot] + first_node[edge_of], budget.n_node - 1)

    def offsets(local):
        inner = jnp.where(node_mask, local[node_slot] + first_edge[node_of], n_real)
        return jnp.append(inner, budget.n_edge).astype(jnp.int32)

    p = graphs.pattern
    position = jnp.arange(budget.n_edge, dtype=jnp.int32)
    edges = Structure(
        indptr=offsets(p.indptr), rows=ends(p.rows), cols=ends(p.cols),
        t_indptr=offsets(p.t_indptr), t_rows=ends(p.t_rows), t_cols=ends(p.t_cols),
        t_order=jnp.where(mask, p.t_order[slot] + first_edge[edge_of], position), order=position,
    )  # fmt: skip
    return edges, slot, mask
