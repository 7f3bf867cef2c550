"""`saliency`: how much the loss would change, to first order, if a weight were 0."""

import jax
import jax.numpy as jnp

from jgc.prune.budget import global_
from jgc.prune.compose import pruner
from jgc.prune.schedule import Timing, timed
from jgc.prune.score import Score, slopes
from jgc.prune.structure import element
from jgc.prune.types import Params, Pruner
from jgc.tree import PathPredicate, is_kernel


def _scores(params: Params, memory, **signals):
    del memory
    grads = slopes(params, signals, "saliency")
    return jax.tree.map(lambda p, g: jnp.abs(p * g).astype(jnp.float32), params, grads)


# |w dL/dw| on one batch.
saliency = Score(init=lambda params: (), scores=_scores, gradients=1)


def global_saliency(
    sparsity,
    *,
    schedule: Timing = None,
    every: int = 1,
    is_prunable: PathPredicate = is_kernel,
) -> Pruner:
    """Prunes the weights of all layers that the loss would miss least, to first order.

    Exactly `round(density * n)` survive. Pruned before the first step of training this is SNIP.

    Args:
        sparsity: As in `global_magnitude`.
        schedule: As in `global_magnitude`.
        every: As in `pruner`.
        is_prunable: As in `pruner`.

    Returns:
        The `Pruner`; its `update` needs `loss=`.

    Raises:
        ValueError: as `global_magnitude`; from `update`, without `loss`.

    Example:
        >>> params = {"kernel": jnp.array([[1.0, 2.0, 3.0, 4.0]])}
        >>> prune = global_saliency(0.5)
        >>> state, _ = prune.update(prune.init(params), params,
        ...     loss=lambda p: (p["kernel"] * jnp.array([[9.0, 1.0, 1.0, 1.0]])).sum())
        >>> state.masks["kernel"].tolist()
        [[True, False, False, True]]

    References:
        Mozer and Smolensky, NeurIPS 1988; Lee et al. (SNIP), ICLR 2019, eq. 4.
        https://arxiv.org/abs/1810.02340
        Differs: SNIP takes the gradient over one large batch; here over the batch of `loss`.
    """
    return pruner(
        score=saliency,
        budget=global_,
        structure=element,
        schedule=timed(sparsity, schedule),
        every=every,
        is_prunable=is_prunable,
    )
