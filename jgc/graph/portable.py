"""What the kernels of `native` compute, in XLA's own operations, for other devices than CPU.

A program that is made on a CPU for a GPU or TPU (`jax.export`) holds these in their place. Each
takes one lane's arguments of its kernel and gives the same shapes.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array


def product(indptr: Array, cols: Array, weights: Array, x: Array, dtype: Any) -> Array:
    """Sums of weighted `x[cols]`: weights `[n_entry, heads]` or empty, `x` `[n_col, heads, d]`."""
    gathered = x[cols].astype(dtype)
    return entry_sum(indptr, gathered * weights[:, :, None] if weights.shape[0] else gathered)


def maximum(indptr: Array, cols: Array, x: Array) -> Array:
    """Largest `x[cols]` of each row, `[n_row, heads, d]`; 0 for none."""
    return entry_max(indptr, x[cols])


def dots(indptr: Array, cols: Array, a: Array, b: Array) -> Array:
    """Inner products of `a[rows]` and `b[cols]`, `[n_entry, heads]`."""
    return (a[_rows(indptr, cols.shape[0])] * b[cols]).sum(-1)


def product_gradients(
    indptr: Array, cols: Array, order: Array, weights: Array, dy: Array, x: Array
) -> tuple[Array, Array]:
    """By `x` and by the weights, of a pattern by columns whose entries are `order`ed by rows."""
    dx = product(indptr, cols, weights, dy, jnp.float32)
    return dx, jnp.zeros_like(weights).at[order].set(dots(indptr, cols, x, dy))


def right_product(indptr: Array, cols: Array, weights: Array, x: Array) -> Array:
    """Rows of `x` `[n, n_col]` times the transpose: weights `[n_entry]`, result `[n, n_row]`."""
    return entry_sum(indptr, x.T[cols] * weights[:, None]).T


def right_dots(indptr: Array, cols: Array, a: Array, b: Array) -> Array:
    """Sums over rows of `a[:, rows] * b[:, cols]`, `[n_entry]`."""
    return (a[:, _rows(indptr, cols.shape[0])] * b[:, cols]).sum(0)


def entry_sum(indptr: Array, values: Array) -> Array:
    """Sums over rows, `[n_entry, ...] -> [n_row, ...]`."""
    rows, n_row = _rows(indptr, values.shape[0]), indptr.shape[0] - 1
    return jax.ops.segment_sum(values, rows, n_row, indices_are_sorted=True)


def entry_max(indptr: Array, values: Array) -> Array:
    """Maxima over rows, `[n_entry, ...] -> [n_row, ...]`; 0 for rows without entries."""
    rows, n_row = _rows(indptr, values.shape[0]), indptr.shape[0] - 1
    top = jax.ops.segment_max(values, rows, n_row, indices_are_sorted=True)
    return jnp.where((jnp.diff(indptr) == 0).reshape(-1, *[1] * (values.ndim - 1)), 0, top)


def softmax(indptr: Array, scores: Array, own: Array) -> tuple[Array, Array]:
    """Weights of `scores` `[n_entry, heads]` and `own` `[n_row or 0, heads]`, 1 a row in all."""
    rows = _rows(indptr, scores.shape[0])
    top = entry_max(indptr, scores)
    if own.shape[0]:
        top = jnp.where((jnp.diff(indptr) == 0)[:, None], own, jnp.maximum(top, own))
    exp, exp_own = jnp.exp(scores - top[rows]), jnp.exp(own - top[: own.shape[0]])
    total = entry_sum(indptr, exp)
    total = total + exp_own if own.shape[0] else total
    return exp / total[rows], exp_own / total[: own.shape[0]]


def softmax_gradient(
    indptr: Array, p: Array, p_own: Array, g: Array, g_own: Array
) -> tuple[Array, Array]:
    """The gradient by the scores, `p (g - sum over the row of p g)`, and by the own ones."""
    mean = entry_sum(indptr, p * g)
    mean = mean + p_own * g_own if p_own.shape[0] else mean
    back = p * (g - mean[_rows(indptr, p.shape[0])])
    return back, p_own * (g_own - mean[: p_own.shape[0]])


FORMS = {
    "product_gradients": product_gradients,
    "max": maximum, "dots": dots, "right_product": right_product, "right_dots": right_dots,
    "entry_sum": entry_sum, "entry_max": entry_max,
    "softmax": softmax, "softmax_gradient": softmax_gradient,
}  # fmt: skip


def of_lanes(*args: Array, name: str, n_index: int, out: tuple) -> list[Array]:
    """Does what a kernel does.

    Args:
        args: The pattern, then arrays with lanes in front; those with one lane serve all.
        name: Of the kernel.
        n_index: How many of `args` are the pattern.
        out: Shape and type of each result.
    """
    index, lanes = args[:n_index], out[0][0][0]
    laned = [jnp.broadcast_to(a, (lanes, *a.shape[1:])) for a in args[n_index:]]

    def one(*values):
        if name == "product":
            return (product(*index, *values, dtype=out[0][1]),)
        y = FORMS[name](*index, *values)
        return y if isinstance(y, tuple) else (y,)

    return list(jax.vmap(one)(*laned))


def _rows(indptr: Array, n_entry: int) -> Array:
    counts = jnp.diff(indptr)
    return jnp.repeat(jnp.arange(counts.shape[0]), counts, total_repeat_length=n_entry)
