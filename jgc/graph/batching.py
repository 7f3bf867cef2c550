"""How sums over entries run under `vmap`: lanes become features, and no batch reaches a scatter."""

import functools

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_batching import custom_vmap

from jgc.graph import bcsr, native, segment
from jgc.graph.structure import Structure

BACKENDS = {
    "segment": segment.gather_sum,
    "scatter": functools.partial(segment.gather_sum, in_order=False),
    "bcsr": bcsr.gather_sum,
    "native": native.gather_sum,
}


def gather_sum(backend: str, pattern: Structure, w: Array | None, x: Array) -> Array:
    """`[n_row, heads, d]`: sums of rows of `x` [n_col, heads, d] by `w` [n_entry, heads] or `None`.

    The native kernels have a batching rule of their own.
    """
    if backend == "native":
        return native.gather_sum(pattern, w, x)
    if w is None:
        return _unweighted(backend)(pattern, x)
    return _weighted(backend)(pattern, w, x)


@functools.cache
def _unweighted(backend: str):
    @custom_vmap
    def run(pattern, x):
        return BACKENDS[backend](pattern, None, x)

    @run.def_vmap
    def fold(n_lane, batched, pattern, x):  # noqa: ANN001
        if any(jax.tree.leaves(batched[0])):
            return _one_by_one(run, n_lane, batched, pattern, x)
        _, n_col, heads, d = x.shape
        y = run(pattern, jnp.moveaxis(x, 0, 2).reshape(n_col, heads, n_lane * d))
        return jnp.moveaxis(y.reshape(pattern.n_row, heads, n_lane, d), 2, 0), True

    return run


@functools.cache
def _weighted(backend: str):
    @custom_vmap
    def run(pattern, w, x):
        return BACKENDS[backend](pattern, w, x)

    @run.def_vmap
    def fold(n_lane, batched, pattern, w, x):
        if any(jax.tree.leaves(batched[0])):
            return _one_by_one(run, n_lane, batched, pattern, w, x)
        x = x if batched[2] else jnp.broadcast_to(x, (n_lane, *x.shape))
        _, n_col, heads, d = x.shape
        if not batched[1]:
            y = run(pattern, w, jnp.moveaxis(x, 0, 2).reshape(n_col, heads, n_lane * d))
            return jnp.moveaxis(y.reshape(pattern.n_row, heads, n_lane, d), 2, 0), True
        w = jnp.moveaxis(w, 0, 1).reshape(-1, n_lane * heads)
        y = run(pattern, w, jnp.moveaxis(x, 0, 1).reshape(n_col, n_lane * heads, d))
        return jnp.moveaxis(y.reshape(pattern.n_row, n_lane, heads, d), 1, 0), True

    return run


@functools.cache
def reduce_rows(reduction: str, in_order: bool):
    """`run(pattern, values)`: "sum" or "max" over each row, `[n_entry, d] -> [n_row, d]`."""
    reduce = {"sum": jax.ops.segment_sum, "max": jax.ops.segment_max}[reduction]

    @custom_vmap
    def run(pattern, values):
        return reduce(values, pattern.rows, pattern.n_row, indices_are_sorted=in_order)

    @run.def_vmap
    def fold(n_lane, batched, pattern, values):
        if any(jax.tree.leaves(batched[0])):
            return _one_by_one(run, n_lane, batched, pattern, values)
        _, n_entry, d = values.shape
        y = run(pattern, jnp.moveaxis(values, 0, 1).reshape(n_entry, n_lane * d))
        return jnp.moveaxis(y.reshape(pattern.n_row, n_lane, d), 1, 0), True

    return run


def _one_by_one(run, n_lane: int, batched, *args):
    """Lanes with patterns of their own run in turn."""
    args = jax.tree.map(
        lambda is_batched, a: a if is_batched else jnp.broadcast_to(a, (n_lane, *a.shape)),
        tuple(batched), tuple(args),
    )  # fmt: skip
    return jax.lax.map(lambda lane: run(*lane), args), True
