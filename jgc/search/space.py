"""The space of a search: structures, each one program, and the levels that are its lanes."""

from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import Any, NamedTuple

from jgc.study.method import Level, Method
from jgc.study.recipe import Run
from jgc.train import larger_is_better

SPARSITY = (0.5, 0.8, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99)
BITS = (2, 3, 4, 8)
# Hidden widths: the model's own over these.
_SHARES = (1, 2, 4, 8, 16)
# Values between layers take no room in a file, so they stay at 8 bits.
_PRUNED = ("global+qat", "lamp+qat", "row+qat")
_QUANTISED = {"bits": BITS, "bits_values": 8}
METHODS = {
    name: Method.checked({"name": name, "sparsity": SPARSITY, **_QUANTISED}, name)
    for name in _PRUNED
} | {"qat": Method.checked({"name": "qat", **_QUANTISED}, "qat")}


class Structure(NamedTuple):
    """What recompiles.

    Attributes:
        hidden: Width of the hidden layers.
        method: A name of `METHODS`.
    """

    hidden: int
    method: str

    def __str__(self) -> str:
        """As progress says it."""
        return f"hidden {self.hidden}, {self.method}"

    def run(self, base: Run, level: Level | None = None) -> Run:
        """The run of a recipe at all levels, or at one.

        Example:
            >>> from jgc.study.method import DENSE
            >>> base = Run(dataset="cora", model="gcn", method=(DENSE,))
            >>> run = Structure(16, "global+qat").run(base, Level(0.9, 3))
            >>> run.settings.hidden, run.method[0].sparsity, run.method[0].bits
            (16, (0.9,), (3,))
        """
        method = METHODS[self.method]
        if level is not None:
            amounts = {"sparsity": level.sparsity, "bits": level.bits}
            given = {key: () if x is None else (x,) for key, x in amounts.items()}
            method = method.model_copy(update=given)
        settings = base.settings.model_copy(update={"hidden": self.hidden})
        return base.model_copy(update={"settings": settings, "method": (method,)})


Place = tuple[Structure, Level]


class Candidate(NamedTuple):
    """A structure at a level, as its seeds measured it.

    Attributes:
        structure: What it is.
        level: How much is compressed.
        rows: Result rows, one a seed.
    """

    structure: Structure
    level: Level
    rows: tuple[Mapping[str, Any], ...]

    @property
    def place(self) -> Place:
        """What it is, whatever it measured."""
        return self.structure, self.level

    @property
    def metric(self) -> str:
        """Of its scores."""
        return self.rows[0]["metric"]

    @property
    def quality(self) -> float:
        """Mean over its seeds."""
        return fmean(map(quality, self.rows))

    @property
    def n_bytes(self) -> float:
        """Mean bytes of the file."""
        return fmean(row["bytes_file"] for row in self.rows)

    @property
    def most_bytes(self) -> int:
        """Bytes of the largest file of all seeds."""
        return max(row["bytes_file"] for row in self.rows)


def quality(row: Mapping[str, Any]) -> float:
    """The validation score of a row, an error measure below zero: larger is better.

    Example:
        >>> quality({"metric": "accuracy", "val": 0.75}), quality({"metric": "mae", "val": 2.0})
        (0.75, -2.0)
    """
    return row["val"] if larger_is_better(row["metric"]) else -row["val"]


def structures(hidden: int) -> list[Structure]:
    """All structures of a model, from the widest down.

    Args:
        hidden: The model's own width.

    Example:
        >>> sorted({each.hidden for each in structures(6)})
        [1, 3, 6]
    """
    widths = [hidden // share for share in _SHARES if hidden >= share]
    return [Structure(width, method) for width in dict.fromkeys(widths) for method in METHODS]


def front(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Those than which no other is both smaller and better, from the smallest up.

    Example:
        >>> def of(size, val):
        ...     row = {"metric": "accuracy", "val": val, "bytes_file": size}
        ...     return Candidate(Structure(4, "qat"), Level(), (row,))
        >>> [each.n_bytes for each in front([of(300, 0.8), of(200, 0.7), of(400, 0.75)])]
        [200.0, 300.0]
    """
    best: list[Candidate] = []
    for each in sorted(candidates, key=lambda c: (c.n_bytes, -c.quality)):
        if not best or each.quality > best[-1].quality:
            best.append(each)
    return best
