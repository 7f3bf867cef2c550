"""Aggregation over incoming edges: sum, mean, max and attention."""

import math

import jax
import jax.numpy as jnp
from jax import Array

from jgc.graph import native
from jgc.graph.codes import as_operand
from jgc.graph.exchange import arrived
from jgc.graph.layout import Layout
from jgc.graph.product import at_cols, at_rows, edge_max, edge_sum, product, resolve
from jgc.graph.softmax import row_softmax
from jgc.graph.structure import Structure

REDUCTIONS = ("sum", "mean", "max", "softmax")


def aggregate(
    values: Array,
    layout: Layout,
    weights: Array | None = None,
    reduce: str = "sum",
    own: Array | None = None,
) -> Array:
    """Aggregates the values of the senders at each receiver.

    Args:
        values: Node values, `[n_node, d]` or `[n_node, heads, d]`.
        layout: Of the graph, from `jgc.graph.layout`.
        weights: Edge weights in layout order, `[n_edge]` or `[n_edge, heads]`; for `"softmax"` the
            scores that are normalised over the incoming edges of each node. `None` weighs all
            edges 1 (sum, mean, max) or equally (softmax).
        reduce: `"sum"`, `"mean"`, `"max"` or `"softmax"`. Static.
        own: Weight of each node's own value, which is added to what it receives: `[]`, `[n_node]`
            or `[n_node, heads]`. `None` adds nothing.

    Returns:
        `[n_node, ...]` of the shape of `values`; nodes without incoming edges get 0. The mean
        divides by the number of incoming edges; equal maxima share their gradient equally.

    Raises:
        ValueError: for an unknown reduction, weights with `"max"`, or shapes that do not fit.

    Example:
        >>> from jgc.graph import from_edges, layout
        >>> path = layout(from_edges([0, 1], [1, 1], n_node=2))
        >>> x = jnp.array([[1.0], [5.0]])
        >>> [aggregate(x, path, reduce=r).tolist() for r in ("sum", "mean", "max")]
        [[[0.0], [6.0]], [[0.0], [3.0]], [[0.0], [5.0]]]
    """
    operand = as_operand(values)
    if (
        operand is not None
        and layout.part is None
        and operand.has_one_grid
        and weights is None
        and reduce in ("sum", "mean")
    ):
        if own is None or (reduce == "sum" and jnp.ndim(own) < 2):
            total = operand.summed(layout.edges, own)
            if reduce == "sum":
                return total
            return total * (1.0 / jnp.maximum(layout.in_degree, 1))[:, None]
    values = jnp.asarray(values)
    columns = _columns(values, layout)
    received = reduce_over(layout.edges, columns, weights, reduce, layout.backend)
    if own is None:
        return received
    own = jnp.asarray(own)
    return received + own.reshape(*own.shape, *[1] * (values.ndim - own.ndim)) * values


def at_senders(values: Array, layout: Layout) -> Array:
    """The sender's value at each edge, `[n_node, ...] -> [n_edge, ...]` in layout order.

    Example:
        >>> from jgc.graph import from_edges, layout
        >>> at_senders(jnp.array([5.0, 6.0]), layout(from_edges([0, 1], [1, 1]))).tolist()
        [5.0, 6.0]
    """
    return at_cols(layout.edges, _columns(values, layout), layout.backend)


def at_receivers(values: Array, layout: Layout) -> Array:
    """The receiver's value at each edge, `[n_node, ...] -> [n_edge, ...]` in layout order.

    Example:
        >>> from jgc.graph import from_edges, layout
        >>> at_receivers(jnp.array([5.0, 6.0]), layout(from_edges([0, 1], [1, 1]))).tolist()
        [6.0, 6.0]
    """
    return at_rows(layout.edges, values, layout.backend)


def pool(values: Array, layout: Layout, reduce: str = "sum") -> Array:
    """Aggregates the real nodes of each graph: `[n_node, d] -> [n_graph, d]`.

    Args:
        values: Node values, `[n_node, d]`.
        layout: Of the batch.
        reduce: `"sum"`, `"mean"` or `"max"`. Static.

    Returns:
        `[n_graph, d]`; 0 for graphs without nodes.

    Example:
        >>> from jgc.graph import from_edges, layout
        >>> pool(jnp.array([[1.0], [3.0]]), layout(from_edges([0], [1])), "mean").tolist()
        [[2.0]]

    Raises:
        ValueError: for a part of a graph.
    """
    if layout.part is not None:
        raise ValueError("`pool` is for whole graphs; the nodes of this one lie on many devices.")
    return reduce_over(layout.members, values, None, reduce, layout.backend)


