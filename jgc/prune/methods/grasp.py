"""`grasp`: keeps, before training, the weights on which the gradient flow rests."""

import jax
import jax.numpy as jnp
import optax

from jgc.prune.budget import global_
from jgc.prune.compose import pruner
from jgc.prune.schedule import Timing, timed
from jgc.prune.score import Score, signal
from jgc.prune.structure import element
from jgc.prune.types import Params, Pruner
from jgc.tree import PathPredicate, is_kernel


def _scores(params: Params, memory, **signals):
    del memory
    slope = jax.grad(signal(signals, "loss", "grasp"))
    steepest = jax.lax.stop_gradient(slope(params))

    def along(params: Params):
        return optax.tree.vdot(slope(params), steepest)

    # The Hessian times the gradient, in reverse twice: sums over edges have no forward mode.
    curved = jax.grad(along)(params)
    return jax.tree.map(lambda p, hg: (p * hg).astype(jnp.float32), params, curved)


# w (H g): where it is negative, removing the weight would make the gradient longer. Its second
# derivative is counted as two gradients.
gradient_flow = Score(init=lambda params: (), scores=_scores, gradients=3)


def grasp(
    sparsity,
    *,
    schedule: Timing = None,
    every: int = 1,
    is_prunable: PathPredicate = is_kernel,
) -> Pruner:
    """Prunes, over all layers, the weights without which the gradient is longest.

    Exactly `round(density * n)` survive. It is made for the weights before training.

    Args:
        sparsity: As in `global_magnitude`.
        schedule: As in `global_magnitude`.
        every: As in `pruner`.
        is_prunable: As in `pruner`.

    Returns:
        The `Pruner`; its `update` needs `loss=`, differentiable twice.

    Raises:
        ValueError: as `global_magnitude`; from `update`, without `loss`.

    Example:
        >>> params = {"kernel": jnp.array([[1.0, -1.0, 2.0, 3.0]])}
        >>> prune = grasp(0.5)
        >>> state, _ = prune.update(prune.init(params), params,
        ...     loss=lambda p: (p["kernel"] ** 3).sum())
        >>> state.masks["kernel"].tolist()
        [[False, False, True, True]]

    References:
        Wang, Zhang and Grosse, ICLR 2020, eq. 8. https://arxiv.org/abs/2002.07376
        Differs: eq. 8 scores -w (H g) and removes the largest; here larger = keep, so the sign is
        the other. Logits are not divided by a temperature.
    """
    return pruner(
        score=gradient_flow,
        budget=global_,
        structure=element,
        schedule=timed(sparsity, schedule),
        every=every,
        is_prunable=is_prunable,
    )
