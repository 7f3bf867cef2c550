"""Layers on one part of a graph: what they ask about the whole of it is answered here."""

from contextlib import AbstractContextManager, nullcontext

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from jgc.graph import Layout, SparseRows
from jgc.graph.exchange import total
from jgc.models.layers import BatchNorm, Dropout


def over_parts(layout: Layout | None) -> AbstractContextManager:
    """Within it, layers know the whole graph that `layout` is a part of; of a whole one nothing.

    Batch norm adds its sums up over all parts, and dropout draws for each row the random numbers
    that it has on one device.

    Example:
        >>> with over_parts(None):
        ...     print(Dropout(0.5).apply({}, jnp.ones(2), False).tolist())
        [1.0, 1.0]
    """
    if layout is None or layout.part is None:
        return nullcontext()

    def answer(call, args, kwargs, context):
        module, method = context.module, context.method_name
        if isinstance(module, BatchNorm) and method == "total":
            return total(*args)
        if isinstance(module, Dropout) and method == "rows":
            return _rows(args[0], layout)
        return call(*args, **kwargs)

    return nn.intercept_methods(answer)


def _rows(x: Array | SparseRows, layout: Layout) -> Array | None:
    """Numbers of the rows of node values, of stored features, or of edges with nodes behind."""
    part, n_own = layout.part, layout.n_node
    assert part is not None
    if isinstance(x, SparseRows):
        return part.entries
    if x.shape[0] == n_own:
        return part.nodes
    if x.shape[0] == layout.edges.n_entry + n_own:
        return jnp.concatenate([part.edges, part.n_edge + part.nodes])
    raise ValueError(
        f"Dropout of {x.shape[0]} rows on a part with {n_own} nodes and {layout.edges.n_entry} "
        "edges: they are neither nodes nor edges with nodes behind them."
    )
