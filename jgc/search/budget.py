"""`Budget`: what a search may spend, bytes of the file or points of the score."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from jgc.search.space import Candidate
from jgc.study.rows import FRACTION_METRICS

_UNITS = {"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "kib": 2**10, "mib": 2**20}


class Budget(NamedTuple):
    """One of the two.

    Attributes:
        max_bytes: Wanted is the best validation score whose file is that large at most.
        max_loss: Wanted is the smallest file whose validation score lies at most so many points
            under the dense model's: per cent of a fraction such as accuracy; of an error measure
            its own unit.
    """

    max_bytes: int | None = None
    max_loss: float | None = None

    def excess(self, candidate: Candidate, dense: float, more: int = 0) -> float:
        """How far a candidate lies beyond the budget; at 0 or below it meets it.

        Args:
            candidate: Measured. The largest file of its seeds counts.
            dense: Quality of the dense model, as `Candidate.quality` has it.
            more: Bytes that its file takes beyond those of its rows.

        Returns:
            A fraction of `max_bytes`, or points.
        """
        if self.max_bytes is not None:
            return (candidate.most_bytes + more) / self.max_bytes - 1
        assert self.max_loss is not None
        return loss(candidate, dense) - self.max_loss

    def best(self, candidates: Iterable[Candidate]) -> Candidate | None:
        """The one that the budget asks for, of candidates that meet it; `None` of none.

        Example:
            >>> Budget(max_bytes=4000).best([])
        """
        if self.max_bytes is not None:
            return max(candidates, key=lambda c: (c.quality, -c.n_bytes), default=None)
        return min(candidates, key=lambda c: (c.n_bytes, -c.quality), default=None)

    def __str__(self) -> str:
        """As the command line says it.

        Example:
            >>> str(Budget(max_bytes=4000)), str(Budget(max_loss=1.0))
            ('--max-bytes 4000', '--max-loss 1')
        """
        if self.max_bytes is not None:
            return f"--max-bytes {self.max_bytes}"
        return f"--max-loss {self.max_loss:g}"


def loss(candidate: Candidate, dense: float) -> float:
    """Points of validation score that a candidate lies under the dense model.

    Args:
        candidate: Measured.
        dense: Quality of the dense model.
    """
    points = 100 if candidate.metric in FRACTION_METRICS else 1
    # Scores are float32: of a difference more digits than ten mean nothing.
    return round(points * (dense - candidate.quality), 10)


def check_budget(budget: Budget) -> Budget:
    """Returns the budget if it is one.

    Raises:
        ValueError: for both limits, for neither, or for one out of its range.

    Example:
        >>> check_budget(Budget())
        Traceback (most recent call last):
            ...
        ValueError: Give one budget, `max_bytes` or `max_loss`; got neither.
    """
    given = [limit for limit in budget if limit is not None]
    if len(given) != 1:
        got = "both" if given else "neither"
        raise ValueError(f"Give one budget, `max_bytes` or `max_loss`; got {got}.")
    if budget.max_bytes is not None and budget.max_bytes < 1:
        raise ValueError(f"`max_bytes` must be >= 1, got {budget.max_bytes}.")
    if budget.max_loss is not None and not 0 <= budget.max_loss <= 100:
        raise ValueError(f"`max_loss` is in points, 0..100, got {budget.max_loss:g}.")
    return budget


def parse_bytes(text: str) -> int:
    """Reads a size such as `4kB`; k and M are 1000 and 1000000, Ki and Mi powers of 1024.

    Raises:
        ValueError: for anything else.

    Example:
        >>> parse_bytes("4kB"), parse_bytes("1.5 KiB"), parse_bytes("900")
        (4000, 1536, 900)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]*)", text.strip())
    if found is None or found[2].lower() not in _UNITS:
        raise ValueError(f"`{text}` is no size; write bytes, such as 900, 4kB or 1.5KiB.")
    return int(float(found[1]) * _UNITS[found[2].lower()])
