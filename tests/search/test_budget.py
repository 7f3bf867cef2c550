"""Budgets by hand: what lies beyond them, what they like best, how they are written."""

import pytest

from jgc.search.budget import Budget, check_budget, loss, parse_bytes
from tests.search.cases import candidate


@pytest.mark.parametrize(
    "text, n_bytes",
    [("4kB", 4000), ("4 KB", 4000), ("512", 512), ("512B", 512), ("0.5MB", 500_000),
     ("2KiB", 2048), (" 1MiB ", 1 << 20), ("1.0001kB", 1000)],
)  # fmt: skip
def test_sizes(text, n_bytes):
    assert parse_bytes(text) == n_bytes


@pytest.mark.parametrize("text", ["", "four", "-4kB", "4 GB", "1e3", "4kB!", "nan"])
def test_what_is_no_size(text):
    with pytest.raises(ValueError, match="is no size; write bytes, such as"):
        parse_bytes(text)


def test_the_largest_file_of_all_seeds_counts_with_what_a_file_says_of_itself():
    both = candidate([0.8, 0.7], [900, 1000])
    assert Budget(max_bytes=1000).excess(both, 0.9) == 0
    assert Budget(max_bytes=1000).excess(both, 0.9, more=100) == pytest.approx(0.1)
    assert Budget(max_bytes=2000).excess(both, 0.9) == -0.5


def test_points_are_per_cent_of_fractions_and_the_unit_of_errors():
    assert loss(candidate([0.8, 0.7], 1), 0.76) == 1.0
    assert loss(candidate([2.0, 3.0], 1, metric="mae"), -2.0) == 0.5
    assert Budget(max_loss=1.0).excess(candidate([0.8, 0.7], 1), 0.76) == 0
    assert Budget(max_loss=0.25).excess(candidate(2.5, 1, metric="mae"), -2.0) == 0.25


def test_the_best():
    small, good, large = candidate(0.7, 100), candidate(0.8, 300), candidate(0.8, 400)
    some = [small, large, good]
    assert Budget(max_bytes=1).best(some) is good
    assert Budget(max_loss=1).best(some) is small
    assert Budget(max_loss=1).best([candidate(0.7, 100), better := candidate(0.75, 100)]) is better
    errors = [candidate(2.0, 5, metric="mae"), less := candidate(1.5, 9, metric="mae")]
    assert Budget(max_bytes=1).best(errors) is less


@pytest.mark.parametrize(
    "budget, said",
    [(Budget(), "got neither"), (Budget(4000, 1.0), "got both"), (Budget(0), "must be >= 1, got 0"),
     (Budget(max_loss=-1.0), "in points, 0..100, got -1"), (Budget(max_loss=float("nan")), "nan")],
)  # fmt: skip
def test_what_is_no_budget(budget, said):
    with pytest.raises(ValueError, match=said):
        check_budget(budget)
