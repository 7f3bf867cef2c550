"""What the scores of an epoch change: the best model so far, the history, early stopping."""

import jax
import jax.numpy as jnp
from jax import Array

from jgc.train.metrics import larger_is_better
from jgc.train.problem import Problem
from jgc.train.state import Best, Model, TrainState
from jgc.train.stopping import Stopping


def scores_of(task: Problem, answers: Array, data) -> tuple[Array, Array, Array]:
    """Of validation, of test, and the one of validation that chooses."""
    val, test = task.score(answers, data)
    choose = task.choose
    return val, test, val if choose is None else task.score(answers, data, choose).val


def scored(
    task: Problem,
    stopping: Stopping,
    state: TrainState,
    candidate: Model,
    epoch: Array,
    settled: Array,
    scores: tuple[Array, Array, Array],
    loss: Array,
) -> TrainState:
    """The state after an epoch.

    Args:
        task: Says what is better.
        stopping: What may end the phase.
        state: After the epoch's steps.
        candidate: The model that was scored, as it is kept if it is the best.
        epoch: Its number, int `[]`.
        settled: It has the final sparsity, so that it may be chosen, bool `[]`.
        scores: From `scores_of`.
        loss: Mean training loss, `[]`.
    """
    val, test, choice = scores
    best = state.best
    larger = larger_is_better(task.choose or task.metric)
    better = settled & (choice > best.choice if larger else choice < best.choice)
    larger = larger_is_better(task.metric)
    oracle = (jnp.fmax if larger else jnp.fmin)(test, best.oracle)
    now = Best(candidate, val, test, jnp.int32(epoch), oracle, choice)
    # One choice for all leaves: a `where` for each would be a kernel for each to compile.
    best = jax.lax.cond(better, lambda: now, lambda: best)
    stop = state.stop
    if stop is not None:
        stop = stopping.update(stop, state.freeze, epoch, better, settled)
    return state._replace(
        stop=stop,
        best=best._replace(oracle=jnp.where(settled, oracle, best.oracle)),
        loss=state.loss.at[epoch].set(loss),
        val=state.val.at[epoch].set(val),
        test=state.test.at[epoch].set(test),
    )
