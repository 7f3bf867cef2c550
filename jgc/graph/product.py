"""The sparse-dense product behind every aggregation, with its gradient.

Three operations carry all message passing, each linear in its values:
`product` (sum of weighted columns), `edge_sum` (sum of entry values) and the two gathers
`at_rows` / `at_cols`. Their gradients are each other on the transposed pattern, so no backward
pass ever scatters; their batching rules (`jgc.graph.batching`) fold lanes into features, so `vmap`
neither does.
"""

import functools
import math
from typing import Literal

import jax
import jax.numpy as jnp
from jax import Array

from jgc.graph import native
from jgc.graph.batching import BACKENDS, gather_sum, reduce_rows
from jgc.graph.choice import FEATURES, STEPS, choose
from jgc.graph.structure import Structure

Backend = Literal["segment", "bcsr", "native", "scatter"]
# Other types run as `segment`; where none are named, all run.
_TYPES = {"native": ("float32", "bfloat16"), "bcsr": ("float32",)}


def product(pattern: Structure, weights: Array | None, x: Array, backend: str = "auto") -> Array:
    """Sums weighted rows of `x` over each row of the pattern: `y[i] = sum_e weights[e] x[cols[e]]`.

    Args:
        pattern: `[n_row, n_col]` with `n_entry` entries.
        weights: `None` (all 1), `[n_entry]`, or `[n_entry, heads]`, in row order.
        x: `[n_col, d]`, or `[n_col, heads, d]` with a weight a head.
        backend: `"segment"`, `"bcsr"`, `"native"`, `"scatter"` or `"auto"`. Static.

    Returns:
        `[n_row, ...]` of the shape of `x` behind its first axis, in the wider of the two types; 0
        for rows without entries.
        Differentiable in `weights` and `x`, any number of times in reverse mode.

    Raises:
        ValueError: for an unknown back end or shapes that do not fit the pattern.

    Example:
        >>> from jgc.graph import structure
        >>> s = structure([0, 0, 1], [0, 1, 2], n_row=2, n_col=3)
        >>> product(s, jnp.array([1.0, 2.0, 3.0]), jnp.eye(3)).tolist()
        [[1.0, 2.0, 0.0], [0.0, 0.0, 3.0]]
    """
    if x.shape[0] != pattern.n_col:
        raise ValueError(f"`x` has {x.shape[0]} rows; the pattern has {pattern.n_col} columns.")
    if weights is not None and weights.shape[0] != pattern.n_entry:
        raise ValueError(
            f"`weights` has {weights.shape[0]} rows; the pattern has {pattern.n_entry} entries."
        )
    by_head = weights is not None and weights.ndim == 2
    heads = weights.shape[1] if weights is not None and by_head else 1
    if by_head and (x.ndim < 3 or x.shape[1] != heads):
        raise ValueError(f"With a weight a head, `x` must be [n_col, {heads}, d], got {x.shape}.")
    dtype = x.dtype if weights is None else jnp.promote_types(weights.dtype, x.dtype)
    w = None if weights is None else weights.reshape(pattern.n_entry, heads).astype(dtype)
    flat = x.reshape(pattern.n_col, heads, math.prod(x.shape[1 + by_head :]))
    y: Array = _product(resolve(backend, dtype, pattern.n_entry), pattern, w, flat.astype(dtype))
    return y.reshape(pattern.n_row, *x.shape[1:])


def edge_sum(pattern: Structure, values: Array, backend: str = "auto") -> Array:
    """Sums entry values over each row: `[n_entry, ...] -> [n_row, ...]`; 0 for empty rows.

    Example:
        >>> from jgc.graph import structure
        >>> s = structure([0, 0, 1], [2, 0, 2], n_row=2, n_col=3)
        >>> edge_sum(s, jnp.array([1.0, 2.0, 4.0])).tolist()
        [3.0, 4.0]
    """
    flat: Array = _edge_sum(resolve(backend, values.dtype, pattern.n_entry), pattern, _flat(values))
    return flat.reshape(pattern.n_row, *values.shape[1:])


