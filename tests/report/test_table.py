import csv
import io

import pytest
from rich.console import Console

from jgc.report.table import ORACLE, Table, print_tables, tables, to_csv, to_markdown
from tests.report.cases import METHODS, RUNS, study

ROW = {"dataset": "cora", "split": "public", "task": "node", "model": "gcn", "metric": "accuracy"}


def rows(method, tests, **more):
    return [ROW | {"method": method, "seed": i, "test": t} | more for i, t in enumerate(tests)]


def test_cells_by_hand():
    made = rows("dense", [0.80, 0.82]) + rows(
        "global", [0.79, 0.80], sparsity=0.9, bytes_dense=92240, bytes_file=11530, macs=1.5e6,
        test_oracle=0.81, latency_ms=0.5, latency_iqr_ms=0.02,
    )  # fmt: skip
    (table,) = tables(made)
    cells = [dict(zip(table.header, line, strict=True)) for line in table.lines]
    assert table.title == "cora (public) / node / gcn: accuracy %"
    # t(0.975, 1) = 12.706; the deviation of two values d apart is d / sqrt(2), so +- 6.353 d.
    assert cells[0]["test"] == "81.00 ± 12.71" and cells[1]["test"] == "79.50 ± 6.35"
    assert cells[1]["vs dense"] == "−1.50 ± 6.35"
    assert cells[1]["file"] == "11.5 kB" and cells[1]["smaller"] == "8.00x"
    assert cells[1]["MACs (computed)"] == "1.50 M" and cells[1]["latency ms"] == "0.5 (0.02)"
    assert cells[1][ORACLE] == "81.00 ± 0.00"


def test_what_is_unknown_is_blank_and_a_column_of_blanks_is_left_out():
    (table,) = tables(rows("dense", [0.8]) + rows("qat", [0.7], bits=8, macs=10))
    assert table.header == ("method", "bits", "seeds", "test", "vs dense", "MACs (computed)")
    assert table.lines == (
        ("dense", "", "1", "80.00", "", ""),
        ("qat", "8", "1", "70.00", "−10.00", "10"),
    )


def test_one_table_a_run_and_no_mixing_of_metrics():
    made = tables(study())
    assert len(made) == len(RUNS) and all(len(t.lines) == len(METHODS) for t in made)
    assert made[2].title == "esol (random) / graph / gcn: MAE"
    assert "±" in made[2].lines[0][made[2].header.index("test")]


def test_markdown_is_a_table_whatever_the_names():
    text = to_markdown([Table("x", ("a", "b"), (("p|q\nr", "1.0"), ("", "")))])
    lines = text.splitlines()
    assert lines[2:6] == [
        "| a      |   b |", "| :----- | --: |", "| p\\|q r | 1.0 |", "|        |     |",
    ]  # fmt: skip


def test_csv_is_raw_and_complete():
    lines = list(csv.DictReader(io.StringIO(to_csv(study(seeds=3)))))
    assert len(lines) == len(RUNS) * len(METHODS)
    dense, half = lines[0], lines[1]
    assert dense["difference_to_dense"] == "" and float(half["sparsity"]) == 0.5
    assert 0.7 < float(half["test_low"]) < float(half["test"]) < float(half["test_high"]) < 1
    assert float(half["ratio"]) == pytest.approx(92_240 / round(0.56 * 92_240))


@pytest.mark.parametrize("width", [80, 100, 200])
def test_a_terminal_shows_the_columns_that_fit_and_cuts_none(width):
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width, no_color=True)
    print_tables(tables(study()), console)
    assert "…" not in out.getvalue() and "vs dense" in out.getvalue()
    assert (ORACLE in out.getvalue()) == (width == 200)


def test_no_terminal_no_colours():
    out = io.StringIO()
    print_tables(tables(study()), Console(file=out))
    assert "\x1b" not in out.getvalue() and "| global+qat |" in out.getvalue()
