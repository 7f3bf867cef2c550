"""The two claims of arXiv 2209.04766, answered from the rows of its study.

Sparse training (RigL) against train-and-prune (SLR): differences of test scores paired by seed with
their 95 % intervals, and how many times the FLOPs train-and-prune takes (computed). And RigL
against masks that stay, with the same budget for every layer as SLR has, and against one global
pruning of the dense model with fine-tuning. Then, for each set, whether what is better on
validation is better on test: the correlation of their means over methods and sparsities, but for
the sparsest, where some methods fail on both.

    python experiments/sparse/claims.py runs/paper-2209.04766
"""

import argparse
from collections import defaultdict
from pathlib import Path
from statistics import correlation, mean

from rich.console import Console

from jgc.report.table import Table, print_table
from jgc.study.stats import Estimate, estimate, paired_difference
from jgc.study.store import Store

PAIRS = (("rigl", "slr"), ("rigl/uniform", "slr"), ("rigl", "static"), ("rigl", "global"))
HEAD = ("data", "sparsity", "SLR", *map(" - ".join, PAIRS), "FLOPs SLR / RigL")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    rows = Store(parser.parse_args().folder).rows()
    tests, flops = (by_level(rows, key) for key in ("test", "train_flops"))
    lines = []
    for dataset, sparsity in sorted({where[:2] for where in tests}):
        seeds = {m: tests.get((dataset, sparsity, m), {}) for m in sum(PAIRS, ())}
        more, less = (
            estimate(flops.get((dataset, sparsity, m), {0: 0}).values()).mean
            for m in ("slr", "rigl")
        )
        if less:
            gaps = [shown(paired_difference(seeds[a], seeds[b])) for a, b in PAIRS]
            slr = shown(estimate(seeds["slr"].values()))
            lines.append((dataset, f"{sparsity:g}", slr, *gaps, f"{more / less:.1f}"))
    print_table(Table("", HEAD, tuple(lines)), Console(width=200))
    vals = by_level(rows, "val")
    sparsest = max(sparsity for _, sparsity, _ in vals)
    for dataset in sorted({dataset for dataset, _, _ in vals}):
        cells = [where for where in vals if where[0] == dataset and where[1] < sparsest]
        pair = [[mean(of[where].values()) for where in cells] for of in (vals, tests)]
        print(f"{dataset}: validation and test of {len(cells)} cells: r = {correlation(*pair):.2f}")


def by_level(rows: list[dict], key: str) -> dict[tuple, dict[int, float]]:
    """`{(data set, sparsity asked for, method and its choices): {seed: value}}`."""
    found: dict[tuple, dict[int, float]] = defaultdict(dict)
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
