"""Train-and-prune by a constraint: SLR and ADMM pull the weights to the nearest sparse ones."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jgc.prune.budget import per_layer
from jgc.prune.compose import cut
from jgc.prune.masks import apply_masks, full_masks, merged, sparsity_of
from jgc.prune.schedule import Schedule, Timing, needed
from jgc.prune.structure import Structure, structure_named
from jgc.prune.types import Masks, Params, PruneInfo, Pruner, PruneState
from jgc.tree import PathPredicate, chosen, is_kernel, named_leaves

_EXAMPLE = "one_shot(s, at=50)"
# Constants of the step size, those of the paper's code.
_M, _R = 200.0, 0.1


class Multipliers(NamedTuple):
    """What is remembered between two updates; trees are by name and hold prunable leaves only.

    Attributes:
        weights: At the update before.
        sparse: Z, the nearest sparse weights to the weights and multipliers of then.
        duals: Lambda for SLR; Lambda / rho for ADMM.
        size: Step size s of SLR, float32 `[]`.
        moves: How often SLR moved its multipliers, plus 1, float32 `[]`.
        loss: Mean training loss at the update before, float32 `[]`.
    """

    weights: dict[str, Array]
    sparse: dict[str, Array]
    duals: dict[str, Array]
    size: Array
    moves: Array
    loss: Array


def slr(
    sparsity,
    *,
    rho: float = 0.01,
    size: float = 0.01,
    structure: str = "element",
    schedule: Timing = None,
    every: int = 1,
    is_prunable: PathPredicate = is_kernel,
) -> Pruner:
    """Surrogate Lagrangian relaxation: trains towards sparse weights, then prunes each layer.

    Until the schedule prunes, `penalty` pulls the weights to the nearest sparse ones, shifted by
    multipliers that move at most twice an update, each time only where that lowered the surrogate
    of the Lagrangian. Exactly `round(density * n)` units of each leaf survive.

    Args:
        sparsity: Fraction of the units of each prunable leaf, in [0, 1].
        rho: Weight of the penalty, > 0.
        size: Step size of the multipliers at first, > 0.
        structure: What is pruned as one unit, a name of `STRUCTURES`.
        schedule: As in `global_magnitude`, but needed: `one_shot` at the update that prunes.
        every: Updates between two moves of the multipliers, >= 1.
        is_prunable: As in `pruner`.

    Returns:
        The `Pruner`, with `penalty`; its `update` needs `mean_loss=`, the mean training loss of
        the last epochs without the penalty.

    Raises:
        ValueError: for `rho`, `size` or `every` out of range, an unknown structure, no `schedule`.

    Example:
        >>> from jgc.prune import one_shot
        >>> prune = slr(0.5, schedule=lambda s: one_shot(s, at=2))
        >>> params = {"kernel": jnp.array([[1.0, -4.0, 3.0, 2.0]])}
        >>> state, _ = prune.update(prune.init(params), params, mean_loss=1.0)
        >>> round(float(prune.penalty(state, params)), 4)  # rho / 2 of 1 + 4, what is nearest to 0
        0.025

    References:
        Gurevin et al., IJCAI 2021, alg. 1 (arXiv 2012.10079); arXiv 2209.04766, whose code this
        follows. Differs: norms run over all layers together; no multiplier moves by a norm of 0.
    """
    _positive(rho=rho, size=size)
    return _pulled(
        sparsity, rho, size, structure, needed(sparsity, schedule, "slr", _EXAMPLE), every,
        is_prunable, _surrogate,
    )  # fmt: skip


def admm(
    sparsity,
    *,
    rho: float = 0.01,
    structure: str = "element",
    schedule: Timing = None,
    every: int = 1,
    is_prunable: PathPredicate = is_kernel,
) -> Pruner:
    """ADMM pruning: as `slr`, with multipliers that always move by the whole distance.

    Args:
        sparsity: As in `slr`.
        rho: Weight of the penalty, > 0.
        structure: As in `slr`.
        schedule: As in `slr`.
        every: As in `slr`.
        is_prunable: As in `pruner`.

    Returns:
        The `Pruner`, with `penalty`.

    Raises:
        ValueError: as `slr`.

    Example:
        >>> from jgc.prune import one_shot
        >>> prune = admm(0.5, schedule=lambda s: one_shot(s, at=1))
        >>> params = {"kernel": jnp.array([[1.0, -4.0, 3.0, 2.0]])}
        >>> state, _ = prune.update(prune.init(params), params)
        >>> state, _ = prune.update(state, params)
        >>> state.masks["kernel"].tolist()
        [[False, True, True, False]]

    References:
        Zhang et al., ECCV 2018, sec. 4. https://arxiv.org/abs/1804.03294
    """
    _positive(rho=rho)
    return _pulled(
        sparsity, rho, 1.0, structure, needed(sparsity, schedule, "admm", _EXAMPLE), every,
        is_prunable, _alternating,
    )  # fmt: skip


def _pulled(
    sparsity, rho: float, size: float, structure: str, schedule: Schedule, every: int,
    is_prunable: PathPredicate, move,
) -> Pruner:  # fmt: skip
    if every < 1:
        raise ValueError(f"`every` counts updates between moves; must be >= 1, got {every}.")
    units = structure_named(structure)
    prune_at = schedule.begin

    def init(params: Params) -> PruneState:
        weights = _floats(params, chosen(params, is_prunable, "is_prunable"))
        blank = jax.tree.map(jnp.zeros_like, weights)
        memory = Multipliers(
            weights, blank, blank, jnp.float32(size), jnp.float32(1), jnp.float32(jnp.nan)
        )
        # Copies, so that donating the state leaves the caller his parameters.
        return PruneState(jnp.int32(0), full_masks(params), jax.tree.map(jnp.copy, memory))

    def update(state: PruneState, params: Params, **signals: Any) -> tuple[PruneState, PruneInfo]:
        weights = _floats(params, chosen(params, is_prunable, "is_prunable"))

        def nearest(values: dict[str, Array]) -> dict[str, Array]:
            return apply_masks(values, _largest(full_masks(values), values, units, sparsity))

        def begun(memory: Multipliers) -> Multipliers:
            return memory._replace(
                weights=weights, sparse=nearest(weights), loss=_loss(signals, memory)
            )

        def moved(memory: Multipliers) -> Multipliers:
            return move(memory, weights, nearest, rho, _loss(signals, memory))

        due = (state.step < prune_at) & (state.step % every == 0)
        which = jnp.where(state.step == 0, 1, jnp.where(due, 2, 0))
        memory = jax.lax.switch(which, (lambda m: m, begun, moved), state.memory)

        def pruned() -> Masks:
            masks = {name: named_leaves(state.masks)[name] for name in weights}
            kept = _largest(masks, weights, units, sparsity)
            return merged(state.masks, kept)

        masks = jax.lax.cond(state.step == prune_at, pruned, lambda: state.masks)
        target = jnp.where(state.step >= prune_at, sparsity, 0.0).astype(jnp.float32)
        info = PruneInfo(target, sparsity_of(masks, is_prunable))
        return PruneState(state.step + 1, masks, memory), info

    def penalty(state: PruneState, params: Params) -> Array:
        memory = state.memory
        weights = _floats(params, tuple(memory.sparse))
        scale = 1.0 if move is _alternating else 1.0 / rho
        pull = _distance(weights, memory.sparse, memory.duals, scale, rho)
        return jnp.where((state.step > 0) & (state.step <= prune_at), pull, 0.0)

    return Pruner(init, update, penalty=penalty)


def _surrogate(memory: Multipliers, weights, nearest, rho: float, loss: Array) -> Multipliers:
    """One update of SLR: the weights moved, then the sparse weights do."""

    def lagrangian(loss, weights, sparse, duals):
        return loss + _distance(weights, sparse, duals, 1.0 / rho, rho)

    old = memory
    was = lagrangian(old.loss, old.weights, old.sparse, old.duals)
    now = lagrangian(loss, weights, old.sparse, old.duals)
    lower = (old.moves == 1) | (now < was)
    memory = _step(lower, memory, weights, old.sparse, old)
    scaled = {name: w + memory.duals[name] / rho for name, w in weights.items()}
    sparse = nearest(scaled)
    was = lagrangian(loss, weights, old.sparse, memory.duals)
    now = lagrangian(loss, weights, sparse, memory.duals)
    memory = _step(now < was, memory, weights, sparse, old)
    return memory._replace(weights=weights, sparse=sparse, loss=loss)


def _step(lower: Array, memory: Multipliers, weights, sparse, old: Multipliers) -> Multipliers:
    """Moves the multipliers along the violated constraint, where the surrogate is lower."""
    k = memory.moves
    alpha = 1.0 - 1.0 / (_M * k ** (1.0 - 1.0 / k**_R))
    before, after = _norm(old.weights, old.sparse), _norm(weights, sparse)
    lower = lower & (after > 0)
    shrunk = alpha * memory.size * before / jnp.where(after > 0, after, 1)
    size = jnp.where(lower, shrunk, memory.size)
    duals = {
        name: dual + jnp.where(lower, size, 0.0) * (weights[name] - sparse[name])
        for name, dual in memory.duals.items()
    }
    return memory._replace(duals=duals, size=size, moves=k + lower)


def _alternating(memory: Multipliers, weights, nearest, rho: float, loss: Array) -> Multipliers:
    del rho
    sparse = nearest({name: w + memory.duals[name] for name, w in weights.items()})
    duals = {name: memory.duals[name] + w - sparse[name] for name, w in weights.items()}
    return memory._replace(weights=weights, sparse=sparse, duals=duals, loss=loss)


def _distance(weights, sparse, duals, scale: float, rho: float) -> Array:
    apart = (weights[n] - sparse[n] + scale * duals[n] for n in weights)
    return rho / 2 * jnp.sum(jnp.stack([jnp.sum(jnp.square(x)) for x in apart]))


def _norm(a: dict[str, Array], b: dict[str, Array]) -> Array:
    return jnp.sqrt(sum(jnp.sum(jnp.square(a[name] - b[name])) for name in a))


def _largest(masks, values: dict[str, Array], units: Structure, sparsity) -> dict[str, Array]:
    """Masks of the units of each leaf that are longest, so that what is cut is shortest."""
    scores = jax.tree.map(jnp.square, values)
    return cut(masks, scores, tuple(values), per_layer, units, sparsity)


def _loss(signals: dict[str, Any], memory: Multipliers) -> Array:
    return jnp.asarray(signals.get("mean_loss", memory.loss), jnp.float32)


def _floats(params: Params, names: tuple[str, ...]) -> dict[str, Array]:
    leaves = named_leaves(params)
    return {name: leaves[name].astype(jnp.float32) for name in names}


def _positive(**settings: float) -> None:
    for name, value in settings.items():
        if not value > 0:
            raise ValueError(f"`{name}` must be > 0, got {value}.")
