"""`Layout`: everything about a graph's shape that a model needs, made once for a graph."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer

from jgc.graph.choice import FEATURES, STEPS, BackendChoice, choose
from jgc.graph.exchange import Part
from jgc.graph.graphs_tuple import GraphsTuple
from jgc.graph.product import resolve
from jgc.graph.structure import (
    Structure,
    counts_of,
    members,
    numpy_for,
    owners,
    structure,
    unsorted,
)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Layout:
    """Sorted structure and masks of a `GraphsTuple`, an argument of compiled functions.

    Attributes:
        edges: Rows are receivers, columns are senders, `[n_node, n_node]`.
        members: Rows are graphs, columns are their nodes, `[n_graph, n_node]`.
        node_graph: Graph of each node, int32 `[n_node]`.
        node_mask: True for real nodes, bool `[n_node]`.
        edge_mask: True for real edges in layout order, bool `[n_edge]`.
        graph_mask: True for real graphs, bool `[n_graph]`.
        loops: Number of self loops of each node, float32 `[n_node]`.
        backend: Back end of the aggregation. Static.
        part: Of a part of a graph that lies on several devices: what it needs of the others, which
            are further columns of `edges` (`jgc.graph.cut`). `None` for a whole graph.

    Example:
        >>> from jgc.graph import from_edges
        >>> path = layout(from_edges([0, 1], [1, 2]))
        >>> path.n_node, path.edges.cols.tolist(), path.in_degree.tolist()
        (3, [0, 1], [0.0, 1.0, 1.0])
    """

    edges: Structure
    members: Structure
    node_graph: Array
    node_mask: Array
    edge_mask: Array
    graph_mask: Array
    loops: Array
    backend: str = dataclasses.field(default="segment", metadata={"static": True})
    part: Part | None = None

    @property
    def n_node(self) -> int:
        """Number of nodes, padding included."""
        return self.edges.n_row

    @property
    def in_degree(self) -> Array:
        """Number of incoming edges of each node, float32 `[n_node]`."""
        return jnp.diff(self.edges.indptr).astype(jnp.float32)

    @property
    def out_degree(self) -> Array:
        """Number of outgoing edges of each node, float32 `[n_node]`."""
        return jnp.diff(self.edges.t_indptr).astype(jnp.float32)

    def ordered(self, values: Array) -> Array:
        """Edge values in layout order, from the order of the graph's own list; `[n_edge, ...]`."""
        return _ordered(values, self.edges, self.backend)


def layout(graph: GraphsTuple, backend: str = "auto", *, steps: int = STEPS) -> Layout:
    """Sorts a graph's edges both ways and expands its masks.

    Args:
        graph: A `GraphsTuple`; concrete (sorted on the host, the usual way) or traced (sorted
            inside the compiled program).
        backend: `"segment"`, `"bcsr"`, `"native"`, or `"auto"`: see `explain_backend`. With
            `"scatter"` edges stay in the caller's order and nothing is sorted.
        steps: For `"auto"`: how often the layout will be used, >= 1.

    Returns:
        The `Layout`. Build it once and pass it beside the graph.

    Raises:
        ValueError: for an unknown back end, "native" where the kernels cannot run, `steps` < 1.

    Example:
        >>> from jgc.graph import from_edges
        >>> path = layout(from_edges([1, 0], [2, 1]))
        >>> path.edges.rows.tolist(), path.in_degree.tolist(), path.node_mask.tolist()
        ([1, 2], [0.0, 1.0, 1.0], [True, True, True])
    """
    if backend == "auto":
        backend = explain_backend(graph, steps=steps).backend
    backend = resolve(backend, jnp.float32)
    n_node, n_graph = n_nodes(graph), graph.n_node.shape[0]
    np_ = numpy_for(graph.senders)
    is_loop = (graph.senders == graph.receivers).astype(np.float32)
    pattern = unsorted if backend == "scatter" else structure
    edges = pattern(graph.receivers, graph.senders, n_row=n_node, n_col=n_node)
    node_graph = _repeat(np_.arange(n_graph, dtype=np.int32), graph.n_node, n_node)
    return Layout(
        edges=edges,
        members=members(node_graph, graph.n_node),
        node_graph=jnp.asarray(node_graph),
        node_mask=jnp.asarray(node_mask(graph)),
        edge_mask=_ordered(jnp.asarray(edge_mask(graph)), edges, backend),
        graph_mask=jnp.asarray(graph_mask(graph)),
        loops=jnp.asarray(counts_of(graph.receivers, n_node, is_loop), jnp.float32),
        backend=backend,
    )


