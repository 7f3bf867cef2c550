"""GAT: attention over neighbours (Velickovic et al., ICLR 2018)."""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from jgc.graph import (
    GraphsTuple,
    Layout,
    SparseRows,
    aggregate,
    at_receivers,
    at_senders,
    edge_softmax_with_self,
)
from jgc.graph import layout as layout_of
from jgc.models.layers import Dropout, Linear, Site, at_input


class GATConv(nn.Module):
    """One attention layer: `sum_j softmax_j(leaky(a_s . W x_j + a_d . W x_i)) W x_j + b`.

    Every node attends to itself once, whether or not the graph has its self loop, as in PyG.

    Attributes:
        features: Width of a head.
        heads: Number of heads.
        concat: Join heads to `[n_node, heads * features]`; otherwise their mean.
        dropout: Rate on the attention weights.
        slope: Of the leaky ReLU.

    Example:
        >>> import jax
        >>> from jgc.graph import from_edges, layout
        >>> graph = from_edges([0, 1], [1, 2], nodes=jnp.eye(3))
        >>> conv, places = GATConv(2, heads=2), layout(graph)
        >>> variables = conv.init(jax.random.key(0), graph.nodes, places, False)
        >>> conv.apply(variables, graph.nodes, places, False).shape
        (3, 4)

    References:
        arXiv 1710.10903, eq. 1 to 6.
    """

    features: int
    heads: int = 8
    concat: bool = True
    dropout: float = 0.0
    slope: float = 0.2

    @nn.compact
    def __call__(self, x: Array | SparseRows, layout: Layout, train: bool) -> Array:
        """Maps `[n_node, d]` to `[n_node, heads * features]`, or without `concat` to `features`."""
        h = Linear(self.heads * self.features, False, name="linear")(x)
        h = Site(name="message")(h, layout.node_mask)
        h = h.reshape(h.shape[0], -1, self.features)  # Heads may have been pruned away.
        weights, own = self._attention(h, layout, train)
        y = aggregate(h, layout, weights, own=own)
        y = Site(name="aggregate")(y, layout.node_mask)
        y = y.reshape(y.shape[0], -1) if self.concat else y.sum(1) / self.heads
        return y + self.param("bias", nn.initializers.zeros, y.shape[-1:])[None]

    def _scores(self, h: Array, layout: Layout) -> tuple[Array, Array]:
        """Scores of edges `[n_edge, heads]` and of each node for itself `[n_node, heads]`."""
        shape = (1, *h.shape[1:])
        source, target = (
            self.dots(h, self.param(name, nn.initializers.glorot_uniform(), shape)[0])
            for name in ("att_source", "att_target")
        )
        scores = at_senders(source, layout) + at_receivers(target, layout)
        return scores, source + target

    def dots(self, h: Array, vectors: Array) -> Array:
        """`head_dots`, in a method of its own that `jgc.pack.compaction.units` can stand in for."""
        return head_dots(h, vectors)

    def _attention(self, h: Array, layout: Layout, train: bool) -> tuple[Array, Array]:
        """Weights of edges `[n_edge, heads]` and of each node for itself `[n_node, heads]`."""
        scores, own = (nn.leaky_relu(s, self.slope) for s in self._scores(h, layout))
        edges = layout.edges
        # A stored self loop is left out here: `own` counts it for every node alike.
        scores = jnp.where((edges.rows == edges.cols)[:, None], -jnp.inf, scores)
        both = jnp.concatenate(edge_softmax_with_self(scores, own, layout))
        mask = jnp.concatenate([layout.edge_mask, layout.node_mask])
        both = Dropout(self.dropout, name="dropout")(Site(name="attention")(both, mask), train)
        return both[: edges.n_entry], both[edges.n_entry :]


class GAT(nn.Module):
    """A stack of attention layers with ELU between; the last has `out_heads` heads, averaged.

    Attributes:
        hidden: Width of a head of the inner layers.
        out: Width of the result.
        heads: Heads of the inner layers.
        out_heads: Heads of the last layer.
        layers: Number of attention layers, >= 1.
        dropout: Rate before every layer and on the attention weights.

    Example:
        >>> import jax
        >>> from jgc.graph import from_edges
        >>> graph = from_edges([0, 1], [1, 2], nodes=jnp.eye(3))
        >>> model = GAT(hidden=4, heads=2, out=3)
        >>> model.apply(model.init(jax.random.key(0), graph), graph).shape
        (3, 3)
    """

    hidden: int = 8
    out: int = 64
    heads: int = 8
    out_heads: int = 1
    layers: int = 2
    dropout: float = 0.6

    @nn.compact
    def __call__(
        self, graph: GraphsTuple, layout: Layout | None = None, *, train: bool = False
    ) -> Array:
        """Node values `[n_node, out]` of a graph with features `[n_node, d]`."""
        layout = layout_of(graph) if layout is None else layout
        x = at_input(graph.nodes, layout.node_mask)
        for i in range(1, self.layers):
            x = Dropout(self.dropout, name=f"dropout{i}")(x, train)
            conv = self._conv(self.hidden, self.heads, True, f"conv{i}")
            x = Site(name=f"update{i}")(nn.elu(conv(x, layout, train)), layout.node_mask)
        x = Dropout(self.dropout, name=f"dropout{self.layers}")(x, train)
        conv = self._conv(self.out, self.out_heads, False, f"conv{self.layers}")
        return Site(name="output")(conv(x, layout, train), layout.node_mask)

    def _conv(self, features: int, heads: int, concat: bool, name: str) -> GATConv:
        return GATConv(features, heads, concat, self.dropout, name=name)


def head_dots(h: Array, vectors: Array) -> Array:
    """Inner products of each node's heads with a vector a head, `[n, heads, d] -> [n, heads]`.

    As one product with a block-diagonal matrix: XLA on CPU sums over a short last axis ten times
    more slowly.

    Args:
        h: `[n, heads, d]`.
        vectors: `[heads, d]`.

    Example:
        >>> head_dots(jnp.array([[[1.0, 2.0], [3.0, 4.0]]]), jnp.array([[1.0, 1.0], [0.0, 2.0]]))
        Array([[3., 8.]], dtype=float32)
    """
    heads, d = vectors.shape
    blocks = jnp.eye(heads)[:, None] * vectors[:, :, None]
    flat = h.reshape(h.shape[0], heads * d)
    return jnp.matmul(flat, blocks.reshape(heads * d, heads), precision="highest")
