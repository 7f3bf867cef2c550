"""Learned grids: a step and a width for each node, or for each of some groups of nodes."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jgc.quant.grid import symmetric_grid
from jgc.quant.ranges import MOMENTUM
from jgc.quant.types import ByteGrid

_MOST_BITS = 8
_SMALLEST_REACH = 1 / 32  # of the largest at first: a node that is 0 now must be able to grow
_GROUP_SPAN = 1 / 1024  # smallest reach of a group at first, of the largest


class Learned(NamedTuple):
    """The grids of one site's node values, one for each node of one graph.

    Attributes:
        step: Step of the grid in units of the values, float32 `[n]` > 0; 0 before the first batch.
        bits: Width, float32 `[n]`; `whole_bits` of it are stored.
        signed: Whether a negative value was ever seen; a bit is the sign then, bool `[]`.
        share: How much each grid counts: 1 for a real node, 0 for padding, float32 `[n]`.
        width: Values of a node at this site, float32 `[]`.
        error: Sum over nodes of the mean absolute error of the last training pass, float32 `[]`.
        count: Number of batches seen that had a real node, int32 `[]`.

    Example:
        >>> Learned._fields[:3]
        ('step', 'bits', 'signed')
    """

    step: Array
    bits: Array
    signed: Array
    share: Array
    width: Array
    error: Array
    count: Array


class Groups(Learned):
    """The same for `[m]` groups, which any node of any graph can join.

    A node takes the grid whose end lies nearest to its largest magnitude. `share` is the fraction
    of nodes that took each, averaged over batches; `error` stays 0.

    Example:
        >>> issubclass(Groups, Learned), Groups._fields[:2]
        (True, ('step', 'bits'))
    """


def per_node(n: int, width: int, bits) -> Learned:
    """Grids for the `n` nodes of one graph, before the first batch."""
    return Learned(*_blank(n, width, bits, share=1.0))


def in_groups(m: int, width: int, bits) -> Groups:
    """Grids for `m` groups, before the first batch."""
    return Groups(*_blank(m, width, bits, share=1 / m))


def whole_bits(bits: Array, signed: Array) -> Array:
    """The stored width: rounded, at least 1 beside the sign, at most 8.

    Args:
        bits: Learned widths, float `[n]`.
        signed: Whether one bit is the sign, bool `[]`.

    Returns:
        int32 `[n]`.

    Example:
        >>> whole_bits(jnp.array([-1.0, 2.6, 99.0]), jnp.array(True)).tolist()
        [2, 3, 8]
    """
    return jnp.clip(jnp.round(bits.astype(jnp.float32)).astype(jnp.int32), 1 + signed, _MOST_BITS)


def smooth_bits(state: Learned) -> Array:
    """Widths before rounding, within the bounds, float32 `[n]`: what a penalty descends on."""
    return jnp.clip(state.bits.astype(jnp.float32), 1.0 + state.signed, float(_MOST_BITS))


def on_grids(state: Learned, x: Array, mask: Array | None, train: bool) -> tuple[Array, Learned]:
    """Fake-quantises the values of nodes, each on its own grid.

    Steps begin at the first batch, so that no value is clipped. For `Learned`, no gradient of the
    result reaches steps and widths: they have their own goal, `error`, which is differentiable in
    them and in nothing else. For `Groups` the result is differentiable in both.

    Args:
        state: The grids.
        x: Values `[n, ...]`.
        mask: True for real nodes, bool `[n]`; None: all real.
        train: Brings the state up to date. Static.

    Returns:
        Values `[n, ...]` and the state.

    Raises:
        ValueError: if `Learned` meets another number of nodes than it has grids.
    """
    real = jnp.ones(x.shape[:1], bool) if mask is None else mask
    now, flat, group = _now(state, x, real, train)
    step, bits = (now.step, now.bits) if group is None else (now.step[group], now.bits[group])
    if group is None:
        y = _rounded(x, *jax.lax.stop_gradient((step, bits)), now.signed)
        off = jnp.abs(_rounded(flat, step, bits, now.signed) - flat).mean(1)
        error, share = jnp.where(real, off, 0.0).sum(), real.astype(jnp.float32)
    else:
        y = _rounded(x, step, bits, now.signed)
        error, share = state.error, _joined(state, group, real)
    if not train:
        return y, state
    seen = now._replace(error=error, share=share, count=state.count + 1)
    return y, jax.tree.map(lambda new, old: jnp.where(real.any(), new, old), seen, state)


def grids_of(state: Learned, x: Array, mask: Array | None) -> ByteGrid:
    """The grids that `on_grids` rounds the rows of `x` to in evaluation.

    Args:
        state: The grids.
        x: Values `[n, ...]`.
        mask: As in `on_grids`.

    Returns:
        A `ByteGrid` of `[n, 1]`.

    Raises:
        ValueError: as `on_grids`.

    Example:
        >>> state = per_node(2, 1, 3)._replace(step=jnp.ones(2), count=jnp.int32(1))
        >>> grids_of(state, jnp.ones((2, 1)), None).top.tolist()
        [[7], [7]]
    """
    real = jnp.ones(x.shape[:1], bool) if mask is None else mask
    now, _, group = _now(state, x, real, False)
    step, bits = (now.step, now.bits) if group is None else (now.step[group], now.bits[group])
    end = _q_max(whole_bits(bits, now.signed), now.signed).astype(jnp.int32)[:, None]
    zero = jnp.where(now.signed, end, 0)
    return ByteGrid(step[:, None], zero, end + zero)


def nearest(state: Groups, largest: Array) -> Array:
    """The group of each node: that whose grid ends nearest to the node's largest magnitude.

    By one sort of the groups and a search of the midpoints, not by all distances.

    Differs: the authors' code takes `2^(b-1) s` for a grid's end; here it is the largest value on
    the grid.

    Args:
        state: The groups.
        largest: `[n]`, >= 0.

    Returns:
        int32 `[n]` in 0..m - 1.

    Example:
        >>> state = in_groups(3, 1, 2)._replace(step=jnp.array([4.0, 1.0, 2.0]))  # ends 12, 3, 6
        >>> nearest(state, jnp.array([0.0, 4.4, 4.6, 8.9, 50.0])).tolist()
        [1, 1, 2, 2, 0]

    References:
        Zhu et al., ICLR 2023, sec. 3.3 (Nearest Neighbor Strategy). https://arxiv.org/abs/2302.00193
    """
    ends = jax.lax.stop_gradient(ends_of(state))
    order = jnp.argsort(ends)
    ends = ends[order]
    return order[jnp.searchsorted((ends[1:] + ends[:-1]) / 2, largest)]


def ends_of(state: Learned) -> Array:
    """The largest value on each grid, float32 `[n]`.

    Example:
        >>> ends_of(per_node(1, 1, 4)._replace(step=jnp.array([0.5]))).tolist()
        [7.5]
    """
    return _q_max(whole_bits(state.bits, state.signed), state.signed) * state.step


def narrow(state: Learned) -> Learned:
    """What a file needs: whole widths in a byte each; `on_grids` makes the same bits of it.

    Example:
        >>> narrow(per_node(2, 1, 3.4)).bits
        Array([3, 3], dtype=uint8)
    """
    bits = whole_bits(state.bits, state.signed).astype(jnp.uint8)
    return state._replace(bits=bits, share=state.share.astype(jnp.float16))


def _now(state: Learned, x: Array, real: Array, train: bool):
    """The state with a step for every grid, the real values as rows, and each node's group."""
    if not isinstance(state, Groups) and x.shape[0] != state.step.shape[0]:
        raise ValueError(
            f"`x` has {x.shape[0]} nodes, but there are learned grids for {state.step.shape[0]}: "
            "those of another graph? For graphs that were not trained on use `jgc.quant.degree`."
        )
    flat = jax.lax.stop_gradient(x).reshape(x.shape[0], math.prod(x.shape[1:]))
    flat = jnp.where(real[:, None], flat.astype(jnp.float32), 0.0)
    largest = jnp.abs(flat).max(1, initial=0.0)
    now = _begun(state, largest, (flat < 0).any(), train)
    return now, flat, nearest(now, largest) if isinstance(now, Groups) else None


