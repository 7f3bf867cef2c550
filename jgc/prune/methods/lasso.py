"""Train-and-prune by a penalty: the lasso on weights and the group lasso on structures."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from jgc.prune.budget import global_
from jgc.prune.compose import pruner
from jgc.prune.schedule import Timing, needed
from jgc.prune.score import Score, magnitude
from jgc.prune.structure import Structure, element, structure_named
from jgc.prune.types import Params, Pruner, PruneState
from jgc.tree import PathPredicate, is_kernel, named_leaves

_EXAMPLE = "one_shot(s, at=50)"


def lasso(
    sparsity,
    *,
    strength: float = 1e-4,
    schedule: Timing = None,
    every: int = 1,
    is_prunable: PathPredicate = is_kernel,
) -> Pruner:
    """Adds `strength` times the sum of |w| to the loss, then prunes by global magnitude.

    Args:
        sparsity: As in `global_magnitude`.
        strength: Of the penalty, >= 0.
        schedule: As in `global_magnitude`, but needed: `one_shot` at the update that prunes. The
            penalty ends there.
        every: As in `pruner`.
        is_prunable: As in `pruner`; the penalty is on these leaves alone.

    Returns:
        The `Pruner`, with `penalty`.

    Raises:
        ValueError: for a negative `strength`, without `schedule`, and as `global_magnitude`.

    Example:
        >>> from jgc.prune import one_shot
        >>> prune = lasso(0.5, strength=0.1, schedule=lambda s: one_shot(s, at=9))
        >>> params = {"kernel": jnp.array([[1.0, -4.0]])}
        >>> float(prune.penalty(prune.init(params), params))
        0.5

    References:
        Tibshirani, 1996; Han et al., NeurIPS 2015, sec. 3.1.
    """
    return _penalised(
        sparsity, strength, schedule, every, is_prunable, element,
        lambda name, leaf: jnp.abs(leaf).sum(),
    )  # fmt: skip


def group_lasso(
    sparsity,
    *,
    strength: float = 1e-3,
    structure: str = "row",
    schedule: Timing = None,
    every: int = 1,
    is_prunable: PathPredicate = is_kernel,
) -> Pruner:
    """Adds `strength` times the length of every unit to the loss, then prunes whole units.

    A unit's length counts sqrt(its number of weights) times, so that units of all sizes are pulled
    alike; units of all layers are ranked together by their root mean square.

    Args:
        sparsity: Fraction of the units of all prunable leaves, in [0, 1].
        strength: Of the penalty, >= 0.
        structure: The units, a name of `STRUCTURES`.
        schedule: As in `lasso`.
        every: As in `pruner`.
        is_prunable: As in `lasso`.

    Returns:
        The `Pruner`, with `penalty`.

    Raises:
        ValueError: for an unknown structure, and as `lasso`.

    Example:
        >>> from jgc.prune import one_shot
        >>> prune = group_lasso(0.5, strength=1.0, schedule=lambda s: one_shot(s, at=9))
        >>> params = {"kernel": jnp.array([[3.0, 0.0], [4.0, 1.0]])}  # Neurons of length 5 and 1.
        >>> round(float(prune.penalty(prune.init(params), params)) / 2**0.5, 4)
        6.0

    References:
        Yuan and Lin, 2006; Wen et al., NeurIPS 2016, eq. 2. https://arxiv.org/abs/1608.03665
    """
    units = structure_named(structure)

    def lengths(name: str, leaf: Array) -> Array:
        mean = units.units(name, jnp.square(leaf))
        n = jnp.round(leaf.size / mean.size)  # Exact where all units are of one size.
        # At 0 the root has no slope; there the penalty's is taken to be 0.
        return n * jnp.where(mean > 0, jnp.sqrt(jnp.where(mean > 0, mean, 1.0)), 0.0).sum()

    return _penalised(sparsity, strength, schedule, every, is_prunable, units, lengths)


def _penalised(
    sparsity, strength: float, schedule: Timing, every: int, is_prunable: PathPredicate,
    units: Structure, of_leaf: Callable[[str, Array], Array],
) -> Pruner:  # fmt: skip
    if not strength >= 0:
        raise ValueError(f"`strength` of the penalty must be >= 0, got {strength}.")
    when = needed(sparsity, schedule, "lasso" if units is element else "group_lasso", _EXAMPLE)
    plain = pruner(
        score=magnitude if units is element else _squares,
        budget=global_,
        structure=units,
        schedule=when,
        every=every,
        is_prunable=is_prunable,
    )

    def penalty(state: PruneState, params: Params) -> Array:
        leaves = named_leaves(params).items()
        total = sum(of_leaf(name, leaf) for name, leaf in leaves if is_prunable(name, leaf))
        return jnp.where(state.step <= when.begin, strength * total, 0.0)

    return plain._replace(penalty=penalty)


def _squared(params: Params, memory, **signals):
    del memory, signals
    return jax.tree.map(lambda p: jnp.square(p).astype(jnp.float32), params)


_squares = Score(init=lambda params: (), scores=_squared)
