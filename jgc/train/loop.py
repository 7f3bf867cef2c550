"""The training loop as one compiled program: epochs inside, lanes mapped over it."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from jgc.train.begin import Keys, begun_from, init_state, keys_of, watched
from jgc.train.descent import Optimiser
from jgc.train.method import Method, Phase, check_method
from jgc.train.problem import Problem
from jgc.train.stage import Rebuilt, Stage
from jgc.train.state import Lane, TrainState
from jgc.train.stopping import Stopping, check_stopping


def lane_program(
    model: nn.Module,
    task: Problem,
    method: Method,
    optimiser: Optimiser,
    stopping: Stopping = Stopping(),  # noqa: B008 - immutable
    rebuilt: Rebuilt = Rebuilt(),  # noqa: B008 - immutable
):
    """Builds the pure function that runs one lane from one epoch to another.

    Args:
        model: Fitted to the task (`jgc.models.for_task`).
        task: From `jgc.train.problem`.
        method: What to do.
        optimiser: How to descend.
        stopping: What may end a phase early. An epoch of a lane that has ended is skipped.
        rebuilt: What a program may leave out, once it is known. Such a one only goes on with a
            training, it begins none.

    Returns:
        `(init, run)`: `init(lane, data) -> TrainState` and
        `run(state, (lane, dense), data, start, stop) -> TrainState`, which runs epochs
        `start..stop-1`. It begins by `init` at epoch 0; or, where `dense` is a `Start` and not
        `None`, at the epoch after it. `start` and `stop` are traced, so that one program serves
        chunks of any length, and stopping between two chunks changes no bit.

    Example:
        >>> import jgc.data
        >>> from jgc.models import GCN, for_task
        >>> from jgc.train import lane, problem
        >>> data = jgc.data.load("sbm")
        >>> model, task = for_task(GCN(hidden=8), "node", data.n_class), problem(data)
        >>> init, run = lane_program(model, task, Method("dense", (Phase(3),)), Optimiser())
        >>> jax.eval_shape(init, lane(0), task.data).loss.shape
        (3,)
    """
    check_method(method)
    check_stopping(stopping)
    _check_curved(task, optimiser)
    begins = [sum(p.epochs for p in method.phases[:i]) for i in range(len(method.phases) + 1)]

    def first(lane: Lane, data, keys: Keys) -> TrainState:
        return watched(init_state(model, task, method, optimiser, lane, data, keys), stopping)

    def init(lane: Lane, data) -> TrainState:
        return first(lane, task.select(data, lane.split), keys_of(lane))

    def run(state: TrainState, begun, data, start: Array, stop: Array) -> TrainState:
        lane, dense = begun
        data, keys = task.select(data, lane.split), keys_of(lane)
        if rebuilt == Rebuilt():
            at_first = start == (0 if dense is None else dense.epochs)
            state = jax.lax.cond(
                at_first, lambda: begun_from(first(lane, data, keys), dense), lambda: state
            )
        # Phases that run the same step share one loop: compile time counts.
        i = 0
        while i < len(method.phases):
            j = i + 1
            while j < len(method.phases) and _same_step(method.phases[i], method.phases[j]):
                j += 1
            spans = begins[i:j], method.phases[i:j]
            stage = Stage(model, task, method, optimiser, keys, *spans, stopping, rebuilt)
            state = jax.lax.fori_loop(
                jnp.maximum(start, begins[i]),
                jnp.minimum(stop, begins[j]),
                lambda epoch, state, stage=stage: stage.epoch(state, lane, data, epoch),
                state,
            )
            i = j
        return state

    return init, run


def _check_curved(task: Problem, optimiser: Optimiser) -> None:
    kfac = optimiser.kfac
    if kfac is None:
        return
    if task.counted is None:
        raise ValueError("`kfac` is for node tasks: the loss of this one does not count nodes.")
    if kfac.damping <= 0 or kfac.every < 1:
        raise ValueError(f"`kfac` needs `damping` > 0 and `every` >= 1, got {kfac}.")


def _same_step(a: Phase, b: Phase) -> bool:
    return a.quantize == b.quantize
