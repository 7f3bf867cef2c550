"""The training loop as one compiled program: epochs inside, lanes mapped over it."""

import functools
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from jgc.forward import apply
from jgc.graph.exchange import owing
from jgc.prune import Pruner, apply_masks
from jgc.train import stored
from jgc.train.begin import (
    Keys,
    begun_from,
    descent_of,
    fresh_moments,
    init_state,
    keys_of,
    nothing,
    watched,
)
from jgc.train.descent import DescentState, Optimiser, learned_leaves, with_leaves
from jgc.train.grades import frozen, hold
from jgc.train.kfac import precondition
from jgc.train.method import Method, Phase, check_method
from jgc.train.metrics import larger_is_better
from jgc.train.problem import Problem
from jgc.train.pruning import logged, observed, penalty, signals, through
from jgc.train.state import Best, Lane, Model, TrainState
from jgc.train.stopping import Stopping, check_stopping
from jgc.train.stored import Rooms
from jgc.tree import map_named, named_leaves


class Rebuilt(NamedTuple):
    """What a program does without, as the epochs before it have shown.

    Attributes:
        closed: Matrices that are frozen in every lane: their gradients are not computed.
        stored: Kernels that are trained as their kept entries alone, and room for how many.
    """

    closed: tuple[str, ...] = ()
    stored: Rooms = ()


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

    def init(lane: Lane, data) -> TrainState:
        selected = task.select(data, lane.split)
        state = init_state(model, task, method, optimiser, lane, selected, keys_of(lane))
        return watched(state, stopping)

    def run(state: TrainState, begun, data, start: Array, stop: Array) -> TrainState:
        lane, dense = begun
        if rebuilt == Rebuilt():
            at_first = start == (0 if dense is None else dense.epochs)
            state = jax.lax.cond(
                at_first, lambda: begun_from(init(lane, data), dense), lambda: state
            )
        data, keys = task.select(data, lane.split), keys_of(lane)
        # Phases that run the same step share one loop: compile time counts.
        i = 0
        while i < len(method.phases):
            j = i + 1
            while j < len(method.phases) and _same_step(method.phases[i], method.phases[j]):
                j += 1
            spans = begins[i:j], method.phases[i:j]
            stage = _Stage(model, task, method, optimiser, keys, *spans, stopping, rebuilt)
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


