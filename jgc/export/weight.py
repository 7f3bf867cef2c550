"""`Weight`: an array of a model as an exported file holds it, in codes where it lies on a grid."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from jgc.pack import Restored
from jgc.quant.grid import quantize
from jgc.tree import named_leaves


class Weight(NamedTuple):
    """`(values - zero) * scale`, or plain values.

    Attributes:
        values: Codes, int8 or uint8; or the array itself, where nothing is quantised.
        scale: Of the codes, float32, broadcastable to them; `None` for a plain array.
        zero: Code of 0, int32 of the shape of `scale`; `None` where all are 0.
        bits: Of a code.
    """

    values: np.ndarray
    scale: np.ndarray | None = None
    zero: np.ndarray | None = None
    bits: int = 32

    def decoded(self) -> Array:
        """The array itself; inside a program, by the program."""
        if self.scale is None:
            return jnp.asarray(self.values)
        codes = jnp.asarray(self.values).astype(jnp.int32)
        steps = codes if self.zero is None else codes - self.zero
        return steps.astype(jnp.float32) * self.scale


def weights_of(restored: Restored) -> dict[str, Weight]:
    """All variables of a model by name, such as `"params/conv1/bias"`."""
    leaves = {name: np.asarray(leaf) for name, leaf in named_leaves(restored.variables).items()}
    stored = {name: Weight(leaf) for name, leaf in leaves.items()}
    if restored.quantizer is None or restored.quant is None:
        return stored
    symmetric = restored.quantizer.symmetric_weights
    grids = restored.quantizer.grids(restored.quant, restored.variables["params"])
    for path, grid in grids.items():
        name = f"params/{path}"
        codes = np.asarray(quantize(jnp.asarray(leaves[name]), grid, symmetric=symmetric))
        zero = np.broadcast_to(np.asarray(grid.zero_point), grid.scale.shape)
        stored[name] = Weight(
            codes, np.asarray(grid.scale), zero if zero.any() else None, int(grid.bits)
        )
    return stored
