"""`Job`: one (data set, model, method) with all its lanes, from training to result rows."""

import dataclasses
import functools
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jgc import pack
from jgc.data import Dataset
from jgc.graph import in_degree
from jgc.pack.flops import UPDATE, training_flops
from jgc.pack.operations import Product, at_level, products, whole
from jgc.prune import kept_fractions, sparsity_of
from jgc.quant import Quantizer, average_bits, bits_by_degree, learned_sites
from jgc.study.measure import Meter
from jgc.study.method import Level
from jgc.study.plan import Plan, rows_of
from jgc.study.rows import FIELDS, row_key
from jgc.train import (
    Lane,
    Method,
    Model,
    Optimiser,
    Phase,
    Problem,
    Start,
    Trained,
    TrainState,
    is_straight_through,
    lane,
    problem,
    rising,
    starts,
    train,
)


@dataclasses.dataclass(frozen=True)
class Job:
    """One program: a method on a model and a data set, over levels and seeds.

    Attributes:
        dataset: The data.
        model_name: As it appears in rows.
        plan: Model and training settings.
        method: What is done.
        runs: `(level, seed)` of every lane.
        problem: Makes the task; jobs that share a data set and a plan may share one that remembers
            it (`problem_of`).
    """

    dataset: Dataset
    model_name: str
    plan: Plan
    method: Method
    runs: tuple[tuple[Level, int], ...]
    problem: Callable[[], Problem] | None = None

    @property
    def task(self) -> Problem:
        """What the lanes are trained on."""
        return (self.problem or problem_of(self.dataset, self.plan))()

    @property
    def title(self) -> str:
        """For progress: `"cora node gcn global"`."""
        return f"{self.dataset.name} {self.dataset.task} {self.model_name} {self.method.name}"

    def config(self, level: Level, seed: int) -> dict[str, Any]:
        """What the row of a lane is keyed by: everything that its numbers depend on."""
        split = self.dataset.splits[seed % len(self.dataset.splits)]
        return {
            "dataset": self.dataset.name,
            "task": self.dataset.task,
            "split": split.name,
            "model": self.model_name,
            "architecture": self.plan.architecture,
            "settings": self.plan.settings.model_dump(exclude_none=True),
            "phases": [_said(phase) for phase in self.method.phases],
            "method": self.method.name,
            "sparsity": level.sparsity,
            "bits": level.bits,
            "l2": level.l2,
            "seed": seed,
        }

    def key(self, level: Level, seed: int) -> str:
        """The row's key."""
        return row_key(self.config(level, seed))

    def without(self, done: set[str]) -> "Job":
        """The job with only the lanes whose keys are not in `done`."""
        runs = tuple(run for run in self.runs if self.key(*run) not in done)
        return dataclasses.replace(self, runs=runs)


class Outcome(NamedTuple):
    """What a job gives.

    Attributes:
        rows: One a lane.
        models: The chosen `Model` of each lane, on the host.
        trained: All that training left.
    """

    rows: list[dict[str, Any]]
    models: list[Model]
    trained: Trained


def run_job(
    job: Job,
    *,
    dense: tuple["Job", TrainState] | None = None,
    folder: Path | None = None,
    report: Callable[[int, int], None] | None = None,
    measure: bool = False,
) -> Outcome:
    """Trains all lanes of a job in one program and measures the results.

    Args:
        job: With at least one lane.
        dense: The dense job of the same data and model, and what it left: methods that begin by
            dense training start from there, and rows say its test scores.
        folder: For checkpoints.
        report: Called with (epochs done, epochs in all).
        measure: Also run every model and tell all its scores, and of the first seed of every level
            latency, memory and energy.

    Returns:
        An `Outcome`.

    Raises:
        ValueError: if training diverged: a loss that is no number, or no validation score at all.
    """
    task = job.task
    began = time.perf_counter()
    trained = _train(job, task, dense, folder, report)
    wall_s = (time.perf_counter() - began) / len(job.runs)
    dense_test = {} if dense is None else _tests(*dense)
    models = [
        jax.tree.map(lambda a, i=i: a[i], trained.state.best.model) for i in range(len(job.runs))
    ]
    meter = Meter(job.plan.model, on_one_device(job), job.method) if measure else None
    variables = {"params": models[0].params, **models[0].stats}
    found = products(job.plan.model, variables, whole(job.dataset))
    rows, costs = [], {}
    for i, ((level, seed), model) in enumerate(zip(job.runs, models, strict=True)):
        best = jax.tree.map(lambda a, i=i: a[i].item(), trained.state.best._replace(model=None))
        artefact = packable(job, model)
        config = job.config(_measured(level, model, artefact["grids"]), seed)
        measured = {}
        flops = _train_flops(job, task, found, i, trained.state, models[i].params)
        if meter is not None:
            split = seed % task.n_split
            if level not in costs:  # Seeds of a level run the same program.
                costs[level] = meter.cost(model, split)
            measured = {"scores": meter.scores(model, split), **costs[level]}
        row = {
            **{name: config[name] for name in FIELDS if name in config},
            "metric": task.metric,
            "val": best.val,
            "test": best.test,
            "test_oracle": best.oracle,
            **_sizes(job, found, config["bits"] or 32, model, artefact),
            **measured,
            "train_flops": flops,
            **_epochs(job, trained.state, i),
            "compile_s": round(trained.compile_s, 3),
            "wall_s": round(wall_s, 3),
            "device": f"{jax.devices()[0].device_kind} x{len(jax.local_devices())}",
            "jax": jax.__version__,
            "jgc": version("jgc"),
            "config": {name: value for name, value in config.items() if value is not None},
        }
        if seed in dense_test and job.method.name != "dense":
            row["dense_test"] = dense_test[seed]
        rows.append({name: value for name, value in row.items() if value is not None})
    return Outcome(rows, models, trained)


