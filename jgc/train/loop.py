"""The training loop as one compiled program: epochs inside, lanes mapped over it."""

import functools
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from jgc.forward import apply, sites
from jgc.graph import GraphsTuple, SparseRows
from jgc.prune import Pruner, apply_masks
from jgc.train.descent import Descent, DescentState, Optimiser, learned_leaves, with_leaves
from jgc.train.kfac import blank, precondition
from jgc.train.method import Method, Phase, check_method
from jgc.train.metrics import larger_is_better
from jgc.train.problem import Problem
from jgc.train.state import Best, Lane, Model, Scalar, Start, TrainState


def lane_program(model: nn.Module, task: Problem, method: Method, optimiser: Optimiser):
    """Builds the pure function that runs one lane from one epoch to another.

    Args:
        model: Fitted to the task (`jgc.models.for_task`).
        task: From `jgc.train.problem`.
        method: What to do.
        optimiser: How to descend.

    Returns:
        `(init, run)`: `init(lane, data) -> TrainState` and
        `run(state, (lane, dense), data, start, stop) -> TrainState`, which runs epochs
        `start..stop-1`. It begins by `init` at epoch 0; or, where `dense` is a `Start` and not
        `None`, at the epoch after it. `start` and `stop` are traced, so that one program serves
        chunks of any length, and stopping between two chunks changes no bit.
    """
    check_method(method)
    _check_curved(task, optimiser)
    begins = [sum(p.epochs for p in method.phases[:i]) for i in range(len(method.phases) + 1)]

    def init(lane: Lane, data) -> TrainState:
        selected = task.select(data, lane.split)
        return _init(model, task, method, optimiser, lane, selected, _keys(lane))

    def run(state: TrainState, begun, data, start: Array, stop: Array) -> TrainState:
        lane, dense = begun
        at_first = start == (0 if dense is None else dense.epochs)
        state = jax.lax.cond(at_first, lambda: _begun(init(lane, data), dense), lambda: state)
        data, keys = task.select(data, lane.split), _keys(lane)
        # Phases that run the same step share one loop: compile time counts.
        i = 0
        while i < len(method.phases):
            j = i + 1
            while j < len(method.phases) and _same_step(method.phases[i], method.phases[j]):
                j += 1
            stage = _Stage(model, task, method, optimiser, keys, begins[i:j], method.phases[i:j])
            state = jax.lax.fori_loop(
                jnp.maximum(start, begins[i]),
                jnp.minimum(stop, begins[j]),
                lambda epoch, state, stage=stage: stage.epoch(state, lane, data, epoch),
                state,
            )
            i = j
        return state

    return init, run


