"""WalkPool: is a pair linked? Ask the walks around it (Pan, Shi and Dokmanic, ICLR 2022)."""

import functools
from collections.abc import Iterable
from typing import ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from jgc.graph import (
    GraphsTuple,
    Layout,
    SparseRows,
    aggregate,
    at_cols,
    at_rows,
    edge_softmax_with_self,
    edge_sum,
    pool,
)
from jgc.graph import layout as layout_of
from jgc.models.edge_kernel import edge_features
from jgc.models.gcn import GCNConv
from jgc.models.layers import BatchNorm, Dropout, Linear, Site, at_input

_NEVER = -1e9  # A score that weighs nothing, and yet leaves a node without edges finite.


class Pair(NamedTuple):
    """Which edges and nodes of a batch are the pair that a graph asks about.

    Attributes:
        edges: True on the two edges between a pair, bool `[n_edge]`.
        nodes: 1 at the first and at the second node of a pair, float32 `[n_node, 2]`.
    """

    edges: Array
    nodes: Array


class Attention(nn.Module):
    """Scores of edges by two-layer maps of both ends, scaled inner products of their results.

    Attributes:
        features: Width of a head.
        heads: Number of heads.
        dropout: Rate between the two layers.

    References:
        arXiv 2110.04375, sec. 3.2.
    """

    features: int
    heads: int
    dropout: float

    @nn.compact
    def __call__(
        self, values: tuple[Array | SparseRows, ...], layout: Layout, train: bool
    ) -> Array:
        """Maps the joined values, `[n_node, d]` each, to scores `[n_edge, heads]`."""
        ends = []
        for name in ("query", "key"):
            # One map of the values side by side, taken apart so that sparse ones stay sparse.
            maps = (
                Linear(self.features, i == 0, name=f"{name}1_{i}")(x) for i, x in enumerate(values)
            )
            h = nn.leaky_relu(sum(maps), 0.2)
            h = Site(name=f"{name}_update")(h, layout.node_mask)
            h = Dropout(self.dropout, name=f"{name}_dropout")(h, train)
            h = Linear(self.heads * self.features, name=f"{name}2")(h)
            h = Site(name=f"{name}_message")(h, layout.node_mask)
            ends.append(h.reshape(-1, self.heads, self.features))
        query, key = ends
        edges, backend = layout.edges, layout.backend
        scores = at_cols(edges, query, backend) * at_rows(edges, key, backend)
        return scores.sum(-1) / jnp.sqrt(self.features)


