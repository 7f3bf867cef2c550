"""Pruning of whole structures by magnitude: neurons, heads, n of every m."""

from fractions import Fraction
from numbers import Real

from jgc.prune.budget import per_layer
from jgc.prune.compose import pruner
from jgc.prune.schedule import Timing, check_sparsity, timed
from jgc.prune.score import magnitude
from jgc.prune.structure import head, n_of_m, row
from jgc.prune.types import Pruner
from jgc.tree import PathPredicate, is_kernel


def row_magnitude(
    sparsity,
    *,
    schedule: Timing = None,
    every: int = 1,
    is_prunable: PathPredicate = is_kernel,
) -> Pruner:
    """Prunes whole neurons of each layer, those with the smallest mean |w|.

    A neuron is an output unit: a column of a `kernel` [d_in, d_out] (see `structure.row`). The
    last layer's outputs are the classes: leave it out by `is_prunable`.

    Args:
        sparsity: Fraction of the neurons of each prunable leaf; otherwise as `global_magnitude`.
        schedule: As in `global_magnitude`.
        every: As in `pruner`.
        is_prunable: As in `pruner`.

    Returns:
        The `Pruner`.

    Raises:
        ValueError: as `global_magnitude`.

    Example:
        >>> import jax.numpy as jnp
        >>> params = {"kernel": jnp.array([[1.0, 3.0], [2.0, 0.5]])}
        >>> prune = row_magnitude(0.5)
        >>> prune.update(prune.init(params), params)[0].masks["kernel"].tolist()
        [[False, True], [False, True]]

    References:
        Li et al., ICLR 2017, sec. 3.1. https://arxiv.org/abs/1608.08710
    """
    return pruner(
        score=magnitude,
        budget=per_layer,
        structure=row,
        schedule=timed(sparsity, schedule),
        every=every,
        is_prunable=is_prunable,
    )


def head_magnitude(
    sparsity,
    *,
    features: int = 8,
    schedule: Timing = None,
    every: int = 1,
    is_prunable: PathPredicate = is_kernel,
) -> Pruner:
    """Prunes whole attention heads of each layer, those with the smallest mean |w|.

    A head is a block of `features` outputs (see `structure.head`), in every prunable leaf: leave
    out what is no attention layer by `is_prunable`.

    Args:
        sparsity: Fraction of the heads of each prunable leaf; otherwise as `global_magnitude`.
        features: Outputs of a head, >= 1: `hidden` of `jgc.models.GAT`.
        schedule: As in `global_magnitude`.
        every: As in `pruner`.
        is_prunable: As in `pruner`.

    Returns:
        The `Pruner`.

    Raises:
        ValueError: if `features` < 1, and as `global_magnitude`.

    Example:
        >>> import jax.numpy as jnp
        >>> params = {"kernel": jnp.array([[1.0, 2.0, 3.0, 3.0]])}
        >>> prune = head_magnitude(0.5, features=2)
        >>> prune.update(prune.init(params), params)[0].masks["kernel"].tolist()
        [[False, False, True, True]]

    References:
        Michel, Levy and Neubig, NeurIPS 2019. https://arxiv.org/abs/1905.10650
        Differs: heads are ranked by their weights, not by the gradient of a gate.
    """
    return pruner(
        score=magnitude,
        budget=per_layer,
        structure=head(features),
        schedule=timed(sparsity, schedule),
        every=every,
        is_prunable=is_prunable,
    )


def n_of_m_magnitude(
    sparsity=0.5,
    *,
    m: int = 4,
    schedule: Timing = None,
    every: int = 1,
    is_prunable: PathPredicate = is_kernel,
) -> Pruner:
    """Keeps the n largest of every m consecutive inputs of an output: 2:4 by default.

    Args:
        sparsity: `1 - n/m`, a multiple of 1/m in [0, 1] (checked for Python numbers; a traced one
            is rounded, n = `round((1 - sparsity) * m)`).
        m: Size of a group, >= 2. See `structure.n_of_m` for a short last group.
        schedule: As in `global_magnitude`.
        every: As in `pruner`.
        is_prunable: As in `pruner`.

    Returns:
        The `Pruner`.

    Raises:
        ValueError: if `sparsity` is no multiple of 1/m, and as `global_magnitude`.

    Example:
        >>> import jax.numpy as jnp
        >>> params = {"kernel": jnp.array([[1.0], [4.0], [3.0], [2.0]])}
        >>> prune = n_of_m_magnitude()
        >>> prune.update(prune.init(params), params)[0].masks["kernel"][:, 0].tolist()
        [False, True, True, False]

    References:
        Mishra et al., 2021, sec. 3. https://arxiv.org/abs/2104.08378
    """
    groups = n_of_m(m)
    check_sparsity(sparsity)
    if isinstance(sparsity, Real) and (Fraction(str(sparsity)) * m).denominator != 1:
        allowed = [round(i / m, 4) for i in range(m + 1)]
        raise ValueError(f"`sparsity` of n:{m} must be one of {allowed}, got {sparsity}.")
    return pruner(
        score=magnitude,
        budget=per_layer,
        structure=groups,
        schedule=timed(sparsity, schedule),
        every=every,
        is_prunable=is_prunable,
    )