def train_job(
    job: Job, *, folder: Path | None = None, report: Callable[[int, int], None] | None = None
) -> Trained:
    """Trains all lanes of a job, or looks up what a finished training left in `folder`.

    Arguments and errors are those of `run_job`.
    """
    return _train(job, job.task, None, folder, report)


def _train(job: Job, task: Problem, dense, folder, report) -> Trained:
    trained = train(
        job.plan.model, task, job.method, [_lane(job, *run) for run in job.runs],
        optimiser=job.plan.optimiser, stopping=job.plan.stopping,
        dense=None if dense is None else _begun(job, *dense), folder=folder, report=report,
    )  # fmt: skip
    _check_numbers(job, trained.state)
    return trained


def problem_of(dataset: Dataset, plan: Plan) -> Callable[[], Problem]:
    """The task of a data set under a plan's settings, made when it is first asked for.

    Example:
        >>> import jgc.data
        >>> from jgc.study.plan import plan
        >>> data = jgc.data.load("sbm")
        >>> task = problem_of(data, plan(data, "gcn"))
        >>> task() is task()
        True
    """
    settings, power = plan.settings, plan.settings.guess_power

    @functools.cache
    def made() -> Problem:
        return problem(
            dataset,
            metric=settings.metric,
            choose=settings.choose,
            batch_size=plan.batch_size,
            parts=settings.parts or 1,
            devices=settings.devices or 1,
            wire=settings.wire or "float32",
            guess_weights=None if power is None else rising(power, plan.epochs),
        )

    return made


def on_one_device(job: Job) -> Problem:
    """The task of a job where a finished model runs: on the whole graph."""
    if job.task.parts is None:
        return job.task
    settings = job.plan.settings.model_copy(update={"devices": None})
    return problem_of(job.dataset, job.plan._replace(settings=settings))()


def _begun(job: Job, dense: Job, state: TrainState) -> Start | None:
    """The dense start of every lane; `None` for methods that begin in another way."""
    if len(job.method.phases) == 1 or job.method.phases[0] != dense.method.phases[0]:
        return None
    place = {seed: i for i, (_, seed) in enumerate(dense.runs)}
    which = np.array([place[seed] for _, seed in job.runs])
    return jax.tree.map(lambda leaf: leaf[which], starts(state))


def _tests(dense: Job, state: TrainState) -> dict[int, float]:
    return {seed: state.best.test[i].item() for i, (_, seed) in enumerate(dense.runs)}


def _said(phase: Phase) -> dict[str, Any]:
    """The fields of a phase that are not their defaults, so that a new field renames no old row."""
    default = Phase(0)._asdict()
    return {name: value for name, value in phase._asdict().items() if value != default[name]}


def _check_numbers(job: Job, state: TrainState) -> None:
    ran = True if state.stop is None else state.stop.ran
    bad = (~np.isfinite(state.loss) & ran).any(1) | ~np.isfinite(state.best.val)
    if bad.any():
        seeds = sorted({seed for (_, seed), is_bad in zip(job.runs, bad, strict=True) if is_bad})
        raise ValueError(
            f"{job.title}: training diverged for seeds {seeds} (loss or validation score is no "
            "number). Try a smaller `learning_rate`."
        )


def quantizer_of(job: Job) -> Quantizer | None:
    """The quantiser of all lanes, for evaluation: the bits of a lane are in its own state."""
    return job.method.quantizer and _made(job.method.quantizer)


@functools.lru_cache(maxsize=8)  # What is traced with it is compiled once for all lanes.
def _made(make: Callable[..., Quantizer]) -> Quantizer:
    return make(jax.numpy.int32(8))


def packable(job: Job, model: Model) -> dict[str, Any]:
    """The arguments of `jgc.pack.save` for a trained model, without what is pruned whole."""
    quantizer = quantizer_of(job)
    variables = {"params": model.params, **model.stats}
    small = pack.compact(
        job.plan.model, variables, job.dataset.graphs[0], model.masks, model.quant, quantizer
    )
    stats = {name: tree for name, tree in small.variables.items() if name != "params"}
    symmetric = True
    if small.quant is not None and quantizer is not None:
        symmetric, stored = quantizer.symmetric_weights, quantizer.stored
        stats["sites"] = small.quant.sites if stored is None else stored(small.quant)
    return {
        "params": small.variables["params"], "masks": small.masks,
        "grids": None if small.quant is None else small.quant.weights,
        "symmetric": symmetric, "stats": stats,
    }  # fmt: skip


