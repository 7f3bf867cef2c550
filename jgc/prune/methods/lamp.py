"""`lamp`: layer-adaptive magnitudes, so that one ranking over all layers empties none of them."""

import jax
import jax.numpy as jnp
from jax import Array

from jgc.prune.budget import global_
from jgc.prune.compose import pruner
from jgc.prune.schedule import Timing, timed
from jgc.prune.score import Score
from jgc.prune.structure import element
from jgc.prune.types import Params, Pruner
from jgc.tree import PathPredicate, is_kernel


def _shares(leaf: Array) -> Array:
    squares = jnp.square(leaf.astype(jnp.float32)).reshape(-1)
    order = jnp.argsort(-squares)  # Stable: of equal weights the first has the fewer above it.
    ranked = squares[order]
    above = jnp.cumsum(ranked)
    shares = ranked / jnp.where(above > 0, above, 1)
    return shares[jnp.argsort(order)].reshape(leaf.shape)


def _scores(params: Params, memory, **signals):
    del memory, signals
    return jax.tree.map(_shares, params)


# w^2 over the sum of all squares of the leaf that are as large: the relative error that losing the
# weight would do to a layer from which all smaller ones are gone.
share_of_larger = Score(init=lambda params: (), scores=_scores)


def lamp(
    sparsity,
    *,
    schedule: Timing = None,
    every: int = 1,
    is_prunable: PathPredicate = is_kernel,
) -> Pruner:
    """Prunes by layer-adaptive magnitude, exactly `round(density * n)` weights survive.

    A weight's score is its square over the sum of the squares in its layer that are no smaller; all
    layers are ranked together. The largest of a layer scores 1, so a layer is emptied only where
    fewer weights survive than there are layers.

    Args:
        sparsity: Fraction of the prunable weights of all layers, in [0, 1]; a Python number
            (checked) or a traced scalar (not checked).
        schedule: As in `global_magnitude`.
        every: As in `pruner`.
        is_prunable: As in `pruner`.

    Returns:
        The `Pruner`.

    Raises:
        ValueError: as `global_magnitude`.

    Example:
        >>> params = {"a": {"kernel": jnp.array([[8.0, 9.0]])}, "b": {"kernel": jnp.ones((1, 2))}}
        >>> prune = lamp(0.5)
        >>> state, _ = prune.update(prune.init(params), params)
        >>> state.masks["a"]["kernel"].tolist(), state.masks["b"]["kernel"].tolist()
        ([[False, True]], [[True, False]])

    References:
        Lee et al., ICLR 2021, eq. 5. https://arxiv.org/abs/2010.07611
    """
    return pruner(
        score=share_of_larger,
        budget=global_,
        structure=element,
        schedule=timed(sparsity, schedule),
        every=every,
        is_prunable=is_prunable,
    )
