"""`run_study`: all jobs of a recipe, each one program, rows on disk as they finish."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jgc.data import load
from jgc.study.job import Job, Level, run_job
from jgc.study.plan import method_of, plan
from jgc.study.recipe import Recipe
from jgc.study.store import Store
from jgc.train import Checkpoint


def run_study(
    recipe: Recipe,
    folder: str | Path,
    *,
    resume: bool = False,
    seeds: int | None = None,
    report: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """Runs a recipe.

    Every (data set, model, method) compiles once and trains all its levels and seeds in one
    program. Rows are written as a job ends; a job that was killed goes on from its last checkpoint.

    Args:
        recipe: From `jgc.study.load_recipe`.
        folder: Where `results.jsonl` and checkpoints go.
        resume: Skip the rows that `folder` already holds.
        seeds: Instead of the recipe's own number.
        report: Called with a line for every finished job.

    Returns:
        All rows of the folder.

    Raises:
        ValueError: for a recipe that cannot run, or rows in `folder` without `resume`.
        OSError: if rows cannot be written; those already there stay.
    """
    recipe = recipe if seeds is None else recipe.with_seeds(seeds)
    store = Store(folder, report=report)
    if store.rows() and not resume:
        raise ValueError(f"{folder} already holds {len(store.rows())} rows: resume, or move on.")
    programs = traces = 0
    for job in jobs(recipe):
        todo = job.without(store.keys())
        if not todo.runs:
            report(f"{job.title}: all {len(job.runs)} rows are there")
            continue
        place = Path(folder) / "checkpoints" / job.title.replace(" ", "-")
        outcome = run_job(todo, dense_test=_dense_tests(store, job), folder=place)
        store.append(outcome.rows)
        Checkpoint(place, job).remove()
        programs, traces = programs + 1, traces + outcome.traces
        report(f"{job.title}: {_said(outcome.rows)}")
    report(f"{traces} compilations for {programs} (data set, model, method)")
    return store.rows()


def jobs(recipe: Recipe) -> Iterator[Job]:
    """The jobs of a recipe, in order; each data set is loaded when its turn comes.

    Args:
        recipe: From `jgc.study.load_recipe`.

    Yields:
        A `Job` for every (data set, model, method).

    Raises:
        ValueError: for an unknown data set, split, model, setting or method.

    Example:
        >>> from jgc.study import named_recipe
        >>> [job.title for job in jobs(named_recipe("quickstart").with_seeds(1))][0]
        'sbm node gcn dense'
    """
    for run in recipe.run:
        dataset = load(run.dataset, task=run.task, split=run.split)
        ready = plan(dataset, run.model, run.settings)
        for method in run.method:
            yield Job(
                dataset=dataset,
                model_name=run.model,
                plan=ready,
                method=method_of(method.name, ready.epochs, ready.finetune_epochs),
                runs=tuple(
                    (Level(*level), seed) for level in method.levels for seed in range(recipe.seeds)
                ),
            )


def _dense_tests(store: Store, job: Job) -> dict[int, float]:
    """Test scores of the dense model by seed, from the rows so far."""
    same = {"dataset": job.dataset.name, "task": job.dataset.task, "model": job.model_name}
    settings = job.plan.settings.model_dump(exclude_none=True)
    return {
        row["seed"]: row["test"]
        for row in store.rows()
        if row["method"] == "dense"
        and all(row[name] == value for name, value in same.items())
        and row["config"]["settings"] == settings
    }


def _said(rows: list[dict[str, Any]]) -> str:
    tests = [row["test"] for row in rows]
    return (
        f"{rows[0]['metric']} {sum(tests) / len(tests):.4f} over {len(rows)} lanes, compiled in "
        f"{rows[0]['compile_s']:.1f} s, ran in {rows[0]['wall_s'] * len(rows):.1f} s"
    )
