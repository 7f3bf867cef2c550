"""MLP: a model that never looks at an edge, the structure-blind control of every table."""

from typing import ClassVar

import flax.linen as nn
from jax import Array

from jgc.graph import GraphsTuple, Layout, relu
from jgc.graph import layout as layout_of
from jgc.models.layers import BatchNorm, Dropout, Linear, Site, at_input


class MLP(nn.Module):
    """A stack of linear maps with ReLU between, node by node.

    Attributes:
        hidden: Width of the first inner layer.
        out: Width of the result.
        layers: Number of linear maps, >= 1.
        dropout: Rate before every map but the first.
        batch_norm: Normalise after every map but the last.
        narrowing: How many times narrower each inner layer is than the one before, >= 1; 2 gives
            256, 128, ...
        bias: Maps have one.

    References:
        Errica et al., ICLR 2020 (arXiv 1912.09893), sec. 4.2, use such a control on PROTEINS.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jgc.graph import from_edges
        >>> graph = from_edges([0], [1], nodes=jnp.eye(2))
        >>> MLP(hidden=4, out=3).init_with_output(jax.random.key(0), graph)[0].shape
        (2, 3)
    """

    fused: ClassVar[bool] = True

    hidden: int = 64
    out: int = 64
    layers: int = 2
    dropout: float = 0.5
    batch_norm: bool = False
    narrowing: int = 1
    bias: bool = True

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
            width = self.out if last else max(self.hidden // self.narrowing ** (i - 1), 1)
            x = Linear(width, self.bias, name=f"linear{i}")(x)
            if not last:
                if self.batch_norm:
                    x = BatchNorm(name=f"norm{i}")(x, layout.node_mask, train)
                x = Site(name=f"update{i}")(relu(x), layout.node_mask)
        return Site(name="output")(x, layout.node_mask)
