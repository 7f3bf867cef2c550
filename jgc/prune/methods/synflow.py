"""`synflow`: prunes before training, without data, and never cuts a layer through."""

import jax
import jax.numpy as jnp

from jgc.prune.budget import global_
from jgc.prune.compose import cut
from jgc.prune.masks import apply_masks, full_masks, sparsity_of
from jgc.prune.schedule import Timing, geometric, timed
from jgc.prune.score import signal
from jgc.prune.structure import element
from jgc.prune.types import Masks, Params, PruneInfo, Pruner, PruneState
from jgc.tree import PathPredicate, chosen, is_kernel


def synflow(
    sparsity,
    *,
    rounds: int = 100,
    schedule: Timing = None,
    every: int = 1,
    is_prunable: PathPredicate = is_kernel,
) -> Pruner:
    """Prunes by synaptic flow, in `rounds` within one refresh.

    A weight's score is |w| times the slope, at |w|, of the sum of the model's answers to an input
    of ones: the strength of all paths through it. It is measured anew after every round. Exactly
    `round(density * n)` survive.

    Args:
        sparsity: As in `global_magnitude`.
        rounds: Prunings of the same fraction of what is left, >= 1.
        schedule: As in `global_magnitude`.
        every: As in `pruner`.
        is_prunable: As in `pruner`.

    Returns:
        The `Pruner`; its `update` needs `flow=`.

    Raises:
        ValueError: if `rounds` < 1 and as `global_magnitude`; from `update`, without `flow`.

    Example:
        >>> params = {"a": {"kernel": jnp.array([[1.0, -9.0]])},
        ...           "b": {"kernel": jnp.array([[8.0], [1.0]])}}
        >>> prune = synflow(0.5, rounds=2)
        >>> state, _ = prune.update(prune.init(params), params,
        ...     flow=lambda p: (jnp.ones((1, 1)) @ p["a"]["kernel"] @ p["b"]["kernel"]).sum())
        >>> state.masks["a"]["kernel"].tolist(), state.masks["b"]["kernel"][:, 0].tolist()
        ([[False, True]], [False, True])

    References:
        Tanaka et al., NeurIPS 2020, alg. 1. https://arxiv.org/abs/2006.05467
        Differs: `jgc.train` hands over the features' own pattern of ones where they are sparse.
    """
    if rounds < 1:
        raise ValueError(f"`rounds` counts prunings; must be >= 1, got {rounds}.")
    when = timed(sparsity, schedule)

    def init(params: Params) -> PruneState:
        chosen(params, is_prunable, "is_prunable")
        return PruneState(jnp.zeros((), jnp.int32), full_masks(params), ())

    def update(state: PruneState, params: Params, **signals) -> tuple[PruneState, PruneInfo]:
        amount = when(state.step)

        def refreshed() -> Masks:
            flow = signal(signals, "flow", "synflow")
            names = chosen(params, is_prunable, "is_prunable")
            steps = geometric(amount, rounds)

            def one(i, masks: Masks) -> Masks:
                weights = jax.tree.map(jnp.abs, apply_masks(params, masks))
                slopes = jax.grad(flow)(weights)
                scores = jax.tree.map(lambda w, s: (w * s).astype(jnp.float32), weights, slopes)
                return cut(masks, scores, names, global_, element, steps(i))

            return jax.lax.fori_loop(0, rounds, one, state.masks)

        due = when.due(state.step, every)
        masks = jax.lax.cond(due, refreshed, lambda: state.masks)
        info = PruneInfo(
            jnp.asarray(amount, jnp.float32),
            sparsity_of(masks, is_prunable),
            jnp.where(due, rounds, 0),
        )
        return PruneState(state.step + 1, masks, ()), info

    return Pruner(init, update)
