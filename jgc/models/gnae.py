"""GNAE: a graph autoencoder whose node values all have one length (Ahn and Kim, CIKM 2021)."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from jgc.graph import GraphsTuple, Layout, aggregate, edge_sum
from jgc.graph import layout as layout_of
from jgc.models.layers import Dropout, Linear, Site, at_input


class GNAE(nn.Module):
    """One linear map, rows brought to one length, one step of propagation; for inner products.

    `D^-1/2 (A + I) D^-1/2 length * normalised(X W + b)`. Without a fixed length the inner products
    of nodes with few neighbours come out near 0. Trained on parts of the edges (the problem's
    `parts`) it is NESS as its authors run it.

    Differs: a row of zeros stays zero and passes no gradient; PyG divides it by 1e-12.

    Attributes:
        out: Width of the node values.
        length: Euclidean length of every row before the propagation, > 0.
        dropout: Rate at which edges are left out in training, each direction by itself; degrees
            are those of the edges that stay.

    References:
        Ahn and Kim, arXiv 2108.08046. Ucar, arXiv 2303.08958 (NESS).

    Example:
        >>> from jgc.graph import from_edges
        >>> graph = from_edges([0], [1], nodes=jnp.ones((2, 1433)), undirected=True)
        >>> params = GNAE(out=32).init(jax.random.key(0), graph)["params"]
        >>> sum(leaf.size for leaf in jax.tree.leaves(params))
        45888
    """

    task: ClassVar[str] = "link"

    out: int = 32
    length: float = 1.8
    dropout: float = 0.2

    @nn.compact
    def __call__(
        self, graph: GraphsTuple, layout: Layout | None = None, *, train: bool = False
    ) -> Array:
        """Node values `[n_node, out]` of a graph with features `[n_node, d]`."""
        layout = layout_of(graph) if layout is None else layout
        x = at_input(graph.nodes, layout.node_mask)
        h = self.length * _normalised(Linear(self.out, name="linear")(x))
        kept, degree = self._edges(layout, train)
        own = (layout.loops == 0).astype(h.dtype)
        scale = jax.lax.rsqrt(jnp.maximum(degree + own, 1))[:, None]
        h = Site(name="message")(h * scale, layout.node_mask)
        h = aggregate(h, layout, kept, own=own) * scale
        h = Site(name="aggregate")(h, layout.node_mask)
        return Site(name="output")(h, layout.node_mask)

    def _edges(self, layout: Layout, train: bool) -> tuple[Array | None, Array]:
        """1 for each edge that stays (`None`: all do) and how many each node receives."""
        if not train or self.dropout == 0:
            return None, layout.in_degree
        drawn = Dropout(self.dropout, name="dropout")(jnp.ones(layout.edges.n_entry), train)
        kept = (drawn > 0).astype(jnp.float32)
        return kept, edge_sum(layout.edges, kept, layout.backend)


def _normalised(x: Array) -> Array:
    square = (x * x).sum(-1, keepdims=True)
    long = square > 1e-24
    return jnp.where(long, x * jax.lax.rsqrt(jnp.where(long, square, 1)), 0)
