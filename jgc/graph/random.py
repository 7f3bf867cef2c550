"""Random bits from a counter hash, and the dropout that uses them."""

from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer

from jgc.graph.features import SparseRows

Values = TypeVar("Values", Array, SparseRows)


def hash_bits(key: Array, shape: tuple[int, ...], rows: Array | None = None) -> Array:
    """Random 32-bit words: a hash of the position, keyed by a jax key.

    The words of the key are two seeds; each position then costs a dozen integer operations, against
    a whole threefry block: 30 times less on CPU, where the random numbers of dropout were most of a
    training step. Good for dropout, sampling and stochastic rounding; not for cryptography.

    Args:
        key: A jax key. Fold in a counter or split for each call.
        shape: Of the result; fewer than 2^32 positions.
        rows: Which rows of a larger whole these are, integers `[shape[0]]`; `None` for all of it.

    Returns:
        uint32 `[*shape]`, the same for the same key on every device.

    References:
        MurmurHash3's 32-bit finaliser (A. Appleby, 2011), over position xor seed, twice.

    Example:
        >>> bits = hash_bits(jax.random.key(0), (1000,))
        >>> bool(abs((bits >> 31).mean() - 0.5) < 0.05)
        True
    """
    # A key that was split or folded is itself a pair of random words.
    data = jax.random.key_data(key)
    seeds = data[..., 0], data[..., -1]
    # iota beyond one axis costs nothing: XLA computes positions where they are used.
    if rows is None:
        position = jax.lax.iota(jnp.uint32, int(np.prod(shape))).reshape(shape)
    else:
        width = int(np.prod(shape[1:]))
        first = rows.astype(jnp.uint32)[:, None] * np.uint32(width)
        position = (first + jax.lax.iota(jnp.uint32, width)[None]).reshape(shape)
    return _finalise(_finalise(position * np.uint32(0x9E3779B9) ^ seeds[0]) ^ seeds[1])


def dropout(x: Values, rate: float | Array, key: Array, rows: Array | None = None) -> Values:
    """Zeros each entry with probability `rate` and scales the rest by `1 / (1 - rate)`.

    Args:
        x: Values `[*shape]`, or sparse rows, of which only stored entries need a random number.
        rate: Probability in `[0, 1)`; may be traced.
        key: A jax key.
        rows: As in `hash_bits`: rows (or stored entries) keep what they get as part of the whole.

    Returns:
        As `x`.

    Raises:
        ValueError: if a concrete `rate` is outside `[0, 1)`.

    Example:
        >>> dropped = dropout(jnp.ones(10_000), 0.25, jax.random.key(0))
        >>> sorted(set(dropped.tolist())), bool(abs(dropped.mean() - 1) < 0.02)
        ([0.0, 1.3333333730697632], True)
    """
    if not isinstance(rate, Tracer) and not 0 <= float(rate) < 1:
        raise ValueError(f"`rate` is a probability in [0, 1), got {rate}.")
    if isinstance(x, SparseRows):
        return x._replace(values=dropout(x.values, rate, key, rows))
    threshold = jnp.asarray(rate * 2.0**32, jnp.float32).astype(jnp.uint32)
    return jnp.where(hash_bits(key, x.shape, rows) >= threshold, x / (1 - rate), 0)


def _finalise(x: Array) -> Array:
    x = (x ^ (x >> 16)) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * np.uint32(0xC2B2AE35)
    return x ^ (x >> 16)
