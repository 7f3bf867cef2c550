"""Budgets: which units are ranked together, and how many of them survive."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import prod
from numbers import Real

import jax.numpy as jnp
from jax import Array

from jgc.topk import keep_top

Shapes = Sequence[tuple[int, ...]]
# (scores of the units `[n_set, n_unit]` of each prunable leaf, sparsity, shapes of the leaves)
# -> which units are kept
Budget = Callable[[list[Array], float | Array, Shapes], list[Array]]

_LEVELS = 10_000


def per_layer(units: list[Array], sparsity, shapes: Shapes = ()) -> list[Array]:
    """Every set of units of every leaf loses the same fraction.

    Args:
        units: Scores `[n_set, n_unit]` of each prunable leaf. Ranked within each set; ties fall to
            the lower index: the lower index is kept.
        sparsity: Fraction of each set to prune, in [0, 1]; Python or traced.
        shapes: Not read; other budgets do.

    Returns:
        Bool `[n_set, n_unit]` a leaf, exactly `round((1 - sparsity) * n_unit)` True in each set.

    Example:
        >>> per_layer([jnp.array([[1.0, 4.0]]), jnp.array([[2.0, 3.0]])], 0.5)
        [Array([[False,  True]], dtype=bool), Array([[False,  True]], dtype=bool)]
    """
    del shapes
    return [keep_top(u, kept_count(u.shape[-1], sparsity)) for u in units]


def global_(units: list[Array], sparsity, shapes: Shapes = ()) -> list[Array]:
    """One ranking over all prunable leaves: layers end with different sparsities.

    Args:
        units: Scores `[1, n_unit]` of each prunable leaf. Ties fall to the lower index: the
            earlier leaf (in the tree's order), then the lower index in it, is kept.
        sparsity: Fraction of all units to prune, in [0, 1]; Python or traced.
        shapes: Not read; other budgets do.

    Returns:
        Bool `[1, n_unit]` a leaf, exactly `round((1 - sparsity) * n)` True of all n units.

    Raises:
        ValueError: if a leaf comes in several sets (`n_of_m`), which are ranked one by one.

    Example:
        >>> global_([jnp.array([[1.0, 4.0]]), jnp.array([[2.0, 3.0]])], 0.25)
        [Array([[False,  True]], dtype=bool), Array([[ True,  True]], dtype=bool)]
    """
    del shapes
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


def erdos_renyi(units: list[Array], sparsity, shapes: Shapes) -> list[Array]:
    """A layer keeps the more of its weights the smaller it is: density ~ (d_in + d_out) / size.

    Args:
        units: Scores `[1, n_unit]` of each prunable leaf; ties fall to the lower index.
        sparsity: Fraction of all units to prune, in [0, 1]; Python or traced.
        shapes: Of the leaves. Layers that their share would overfill stay dense, and the others
            make up for it. Axes before the last two count as kernel sizes do.

    Returns:
        Bool `[1, n_unit]` a leaf, exactly `round((1 - sparsity) * n)` True of all n units.

    Raises:
        ValueError: if a leaf comes in several sets (`n_of_m`), which have one density.

    Example:
        >>> units = [jnp.ones((1, 100)), jnp.ones((1, 20))]
        >>> [int(kept.sum()) for kept in erdos_renyi(units, 0.8, [(10, 10), (10, 2)])]
        [15, 9]

    References:
        Mocanu et al., 2018, eq. 1; Evci et al., ICML 2020, sec. 3 (Erdos-Renyi-Kernel).
    """
    if any(u.shape[0] != 1 for u in units):
        raise ValueError(
            "`budget`: erdos_renyi gives each layer one density, but `n_of_m` ranks within groups; "
            "use per_layer."
        )
    n = sum(u.size for u in units)
    sizes = jnp.array([u.size for u in units])
    wanted = jnp.array([sum(shape) / prod(shape) for shape in shapes], jnp.float32)
    total = kept_count(n, sparsity)
    density = _shared_out(wanted, sizes, total)
    return [
        keep_top(u, k) for u, k in zip(units, _whole(density * sizes, sizes, total), strict=True)
    ]


def _shared_out(wanted: Array, sizes: Array, total) -> Array:
    """Densities in proportion to `wanted`, at most 1, that keep `total` units."""
    full = jnp.zeros(sizes.shape, bool)
    # Every turn fills at least one more layer, or none is left to fill.
    for _ in range(sizes.size):
        room = jnp.maximum(total - jnp.sum(sizes * full), 0)
        weight = jnp.sum(jnp.where(full, 0, wanted * sizes))
        density = jnp.where(full, 1.0, wanted * room / jnp.maximum(weight, 1e-30))
        full = density >= 1
    return jnp.minimum(density, 1.0)


def _whole(counts: Array, sizes: Array, total) -> Array:
    """Whole numbers near `counts` that add up to `total`: the largest remainders round up."""
    floors = jnp.minimum(jnp.floor(counts + 1e-4), sizes).astype(jnp.int32)
    rest = jnp.where(floors < sizes, counts - floors, -jnp.inf)
    return floors + keep_top(rest, total - floors.sum())


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
