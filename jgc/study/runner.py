"""`run_study`: all jobs of a recipe, each one program, rows on disk as they finish."""

import dataclasses
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from jgc.study.job import Job
from jgc.study.jobs import check, jobs
from jgc.study.memory import give_back
from jgc.study.method import DENSE, Level
from jgc.study.recipe import Recipe
from jgc.study.rows import row_key
from jgc.study.store import Store
from jgc.study.training import Outcome, run_job, train_job
from jgc.train import TrainState


def run_study(
    recipe: Recipe,
    folder: str | Path,
    *,
    resume: bool = False,
    seeds: int | None = None,
    report: Callable[[str], None] = print,
    status: Callable[[str, int], None] = lambda text, rows: None,
) -> list[dict[str, Any]]:
    """Runs a recipe.

    Every (data set, model, method) compiles once and trains all its levels and seeds in one
    program. Rows are written as a job ends; a job that was killed goes on from its last checkpoint.
    After each job jax's caches are cleared, those of the caller's own programs too.

    Args:
        recipe: From `jgc.study.load_recipe`.
        folder: Where `results.jsonl` and checkpoints go.
        resume: Skip the rows that `folder` already holds.
        seeds: Instead of the recipe's own number.
        report: Called with a line for every finished job.
        status: Called every few epochs with what is going on and the rows done since the last call.

    Returns:
        All rows of the folder.

    Raises:
        ValueError: for a recipe that cannot run, or rows in `folder` without `resume`.
        OSError: if rows cannot be written; those already there stay.
    """
    recipe = recipe if seeds is None else recipe.with_seeds(seeds)
    check(recipe)
    runner = Runner(
        folder, range(recipe.seeds), measure=recipe.measure, report=report, status=status
    )
    runner.store.begin(resume)
    programs = traces = 0
    for job in jobs(recipe):
        outcome = runner.run(job)
        if outcome is not None:
            programs, traces = programs + 1, traces + outcome.trained.traces
    runner.forget()
    report(f"{traces} compilations for {programs} (data set, model, method)")
    return runner.store.rows()


class Runner:
    """Runs jobs one after another and writes their rows as they finish.

    A job that was killed goes on from its last checkpoint. Dense trainings are run once for all
    methods of their data and model.

    Attributes:
        store: The rows.

    Args:
        folder: Where rows and checkpoints go.
        seeds: Of every dense training: those of its jobs, or more of them.
        measure: As of `run_job`.
        report: Called with a line for every finished job.
        status: Called every few epochs with what is going on and the rows done since the last call.
    """

    def __init__(
        self,
        folder: str | Path,
        seeds: Sequence[int],
        *,
        measure: bool = False,
        report: Callable[[str], None] = print,
        status: Callable[[str, int], None] = lambda text, rows: None,
    ):
        self.store = Store(folder, report=report)
        self._folder, self._measure = Path(folder), measure
        self._report, self._status = report, status
        self._dense, self._titles = _Dense(self._folder, seeds, report), set[str]()

    def run(self, job: Job, *, again: bool = False) -> Outcome | None:
        """Trains the lanes whose rows are missing, or with `again` all of them.

        Returns:
            The `Outcome` of those lanes; `None` if there were none.

        Raises:
            ValueError: if training diverged.
            OSError: if rows cannot be written; those already there stay.
        """
        status, report = self._status, self._report
        self._titles |= {job.title, _plain(job).title}
        with _alone(self._folder, job.title, report):
            todo = job if again else job.without(self.store.keys())
            if not todo.runs:
                report(f"{job.title}: all {len(job.runs)} rows are there")
                status(job.title, len(job.runs))
                return None
            place = _place(self._folder, todo)
            status(f"{job.title}: compiling", len(job.runs) - len(todo.runs))
            outcome = run_job(
                todo,
                dense=self._dense.of(job),
                folder=place,
                report=lambda done, total: status(f"{job.title}: epoch {done} of {total}", 0),
                measure=self._measure,
            )
            self.store.append(outcome.rows)
            if job.method.name != DENSE.name:
                shutil.rmtree(place, ignore_errors=True)
        give_back()
        report(f"{job.title}: {_said(outcome.rows)}")
        status(job.title, len(outcome.rows))
        return outcome

    def forget(self) -> None:
        """Removes the checkpoints of the jobs that were run, and of their dense trainings."""
        _forget(self._folder, self._titles)


@contextmanager
def _alone(folder: Path, title: str, report: Callable[[str], None]) -> Iterator[None]:
    """Of processes that share a folder one runs a job; the others wait and find its rows."""
    lock = _lock(folder, title)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        report(f"{title}: another process runs it; waiting")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _lock(folder: Path, title: str) -> FileLock:
    path = folder / "checkpoints" / f"{row_key({'job': title})}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path)


def _place(folder: Path, todo: Job) -> Path:
    """Where a job's checkpoints lie: elsewhere for every set of lanes."""
    lanes = row_key({"lanes": [todo.key(*run) for run in todo.runs]})
    return folder / "checkpoints" / f"{_folder_name(todo.title)}-{lanes}"


def _folder_name(title: str) -> str:
    """A title as one name: that of a data set may be a path, which could climb out."""
    return re.sub(r"[^\w.+-]", "-", title)


def _forget(folder: Path, titles: set[str]) -> None:
    """Removes the checkpoints of finished jobs, those that a kill left behind too.

    A job that another process runs, for a recipe of its own, keeps them.
    """
    for title in titles:
        with suppress(Timeout), _lock(folder, title).acquire(blocking=False):
            for place in (folder / "checkpoints").glob(_folder_name(title) + "-" + "[0-9a-f]" * 16):
                shutil.rmtree(place, ignore_errors=True)


def _plain(job: Job) -> Job:
    """The dense job of the same data and model."""
    return dataclasses.replace(job, method=job.plan.method(DENSE))


class _Dense:
    """Dense trainings, each run once for all methods of its data and model.

    Their last checkpoints are kept until the study ends: a study that was killed, or whose dense
    rows are there already, looks its models up instead of training them again. The last one also
    stays in memory: the next method mostly asks for the same.
    """

    def __init__(self, folder: Path, seeds: Sequence[int], report: Callable[[str], None]):
        self._folder, self._seeds, self._report = folder, seeds, report
        self._last: tuple[Path, TrainState] | None = None

    def of(self, job: Job) -> tuple[Job, TrainState] | None:
        """The dense job that goes with a job, and what it left; `None` where nobody asks for it."""
        runs = tuple((Level(), seed) for seed in self._seeds)
        plain = dataclasses.replace(_plain(job), runs=runs)
        place = _place(self._folder, plain)
        begins_dense = job.method.phases[:1] == plain.method.phases and job.method != plain.method
        if not begins_dense and (job.method == plain.method or not place.exists()):
            return None
        if self._last is None or self._last[0] != place:
            with _alone(self._folder, plain.title, self._report):
                self._last = place, train_job(plain, folder=place).state
        return plain, self._last[1]


def _said(rows: list[dict[str, Any]]) -> str:
    tests = [row["test"] for row in rows]
    return (
        f"{rows[0]['metric']} {sum(tests) / len(tests):.4f} over {len(rows)} lanes, compiled in "
        f"{rows[0]['compile_s']:.1f} s, ran in {rows[0]['wall_s'] * len(rows):.1f} s"
    )
