"""The back ends `segment`, the reference on every device, and `scatter`, which wants no order."""

import jax
from jax import Array

from jgc.graph.structure import Structure


def gather_sum(pattern: Structure, weights: Array | None, x: Array, in_order: bool = True) -> Array:
    """Sums weighted rows of `x` over each row of the pattern.

    Args:
        pattern: Which rows of `x` belong to which output row.
        weights: `None` (all 1) or `[n_entry, heads]`.
        x: `[n_col, heads, d]`.
        in_order: The entries are sorted by row; `scatter` does not ask. Static.

    Returns:
        `[n_row, heads, d]`; rows without entries are 0.
    """
    gathered = x[pattern.cols]
    if weights is not None:
        gathered = gathered * weights[:, :, None]
    return jax.ops.segment_sum(gathered, pattern.rows, pattern.n_row, indices_are_sorted=in_order)
