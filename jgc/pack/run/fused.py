"""Passes that run a model's own code on fused kernels, and `infer`, the one in float32."""

from typing import Any

import flax.linen as nn
from jax import Array

from jgc.forward import apply
from jgc.graph import Codes, Floats, GraphsTuple, Layout, Pending, SparseRows, as_operand
from jgc.graph import layout as layout_of
from jgc.models.layers import Linear, Site


class FusedPass:
    """Stands between the modules of a model for one forward pass (`flax.linen.intercept_methods`).

    Only modules that say `fused = True` see codes and pending sums: their own code holds no more
    than what these can do. All others get, and return, plain arrays.

    Attributes:
        ready: Whether the module whose code runs is such a one.
    """

    def __init__(self):
        self.ready = False

    def __call__(self, call, args, kwargs, context):
        """Runs one method of one module."""
        module = context.module
        if context.method_name != "__call__":
            return call(*args, **kwargs)
        if isinstance(module, Site):
            return self.site("/".join(module.path), *args)
        if isinstance(module, Linear):
            return self._linear(call, module, args[0])
        outside, self.ready = self.ready, getattr(module, "fused", False)
        out = call(*(args if self.ready else map(plain, args)), **kwargs)
        self.ready = outside
        return out if outside else plain(out)

    def site(self, path: str, x: Any, mask: Array) -> Any:
        """What a site hands on; by itself the value that came."""
        del path, mask
        return x

    def product(self, path: str, x: Any, kernel: Array) -> Any:
        """The pending product `x @ kernel` of the linear map at `path`; by itself `None`: none."""
        del path, x, kernel

    def _linear(self, call, module: Linear, x: Any):
        kernel = module.get_variable("params", "kernel")
        y = self.product("/".join(module.path), x, kernel) if self.ready else None
        if y is None:
            return call(plain(x))
        bias = module.get_variable("params", "bias")
        return y if bias is None else y + bias


def plain(x: Any) -> Any:
    """A value as an array, whatever stands for it."""
    return x.__jax_array__() if isinstance(x, Codes | Floats | Pending) else x


def infer(model: nn.Module, params: Any, graph: GraphsTuple, layout: Layout | None = None) -> Array:
    """Runs a model for its answers alone: `jgc.apply` in float32, faster and without a gradient.

    On the back end "native", what follows a sum over edges (normalisation, bias, batch norm, ReLU)
    is done before the sum is written; elsewhere it is `jgc.apply`. Modules that say `fused = True`
    gain: GCN, GIN, GraphSAGE and MLP. Pure and jittable.

    Args:
        model: The module.
        params: Its parameters or variables, pruned weights already 0.
        graph: What it runs on.
        layout: Of the graph.

    Returns:
        The model's result, float32 `[n, out]`; that of `jgc.apply` but for the order of a few
        roundings.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jgc.graph import from_edges
        >>> from jgc.models import GCN
        >>> graph = from_edges([0, 1], [1, 2], nodes=jnp.eye(3), undirected=True)
        >>> model = GCN(hidden=4, out=2)
        >>> params = model.init(jax.random.key(0), graph)["params"]
        >>> bool(jnp.allclose(infer(model, params, graph), apply(model, params, graph)[0]))
        True
    """
    layout = layout_of(graph) if layout is None else layout
    if layout.backend != "native":
        return apply(model, params, graph, layout=layout)[0]
    variables = params if "params" in params else {"params": params}
    with nn.intercept_methods(_Floats(layout)):
        out: Any = model.apply(variables, graph, layout)
    return out


class _Floats(FusedPass):
    def __init__(self, layout: Layout):
        super().__init__()
        self._backend = layout.backend

    def product(self, path: str, x, kernel):
        del path
        x = plain(x) if as_operand(x) is None else as_operand(x)
        x = x if isinstance(x, Floats) else Floats(x, self._backend)
        narrow = isinstance(x.values, SparseRows) or len(x.shape) == 2
        return x.matmul(kernel) if narrow else None
