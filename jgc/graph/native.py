"""The `native` back end: C++ kernels for CPU, which read every gathered row once.

All arrays that differ between lanes carry them as a leading axis, of one lane where `vmap` has not
been: the kernels walk over lanes themselves, so nothing is moved or copied for them.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jax.core import ShapedArray
from jax.custom_batching import custom_vmap
from jax.extend.core import Primitive
from jax.interpreters import mlir

from jgc import native
from jgc.graph import portable
from jgc.graph.structure import Structure


def ready() -> bool:
    """Whether the kernels run here: on a CPU, and they could be compiled."""
    return jax.default_backend() == "cpu" and native.status().ready


def why_not() -> str:
    """What is missing where the kernels are not `ready`."""
    device = jax.default_backend()
    return native.status().reason if device == "cpu" else f"the device is {device}, not cpu"


def gather_sum(pattern: Structure, weights: Array | None, x: Array) -> Array:
    """As `jgc.graph.segment.gather_sum`, for three types of values.

    Sums of bfloat16 run in float32 and are rounded once. Those of int8 are exact in int32 without
    weights, and float32 with them.
    """
    exact = x.dtype == jnp.int8 and weights is None
    y_type = jnp.int32 if exact else jnp.float32
    w = jnp.zeros((0, 1), jnp.float32) if weights is None else weights.astype(jnp.float32)
    shape = (pattern.n_row, *x.shape[1:])
    (y,) = _call("product", pattern.indptr, pattern.cols, w, x, out=((shape, y_type),))
    return y.astype(x.dtype) if x.dtype == jnp.bfloat16 else y


def gather_max(pattern: Structure, x: Array) -> Array:
    """The largest `x[cols]` of each row, `[n_col, heads, d] -> [n_row, heads, d]`; 0 for none."""
    shape = (pattern.n_row, *x.shape[1:])
    return _floats("max", pattern.indptr, pattern.cols, x, out=(shape,))[0]


def dots(pattern: Structure, a: Array, b: Array) -> Array:
    """Inner products of the two ends of each entry, a head at a time.

    Args:
        pattern: `[n_row, n_col]`.
        a: Of rows, `[n_row, heads, d]`.
        b: Of columns, `[n_col, heads, d]`.

    Returns:
        `[n_entry, heads]`, what autodiff would make by gathering both ends.
    """
    shape = (pattern.n_entry, a.shape[1])
    return _floats("dots", pattern.indptr, pattern.cols, a, b, out=(shape,))[0]


def product_gradients(
    pattern: Structure, weights: Array, dy: Array, x: Array
) -> tuple[Array, Array]:
    """Both gradients of `gather_sum`: `dots` and the product with the transpose, in one walk.

    Args:
        pattern: `[n_row, n_col]`.
        weights: `[n_entry, heads]`.
        dy: Gradient by the sums, `[n_row, heads, d]`.
        x: What was summed, `[n_col, heads, d]`.

    Returns:
        Gradients by the weights and by `x`.
    """
    by_column = pattern.t_indptr, pattern.t_rows, pattern.t_order
    shapes = (x.shape, weights.shape)
    dx, dw = _floats("product_gradients", *by_column, weights[pattern.t_order], dy, x, out=shapes)
    return dw, dx


def right_product(pattern: Structure, weights: Array, x: Array) -> Array:
    """As `jgc.graph.right_product`: `[n, n_col] -> [n, n_row]`."""
    shape = (x.shape[0], pattern.n_row)
    return _floats("right_product", pattern.indptr, pattern.cols, weights, x, out=(shape,))[0]


def right_dots(pattern: Structure, a: Array, b: Array) -> Array:
    """Its gradient by the weights, `[n_entry]`, from `a` `[n, n_row]` and `b` `[n, n_col]`."""
    shape = (pattern.n_entry,)
    return _floats("right_dots", pattern.indptr, pattern.cols, a, b, out=(shape,))[0]


def entry_sum(pattern: Structure, values: Array) -> Array:
    """Sums of entry values over rows, `[n_entry, d] -> [n_row, d]`."""
    shape = (pattern.n_row, values.shape[1])
    return _floats("entry_sum", pattern.indptr, values, out=(shape,))[0]


def entry_max(pattern: Structure, values: Array) -> Array:
    """Largest entry values of rows, `[n_entry, d] -> [n_row, d]`; 0 for empty rows."""
    shape = (pattern.n_row, values.shape[1])
    return _floats("entry_max", pattern.indptr, values, out=(shape,))[0]


def softmax(pattern: Structure, scores: Array, own: Array) -> tuple[Array, Array]:
    """Softmax over the entries of each row and the row's own score.

    Args:
        pattern: `[n_row, n_col]`.
        scores: `[n_entry, heads]`.
        own: `[n_row, heads]`, or `[0, heads]` for none.

    Returns:
        Weights of the shapes of both.
    """
    shapes = (scores.shape, own.shape)
    p, p_own = _floats("softmax", pattern.indptr, scores, own, out=shapes)
    return p, p_own


def softmax_gradient(pattern: Structure, p: Array, p_own: Array, g: Array, g_own: Array):
    """The gradient of `softmax` by its scores, from its result and the gradient by that."""
    shapes = (p.shape, p_own.shape)
    ds, d_own = _floats("softmax_gradient", pattern.indptr, p, p_own, g, g_own, out=shapes)
    return ds, d_own


def _floats(name: str, *args: Array, out: tuple) -> list[Array]:
    """Calls a kernel of float32 numbers; others of its arguments' type go in and come out."""
    floats = [a if a.dtype == jnp.int32 else a.astype(jnp.float32) for a in args]
    shapes = tuple((shape, jnp.float32) for shape in out)
    return [y.astype(args[-1].dtype) for y in _call(name, *floats, out=shapes)]