def _blank(n: int, width: int, bits, share: float) -> tuple[Any, ...]:
    return (
        jnp.zeros(n), jnp.full(n, jnp.asarray(bits, jnp.float32)), jnp.zeros((), bool),
        jnp.full(n, share), jnp.full((), float(width)), jnp.zeros(()), jnp.zeros((), jnp.int32),
    )  # fmt: skip


def _begun(state: Learned, largest: Array, negative: Array, train: bool) -> Learned:
    """The state once it has a step for every grid: at first each ends at the values at hand."""
    signed = state.signed | (negative & (train | (state.count == 0)))
    reach = largest.max(initial=0.0)
    if isinstance(state, Groups):
        reach = reach * np.geomspace(1, _GROUP_SPAN, state.step.shape[0], dtype=np.float32)
    else:
        reach = jnp.maximum(largest, reach * _SMALLEST_REACH)
    # Codes 0..2^b - 1 end where symmetric ones of one bit more do.
    step = symmetric_grid(reach, whole_bits(state.bits, signed) + 1 - signed).scale
    step = jnp.where(state.count == 0, step, state.step)
    return state._replace(step=step, signed=signed)


def _joined(state: Learned, group: Array, real: Array) -> Array:
    """Running fraction of the real nodes that each group has."""
    # A scatter of whole numbers, one a node: small beside the layer that reads the values.
    count = jax.ops.segment_sum(real.astype(jnp.float32), group, state.share.shape[0])
    share = count / jnp.maximum(real.sum(), 1)
    weight = jnp.where(state.count == 0, 1.0, MOMENTUM)
    return state.share + weight * (share - state.share)


