"""Our numbers beside a paper's, cell by cell."""

import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, NamedTuple

from jgc.report.number import metric_name, score
from jgc.report.table import MINUS, Table
from jgc.study.stats import Summary, summarise

LEVELS = ("sparsity", "bits", "l2")
# What a damaged cell of the paper's text is marked with.
DAMAGED = "\N{DAGGER}"


class Cell(NamedTuple):
    """One number that a paper prints.

    Attributes:
        row: Its row of the file, what the number is about: `dataset`, `task`, `model`, `method`,
            `metric`, and `table` and `caption` of the paper.
        level: `{"sparsity": 0.5}`, or empty.
        value: The number; fractions for accuracy.
        spread: The number after the paper's plus-minus sign, or `None`.
        damaged: What is wrong with the printed text, or `None`.
    """

    row: Mapping[str, Any]
    level: Mapping[str, float]
    value: float
    spread: float | None
    damaged: str | None


def paper_of(study: str) -> str | None:
    """The paper that a study repeats: `"2510.22058"` of `"paper-2510.22058"`; `None` for others.

    Example:
        >>> paper_of("paper-2510.22058"), paper_of("quickstart")
        ('2510.22058', None)
    """
    name = study.removeprefix("paper-")
    known = resources.files("jgc.report").joinpath("papers", f"{name}.toml").is_file()
    return name if known and name != study else None


def published(paper: str) -> list[Cell]:
    """All cells of a paper that comes with jgc.

    Args:
        paper: `"2510.22058"`.

    Example:
        >>> cell = published("2510.22058")[0]
        >>> cell.row["dataset"], cell.level, cell.value, cell.spread
        ('bbbp-pyg', {'sparsity': 0}, 0.84, 0.02)
    """
    text = resources.files("jgc.report").joinpath("papers", f"{paper}.toml").read_text("utf-8")
    cells = []
    for row in tomllib.loads(text)["row"]:
        key = next((key for key in LEVELS if key in row), None)
        for i, value in enumerate(row["value"]):
            level = {} if key is None else {key: row[key][i]}
            spread, damaged = (row.get(name, {}).get(str(i)) for name in ("spread", "damaged"))
            cells.append(Cell(row, level, value, spread, damaged))
    return cells


def beside(rows: Sequence[Mapping[str, Any]], paper: str) -> list[Table]:
    """Tables of ours and theirs for everything that both have.

    Args:
        rows: Result rows.
        paper: A paper that comes with jgc.

    Returns:
        One table for each table, data set and model of the paper. A difference is ours minus
        theirs; a cell is reached when ours is not below theirs by more than their spread and half
        a unit of the last digit that they print.
        Where their sparsity is 0, ours is the dense model. Damaged cells are marked, and what is
        wrong with them is said in the last column.

    Example:
        >>> row = {"dataset": "cora", "task": "node", "model": "splinecnn", "seed": 0,
        ...        "method": "global", "sparsity": 0.5, "metric": "accuracy", "test": 0.891}
        >>> beside([row], "2510.22058")[0].lines
        (('0.5', '89.10', '89', '+0.10', 'yes', ''),)
    """
    cells = published(paper)
    metrics = {cell.row["metric"] for cell in cells}
    ours = {name: summarise([_scored(row, name) for row in rows]) for name in metrics}
    found: dict[str, list[tuple[str, ...]]] = {}
    for cell in cells:
        those = ours[cell.row["metric"]]
        match = next((summary for summary in those if _same(summary, cell)), None)
        if match is not None:
            found.setdefault(_title(cell), []).append(_line(match, cell))
    header = ("level", "ours", "paper", "difference", "reached", f"{DAMAGED} in the paper's text")
    return [Table(title, header, tuple(lines)) for title, lines in found.items()]


def _scored(row: Mapping[str, Any], metric: str) -> dict[str, Any]:
    """The row with another of its scores in the place of the test score, where it has that one."""
    if row.get("metric") == metric or metric not in row.get("scores", {}):
        return dict(row)
    return {**row, "metric": metric, "test": row["scores"][metric]}


def _same(summary: Summary, cell: Cell) -> bool:
    group, words = summary.group, ("dataset", "task", "model", "metric")
    if "test" not in summary.values or any(group.get(w) != cell.row[w] for w in words):
        return False
    if cell.level.get("sparsity") == 0:
        return group["method"] == "dense"
    levels = {key: group[key] for key in LEVELS if key in group}
    # What a method learns (the bits of A2Q) is no level of the paper's.
    same_level = all(levels.get(key) == value for key, value in cell.level.items())
    return group["method"] == cell.row["method"] and same_level


def _title(cell: Cell) -> str:
    row = cell.row
    what = f"{row['dataset']} / {row['task']} / {row['model']}: {metric_name(row['metric'])}"
    return f"Table {row['table']}, {row['caption']}: {what}, {row['method']}"


def _line(summary: Summary, cell: Cell) -> tuple[str, ...]:
    metric, test = cell.row["metric"], summary.values["test"]
    difference = test.mean - cell.value
    width = test.half_width
    mean = score(test.mean, metric)
    theirs = f"{100 * cell.value:.3g}" + ("" if cell.spread is None else f" ± {_plain(cell)}")
    return (
        ", ".join(f"{value:g}" for value in cell.level.values()),
        mean if width is None else f"{mean} ± {score(width, metric)}",
        theirs + (DAMAGED if cell.damaged else ""),
        f"{MINUS if difference < 0 else '+'}{score(abs(difference), metric)}",
        "yes" if difference >= -(cell.spread or 0.0) - 0.005 else "no",
        cell.damaged or "",
    )


def _plain(cell: Cell) -> str:
    return f"{100 * (cell.spread or 0.0):.3g}"
