"""Tables of a study: for a terminal, for Markdown, for a spreadsheet."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from jgc.report.number import count, metric_name, n_bytes, score
from jgc.study.stats import ESTIMATED, GROUP, Estimate, Summary, summarise

ORACLE = "oracle (best test epoch)"
VALUES_ONLY = "values only (not restorable)"
MINUS = "\N{MINUS SIGN}"

# What the columns mean; printed below every table.
NOTES = (
    "test: mean and 95 % interval over seeds (Student t), at the epoch that validation chose.",
    "vs dense: test minus the dense model's, paired by seed, with its 95 % interval.",
    f"{ORACLE}: the best test score over epochs, only to compare with papers that report it.",
    "file: measured bytes of the file that restores the model, indices and scales included.",
    f"{VALUES_ONLY}: kept values without their places, as some papers count; no file.",
    "MACs, BOPs: computed, not measured. latency: measured median (and interquartile range).",
)


class Table(NamedTuple):
    """One data set, split, task and model: a line a method and level.

    Attributes:
        title: What the lines share.
        header: Names of the columns; a column that is blank in every line is left out.
        lines: Cells as text, one per column; blank where a number is unknown.
    """

    title: str
    header: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


def tables(rows: Sequence[Mapping[str, Any]]) -> list[Table]:
    """Summarises rows over their seeds, one table for each data set, split, task and model.

    Args:
        rows: Result rows (`jgc.study.rows`), of any mixture of tasks.

    Returns:
        The tables, in the order in which the rows first name them.

    Example:
        >>> row = {"dataset": "cora", "split": "public", "task": "node", "model": "gcn", "seed": 0,
        ...        "method": "global", "sparsity": 0.5, "metric": "accuracy", "test": 0.81}
        >>> tables([row])[0]
        Table(title='cora (public) / node / gcn: accuracy %',
              header=('method', 'sparsity', 'seeds', 'test'),
              lines=(('global', '0.5', '1', '81.00'),))
    """
    groups: dict[tuple[str, str], list[Summary]] = {}
    for summary in summarise(rows):
        groups.setdefault((_title(summary), summary.group.get("metric", "")), []).append(summary)
    return [_table(title, metric, members) for (title, metric), members in groups.items()]


def to_markdown(parts: Sequence[Table]) -> str:
    """The tables as Markdown, padded so that they also read well as plain text.

    Args:
        parts: What `tables` returns.

    Returns:
        Markdown that ends with a line break.

    Example:
        >>> row = {"dataset": "cora", "task": "node", "model": "gcn", "seed": 0, "method": "dense",
        ...        "metric": "accuracy", "test": 0.81}
        >>> print(to_markdown(tables([row])).splitlines()[2])
        | method | seeds |  test |
    """
    blocks = [f"## {part.title}\n\n{_markdown(part)}" for part in parts]
    return "\n\n".join([*blocks, "\n".join(f"- {note}" for note in NOTES)]) + "\n"


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Every summary as one line of CSV: raw fractions, bytes and counts, nothing rounded.

    Args:
        rows: Result rows.

    Returns:
        CSV with a header; a cell is empty where a number is unknown. `KEY`, `KEY_std`, `KEY_low`
        and `KEY_high` are mean, deviation and 95 % interval.

    Example:
        >>> row = {"dataset": "cora", "task": "node", "model": "gcn", "seed": 0, "method": "dense",
        ...        "metric": "accuracy", "test": 0.81}
        >>> to_csv([row]).splitlines()[1].startswith("cora,")
        True
    """
    out = io.StringIO()
    lines = [_csv_line(summary) for summary in summarise(rows)]
    header = list(dict.fromkeys(key for line in lines for key in line))
    writer = csv.DictWriter(out, [*GROUP, *(k for k in header if k not in GROUP)], restval="",
                            lineterminator="\n")  # fmt: skip
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue()


def print_tables(parts: Sequence[Table], console: Console) -> None:
    """Prints tables of results and what their columns mean.

    Args:
        parts: What `tables` returns.
        console: Where to print.

    Example:
        >>> print_tables([Table("cora", ("method", "test"), (("dense", "81.5"),))], Console())
        cora
        ...
    """
    for part in parts:
        print_table(part, console)
    for note in NOTES[:2] if console.is_terminal else NOTES:
        console.print(note, style="dim", markup=False, highlight=False, soft_wrap=True)


def print_table(part: Table, console: Console) -> None:
    """Prints one table: laid out for the width of a terminal, as Markdown anywhere else.

    A narrow terminal shows the columns that fit; Markdown, CSV and page have them all.

    Args:
        part: The table.
        console: Where to print.

    Example:
        >>> print_table(Table("cora", ("method", "test"), (("dense", "81.5"),)), Console())
        cora
        <BLANKLINE>
        | method | test |
        | :----- | ---: |
        | dense  | 81.5 |
        <BLANKLINE>
    """
    console.print(Text(part.title, style="bold"), soft_wrap=True)
    if not console.is_terminal:
        console.print(f"\n{_markdown(part)}\n", markup=False, highlight=False, soft_wrap=True)
        return
    part = _narrowed(part, console.width)
    table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for name, cells in _columns(part).items():
        justify = "right" if _is_numeric(cells) else "left"
        table.add_column(Text(name), justify=justify, no_wrap=True)
    for line in part.lines:
        table.add_row(*map(Text, line))
    console.print(table)


