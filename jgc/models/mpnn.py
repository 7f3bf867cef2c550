"""MPNN: messages through a network of the edge's features (Gilmer et al., ICML 2017)."""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from jgc.graph import GraphsTuple, Layout, SparseRows, relu
from jgc.graph import layout as layout_of
from jgc.models.edge_kernel import edge_features, edge_kernel_sum
from jgc.models.layers import BatchNorm, Dropout, Linear, Site, at_input


class NNConv(nn.Module):
    """One edge-conditioned layer, `x_i W_root + sum_j x_j A(e_ij) + b`.

    `A(e)` is a two-layer network of the edge's features whose result is a matrix. Its last layer
    is linear, so `A(e)` is a sum of `edge_hidden + 1` matrices (one is its bias) weighted by the
    hidden units of the edge: `jgc.models.edge_kernel` sums that without a matrix for each edge.

    Attributes:
        features: Width of the result.
        edge_hidden: Hidden units of the edge network.

    Example:
        >>> import jax
        >>> from jgc.graph import from_edges
        >>> graph = from_edges([0], [1], nodes=jnp.ones((2, 3)), edges=jnp.ones((1, 2)))
        >>> args = graph.nodes, layout_of(graph), graph.edges
        >>> run = NNConv(features=4).init_with_output
        >>> jax.eval_shape(run, jax.random.key(0), *args)[0].shape
        (2, 4)

    References:
        arXiv 1704.01212, sec. 5, "edge network"; the layer is PyG's `NNConv`.
    """

    features: int
    edge_hidden: int = 16

    @nn.compact
    def __call__(self, x: Array | SparseRows, layout: Layout, edges: Array) -> Array:
        """Maps `[n_node, d]` to `[n_node, features]`; `edges` in layout order, `[n_edge, d_e]`."""
        units = jnp.maximum(Linear(self.edge_hidden, name="edge")(edges), 0)
        coefficients = jnp.concatenate([units, jnp.ones_like(units[:, :1])], 1)
        y = edge_kernel_sum(x, coefficients, self.features, layout, "sum")
        y = y + Linear(self.features, False, name="root")(x)
        return y + self.param("bias", nn.initializers.zeros, y.shape[-1:])[None]


class MPNN(nn.Module):
    """A stack of edge-conditioned layers with ReLU between; needs `graph.edges`.

    Differs: Gilmer et al. update nodes by a GRU that all steps share and read out by set2set; here
    each layer has weights of its own and the readout is that of the head.

    Attributes:
        hidden: Width of the inner layers.
        out: Width of the result.
        layers: Number of layers, >= 1.
        dropout: Rate before every layer but the first.
        batch_norm: Normalise after every layer but the last.
        edge_hidden: Hidden units of the edge network.

    Example:
        >>> import jax
        >>> from jgc.graph import from_edges
        >>> graph = from_edges([0, 1], [1, 2], nodes=jnp.eye(3), edges=[[1.0, 0.0], [0.0, 1.0]])
        >>> model = MPNN(hidden=4, out=2)
        >>> model.apply(model.init(jax.random.key(0), graph), graph).shape
        (3, 2)
    """

    hidden: int = 64
    out: int = 64
    layers: int = 3
    dropout: float = 0.0
    batch_norm: bool = True
    edge_hidden: int = 16

    @nn.compact
    def __call__(
        self, graph: GraphsTuple, layout: Layout | None = None, *, train: bool = False
    ) -> Array:
        """Node values `[n_node, out]` of a graph with features `[n_node, d]`.

        Raises:
            ValueError: if the graph has no edge features.
        """
        layout = layout_of(graph) if layout is None else layout
        edges = edge_features(graph, layout, "mpnn")
        x = at_input(graph.nodes, layout.node_mask)
        for i in range(1, self.layers + 1):
            last = i == self.layers
            if i > 1:
                x = Dropout(self.dropout, name=f"dropout{i}")(x, train)
            width = self.out if last else self.hidden
            x = NNConv(width, self.edge_hidden, name=f"conv{i}")(x, layout, edges)
            if not last:
                if self.batch_norm:
                    x = BatchNorm(name=f"norm{i}")(x, layout.node_mask, train)
                x = Site(name=f"update{i}")(relu(x), layout.node_mask)
        return Site(name="output")(x, layout.node_mask)