def _call(name: str, *args: Array, out: tuple) -> list[Array]:
    """Calls a kernel: integers of the pattern first, then what may differ between lanes."""
    n_index = sum(a.dtype == jnp.int32 for a in args)
    laned = (a[None] for a in args[n_index:])
    return [y[0] for y in _kernel(name, n_index, out)(*args[:n_index], *laned)]


@functools.cache
def _kernel(name: str, n_index: int, out: tuple) -> Callable:
    """A kernel as a function of arrays whose lanes come first, and that `vmap` adds lanes to."""

    @custom_vmap
    def run(*args):
        lanes = max(a.shape[0] for a in args[n_index:])
        shapes = tuple(((lanes, *shape), dtype) for shape, dtype in out)
        return _run.bind(*args, name=name, n_index=n_index, out=shapes)

    @run.def_vmap
    def more_lanes(n_lane, batched, *args):  # noqa: ANN001
        if any(batched[:n_index]):  # Patterns of their own: in turn.
            args = [
                a if is_batched else jnp.broadcast_to(a, (n_lane, *a.shape))
                for a, is_batched in zip(args, batched, strict=True)
            ]
            y = jax.lax.map(lambda lane: run(*lane), tuple(args))
            return y, [True] * len(out)
        each = max(a.shape[bool(b)] for a, b in zip(args[n_index:], batched[n_index:], strict=True))
        merged = [
            _merged(a, is_batched, n_lane, each)
            for a, is_batched in zip(args[n_index:], batched[n_index:], strict=True)
        ]
        y = run(*args[:n_index], *merged)
        return [a.reshape(n_lane, each, *a.shape[1:]) for a in y], [True] * len(out)

    return run


def _merged(a: Array, is_batched: bool, n_lane: int, each: int) -> Array:
    """`[n_lane, each or 1, ...]`, or one lane for all, with both lane axes as one."""
    if not is_batched and a.shape[0] == 1:
        return a
    a = a if is_batched else a[None]
    shape = a.shape[2:]
    return jnp.broadcast_to(a, (n_lane, each, *shape)).reshape(n_lane * each, *shape)


# --- one primitive, whose form is settled when a program is lowered ------------------------------

_run = Primitive("jgc_kernel")
_run.multiple_results = True
_run.def_abstract_eval(lambda *args, name, n_index, out: [ShapedArray(*y) for y in out])
_run.def_impl(
    jax.jit(lambda *a, **k: _run.bind(*a, **k), static_argnames=("name", "n_index", "out"))
)


def _call_kernel(context, *args, name: str, n_index: int, out: tuple):
    return jax.ffi.ffi_lowering(f"jgc_{name}")(context, *args)


# On CPU the kernel; in what is made on CPU for a GPU or TPU (`jax.export`), XLA's operations.
mlir.register_lowering(_run, _call_kernel, platform="cpu")
mlir.register_lowering(_run, mlir.lower_fun(portable.of_lanes, multiple_results=True))
