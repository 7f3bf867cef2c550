import math

import pytest

from jgc.report.page import write_report
from jgc.report.paper import LEVELS, beside, paper_of, published
from jgc.study.store import Store

PAPER = "2510.22058"
ROW = {"dataset": "cora", "split": "random", "task": "node", "model": "splinecnn", "seed": 0,
       "method": "global", "metric": "accuracy"}  # fmt: skip


def test_the_cells_of_the_paper_are_whole():
    cells = published(PAPER)
    assert len(cells) == 202
    for cell in cells:
        assert 0 <= cell.value <= 1 and set(cell.level) <= set(LEVELS)
        assert cell.spread is None or 0 <= cell.spread <= 0.2
    # Sums of the rows as they are printed, added by hand.
    sums = {"9": [7.97, 8.88, 9.33, 8.11], "11": [7.30, 8.61, 9.33, 7.47]}
    for table, expected in sums.items():
        rows = {id(c.row): [] for c in cells if c.row["table"] == table}
        for cell in cells:
            if id(cell.row) in rows:
                rows[id(cell.row)].append(cell.value)
        assert [math.fsum(row) for row in rows.values()] == pytest.approx(expected)


def test_a_cell_is_reached_within_its_spread_and_the_rounding_of_the_print():
    # Table 10, Cora nodes, 0.3: .90 +- .01; 0.4: .88 without a spread.
    for sparsity, test, reached in [(0.3, 0.886, "yes"), (0.3, 0.884, "no"), (0.4, 0.876, "yes"),
                                    (0.4, 0.874, "no")]:  # fmt: skip
        (table,) = beside([{**ROW, "sparsity": sparsity, "test": test}], PAPER)
        assert table.lines[0][4] == reached, (sparsity, test)


def test_sparsity_0_is_the_dense_model_and_damaged_cells_are_marked():
    rows = [{**ROW, "method": "dense", "test": 0.9}, {**ROW, "sparsity": 0.9, "test": 0.9}]
    tables = {table.title.split(",")[0]: table.lines for table in beside(rows, PAPER)}
    assert set(tables) == {"Table 2", "Table 9", "Table 10", "Table 11"}
    assert tables["Table 2"][0] == ("", "90.00", "87.2 ± 0.8", "+2.80", "yes", "")
    assert tables["Table 10"][0] == ("0", "90.00", "89 ± 1", "+1.00", "yes", "")
    level, _, theirs, _, _, why = tables["Table 10"][1]
    assert (level, theirs) == ("0.9", "90 ± 1†") and "this or 0.89" in why


def test_another_metric_is_read_from_the_scores_of_a_row():
    row = {**ROW, "metric": "roc_auc", "method": "dense", "test": 0.99}
    assert beside([row], PAPER) == []
    assert beside([{**row, "scores": {"accuracy": 0.872}}], PAPER)[0].lines[0][1] == "87.20"


def test_links_are_compared_by_the_score_that_the_paper_prints():
    row = {**ROW, "task": "link", "model": "sage", "method": "dense", "metric": "roc_auc"}
    rows = [{**row, "test": 0.9, "scores": {"accuracy": 0.8}}]
    assert beside(rows, PAPER)[0].lines[0][1] == "90.00"


def test_only_the_study_of_the_paper_is_put_beside_it(tmp_path):
    rows = [{**ROW, "sparsity": 0.5, "test": 0.9, "config": {"seed": 0}}]
    for name, expected in ((f"paper-{PAPER}", True), ("quickstart", False)):
        assert (paper_of(name) is not None) == expected
        folder = tmp_path / name
        Store(folder).append(rows)
        (folder / "recipe.toml").write_text(f'name = "{name}"\n')
        write_report(folder)
        assert ("Table 10, global" in (folder / "table.md").read_text()) == expected
        assert ("Table 10, global" in (folder / "report.html").read_text()) == expected
