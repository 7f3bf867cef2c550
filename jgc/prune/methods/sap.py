"""`sap`: how much each round prunes follows from how unequal the weights are (PQ index)."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jgc.prune.budget import kept_count
from jgc.prune.masks import full_masks, merged, sparsity_of
from jgc.prune.schedule import Timing, needed
from jgc.prune.types import Masks, Params, PruneInfo, Pruner, PruneState
from jgc.topk import keep_top
from jgc.tree import PathPredicate, chosen, is_kernel, named_leaves


def pq_index(values: Array, kept: Array, p: float = 0.5, q: float = 1.0) -> Array:
    """How unequal numbers are: 0 where all have the same magnitude, towards 1 where few have all.

    Args:
        values: `[n]`.
        kept: Which of them count, bool `[n]`.
        p: The smaller norm, 0 < p < q.
        q: The larger norm.

    Returns:
        1 - d^(1/q - 1/p) |w|_p / |w|_q in [0, 1], float32 `[]`; 0 where all that count are 0.

    Example:
        >>> weights = jnp.array([3.0, 0.0, 0.0, 0.0])
        >>> float(pq_index(weights, jnp.ones(4, bool))), float(pq_index(weights, weights > 0))
        (0.75, 0.0)

    References:
        Diao et al., ICLR 2023, def. 1. https://arxiv.org/abs/2302.05601
    """
    d, (small, large) = kept.sum(), _norms(values, kept, p, q)
    index = 1.0 - d ** (1 / q - 1 / p) * small / jnp.where(large > 0, large, 1.0)
    return jnp.where(large > 0, jnp.clip(index, 0.0, 1.0), 0.0)


def sap(
    sparsity=1.0,
    *,
    p: float = 0.5,
    q: float = 1.0,
    eta: float = 0.0,
    gamma: float = 1.0,
    beta: float = 0.9,
    schedule: Timing = None,
    every: int = 1,
    is_prunable: PathPredicate = is_kernel,
) -> Pruner:
    """Sparsity-informed adaptive pruning of the smallest weights of all layers.

    At every refresh the PQ index of the weights that are left bounds how many are needed; a share
    of the rest is removed. So the training decides the sparsity, up to the bound `sparsity`.

    Args:
        sparsity: The most that may be pruned, in [0, 1].
        p: Of `pq_index`, 0 < p < q.
        q: Of `pq_index`.
        eta: Tolerance of the bound, > -1.
        gamma: Factor on the share, > 0.
        beta: The most that one refresh removes of what is left, in [0, 1].
        schedule: As in `global_magnitude`, but needed: a `window` whose every step prunes.
        every: Steps between two prunings, >= 1.
        is_prunable: As in `pruner`.

    Returns:
        The `Pruner`. `PruneInfo.target` is the bound at the window's end and 0 before.

    Raises:
        ValueError: for settings out of range, without `schedule`.

    Example:
        >>> from jgc.prune import window
        >>> prune = sap(schedule=lambda s: window(s, 0, 3))
        >>> params = {"kernel": jnp.array([[8.0, 0.1, 0.1, 0.1]])}
        >>> prune.update(prune.init(params), params)[0].masks["kernel"].tolist()
        [[True, True, False, False]]

    References:
        Diao et al., ICLR 2023, alg. 1 (global scope). https://arxiv.org/abs/2302.05601
    """
    if not 0 < p < q:
        raise ValueError(f"`p` and `q` must be 0 < p < q, got {p} and {q}.")
    if not (eta > -1 and gamma > 0 and 0 <= beta <= 1):
        raise ValueError(
            f"`eta` must be > -1, `gamma` > 0, `beta` in [0, 1]; got {eta}, {gamma}, {beta}."
        )
    when = needed(sparsity, schedule, "sap", "window(s, begin=0, end=4)")

    def init(params: Params) -> PruneState:
        chosen(params, is_prunable, "is_prunable")
        return PruneState(jnp.int32(0), full_masks(params), ())

    def left(d: Array, index: Array) -> Array:
        bound = d * (1 + eta) ** (-q / (q - p)) * (1 - index) ** (p * q / (q - p))
        share = jnp.clip(gamma * (1 - jnp.ceil(bound - 1e-4) / jnp.maximum(d, 1)), 0.0, beta)
        return d - jnp.floor(d * share + 1e-4).astype(jnp.int32)

    def update(state: PruneState, params: Params, **signals: Any) -> tuple[PruneState, PruneInfo]:
        del signals
        names = chosen(params, is_prunable, "is_prunable")

        def refreshed() -> Masks:
            weights, masks = (_joined(tree, names) for tree in (params, state.masks))
            d = masks.sum()
            fewest = kept_count(weights.size, sparsity)
            count = jnp.maximum(left(d, pq_index(weights, masks, p, q)), fewest)
            worth = jnp.where(masks, jnp.abs(weights).astype(jnp.float32), -jnp.inf)
            return _parted(state.masks, keep_top(worth, jnp.minimum(count, d)), names)

        masks = jax.lax.cond(when.due(state.step, every), refreshed, lambda: state.masks)
        target = jnp.where(state.step >= when.end, sparsity, 0.0).astype(jnp.float32)
        info = PruneInfo(target, sparsity_of(masks, is_prunable))
        return PruneState(state.step + 1, masks, ()), info

    return Pruner(init, update)


def _norms(values: Array, kept: Array, p: float, q: float) -> tuple[Array, Array]:
    sizes = jnp.where(kept, jnp.abs(values), 0.0)
    # A root of 0 is fine: nothing is differentiated here.
    return (sizes**p).sum() ** (1 / p), (sizes**q).sum() ** (1 / q)


def _joined(tree: Params, names: tuple[str, ...]) -> Array:
    leaves = named_leaves(tree)
    return jnp.concatenate([leaves[name].reshape(-1) for name in names])


def _parted(masks: Masks, kept: Array, names: tuple[str, ...]) -> Masks:
    leaves, new, start = named_leaves(masks), {}, 0
    for name in names:
        shape, size = leaves[name].shape, leaves[name].size
        new[name] = kept[start : start + size].reshape(shape)
        start += size
    return merged(masks, new)