def edge_softmax(scores: Array, layout: Layout) -> Array:
    """Normalises scores over the incoming edges of each node.

    Args:
        scores: In layout order, `[n_edge]` or `[n_edge, heads]`.
        layout: Of the graph.

    Returns:
        Weights of the shape of `scores`; those of a node with incoming edges sum to 1.

    Example:
        >>> from jgc.graph import from_edges, layout
        >>> edge_softmax(jnp.zeros(2), layout(from_edges([0, 1], [2, 2]))).tolist()
        [0.5, 0.5]
    """
    return row_softmax(layout.edges, scores, backend=layout.backend)[0]


def edge_softmax_with_self(scores: Array, own: Array, layout: Layout) -> tuple[Array, Array]:
    """As `edge_softmax` with one more term a node: its score for itself.

    Args:
        scores: Of the edges in layout order, `[n_edge, heads]`; `-inf` leaves an edge out.
        own: Of each node for itself, `[n_node, heads]`.
        layout: Of the graph.

    Returns:
        Weights `[n_edge, heads]` and `[n_node, heads]`, which sum to 1 at each node together.

    Example:
        >>> from jgc.graph import from_edges, layout
        >>> path = layout(from_edges([0], [1]))
        >>> edges, own = edge_softmax_with_self(jnp.zeros((1, 1)), jnp.zeros((2, 1)), path)
        >>> edges.tolist(), own.tolist()
        ([[0.5]], [[1.0], [0.5]])
    """
    edges, selves = row_softmax(layout.edges, scores, own, layout.backend)
    assert selves is not None
    return edges, selves


def _columns(values: Array, layout: Layout) -> Array:
    """A value for each column of the edges: on one device those of the nodes."""
    if layout.part is None:
        return values
    return arrived(values, layout.part, layout.backend)


def reduce_over(
    pattern: Structure, values: Array, weights: Array | None, reduce: str, backend: str
) -> Array:
    """As `aggregate`, over the rows of any pattern."""
    if reduce == "sum":
        return product(pattern, weights, values, backend)
    if reduce == "mean":
        count = jnp.maximum(jnp.diff(pattern.indptr), 1).astype(values.dtype)
        total = product(pattern, weights, values, backend)
        return total / count.reshape(-1, *[1] * (values.ndim - 1))
    if reduce == "max":
        if weights is not None:
            raise ValueError('`weights` cannot be combined with `reduce="max"`.')
        return _max(pattern, values, backend)
    if reduce == "softmax":
        scores = jnp.zeros(pattern.n_entry, values.dtype) if weights is None else weights
        return product(pattern, row_softmax(pattern, scores, None, backend)[0], values, backend)
    raise ValueError(f"`reduce` must be one of {list(REDUCTIONS)}, got {reduce!r}.")


def _max(pattern: Structure, values: Array, backend: str) -> Array:
    if resolve(backend, values.dtype, pattern.n_entry) == "native":
        heads = values.reshape(values.shape[0], 1, math.prod(values.shape[1:]))
        return _native_max(pattern, heads).reshape(pattern.n_row, *values.shape[1:])
    return _max_of_gathered(pattern, values, backend)


def _max_of_gathered(pattern: Structure, values: Array, backend: str) -> Array:
    gathered = at_cols(pattern, values, backend)
    top = edge_max(pattern, jax.lax.stop_gradient(gathered), backend)
    won = gathered == top[pattern.rows]
    ties = jnp.maximum(edge_sum(pattern, won.astype(values.dtype), backend), 1)
    mean = edge_sum(pattern, jnp.where(won, gathered, 0), backend) / ties
    # The value is the maximum itself; only the gradient goes through the mean over ties.
    return top + (mean - jax.lax.stop_gradient(mean)).astype(top.dtype)


@jax.custom_vjp
def _native_max(pattern: Structure, values: Array) -> Array:
    """Nothing is gathered for the result; the gradient asks each entry whether it has won."""
    return native.gather_max(pattern, values)


def _native_max_bwd(saved, dy):
    pattern, values = saved
    back = jax.vjp(lambda values: _max_of_gathered(pattern, values, "native"), values)[1]
    return jax.tree.map(lambda _: None, pattern), *back(dy)


_native_max.defvjp(
    lambda pattern, values: (_native_max(pattern, values), (pattern, values)), _native_max_bwd
)
