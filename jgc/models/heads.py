"""From node values to answers: heads for node, link and graph tasks."""

from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from jgc.graph import GraphsTuple, Layout, pool
from jgc.graph import layout as layout_of
from jgc.models.layers import Dropout, Linear, Site

TASKS = ("node", "link", "graph")


class GraphModel(nn.Module):
    """An encoder, a readout over each graph's real nodes, and a head of one or two linear maps.

    Attributes:
        encoder: Any node model of this room.
        out: Width of the result (classes or targets).
        readout: `"sum"`, `"mean"` or `"max"`.
        dropout: Rate before the last map.
        head_layers: 2: linear, ReLU, linear; 1: ReLU, linear.

    Raises:
        ValueError: if `head_layers` is neither 1 nor 2.

    Example:
        >>> import jax
        >>> from jgc.graph import from_edges
        >>> from jgc.models import GIN
        >>> graph = from_edges([0, 1], [1, 2], nodes=jnp.eye(3))
        >>> model = GraphModel(GIN(hidden=4, out=4, layers=2), out=2)
        >>> model.apply(model.init(jax.random.key(0), graph), graph).shape
        (1, 2)
    """

    task: ClassVar[str] = "graph"

    encoder: nn.Module
    out: int = 2
    readout: str = "sum"
    dropout: float = 0.5
    head_layers: int = 2

    @nn.compact
    def __call__(
        self, graph: GraphsTuple, layout: Layout | None = None, *, train: bool = False
    ) -> Array:
        """Answers `[n_graph, out]` of a batch with features `[n_node, d]`."""
        layout = layout_of(graph) if layout is None else layout
        h = self.encoder(graph, layout, train=train)
        g = Site(name="readout")(pool(h, layout, self.readout), layout.graph_mask)
        if self.head_layers not in (1, 2):
            raise ValueError(f"`head_layers` must be 1 or 2, got {self.head_layers}.")
        if self.head_layers == 2:
            g = Linear(h.shape[-1], name="head1")(g)
        g = Site(name="update")(jnp.maximum(g, 0), layout.graph_mask)
        g = Linear(self.out, name=f"head{self.head_layers}")(
            Dropout(self.dropout, name="dropout")(g, train)
        )
        return Site(name="output")(g, layout.graph_mask)


def link_scores(values: Array, pairs: Array) -> Array:
    """Inner products of pairs of nodes, the decoder of graph autoencoders.

    Args:
        values: Node values `[n_node, d]`.
        pairs: Nodes `[n_pair, 2]`.

    Returns:
        Logits `[n_pair]` of "these two are linked".

    References:
        Kipf and Welling, arXiv 1611.07308, eq. 2.

    Example:
        >>> link_scores(jnp.array([[1.0, 2.0], [3.0, 1.0]]), jnp.array([[0, 1]])).tolist()
        [5.0]
    """
    return (values[pairs[:, 0]] * values[pairs[:, 1]]).sum(-1)


def for_task(model: nn.Module, task: str, n_out: int) -> nn.Module:
    """Fits a model to a task: its width for nodes, a readout and head for graphs.

    Args:
        model: A model of this room. One that is made for a single task says so by its `task`.
        task: `"node"`, `"link"` or `"graph"`.
        n_out: Classes or targets; not used for links, whose model returns node embeddings of its
            own `out`.

    Returns:
        A model whose result has `n_out` columns (link: an encoder for `link_scores`).

    Raises:
        ValueError: for an unknown task, or one that the model is not made for.

    Example:
        >>> from jgc.models import GCN
        >>> for_task(GCN(hidden=16), "node", 7).out
        7
    """
    if task not in TASKS:
        raise ValueError(f"`task` must be one of {list(TASKS)}, got {task!r}.")
    only = getattr(model, "task", None)
    if only not in (None, task):
        raise ValueError(f"{type(model).__name__} is made for task {only!r}, got `task`={task!r}.")
    if task == "link":
        return model
    if task == "graph" and only is None:
        return GraphModel(model, n_out)
    return model.clone(out=n_out)
