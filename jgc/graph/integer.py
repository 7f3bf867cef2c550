"""Sums and products of bytes whose results pass through some steps and may leave as bytes again.

A network in integers is a chain of these. On CPU the C++ kernels keep each result in registers
until it is a byte, which is where the speed comes from; elsewhere XLA does the same steps.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jax import Array

from jgc.graph import native
from jgc.graph.steps import Steps, call, through
from jgc.graph.structure import Structure


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ByteWeights:
    """A matrix of signed bytes as the kernels read it.

    Attributes:
        packed: int8 `[depth / 4, width, 4]`, rounded up to 4 and to 16 with zeros.
        column_sums: int32 `[width]`, rounded up to 16: what a code of 1 in every row gives.
        width: Number of columns. Static.

    Example:
        >>> weights = byte_weights(jnp.array([[1, -1], [2, 0]], jnp.int8))
        >>> weights.width, weights.column_sums[:2].tolist()
        (2, [3, -1])
    """

    packed: Array
    column_sums: Array
    width: int = dataclasses.field(metadata={"static": True})


def byte_weights(codes: Array) -> ByteWeights:
    """Packs a matrix of codes for `byte_matmul`.

    Args:
        codes: int8 `[depth, width]`.

    Returns:
        The `ByteWeights`.

    Example:
        >>> weights = byte_weights(jnp.ones((3, 2), jnp.int8))
        >>> weights.packed.shape, weights.column_sums[:3].tolist()
        ((1, 16, 4), [3, 3, 0])
    """
    depth, width = codes.shape
    whole = jnp.pad(codes, ((0, -depth % 4), (0, -width % 16)))
    packed = whole.reshape(-1, 4, whole.shape[1]).transpose(0, 2, 1)
    return ByteWeights(packed, whole.sum(0, dtype=jnp.int32), width)


def byte_matmul(
    x: Array, zero, weights: ByteWeights, steps: Steps, out=jnp.uint8, backend: str = "auto"
) -> Array:
    """`(x - zero) @ codes`, summed in 32 bits, then the steps.

    Args:
        x: Codes, uint8 `[n_row, depth]`.
        zero: Code of 0, int32 `[]` in 0..255.
        weights: From `byte_weights`.
        steps: From the integer sums, as float32, to the result.
        out: uint8 (the last step is `codes`) or float32. Static.
        backend: `"native"`, plain XLA's `"segment"` and `"scatter"`, or `"auto"`. Static.

    Returns:
        `[n_row, width]`.

    Example:
        >>> weights = byte_weights(jnp.array([[1, -1], [2, 0]], jnp.int8))
        >>> byte_matmul(jnp.array([[11, 12]], jnp.uint8), 10, weights, (), jnp.float32).tolist()
        [[5.0, -1.0]]
    """
    shape = jax.ShapeDtypeStruct((x.shape[0], weights.width), out)
    shift = -jnp.asarray(zero, jnp.int32) * weights.column_sums
    if _is_native(backend):
        return call("jgc_byte_matmul", shape, steps, shift, x, weights.packed)
    depth, width = x.shape[1], weights.width
    codes = weights.packed.transpose(0, 2, 1).reshape(-1, weights.packed.shape[1])[:depth, :width]
    # Of XLA's integer products only that of signed bytes is fast: 128 is taken away, and put back.
    signed = (x ^ 128).astype(jnp.int8)
    total = jnp.matmul(signed, codes, preferred_element_type=jnp.int32)
    total = total + (128 * weights.column_sums + shift)[None, :width]
    return through(steps, total, out)


def byte_sum(
    pattern: Structure,
    x: Array,
    zero,
    steps: Steps,
    *,
    own: Array | None = None,
    out=jnp.uint8,
    backend: str = "auto",
) -> Array:
    """Sums of `x[cols] - zero` over each row of a pattern, in 32 bits, then the steps.

    Args:
        pattern: `[n_row, n_col]`.
        x: Codes, uint8 `[n_col, width]`.
        zero: Code of 0, int32 `[]` in 0..255.
        steps: From the integer sums, as float32, to the result.
        own: Weight of each row's own value, which is added to the sum as float32, `[n_row]`, for
            square patterns; `None` adds nothing.
        out: uint8 (the last step is `codes`) or float32. Static.
        backend: `"native"`, plain XLA's `"segment"` and `"scatter"`, or `"auto"`. Static.

    Returns:
        `[n_row, width]`.

    Example:
        >>> from jgc.graph import structure
        >>> s = structure([0, 0, 1], [0, 1, 1], n_row=2, n_col=2)
        >>> x = jnp.array([[7], [10]], jnp.uint8)
        >>> byte_sum(s, x, 5, (), out=jnp.float32).tolist()
        [[7.0], [5.0]]
    """
    shape = jax.ShapeDtypeStruct((pattern.n_row, x.shape[1]), out)
    if _is_native(backend):
        return call(
            "jgc_byte_sum", shape, steps, pattern.indptr, pattern.cols,
            jnp.full(1, zero, jnp.int32), x, jnp.zeros(0, jnp.float32) if own is None else own,
        )  # fmt: skip
    steps_from = x.astype(jnp.int32) - zero
    total = jax.ops.segment_sum(
        steps_from[pattern.cols], pattern.rows, pattern.n_row,
        indices_are_sorted=backend != "scatter",
    )  # fmt: skip
    total = total.astype(jnp.float32)
    return through(steps, total if own is None else total + own[:, None] * steps_from, out)


def _is_native(backend: str) -> bool:
    known = ("auto", "native", "segment", "scatter")
    if backend not in known:
        raise ValueError(f"`backend` must be one of {list(known)} for bytes, got {backend!r}.")
    if backend == "native" and not native.ready():
        raise ValueError(f"`backend` is 'native', which does not run here: {native.why_not()}.")
    return backend in ("auto", "native") and native.ready()
