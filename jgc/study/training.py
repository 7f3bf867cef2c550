"""`run_job`: trains the lanes of a job in one program and makes a row of each."""

import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jgc.pack.operations import products, whole
from jgc.study.facts import achieved, epochs, sizes, train_flops
from jgc.study.job import Job, on_one_device, packable
from jgc.study.measure import Meter
from jgc.study.method import Level
from jgc.study.rows import FIELDS
from jgc.train import Lane, Model, Problem, Start, Trained, TrainState, lane, starts, train


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
    dense: tuple[Job, TrainState] | None = None,
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
        flops = train_flops(job, task, found, i, trained.state, model.params)
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
            **sizes(job, found, config["bits"] or 32, model, artefact),
            **measured,
            "train_flops": flops,
            **epochs(job, trained.state, i),
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


def _begun(job: Job, dense: Job, state: TrainState) -> Start | None:
    """The dense start of every lane; `None` for methods that begin in another way."""
    if len(job.method.phases) == 1 or job.method.phases[0] != dense.method.phases[0]:
        return None
    place = {seed: i for i, (_, seed) in enumerate(dense.runs)}
    which = np.array([place[seed] for _, seed in job.runs])
    return jax.tree.map(lambda leaf: leaf[which], starts(state))


def _tests(dense: Job, state: TrainState) -> dict[int, float]:
    return {seed: state.best.test[i].item() for i, (_, seed) in enumerate(dense.runs)}


def _check_numbers(job: Job, state: TrainState) -> None:
    ran = True if state.stop is None else state.stop.ran
    bad = (~np.isfinite(state.loss) & ran).any(1) | ~np.isfinite(state.best.val)
    if bad.any():
        seeds = sorted({seed for (_, seed), is_bad in zip(job.runs, bad, strict=True) if is_bad})
        raise ValueError(
            f"{job.title}: training diverged for seeds {seeds} (loss or validation score is no "
            "number). Try a smaller `learning_rate`."
        )


def _measured(level: Level, model: Model, grids) -> Level:
    """The level, with what a ready-made transform did, which is known only afterwards."""
    sparsity, bits, l2 = level
    if sparsity is None and model.masks is not None:
        sparsity = achieved(model)
    if bits is None and grids:
        bits = int(max(grid.bits for grid in grids.values()))
    return Level(sparsity, bits, l2)


def _lane(job: Job, level: Level, seed: int) -> Lane:
    return lane(
        seed,
        split=seed % len(job.dataset.splits),
        sparsity=level.sparsity or 0.0,
        bits=level.bits or 8,
        l2=level.l2 or 0.0,
    )
