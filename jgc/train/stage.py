"""`Stage`: epochs of phases that share one compiled step: masks, steps, scores."""

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
    descent_of,
    fresh_moments,
    init_state,
    nothing,
    watched,
)
from jgc.train.descent import DescentState, Optimiser, learned_leaves, with_leaves
from jgc.train.grades import frozen, hold
from jgc.train.kfac import precondition
from jgc.train.method import Method, Phase
from jgc.train.problem import Problem
from jgc.train.pruning import logged, observed, penalty, signals, through
from jgc.train.scoring import scored, scores_of
from jgc.train.state import Lane, Model, TrainState
from jgc.train.stopping import Stopping
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


class Stage(NamedTuple):
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
        """The state after an epoch, which may be the first of a phase."""
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
        candidate = self._candidate(state.model, lane)
        return scored(
            self.task, self.stopping, state, candidate, epoch, settled, scores, total / steps
        )

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
        quantizer = self._quantizer(lane)

        def forward(graph, layout):
            return self._forward(state.model, quantizer, graph, layout)[0]

        return scores_of(self.task, self.task.answer(forward, data), data)

    def _candidate(self, model: Model, lane: Lane) -> Model:
        """A model as it is kept: without weights that were only trained on behind the mask."""
        pruner = self._pruner(lane)
        if pruner is None or not pruner.straight_through:
            return model
        return model._replace(params=apply_masks(model.params, model.masks))

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
