"""`search`: the best recipe under a budget, whole fronts of lanes at a time."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from jgc import pack
from jgc.atomic import write_atomic
from jgc.search.budget import Budget, check_budget
from jgc.search.choice import Choice
from jgc.search.show import said
from jgc.search.space import Candidate, front, structures
from jgc.search.suggest import Suggestions
from jgc.search.trainer import Trainer
from jgc.study.recipe import Run
from jgc.study.store import Store


class Found(NamedTuple):
    """What a search ends with.

    Attributes:
        front: Candidates than which no other is both smaller and better, from the smallest up, over
            the seeds that each has.
        dense: The dense model, over all seeds.
        nearest: The candidate that comes nearest to the budget: the winner, where there is one.
        excess: How far it lies beyond the budget: a fraction of the bytes, or points; 0 or less
            where it meets it.
        artefact: The winner's file; `None` where nothing meets the budget.
    """

    front: list[Candidate]
    dense: Candidate
    nearest: Candidate
    excess: float
    artefact: pack.Artefact | None


def search(
    base: Run,
    budget: Budget,
    folder: str | Path,
    *,
    trials: int = 6,
    seeds: int = 10,
    seed: int = 0,
    resume: bool = False,
    report: Callable[[str], None] = print,
    status: Callable[[str], None] = lambda text: None,
) -> Found:
    """Trains structures that optuna suggests, each at all its levels at once, and takes the best.

    Only validation scores choose. While searching every lane has 3 seeds; the choice is then
    trained with all seeds and must hold with them, else the next best is tried. The folder holds
    `results.jsonl` as of a study, optuna's `search.journal`, and of the winner
    `model.safetensors` (the seed that validation likes most) and `best.toml`, which runs it again
    beside the dense model.

    Args:
        base: Data set, model, settings; its methods are not looked at.
        budget: What may be spent.
        folder: Where all files go.
        trials: Structures to train in all, those of earlier runs included, >= 1.
        seeds: Of the winner and the dense model, >= 1.
        seed: Of what is suggested; lanes have the seeds 0, 1, ... of every study.
        resume: Go on with what the folder holds.
        report: Called with a line for every structure and final.
        status: Called every few epochs with what is going on.

    Returns:
        What was `Found`.

    Raises:
        ValueError: for a budget that is none, a model that does not fit the data, rows in `folder`
            without `resume`, if no structure can be trained, or if optuna is missing.
        OSError: if a file cannot be written; rows already there stay.
    """
    check_budget(budget)
    if trials < 1 or seeds < 1:
        raise ValueError(f"`trials` and `seeds` must be >= 1, got {trials} and {seeds}.")
    folder = Path(folder)
    Store(folder, report=report).begin(resume)
    trainer = Trainer(base, folder, seeds, status)
    space = structures(trainer.hidden)
    suggestions = Suggestions(folder / "search.journal", trainer.name, space, seed)
    dense = trainer.dense()
    report(f"dense: {said(dense)}")
    choice = Choice(budget, dense, trainer, report)
    choice.look(space, suggestions, trials)
    winner = choice.settled()
    trainer.forget()
    if winner is None:
        nearest = min(choice.candidates, key=choice.excess)
        return Found(front(choice.candidates), dense, nearest, choice.excess(nearest), None)
    recipe = trainer.recipe(winner.candidate).to_toml()
    write_atomic(folder / "best.toml", f"# Found by jgc search, {budget}\n{recipe}".encode())
    artefact = pack.save(folder / "model.safetensors", **winner.artefact)
    excess = choice.excess(winner.candidate)
    return Found(front(choice.candidates), dense, winner.candidate, excess, artefact)
