"""`taylor`: the squared first-order change of the loss, averaged over many batches."""

import jax.numpy as jnp

from jgc.prune.budget import global_
from jgc.prune.compose import pruner
from jgc.prune.schedule import Timing, timed
from jgc.prune.score import remembered
from jgc.prune.structure import element
from jgc.prune.types import Pruner
from jgc.tree import PathPredicate, is_kernel

# Share of the newest batch in the running mean.
_NEW = 0.1


# (w dL/dw)^2, a running mean over the gradients of training.
squared_taylor = remembered(lambda mean, w, g: (1 - _NEW) * mean + _NEW * jnp.square(w * g))


def taylor(
    sparsity,
    *,
    schedule: Timing = None,
    every: int = 1,
    is_prunable: PathPredicate = is_kernel,
) -> Pruner:
    """Prunes, over all layers, the weights that the loss would miss least on many batches.

    Exactly `round(density * n)` survive. Call `observe` after every gradient, before the first
    refresh too: all scores are 0 until then.

    Args:
        sparsity: As in `global_magnitude`.
        schedule: As in `global_magnitude`.
        every: As in `pruner`.
        is_prunable: As in `pruner`.

    Returns:
        The `Pruner`, with `observe`.

    Raises:
        ValueError: as `global_magnitude`.

    Example:
        >>> params = {"kernel": jnp.array([[1.0, 2.0, 3.0, 4.0]])}
        >>> prune = taylor(0.5)
        >>> state = prune.init(params)
        >>> state = prune.observe(state, params, {"kernel": jnp.array([[9.0, 1.0, -1.0, 1.0]])})
        >>> prune.update(state, params)[0].masks["kernel"].tolist()
        [[True, False, False, True]]

    References:
        Molchanov et al., CVPR 2019, eq. 8. https://arxiv.org/abs/1906.10771
        Differs: a running mean of rate 0.1 in the place of sums between prunings.
    """
    return pruner(
        score=squared_taylor,
        budget=global_,
        structure=element,
        schedule=timed(sparsity, schedule),
        every=every,
        is_prunable=is_prunable,
    )
