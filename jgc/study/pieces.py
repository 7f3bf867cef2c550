"""A study in pieces that workers do apart: some seeds of one `[[run]]`, with all its methods."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from jgc.study.jobs import jobs
from jgc.study.recipe import Recipe
from jgc.study.runner import Runner


class Piece(NamedTuple):
    """Lanes that one worker trains: methods of a run share its dense trainings, so they stay.

    Attributes:
        run: Number of the `[[run]]` in the recipe.
        seeds: Its seeds.
    """

    run: int
    seeds: tuple[int, ...]


def pieces(recipe: Recipe, n_worker: int) -> list[Piece]:
    """Cuts a study so that every worker has something to do, and no finer: a piece compiles anew.

    Args:
        recipe: What to run.
        n_worker: Number of workers, >= 1.

    Returns:
        The pieces, in the recipe's order; together all its lanes, each once.

    Example:
        >>> from jgc.study import named_recipe
        >>> recipe = named_recipe("quickstart").only("gin").with_seeds(3)
        >>> pieces(recipe, 2)
        [Piece(run=0, seeds=(0, 1)), Piece(run=0, seeds=(2,))]
    """
    n_run = len(recipe.run)
    size = math.ceil(recipe.seeds / math.ceil(n_worker / n_run))
    firsts = range(0, recipe.seeds, size)
    return [
        Piece(run, tuple(range(first, min(first + size, recipe.seeds))))
        for run in range(n_run)
        for first in firsts
    ]


def outcomes(
    recipe: Recipe, piece: Piece, done: set[str], folder: Path
) -> Iterator[list[dict[str, Any]]]:
    """Trains a piece, job by job.

    Args:
        recipe: The whole one.
        piece: Of `pieces`.
        done: Keys of rows that are there already.
        folder: For checkpoints, and rows on their way.

    Yields:
        The new rows of each job.
    """
    recipe = recipe.model_copy(update={"run": (recipe.run[piece.run],)})
    runner = Runner(folder, piece.seeds, measure=recipe.measure, report=lambda line: None)
    for job in jobs(recipe, piece.seeds):
        outcome = runner.run(job.without(done))
        if outcome is not None:
            yield outcome.rows
