"""`apply`: one forward pass with masks and quantisation, the function that the rest is built on."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
from jax import Array

from jgc.graph import GraphsTuple, Layout
from jgc.graph import layout as layout_of
from jgc.graph.exchange import Ledger, begun, owing, shared
from jgc.models.layers import Site
from jgc.models.part import over_parts
from jgc.prune import apply_masks
from jgc.quant import Nodes, Place


def apply(
    model: nn.Module,
    params: Any,
    graph: GraphsTuple,
    masks: Any = None,
    quant: Any = None,
    *,
    quantizer: Any = None,
    layout: Layout | None = None,
    train: bool = False,
    rngs: Mapping[str, Array] | None = None,
    mutable: tuple[str, ...] = (),
) -> tuple[Any, ...]:
    """Runs a model with pruned and quantised weights and quantised values at its sites.

    Pure, jittable, and differentiable in `params` and `quant`. With `masks=None, quant=None` it is
    exactly the dense float model.

    Args:
        model: A Linen module called as `model(graph, layout, train=)`.
        params: Its parameters; or all its variables, `{"params": ..., "batch_stats": ...}`.
        graph: What it runs on.
        masks: Same structure as the parameters, bool, True = kept; `None` keeps all.
        quant: State of `quantizer`, from `quantizer.init`.
        quantizer: From `jgc.quant`, needed where `quant` is given.
        layout: Of the graph, from `jgc.graph.layout`; made on the spot where it is `None`. With
            that of a part (`jgc.graph.cut`), inside `shard_map`, all parts answer as one graph.
        train: Dropout on, batch statistics of this batch, ranges observed. Static.
        rngs: Keys; `{"dropout": key}` is needed in training, and serves stochastic quantisers.
        mutable: Collections whose updates are wanted, as in flax: `("batch_stats",)`.

    Returns:
        `(out, quant)`: the model's result and the quantiser's next state. With `mutable`,
        `(out, quant, updates)`.

    Raises:
        ValueError: if `quant` comes without `quantizer`, or with a part of a graph.

    Example:
        >>> import jax.numpy as jnp
        >>> from jgc.graph import from_edges
        >>> from jgc.models import GCN
        >>> graph = from_edges([0, 1], [1, 2], nodes=jnp.eye(3), undirected=True)
        >>> model = GCN(hidden=4, out=2)
        >>> params = model.init(jax.random.key(0), graph)["params"]
        >>> masks = jax.tree.map(lambda p: jnp.zeros_like(p, bool), params)
        >>> out, _ = apply(model, params, graph, masks)
        >>> out.tolist()
        [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    """
    if quant is not None and quantizer is None:
        raise ValueError("`quant` needs its `quantizer`: pass the one whose `init` made it.")
    variables = dict(params) if "params" in params else {"params": params}
    weights = variables["params"]
    if masks is not None:
        weights = apply_masks(weights, masks["params"] if "params" in masks else masks)
    if quant is not None:
        weights = quantizer.weight(quant, weights)
        if train and quantizer.on is not None:
            layout = layout_of(graph) if layout is None else layout
            quantizer = quantizer.on(_nodes(layout), dict(rngs or {}).get("dropout"))
    visit = _Visitor(quantizer, quant, train, dict(rngs or {}).get("dropout"))
    if layout is not None and layout.part is not None:
        if quant is not None:
            raise ValueError("`quant` needs a whole graph: ranges are not shared between devices.")
        weights, layout = shared(weights), begun(layout)
    with nn.intercept_methods(visit), over_parts(layout):
        result = model.apply(
            variables | {"params": weights}, graph, layout,
            train=train, rngs=dict(rngs or {}), mutable=list(mutable) or False,
        )  # fmt: skip
    if mutable:
        out, updates = result
        return out, visit.quant, updates
    return result, visit.quant


def sites(
    model: nn.Module, params: Any, graph: GraphsTuple, layout: Layout | None = None
) -> dict[str, Place]:
    """Names the sites of a model and says what their values are, without running it.

    Args:
        model: A Linen module.
        params: Its parameters or variables.
        graph: A graph of the right feature width.
        layout: Of the graph; made on the spot where it is `None`.

    Returns:
        `{"conv1/message": Place, ...}` in the order of the forward pass.

    Example:
        >>> import jax.numpy as jnp
        >>> from jgc.graph import from_edges
        >>> from jgc.models import GCN
        >>> graph = from_edges([0], [1], nodes=jnp.eye(2))
        >>> model = GCN(hidden=4, out=2, layers=1)
        >>> list(sites(model, model.init(jax.random.key(0), graph), graph))
        ['input', 'conv1/message', 'conv1/aggregate', 'output']
    """
    seen: dict[str, Place] = {}
    layout = layout_of(graph) if layout is None else layout
    nodes, n_graph = _nodes(layout), layout.graph_mask.shape[0]

    def record(call, args, kwargs, context):
        if isinstance(context.module, Site) and context.method_name == "__call__":
            x, mask = args
            seen[_path(context.module)] = Place(x.shape, x.dtype, nodes.own(mask), n_graph)
        return call(*args, **kwargs)

    variables = params if "params" in params else {"params": params}
    with nn.intercept_methods(record):
        jax.eval_shape(lambda v: model.apply(v, graph, layout), variables)
    return seen


def exchanges(
    model: nn.Module, params: Any, graph: GraphsTuple, layout: Layout
) -> list[tuple[int, int, int]]:
    """What a device sends in a forward pass over a part of a graph, without running it.

    Args:
        model: A Linen module.
        params: Its parameters or variables.
        graph: A part, from `jgc.graph.cut`.
        layout: Of it.

    Returns:
        `(n_part, n_send, width)` of each exchange in the order of the pass; a gradient sends the
        same back. Empty for a whole graph.

    Example:
        >>> from jgc.graph import from_edges, layout
        >>> from jgc.models import GCN
        >>> import jax.numpy as jnp
        >>> graph, model = from_edges([0], [1], nodes=jnp.eye(2)), GCN(hidden=4, out=2)
        >>> exchanges(model, model.init(jax.random.key(0), graph), graph, layout(graph))
        []
    """
    if layout.part is None:
        return []
    ledger = Ledger(None)
    jax.eval_shape(lambda: apply(model, params, graph, layout=owing(layout, ledger)))
    return ledger.shapes


class _Visitor:
    """Hands each site's value to the quantiser and keeps its state, for one forward pass."""

    def __init__(self, quantizer, quant, train: bool, key: Array | None):
        self.quantizer, self.quant, self.train, self.key = quantizer, quant, train, key

    def __call__(self, call, args, kwargs, context):
        module = context.module
        if self.quant is None or not isinstance(module, Site) or context.method_name != "__call__":
            return call(*args, **kwargs)
        x, mask = args
        path = _path(module)
        x, self.quant = self.quantizer.value(self.quant, path, x, mask, self.key, self.train)
        return x


def _nodes(layout: Layout) -> Nodes:
    return Nodes(layout.node_mask, layout.node_graph, layout.in_degree)


def _path(module: nn.Module) -> str:
    return "/".join(module.path)
