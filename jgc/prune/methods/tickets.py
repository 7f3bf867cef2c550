"""Lottery tickets: what is left of several trainings, each begun again from the same weights."""

from jgc.prune.budget import global_
from jgc.prune.compose import pruner
from jgc.prune.schedule import Timing, needed
from jgc.prune.score import magnitude
from jgc.prune.structure import element
from jgc.prune.types import Pruner
from jgc.tree import PathPredicate, is_kernel


def lottery_ticket(
    sparsity,
    *,
    schedule: Timing = None,
    every: int = 1,
    is_prunable: PathPredicate = is_kernel,
) -> Pruner:
    """Iterative magnitude pruning over all layers; exactly `round(density * n)` survive.

    The rewinding between two updates is the training's (`jgc.train.Phase.rewind`).

    Args:
        sparsity: As in `global_magnitude`.
        schedule: As in `global_magnitude`, but needed: `geometric` over the rounds.
        every: As in `pruner`.
        is_prunable: As in `pruner`.

    Returns:
        The `Pruner`.

    Raises:
        ValueError: without `schedule`, and as `global_magnitude`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jgc.prune import geometric
        >>> prune = lottery_ticket(0.75, schedule=lambda s: geometric(s, rounds=2))
        >>> params = {"kernel": jnp.array([[1.0, 2.0, 3.0, 4.0]])}
        >>> state, _ = prune.update(prune.init(params), params)
        >>> prune.update(state, params)[0].masks["kernel"].tolist()
        [[False, False, False, True]]

    References:
        Frankle and Carbin, ICLR 2019, sec. 2. https://arxiv.org/abs/1803.03635
    """
    return pruner(
        score=magnitude,
        budget=global_,
        structure=element,
        schedule=needed(sparsity, schedule, "lottery_ticket", "geometric(s, rounds=5)"),
        every=every,
        is_prunable=is_prunable,
    )
