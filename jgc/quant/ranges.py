"""Running ranges of values, over real entries only."""

from collections.abc import Callable
from difflib import get_close_matches
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jgc.topk import kth_largest

SAMPLE = 1 << 16  # values that "per-sample" looks at
MOMENTUM = 0.01  # weight of the newest range in "mom", as in Degree-Quant


class RangeState(NamedTuple):
    """The range seen so far.

    Attributes:
        count: Number of batches seen that had a real entry, int32 `[]`.
        lo: Smallest value, float32 `[]`; 0 before the first batch.
        hi: Largest value, float32 `[]`; 0 before the first batch.

    Example:
        >>> state = running(no_range(), jnp.array([-1.0, 3.0]), None)
        >>> int(state.count), float(state.lo), float(state.hi)
        (1, -1.0, 3.0)
    """

    count: Array
    lo: Array
    hi: Array


def no_range() -> RangeState:
    """The state before the first batch.

    Example:
        >>> int(no_range().count)
        0
    """
    return RangeState(jnp.zeros((), jnp.int32), jnp.zeros(()), jnp.zeros(()))


def running(state: RangeState, x: Array, mask: Array | None, bits=8) -> RangeState:
    """Smallest and largest value ever seen ("abs").

    Args:
        state: The range so far.
        x: Values `[n, ...]`.
        mask: Bool `[n]`, True = real; padding never counts. None: all real. Without a real entry
            the state is returned unchanged.
        bits: Width of the codes; read by `percentile` only.

    Returns:
        The new state.

    Example:
        >>> real = jnp.array([True, True, False])
        >>> state = running(no_range(), jnp.array([1.0, -2.0, 99.0]), real)
        >>> float(state.lo), float(state.hi)
        (-2.0, 1.0)
    """
    del bits
    return _widened(state, *extremes(x, mask))


def moving(state: RangeState, x: Array, mask: Array | None, bits=8) -> RangeState:
    """Exponential moving average of each batch's extremes ("mom").

    The first batch sets the range; each later one moves it by 0.01 of the difference.

    Args:
        state: The range so far.
        x: Values `[n, ...]`.
        mask: As in `running`.
        bits: As in `running`.

    Returns:
        The new state.

    Example:
        >>> state = moving(no_range(), jnp.array([0.0, 1.0]), None)
        >>> float(moving(state, jnp.array([0.0, 2.0]), None).hi)
        1.0099999904632568

    References:
        Tailor et al., ICLR 2021, code (momentum 0.01). https://arxiv.org/abs/2008.05000
    """
    del bits
    lo, hi, any_real = extremes(x, mask)
    weight = jnp.where(state.count == 0, 1.0, MOMENTUM)

    # The select also keeps compilers from fusing product and sum into one rounding.
    def moved(old, new):
        return old + jnp.where(any_real, weight * (new - old), 0.0)

    return RangeState(state.count + any_real, moved(state.lo, lo), moved(state.hi, hi))


def percentile(state: RangeState, x: Array, mask: Array | None, bits=8) -> RangeState:
    """Smallest and largest percentile ever seen ("per"): outliers do not stretch the grid.

    Of each batch's m real values the `floor(tail * (m - 1))` smallest and as many largest are left
    out, tail = 0.001, or 0.01 at 4 bits and fewer. That is `numpy.quantile` at `tail` with method
    "lower" and at `1 - tail` with "higher": an exact selection, no interpolation, no sort.

    Differs: Degree-Quant states the tails for 4 and 8 bits only.

    Args:
        state: The range so far.
        x: Values `[n, ...]`.
        mask: As in `running`.
        bits: Width of the codes in 2..8; traced or not.

    Returns:
        The new state.

    Example:
        >>> state = percentile(no_range(), jnp.arange(1001.0), None, bits=8)
        >>> float(state.lo), float(state.hi)
        (1.0, 999.0)

    References:
        Tailor et al., ICLR 2021, sec. 3.2 and code. https://arxiv.org/abs/2008.05000
    """
    values, real = _flat(x, mask)
    if values.size == 0:
        return state
    n_real = real.sum(dtype=jnp.int32)
    left_out = jnp.maximum(n_real - 1, 0) // jnp.where(jnp.asarray(bits) <= 4, 100, 1000)

    def widened() -> RangeState:
        both = jnp.where(real, jnp.stack([values, -values]), -jnp.inf)
        hi, lo = kth_largest(both, left_out + 1)
        return _widened(state, -lo, hi, n_real > 0)

    # Once the range has settled, counting what lies beyond it is all that a batch costs.
    above, below = (jnp.sum(real & out) for out in (values > state.hi, values < state.lo))
    grows = (state.count == 0) | (jnp.maximum(above, below) > left_out)
    seen = state._replace(count=state.count + (n_real > 0))
    return jax.lax.cond(grows, widened, lambda: seen)