def _begun(state: TrainState, dense: Start | None) -> TrainState:
    """The first state, as if the dense epochs had just been run."""
    if dense is None:
        return state
    model = dense.best.model._replace(masks=state.model.masks, quant=state.model.quant)
    history = {
        name: getattr(state, name).at[: dense.epochs].set(getattr(dense, name))
        for name in ("loss", "val", "test")
    }
    return state._replace(model=model, best=dense.best._replace(model=model), **history)


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
    keys: "_Keys"
    begins: list[int]
    phases: tuple[Phase, ...]

    def epoch(self, state: TrainState, lane: Lane, data, epoch: Array) -> TrainState:
        for begin, phase in zip(self.begins, self.phases, strict=True):
            if begin:
                enter = functools.partial(self._enter, phase, lane, data, begin)
                state = jax.lax.cond(epoch == begin, enter, lambda s: s, state)
        state, settled = self._prune(state, lane, data, epoch)
        steps, rate = self.task.steps, self._rate(epoch)

        def step(i, carry):
            state, total = carry
            state, loss = self._step(state, lane, data, epoch, i, rate)
            return state, total + loss

        # A loop of one turn would only be compiled and entered for nothing.
        start = state, jnp.float32(0)
        state, total = step(0, start) if steps == 1 else jax.lax.fori_loop(0, steps, step, start)
        return self._evaluate(state, lane, data, epoch, settled, total / steps)

    def _rate(self, epoch) -> Array:
        """The factor on the learning rate in this epoch, `[]`."""
        phase = sum(epoch >= begin for begin in self.begins) - 1
        rate = jnp.array([p.rate for p in self.phases], jnp.float32)[phase]
        if self.optimiser.decay == 1:
            return rate
        epochs = jnp.array([p.epochs for p in self.phases])[phase]
        return rate * self.optimiser.remaining(self._age(epoch), epochs)

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
            drawn = _init(
                self.architecture, self.task, self.method, self.optimiser, lane, data, keys
            ).model
            params = drawn.params if model.masks is None else apply_masks(drawn.params, model.masks)
            model = model._replace(params=params, stats=drawn.stats)
        opt_state = _fresh(self.optimiser, self.method, model.params, model.quant)
        opt_state = opt_state._replace(curvature=state.opt_state.curvature)
        best = state.best._replace(**_nothing(self.task))
        return state._replace(model=model, opt_state=opt_state, best=best)

    def _prune(self, state: TrainState, lane: Lane, data, epoch: Array) -> tuple[TrainState, Array]:
        """Updates the masks in pruning phases; says too whether the sparsity is the final one."""
        pruner = self._pruner(lane)
        if pruner is None:
            return state, jnp.bool_(True)

        def update(state: TrainState):
            assert state.prune is not None  # `_init` made it, as there is a pruner
            model, opt_state = state.model, state.opt_state
            signals = self._signals(state, data, epoch)
            prune, info = pruner.update(state.prune, model.params, **signals)
            params = model.params
            if not pruner.straight_through:
                params = apply_masks(params, prune.masks)
                if pruner.regrows:
                    grown = jax.tree.map(lambda new, old: new & ~old, prune.masks, model.masks)
                    opt_state = _descent(self.optimiser, self.method).forget(opt_state, grown)
            model = model._replace(params=params, masks=prune.masks)
            settled = info.target >= lane.sparsity - 1e-6
            return state._replace(prune=prune, model=model, opt_state=opt_state), settled

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
        return jnp.any(jnp.stack([(epoch >= a) & (epoch < b) for a, b in spans]))

    def _signals(self, state: TrainState, data, epoch) -> dict[str, Any]:
        """What a pruner may ask for, see `jgc.prune.types.UpdateFn`; masks are no part of it."""
        key = jax.random.fold_in(self.keys.train, epoch * self.task.steps)
        bare = state.model._replace(masks=None)

        def loss(params):
            graph, layout, target = self.task.batch(data, epoch, 0, key)
            out, _, own = self._forward(bare._replace(params=params), None, graph, layout, key)
            return self.task.loss(out, target) + own

        def flow(params):
            graph, layout, _ = self.task.batch(data, epoch, 0, key)
            model = bare._replace(params=params)
            return jnp.sum(self._forward(model, None, _of_ones(graph), layout)[0])

        late = jnp.stack([state.loss[epoch - 1], state.loss[jnp.maximum(epoch - 2, 0)]])
        return {"loss": loss, "flow": flow, "mean_loss": jnp.mean(late)}

    def _step(self, state: TrainState, lane: Lane, data, epoch, i, rate: Array):
        """One optimisation step; an empty batch, padding of a shorter epoch, changes nothing."""
        key = jax.random.fold_in(self.keys.train, epoch * self.task.steps + i)
        graph, layout, target = self.task.batch(data, epoch, i, key)
        quantizer, pruner = self._quantizer(lane), self._pruner(lane)

        def loss_of(params, learned):
            quant = with_leaves(state.model.quant, learned)
            model = state.model._replace(params=params, quant=quant)
            if pruner is not None and pruner.straight_through:
                model = model._replace(params=_through(params, model.masks), masks=None)
            out, model, own = self._forward(model, quantizer, graph, layout, key)
            cost = 0.0 if quantizer is None else quantizer.cost(model.quant)
            loss = self.task.loss(out, target) + own + cost
            return loss + self._penalty(pruner, state, params, epoch), (loss, model)

        def descend(state):
            params, masks = state.model.params, state.model.masks
            free = params, learned_leaves(quantizer, state.model.quant)
            (_, (loss, model)), (grads, slopes) = jax.value_and_grad(loss_of, (0, 1), True)(*free)
            state = state._replace(prune=self._observed(pruner, state, grads, epoch))
            descent = _descent(self.optimiser, self.method, rate, lane.l2)
            opt_state = self._curved(state.opt_state, loss_of, free, layout, target, epoch)
            if opt_state.curvature is not None:
                grads = precondition(opt_state.curvature, grads)
            params, opt_state = descent.params(grads, opt_state, params, masks)
            quant, opt_state = descent.quant(slopes, opt_state, model.quant, quantizer)
            model = model._replace(params=params, quant=quant, masks=masks)
            return state._replace(model=model, opt_state=opt_state), loss

        if self.task.steps == 1 and all(phase.rate for phase in self.phases):
            return descend(state)
        due = (rate > 0) & layout.graph_mask.any()
        return jax.lax.cond(due, descend, lambda s: (s, jnp.float32(0)), state)

    def _penalty(self, pruner: Pruner | None, state: TrainState, params, epoch):
        """What the pruner adds to the loss in phases that prune."""
        if pruner is None or pruner.penalty is None or state.prune is None:
            return 0.0
        added = functools.partial(pruner.penalty, state.prune)
        return jax.lax.cond(self._pruning(epoch), added, lambda p: jnp.float32(0), params)

    def _observed(self, pruner: Pruner | None, state: TrainState, grads, epoch):
        """The pruner's state after it saw a gradient, in phases that prune."""
        if pruner is None or pruner.observe is None:
            return state.prune
        seen = functools.partial(pruner.observe, params=state.model.params, grads=grads)
        return jax.lax.cond(self._pruning(epoch), seen, lambda p: p, state.prune)

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

    def _evaluate(self, state: TrainState, lane: Lane, data, epoch, settled, loss) -> TrainState:
        quantizer = self._quantizer(lane)

        def forward(graph, layout):
            return self._forward(state.model, quantizer, graph, layout)[0]

        answers = self.task.answer(forward, data)
        val, test = self.task.score(answers, data)
        choose, choice = self.task.choose, val
        if choose is not None:
            choice = self.task.score(answers, data, choose).val
        best = state.best
        larger = larger_is_better(choose or self.task.metric)
        better = settled & (choice > best.choice if larger else choice < best.choice)
        larger = larger_is_better(self.task.metric)
        oracle = (jnp.fmax if larger else jnp.fmin)(test, best.oracle)
        model, pruner = state.model, self._pruner(lane)
        if pruner is not None and pruner.straight_through:
            model = model._replace(params=apply_masks(model.params, model.masks))
        now = Best(model, val, test, jnp.int32(epoch), oracle, choice)
        best = jax.tree.map(lambda new, old: jnp.where(better, new, old), now, best)
        return state._replace(
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

    def _quantizer(self, lane: Lane):
        build = self.method.quantizer
        return build(lane.bits) if build is not None and self.phases[0].quantize else None


class _Keys(NamedTuple):
    init: Array
    train: Array
    prune: Array


def _keys(lane: Lane) -> _Keys:
    init, train, prune = jax.random.split(jax.random.key(lane.seed), 3)
    # A pruner may carry its key; as raw words it is saved, compared and blanked like any array.
    return _Keys(init, train, jax.random.key_data(prune))


def _init(
    architecture, task: Problem, method: Method, optimiser, lane: Lane, data, keys: "_Keys"
) -> TrainState:
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
        opt_state=_fresh(optimiser, method, params, quant)._replace(curvature=curvature),
        prune=prune,
        best=Best(model, test=jnp.float32(jnp.nan), epoch=jnp.int32(-1), **_nothing(task)),
        loss=history,
        val=history,
        test=history,
    )


