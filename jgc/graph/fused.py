"""Float32 sums over edges whose results pass through some steps before they are written."""

import jax
import jax.numpy as jnp
from jax import Array

from jgc.graph.product import product
from jgc.graph.steps import Steps, call, through
from jgc.graph.structure import Structure


def float_sum(
    pattern: Structure,
    weights: Array | None,
    x: Array,
    steps: Steps,
    *,
    own: Array | None = None,
    backend: str = "native",
) -> Array:
    """Sums of weighted rows of `x` over each row of a pattern, then the steps.

    Has no gradient: for inference only.

    Args:
        pattern: `[n_row, n_col]`.
        weights: Of the entries, float32 `[n_entry]`; `None`: all 1.
        x: Float32 `[n_col, width]`.
        steps: From the sums to the result.
        own: Weight of each row's own value, which is added to the sum, `[n_row]`, for square
            patterns; `None` adds nothing.
        backend: As for `jgc.graph.product`; other than `"native"` takes the steps apart. Static.

    Returns:
        Float32 `[n_row, width]`.

    Example:
        >>> from jgc.graph import structure
        >>> from jgc.graph.steps import Step
        >>> s = structure([0, 0, 1], [0, 1, 1], n_row=2, n_col=2)
        >>> steps = (Step("plus_column", jnp.array([-6.0])), Step("relu", jnp.zeros(0)))
        >>> float_sum(s, None, jnp.array([[2.0], [5.0]]), steps, backend="segment").tolist()
        [[1.0], [0.0]]
    """
    if backend != "native":
        total = product(pattern, weights, x, backend)
        return through(steps, total if own is None else total + own[:, None] * x, jnp.float32)
    none = jnp.zeros(0, jnp.float32)
    result = jax.ShapeDtypeStruct((pattern.n_row, x.shape[1]), jnp.float32)
    return call(
        "jgc_float_sum", result, steps, pattern.indptr, pattern.cols,
        none if weights is None else weights, x, none if own is None else own,
    )  # fmt: skip
