"""`train`: one compiled (data set, model, method), run in chunks with checkpoints between."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from jgc.train import stored
from jgc.train.checkpoint import Checkpoint, fingerprint
from jgc.train.descent import Optimiser
from jgc.train.lanes import (
    data_specs,
    fill,
    lane_mesh,
    on_host,
    over_lanes,
    placed,
    shardings,
    state_specs,
)
from jgc.train.loop import lane_program
from jgc.train.method import Method, Phase
from jgc.train.problem import Problem
from jgc.train.stage import Rebuilt
from jgc.train.state import Lane, Start, TrainState
from jgc.train.stopping import Stopping


class Trained(NamedTuple):
    """What a program gives back.

    Attributes:
        state: Of every lane, leaves `[n_lane, ...]`, on the host.
        compile_s: Seconds of tracing and compiling, rebuilds included.
        run_s: Seconds of running, all lanes together.
        traces: How often the lane function was traced: 1, and once more for every rebuild.

    Example:
        >>> Trained(state=None, compile_s=2.0, run_s=3.5, traces=1).traces
        1
    """

    state: TrainState
    compile_s: float
    run_s: float
    traces: int


def train(
    model: nn.Module,
    task: Problem,
    method: Method,
    lanes: list[Lane],
    *,
    optimiser: Optimiser = Optimiser(),  # noqa: B008 - immutable
    stopping: Stopping = Stopping(),  # noqa: B008 - immutable
    dense: Start | None = None,
    chunk: int = 50,
    folder: str | Path | None = None,
    report: Callable[[int, int], None] | None = None,
) -> Trained:
    """Compiles a method once and trains all lanes.

    Args:
        model: Fitted to the task (`jgc.models.for_task`).
        task: From `jgc.train.problem`.
        method: What to do.
        lanes: Runs of the front, at least one (`lane`).
        optimiser: How to descend.
        stopping: What may end a phase early. A lane that has ended costs nothing more, and the
            phase is over when all lanes have ended.
        dense: What the first phase would do, done before: leaves `[n_lane, ...]`, from `starts`.
        chunk: Epochs between two looks at the outside (progress, checkpoint), >= 1. The result
            does not depend on it.
        folder: Where checkpoints are kept. A run that finds its own there goes on from it, and
            ends bit for bit as if it had never stopped, on the same machine.
        report: Called with (epochs done, epochs in all) after every chunk.

    Returns:
        A `Trained`.

    Raises:
        ValueError: for no lanes, `chunk` < 1, a setting out of its range, a lane's split that the
            task does not have, a `dense` that is not the method's first phase, or a checkpoint of
            something else in `folder`. For a task over several devices: where they do not divide,
            methods that quantise or store, a `folder` with several processes.

    Example:
        >>> import jgc.data, jgc.train
        >>> from jgc.models import GCN, for_task
        >>> from jgc.train import Method, Phase, lane, problem
        >>> data = jgc.data.load("sbm")
        >>> model = for_task(GCN(hidden=8), "node", data.n_class)
        >>> dense = Method("dense", (Phase(2),))
        >>> done = train(model, problem(data), dense, [lane(0), lane(1)])
        >>> done.state.best.val.shape, done.traces
        ((2,), 1)
    """
    _check(task, method, lanes, dense, chunk, folder)
    mesh = lane_mesh(len(lanes), task.n_part)
    begun = jax.tree.map(lambda *leaves: np.stack(leaves), *lanes), dense
    begun, n_lane = fill(begun, mesh)
    init, _ = lane_program(model, task, method, optimiser, stopping)
    begun = placed(begun, P("lane"), mesh)
    data = placed(task.data, data_specs(mesh), mesh)
    began = time.perf_counter()
    first = over_lanes(lambda _, begun, data: init(begun[0], data), mesh)
    shapes = jax.eval_shape(first, TrainState._make([None] * len(TrainState._fields)), begun, data)
    shapes = jax.tree.map(
        lambda s, where: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=where),
        shapes, shardings(state_specs(mesh), mesh, shapes),
    )  # fmt: skip
    kept, state, done = None, None, 0
    if folder is not None:
        named = _identity(model, task, method, optimiser, stopping, lanes, dense)
        kept = Checkpoint(folder, named)
        state, done = kept.restore(shapes)
    if state is None:
        state, done = _blank(shapes, mesh), 0 if dense is None else dense.epochs

    def build(rebuilt):
        return lane_program(model, task, method, optimiser, stopping, rebuilt)[1]

    programs = _Programs(build, mesh, (shapes, begun, data))
    programs.compile_s = time.perf_counter() - began
    sizes = stored.storable(model, task) if method.stored else {}
    began, compiled_s = time.perf_counter(), programs.compile_s
    while done < method.epochs:
        begin, end = _span(method, done)
        closed = stopping.closed(state.freeze, state.stop, begin, done)
        rooms = stored.rooms(sizes, state.pruned, begin, done)
        program = programs.of(Rebuilt(closed, rooms))
        stop = stopping.cut((begin, end), done, min(done + chunk, method.epochs))
        if method.stored:
            stop = stored.cut((begin, end), done, stop)
        ends = placed((np.int32(done), np.int32(stop)), P(), mesh)
        state = jax.block_until_ready(program(state, begun, data, *ends))
        stored.check_rooms(rooms, state.pruned, done, stop)
        done = stop
        if state.stop is not None and stop < end and on_host(state.stop.ended).all():
            done = end
        if kept is not None:
            kept.save(state, done)
        if report is not None:
            report(done, method.epochs)
    run_s = time.perf_counter() - began - (programs.compile_s - compiled_s)
    state = jax.tree.map(lambda leaf: leaf[:n_lane], on_host(state))
    return Trained(state, programs.compile_s, run_s, programs.traces)


class _Programs:
    """The compiled program, and those that were rebuilt."""

    def __init__(self, build: Callable[[Rebuilt], Callable], mesh, shapes: tuple):
        self._build, self._mesh, self._shapes = build, mesh, shapes
        self._compiled: dict[Rebuilt, Any] = {}
        self.compile_s, self.traces = 0.0, 0

    def of(self, rebuilt: Rebuilt):
        """The program that does without what is named."""
        if rebuilt not in self._compiled:
            began = time.perf_counter()
            self._compiled[rebuilt] = self._compile(rebuilt)
            self.compile_s += time.perf_counter() - began
        return self._compiled[rebuilt]

    def _compile(self, rebuilt: Rebuilt):
        run = self._build(rebuilt)

        def counted(*args):
            self.traces += 1
            return run(*args)

        moment = jax.ShapeDtypeStruct((), jnp.int32, sharding=NamedSharding(self._mesh, P()))
        jitted = jax.jit(over_lanes(counted, self._mesh), donate_argnums=0)
        return jitted.lower(*self._shapes, moment, moment).compile(_options(self._mesh))


def _span(method: Method, epoch: int) -> tuple[int, int]:
    """First epoch of the phase that an epoch is of, and of the phase after it."""
    ends = np.cumsum([phase.epochs for phase in method.phases])
    phase = int(np.searchsorted(ends, epoch, side="right"))
    return int(ends[phase]) - method.phases[phase].epochs, int(ends[phase])


def _check(
    task: Problem,
    method: Method,
    lanes: list[Lane],
    dense: Start | None,
    chunk: int,
    folder: str | Path | None,
) -> None:
    if not lanes:
        raise ValueError("`lanes` is empty; give at least one `lane(seed)`.")
    if chunk < 1:
        raise ValueError(f"`chunk` must be >= 1, got {chunk}.")
    if folder is not None and jax.process_count() > 1:
        raise ValueError("`folder`: checkpoints are for one process, here there are several.")
    if task.parts is not None and (method.stored or method.quantizer is not None):
        raise ValueError(
            f"{method.name!r} stores weights sparsely or quantises, which are for one device: "
            "make the `task` without `devices`."
        )
    if dense is not None and Phase(dense.epochs) not in method.phases[:1]:
        raise ValueError(
            f"`dense` has {dense.epochs} epochs; {method.name!r} begins by {method.phases[0]}."
        )
    # Compiled code would clip the index and train on the last split without a word.
    beyond = [int(lane.split) for lane in lanes if lane.split >= task.n_split]
    if beyond:
        raise ValueError(
            f"`split` of a lane must be in 0..{task.n_split - 1}, the splits (or folds) of the "
            f"task; got {beyond[0]}. Load the data with a larger `n_splits`?"
        )


def _options(mesh) -> dict[str, Any]:
    """On CPU the last level of LLVM's optimiser doubles the compile time and gains nothing."""
    on_cpu = mesh.devices.flat[0].platform == "cpu"
    return {"xla_backend_optimization_level": 1} if on_cpu else {}


def _identity(model, task: Problem, method: Method, optimiser, stopping, lanes, dense) -> tuple:
    """What a checkpoint belongs to; functions go by their name, all else by value."""
    described = str(model), task.metric, task.choose, method.name, method.phases, optimiser, lanes
    if stopping != Stopping():  # Checkpoints without early stopping keep their old identity.
        described = *described, stopping.named()
    if method.stored:
        described = *described, "stored"
    return *described, fingerprint((task.data, dense))


def _blank(shapes: Any, mesh) -> Any:
    zeros = jax.tree.map(lambda shape: np.zeros(shape.shape, shape.dtype), shapes)
    return placed(zeros, state_specs(mesh), mesh)
