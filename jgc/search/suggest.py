"""`Suggestions`: which structure to train next, from optuna, with its memory in a file."""

import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from jgc.search.space import METHODS, Candidate, Structure

# Structures drawn at random before what was measured is asked.
_AT_RANDOM = 3


class Suggestions:
    """Optuna's view of a search: every lane of a program is a trial with two values.

    The values are quality (larger is better) and bytes; the budget is a constraint. Optuna's
    tree-structured Parzen estimator proposes a point, of which the structure counts: all its levels
    are trained at once. Where that was done, one of the same width or method is taken. What is
    proposed depends on the seed and on what was told alone, so a
    search that was killed goes on as if it had never stopped.

    Args:
        path: Optuna's journal; made if it is not there.
        name: Of the study in it: searches of several models may share a file.
        space: All structures.
        seed: Of everything random.

    Raises:
        ValueError: without optuna.

    References:
        Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011, sec. 4.
        Ozaki et al., "Multiobjective Tree-Structured Parzen Estimator", JAIR 73 (2022).
    """

    def __init__(self, path: Path, name: str, space: Sequence[Structure], seed: int):
        self._optuna, self._space, self._seed = _optuna(), space, seed
        storages = self._optuna.storages
        path.parent.mkdir(parents=True, exist_ok=True)
        self._study = self._optuna.create_study(
            storage=storages.JournalStorage(storages.journal.JournalFileBackend(str(path))),
            study_name=name,
            directions=("maximize", "minimize"),
            load_if_exists=True,
        )

    def next(self, done: set[Structure]) -> Structure | None:
        """A structure that is not yet done; `None` when all are.

        The first is pruned over the whole model and quantised at a quarter of its width.
        """
        left = [each for each in self._space if each not in done]
        if not left:
            return None
        widths = sorted({each.hidden for each in self._space})
        first = Structure(widths[len(widths) // 2], "global+qat")
        if first in left:
            return first
        rng = random.Random(f"{self._seed} {len(done)}")
        if len(done) < _AT_RANDOM:
            return rng.choice(left)
        self._study.sampler = self._optuna.samplers.TPESampler(
            seed=rng.getrandbits(32), n_startup_trials=0, multivariate=True
        )
        asked = self._asked()
        if asked in left:
            return asked
        # Optuna does not know that there is no need to ask twice: one that has as much in common
        # as there can be.
        return rng.choice([each for each in left if set(each) & set(asked)] or left)

    def tell(self, candidates: Iterable[Candidate], excess: Iterable[float]) -> None:
        """Adds what was measured; what the file knows already is left out."""
        trials = self._study.get_trials(deepcopy=False)
        known = [trial.params for trial in trials if trial.values]
        for candidate, beyond in zip(candidates, excess, strict=True):
            if (params := _params(candidate)) not in known:
                self._study.add_trial(
                    self._optuna.trial.create_trial(
                        params=params,
                        distributions=self._distributions(candidate.structure.method),
                        values=(candidate.quality, candidate.n_bytes),
                        constraints={"budget": beyond},
                    )
                )

    def _asked(self) -> Structure:
        """What the sampler names; the trial only carries the question."""
        trial = self._study.ask()
        of = self._distributions("qat")
        hidden, method = (trial.suggest_categorical(key, of[key].choices) for key in _STRUCTURE)
        self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        return Structure(hidden, method)

    def _distributions(self, method: str) -> dict[str, Any]:
        words = METHODS[method]
        choices = {
            "hidden": tuple(dict.fromkeys(each.hidden for each in self._space)),
            "method": tuple(METHODS),
            "sparsity": words.sparsity,
            "bits": words.bits,
        }
        of = self._optuna.distributions.CategoricalDistribution
        return {key: of(values) for key, values in choices.items() if values}


_STRUCTURE = ("hidden", "method")


def _params(candidate: Candidate) -> dict[str, Any]:
    amounts = {"sparsity": candidate.level.sparsity, "bits": candidate.level.bits}
    given = {key: amount for key, amount in amounts.items() if amount is not None}
    return candidate.structure._asdict() | given


def _optuna() -> ModuleType:
    try:
        import optuna
    except ImportError:
        raise ValueError(
            "A search is led by optuna, which is not installed: pip install 'jgc[search]'."
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
