"""How a lane begins, and a phase: its keys, its first state, fresh moments, nothing chosen yet."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jgc.forward import exchanges, sites
from jgc.graph import GraphsTuple, Layout
from jgc.train.descent import Descent, Optimiser, learned_leaves
from jgc.train.kfac import blank
from jgc.train.method import Method, is_straight_through
from jgc.train.metrics import larger_is_better
from jgc.train.problem import Problem
from jgc.train.pruning import blank_log
from jgc.train.state import Best, Lane, Model, Scalar, Start, TrainState
from jgc.train.stopping import Stopping


class Keys(NamedTuple):
    """What each kind of chance of a lane starts from.

    Attributes:
        init: First weights.
        train: Dropout and sampling.
        prune: The pruner's, as raw words.
    """

    init: Array
    train: Array
    prune: Array


def keys_of(lane: Lane) -> Keys:
    """The keys of a lane's seed."""
    init, train, prune = jax.random.split(jax.random.key(lane.seed), 3)
    # A pruner may carry its key; as raw words it is saved, compared and blanked like any array.
    return Keys(init, train, jax.random.key_data(prune))


def init_state(
    architecture, task: Problem, method: Method, optimiser, lane: Lane, data, keys: Keys
) -> TrainState:
    """The state before the first epoch, early stopping apart (`watched`)."""
    graph, layout, _ = task.batch(data, 0, 0, keys.train)
    variables = dict(architecture.init(keys.init, graph, layout))
    params = variables.pop("params")
    variables.pop("losses", None)  # Sown anew in every step, no part of the model.
    prune = quant = None
    if method.pruner is not None:
        prune = method.pruner(lane.sparsity, keys.prune).init(params)
    if method.quantizer is not None:
        places = sites(architecture, {"params": params, **variables}, graph, layout)
        quant = method.quantizer(lane.bits).init(params, places)
    model = Model(params, variables, None if prune is None else prune.masks, quant)
    curvature = None
    if optimiser.kfac is not None:
        curvature = blank(architecture, {"params": params, **variables}, graph, layout)
    history = jnp.full(method.epochs, jnp.nan)
    return TrainState(
        model=model,
        opt_state=fresh_moments(optimiser, method, params, quant)._replace(curvature=curvature),
        prune=prune,
        best=Best(model, test=jnp.float32(jnp.nan), epoch=jnp.int32(-1), **nothing(task)),
        loss=history,
        val=history,
        test=history,
        pruned=blank_log(model.masks, method.epochs),
        owed=nothing_owed(architecture, {"params": params, **variables}, graph, layout),
    )


def nothing_owed(architecture, variables, graph: GraphsTuple, layout: Layout | None):
    """What int8 exchanges owe before the first; `None` where nothing is exchanged so."""
    if layout is None or layout.part is None or layout.part.wire == "float32":
        return None
    shapes = exchanges(architecture, variables, graph, layout)
    return tuple((jnp.zeros(shape), jnp.zeros(shape)) for shape in shapes)


def fresh_moments(optimiser: Optimiser, method: Method, params, quant):
    """Moments of a new phase; which leaves of `quant` are learned does not depend on the lane."""
    quantizer = None if method.quantizer is None else method.quantizer(jnp.int32(8))
    return descent_of(optimiser, method).init(params, learned_leaves(quantizer, quant))


def descent_of(
    optimiser: Optimiser, method: Method, rate: Scalar = 1.0, l2: Scalar = 0.0
) -> Descent:
    """How a phase descends, in a lane with its own penalty."""
    decay = l2 if method.l2 else optimiser.weight_decay
    holds = method.pruner is not None and not is_straight_through(method.pruner)
    return Descent(optimiser._replace(weight_decay=decay), holds, rate)


def begun_from(state: TrainState, dense: Start | None) -> TrainState:
    """The first state, as if the dense epochs had just been run."""
    if dense is None:
        return state
    model = dense.best.model._replace(masks=state.model.masks, quant=state.model.quant)
    history = {
        name: getattr(state, name).at[: dense.epochs].set(getattr(dense, name))
        for name in ("loss", "val", "test")
    }
    state = state._replace(model=model, best=dense.best._replace(model=model), **history)
    if state.stop is None:
        return state
    ran = state.stop.ran.at[: dense.epochs].set(~jnp.isnan(dense.val))
    return state._replace(stop=state.stop._replace(ran=ran))


def watched(state: TrainState, stopping: Stopping) -> TrainState:
    """The state with what early stopping begins a phase with; the past stays."""
    epochs, freeze, stop = state.loss.shape[0], None, stopping.init(state.loss.shape[0])
    if stopping.grades is not None:
        freeze = stopping.grades.init(state.model.params, epochs)
        if state.freeze is not None:
            freeze = freeze._replace(change=state.freeze.change)
    if stop is not None and state.stop is not None:
        stop = stop._replace(ran=state.stop.ran)
    return state._replace(freeze=freeze, stop=stop)


def nothing(task: Problem) -> dict[str, Array]:
    """Scores that any epoch beats."""
    worst = _worst(task.metric)
    return {"val": worst, "oracle": worst, "choice": _worst(task.choose or task.metric)}


def _worst(metric: str) -> Array:
    return jnp.float32(-jnp.inf if larger_is_better(metric) else jnp.inf)
