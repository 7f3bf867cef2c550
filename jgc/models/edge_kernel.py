"""Maps that depend on the edge: `sum_j x_j W(e_ij)` without ever forming a matrix for an edge."""

import jax.numpy as jnp
from jax import Array

from jgc.graph import GraphsTuple, Layout, SparseRows, aggregate
from jgc.models.layers import Linear, Site


def edge_kernel_sum(
    x: Array | SparseRows, coefficients: Array, features: int, layout: Layout, reduce: str
) -> Array:
    """Joins `x_j W(e)` over incoming edges, where `W(e) = sum_k coefficients[e, k] W_k`.

    The maps come before the sum, `k` of them side by side, so sparse features stay sparse and an
    edge costs `k * features` products. To be called inside a compact module, whose parameter
    `linear/kernel`, `[d, k * features]`, holds the `W_k` one after the other, and whose sites it
    fills: `message`, `attention` (the coefficients) and `aggregate`.

    Args:
        x: Node values, `[n_node, d]`.
        coefficients: Of each edge in layout order, `[n_edge, k]`.
        features: Width of the result.
        layout: Of the graph.
        reduce: `"sum"` or `"mean"`. Static.

    Returns:
        `[n_node, features]`; 0 for nodes without incoming edges.
    """
    k = coefficients.shape[1]
    h = Linear(k * features, False, name="linear")(x)
    h = Site(name="message")(h, layout.node_mask)
    coefficients = Site(name="attention")(coefficients, layout.edge_mask)
    y = aggregate(h.reshape(h.shape[0], k, -1), layout, coefficients, reduce).sum(1)
    return Site(name="aggregate")(y, layout.node_mask)


def edge_features(graph: GraphsTuple, layout: Layout, model: str) -> Array:
    """Edge features in layout order, `[n_edge, d_edge]`.

    Args:
        graph: With `edges`, `[n_edge]` or `[n_edge, d_edge]`.
        layout: Of the graph.
        model: Who needs them, for the message.

    Raises:
        ValueError: if the graph has none.

    Example:
        >>> from jgc.graph import from_edges
        >>> from jgc.graph import layout as layout_of
        >>> graph = from_edges([0, 1], [1, 0], edges=[0.5, 2.0])
        >>> edge_features(graph, layout_of(graph), "mpnn").tolist()
        [[2.0], [0.5]]
    """
    if graph.edges is None:
        raise ValueError(
            f"`{model}` reads `graph.edges`, which this data set lacks. Take a set with edge "
            "features, such as 'mutag' or 'bbbp', or a model without, such as 'gin'."
        )
    edges = jnp.asarray(graph.edges)
    edges = edges if edges.ndim == 2 else edges[:, None]
    return layout.ordered(edges)
