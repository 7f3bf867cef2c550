"""`integer_apply`: a quantised model run on integers, by the same code that trained it."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from jgc.graph import (
    ByteWeights,
    Codes,
    GraphsTuple,
    Layout,
    as_operand,
    byte_weights,
    on_grid,
    on_row_grids,
)
from jgc.graph import layout as layout_of
from jgc.pack.run.fused import FusedPass, plain
from jgc.prune import apply_masks
from jgc.quant import Quant, Quantizer
from jgc.quant.grid import quantize
from jgc.tree import named_leaves


class IntegerModel(NamedTuple):
    """What a model needs to run on integers; arrays only, made once.

    Attributes:
        variables: Of the model; its weights are rounded to their grids, as floats.
        quant: Of the quantiser.
        weights: Codes of the matrices that are multiplied as bytes, and the step of each column,
            by path of the layer (`"conv1/linear"`).

    Example:
        >>> IntegerModel({"params": {}}, Quant({}, {}), weights={}).weights
        {}
    """

    variables: Any
    quant: Quant
    weights: dict[str, tuple[ByteWeights, Array]]


def integer_model(
    params: Any, quant: Quant, quantizer: Quantizer, masks: Any = None
) -> IntegerModel:
    """Rounds a trained model's weights to bytes.

    Args:
        params: Parameters, or all variables.
        quant: Of the quantiser, after training.
        quantizer: From `jgc.quant`.
        masks: Of the parameters; `None` keeps all.

    Returns:
        The `IntegerModel`.

    Raises:
        ValueError: for a quantiser that knows no grids of values beforehand.

    Example:
        >>> from jgc import quant
        >>> quantizer = quant.qat(8)
        >>> params = {"linear": {"kernel": jnp.ones((4, 2))}}
        >>> model = integer_model(params, quantizer.init(params, {}), quantizer)
        >>> sorted(model.weights)
        ['linear']
    """
    if quantizer.byte_grid is None:
        raise ValueError("`quantizer` knows no grids of values beforehand; run the model in float.")
    variables = dict(params) if "params" in params else {"params": params}
    weights = variables["params"]
    if masks is not None:
        weights = apply_masks(weights, masks["params"] if "params" in masks else masks)
    found = {}
    leaves = named_leaves(weights)
    for name, grid in quantizer.grids(quant, weights).items():
        path, _, last = name.rpartition("/")
        leaf = leaves[name]
        if last == "kernel" and leaf.ndim == 2 and quantizer.symmetric_weights:
            codes = quantize(leaf, grid, symmetric=True)
            step = jnp.broadcast_to(grid.scale.reshape(-1), (leaf.shape[1],))
            found[path] = byte_weights(codes), step
    rounded = variables | {"params": quantizer.weight(quant, weights)}
    return IntegerModel(rounded, quant, found)


def integer_apply(
    model: nn.Module,
    state: IntegerModel,
    graph: GraphsTuple,
    *,
    quantizer: Quantizer,
    layout: Layout | None = None,
) -> Array:
    """Runs a model on integers where its values are on grids, and in float32 where they are not.

    The model's own code runs. Sites hand on codes instead of rounded floats; linear maps and sums
    over edges of codes are sums of integers, exact, and what follows them up to the next site
    (normalisation, bias, batch norm, ReLU) is done before they are written. Attention, sparse input
    features, readouts and models that quantise nothing decode to float32.

    Pure and jittable. The results are those of `jgc.apply` but for the rounding of float32 sums,
    which the integers do not have.

    Args:
        model: The module.
        state: From `integer_model`.
        graph: What it runs on.
        quantizer: The one that `state` was made with.
        layout: Of the graph, whose back end also sums the integers: `"native"` or XLA's.

    Returns:
        The model's result, float32 `[n, out]`.

    Example:
        >>> from jgc import quant, sites
        >>> from jgc.graph import from_edges
        >>> from jgc.models import GCN
        >>> graph = from_edges([0, 1], [1, 2], nodes=jnp.eye(3), undirected=True)
        >>> import jax
        >>> model, quantizer = GCN(hidden=4, out=2), quant.qat(8)
        >>> params = model.init(jax.random.key(0), graph)["params"]
        >>> start = quantizer.init(params, sites(model, params, graph))
        >>> state = integer_model(params, start, quantizer)
        >>> integer_apply(model, state, graph, quantizer=quantizer).shape
        (3, 2)
    """
    layout = layout_of(graph) if layout is None else layout
    with nn.intercept_methods(_Visitor(state, quantizer, layout)):
        out: Any = model.apply(state.variables, graph, layout)
    return out


class _Visitor(FusedPass):
    """Gives codes to sites and integers to linear maps."""

    def __init__(self, state: IntegerModel, quantizer: Quantizer, layout: Layout):
        super().__init__()
        self._state, self._quantizer, self._node_mask = state, quantizer, layout.node_mask
        self._backend = "segment" if layout.backend == "bcsr" else layout.backend

    def site(self, path: str, x, mask):
        quantizer, quant = self._quantizer, self._state.quant
        if self.ready and mask is self._node_mask and len(x.shape) == 2:
            assert quantizer.byte_grid is not None
            grid = quantizer.byte_grid(quant, path)
            if grid is not None:
                return on_grid(x, *grid, self._backend)
            x = plain(x)
            if quantizer.row_grid is not None:
                grid = quantizer.row_grid(quant, path, x, mask)
                if grid is not None:
                    return on_row_grids(x, *grid, self._backend)
        return quantizer.value(quant, path, plain(x), mask, None, False)[0]

    def product(self, path: str, x, kernel):
        codes = as_operand(x)
        if not isinstance(codes, Codes) or path not in self._state.weights:
            return None
        return codes.matmul(*self._state.weights[path])