def _rounded(x: Array, step: Array, bits: Array, signed: Array) -> Array:
    r"""Values `[n, ...]` on their rows' grids, `step` and `bits` `[n]`.

    With $q = 2^{b} - 1$, or $2^{b-1} - 1$ where a bit is the sign: inside the grid the derivatives
    by x, s and b are 1, $(x_q - x)/s$ and 0, beyond it 0, $\pm q$ and $\pm(q + 1) \ln 2\; s$.
    """
    rows = (-1,) + (1,) * (x.ndim - 1)
    step, bits = step.reshape(rows), bits.reshape(rows)
    whole = whole_bits(bits, signed)
    q = _q_max(whole, signed)
    # Straight through the rounding and the bounds of b: a grid that is too narrow can recover.
    q = q + (q + 1) * math.log(2) * (bits - jax.lax.stop_gradient(bits))
    float_x = x.astype(jnp.float32)
    code = jax.lax.stop_gradient(jnp.round(float_x * (1.0 / step)))
    end = jnp.where(code < 0, -q * signed, q)
    inside = jnp.abs(code) <= jnp.abs(end)
    value = jax.lax.stop_gradient(jnp.where(inside, code, end) * step)
    off = jax.lax.stop_gradient(code - float_x * (1.0 / step))
    slope = jnp.where(inside, float_x + off * step, end * step)
    # The slope is worth exactly 0: only its derivatives are wanted.
    return (value + (slope - jax.lax.stop_gradient(slope))).astype(x.dtype)


def _q_max(whole: Array, signed: Array) -> Array:
    """Largest code of widths of whole bits, float32."""
    return (jnp.left_shift(1, whole - signed) - 1).astype(jnp.float32)
