"""What is compared: data sets, models, and the rules that end a training."""

from typing import Any, NamedTuple

import jgc.data
from jgc.study import Settings
from jgc.study.job import Job, problem_of
from jgc.study.method import DENSE, Level
from jgc.study.plan import plan

# Node tasks: the citation benchmarks' usual 1000 epochs with a patience of 100 (GAT, APPNP and
# GCNII wait as long). Graph tasks: the 350 epochs of GIN's authors, and the same patience.
PATIENCE = 100
EPOCHS = {"node": 1000, "graph": 350}
GRACE = 0.05
# One threshold a model, for all data sets; how each was chosen is in README.md.
THRESHOLDS = {"gcn": 8e-4, "gat": 1.5e-3, "gin": 5e-3}


class Case(NamedTuple):
    """One data set and model."""

    dataset: str
    model: str
    settings: dict[str, Any] = {}

    def rule(self, name: str, task: str) -> dict[str, Any]:
        """The settings of a rule: `full`, `patience`, `grades`, or `rebuilt` (with one rebuild)."""
        grades = {"grades_threshold": THRESHOLDS[self.model], "grades_grace": GRACE}
        return {
            "full": {},
            "patience": {"patience": PATIENCE},
            "grades": grades,
            "rebuilt": grades | {"grades_rebuilds": 1},
            "watched": {"grades_threshold": 0.0},
        }[name] | {"epochs": EPOCHS[task]}

    def job(self, rule: str, seeds: range) -> Job:
        """The training of all seeds, seed i on split i modulo their number."""
        data = jgc.data.load(self.dataset)
        ready = plan(data, self.model, Settings(**self.settings, **self.rule(rule, data.task)))
        runs = tuple((Level(), seed) for seed in seeds)
        task = problem_of(data, ready)
        return Job(data, self.model, ready, ready.method(DENSE), runs, task)


# Of experiments/real, but for the length.
MUTAG = {"hidden": 32, "layers": 5}
PROTEINS = {
    "hidden": 32, "layers": 2, "learning_rate": 0.003, "weight_decay": 1e-3, "batch_size": 128
}  # fmt: skip
CASES = [
    Case("cora", "gcn"),
    Case("citeseer", "gcn"),
    Case("cora", "gat"),
    Case("citeseer", "gat"),
    Case("mutag", "gin", MUTAG),
    Case("citeseer-npz", "gcn"),
    Case("citeseer-npz", "gat"),
    Case("chameleon", "gcn"),
    Case("proteins", "gin", PROTEINS),
]
