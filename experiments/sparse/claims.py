"""The two claims of arXiv 2209.04766, answered from the rows of its study.

Sparse training (RigL) against train-and-prune (SLR): differences of test scores paired by seed with
their 95 % intervals, and how many times the FLOPs train-and-prune takes (computed). And RigL
against masks that stay.

    python experiments/sparse/claims.py runs/paper-2209.04766
"""

import argparse
from collections import defaultdict
from pathlib import Path

from jgc.study.stats import Estimate, estimate, paired_difference
from jgc.study.store import Store

HEAD = (
    "| data | sparsity | SLR | RigL - SLR | RigL - static | FLOPs SLR / RigL |\n|---|" + 5 * "---:|"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    rows = Store(parser.parse_args().folder).rows()
    tests, flops = (by_level(rows, key) for key in ("test", "train_flops"))
    print(HEAD)
    for dataset, sparsity in sorted({where[:2] for where in tests}):
        slr, rigl, static = (
            tests.get((dataset, sparsity, m), {}) for m in ("slr", "rigl", "static")
        )
        if slr and rigl and static:
            cost = (estimate(flops[dataset, sparsity, m].values()).mean for m in ("slr", "rigl"))
            more, less = cost
            print(
                f"| {dataset} | {sparsity:g} | {shown(estimate(slr.values()))} "
                f"| {shown(paired_difference(rigl, slr))} "
                f"| {shown(paired_difference(rigl, static))} "
                f"| {more / less:.1f} |"
            )


def by_level(rows: list[dict], key: str) -> dict[tuple, dict[int, float]]:
    """`{(data set, sparsity asked for, method): {seed: value}}`."""
    found: dict[tuple, dict[int, float]] = defaultdict(dict)
    for row in rows:
        level = row["config"].get("sparsity")
        if level is not None and key in row:
            found[row["dataset"], level, row["method"]][row["seed"]] = row[key]
    return found


def shown(value: Estimate | None) -> str:
    if value is None:
        return "?"
    spread = "" if value.half_width is None else f" ± {100 * value.half_width:.2f}"
    return f"{100 * value.mean:.2f}{spread}"


if __name__ == "__main__":
    main()