def described(job: Job, model: Model, told: dict[str, Any]) -> dict[str, Any]:
    """`packable`, with what is told of a model and what it takes to restore it."""
    of = job.plan.model, job.dataset, quantizer_of(job), model.quant
    return packable(job, model) | {"meta": told | pack.describe(*of)}


def _measured(level: Level, model: Model, grids) -> Level:
    """The level, with what a ready-made transform did, which is known only afterwards."""
    sparsity, bits, l2 = level
    if sparsity is None and model.masks is not None:
        sparsity = _achieved(model)
    if bits is None and grids:
        bits = int(max(grid.bits for grid in grids.values()))
    return Level(sparsity, bits, l2)


def _achieved(model: Model) -> float:
    """Sparsity; its fourth decimal would only tell of the rounding to whole weights."""
    return round(float(sparsity_of(model.masks)), 3)


def _sizes(
    job: Job, found: list[Product], bits: int, model: Model, artefact: dict[str, Any]
) -> dict[str, Any]:
    """Bytes of the files, and computed operations a graph or row."""
    variables = {"params": model.params, **model.stats}
    cost = pack.total(at_level(found, model.masks, bits))
    sizes = {
        "bytes_dense": pack.dense_bytes(variables),
        "bytes_file": pack.file_bytes(**artefact),
        "macs": cost.macs / _n_item(job),
        "bops": cost.bops / _n_item(job),
    }
    if model.masks is not None:
        sizes["sparsity"] = _achieved(model)
        sizes["bytes_values"] = pack.values_bytes(model.params, model.masks)
        kept = kept_fractions(model.masks)
        sizes["layers"] = {n.removesuffix("/kernel"): round(float(k), 4) for n, k in kept.items()}
    if model.quant is not None and learned_sites(model.quant):
        sizes["bits_features"] = round(float(average_bits(model.quant)), 3)
        # Elsewhere nodes have groups, or a graph a split.
        if job.dataset.task == "node" and not rows_of(job.dataset):
            by_degree = bits_by_degree(model.quant, in_degree(job.dataset.graphs[0]))
            sizes["bits_by_degree"] = {name: round(bits, 3) for name, bits in by_degree.items()}
    return sizes


def _n_item(job: Job) -> int:
    """Number of graphs; a row is a graph of its own."""
    rows = rows_of(job.dataset)
    return int(job.dataset.graphs[0].n_node[0]) if rows else len(job.dataset.graphs)


def _train_flops(
    job: Job, task: Problem, found: list[Product], i: int, state: TrainState, params
) -> float | None:
    """Computed FLOPs of a lane's whole training; `None` where edges are dealt into parts."""
    if (job.plan.settings.parts or 1) > 1 or job.plan.optimiser.kfac is not None:
        return None
    dataset, phases, log = job.dataset, job.method.phases, state.pruned
    share = 1.0
    if dataset.labels is not None and (dataset.task == "graph" or rows_of(dataset)):
        split = dataset.splits[job.runs[i][1] % len(dataset.splits)]
        share = len(split.train) / len(dataset.labels)
    kept = {} if log is None else {n: np.asarray(c[i]) for n, c in log.kept.items()}
    make = job.method.pruner
    trained = np.concatenate([np.full(phase.epochs, phase.rate > 0) for phase in phases])
    if state.stop is not None:
        trained &= np.asarray(state.stop.ran[i])
    return training_flops(
        found,
        kept,
        trained,
        share=share,
        steps=task.steps,
        n_params=sum(leaf.size for leaf in jax.tree.leaves(params)),
        update=UPDATE[_rule(job.plan.optimiser)],
        gradients=None if log is None else np.asarray(log.gradients[i]),
        straight_through=make is not None and is_straight_through(make),
    )


def _rule(optimiser: Optimiser) -> str:
    if optimiser.rule == "adam" or not optimiser.momentum:
        return optimiser.rule
    return "nesterov" if optimiser.nesterov else "momentum"


def _epochs(job: Job, state: TrainState, i: int) -> dict[str, Any]:
    """Epochs that lane `i` ran, where it might have ended early, and that each matrix trained."""
    if state.stop is None:
        return {}
    ran, told = state.stop.ran[i], {}
    if state.freeze is not None:
        begin = job.method.epochs - job.method.phases[-1].epochs
        whole = int(ran[begin:].sum())
        at = {name: int(epochs[i]) for name, epochs in state.freeze.frozen_at.items()}
        told["epochs_by_layer"] = {
            name.removesuffix("/kernel"): whole if epoch < 0 else epoch - begin
            for name, epoch in at.items()
        }
    return {"epochs": int(ran.sum()), **told}


def _lane(job: Job, level: Level, seed: int) -> Lane:
    return lane(
        seed,
        split=seed % len(job.dataset.splits),
        sparsity=level.sparsity or 0.0,
        bits=level.bits or 8,
        l2=level.l2 or 0.0,
    )
