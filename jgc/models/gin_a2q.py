"""The GIN of quantisation studies: batch norm after every ReLU (Zhu et al., ICLR 2023)."""

import flax.linen as nn
from jax import Array

from jgc.graph import GraphsTuple, Layout
from jgc.graph import layout as layout_of
from jgc.models.gin import GINConv
from jgc.models.layers import BatchNorm, Dropout, Site, at_input


class A2QGIN(nn.Module):
    """A stack of isomorphism layers with two batch norms each and no ReLU between layers.

    The MLP of a layer is linear, ReLU, linear, ReLU, batch norm; a second batch norm follows every
    layer, the last too. The whole network is `GraphModel(A2QGIN(), out, "mean", dropout=0.0)`:
    with 3 features and 2 classes it has 43,271 parameters.

    Attributes:
        hidden: Width of the inner layers.
        out: Width of the result.
        layers: Number of layers, >= 1.
        dropout: Rate before every layer but the first.

    References:
        arXiv 2302.00193, code: the float branch of its GIN on REDDIT-BINARY.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jgc.graph import from_edges
        >>> graph = from_edges([0, 1], [1, 2], nodes=jnp.eye(3))
        >>> variables = A2QGIN(hidden=4, out=2, layers=1).init(jax.random.key(0), graph)
        >>> sorted(variables["params"])
        ['conv1', 'norm1']
    """

    hidden: int = 64
    out: int = 64
    layers: int = 5
    dropout: float = 0.0

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
            conv = GINConv(self.out if last else self.hidden, norm_last=True, name=f"conv{i}")
            x = BatchNorm(name=f"norm{i}")(conv(x, layout, train), layout.node_mask, train)
            x = Site(name="output" if last else f"update{i}")(x, layout.node_mask)
        return x