def _fresh(optimiser: Optimiser, method: Method, params, quant):
    """Moments of a new phase; which leaves of `quant` are learned does not depend on the lane."""
    quantizer = None if method.quantizer is None else method.quantizer(jnp.int32(8))
    return _descent(optimiser, method).init(params, learned_leaves(quantizer, quant))


def _descent(optimiser: Optimiser, method: Method, rate: Scalar = 1.0, l2: Scalar = 0.0) -> Descent:
    decay = l2 if method.l2 else optimiser.weight_decay
    return Descent(optimiser._replace(weight_decay=decay), _holds(method), rate)


def _holds(method: Method) -> bool:
    """Whether pruned weights are held at zero; its answer does not depend on the lane."""
    if method.pruner is None:
        return False
    keys = jax.eval_shape(lambda: jax.random.key_data(jax.random.key(0)))
    return not method.pruner(jnp.float32(0), jnp.zeros(keys.shape, keys.dtype)).straight_through


def _through(params, masks):
    """Masked parameters whose gradient reaches all of them."""
    masked = apply_masks(params, masks)
    return jax.tree.map(lambda p, m: p + jax.lax.stop_gradient(m - p), params, masked)


def _of_ones(graph: GraphsTuple) -> GraphsTuple:
    """The graph with features of 1; where they are stored sparsely, only those that are stored."""
    nodes = graph.nodes
    if isinstance(nodes, SparseRows):
        return graph._replace(nodes=nodes._replace(values=jnp.ones_like(nodes.values)))
    floats = jnp.issubdtype(nodes.dtype, jnp.floating)
    return graph._replace(nodes=jnp.ones_like(nodes)) if floats else graph


def _nothing(task: Problem) -> dict[str, Array]:
    """Scores that any epoch beats."""
    worst = _worst(task.metric)
    return {"val": worst, "oracle": worst, "choice": _worst(task.choose or task.metric)}


def _worst(metric: str) -> Array:
    return jnp.float32(-jnp.inf if larger_is_better(metric) else jnp.inf)
