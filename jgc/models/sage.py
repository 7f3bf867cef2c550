"""GraphSAGE: neighbours' mean beside the node's own value (Hamilton et al., NeurIPS 2017)."""

from typing import ClassVar

import flax.linen as nn
from jax import Array

from jgc.graph import GraphsTuple, Layout, SparseRows, aggregate, relu
from jgc.graph import layout as layout_of
from jgc.models.layers import BatchNorm, Dropout, Linear, Site, at_input


class SAGEConv(nn.Module):
    """One convolution, `mean_j(x_j) W_neighbour + x W_self + b`.

    The map comes before the mean: the same numbers, and sparse features stay sparse.

    Attributes:
        features: Width of the result.
        reduce: How neighbours are joined: `"mean"`, `"sum"` or `"max"` (maximum of the mapped
            values, which differs from PyG's maximum of the features).

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jgc.graph import from_edges, layout
        >>> graph = from_edges([0, 1], [1, 2], nodes=jnp.eye(3))
        >>> conv, places = SAGEConv(4), layout(graph)
        >>> variables = conv.init(jax.random.key(0), graph.nodes, places)
        >>> conv.apply(variables, graph.nodes, places).shape
        (3, 4)

    References:
        arXiv 1706.02216, algorithm 1 with the mean aggregator.
    """

    fused: ClassVar[bool] = True

    features: int
    reduce: str = "mean"

    @nn.compact
    def __call__(self, x: Array | SparseRows, layout: Layout) -> Array:
        """Maps node values `[n_node, d]` to `[n_node, features]`."""
        h = Linear(self.features, False, name="neighbour")(x)
        h = Site(name="message")(h, layout.node_mask)
        h = Site(name="aggregate")(aggregate(h, layout, reduce=self.reduce), layout.node_mask)
        return h + Linear(self.features, name="self")(x)


class GraphSAGE(nn.Module):
    """A stack of SAGE convolutions with ReLU between.

    Attributes:
        hidden: Width of the inner layers.
        out: Width of the result.
        layers: Number of convolutions, >= 1.
        dropout: Rate before every convolution.
        batch_norm: Normalise after every convolution but the last.
        reduce: As in `SAGEConv`.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jgc.graph import from_edges
        >>> graph = from_edges([0, 1], [1, 2], nodes=jnp.eye(3))
        >>> variables = GraphSAGE(hidden=4, out=2).init(jax.random.key(0), graph)
        >>> sorted(variables["params"]["conv1"])
        ['neighbour', 'self']
    """

    fused: ClassVar[bool] = True

    hidden: int = 64
    out: int = 64
    layers: int = 2
    dropout: float = 0.5
    batch_norm: bool = False
    reduce: str = "mean"

    @nn.compact
    def __call__(
        self, graph: GraphsTuple, layout: Layout | None = None, *, train: bool = False
    ) -> Array:
        """Node values `[n_node, out]` of a graph with features `[n_node, d]`."""
        layout = layout_of(graph) if layout is None else layout
        x = at_input(graph.nodes, layout.node_mask)
        for i in range(1, self.layers + 1):
            last = i == self.layers
            x = Dropout(self.dropout, name=f"dropout{i}")(x, train)
            width = self.out if last else self.hidden
            x = SAGEConv(width, self.reduce, name=f"conv{i}")(x, layout)
            if not last:
                if self.batch_norm:
                    x = BatchNorm(name=f"norm{i}")(x, layout.node_mask, train)
                x = Site(name=f"update{i}")(relu(x), layout.node_mask)
        return Site(name="output")(x, layout.node_mask)
