import numpy as np
import pytest

from jgc.study.stats import estimate, paired_difference, summarise

# Two-sided 95 % points of Student's t, from the printed table.
T_TABLE = {1: 12.706, 2: 4.303, 4: 2.776, 9: 2.262}


def row(method, seed, test, **more):
    return {"dataset": "cora", "model": "gcn", "method": method, "seed": seed, "test": test,
            "metric": "accuracy", "config": {}, **more}  # fmt: skip


@pytest.mark.parametrize("degrees, t", T_TABLE.items())
def test_interval_is_that_of_the_printed_t_table(degrees, t):
    n = degrees + 1
    values = np.arange(n, dtype=float)
    # The variance of 0..n-1 is n (n + 1) / 12.
    half = t * (n * (n + 1) / 12) ** 0.5 / n**0.5
    found = estimate(values)
    assert (found.mean, found.n) == ((n - 1) / 2, n)
    assert found.half_width == pytest.approx(half, rel=2e-4)
    assert found.low == pytest.approx(found.mean - half, rel=1e-3, abs=1e-3)


def test_interval_agrees_with_scipy():
    stats = pytest.importorskip("scipy.stats", reason="oracle")
    x = np.random.default_rng(0).normal(0.8, 0.01, 10)
    low, high = stats.t.interval(0.95, 9, loc=x.mean(), scale=stats.sem(x))
    assert (estimate(x).low, estimate(x).high) == pytest.approx((low, high), rel=1e-12)


def test_one_value_has_no_interval_and_none_no_mean():
    assert estimate([0.5]) == (0.5, 0.0, 1, None, None) and estimate([0.5]).half_width is None
    with pytest.raises(ValueError, match="`values` is empty"):
        estimate([])


def test_paired_difference_is_narrower_than_the_two_apart():
    a, b = {0: 0.80, 1: 0.90, 2: 0.70}, {2: 0.69, 1: 0.88, 0: 0.79, 7: 0.1}
    found = paired_difference(a, b)
    # Differences .01, .02, .01: mean .04 / 3, deviation sqrt(1/3) * .01.
    assert found.mean == pytest.approx(0.04 / 3) and found.std == pytest.approx(0.01 / 3**0.5)
    assert found.half_width == pytest.approx(4.303 * found.std / 3**0.5, rel=1e-3)
    assert found.half_width < estimate(a.values()).half_width
    assert paired_difference({0: 1.0}, {1: 1.0}) is None


def test_groups_ratios_and_blanks():
    rows = [
        row("dense", 0, 0.8, bytes_dense=100, bytes_file=100),
        row("global", 0, 0.7, sparsity=0.5, bytes_dense=100, bytes_file=50, latency_ms=2.0),
        row("global", 1, 0.6, sparsity=0.5, bytes_dense=100, bytes_file=25, latency_ms=4.0),
        row("global", 2, 0.5, sparsity=0.9),
    ]
    dense, half, most = summarise(rows)
    assert [s.seeds for s in (dense, half, most)] == [1, 2, 1]
    assert half.values["ratio"].mean == 3.0 and half.values["bytes_file"].mean == 37.5
    assert half.latency == (3.0, None) and most.latency is None
    assert "sparsity" not in dense.group and "bytes_file" not in most.values
    assert dense.difference is None


def test_difference_to_dense_is_the_rows_own_else_that_of_the_same_seed():
    rows = [row("dense", 0, 0.8), row("dense", 1, 0.9), row("qat", 1, 0.85, bits=8)]
    assert summarise(rows)[1].difference.mean == pytest.approx(-0.05)
    own = summarise([*rows[:2], rows[2] | {"dense_test": 0.8}])[1].difference
    assert own.mean == pytest.approx(0.05)
    assert summarise(rows[2:])[0].difference is None
    elsewhere = [r | {"dataset": "citeseer"} for r in rows[:2]]
    assert summarise([*elsewhere, rows[2]])[-1].difference is None


def test_two_widths_of_one_model_are_two_groups():
    rows = [
        row(method, seed, 0.5 + width / 100 - (method == "qat") / 10,
            config={"settings": {"hidden": width, "layers": 2}, "method": method})
        for width in (16, 64) for method in ("dense", "qat") for seed in (0, 1)
    ]  # fmt: skip
    found = summarise(rows)
    assert [s.group["settings"] for s in found] == ["hidden=16"] * 2 + ["hidden=64"] * 2
    assert [s.seeds for s in found] == [2] * 4
    assert [found[i].difference.mean for i in (1, 3)] == pytest.approx([-0.1, -0.1])


def test_by_chooses_the_grouping():
    rows = [row("dense", 0, 0.8), row("qat", 0, 0.6, bits=4)]
    (found,) = summarise(rows, by=("dataset",))
    assert found.group == {"dataset": "cora"} and found.values["test"].mean == pytest.approx(0.7)


def test_the_folds_of_a_data_set_are_repetitions():
    rows = [row(m, i, t, split=f"fold-{i}") for m, t in (("dense", 0.75), ("qat", 0.5))
            for i in range(3)]  # fmt: skip
    dense, qat = summarise([*rows, row("dense", 0, 0.6, split="random-5")])[:2]
    assert dense.group["split"] == "fold" and (dense.seeds, qat.seeds) == (3, 3)
    assert qat.difference.mean == -0.25 and qat.difference.n == 3
    assert summarise([row("dense", 0, 0.6, split="random-5")])[0].group["split"] == "random-5"


def test_entries_of_tables_are_estimated_where_rows_have_them():
    rows = [row("global", 0, 0.5, layers={"b": 0.5, "a": 0.25}), row("global", 1, 0.5),
            row("global", 2, 0.5, layers={"b": 0.75}, bits_by_degree={"3-4": 2.0})]  # fmt: skip
    (found,) = summarise(rows)
    tables = {key: value for key, value in found.values.items() if "/" in key}
    assert {key: (value.mean, value.n) for key, value in tables.items()} == {
        "layers/b": (0.625, 2), "layers/a": (0.25, 1), "bits_by_degree/3-4": (2.0, 1),
    }  # fmt: skip
    assert [key for key in tables] == ["layers/b", "layers/a", "bits_by_degree/3-4"]