def edge_max(pattern: Structure, values: Array, backend: str = "auto") -> Array:
    """The largest entry value of each row: `[n_entry, ...] -> [n_row, ...]`; 0 for empty rows.

    Has no gradient of its own: see `jgc.graph.aggregate`, which shares it among ties.

    Example:
        >>> from jgc.graph import structure
        >>> s = structure([0, 0, 1], [2, 0, 2], n_row=2, n_col=3)
        >>> edge_max(s, jnp.array([-1.0, -2.0, -4.0])).tolist()
        [-1.0, -4.0]
    """
    flat, backend = _flat(values), resolve(backend, values.dtype, pattern.n_entry)
    if backend == "native":
        return native.entry_max(pattern, flat).reshape(pattern.n_row, *values.shape[1:])
    flat = reduce_rows("max", backend != "scatter")(pattern, flat)
    top = flat.reshape(pattern.n_row, *values.shape[1:])
    empty = (jnp.diff(pattern.indptr) == 0).reshape(-1, *[1] * (values.ndim - 1))
    return jnp.where(empty, 0, top)


def at_rows(pattern: Structure, x: Array, backend: str = "auto") -> Array:
    """The row's value at each entry, `x[rows]`: `[n_row, ...] -> [n_entry, ...]`.

    Example:
        >>> from jgc.graph import structure
        >>> s = structure([0, 0, 1], [2, 0, 2], n_row=2, n_col=3)
        >>> at_rows(s, jnp.array([5.0, 6.0])).tolist()
        [5.0, 5.0, 6.0]
    """
    return _gather(backend, pattern, True, x)


def at_cols(pattern: Structure, x: Array, backend: str = "auto") -> Array:
    """The column's value at each entry, `x[cols]`: `[n_col, ...] -> [n_entry, ...]`.

    Example:
        >>> from jgc.graph import structure
        >>> s = structure([0, 0, 1], [2, 0, 2], n_row=2, n_col=3)
        >>> at_cols(s, jnp.array([5.0, 6.0, 7.0])).tolist()
        [7.0, 5.0, 7.0]
    """
    return _gather(backend, pattern, False, x)


def resolve(backend: str, dtype, n_entry: int = 0) -> str:
    """The back end that runs on so many entries; `"auto"`: see `jgc.graph.choice`.

    Raises:
        ValueError: for a name that is no back end, or "native" where it cannot run.
    """
    if backend == "auto":
        backend = choose(n_entry, FEATURES, dtype, STEPS).backend
    if backend not in BACKENDS:
        raise ValueError(f"`backend` must be one of {['auto', *BACKENDS]}, got {backend!r}.")
    if backend == "native" and not native.ready():
        raise ValueError(f"`backend` is 'native', which does not run here: {native.why_not()}.")
    types = _TYPES.get(backend)
    return backend if types is None or jnp.dtype(dtype).name in types else "segment"


# --- one custom gradient each: the transposed pattern ------------------------------------------


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _product(backend: str, pattern: Structure, w: Array | None, x: Array) -> Array:
    return gather_sum(backend, pattern, w, x)


def _product_fwd(backend, pattern, w, x):
    pattern, weights, values = jax.tree.map(lambda a: a.value, (pattern, w, x))
    # Tuples, as what is asked for must be known when the backward pass is traced.
    for_x = (weights,) if x.perturbed else ()
    for_w = (values,) if w is not None and w.perturbed else ()
    return _product(backend, pattern, weights, values), (pattern, for_x, for_w)


def _product_bwd(backend, saved, dy):
    pattern, for_x, for_w = saved
    if backend == "native" and for_x and for_w:
        (w,), (x,) = for_x, for_w
        dw, dx = _native_gradients(pattern, w, dy, x)
        return _no_gradient(pattern), dw, dx
    dw = _dots(backend, pattern, dy, for_w[0]) if for_w else None
    dx = _into_columns(backend, pattern, for_x[0], dy) if for_x else None
    return _no_gradient(pattern), dw, dx