def sampled_percentile(state: RangeState, x: Array, mask: Array | None, bits=8) -> RangeState:
    """As `percentile` of evenly spaced values, about 65,536 of them ("per-sample").

    On batches of millions of values the exact selection takes longer than the rest of a step.

    Args:
        state: The range so far.
        x: Values `[n, ...]`.
        mask: As in `running`.
        bits: As in `percentile`.

    Returns:
        The new state.

    Example:
        >>> state = sampled_percentile(no_range(), jnp.arange(1e6) / 1e6, None)
        >>> round(float(state.lo), 3), round(float(state.hi), 3)
        (0.001, 0.999)

    References:
        Tailor et al., ICLR 2021, code (`sample_prop`). https://arxiv.org/abs/2008.05000
    """
    values, real = _flat(x, mask)
    # Odd, so that the columns of a matrix, often a power of two, are met in turn.
    step = max(values.size // SAMPLE, 1) | 1
    return percentile(state, values[::step], real[::step], bits)


def extremes(x: Array, mask: Array | None) -> tuple[Array, Array, Array]:
    """Smallest and largest real value of one batch, and whether there is any.

    Args:
        x: Values `[n, ...]`.
        mask: As in `running`.

    Returns:
        `(lo, hi, any_real)`, float32, float32 and bool `[]`; inf and -inf where there is none.

    Example:
        >>> [x.item() for x in extremes(jnp.array([[1.0, 3.0]]), jnp.array([False]))]
        [inf, -inf, False]
    """
    values, real = _flat(x, mask)
    lo = jnp.min(values, initial=jnp.inf, where=real)
    hi = jnp.max(values, initial=-jnp.inf, where=real)
    return lo, hi, real.any()


# name -> (state, x, mask, bits) -> state
RANGES: dict[str, Callable[..., RangeState]] = {
    "abs": running,
    "mom": moving,
    "per": percentile,
    "per-sample": sampled_percentile,
}


def range_rule(name: str) -> Callable[..., RangeState]:
    """The range rule of a name.

    Raises:
        ValueError: for an unknown name; says the nearest.

    Example:
        >>> range_rule("moment")
        Traceback (most recent call last):
        ...
        ValueError: `ranges` must be one of ['abs', 'mom', ...], got 'moment'; did you mean 'mom'?
    """
    if name not in RANGES:
        near = get_close_matches(str(name), RANGES, 1, 0.0)[0]
        raise ValueError(
            f"`ranges` must be one of {list(RANGES)}, got {name!r}; did you mean {near!r}?"
        )
    return RANGES[name]


def _widened(state: RangeState, lo: Array, hi: Array, any_real: Array) -> RangeState:
    first = state.count == 0
    new_lo = jnp.where(first, lo, jnp.minimum(state.lo, lo))
    new_hi = jnp.where(first, hi, jnp.maximum(state.hi, hi))
    return RangeState(
        state.count + any_real,
        jnp.where(any_real, new_lo, state.lo),
        jnp.where(any_real, new_hi, state.hi),
    )


def _flat(x: Array, mask: Array | None) -> tuple[Array, Array]:
    real = jnp.ones(x.shape[:1], bool) if mask is None else mask
    if real.shape != x.shape[:1]:
        raise ValueError(
            f"`mask` says which rows of `x` are real: its shape must be {x.shape[:1]}, got "
            f"{real.shape}."
        )
    real = jnp.broadcast_to(real.reshape(real.shape + (1,) * (x.ndim - 1)), x.shape)
    return x.astype(jnp.float32).reshape(-1), real.reshape(-1)
