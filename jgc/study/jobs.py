"""The jobs of a recipe, and what is told before the first of them trains."""

from collections.abc import Iterator, Sequence

from jgc.data import Dataset, info, load
from jgc.models import task_of
from jgc.study.job import Job, problem_of
from jgc.study.plan import build, check_fit, plan
from jgc.study.recipe import Recipe, Run
from jgc.study.rows import did_you_mean
from jgc.train import METRICS


def jobs(recipe: Recipe, seeds: Sequence[int] | None = None) -> Iterator[Job]:
    """The jobs of a recipe, in order; each data set is loaded when its turn comes.

    Args:
        recipe: From `jgc.study.load_recipe`.
        seeds: Some of the recipe's; by default all.

    Yields:
        A `Job` for every (data set, model, method).

    Raises:
        ValueError: for an unknown data set, split, model, setting or method.

    Example:
        >>> from jgc.study import named_recipe
        >>> [job.title for job in jobs(named_recipe("quickstart").with_seeds(1))][0]
        'sbm node gcn dense'
    """
    seeds = range(recipe.seeds) if seeds is None else seeds
    for run in recipe.run:
        yield from jobs_of(run, dataset_of(run), seeds)


def dataset_of(run: Run) -> Dataset:
    """The data set of a run, with its task and split."""
    return load(run.dataset, task=_task(run), split=run.split, n_splits=run.splits)


def jobs_of(run: Run, dataset: Dataset, seeds: Sequence[int]) -> Iterator[Job]:
    """The jobs of one run of a recipe, on its data set."""
    ready = plan(dataset, run.model, run.settings)
    task = problem_of(dataset, ready)
    for method in run.method:
        yield Job(
            dataset=dataset,
            model_name=run.model,
            plan=ready,
            method=ready.method(method),
            runs=tuple((level, seed) for level in method.levels for seed in seeds),
            problem=task,
        )


def check(recipe: Recipe) -> None:
    """What cannot run is told before the first hour of training, not after it.

    First all words, which takes no time; then every data set is loaded and shown to its model.
    """
    for run in recipe.run:
        build(_task(run) or info(run.dataset).task, run.model, run.settings)
        for metric in (run.settings.metric, run.settings.choose):
            if metric not in (None, *METRICS):
                raise ValueError(f"Unknown metric `{metric}`{did_you_mean(metric, METRICS)}")
    loaded: dict[tuple, Dataset] = {}
    for run in recipe.run:
        words = run.dataset, _task(run), run.split, run.splits
        if words not in loaded:
            name, task, split, splits = words
            loaded[words] = load(name, task=task, split=split, n_splits=splits)
        check_fit(loaded[words], plan(loaded[words], run.model, run.settings))


def _task(run: Run) -> str | None:
    """The task of a run; `None` leaves it to the data set."""
    return run.task or task_of(run.model)
