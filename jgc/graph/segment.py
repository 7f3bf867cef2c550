"""The `segment` back end: gather and sorted `segment_sum`; the reference on every device."""

import jax
from jax import Array

from jgc.graph.structure import Structure


def gather_sum(pattern: Structure, weights: Array | None, x: Array) -> Array:
    """Sums weighted rows of `x` over each row of the pattern.

    Args:
        pattern: Which rows of `x` belong to which output row.
        weights: `None` (all 1) or `[n_entry, heads]`.
        x: `[n_col, heads, d]`.

    Returns:
        `[n_row, heads, d]`; rows without entries are 0.
    """
    gathered = x[pattern.cols]
    if weights is not None:
        gathered = gathered * weights[:, :, None]
    return jax.ops.segment_sum(gathered, pattern.rows, pattern.n_row, indices_are_sorted=True)