# What nobody asks for is known, and XLA cannot take one result of a kernel away.
_product.defvjp(_product_fwd, _product_bwd, symbolic_zeros=True)


def _into_columns(backend: str, pattern: Structure, w: Array | None, dy: Array) -> Array:
    """The product with the transpose, of weights in row order."""
    return _product(backend, pattern.T, None if w is None else w[pattern.t_order], dy)


@jax.custom_vjp
def _native_gradients(pattern: Structure, w: Array, dy: Array, x: Array) -> tuple[Array, Array]:
    """Gradients of a product by its weights and by `x`, each row gathered once for both."""
    return native.product_gradients(pattern, w, dy, x)


def _native_gradients_bwd(saved, back):
    (pattern, w, dy, x), (of_dw, of_dx) = saved, back
    d_w = _native_dots(pattern, dy, of_dx)
    by_dx: Array = _product("native", pattern, w, of_dx)
    by_dw: Array = _product("native", pattern, of_dw, x)
    d_x = _into_columns("native", pattern, of_dw, dy)
    return _no_gradient(pattern), d_w, by_dx + by_dw, d_x


_native_gradients.defvjp(lambda *args: (_native_gradients(*args), args), _native_gradients_bwd)


def _dots(backend: str, pattern: Structure, a: Array, b: Array) -> Array:
    """`[n_entry, heads]`: inner products of `a[rows]` and `b[cols]`."""
    if backend == "native":
        return _native_dots(pattern, a, b)
    return (at_rows(pattern, a, backend) * at_cols(pattern, b, backend)).sum(-1)


@jax.custom_vjp
def _native_dots(pattern: Structure, a: Array, b: Array) -> Array:
    return native.dots(pattern, a, b)


def _native_dots_bwd(saved, dy):
    pattern, a, b = saved
    da = _product("native", pattern, dy, b)
    return _no_gradient(pattern), da, _into_columns("native", pattern, dy, a)


_native_dots.defvjp(
    lambda pattern, a, b: (_native_dots(pattern, a, b), (pattern, a, b)), _native_dots_bwd
)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _edge_sum(backend: str, pattern: Structure, values: Array) -> Array:
    if backend == "native":
        return native.entry_sum(pattern, values)
    return reduce_rows("sum", backend != "scatter")(pattern, values)


_edge_sum.defvjp(
    lambda backend, pattern, values: (_edge_sum(backend, pattern, values), pattern),
    lambda backend, pattern, dy: (_no_gradient(pattern), at_rows(pattern, dy, backend)),
)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 2))
def _gather(backend: str, pattern: Structure, rows: bool, x: Array) -> Array:
    n, ends = (pattern.n_row, "rows") if rows else (pattern.n_col, "columns")
    if x.shape[0] != n:  # A gather would clamp what lies beyond without a word.
        raise ValueError(f"`x` has {x.shape[0]} rows; the pattern has {n} {ends}.")
    return x[pattern.rows if rows else pattern.cols]


def _gather_bwd(backend, rows, pattern, dy):
    if rows:
        return _no_gradient(pattern), edge_sum(pattern, dy, backend)
    return _no_gradient(pattern), edge_sum(pattern.T, dy[pattern.t_order], backend)


_gather.defvjp(
    lambda backend, pattern, rows, x: (_gather(backend, pattern, rows, x), pattern), _gather_bwd
)


def _flat(values: Array) -> Array:
    """`[n_entry, ...] -> [n_entry, d]`; a graph without edges leaves nothing to infer `d` from."""
    return values.reshape(values.shape[0], math.prod(values.shape[1:]))


def _no_gradient(pattern: Structure):
    return jax.tree.map(lambda _: None, pattern)
