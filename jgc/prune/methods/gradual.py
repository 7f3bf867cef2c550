"""Pruning by magnitude during training: held at zero, or trained on behind the mask."""

from jgc.prune.budget import per_layer
from jgc.prune.compose import pruner
from jgc.prune.schedule import Timing, needed
from jgc.prune.score import magnitude
from jgc.prune.structure import element
from jgc.prune.types import Pruner
from jgc.tree import PathPredicate, is_kernel

_EXAMPLE = "cubic(s, begin=0, end=75)"


def gradual_magnitude(
    sparsity,
    *,
    schedule: Timing = None,
    every: int = 1,
    is_prunable: PathPredicate = is_kernel,
) -> Pruner:
    """Prunes the smallest weights of each layer little by little while it trains.

    Exactly `round(density * n)` of each leaf survive.

    Args:
        sparsity: Final fraction of each prunable leaf, in [0, 1].
        schedule: As in `global_magnitude`, but needed; `cubic` in the paper.
        every: As in `pruner`.
        is_prunable: As in `pruner`.

    Returns:
        The `Pruner`.

    Raises:
        ValueError: without `schedule`, and as `global_magnitude`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jgc.prune import cubic
        >>> prune = gradual_magnitude(0.8, schedule=lambda s: cubic(s, begin=0, end=10))
        >>> params = {"kernel": jnp.arange(100.0).reshape(10, 10)}
        >>> state = prune.init(params)._replace(step=jnp.int32(5))
        >>> int(prune.update(state, params)[0].masks["kernel"].sum())
        30

    References:
        Zhu and Gupta, 2017. https://arxiv.org/abs/1710.01878
    """
    return pruner(
        score=magnitude,
        budget=per_layer,
        structure=element,
        schedule=needed(sparsity, schedule, "gradual_magnitude", _EXAMPLE),
        every=every,
        is_prunable=is_prunable,
    )


def magnitude_ste(
    sparsity,
    *,
    schedule: Timing = None,
    every: int = 1,
    is_prunable: PathPredicate = is_kernel,
) -> Pruner:
    """As `gradual_magnitude`, but pruned weights go on being trained and may come back.

    Args:
        sparsity: Final fraction of each prunable leaf, in [0, 1].
        schedule: As in `gradual_magnitude`.
        every: As in `pruner`.
        is_prunable: As in `pruner`.

    Returns:
        The `Pruner`, `straight_through`.

    Raises:
        ValueError: without `schedule`, and as `global_magnitude`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jgc.prune import one_shot
        >>> prune = magnitude_ste(0.5, schedule=lambda s: one_shot(s, at=0))
        >>> params = {"kernel": jnp.array([[1.0, 2.0]])}
        >>> state, _ = prune.update(prune.init(params), params)
        >>> grown = {"kernel": jnp.array([[3.0, 2.0]])}
        >>> prune.update(state._replace(step=jnp.int32(0)), grown)[0].masks["kernel"].tolist()
        [[True, False]]

    References:
        Lin et al. (DPF), ICLR 2020; Bengio et al., 2013. https://arxiv.org/abs/2006.07253
    """
    return pruner(
        score=magnitude,
        budget=per_layer,
        structure=element,
        schedule=needed(sparsity, schedule, "magnitude_ste", _EXAMPLE),
        every=every,
        is_prunable=is_prunable,
        straight_through=True,
    )
