"""`Choice`: what a search has measured, and what of it is the best under the budget."""

from collections.abc import Callable, Collection, Iterable

from jgc import pack
from jgc.search.budget import Budget
from jgc.search.show import said
from jgc.search.space import Candidate, Place, Structure
from jgc.search.suggest import Suggestions
from jgc.search.trainer import Final, Trainer

# The best of many means over few seeds is partly luck. So many are trained with all seeds before
# the choice is among those alone.
FINALISTS = 4


class Choice:
    """Candidates as they come in; the best of those with all seeds in the end.

    Args:
        budget: What may be spent.
        dense: The dense model.
        trainer: Trains candidates.
        report: Called with a line for every structure and final.
    """

    def __init__(
        self, budget: Budget, dense: Candidate, trainer: Trainer, report: Callable[[str], None]
    ):
        self._budget, self._dense, self._trainer, self._report = budget, dense, trainer, report
        self._found: dict[Place, Candidate] = {}
        self._finals: dict[Place, Final] = {}
        self._more = 0  # Bytes of what a file says of itself, which rows do not count.

    @property
    def candidates(self) -> Collection[Candidate]:
        """All that were measured, each over the seeds that it has."""
        return self._found.values()

    def excess(self, candidate: Candidate) -> float:
        """How far a candidate lies beyond the budget; at 0 or below it meets it."""
        return self._budget.excess(candidate, self._dense.quality, self._more)

    def look(self, space: list[Structure], suggestions: Suggestions, trials: int) -> None:
        """Trains structures until there are as many as were asked for.

        Raises:
            ValueError: if none could be trained.
        """
        done = {each for each in space if self._trainer.known(each)}
        for structure in sorted(done):
            self._take_in(self._trainer.known(structure), suggestions)
        while len(done) < trials and (structure := suggestions.next(done)) is not None:
            done.add(structure)
            begin = f"{len(done)} of {trials}: {structure}"
            try:
                candidates = self._trainer.trained(structure)
            except ValueError as error:  # Such as a training that diverges at this width.
                self._report(f"{begin} is left out: {error}")
                continue
            self._take_in(candidates, suggestions)
            best = self._best(candidates)
            told = "nothing in the budget" if best is None else said(best)
            self._report(f"{begin}, {len(candidates)} levels: {told}")
        if not self._found:
            raise ValueError("No structure could be trained; the lines above say why.")

    def settled(self) -> Final | None:
        """What is the best with all seeds too; `None` if nothing is in the budget."""
        while True:
            finals = [self._found[place] for place in self._finals]
            enough = len(finals) >= FINALISTS and self._best(finals) is not None
            best = self._best(finals if enough else self.candidates)
            if best is None or best.place in self._finals:
                return None if best is None else self._finals[best.place]
            self._train_final(best)

    def _take_in(self, candidates: list[Candidate], suggestions: Suggestions) -> None:
        self._found.update((each.place, each) for each in candidates)
        suggestions.tell(candidates, map(self.excess, candidates))

    def _train_final(self, candidate: Candidate) -> None:
        final = self._trainer.final(candidate)
        self._finals[candidate.place], self._found[candidate.place] = final, final.candidate
        more = pack.file_bytes(**final.artefact) - final.candidate.rows[final.seed]["bytes_file"]
        self._more = max(self._more, more)
        self._report(f"with all seeds: {candidate.structure}: {said(final.candidate)}")

    def _best(self, candidates: Iterable[Candidate]) -> Candidate | None:
        return self._budget.best(each for each in candidates if self.excess(each) <= 0)
