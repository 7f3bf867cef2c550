"""`Job`: one (data set, model, method) with all its lanes, and what its models are packed with."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax

from jgc import pack
from jgc.data import Dataset
from jgc.quant import Quantizer
from jgc.study.method import Level
from jgc.study.plan import Plan
from jgc.study.rows import row_key
from jgc.train import Method, Model, Phase, Problem, problem, rising


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


def _said(phase: Phase) -> dict[str, Any]:
    """The fields of a phase that are not their defaults, so that a new field renames no old row."""
    default = Phase(0)._asdict()
    return {name: value for name, value in phase._asdict().items() if value != default[name]}


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
