"""What a model's own code says of its widths: which weights share a fate, which values are fixed.

Both are asked with numbers that are none. A NaN in the place of one weight reaches the inputs of
those linear maps that depend on it, and features that are all NaN leave numbers only where nothing
depends on them. So no table says which layer reads which, whatever the model.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp
from flax.traverse_util import unflatten_dict
from jax import Array
from scipy.sparse.csgraph import connected_components

from jgc.graph import GraphsTuple, batch, from_edges, layout
from jgc.models.layers import Linear, Site
from jgc.quant import Learned, Quant, Quantizer
from jgc.tree import named_leaves

ANSWERS = ""  # In the place of a linear map's path: what the model returns.
_AT_ONCE = 64  # Weights that are tried side by side.

Shapes = tuple[tuple[str, tuple[int, ...]], ...]


class Units(NamedTuple):
    """The units of a model: what can only go, or stay, together.

    Attributes:
        outputs: By name (`"params/conv1/bias"`), the unit of every entry of an array, in its shape;
            of a linear map's kernel, that of every column. Single numbers are left out.
        inputs: By path (`"conv1/linear"`), the unit of every row of a linear map's kernel, and that
            of every column of the `ANSWERS`.
        n: Their number.
    """

    outputs: dict[str, np.ndarray]
    inputs: dict[str, np.ndarray]
    n: int


def probe(graph: GraphsTuple) -> GraphsTuple:
    """Two tiny graphs with random features of the widths of `graph`: all that questions need.

    Example:
        >>> small = probe(from_edges([0], [1], nodes=np.ones((2, 3))))
        >>> small.n_node.tolist(), small.nodes.shape
        ([4, 2], (6, 3))
    """
    rng = np.random.default_rng(0)
    joined = []
    for senders, receivers, n_node in (([0, 1, 1, 2, 2], [1, 0, 2, 1, 2], 4), ([0, 1], [1, 0], 2)):
        nodes = rng.normal(size=(n_node, graph.nodes.shape[1]))
        edges = None if graph.edges is None else np.ones((len(senders), graph.edges.shape[1]))
        joined.append(from_edges(senders, receivers, nodes=nodes, edges=edges, n_node=n_node))
    return batch(joined)


def units(model: nn.Module, variables: Any, graph: GraphsTuple) -> Units | None:
    """Finds which weights share a fate: those of which a NaN reaches the same inputs.

    A column of a kernel, its bias, its batch norm and the rows of all kernels that read it are one
    unit, and so is an attention head, whose values reach each other through its weights.

    Args:
        model: The module; its linear maps are `jgc.models.layers.Linear`.
        variables: Of the model; only shapes matter.
        graph: From `probe`.

    Returns:
        The `Units`; `None` for a model with kernels of another kind.

    Example:
        >>> from jgc.models import GCN
        >>> graph = probe(from_edges([0], [1], nodes=np.ones((2, 3))))
        >>> model = GCN(hidden=4, out=2)
        >>> found = units(model, model.init(jax.random.key(0), graph), graph)
        >>> bool((found.outputs["params/conv1/bias"] == found.inputs["conv2/linear"]).all())
        True
    """
    shapes = {name: leaf.shape for name, leaf in named_leaves(variables).items()}
    widths = known_inputs.eval_shape(model, variables, graph)
    maps = {f"params/{path}/kernel" for path in widths}
    if any(name.endswith("/kernel") and name not in maps for name in shapes):
        return None
    outputs = {name: _entries(name, shape) for name, shape in shapes.items() if shape}
    sizes = [math.prod(shape) for shape in outputs.values()]
    reached = _reached(model, tuple(shapes.items()), sum(sizes), graph)
    sizes += [each.shape[-1] for each in widths.values()]
    both = sp.block_array([[None, reached], [reached.T, None]])
    n, group = connected_components(both, directed=False)
    parts = np.split(group, np.cumsum(sizes)[:-1])
    return Units(
        {n: part.reshape(s) for (n, s), part in zip(outputs.items(), parts, strict=False)},
        dict(zip(widths, parts[len(outputs) :], strict=True)),
        n,
    )


@functools.partial(jax.jit, static_argnums=(0, 4))
def known_inputs(
    model: nn.Module,
    variables: Any,
    graph: GraphsTuple,
    quant: Quant | None = None,
    quantizer: Quantizer | None = None,
) -> dict[str, Array]:
    """What every linear map reads, whatever the features: NaN where that depends on them.

    Zero weights read nothing. What is summed over edges depends on them, unless it is 0, and so
    does what is rounded to a grid that is its node's own.

    Args:
        model: The module.
        variables: Of the model, pruned weights 0, the others as `quant` leaves them.
        graph: From `probe`.
        quant: State of `quantizer`.
        quantizer: Rounds the values; `None`: nothing is rounded.

    Returns:
        By path of the linear map, `[n, d_in]`, and what the model returns under `ANSWERS`. A number
        that differs from row to row is one times the size of a graph.

    Example:
        >>> from jgc.models import MLP
        >>> graph = probe(from_edges([0], [1], nodes=np.ones((2, 3))))
        >>> params = {"linear1": {"kernel": jnp.zeros((3, 1)), "bias": jnp.ones(1)},
        ...           "linear2": {"kernel": jnp.ones((1, 1)), "bias": jnp.ones(1)}}
        >>> known_inputs(MLP(hidden=1, out=1), {"params": params}, graph)["linear2"][:2].tolist()
        [[1.0], [1.0]]
    """

    def linear(path: str, x: Array) -> Array:
        kernel, bias = _weights(variables["params"], path)
        varies = (x != x[:1]).any(0)  # As a NaN does from itself.
        y = jnp.where(varies[None], 0, x) @ kernel
        return jnp.where((varies[:, None] & (kernel != 0)).any(0)[None], jnp.nan, y) + bias[None]

    def site(path: str, x: Array, mask: Array) -> Array:
        state = None if quant is None else quant.sites.get(path)
        if path.endswith("message") or isinstance(state, Learned):
            return jnp.where(x != 0, jnp.nan, 0)
        if path.endswith("attention"):
            return jnp.where(jnp.isnan(x), 1, x)
        if quantizer is None or quant is None or state is None:
            return x
        # What differs from row to row may round to 0 here and not in a larger graph.
        varies = jnp.isnan(x) | (x != x[:1]).any(0)[None]
        return jnp.where(varies, jnp.nan, quantizer.value(quant, path, x, mask, None, False)[0])

    nodes, edges = (x if x is None else jnp.full_like(x, jnp.nan) for x in graph[:2])
    graph = graph._replace(nodes=nodes, edges=edges)
    return _asked(model, variables, graph, linear, site)


def _weights(params: Any, path: str) -> tuple[Array, Array]:
    """Kernel and bias of a linear map."""
    for name in path.split("/"):
        params = params[name]
    return params["kernel"], params.get("bias", jnp.zeros(params["kernel"].shape[1]))


def _asked(
    model: nn.Module,
    variables: Any,
    graph: GraphsTuple,
    linear: Callable[[str, Array], Array],
    site: Callable[[str, Array, Array], Array],
) -> dict[str, Array]:
    """What reaches every linear map, weight of an edge and answer, with other maps and sites."""
    seen: dict[str, list[Any]] = {}

    def visit(call, args, kwargs, context):
        module = context.module
        if context.method_name == "dots":  # By zeros a NaN would pass from head to head.
            return (args[0] * args[1][None]).sum(-1)
        if context.method_name == "__call__" and isinstance(module, Linear):
            path = "/".join(module.path)
            seen.setdefault(path, []).append(args[0])
            return linear(path, args[0])
        if context.method_name == "__call__" and isinstance(module, Site):
            path = "/".join(module.path)
            if module.name == "attention":
                seen.setdefault(path, []).append(args[0])
            return site(path, *args)
        return call(*args, **kwargs)

    with nn.intercept_methods(visit):
        answers: Any = model.apply(variables, graph, layout(graph, "segment"))
    seen[ANSWERS] = [answers]
    return {path: jnp.concatenate(seen[path]) for path in sorted(seen)}  # As jit sorts them.


def _reached(model: nn.Module, shapes: Shapes, n_entry: int, graph: GraphsTuple) -> Any:
    """Which inputs a NaN reaches from every entry, sparse bool `[n_entry, n_input]`."""
    found = []
    for start in range(0, n_entry, _AT_ONCE):
        reached = _reached_by(model, shapes, graph, start + jnp.arange(_AT_ONCE))
        found.append(sp.coo_array(np.asarray(reached)[: n_entry - start]))
    return sp.vstack(found)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _reached_by(model: nn.Module, shapes: Shapes, graph: GraphsTuple, entries: Array) -> Array:
    """As `_reached` for some of the entries, which are counted through all arrays."""
    widths = [(name, _entries(name, shape)) for name, shape in shapes]

    def reached(entry: Array) -> Array:
        marked, start = {}, 0
        for name, shape in widths:
            size = math.prod(shape) if shape else 0
            place = jnp.arange(start, start + size).reshape(shape) if shape else -1
            marked[name], start = jnp.where(place == entry, jnp.nan, 1.0), start + size

        def linear(path: str, x: Array) -> Array:
            kernel = marked[f"params/{path}/kernel"]
            bias = marked.get(f"params/{path}/bias", jnp.zeros_like(kernel))
            return jnp.broadcast_to((kernel + bias)[None], (x.shape[0], kernel.size))

        def site(path: str, x: Array, mask: Array) -> Array:
            return jnp.ones_like(x) if path.endswith("attention") else x

        asked = _asked(model, unflatten_dict(marked, sep="/"), graph, linear, site)
        return jnp.concatenate([jnp.isnan(x).any(0) for x in asked.values()])

    return jax.vmap(reached)(entries)


def _entries(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of what can come and go: of kernels their columns."""
    return shape[-1:] if name.endswith("/kernel") else shape
