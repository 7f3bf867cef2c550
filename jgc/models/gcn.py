"""GCN: graph convolution by a normalised sum of neighbours (Kipf and Welling, ICLR 2017)."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from jgc.graph import GraphsTuple, Layout, SparseRows, aggregate, relu
from jgc.graph import layout as layout_of
from jgc.models.layers import BatchNorm, Dropout, Linear, Site, at_input


class GCNConv(nn.Module):
    """One graph convolution, `D^-1/2 (A + I) D^-1/2 X W + b`.

    A node that has a self loop already gets no second one, as in PyG's `GCNConv`. The two factors
    `D^-1/2` scale rows before and after an unweighted sum, so no edge weight is ever read, and the
    site `message` comes after the first: what is summed has one grid, and sums as integers.

    Differs: where a node has several self loops all of them count; PyG joins them to one.

    Attributes:
        features: Width of the result.

    Example:
        >>> import jax
        >>> from jgc.graph import from_edges, layout
        >>> graph = from_edges([0, 1], [1, 2], nodes=jnp.eye(3))
        >>> conv, places = GCNConv(4), layout(graph)
        >>> variables = conv.init(jax.random.key(0), graph.nodes, places)
        >>> conv.apply(variables, graph.nodes, places).shape
        (3, 4)

    References:
        arXiv 1609.02907, eq. 2.
    """

    fused: ClassVar[bool] = True

    features: int

    @nn.compact
    def __call__(self, x: Array | SparseRows, layout: Layout) -> Array:
        """Maps node values `[n_node, d]` to `[n_node, features]`."""
        scale, own = normalisation(layout)
        h = Linear(self.features, False, name="linear")(x) * scale
        h = Site(name="message")(h, layout.node_mask)
        h = aggregate(h, layout, own=own) * scale
        h = Site(name="aggregate")(h, layout.node_mask)
        return h + self.param("bias", nn.initializers.zeros, h.shape[-1:])[None]


def propagate(x: Array, layout: Layout) -> Array:
    """The normalised sum of a graph convolution, `D^-1/2 (A + I) D^-1/2 X`.

    Args:
        x: Node values `[n_node, d]`.
        layout: Of the graph.

    Returns:
        `[n_node, d]`.

    Example:
        >>> from jgc.graph import from_edges, layout
        >>> pair = layout(from_edges([0], [1], undirected=True))
        >>> propagate(jnp.array([[1.0], [3.0]]), pair).round(3).tolist()
        [[2.0], [2.0]]
    """
    scale, own = normalisation(layout)
    return aggregate(x * scale, layout, own=own) * scale


def normalisation(layout: Layout) -> tuple[Array, Array]:
    """The factors of a graph convolution.

    Args:
        layout: Of the graph.

    Returns:
        `D^-1/2` as a column, `[n_node, 1]`, and how often each node's own value counts beside its
        neighbours', float32 `[n_node]`: not at all where it has a self loop.

    Example:
        >>> from jgc.graph import from_edges, layout
        >>> scale, own = normalisation(layout(from_edges([0, 1, 1], [1, 0, 1])))
        >>> (scale[:, 0] ** -2).round().tolist(), own.tolist()
        ([2.0, 2.0], [1.0, 0.0])
    """
    own = (layout.loops == 0).astype(jnp.float32)
    return jax.lax.rsqrt(jnp.maximum(layout.in_degree + own, 1))[:, None], own


class GCN(nn.Module):
    """A stack of graph convolutions with ReLU between.

    Attributes:
        hidden: Width of the inner layers.
        out: Width of the result (classes, for node classification).
        layers: Number of convolutions, >= 1.
        dropout: Rate before every convolution but the first.
        input_dropout: Rate before the first; `None` means `dropout`.
        batch_norm: Normalise after every convolution but the last.

    Example:
        >>> from jgc.graph import from_edges
        >>> graph = from_edges([0, 1], [1, 2], nodes=jnp.eye(3), undirected=True)
        >>> model = GCN(hidden=4, out=2)
        >>> params = model.init(jax.random.key(0), graph)["params"]
        >>> model.apply({"params": params}, graph).shape
        (3, 2)
    """

    fused: ClassVar[bool] = True

    hidden: int = 64
    out: int = 64
    layers: int = 2
    dropout: float = 0.5
    input_dropout: float | None = None
    batch_norm: bool = False

    @nn.compact
    def __call__(
        self, graph: GraphsTuple, layout: Layout | None = None, *, train: bool = False
    ) -> Array:
        """Node values `[n_node, out]` of a graph with features `[n_node, d]`."""
        layout = layout_of(graph) if layout is None else layout
        x = at_input(graph.nodes, layout.node_mask)
        for i in range(1, self.layers + 1):
            first, last = i == 1, i == self.layers
            rate = self.input_dropout if first and self.input_dropout is not None else self.dropout
            x = Dropout(rate, name=f"dropout{i}")(x, train)
            x = GCNConv(self.out if last else self.hidden, name=f"conv{i}")(x, layout)
            if not last:
                if self.batch_norm:
                    x = BatchNorm(name=f"norm{i}")(x, layout.node_mask, train)
                x = Site(name=f"update{i}")(relu(x), layout.node_mask)
        return Site(name="output")(x, layout.node_mask)


class GNNNet(GCN):
    """The GCN of SubgraphX and ProtGNN: three layers of 128 and no dropout between them.

    Their whole network is `GraphModel(GNNNet(), out, "max", head_layers=1)`: the maximum of the
    nodes, ReLU and one linear map (taking the maximum before ReLU changes no number).

    Example:
        >>> GNNNet().layers, GNNNet().hidden
        (3, 128)

    References:
        Yuan et al., ICML 2021 (arXiv 2102.05152); Zhang et al., AAAI 2022 (arXiv 2112.00911), code.
    """

    hidden: int = 128
    out: int = 128
    layers: int = 3
    dropout: float = 0.0
