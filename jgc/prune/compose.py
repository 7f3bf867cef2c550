"""`pruner`: score x budget x structure x schedule, composed."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jgc.prune.budget import Budget
from jgc.prune.masks import full_masks, merged, sparsity_of
from jgc.prune.schedule import Schedule
from jgc.prune.score import Score
from jgc.prune.structure import Structure
from jgc.prune.types import Masks, ObserveFn, Params, PruneInfo, Pruner, PruneState
from jgc.tree import PathPredicate, chosen, is_kernel, named_leaves


def pruner(
    *,
    score: Score,
    budget: Budget,
    structure: Structure,
    schedule: Schedule,
    every: int = 1,
    is_prunable: PathPredicate = is_kernel,
    straight_through: bool = False,
) -> Pruner:
    """Composes a pruner.

    What is pruned stays pruned: pruned weights rank below all others and masks only lose entries,
    so masks at rising sparsity are nested and a falling schedule changes nothing. Ties fall to the
    lower index: the lower index is kept.

    With `straight_through` all weights go on being trained, and every refresh ranks them all anew.

    Args:
        score: What each weight is worth: `magnitude`, `random(key)`.
        budget: What is ranked together: `per_layer`, `global_`.
        structure: What is pruned as one unit: `element`, `row`, `n_of_m(m)`.
        schedule: Sparsity over steps: `constant`, `one_shot`, `cubic`. The sparsity may be traced.
        every: Steps between refreshes of the masks inside the schedule's window, counted from its
            first step; its last step always refreshes. Static.
        is_prunable: Which leaves are pruned, `(name, leaf) -> bool`; the sparsity is a fraction of
            these alone.
        straight_through: See `Pruner.straight_through`.

    Returns:
        The `Pruner`.

    Raises:
        ValueError: if `every` < 1; from `init` and `update` if `is_prunable` matches no leaf or
            a leaf is no array.
        TypeError: if `schedule` is no `Schedule`.

    Example:
        >>> from jgc.prune import constant, element, global_, magnitude
        >>> prune = pruner(score=magnitude, budget=global_, structure=element,
        ...                schedule=constant(0.5))
        >>> params = {"bias": jnp.zeros(2), "kernel": jnp.array([[3.0, -1.0], [0.5, 2.0]])}
        >>> state, info = prune.update(prune.init(params), params)
        >>> state.masks["kernel"].tolist(), float(info.achieved)
        ([[True, False], [False, True]], 0.5)
    """
    if every < 1:
        raise ValueError(f"`every` counts steps between mask updates; must be >= 1, got {every}.")
    if not isinstance(schedule, Schedule):
        raise TypeError(
            f"`schedule` must be a Schedule such as constant(0.5), got {type(schedule).__name__}; "
            "wrap a function as Schedule(function, begin, end)."
        )

    def init(params: Params) -> PruneState:
        chosen(params, is_prunable, "is_prunable")
        return PruneState(jnp.zeros((), jnp.int32), full_masks(params), score.init(params))

    def update(state: PruneState, params: Params, **signals: Any) -> tuple[PruneState, PruneInfo]:
        sparsity = schedule(state.step)

        def refreshed() -> Masks:
            scores = score.scores(params, state.memory, **signals)
            names = chosen(params, is_prunable, "is_prunable")
            masks = full_masks(params) if straight_through else state.masks
            return cut(masks, scores, names, budget, structure, sparsity)

        due = schedule.due(state.step, every)
        masks = jax.lax.cond(due, refreshed, lambda: state.masks)
        info = PruneInfo(
            jnp.asarray(sparsity, jnp.float32),
            sparsity_of(masks, is_prunable),
            jnp.where(due, score.gradients, 0),
        )
        return PruneState(state.step + 1, masks, state.memory), info

    return Pruner(
        init,
        update,
        observe=observing(score),
        regrows=straight_through,
        straight_through=straight_through,
    )


def observing(score: Score) -> ObserveFn | None:
    """`Pruner.observe` of a score; `None` where it observes nothing.

    Example:
        >>> from jgc.prune import magnitude
        >>> observing(magnitude) is None
        True
    """
    note = score.observe
    if note is None:
        return None

    def observe(state: PruneState, params: Params, grads: Params) -> PruneState:
        return state._replace(memory=note(state.memory, params, grads))

    return observe


def cut(
    masks: Masks, scores: Params, names: tuple[str, ...], budget: Budget, structure: Structure,
    sparsity,
) -> Masks:  # fmt: skip
    """Masks that keep, of what they kept, the units of the largest scores.

    Args:
        masks: What is left so far.
        scores: Float32 leaves in the structure of the masks; larger = keep.
        names: The prunable leaves.
        budget: What is ranked together.
        structure: What is pruned as one unit.
        sparsity: In [0, 1], of all units.

    Returns:
        Masks, all True outside of `names`.

    Example:
        >>> from jgc.prune import element, per_layer
        >>> cut({"w": jnp.ones(2, bool)}, {"w": jnp.array([1.0, 2.0])}, ("w",), per_layer, element,
        ...     0.5)
        {'w': Array([False,  True], dtype=bool)}
    """
    named_masks, named_scores = named_leaves(masks), named_leaves(scores)
    units = [_living_units(structure, n, named_scores[n], named_masks[n]) for n in names]
    kept = budget(units, sparsity, [named_masks[n].shape for n in names])
    return merged(
        masks,
        {
            name: named_masks[name] & structure.spread(name, k, named_masks[name].shape)
            for name, k in zip(names, kept, strict=True)
        },
    )


def _living_units(structure: Structure, name: str, scores: Array, mask: Array) -> Array:
    # A unit without a living weight (pruned before, or padding) ranks below every other.
    alive = structure.units(name, mask.astype(jnp.float32)) > 0
    units = structure.units(name, jnp.where(mask, scores, 0.0))
    return jnp.where(alive, units, -jnp.inf)
