"""A search as tables: the front, and the winner beside the dense model."""

from collections.abc import Sequence
from statistics import fmean

from jgc.report.number import metric_name, n_bytes, score
from jgc.report.table import Table, interval
from jgc.search.budget import Budget
from jgc.search.space import Candidate
from jgc.study.stats import Estimate, estimate, paired_difference


def front_table(front: Sequence[Candidate]) -> Table:
    """A line a candidate, from the smallest file up; validation scores only.

    Example:
        >>> from jgc.search.space import Structure
        >>> from jgc.study.method import Level
        >>> row = {"metric": "accuracy", "val": 0.805, "bytes_file": 2210}
        >>> front_table([Candidate(Structure(16, "global+qat"), Level(0.9, 3), (row,))]).lines
        (('2.21 kB', '80.50', 'global+qat', '16', '0.9', '3', '1'),)
    """
    name = metric_name(front[0].metric) if front else ""
    header = ("file", f"val {name}", "method", "hidden", "sparsity", "bits", "seeds")
    return Table("Front", header, tuple(map(_line, front)))


def _line(each: Candidate) -> tuple[str, ...]:
    sparsity, bits, _ = each.level
    return (
        n_bytes(each.n_bytes), _val(each), each.structure.method, str(each.structure.hidden),
        "" if sparsity is None else f"{sparsity:g}", "" if bits is None else str(bits),
        str(len(each.rows)),
    )  # fmt: skip


def winner_table(dense: Candidate, winner: Candidate) -> Table:
    """The winner's test score beside that of the dense model, paired by seed."""
    tests = [{row["seed"]: row["test"] for row in each.rows} for each in (winner, dense)]
    lines = _scored("dense", dense, None), _scored("winner", winner, paired_difference(*tests))
    header = ("model", "seeds", "val", "test", "vs dense", "file", "smaller")
    title = f"{dense.rows[0]['dataset']} / {dense.rows[0]['model']}: {metric_name(dense.metric)}"
    whole = fmean(row["bytes_dense"] for row in dense.rows)
    return Table(
        title,
        header,
        tuple(
            (*line, n_bytes(each.n_bytes), f"{whole / each.n_bytes:.2f}x")
            for line, each in zip(lines, (dense, winner), strict=True)
        ),
    )


def _scored(name: str, each: Candidate, difference: Estimate | None) -> tuple[str, ...]:
    columns = ([row[key] for row in each.rows] for key in ("val", "test"))
    scores = (interval(estimate(column), each.metric) for column in columns)
    return name, str(len(each.rows)), *scores, interval(difference, each.metric, "+")


def said(each: Candidate) -> str:
    """A candidate in a line: its validation score, bytes and level.

    Example:
        >>> from jgc.search.space import Structure
        >>> from jgc.study.method import Level
        >>> row = {"metric": "accuracy", "val": 0.805, "bytes_file": 2210}
        >>> said(Candidate(Structure(16, "global+qat"), Level(0.9, 3), (row,)))
        'val 80.50 in 2.21 kB (sparsity 0.9, 3 bits)'
    """
    sparsity, bits, _ = each.level
    amounts = [f"sparsity {sparsity:g}"] if sparsity is not None else []
    amounts += [f"{bits} bits"] if bits is not None else []
    level = f" ({', '.join(amounts)})" if amounts else ""
    return f"val {_val(each)} in {n_bytes(each.n_bytes)}{level}"


def missed(budget: Budget, nearest: Candidate, excess: float) -> str:
    """What to say where nothing meets the budget."""
    beyond = (
        f"{n_bytes(excess * budget.max_bytes)} too large"
        if budget.max_bytes is not None
        else f"{excess:.2f} points too far"
    )
    return (
        f"Nothing meets `{budget}`. The nearest is {nearest.structure}: {said(nearest)}, {beyond}. "
        "Allow more, or look further with `--resume --trials` and a larger number."
    )


def _val(each: Candidate) -> str:
    return score(fmean(row["val"] for row in each.rows), each.metric)
