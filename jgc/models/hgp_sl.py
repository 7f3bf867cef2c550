"""HGP-SL: ever smaller graphs whose edges are learned anew (Zhang et al., AAAI 2020)."""

from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from jgc.graph import GraphsTuple, Layout, Selection, aggregate, pool, relu, top_nodes
from jgc.graph import layout as layout_of
from jgc.models.gcn import GCNConv
from jgc.models.layers import Dropout, Linear, Site, at_input
from jgc.models.sparsemax import sparsemax


class StructurePool(nn.Module):
    """Keeps the nodes that their neighbours predict worst, and learns the edges between them.

    A node's score is the L1 norm of its value less the mean of its neighbours'. Every kept node
    then weighs all kept nodes of its graph, itself included, by
    `sparsemax_j(leaky(a . [x_i, x_j]) + A_ij)`.

    Attributes:
        ratio: Share of the nodes of every graph that stay, rounded up, in (0, 1].
        slope: Of the leaky ReLU.

    References:
        arXiv 1911.05954, sec. 3, with trade-off 1. Differs: the authors' code normalises the
        score's mean symmetrically, sums along the transposed weights, and by default offers a node
        only those some hops around; here, as in the paper, all nodes of a graph are offered, and
        what a node receives has weights that sum to 1.
    """

    ratio: float = 0.5
    slope: float = 0.2

    @nn.compact
    def __call__(
        self, x: Array, weights: Array | None, level: Layout
    ) -> tuple[Array, Array, Layout]:
        """Pools one level.

        Args:
            x: Node values, `[n_node, d]`.
            weights: Learned by the level before, `[n_node, n_node]`; `None`: the edges of `level`.
            level: Layout of the nodes.

        Returns:
            Values `[n_kept, d]`, weights `[n_kept, n_kept]` and the layout of the kept nodes. Pairs
            of different graphs are held too, with weight 0, so memory grows with the square of the
            nodes of a batch: small batches are the fast ones.
        """
        near = aggregate(x, level, reduce="mean") if weights is None else weights @ x
        selection, kept = top_nodes(jnp.abs(x - near).sum(-1), level, self.ratio)
        if weights is None:
            between = _edges_among(selection, level)
        else:
            between = selection.rows(selection.rows(weights).T).T
        x = selection.rows(x)
        return x, self._learned(x, between, kept), kept

    def _learned(self, x: Array, between: Array, kept: Layout) -> Array:
        attention = self.param("attention", nn.initializers.glorot_uniform(), (1, 2 * x.shape[-1]))
        own, other = jnp.split(attention[0], 2)
        scores = nn.leaky_relu((x @ own)[:, None] + (x @ other)[None], self.slope) + between
        same = kept.node_graph[:, None] == kept.node_graph[None]
        return sparsemax(scores, same & kept.node_mask[:, None])


class LearnedConv(nn.Module):
    """One convolution over learned weights, `S X W + b`; the rows of `S` sum to 1 as they are.

    Attributes:
        features: Width of the result.
    """

    features: int

    @nn.compact
    def __call__(self, x: Array, weights: Array, mask: Array) -> Array:
        """Maps `[n_node, d]` with weights `[n_node, n_node]` to `[n_node, features]`."""
        h = Site(name="message")(Linear(self.features, False, name="linear")(x), mask)
        h = Site(name="attention")(weights, mask) @ h
        h = Site(name="aggregate")(h, mask)
        return h + self.param("bias", nn.initializers.zeros, h.shape[-1:])[None]


class HGPSL(nn.Module):
    """Convolutions with a pooling after each but the last, a readout a level, three linear maps.

    The readout of a level is the largest and the mean value of its nodes; those of all levels are
    summed. Values are behind a ReLU, so the authors' second ReLU on readouts would change nothing.

    Attributes:
        hidden: Width of the convolutions; the head narrows from it to its half.
        out: Width of the result (classes or targets).
        layers: Number of convolutions, >= 1.
        ratio: Share of the nodes of every graph that a pooling keeps, in (0, 1].
        dropout: Rate inside the head.

    References:
        Zhang et al., AAAI 2020. https://arxiv.org/abs/1911.05954

    Example:
        >>> import jax
        >>> from jgc.graph import from_edges
        >>> graph = from_edges([0, 1], [1, 2], nodes=jnp.ones((3, 4)), undirected=True)
        >>> params = HGPSL(hidden=128).init(jax.random.key(0), graph)["params"]
        >>> sum(leaf.size for leaf in jax.tree.leaves(params))
        75458
    """

    task: ClassVar[str] = "graph"

    hidden: int = 128
    out: int = 2
    layers: int = 3
    ratio: float = 0.5
    dropout: float = 0.5

    @nn.compact
    def __call__(
        self, graph: GraphsTuple, layout: Layout | None = None, *, train: bool = False
    ) -> Array:
        """Answers `[n_graph, out]` of a batch with features `[n_node, d]`."""
        level = layout = layout_of(graph) if layout is None else layout
        x, weights = at_input(graph.nodes, layout.node_mask), None
        n_graph = layout.graph_mask.size
        g = jnp.zeros((n_graph, 2 * self.hidden))
        for i in range(1, self.layers + 1):
            if weights is None:
                x = GCNConv(self.hidden, name=f"conv{i}")(x, level)
            else:
                x = LearnedConv(self.hidden, name=f"conv{i}")(x, weights, level.node_mask)
            x = Site(name=f"update{i}")(relu(x), level.node_mask)
            if i < self.layers:
                x, weights, level = StructurePool(self.ratio, name=f"pool{i}")(x, weights, level)
            g = g + _readout(x, level)[:n_graph]
        g = Site(name="readout")(g, layout.graph_mask)
        for i, width in enumerate((self.hidden, max(self.hidden // 2, 1)), 1):
            g = jnp.maximum(Linear(width, name=f"head{i}")(g), 0)
            g = Site(name=f"update{self.layers + i}")(g, layout.graph_mask)
            g = Dropout(self.dropout, name=f"dropout{i}")(g, train)
        return Site(name="output")(Linear(self.out, name="head3")(g), layout.graph_mask)


def _readout(x: Array, level: Layout) -> Array:
    return jnp.concatenate([pool(x, level, "max"), pool(x, level, "mean")], 1)


def _edges_among(selection: Selection, level: Layout) -> Array:
    """1 where an edge runs from the column's node to the row's, `[n_kept, n_kept]`."""
    n_kept = selection.nodes.shape[0]
    rows, cols = selection.slots[level.edges.rows], selection.slots[level.edges.cols]
    # Nodes that were not kept have a slot beyond the last, which is dropped.
    return jnp.zeros((n_kept, n_kept)).at[rows, cols].set(1, mode="drop")
