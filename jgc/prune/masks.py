"""Masks over parameters: full ones, applying them, counting them."""

import jax
import jax.numpy as jnp
from jax import Array

from jgc.prune.types import Masks, Params
from jgc.tree import PathPredicate, chosen, is_kernel, map_named, named_leaves


def full_masks(params: Params) -> Masks:
    """Masks that keep everything.

    Args:
        params: Any pytree of arrays.

    Returns:
        The same structure with bool leaves, all True.

    Raises:
        ValueError: if a leaf is no array.

    Example:
        >>> full_masks({"kernel": jnp.zeros((1, 2))})
        {'kernel': Array([[ True,  True]], dtype=bool)}
    """
    named_leaves(params)
    return jax.tree.map(lambda leaf: jnp.ones(leaf.shape, bool), params)


def apply_masks(params: Params, masks: Masks) -> Params:
    """Parameters with exact zeros where a mask is False; the rest untouched, dtypes kept.

    The gradient with respect to a pruned weight is exactly 0.

    Example:
        >>> apply_masks({"kernel": jnp.array([[2.0, 3.0]])}, {"kernel": jnp.array([[True, False]])})
        {'kernel': Array([[2., 0.]], dtype=float32)}
    """
    return jax.tree.map(lambda p, m: jnp.where(m, p, jnp.zeros((), p.dtype)), params, masks)


def sparsity_of(masks: Masks, is_prunable: PathPredicate = is_kernel) -> Array:
    """Pruned fraction of the prunable weights.

    Args:
        masks: Masks over parameters.
        is_prunable: Which leaves count, `(name, leaf) -> bool`.

    Returns:
        Float32 `[]` in [0, 1].

    Raises:
        ValueError: if `is_prunable` matches no leaf.

    Example:
        >>> masks = {"bias": jnp.ones(2, bool), "kernel": jnp.array([[True, False]])}
        >>> float(sparsity_of(masks))
        0.5
    """
    names = chosen(masks, is_prunable, "is_prunable")
    leaves = named_leaves(masks)
    pruned = sum(jnp.sum(~leaves[name], dtype=jnp.int32) for name in names)
    return jnp.asarray(pruned, jnp.float32) / max(1, sum(leaves[name].size for name in names))


def kept_fractions(masks: Masks, is_prunable: PathPredicate = is_kernel) -> dict[str, Array]:
    """Kept fraction of each prunable leaf: how a budget was dealt out over the layers.

    Args:
        masks: Masks over parameters.
        is_prunable: Which leaves count, `(name, leaf) -> bool`.

    Returns:
        Float32 `[]` in [0, 1] by name, in the tree's order.

    Raises:
        ValueError: if `is_prunable` matches no leaf.

    Example:
        >>> masks = {"conv1": {"bias": jnp.ones(2, bool), "kernel": jnp.array([[True, False]])}}
        >>> kept_fractions(masks)
        {'conv1/kernel': Array(0.5, dtype=float32)}
    """
    leaves = named_leaves(masks)
    names = chosen(masks, is_prunable, "is_prunable")
    return {name: jnp.mean(leaves[name], dtype=jnp.float32) for name in names}


def kept_counts(masks: Masks, is_prunable: PathPredicate = is_kernel) -> dict[str, Array]:
    """Kept weights of each prunable leaf.

    Args:
        masks: Masks over parameters.
        is_prunable: Which leaves count, `(name, leaf) -> bool`.

    Returns:
        Int32 `[]` by name, in the tree's order.

    Raises:
        ValueError: if `is_prunable` matches no leaf.

    Example:
        >>> kept_counts({"conv1": {"kernel": jnp.array([[True, False]])}})
        {'conv1/kernel': Array(1, dtype=int32)}
    """
    leaves = named_leaves(masks)
    names = chosen(masks, is_prunable, "is_prunable")
    return {name: jnp.sum(leaves[name], dtype=jnp.int32) for name in names}


def merged(masks: Masks, replaced: dict[str, Array]) -> Masks:
    """Masks with some leaves replaced by name.

    Example:
        >>> merged({"a": jnp.array(True), "b": jnp.array(True)}, {"b": jnp.array(False)})["b"]
        Array(False, dtype=bool)
    """
    return map_named(lambda name, mask: replaced.get(name, mask), masks)
