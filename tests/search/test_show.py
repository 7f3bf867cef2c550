"""Tables and sentences of a search, worked by hand."""

from jgc.search.budget import Budget
from jgc.search.show import front_table, missed, winner_table
from jgc.study.method import Level
from tests.search.cases import candidate


def test_the_front_tells_validation_only():
    some = [candidate(0.7, 900, level=Level(0.9, 3), method="global+qat"), candidate(0.8, 2000)]
    table = front_table(some)
    assert table.header == (
        "file",
        "val accuracy %",
        "method",
        "hidden",
        "sparsity",
        "bits",
        "seeds",
    )
    assert table.lines[0] == ("900 B", "70.00", "global+qat", "4", "0.9", "3", "1")
    assert table.lines[1] == ("2.00 kB", "80.00", "qat", "4", "", "4", "1")


def test_the_winner_beside_dense_paired_by_seed():
    dense, winner = candidate([0.8, 0.9], 40_000), candidate([0.79, 0.87], [900, 1100])
    first, second = winner_table(dense, winner).lines
    assert first[:2] == ("dense", "2") and first[4:] == ("", "40.0 kB", "1.00x")
    # Differences -1 and -3 points: mean -2, standard error 1, t(0.975, 1) = 12.706.
    assert second[4:] == ("−2.00 ± 12.71", "1.00 kB", "40.00x")


def test_the_nearest_is_told():
    near = candidate(0.7, 1500)
    said = missed(Budget(max_bytes=1000), near, 0.5)
    assert said.startswith("Nothing meets `--max-bytes 1000`. The nearest is hidden 4, qat: val 70")
    assert "500 B too large" in said
    assert "1.50 points too far" in missed(Budget(max_loss=0.5), near, 1.5)