def explain_backend(
    graph: GraphsTuple, *, features: int = FEATURES, dtype: Any = jnp.float32, steps: int = STEPS
) -> BackendChoice:
    """Says which back end `"auto"` picks for a graph on the present device, and why.

    Args:
        graph: As for `layout`.
        features: Width of the values that will be summed.
        dtype: Their type.
        steps: How often they will be summed and differentiated, >= 1: compiling counts as well.

    Returns:
        The `BackendChoice`, with an estimate for each back end that could run.

    Raises:
        ValueError: if `steps` < 1.

    Example:
        >>> from jgc.graph import from_edges
        >>> explain_backend(from_edges([0], [1])).backend in ("segment", "bcsr", "native")
        True
    """
    if steps < 1:
        raise ValueError(f"`steps` are those to come; must be >= 1, got {steps}.")
    return choose(graph.senders.shape[0], features, dtype, steps)


def graph_mask(graph: GraphsTuple) -> Array | np.ndarray:
    """True for real graphs, bool `[n_graph]`.

    A graph says itself whether it is padding: `globals["real"]`, set by jgc's builders and, as a
    zero, by `pad` and by `jraph.pad_with_graphs`. Without that entry every graph is real.

    Differs: `jraph.get_graph_padding_mask` takes the last graph for padding, so a single graph
    that was never padded comes out as masked (jraph issue 55).

    Example:
        >>> from jgc.graph import from_edges
        >>> graph_mask(from_edges([0], [1])).tolist()
        [True]
    """
    if _marks_padding(graph):
        return graph.globals["real"]
    return numpy_for(graph.n_node).ones(graph.n_node.shape[0], bool)


def node_mask(graph: GraphsTuple) -> Array | np.ndarray:
    """True for nodes of real graphs, bool `[n_node]`.

    Example:
        >>> from jgc.graph import from_edges, pad
        >>> graph = from_edges([0], [1], nodes=np.eye(2, dtype=np.float32))
        >>> node_mask(pad(graph, n_node=4, n_edge=2, n_graph=2)).tolist()
        [True, True, False, False]
    """
    return _of_graph(graph, graph.n_node, n_nodes(graph))


def edge_mask(graph: GraphsTuple) -> Array | np.ndarray:
    """True for edges of real graphs, in the graph's own edge order, bool `[n_edge]`.

    Example:
        >>> from jgc.graph import from_edges, pad
        >>> graph = from_edges([0], [1], nodes=np.eye(2, dtype=np.float32))
        >>> edge_mask(pad(graph, n_node=4, n_edge=2, n_graph=2)).tolist()
        [True, False]
    """
    return _of_graph(graph, graph.n_edge, graph.senders.shape[0])


def n_nodes(graph: GraphsTuple) -> int:
    """Number of nodes, padding included, as a static integer.

    Raises:
        ValueError: for a traced graph without node features, whose size only they can tell.
    """
    leaves = jax.tree.leaves(graph.nodes)
    if hasattr(graph.nodes, "structure"):
        return graph.nodes.shape[0]
    if leaves:
        return leaves[0].shape[0]
    if isinstance(graph.n_node, Tracer):
        raise ValueError("A traced graph needs node features to tell its number of nodes.")
    return int(np.sum(graph.n_node))


def _ordered(values: Array, edges: Structure, backend: str) -> Array:
    return values if backend == "scatter" else values[edges.order]


def _marks_padding(graph: GraphsTuple) -> bool:
    return isinstance(graph.globals, dict) and "real" in graph.globals


def _of_graph(graph: GraphsTuple, counts: Array, total: int) -> Array | np.ndarray:
    if not _marks_padding(graph):
        return numpy_for(counts).ones(total, bool)
    return _repeat(graph_mask(graph), counts, total)


def _repeat(values, counts, total: int):
    np_ = numpy_for(values, counts)
    if np_ is np:
        return np.repeat(np.asarray(values), np.asarray(counts))
    return values[owners(counts, total)]
