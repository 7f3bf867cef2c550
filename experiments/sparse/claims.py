"""The two claims of arXiv 2209.04766, answered from the rows of its study.

Sparse training (RigL) against train-and-prune (SLR): differences of test scores paired by seed with
their 95 % intervals, and how many times the FLOPs train-and-prune takes (computed). And RigL
against masks that stay, with the same budget for every layer as SLR has, and against one global
pruning of the dense model with fine-tuning. Then, for each set: RigL less masks that stay on
validation and on test, at 0.90625 and over all levels above 0.9; whether what is better on
validation is better on test, as the correlation of their means over methods and sparsities, but for
the sparsest, where some methods fail on both; and the minutes that the rows took.

    python experiments/sparse/claims.py runs/paper-2209.04766
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import correlation, mean

from rich.console import Console

from jgc.report.table import Table, print_table
from jgc.study.stats import Estimate, estimate, paired_difference
from jgc.study.store import Store

PAIRS = (("rigl", "slr"), ("rigl/uniform", "slr"), ("rigl", "static"), ("rigl", "global"))
HEAD = ("data", "sparsity", "SLR", *map(" - ".join, PAIRS), "FLOPs SLR / RigL")
HIGHEST = (0.90625, 0.9375, 0.96875)
STAYING = (
    "data", "0.90625, validation", "0.90625, test", "above 0.9, validation", "above 0.9, test",
    "r", "minutes",
)  # fmt: skip

Levels = dict[tuple[str, float, str], dict[int, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    rows = Store(parser.parse_args().folder).rows()
    tests, vals, flops = (by_level(rows, key) for key in ("test", "val", "train_flops"))
    console = Console(width=200)
    print_table(Table("", HEAD, tuple(claims(tests, flops))), console)
    names = sorted({dataset for dataset, _, _ in tests})
    lines = []
    for name in names:
        gaps = [
            shown(
                paired_difference(
                    above(of, levels, name, "rigl"), above(of, levels, name, "static")
                )
            )
            for levels in (HIGHEST[:1], HIGHEST)
            for of in (vals, tests)
        ]
        minutes = sum(row["wall_s"] for row in rows if row["dataset"] == name) / 60
        lines.append((name, *gaps, f"{agreement(vals, tests, name):.2f}", f"{minutes:.0f}"))
    print_table(Table("RigL - static", STAYING, tuple(lines)), console)


def claims(tests: Levels, flops: Levels) -> Iterator[tuple[str, ...]]:
    """A line for every data set and sparsity at which SLR and RigL were both trained."""
    for dataset, sparsity in sorted({where[:2] for where in tests}):
        seeds = {m: tests.get((dataset, sparsity, m), {}) for m in sum(PAIRS, ())}
        more, less = (
            estimate(flops.get((dataset, sparsity, m), {0: 0}).values()).mean
            for m in ("slr", "rigl")
        )
        if less:
            gaps = [shown(paired_difference(seeds[a], seeds[b])) for a, b in PAIRS]
            slr = shown(estimate(seeds["slr"].values()))
            yield (dataset, f"{sparsity:g}", slr, *gaps, f"{more / less:.1f}")


def above(of: Levels, levels: tuple[float, ...], dataset: str, method: str) -> dict[int, float]:
    """`{seed: mean over the levels}`."""
    found = [of[dataset, level, method] for level in levels]
    return {seed: mean(level[seed] for level in found) for seed in found[0]}


def agreement(vals: Levels, tests: Levels, dataset: str) -> float:
    sparsest = max(sparsity for _, sparsity, _ in vals)
    cells = [where for where in vals if where[0] == dataset and where[1] < sparsest]
    return correlation(*([mean(of[where].values()) for where in cells] for of in (vals, tests)))


def by_level(rows: list[dict], key: str) -> Levels:
    """`{(data set, sparsity asked for, method and its choices): {seed: value}}`."""
    found: Levels = defaultdict(dict)
    for row in rows:
        level = row["config"].get("sparsity")
        if level is not None and key in row:
            words = (row["method"], *filter(None, map(row["config"].get, ("after", "budget"))))
            found[row["dataset"], level, "/".join(words)][row["seed"]] = row[key]
    return found


def shown(value: Estimate | None) -> str:
    if value is None:
        return ""
    spread = "" if value.half_width is None else f" ± {100 * value.half_width:.2f}"
    return f"{100 * value.mean:.2f}{spread}"


if __name__ == "__main__":
    main()