class _Stage(NamedTuple):
    """Consecutive phases that share one compiled step."""

    architecture: nn.Module
    task: Problem
    method: Method
    optimiser: Optimiser
    keys: Keys
    begins: list[int]
    phases: tuple[Phase, ...]
    stopping: Stopping = Stopping()
    rebuilt: Rebuilt = Rebuilt()

    def epoch(self, state: TrainState, lane: Lane, data, epoch: Array) -> TrainState:
        for begin, phase in zip(self.begins, self.phases, strict=True):
            if begin:
                enter = functools.partial(self._enter, phase, lane, data, begin)
                state = jax.lax.cond(epoch == begin, enter, lambda s: s, state)
        run = functools.partial(self._run, lane=lane, data=data, epoch=epoch)
        if state.stop is None:
            return run(state)
        return jax.lax.cond(state.stop.ended, lambda s: s, run, state)

    def _run(self, state: TrainState, lane: Lane, data, epoch: Array) -> TrainState:
        state, settled = self._prune(state, lane, data, epoch)
        steps, rate = self.task.steps, self._rate(epoch)

        def step(i, carry):
            state, total = carry
            state, loss = self._step(state, lane, data, epoch, i, rate)
            return state, total + loss

        where = stored.patterns(state.model.masks, self.rebuilt.stored)
        descent = descent_of(self.optimiser, self.method)
        start = stored.shortened(state, where, descent), jnp.float32(0)
        with stored.kernels_stored(where):
            # A loop of one turn would only be compiled and entered for nothing.
            many = functools.partial(jax.lax.fori_loop, 0, steps, step)
            short, total = step(0, start) if steps == 1 else many(start)
            scores = self._scores(short, lane, data)
        state = stored.lengthened(short, where, descent, like=state.model)
        return self._scored(state, lane, epoch, settled, scores, total / steps)

    def _rate(self, epoch) -> Array:
        """The factor on the learning rate in this epoch, `[]`."""
        phase = self._phase(epoch)
        rate = jnp.array([p.rate for p in self.phases], jnp.float32)[phase]
        if self.optimiser.decay == 1:
            return rate
        epochs = jnp.array([p.epochs for p in self.phases])[phase]
        return rate * self.optimiser.remaining(self._age(epoch), epochs)

    def _phase(self, epoch):
        """Which of the phases this epoch is of, `[]`."""
        return sum(epoch >= begin for begin in self.begins) - 1

    def _age(self, epoch) -> Array:
        """Epochs since the phase began, `[]`."""
        begins = jnp.array(self.begins)
        return epoch - jnp.max(jnp.where(begins <= epoch, begins, 0))

    def _enter(self, phase: Phase, lane: Lane, data, begin: int, state: TrainState) -> TrainState:
        """A new phase: from the best so far, with a fresh optimiser and a fresh choice."""
        model = state.best.model
        if phase.fresh or phase.rewind:
            # What was pruned last may be less than all, and is no candidate for the best then.
            model = state.model
            keys = self.keys
            if phase.fresh:
                keys = keys._replace(init=jax.random.fold_in(keys.init, begin))
            drawn = init_state(
                self.architecture, self.task, self.method, self.optimiser, lane, data, keys
            ).model
            params = drawn.params if model.masks is None else apply_masks(drawn.params, model.masks)
            model = model._replace(params=params, stats=drawn.stats)
        opt_state = fresh_moments(self.optimiser, self.method, model.params, model.quant)
        opt_state = opt_state._replace(curvature=state.opt_state.curvature)
        best = state.best._replace(**nothing(self.task))
        state = state._replace(model=model, opt_state=opt_state, best=best)
        return watched(state, self.stopping)

    def _prune(self, state: TrainState, lane: Lane, data, epoch: Array) -> tuple[TrainState, Array]:
        """Updates the masks in pruning phases; says too whether the sparsity is the final one."""
        pruner = self._pruner(lane)
        if pruner is None:
            return state, jnp.bool_(True)

        def update(state: TrainState):
            assert state.prune is not None  # `init_state` made it, as there is a pruner
            model, opt_state = state.model, state.opt_state
            key = jax.random.fold_in(self.keys.train, epoch * self.task.steps)
            told = signals(self.task, self._plain, state, data, epoch, key)
            prune, info = pruner.update(state.prune, model.params, **told)
            params = model.params
            if not pruner.straight_through:
                params = apply_masks(params, prune.masks)
                if pruner.regrows:
                    grown = jax.tree.map(lambda new, old: new & ~old, prune.masks, model.masks)
                    opt_state = descent_of(self.optimiser, self.method).forget(opt_state, grown)
            model = model._replace(params=params, masks=prune.masks)
            settled = info.target >= lane.sparsity - 1e-6
            state = state._replace(prune=prune, model=model, opt_state=opt_state)
            return logged(state, epoch, info.gradients), settled

        return jax.lax.cond(self._pruning(epoch), update, lambda s: (s, jnp.bool_(True)), state)

    def _pruner(self, lane: Lane) -> Pruner | None:
        """Of the phases here; `None` where none of them prunes."""
        build = self.method.pruner
        if build is None or not any(phase.prune for phase in self.phases):
            return None
        return build(lane.sparsity, self.keys.prune)

    def _pruning(self, epoch) -> Array:
        """Whether the epoch is one of a phase that prunes, `[]`."""
        spans = [
            (begin, begin + phase.epochs)
            for begin, phase in zip(self.begins, self.phases, strict=True)
            if phase.prune
        ]
        return jnp.array([(epoch >= a) & (epoch < b) for a, b in spans], bool).any()

    def _step(self, state: TrainState, lane: Lane, data, epoch, i, rate: Array):
        """One optimisation step; an empty batch, padding of a shorter epoch, changes nothing."""
        key = jax.random.fold_in(self.keys.train, epoch * self.task.steps + i)
        graph, layout, target = self.task.batch(data, epoch, i, key)
        quantizer, pruner = self._quantizer(lane), self._pruner(lane)
        inside = self._pruning(epoch)

        def loss_of(params, learned, owed):
            params = self._without_closed(params)
            quant = with_leaves(state.model.quant, learned)
            model = state.model._replace(params=params, quant=quant)
            if pruner is not None and pruner.straight_through:
                model = model._replace(params=through(params, model.masks), masks=None)
            out, model, own = self._forward(model, quantizer, graph, owing(layout, owed), key)
            cost = 0.0 if quantizer is None else quantizer.cost(model.quant)
            loss = self.task.loss(out, target) + own + cost
            return loss + penalty(pruner, state, params, inside), (loss, model)

        def descend(state):
            params, masks = state.model.params, state.model.masks
            free = params, learned_leaves(quantizer, state.model.quant), state.owed
            step = jax.value_and_grad(loss_of, (0, 1, 2), has_aux=True)
            # The "gradient" by what is owed is what is owed next: see `swap_bytes`.
            (_, (loss, model)), (grads, slopes, owed) = step(*free)
            state = observed(pruner, state, grads, inside)
            descent = descent_of(self.optimiser, self.method, rate, lane.l2)
            opt_state = self._curved(state.opt_state, loss_of, free, layout, target, epoch)
            freeze, held = self._frozen(state, grads, epoch)
            grads = held(jax.tree.map(jnp.zeros_like, grads), grads)
            if opt_state.curvature is not None:
                grads = precondition(opt_state.curvature, grads)
            before = params, opt_state.params
            params, opt_state = descent.params(grads, opt_state, params, masks)
            params, moments = held(before, (params, opt_state.params))
            opt_state = opt_state._replace(params=moments)
            quant, opt_state = descent.quant(slopes, opt_state, model.quant, quantizer)
            model = model._replace(params=params, quant=quant, masks=masks)
            state = state._replace(model=model, opt_state=opt_state, freeze=freeze, owed=owed)
            return state, loss

        if self.task.steps == 1 and all(phase.rate for phase in self.phases):
            return descend(state)
        due = (rate > 0) & layout.graph_mask.any()
        return jax.lax.cond(due, descend, lambda s: (s, jnp.float32(0)), state)

    def _without_closed(self, params):
        """Parameters whose closed ones are constants to the gradient."""
        closed = self.rebuilt.closed
        if not closed:
            return params
        stop = jax.lax.stop_gradient
        return map_named(lambda name, leaf: stop(leaf) if name in closed else leaf, params)

    def _frozen(self, state: TrainState, grads, epoch):
        """The monitor's next state, and `held(old, new)`, which holds what is frozen."""
        grades, freeze, params = self.stopping.grades, state.freeze, state.model.params
        if grades is None or freeze is None:
            return None, lambda old, new: new
        free = {n: g for n, g in named_leaves(grads).items() if n not in self.rebuilt.closed}
        steps = [int(grades.grace * phase.epochs * self.task.steps) for phase in self.phases]
        freeze = grades.update(freeze, free, epoch, jnp.array(steps)[self._phase(epoch)])
        return freeze, functools.partial(hold, frozen(freeze, self.rebuilt.closed), params)

    def _curved(self, opt_state: DescentState, loss_of, free, layout, target, epoch):
        """The optimiser's state with the curvature measured anew where that is due."""
        kfac, old = self.optimiser.kfac, opt_state.curvature
        if kfac is None or old is None or self.task.counted is None:
            return opt_state
        measure = functools.partial(
            kfac.measure, old, lambda: loss_of(*free)[0], layout, self.task.counted(target)
        )
        due = self._age(epoch) % kfac.every == 0
        return opt_state._replace(curvature=jax.lax.cond(due, measure, lambda: old))

    def _scores(self, state: TrainState, lane: Lane, data) -> tuple[Array, Array, Array]:
        """Of validation, of test, and the one that chooses."""
        quantizer = self._quantizer(lane)

        def forward(graph, layout):
            return self._forward(state.model, quantizer, graph, layout)[0]

        answers = self.task.answer(forward, data)
        val, test = self.task.score(answers, data)
        choose, choice = self.task.choose, val
        if choose is not None:
            choice = self.task.score(answers, data, choose).val
        return val, test, choice

    def _scored(self, state: TrainState, lane: Lane, epoch, settled, scores, loss) -> TrainState:
        """The state after an epoch: the best so far, and the history."""
        val, test, choice = scores
        best = state.best
        larger = larger_is_better(self.task.choose or self.task.metric)
        better = settled & (choice > best.choice if larger else choice < best.choice)
        larger = larger_is_better(self.task.metric)
        oracle = (jnp.fmax if larger else jnp.fmin)(test, best.oracle)
        model, pruner = state.model, self._pruner(lane)
        if pruner is not None and pruner.straight_through:
            model = model._replace(params=apply_masks(model.params, model.masks))
        now = Best(model, val, test, jnp.int32(epoch), oracle, choice)
        best = jax.tree.map(lambda new, old: jnp.where(better, new, old), now, best)
        stop = state.stop
        if stop is not None:
            stop = self.stopping.update(stop, state.freeze, epoch, better, settled)
        return state._replace(
            stop=stop,
            best=best._replace(oracle=jnp.where(settled, oracle, best.oracle)),
            loss=state.loss.at[epoch].set(loss),
            val=state.val.at[epoch].set(val),
            test=state.test.at[epoch].set(test),
        )

    def _forward(self, model: Model, quantizer, graph, layout, key=None):
        """Answers, the model with its statistics brought up to date, and losses of its own.

        Trains with a `key`. A model's own losses are what its layers sow into "losses".
        """
        train = key is not None
        out, quant, *updates = apply(
            self.architecture,
            {"params": model.params, **model.stats},
            graph,
            model.masks,
            None if quantizer is None else model.quant,
            quantizer=quantizer,
            layout=layout,
            train=train,
            rngs={"dropout": key} if train else None,
            mutable=(*model.stats, "losses") if train else (),
        )
        stats = dict(updates[0]) if train else model.stats
        own = sum(jax.tree.leaves(stats.pop("losses", ()))) if train else 0.0
        quant = model.quant if quantizer is None else quant
        return out, model._replace(quant=quant, stats=stats), own

    def _plain(self, model: Model, graph, layout, key=None):
        return self._forward(model, None, graph, layout, key)

    def _quantizer(self, lane: Lane):
        build = self.method.quantizer
        return build(lane.bits) if build is not None and self.phases[0].quantize else None
