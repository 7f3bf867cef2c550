"""GIN: sum of neighbours through an MLP (Xu et al., ICLR 2019)."""

from typing import ClassVar

import flax.linen as nn
from jax import Array

from jgc.graph import GraphsTuple, Layout, SparseRows, aggregate, relu
from jgc.graph import layout as layout_of
from jgc.models.layers import MLP2, BatchNorm, Dropout, Site, at_input


class GINConv(nn.Module):
    """One isomorphism layer, `MLP((1 + eps) x + sum_j x_j)`.

    The first map of the MLP comes before the sum: the same numbers, and sparse features stay
    sparse.

    Attributes:
        features: Width of the result.
        batch_norm: Normalise inside the MLP.
        norm_last: Normalise at the end of the MLP, see `jgc.models.layers.MLP2`.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jgc.graph import from_edges, layout
        >>> graph = from_edges([0, 1], [1, 2], nodes=jnp.eye(3))
        >>> conv, places = GINConv(4), layout(graph)
        >>> variables = conv.init(jax.random.key(0), graph.nodes, places, False)
        >>> conv.apply(variables, graph.nodes, places, False).shape
        (3, 4)

    References:
        arXiv 1810.00826, eq. 4.1.
    """

    fused: ClassVar[bool] = True

    features: int
    batch_norm: bool = True
    norm_last: bool = False

    @nn.compact
    def __call__(self, x: Array | SparseRows, layout: Layout, train: bool) -> Array:
        """Maps node values `[n_node, d]` to `[n_node, features]`."""
        mlp = MLP2(self.features, self.features, self.batch_norm, self.norm_last, name="mlp")
        eps = self.param("eps", nn.initializers.zeros, ())
        h = Site(name="message")(mlp.before(x), layout.node_mask)
        h = aggregate(h, layout, own=1 + eps)
        h = Site(name="aggregate")(h, layout.node_mask)
        return mlp(h, layout.node_mask, train)


class GIN(nn.Module):
    """A stack of isomorphism layers, each followed by batch norm (optional) and ReLU.

    Attributes:
        hidden: Width of the inner layers.
        out: Width of the result.
        layers: Number of layers, >= 1.
        dropout: Rate before every layer but the first.
        batch_norm: Normalise inside the MLPs and after every layer but the last.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jgc.graph import from_edges
        >>> graph = from_edges([0, 1], [1, 2], nodes=jnp.eye(3))
        >>> variables = GIN(hidden=4, out=2).init(jax.random.key(0), graph)
        >>> sorted(variables)
        ['batch_stats', 'params']
    """

    fused: ClassVar[bool] = True

    hidden: int = 64
    out: int = 64
    layers: int = 5
    dropout: float = 0.0
    batch_norm: bool = True

    @nn.compact
    def __call__(
        self, graph: GraphsTuple, layout: Layout | None = None, *, train: bool = False
    ) -> Array:
        """Node values `[n_node, out]` of a graph with features `[n_node, d]`."""
        layout = layout_of(graph) if layout is None else layout
        x = at_input(graph.nodes, layout.node_mask)
        for i in range(1, self.layers + 1):
            last = i == self.layers
            if i > 1:
                x = Dropout(self.dropout, name=f"dropout{i}")(x, train)
            width = self.out if last else self.hidden
            x = GINConv(width, self.batch_norm, name=f"conv{i}")(x, layout, train)
            if not last:
                if self.batch_norm:
                    x = BatchNorm(name=f"norm{i}")(x, layout.node_mask, train)
                x = Site(name=f"update{i}")(relu(x), layout.node_mask)
        return Site(name="output")(x, layout.node_mask)
