"""What the training loop tells a pruner, asks of it and notes of it."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jgc.graph import GraphsTuple, SparseRows
from jgc.prune import Pruner, apply_masks, kept_counts
from jgc.train.problem import Problem
from jgc.train.state import PruneLog, TrainState


def signals(
    task: Problem, forward: Callable, state: TrainState, data, epoch: Array, key: Array
) -> dict[str, Any]:
    """What a pruner may ask for, see `jgc.prune.types.UpdateFn`; masks are no part of it.

    Args:
        task: Gives the batch, the first of the epoch.
        forward: `(model, graph, layout, key=None) -> (answers, model, own losses)`.
        state: Before the epoch.
        data: Of the task.
        epoch: Its number.
        key: Of the epoch's first step.
    """
    bare = state.model._replace(masks=None)

    def loss(params):
        graph, layout, target = task.batch(data, epoch, 0, key)
        out, _, own = forward(bare._replace(params=params), graph, layout, key)
        return task.loss(out, target) + own

    def flow(params):
        graph, layout, _ = task.batch(data, epoch, 0, key)
        return jnp.sum(forward(bare._replace(params=params), _of_ones(graph), layout)[0])

    late = state.loss[last_epochs(state, epoch)]
    return {"loss": loss, "flow": flow, "mean_loss": jnp.mean(late)}


def last_epochs(state: TrainState, epoch: Array) -> Array:
    """The last two epochs that ran before this one, int `[2]`: a phase may have ended early."""
    if state.stop is None:
        return jnp.stack([epoch - 1, jnp.maximum(epoch - 2, 0)])
    ran = jnp.where(state.stop.ran, jnp.arange(state.loss.shape[0]), 0)
    return jax.lax.top_k(ran, 2)[0]


def penalty(pruner: Pruner | None, state: TrainState, params, inside: Array):
    """What the pruner adds to the loss, in phases that prune."""
    add, prune = None if pruner is None else pruner.penalty, state.prune
    if add is None or prune is None:
        return 0.0
    return jax.lax.cond(inside, lambda p: add(prune, p), lambda p: jnp.float32(0), params)


def observed(pruner: Pruner | None, state: TrainState, grads, inside: Array) -> TrainState:
    """The state after the pruner saw a gradient, in phases that prune."""
    see, params = None if pruner is None else pruner.observe, state.model.params
    if see is None:
        return state
    seen = jax.lax.cond(inside, lambda s: see(s, params, grads), lambda s: s, state.prune)
    return state._replace(prune=seen)


def through(params, masks):
    """Masked parameters whose gradient reaches all of them."""
    masked = apply_masks(params, masks)
    return jax.tree.map(lambda p, m: p + jax.lax.stop_gradient(m - p), params, masked)


def logged(state: TrainState, epoch: Array, gradients) -> TrainState:
    """What is kept from this epoch on, until the next entry."""
    assert state.pruned is not None
    later = jnp.arange(state.pruned.gradients.shape[0]) >= epoch
    now = kept_counts(state.model.masks)
    kept = {name: jnp.where(later, now[name], old) for name, old in state.pruned.kept.items()}
    return state._replace(pruned=PruneLog(kept, state.pruned.gradients.at[epoch].set(gradients)))


def blank_log(masks, n_epoch: int) -> PruneLog | None:
    """Before the first epoch; `None` where nothing is ever pruned."""
    if masks is None:
        return None
    kept = {name: jnp.full(n_epoch, n, jnp.int32) for name, n in kept_counts(masks).items()}
    return PruneLog(kept, jnp.zeros(n_epoch, jnp.int32))


def _of_ones(graph: GraphsTuple) -> GraphsTuple:
    """The graph with features of 1; where they are stored sparsely, only those that are stored."""
    nodes = graph.nodes
    if isinstance(nodes, SparseRows):
        return graph._replace(nodes=nodes._replace(values=jnp.ones_like(nodes.values)))
    floats = jnp.issubdtype(nodes.dtype, jnp.floating)
    return graph._replace(nodes=jnp.ones_like(nodes)) if floats else graph
