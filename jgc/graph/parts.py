"""Cutting a graph: parts of equal shapes, each with what it needs to run as a graph of its own."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jgc.graph.exchange import WIRES, Part
from jgc.graph.features import SparseRows
from jgc.graph.graphs_tuple import GraphsTuple
from jgc.graph.layout import Layout
from jgc.graph.structure import members, structure


class Parts(NamedTuple):
    """A graph in parts; all leaves of `graph` and `layout` are numpy arrays `[n_part, ...]`.

    Attributes:
        graph: Its `senders` and `receivers` are local: columns and rows of `layout.edges`.
        layout: With `part` set, so that `aggregate` fetches what other parts hold.
        sent: Rows that part i (axis 0) sends to part j (axis 1), int `[n_part, n_part]`.
        n_cut: Edges whose two ends lie in different parts.

    Example:
        >>> from jgc.graph import from_edges, layout
        >>> path = from_edges([0, 1, 2], [1, 2, 3], nodes=np.eye(4))
        >>> parts = cut(path, layout(path), [0, 0, 1, 1], 2)
        >>> parts.n_send, parts.rows_of(np.arange(4)).shape[0]
        (1, 2)
    """

    graph: GraphsTuple
    layout: Layout
    sent: np.ndarray
    n_cut: int

    @property
    def wire(self) -> str:
        """How rows travel between parts."""
        assert self.layout.part is not None
        return self.layout.part.wire

    @property
    def n_send(self) -> int:
        """Rows in every message: as many as in the largest, as messages are of equal size."""
        return int(max(self.sent.max(), 1))

    def rows_of(self, values, fill=0) -> np.ndarray:
        """Node values dealt to the parts, `[n_node, ...] -> [n_part, n_own, ...]`.

        Args:
            values: Of the whole graph's nodes.
            fill: Of padding rows.
        """
        part, mask = self.layout.part, self.layout.node_graph == 0
        assert part is not None
        dealt = np.asarray(values)[part.nodes]
        return np.where(mask.reshape(*mask.shape, *[1] * (dealt.ndim - 2)), dealt, fill)


def cut(graph: GraphsTuple, layout: Layout, part_of, n_part: int, wire: str = "float32") -> Parts:
    """Cuts a graph for `n_part` devices.

    A part holds its own nodes and all edges into them, so that softmax, degree and maximum of a
    node need one device only. Parts are padded to equal shapes: rows behind their nodes that no
    real edge touches, and edges from a row of zeros to the last of them.

    Args:
        graph: One concrete graph.
        layout: Of it, from `jgc.graph.layout`, with any back end but `"scatter"`.
        part_of: Part of each node, integers `[n_node]` in `0..n_part-1`: see `partition`.
        n_part: Number of parts, >= 1.
        wire: How rows travel between parts, `"float32"` or `"int8"`.

    Returns:
        The `Parts`.

    Raises:
        ValueError: for an unknown wire, the back end `"scatter"`, a part that is not there, or
            another number of nodes.

    Example:
        >>> from jgc.graph import from_edges, layout
        >>> path = from_edges([0, 1, 2], [1, 2, 3], nodes=np.eye(4))
        >>> parts = cut(path, layout(path), [0, 0, 1, 1], 2)
        >>> parts.n_cut, parts.sent.tolist(), parts.graph.nodes.shape
        (1, [[0, 1], [0, 0]], (2, 3, 4))
    """
    part_of = np.asarray(part_of)
    _check(layout, part_of, n_part, wire)
    plan = _Plan.of(layout, part_of, n_part)
    pieces = [_piece(graph, layout, plan, p, wire) for p in range(n_part)]
    stacked = jax.tree.map(lambda *leaves: np.stack([np.asarray(a) for a in leaves]), *pieces)
    return Parts(*stacked, sent=plan.sent, n_cut=plan.n_cut)


def _check(layout: Layout, part_of: np.ndarray, n_part: int, wire: str) -> None:
    if wire not in WIRES:
        raise ValueError(f"`wire` must be one of {list(WIRES)}, got {wire!r}.")
    if layout.backend == "scatter":
        raise ValueError('`layout` has the back end "scatter", whose edges are not sorted.')
    if part_of.shape != (layout.n_node,):
        raise ValueError(
            f"`part_of` must be [{layout.n_node}], one part a node, got {part_of.shape}."
        )
    if part_of.min() < 0 or part_of.max() >= n_part:
        raise ValueError(
            f"`part_of` must be in 0..{n_part - 1}, got {part_of.min()}..{part_of.max()}."
        )


class _Plan(NamedTuple):
    """Which rows lie where; numbers are those of the whole graph unless they are called local.

    Attributes:
        own: Nodes of each part, ascending.
        edges: Positions of each part's edges in the layout, ascending.
        rows: Local row of each edge's receiver.
        cols: Local column of each edge's sender, in the receiver's part.
        place: Local row and place of each message's entry, by sending part.
        sent: See `Parts`.
        n_cut: See `Parts`.
        shape: `(n_own, n_send, n_edge)` of every part.
    """

    own: list[np.ndarray]
    edges: list[np.ndarray]
    rows: np.ndarray
    cols: np.ndarray
    place: list[tuple[np.ndarray, np.ndarray]]
    sent: np.ndarray
    n_cut: int
    shape: tuple[int, int, int]

    @classmethod
    def of(cls, layout: Layout, part_of: np.ndarray, n_part: int) -> "_Plan":
        rows, cols = np.asarray(layout.edges.rows), np.asarray(layout.edges.cols)
        n_node, into = layout.n_node, part_of[rows].astype(np.int64)
        own = [np.flatnonzero(part_of == p) for p in range(n_part)]
        edges = [np.flatnonzero(into == p) for p in range(n_part)]
        local = np.empty(n_node, np.int64)
        for nodes in own:
            local[nodes] = np.arange(nodes.size)
        n_own = max(nodes.size for nodes in own) + 1
        # Every node that a part needs of another, once: sorted by who needs, who has, which node.
        away = np.flatnonzero(into != part_of[cols])
        key = (into[away] * n_part + part_of[cols[away]]) * n_node + cols[away]
        needed, which = np.unique(key, return_inverse=True)
        pair, node = needed // n_node, needed % n_node
        counts = np.bincount(pair, minlength=n_part**2)
        n_send = max(int(counts.max()), 1)
        rank = np.arange(needed.size) - (np.cumsum(counts) - counts)[pair]
        receiver, sender = pair // n_part, pair % n_part
        columns = local[cols]
        columns[away] = (n_own + sender * n_send + rank)[which]
        place = [
            (local[node[sender == p]], (receiver * n_send + rank)[sender == p])
            for p in range(n_part)
        ]
        shape = n_own, n_send, max(1, *(e.size for e in edges))
        sent = counts.reshape(n_part, n_part).T
        return cls(own, edges, local[rows], columns, place, sent, away.size, shape)


def _piece(graph: GraphsTuple, layout: Layout, plan: _Plan, p: int, wire: str):
    """Graph and layout of one part."""
    n_own, n_send, n_edge = plan.shape
    n_part, own, edges = len(plan.own), plan.own[p], plan.edges[p]
    n_col = n_own + n_part * n_send + 1
    rows = _filled(plan.rows[edges], n_edge, n_own - 1)
    cols = _filled(plan.cols[edges], n_edge, n_col - 1)
    sends = np.full(n_part * n_send, n_own - 1)
    sends[plan.place[p][1]] = plan.place[p][0]
    places = structure(np.arange(sends.size), sends, n_row=sends.size, n_col=n_own)
    sizes = np.array([own.size, n_own - own.size], np.int32)
    node_graph = _filled(np.zeros(own.size, np.int32), n_own, 1)
    nodes, entries = _features(graph.nodes, own, plan)
    part = Part(
        sends=places,
        nodes=_filled(own, n_own, 0),
        edges=_filled(edges, n_edge, 0),
        entries=entries,
        n_edge=jnp.int32(layout.edges.n_entry),
        wire=wire,
    )
    local = Layout(
        edges=structure(rows, cols, n_row=n_own, n_col=n_col),
        members=members(node_graph, sizes),
        node_graph=node_graph,
        node_mask=_filled(np.asarray(layout.node_mask)[own], n_own, False),
        edge_mask=_filled(np.asarray(layout.edge_mask)[edges], n_edge, False),
        graph_mask=_filled(np.ones(1, bool), 2, False),
        loops=_filled(np.asarray(layout.loops)[own], n_own, 0),
        backend=layout.backend,
        part=part,
    )
    piece = GraphsTuple(
        nodes=nodes, edges=None, senders=cols, receivers=rows,
        globals={"real": np.array([True, False])}, n_node=sizes,
        n_edge=np.array([edges.size, n_edge - edges.size], np.int32),
    )  # fmt: skip
    return piece, local


def _features(x: Any, own: np.ndarray, plan: _Plan):
    """Features of a part's rows, and of sparse ones the positions of the stored entries."""
    n_own = plan.shape[0]
    if not isinstance(x, SparseRows):
        return _filled(np.asarray(x)[own], n_own, 0), None
    indptr, cols = np.asarray(x.structure.indptr), np.asarray(x.structure.cols)
    n_entry = max(int(np.diff(indptr)[nodes].sum()) for nodes in plan.own)
    counts = np.diff(indptr)[own]
    rows = np.repeat(np.arange(own.size), counts)
    first = np.cumsum(counts) - counts
    entries = np.arange(rows.size) + np.repeat(indptr[own] - first, counts)
    places = structure(
        _filled(rows, n_entry, n_own - 1), _filled(cols[entries], n_entry, x.shape[1] - 1),
        n_row=n_own, n_col=x.shape[1],
    )  # fmt: skip
    values = _filled(np.asarray(x.values)[entries], n_entry, 0)
    return SparseRows(values, places), _filled(entries, n_entry, 0)


def _filled(values: np.ndarray, n: int, fill) -> Any:
    """`[k, ...] -> [n, ...]`; whole numbers become int32."""
    values = values.astype(np.int32) if values.dtype == np.int64 else values
    width = [(0, n - values.shape[0]), *[(0, 0)] * (values.ndim - 1)]
    return np.pad(values, width, constant_values=fill)
