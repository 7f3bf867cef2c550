"""`regrowing`: sparse training, which drops weights and grows as many elsewhere."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jgc.prune.budget import Budget
from jgc.prune.compose import cut
from jgc.prune.masks import full_masks, merged, sparsity_of
from jgc.prune.schedule import Schedule
from jgc.prune.score import Score, magnitude, random
from jgc.prune.structure import Structure
from jgc.prune.types import Masks, Params, PruneInfo, Pruner, PruneState
from jgc.topk import keep_top
from jgc.tree import PathPredicate, chosen, is_kernel, named_leaves


def cosine(drop: float, progress: Array) -> Array:
    """From `drop` to 0 along half a cosine.

    Example:
        >>> float(cosine(0.3, jnp.float32(1.0)))
        0.0

    References:
        Evci et al., ICML 2020, sec. 3, eq. for f_decay. https://arxiv.org/abs/1911.11134
    """
    return drop / 2 * (1 + jnp.cos(jnp.pi * progress))


def regrowing(
    *,
    grow: Score,
    key: Array,
    budget: Budget,
    structure: Structure,
    schedule: Schedule,
    every: int,
    drop: float = 0.3,
    is_prunable: PathPredicate = is_kernel,
) -> Pruner:
    """Composes a pruner that starts from random masks and moves them.

    At the first step of the schedule masks are drawn at random. At every refresh after it each set
    of units (a layer, for `element`) loses its units of the smallest magnitude and grows as many of
    the best by `grow` among all that are then missing, so that its count never changes. One that is
    lost and grown at once stays as it was; others are to start from 0.

    Args:
        grow: What a missing weight is worth. It is asked only at a regrowth, so a gradient of all
            weights is formed only there.
        key: A jax key, of the first masks.
        budget: Of the first masks: `per_layer` or `erdos_renyi`.
        structure: What is dropped and grown as one unit.
        schedule: Its sparsity must not change; its window is where masks move.
        every: Steps between two regrowths, >= 1.
        drop: Fraction of the kept units that the first regrowth drops, in (0, 1]; it falls to 0 at
            the window's end by `cosine`. It is rounded up to whole units.
        is_prunable: As in `pruner`.

    Returns:
        The `Pruner`.

    Raises:
        ValueError: if `every` < 1 or `drop` is outside (0, 1].

    Example:
        >>> from jgc.prune import element, per_layer, window
        >>> prune = regrowing(grow=random(jax.random.key(1)), key=jax.random.key(0), drop=0.5,
        ...     budget=per_layer, structure=element, schedule=window(0.5, 0, 4), every=2)
        >>> params = {"kernel": jnp.ones((4, 4))}
        >>> state, _ = prune.update(prune.init(params), params)
        >>> state, info = prune.update(state._replace(step=jnp.int32(2)), params)
        >>> int(state.masks["kernel"].sum()), float(info.achieved)
        (8, 0.5)
    """
    if every < 1:
        raise ValueError(f"`every` counts steps between regrowths; must be >= 1, got {every}.")
    if not 0 < drop <= 1:
        raise ValueError(f"`drop` is a fraction in (0, 1] of the kept weights, got {drop}.")
    first = random(key)

    def init(params: Params) -> PruneState:
        chosen(params, is_prunable, "is_prunable")
        memory = first.init(params), grow.init(params)
        return PruneState(jnp.zeros((), jnp.int32), full_masks(params), memory)

    def update(state: PruneState, params: Params, **signals: Any) -> tuple[PruneState, PruneInfo]:
        names = chosen(params, is_prunable, "is_prunable")
        begin, end = schedule.begin, schedule.end
        sparsity = schedule(state.step)

        def drawn() -> Masks:
            scores = first.scores(params, state.memory[0])
            return cut(state.masks, scores, names, budget, structure, sparsity)

        def moved() -> Masks:
            kept = magnitude.scores(params, ())
            missing = grow.scores(params, state.memory[1], step=state.step, **signals)
            now = cosine(drop, (state.step - begin) / max(end - begin, 1))
            return _moved(state.masks, kept, missing, names, structure, now)

        due = schedule.due(state.step, every) & (state.step < end)
        which = jnp.where(state.step == begin, 1, jnp.where(due, 2, 0))
        masks = jax.lax.switch(which, (lambda: state.masks, drawn, moved))
        info = PruneInfo(
            jnp.asarray(sparsity, jnp.float32),
            sparsity_of(masks, is_prunable),
            jnp.where(which == 2, grow.gradients, 0),
        )
        return PruneState(state.step + 1, masks, state.memory), info

    def observe(state: PruneState, params: Params, grads: Params) -> PruneState:
        assert grow.observe is not None
        first, memory = state.memory
        return state._replace(memory=(first, grow.observe(memory, params, grads)))

    return Pruner(init, update, observe=observe if grow.observe else None, regrows=True)


def _moved(masks, kept, missing, names, structure: Structure, drop: Array) -> Masks:
    kept, missing, old = named_leaves(kept), named_leaves(missing), named_leaves(masks)
    new = {}
    for name in names:
        alive = structure.units(name, old[name].astype(jnp.float32)) > 0
        real = structure.units(name, jnp.ones(old[name].shape)) > 0
        count = alive.sum(-1, keepdims=True)
        lost = jnp.ceil(drop * count - 1e-4).astype(count.dtype)
        worth = jnp.where(alive, structure.units(name, kept[name]), -jnp.inf)
        rest = keep_top(worth, count - lost)
        grown = jnp.where(real & ~rest, structure.units(name, missing[name]), -jnp.inf)
        new[name] = structure.spread(name, rest | keep_top(grown, lost), old[name].shape)
    return merged(masks, new)
