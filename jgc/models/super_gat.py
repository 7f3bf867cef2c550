"""SuperGAT: attention that is also taught which edges exist (Kim and Oh, ICLR 2021)."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from jgc.graph import Layout, at_cols, at_rows, hash_bits
from jgc.models.gat import GAT, GATConv

ATTENTIONS = ("mx", "sd")


class SuperGATConv(GATConv):
    """An attention layer whose scores hold the likelihood of an edge, `phi_ij = (W x_i) . (W x_j)`.

    `"mx"` scores `(a_s . W x_j + a_d . W x_i) sigmoid(phi_ij)`, `"sd"` scores
    `phi_ij / sqrt(features)`; then leaky ReLU and softmax as in `GATConv`.

    In training the layer sows `edge_loss` times the cross entropy of `phi` (`"sd"`: scaled as
    above) averaged over heads, edges and self loops against sampled pairs, into the collection
    `"losses"`, which `jgc.train` adds to the loss of the task. Half as many pairs are drawn as
    there are edges and self loops.

    Differs: a sampled pair that happens to be an edge is kept (PyG rejects it), and every edge
    counts in every step (the paper draws a part of them).

    Attributes:
        attention: `"mx"` or `"sd"`.
        edge_loss: Weight of the loss; 0 leaves it out.

    Example:
        >>> layer = SuperGATConv(features=4, heads=2, attention="sd")
        >>> layer.attention, layer.edge_loss
        ('sd', 4.0)

    References:
        openreview.net/forum?id=Wi5KUNlqWty, sec. 3; PyG's `SuperGATConv`.
    """

    attention: str = "mx"
    edge_loss: float = 4.0

    def _scores(self, h: Array, layout: Layout) -> tuple[Array, Array]:
        if self.attention not in ATTENTIONS:
            raise ValueError(
                f"`attention` must be one of {list(ATTENTIONS)}, got {self.attention!r}."
            )
        edges, backend = layout.edges, layout.backend
        phi = self._phi(at_rows(edges, h, backend), at_cols(edges, h, backend))
        own = self._phi(h, h)
        if self.edge_loss and self.is_mutable_collection("losses") and not self.is_initializing():
            self.sow("losses", "edges", self.edge_loss * self._loss(h, phi, own, layout))
        if self.attention == "sd":
            return phi, own
        scores, alone = super()._scores(h, layout)
        return scores * jax.nn.sigmoid(phi), alone * jax.nn.sigmoid(own)

    def _phi(self, a: Array, b: Array) -> Array:
        """Logits `[n, heads]` that pairs of values `[n, heads, features]` are linked."""
        return (a * b).sum(-1) / (self.features**0.5 if self.attention == "sd" else 1)

    def _loss(self, h: Array, phi: Array, own: Array, layout: Layout) -> Array:
        n = (layout.edges.n_entry + layout.n_node) // 2
        ends, real = sample_pairs(self.make_rng("dropout"), layout, n)
        logits = jnp.concatenate([phi, own, self._phi(h[ends[0]], h[ends[1]])]).mean(-1)
        loop = layout.edges.rows == layout.edges.cols
        counted = jnp.concatenate([layout.edge_mask & ~loop, layout.node_mask, real])
        linked = (jnp.arange(logits.size) < logits.size - n).astype(logits.dtype)
        each = optax.sigmoid_binary_cross_entropy(logits, linked)
        return jnp.where(counted, each, 0).sum() / jnp.maximum(counted.sum(), 1)


class SuperGAT(GAT):
    """A stack of `SuperGATConv` with ELU between; further attributes are those of `GAT`.

    Attributes:
        attention: `"mx"` or `"sd"`.
        edge_loss: Weight of each layer's self-supervised loss.

    Example:
        >>> from jgc.graph import from_edges
        >>> graph = from_edges([0, 1], [1, 2], nodes=jnp.eye(3))
        >>> model = SuperGAT(hidden=4, heads=2, out=3)
        >>> variables = model.init(jax.random.key(0), graph)
        >>> _, extra = model.apply(variables, graph, train=True, mutable=["losses"],
        ...                        rngs={"dropout": jax.random.key(1)})
        >>> sorted(extra["losses"])
        ['conv1', 'conv2']
    """

    out_heads: int = 8
    attention: str = "mx"
    edge_loss: float = 4.0

    def _conv(self, features: int, heads: int, concat: bool, name: str) -> GATConv:
        return SuperGATConv(
            features, heads, concat, self.dropout,
            attention=self.attention, edge_loss=self.edge_loss, name=name,
        )  # fmt: skip


def sample_pairs(key: Array, layout: Layout, n: int) -> tuple[Array, Array]:
    """Draws ordered pairs of two different nodes of one graph.

    Args:
        key: A jax key.
        layout: Of the batch.
        n: Number of pairs. Static.

    Returns:
        int32 `[2, n]`, and bool `[n]`: False where the draw fell on padding or on a node that is
        alone in its graph.
    """
    first_bits, other_bits = (hash_bits(k, (n,)) for k in jax.random.split(key))
    first = (first_bits % np.uint32(max(layout.n_node, 1))).astype(jnp.int32)
    graph = layout.node_graph[first]
    start, size = layout.members.indptr[graph], jnp.diff(layout.members.indptr)[graph]
    # Steps of 1..size - 1 around the graph's own nodes never end where they began.
    step = 1 + other_bits % jnp.maximum(size - 1, 1).astype(jnp.uint32)
    other = start + (first - start + step.astype(jnp.int32)) % jnp.maximum(size, 1)
    return jnp.stack([first, other]), layout.node_mask[first] & (size > 1)
