"""`movement`: keeps the weights that training moves away from 0."""

from jgc.prune.budget import per_layer
from jgc.prune.compose import pruner
from jgc.prune.schedule import Timing, needed
from jgc.prune.score import remembered
from jgc.prune.structure import element
from jgc.prune.types import Pruner
from jgc.tree import PathPredicate, is_kernel

# -w dL/dw, summed over the gradients of training.
moved_away = remembered(lambda total, w, g: total - w * g)


def movement(
    sparsity,
    *,
    schedule: Timing = None,
    every: int = 1,
    is_prunable: PathPredicate = is_kernel,
) -> Pruner:
    """Prunes, in each layer, the weights that training moves towards 0; they may come back.

    All weights go on being trained through the mask (`straight_through`). Exactly
    `round(density * n)` of each leaf survive.

    Args:
        sparsity: Fraction of each prunable leaf, in [0, 1].
        schedule: As in `global_magnitude`, but needed: before any movement was observed all scores
            are 0.
        every: As in `pruner`.
        is_prunable: As in `pruner`.

    Returns:
        The `Pruner`, with `observe`.

    Raises:
        ValueError: without `schedule`, and as `global_magnitude`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jgc.prune import one_shot
        >>> params = {"kernel": jnp.array([[1.0, 2.0, -3.0, 4.0]])}
        >>> prune = movement(0.5, schedule=lambda s: one_shot(s, at=0))
        >>> state = prune.init(params)
        >>> state = prune.observe(state, params, {"kernel": jnp.array([[-1.0, 1.0, 1.0, 1.0]])})
        >>> prune.update(state, params)[0].masks["kernel"].tolist()
        [[True, False, True, False]]

    References:
        Sanh, Wolf and Rush, NeurIPS 2020, sec. 4 (hard movement pruning).
        https://arxiv.org/abs/2005.07683
        Differs: the score is summed, not descended on by an optimiser of its own.
    """
    return pruner(
        score=moved_away,
        budget=per_layer,
        structure=element,
        schedule=needed(sparsity, schedule, "movement", "cubic(s, begin=1, end=75)"),
        every=every,
        is_prunable=is_prunable,
        straight_through=True,
    )
