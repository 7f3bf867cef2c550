"""Budgets: which units are ranked together, and how many of them survive."""

from collections.abc import Callable
from fractions import Fraction
from numbers import Real

import jax.numpy as jnp
from jax import Array

from jgc.topk import keep_top

# (scores of the units `[n_set, n_unit]` of each prunable leaf, sparsity) -> which are kept
Budget = Callable[[list[Array], float | Array], list[Array]]

_LEVELS = 10_000


def per_layer(units: list[Array], sparsity) -> list[Array]:
    """Every set of units of every leaf loses the same fraction.

    Args:
        units: Scores `[n_set, n_unit]` of each prunable leaf. Ranked within each set; ties fall to
            the lower index: the lower index is kept.
        sparsity: Fraction of each set to prune, in [0, 1]; Python or traced.

    Returns:
        Bool `[n_set, n_unit]` a leaf, exactly `round((1 - sparsity) * n_unit)` True in each set.

    Example:
        >>> per_layer([jnp.array([[1.0, 4.0]]), jnp.array([[2.0, 3.0]])], 0.5)
        [Array([[False,  True]], dtype=bool), Array([[False,  True]], dtype=bool)]
    """
    return [keep_top(u, kept_count(u.shape[-1], sparsity)) for u in units]


def global_(units: list[Array], sparsity) -> list[Array]:
    """One ranking over all prunable leaves: layers end with different sparsities.

    Args:
        units: Scores `[1, n_unit]` of each prunable leaf. Ties fall to the lower index: the
            earlier leaf (in the tree's order), then the lower index in it, is kept.
        sparsity: Fraction of all units to prune, in [0, 1]; Python or traced.

    Returns:
        Bool `[1, n_unit]` a leaf, exactly `round((1 - sparsity) * n)` True of all n units.

    Raises:
        ValueError: if a leaf comes in several sets (`n_of_m`), which are ranked one by one.

    Example:
        >>> global_([jnp.array([[1.0, 4.0]]), jnp.array([[2.0, 3.0]])], 0.25)
        [Array([[False,  True]], dtype=bool), Array([[ True,  True]], dtype=bool)]
    """
    if any(u.shape[0] != 1 for u in units):
        raise ValueError(
            "`budget`: global_ ranks all units together, but `n_of_m` ranks within groups; use "
            "per_layer."
        )
    ranked = jnp.concatenate([u[0] for u in units])
    kept = keep_top(ranked, kept_count(ranked.size, sparsity))
    ends, start = [], 0
    for u in units:
        ends.append(kept[None, start : start + u.size])
        start += u.size
    return ends


def kept_count(n: int, sparsity) -> int | Array:
    """`round((1 - sparsity) * n)`, halves to even, exactly.

    Args:
        n: Number of units. Static.
        sparsity: In [0, 1]. A Python number is read as the decimal it prints as, so that 0.9 of 25
            leaves the tie 2.5, not 2.4999999999999996. A traced one is float32: its first four
            decimals are counted in integers, exactly, and what is left beyond them in float32.

    Returns:
        A Python int, or int32 `[]` for a traced sparsity.

    Example:
        >>> kept_count(25, 0.9), int(kept_count(25, jnp.float32(0.9)))
        (2, 2)
    """
    if isinstance(sparsity, Real):
        return round((1 - Fraction(str(sparsity))) * n)
    level = jnp.rint(jnp.asarray(sparsity, jnp.float32) * _LEVELS).astype(jnp.int32)
    beyond = sparsity - level / _LEVELS
    beyond = jnp.where(jnp.abs(beyond) < 1e-7, 0.0, beyond)  # float32 noise of a decimal level
    # density * n = kept * (whole * LEVELS + part) / LEVELS, without overflowing 32 bits
    whole, part = divmod(n, _LEVELS)
    kept = _LEVELS - level
    base = kept * whole + (kept * part) // _LEVELS
    fraction = ((kept * part) % _LEVELS) / _LEVELS - beyond * n
    odd = base % 2  # rounds the sum's halves to even, not the fraction's
    return base + (jnp.rint(odd + fraction) - odd).astype(jnp.int32)