class WalkPool(nn.Module):
    """Convolutions, attention, walks of many lengths around the pair, and a head of five maps.

    A graph's pair is marked by a 1 in the first column of `graph.edges`, on its two edges
    (`jgc.data.enclosing_graphs`, data sets "NAME-pairs"). Attention makes two random walks, with
    the pair's own edges and without; for every length the head sees how likely they return to the
    pair's nodes, how likely they go from one to the other, and by how much the pair's edges change
    the sum of all return probabilities.

    The authors multiply full matrices for that. The two walks differ in two rows only, so all
    features follow from the walk without the pair's edges, between its two nodes
    (`walk_features`): two vectors travel along the edges instead of two matrices.

    Attributes:
        hidden: Width of the convolutions and of a head of the attention.
        out: Width of the result: 1.
        heads: Heads of the attention.
        walks: Number of lengths, from 2 on, >= 1.
        widen: Width of the head's first two maps, in features. The authors' is 20, which is 3.3
            million weights where all else is ten thousand.
        dropout: Rate between the convolutions, in the attention and before the last map.

    Raises:
        ValueError: if the graph has no edge features.

    Example:
        >>> from jgc.graph import from_edges
        >>> mark = jnp.array([[0.0], [0.0], [1.0], [1.0]])
        >>> graph = from_edges([0, 1, 0, 2], [1, 0, 2, 0], nodes=jnp.eye(3), edges=mark)
        >>> model = WalkPool(hidden=4)
        >>> model.apply(model.init(jax.random.key(0), graph), graph).shape
        (1, 1)

    References:
        arXiv 2110.04375, sec. 3, and the authors' code.
    """

    task: ClassVar[str] = "graph"

    hidden: int = 32
    out: int = 1
    heads: int = 2
    walks: int = 7
    widen: int = 4
    dropout: float = 0.5

    @nn.compact
    def __call__(
        self, graph: GraphsTuple, layout: Layout | None = None, *, train: bool = False
    ) -> Array:
        """Logits `[n_graph, out]` of a batch with features `[n_node, d]`."""
        layout = layout_of(graph) if layout is None else layout
        marked = edge_features(graph, layout, "walkpool")[:, 0] == 1
        pair = _pair(marked & layout.edge_mask, layout)
        x = at_input(graph.nodes, layout.node_mask)
        h = Site(name="update1")(GCNConv(self.hidden, name="conv1")(x, layout), layout.node_mask)
        near = Dropout(self.dropout, name="dropout1")(jnp.maximum(h, 0), train)
        far = Site(name="update2")(
            GCNConv(self.hidden, name="conv2")(near, layout), layout.node_mask
        )
        scores = Attention(self.hidden, self.heads, self.dropout, name="attention")(
            (x, h, far), layout, train
        )
        scores = Site(name="scores")(scores, layout.edge_mask)
        g = pair_features(scores, pair, layout, self.walks)
        g = Site(name="walks")(g.reshape(g.shape[0], -1), layout.graph_mask)
        wide = g.shape[1] * self.widen
        g = BatchNorm(name="norm")(g, layout.graph_mask, train)
        for i, width in enumerate((wide, wide, max(wide // 2, 1), g.shape[1]), 1):
            g = jnp.maximum(Linear(width, name=f"head{i}")(g), 0)
            g = Site(name=f"update{i + 2}")(g, layout.graph_mask)
        g = Dropout(self.dropout, name="dropout2")(g, train)
        return Site(name="output")(Linear(self.out, name="head5")(g), layout.graph_mask)


def _pair(marked: Array, layout: Layout) -> Pair:
    rows, cols = layout.edges.rows, layout.edges.cols
    sides = jnp.stack([marked & (rows < cols), marked & (rows > cols)], 1)
    return Pair(marked, edge_sum(layout.edges, sides.astype(jnp.float32), layout.backend))


def pair_features(scores: Array, pair: Pair, layout: Layout, walks: int) -> Array:
    """Walk features of each graph's pair, by edge scores.

    Args:
        scores: Of edges in layout order, `[n_edge, heads]`.
        pair: The pairs, one a graph.
        layout: Of the batch.
        walks: Number of lengths, from 2 on.

    Returns:
        `[n_graph, heads, 5 * walks + 1]`; for graphs that mark no pair they mean nothing.
    """
    heads = scores.shape[1]
    own = edge_sum(layout.edges, jnp.where(pair.edges[:, None], scores, 0), layout.backend)
    rest = jnp.where(pair.edges[:, None], -jnp.inf, scores)
    bare, _ = edge_softmax_with_self(rest, jnp.full_like(own, _NEVER), layout)
    at_pair = pair.nodes.sum(1)[:, None] > 0
    _, share = edge_softmax_with_self(rest, jnp.where(at_pair, own, _NEVER), layout)

    def at_ends(x):
        """Values at the two nodes of every pair: `[n_node, heads, d] -> [n_graph, heads, 2, d]`."""
        by_end = pair.nodes[:, None, :, None] * x[:, :, None, :]
        flat = pool(by_end.reshape(x.shape[0], -1), layout)
        return flat.reshape(-1, heads, 2, x.shape[-1])

    def step(x, _):
        x = aggregate(x, layout, bare)
        return x, at_ends(x)

    start = jnp.repeat(pair.nodes[:, None], heads, 1)
    _, between = jax.lax.scan(step, start, length=walks + 1)
    between = jnp.concatenate([at_ends(start)[None], between])
    features = walk_features(between, at_ends(share[:, :, None])[..., 0])
    linked = at_ends(jax.nn.sigmoid(own)[:, :, None]).sum((2, 3))
    return jnp.concatenate([linked[..., None], features], -1)


def walk_features(between: Array, share: Array) -> Array:
    """All walk features of a pair, from the walk without its edges seen at its two nodes.

    With `M` the walk without the pair's edges and `E` the columns of its two nodes, the walk with
    them is `M + E D`, where row `i` of `D` is `share_i (e_j - M_i)`. As power series in `z`, with
    `C = E' (1 - zM)^-1 E` and `F = z D (1 - zM)^-1 E`, the walk with the edges is `C (1 - F)^-1`
    between the two nodes (Woodbury), and all its returns exceed those of `M` by
    `tr zF' (1 - F)^-1` (the derivative of `log det(1 - F)`). Both `C` and `F` are 2 x 2.

    Args:
        between: Coefficients of `C`: step probabilities of walks of 0, 1, ... steps from the
            second index's node to the first's, `[walks + 2, ..., 2, 2]`.
        share: Probability of the pair's edge in the walk with it, `[..., 2]`.

    Returns:
        `[..., 5 * walks]`: for lengths 2, 3, ...: returns with the edges, without, crossings with,
        without, and the difference of all returns.

    Example:
        >>> walks = jnp.zeros((3, 2, 2)).at[0].set(jnp.eye(2))  # nothing but the pair itself
        >>> walk_features(walks, jnp.ones(2)).tolist()  # to the other node and back
        [2.0, 0.0, 0.0, 0.0, 2.0]
    """
    n = between.shape[0]
    moved = jnp.flip(between[:-1], -2) - between[1:]
    f = [jnp.zeros_like(between[0]), *(share[None, ..., None] * moved)]
    inverse = [jnp.broadcast_to(jnp.eye(2), between[0].shape)]
    for k in range(1, n):
        inverse.append(_sum(f[m] @ inverse[k - m] for m in range(1, k + 1)))
    joined, gained = [], []
    for k in range(2, n):
        joined.append(_sum(between[m] @ inverse[k - m] for m in range(k + 1)))
        slope = _sum(m * f[m] @ inverse[k - m] for m in range(1, k + 1))
        gained.append(slope[..., 0, 0] + slope[..., 1, 1])
    found = []
    for walk in (jnp.stack(joined), between[2:]):
        found.append(walk[..., 0, 0] + walk[..., 1, 1])
        found.append(walk[..., 0, 1] + walk[..., 1, 0])
    returns, crossings, bare_returns, bare_crossings = found
    every = (returns, bare_returns, crossings, bare_crossings, jnp.stack(gained))
    return jnp.concatenate([jnp.moveaxis(each, 0, -1) for each in every], -1)


def _sum(terms: Iterable[Array]) -> Array:
    return functools.reduce(jnp.add, terms)