def _narrowed(part: Table, width: int) -> Table:
    """The table without as many of its less telling columns as keep it from fitting."""
    columns = _columns(part)
    for name in _LEAST_TELLING:
        needed = 2 + sum(2 + max(map(len, (key, *cells))) for key, cells in columns.items())
        if needed > width:
            columns.pop(name, None)
    return Table(part.title, tuple(columns), tuple(zip(*columns.values(), strict=True)))


def _title(summary: Summary) -> str:
    group = summary.group
    split = f" ({group['split']})" if "split" in group else ""
    settings = f" ({group['settings']})" if "settings" in group else ""
    words = (f"{group.get('dataset', '')}{split}", group.get("task", ""),
             f"{group.get('model', '')}{settings}")  # fmt: skip
    where = " / ".join(word for word in words if word)
    return f"{where}: {metric_name(group['metric'])}" if "metric" in group else where


def _table(title: str, metric: str, members: Sequence[Summary]) -> Table:
    columns = {
        name: [cell(summary, metric) for summary in members] for name, cell in _COLUMNS.items()
    }
    kept = {name: cells for name, cells in columns.items() if any(cells)}
    return Table(title, tuple(kept), tuple(zip(*kept.values(), strict=True)))


def _mean(key: str, text: Callable[[float], str]) -> Callable[[Summary, str], str]:
    def cell(summary: Summary, metric: str) -> str:
        return text(summary.values[key].mean) if key in summary.values else ""

    return cell


def _scored(key: str) -> Callable[[Summary, str], str]:
    return lambda summary, metric: interval(summary.values.get(key), metric)


def interval(estimate: Estimate | None, metric: str, sign: str = "") -> str:
    """A mean and half the width of its interval, in the unit of a metric; empty for `None`.

    Example:
        >>> interval(Estimate(0.0125, 0.01, 10, 0.01, 0.015), "accuracy", "+")
        '+1.25 ± 0.25'
    """
    if estimate is None:
        return ""
    mean = score(abs(estimate.mean), metric)
    mean = ((MINUS if estimate.mean < 0 else sign) if float(mean) else "") + mean
    width = estimate.half_width
    return mean if width is None else f"{mean} ± {score(width, metric)}"


def _latency(summary: Summary, metric: str) -> str:
    if summary.latency is None:
        return ""
    middle, spread = summary.latency
    return f"{middle:.3g}" if spread is None else f"{middle:.3g} ({spread:.2g})"


def _given(key: str) -> Callable[[Summary, str], str]:
    return lambda summary, metric: f"{summary.group[key]:g}" if key in summary.group else ""


_COLUMNS: dict[str, Callable[[Summary, str], str]] = {
    "method": lambda summary, metric: summary.group.get("method", ""),
    "sparsity": _given("sparsity"),
    "bits": _given("bits"),
    "L2": _given("l2"),
    "seeds": lambda summary, metric: str(summary.seeds),
    "val": _scored("val"),
    "test": _scored("test"),
    "vs dense": lambda summary, metric: interval(summary.difference, metric, "+"),
    ORACLE: _scored("test_oracle"),
    "file": _mean("bytes_file", n_bytes),
    "smaller": _mean("ratio", lambda ratio: f"{ratio:.2f}x"),
    VALUES_ONLY: _mean("ratio_values", lambda ratio: f"{ratio:.2f}x"),
    "MACs (computed)": _mean("macs", count),
    "BOPs (computed)": _mean("bops", count),
    "training FLOPs (computed)": _mean("train_flops", count),
    "latency ms": _latency,
}


_LEAST_TELLING = (
    VALUES_ONLY, ORACLE, "training FLOPs (computed)", "BOPs (computed)", "MACs (computed)", "val",
    "latency ms", "seeds", "file",
)  # fmt: skip


def _columns(part: Table) -> dict[str, tuple[str, ...]]:
    return {name: tuple(line[i] for line in part.lines) for i, name in enumerate(part.header)}


def _is_numeric(cells: Sequence[str]) -> bool:
    return all(cell[0].isdigit() or cell[0] in f"+{MINUS}" for cell in cells if cell)


def _markdown(part: Table) -> str:
    columns = []
    for name, cells in _columns(part).items():
        words = [_escaped(word) for word in (name, *cells)]
        width, right = max(3, *map(len, words)), _is_numeric(cells)
        words = [word.rjust(width) if right else word.ljust(width) for word in words]
        rule = "-" * (width - 1) + ":" if right else ":" + "-" * (width - 1)
        columns.append([words[0], rule, *words[1:]])
    return "\n".join(f"| {' | '.join(line)} |" for line in zip(*columns, strict=True))


def _escaped(cell: str) -> str:
    return cell.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def _csv_line(summary: Summary) -> dict[str, Any]:
    line: dict[str, Any] = {**summary.group, "seeds": summary.seeds}
    estimates = {key: summary.values.get(key) for key in (*ESTIMATED, "ratio")}
    for key, estimate in {**estimates, "difference_to_dense": summary.difference}.items():
        if estimate is not None:
            line |= {key: estimate.mean, f"{key}_std": estimate.std}
            if estimate.low is not None:
                line |= {f"{key}_low": estimate.low, f"{key}_high": estimate.high}
    if summary.latency is not None:
        line["latency_ms"], iqr = summary.latency
        line |= {} if iqr is None else {"latency_iqr_ms": iqr}
    return line
