"""The operations of a model on a graph, read off its own forward pass without running it."""

from typing import Any

import flax.linen as nn
import jax

from jgc.graph import GraphsTuple
from jgc.models.layers import Linear, Site
from jgc.pack.cost import Operation
from jgc.tree import named_leaves


def operations(
    model: nn.Module, variables: Any, graph: GraphsTuple, masks: Any = None, bits: int = 32
) -> list[Operation]:
    """Lists a model's matrix products and aggregations, one entry each.

    Args:
        model: A model of `jgc.models`.
        variables: Of the model, arrays or shapes.
        graph: Arrays or shapes; its sizes are the ones that count.
        masks: As the parameters, bool; `None` keeps all.
        bits: Of quantised weights and values, 32 for none. A product is taken to be quantised on
            both sides, as jgc's quantisers do at every site but the last.

    Returns:
        The operations in the order of the forward pass. Attention scores, norms, activations and
        what a node adds of its own (the self loops that a model brings) are not among them.

    Example:
        >>> import jax.numpy as jnp
        >>> from jgc.graph import from_edges
        >>> from jgc.models import GCN
        >>> graph = from_edges([0, 1], [1, 2], nodes=jnp.eye(3))
        >>> model = GCN(hidden=4, out=2)
        >>> variables = model.init(jax.random.key(0), graph)
        >>> [(o.kind, o.macs) for o in operations(model, variables, graph)]
        [('linear', 36), ('aggregate', 8), ('linear', 24), ('aggregate', 4)]
    """
    leaves = {} if masks is None else named_leaves(masks)
    kept: dict[str, int] = {name: int(mask.sum()) for name, mask in leaves.items()}
    found: list[Operation] = []

    def record(call, args, kwargs, context):
        out = call(*args, **kwargs)
        if context.method_name == "__call__":
            path, module = "/".join(context.module.path), context.module
            if isinstance(module, Linear):
                rows, d_in = args[0].shape
                d_out = int(module.features)
                name = f"{path}/kernel"
                weights = kept[name] if name in kept else d_in * d_out
                found.append(Operation("linear", rows, d_in, d_out, weights, bits, bits))
            elif isinstance(module, Site) and module.name == "message":
                width = out.shape[-1]
                n_edge = graph.senders.shape[0]
                found.append(Operation("aggregate", n_edge, 1, width, width, 1, bits))
            elif isinstance(module, Site) and module.name == "attention":
                # The sum just found is weighted: its edges carry coefficients of their own.
                found[-1] = found[-1]._replace(bits_w=bits)
        return out

    with nn.intercept_methods(record):
        jax.eval_shape(lambda v, g: model.apply(v, g), variables, graph)
    return found
