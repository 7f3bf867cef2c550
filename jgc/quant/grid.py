"""`Grid`: evenly spaced values, and rounding to them, for real and fake.

Fake quantisation (float in, float out) and real quantisation (integers out) decode to the same
bits: both are `(clip(round(x / scale) + zero_point) - zero_point) * scale`.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

_SMALLEST_SCALE = 2.0**-100  # an all-zero tensor still has a scale > 0 with a finite inverse


class Grid(NamedTuple):
    """An evenly spaced grid: `x ~ (code - zero_point) * scale`.

    Arrays only, all traced: one compiled program serves every width. Whether codes are symmetric
    (-q..q, zero point 0) or affine (0..2^b - 1) is static and said at each call.

    Attributes:
        scale: Step in units of `x`, float32 > 0, broadcastable to the tensor.
        zero_point: Code of 0.0, int32, broadcastable to the tensor; 0 where symmetric.
        bits: Stored bits of a code, int32 `[]` in 2..8.

    Example:
        >>> grid = Grid(jnp.float32(0.5), jnp.int32(0), jnp.int32(4))
        >>> fake_quant(jnp.array([0.6, 9.0]), grid, symmetric=True).tolist()
        [0.5, 3.5]
    """

    scale: Array
    zero_point: Array
    bits: Array


def q_bounds(bits, *, symmetric: bool) -> tuple[Array, Array]:
    """Smallest and largest code.

    Args:
        bits: Width b in 2..8, traced or not.
        symmetric: Signed codes -q..q with `q = 2^(b-1) - 1`; else 0..`2^b - 1`. Static.

    Returns:
        `(q_min, q_max)`, int32 `[]`.

    Example:
        >>> [int(q) for q in q_bounds(4, symmetric=True)]
        [-7, 7]
        >>> [int(q) for q in q_bounds(4, symmetric=False)]
        [0, 15]
    """
    bits = jnp.asarray(bits, jnp.int32)
    q_max = jnp.left_shift(1, bits - 1 if symmetric else bits) - 1
    return (-q_max if symmetric else jnp.zeros_like(q_max)), q_max


def symmetric_grid(largest: Array, bits) -> Grid:
    """The grid of -q..q that ends at the largest magnitude.

    Differs: qwix divides by `2^(b-1) - 0.5`; here `scale = largest / (2^(b-1) - 1)`, the textbook
    rule, 7 % coarser at 4 bits and with the largest magnitude itself on the grid.

    Args:
        largest: Largest magnitude, float >= 0, broadcastable to the tensor `[...]`.
        bits: Width in 2..8, traced or not.

    Returns:
        The `Grid`. No gradient flows through its scale.

    Example:
        >>> float(symmetric_grid(jnp.array(7.0), bits=4).scale)
        1.0
    """
    q_max = q_bounds(bits, symmetric=True)[1]
    scale = _scale(largest, q_max)
    return Grid(scale, jnp.zeros(scale.shape, jnp.int32), jnp.asarray(bits, jnp.int32))


def affine_grid(lo: Array, hi: Array, bits) -> Grid:
    """The grid of 0..2^b - 1 over a range, widened to hold 0, which is exactly representable.

    Args:
        lo: Smallest value, float, broadcastable to the tensor `[...]`.
        hi: Largest value, >= `lo`.
        bits: Width in 2..8, traced or not.

    Returns:
        The `Grid`. No gradient flows through its scale.

    Example:
        >>> grid = affine_grid(jnp.array(-1.0), jnp.array(2.0), bits=2)
        >>> float(grid.scale), int(grid.zero_point)
        (1.0, 1)

    References:
        Jacob et al., CVPR 2018, sec. 2.1 and 3. https://arxiv.org/abs/1712.05877
    """
    lo = jax.lax.stop_gradient(jnp.minimum(lo, 0.0))
    hi = jax.lax.stop_gradient(jnp.maximum(hi, 0.0))
    q_max = q_bounds(bits, symmetric=False)[1]
    scale = _scale(hi - lo, q_max)
    zero_point = jnp.clip(jnp.round(-lo * (1.0 / scale)).astype(jnp.int32), 0, q_max)
    return Grid(scale, zero_point, jnp.asarray(bits, jnp.int32))


def quantize(x: Array, grid: Grid, *, symmetric: bool) -> Array:
    """Rounds to integer codes; halves to even, values beyond the grid to its ends.

    Args:
        x: Values `[*shape]`, any float dtype; computed in float32.
        grid: The grid, broadcastable to `[*shape]`.
        symmetric: As in `q_bounds`. Static.

    Returns:
        Codes `[*shape]`: int8 where symmetric, uint8 otherwise, each within `bits` bits.

    Example:
        >>> grid = symmetric_grid(jnp.array(3.5), bits=4)
        >>> quantize(jnp.array([-9.0, 0.25, 0.75]), grid, symmetric=True).tolist()
        [-7, 0, 2]
    """
    codes = _codes(x, grid.scale, grid.zero_point, grid.bits, symmetric)[0]
    return codes.astype(jnp.int8 if symmetric else jnp.uint8)


def dequantize(codes: Array, grid: Grid, dtype=jnp.float32) -> Array:
    """The values that codes stand for.

    Args:
        codes: Integer codes `[*shape]`.
        grid: The grid that made them.
        dtype: Of the result; computed in float32.

    Returns:
        Values `[*shape]`.

    Example:
        >>> grid = symmetric_grid(jnp.array(3.5), bits=4)
        >>> dequantize(jnp.array([-7, 0, 2], jnp.int8), grid).tolist()
        [-3.5, 0.0, 1.0]
    """
    steps = codes.astype(jnp.int32) - grid.zero_point
    return (steps.astype(jnp.float32) * grid.scale).astype(dtype)


def fake_quant(x: Array, grid: Grid, *, symmetric: bool, clip_gradient: bool = True) -> Array:
    r"""Rounds values to the grid and returns them as floats.

    Equal to `dequantize(quantize(x))` bit for bit. The gradient with respect to `x` is exactly 1
    where the rounded code lies on the grid and 0 where it had to be clipped (or 1 everywhere, the
    plain straight-through estimator). With respect to `scale` it is LSQ's:
    $\mathrm{round}(v) - v$ inside with $v = x/s$, and the clipped code outside, without LSQ's own
    factor $1/\sqrt{n q}$, which belongs to the learning rate.

    Differs: Degree-Quant's "gc" also stops the gradient at the two outermost codes, so that the
    largest weight never learns; here it does.

    Args:
        x: Values `[*shape]`, any float dtype; computed in float32.
        grid: The grid, broadcastable to `[*shape]`. Traced, its bits too.
        symmetric: As in `q_bounds`. Static.
        clip_gradient: Gradient 0 where values are clipped ("gc"), else 1 ("ste"). Static.

    Returns:
        Array `[*shape]` of the dtype of `x`, at most `2^bits` distinct values a scale. 0.0 stays
        exactly 0.0.

    Example:
        >>> grid = symmetric_grid(jnp.array(0.5), bits=2)
        >>> fake_quant(jnp.array([-1.2, 0.26, 0.9]), grid, symmetric=True).tolist()
        [-0.5, 0.5, 0.5]

    References:
        Jacob et al., CVPR 2018, sec. 3. https://arxiv.org/abs/1712.05877
        Esser et al., ICLR 2020, eq. 3 (gradient of the scale). https://arxiv.org/abs/1902.08153
    """
    return _fake_quant(x, grid.scale, grid.zero_point, grid.bits, symmetric, clip_gradient)


@partial(jax.custom_jvp, nondiff_argnums=(4, 5))
def _fake_quant(x, scale, zero_point, bits, symmetric, clip_gradient):
    codes, _ = _codes(x, scale, zero_point, bits, symmetric)
    return dequantize(codes, Grid(scale, zero_point, bits), x.dtype)


@_fake_quant.defjvp
def _fake_quant_jvp(symmetric, clip_gradient, primals, tangents):
    x, scale, zero_point, bits = primals
    x_dot, scale_dot = tangents[:2]
    codes, inside = _codes(x, scale, zero_point, bits, symmetric)
    steps = (codes - zero_point).astype(jnp.float32)
    y = _fake_quant(x, scale, zero_point, bits, symmetric, clip_gradient)
    by_scale = jnp.where(inside, steps - x.astype(jnp.float32) * (1.0 / scale), steps)
    through = jnp.where(inside, x_dot, jnp.zeros_like(x_dot)) if clip_gradient else x_dot
    return y, (through + by_scale * scale_dot).astype(y.dtype)


def _codes(x, scale, zero_point, bits, symmetric) -> tuple[Array, Array]:
    # The reciprocal is explicit because XLA turns a division by a constant into one, so that a
    # compiled and an uncompiled division could round to different codes.
    q_min, q_max = q_bounds(bits, symmetric=symmetric)
    steps = jnp.round(x.astype(jnp.float32) * (1.0 / scale))
    lowest, highest = (q_min - zero_point), (q_max - zero_point)
    inside = (steps >= lowest) & (steps <= highest)
    steps = jnp.clip(steps, lowest.astype(jnp.float32), highest.astype(jnp.float32))
    return steps.astype(jnp.int32) + zero_point, inside


def _scale(width: Array, n_step: Array) -> Array:
    # The barrier hides constant bits, or XLA would multiply by a reciprocal: another last bit.
    steps = jax.lax.optimization_barrier(n_step).astype(jnp.float32)
    width = jax.lax.stop_gradient(jnp.asarray(width, jnp.float32))
    return jnp.maximum(width / steps, _SMALLEST_SCALE)
