"""`Trainer`: structures and candidates by the study's own jobs and rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from jgc.search.space import Candidate, Structure, quality
from jgc.study.job import Job, described
from jgc.study.jobs import dataset_of, jobs_of
from jgc.study.method import DENSE, Level
from jgc.study.plan import check_fit, plan
from jgc.study.recipe import Recipe, Run
from jgc.study.runner import Runner

# Seeds of every lane while searching; what is chosen is trained with all.
SEEDS = 3


class Final(NamedTuple):
    """A candidate that was trained with all seeds.

    Attributes:
        candidate: With a row for every seed.
        seed: The one that validation likes most.
        artefact: The arguments of `jgc.pack.save` for its model.
    """

    candidate: Candidate
    seed: int
    artefact: dict[str, Any]


class Trainer:
    """Trains what a search asks for; rows that are there are not trained again.

    Attributes:
        name: What is searched: data set, task, split and model.
        hidden: The model's own width.

    Args:
        base: Data set, model, settings; its methods are not looked at.
        folder: Of rows and checkpoints.
        seeds: Of the dense model and of finals, >= 1.
        status: Called every few epochs with what is going on.

    Raises:
        ValueError: for an unknown word, or a model that does not fit the data.
    """

    def __init__(self, base: Run, folder: Path, seeds: int, status: Callable[[str], None]):
        self._base, self._seeds = base, seeds
        self._data = dataset_of(base)
        ready = plan(self._data, base.model, base.settings)
        check_fit(self._data, ready)
        assert ready.settings.hidden is not None  # The defaults of every task have one.
        self.hidden = ready.settings.hidden
        data = self._data
        self.name = f"{data.name} {data.task} {data.splits[0].name} {base.model}"
        # The lines of a study tell test scores, which nobody who searches should look at.
        self._runner = Runner(
            folder, range(seeds), report=lambda line: None, status=lambda text, _: status(text)
        )

    def dense(self) -> Candidate:
        """The dense model at its own width, which everything is compared with."""
        (job,) = jobs_of(self._reference, self._data, range(self._seeds))
        self._runner.run(job)
        return self._candidates(job, Structure(self.hidden, "dense"))[0]

    def known(self, structure: Structure) -> list[Candidate]:
        """The candidates of a structure if all their rows are there, else none."""
        job = self._job(structure)
        missing = job.without(self._runner.store.keys()).runs
        return [] if missing else self._candidates(job, structure)

    def trained(self, structure: Structure) -> list[Candidate]:
        """The candidates of a structure, trained in one program."""
        self._runner.run(self._job(structure))
        return self.known(structure)

    def final(self, candidate: Candidate) -> Final:
        """A candidate with all seeds. Those that are there run along, for their models."""
        structure, level, _ = candidate
        run = structure.run(self._base, level)
        (job,) = jobs_of(run, self._data, range(self._seeds))
        outcome = self._runner.run(job, again=True)
        assert outcome is not None
        (candidate,) = self._candidates(job, structure)
        best = max(range(self._seeds), key=lambda seed: quality(candidate.rows[seed]))
        told = {name: candidate.rows[best][name] for name in ("metric", "val", "test")}
        return Final(candidate, best, described(job, outcome.models[best], told))

    def recipe(self, candidate: Candidate) -> Recipe:
        """The recipe of a candidate, beside the dense model."""
        run = candidate.structure.run(self._base, candidate.level)
        return Recipe(name="best", seeds=self._seeds, measure=False, run=(self._reference, run))

    def forget(self) -> None:
        """Removes checkpoints."""
        self._runner.forget()

    @property
    def _reference(self) -> Run:
        return self._base.model_copy(update={"method": (DENSE,)})

    def _job(self, structure: Structure) -> Job:
        (job,) = jobs_of(structure.run(self._base), self._data, range(min(SEEDS, self._seeds)))
        return job

    def _candidates(self, job: Job, structure: Structure) -> list[Candidate]:
        rows = {row["key"]: row for row in self._runner.store.rows()}
        found: dict[Level, list] = {}
        for level, seed in job.runs:
            found.setdefault(level, []).append(rows[job.key(level, seed)])
        return [Candidate(structure, level, tuple(own)) for level, own in found.items()]
