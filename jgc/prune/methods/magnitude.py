"""Pruning of single weights by magnitude, over all layers or each; and by chance."""

from jax import Array

from jgc.prune.budget import global_, per_layer
from jgc.prune.compose import pruner
from jgc.prune.schedule import Timing, timed
from jgc.prune.score import magnitude, random
from jgc.prune.structure import element
from jgc.prune.types import Pruner
from jgc.tree import PathPredicate, is_kernel


def global_magnitude(
    sparsity,
    *,
    schedule: Timing = None,
    every: int = 1,
    is_prunable: PathPredicate = is_kernel,
) -> Pruner:
    """Prunes the smallest weights of all layers together, exactly `round(density * n)` survive.

    Args:
        sparsity: Fraction of the prunable weights, in [0, 1]; a Python number (checked) or a
            traced scalar (not checked). Masks at a higher sparsity are subsets.
        schedule: How the sparsity is reached: a function `sparsity -> Schedule`, for instance
            `lambda s: cubic(s, begin=0, end=100)`; by default it is pruned at the first update.
        every: As in `pruner`.
        is_prunable: As in `pruner`.

    Returns:
        The `Pruner`.

    Raises:
        ValueError: if `sparsity` is outside [0, 1] or `every` < 1.
        TypeError: if `schedule` is not such a function.

    Example:
        >>> import jax.numpy as jnp
        >>> params = {"a": {"kernel": jnp.array([[1.0, 4.0]])}, "b": {"kernel": jnp.ones((1, 2))}}
        >>> prune = global_magnitude(0.75)
        >>> state, _ = prune.update(prune.init(params), params)
        >>> state.masks["a"]["kernel"].tolist(), state.masks["b"]["kernel"].tolist()
        ([[False, True]], [[False, False]])

    References:
        Han et al., NeurIPS 2015. https://arxiv.org/abs/1506.02626
    """
    return pruner(
        score=magnitude,
        budget=global_,
        structure=element,
        schedule=timed(sparsity, schedule),
        every=every,
        is_prunable=is_prunable,
    )


def layer_magnitude(
    sparsity,
    *,
    schedule: Timing = None,
    every: int = 1,
    is_prunable: PathPredicate = is_kernel,
) -> Pruner:
    """Prunes the smallest weights of each layer by itself: "fine-grained" in the papers.

    Exactly `round(density * n)` of each leaf's n weights survive.

    Args:
        sparsity: Fraction of each prunable leaf; otherwise as in `global_magnitude`.
        schedule: As in `global_magnitude`.
        every: As in `pruner`.
        is_prunable: As in `pruner`.

    Returns:
        The `Pruner`.

    Raises:
        ValueError: as `global_magnitude`.

    Example:
        >>> import jax.numpy as jnp
        >>> params = {"a": {"kernel": jnp.array([[1.0, 4.0]])}, "b": {"kernel": jnp.ones((1, 2))}}
        >>> prune = layer_magnitude(0.5)
        >>> state, _ = prune.update(prune.init(params), params)
        >>> state.masks["a"]["kernel"].tolist(), state.masks["b"]["kernel"].tolist()
        ([[False, True]], [[True, False]])

    References:
        arXiv 2510.22058, "fine-grained pruning". https://arxiv.org/abs/2510.22058
    """
    return pruner(
        score=magnitude,
        budget=per_layer,
        structure=element,
        schedule=timed(sparsity, schedule),
        every=every,
        is_prunable=is_prunable,
    )


def random_global(
    sparsity,
    *,
    key: Array,
    schedule: Timing = None,
    every: int = 1,
    is_prunable: PathPredicate = is_kernel,
) -> Pruner:
    """Prunes weights of all layers at random: the control that a score must beat.

    Args:
        sparsity: As in `global_magnitude`.
        key: A jax key; the same key gives the same, nested masks.
        schedule: As in `global_magnitude`.
        every: As in `pruner`.
        is_prunable: As in `pruner`.

    Returns:
        The `Pruner`.

    Raises:
        ValueError: as `global_magnitude`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> params = {"kernel": jnp.ones((10, 10))}
        >>> prune = random_global(0.9, key=jax.random.key(0))
        >>> state, _ = prune.update(prune.init(params), params)
        >>> int(state.masks["kernel"].sum())
        10
    """
    return pruner(
        score=random(key),
        budget=global_,
        structure=element,
        schedule=timed(sparsity, schedule),
        every=every,
        is_prunable=is_prunable,
    )
