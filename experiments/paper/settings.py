"""HGP-SL dense on PROTEINS, a line a setting, and what choosing by validation gives.

Every number is a mean over the ten splits of the mean of a split's starts; +- is the 95 % interval
of the splits. "Best start" keeps of each split's starts the one with the best validation score (the
mean of those that share it). The last lines let every split choose its setting as well as its
start, and compare the setting that validation likes best with the one that the study takes, paired
by split.

    python experiments/paper/settings.py
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import mean

from rich.console import Console

from jgc.report.table import Table, print_table
from jgc.study.stats import Estimate, estimate, paired_difference

FOLDER = Path(__file__).parent
FILES = ("hgp-sl-50.jsonl", "hgp-sl-settings.jsonl")
NAMES = ("epochs", "learning_rate", "rate_decay", "dropout", "weight_decay", "batch_size")
HEAD = ("data", "split", *NAMES, "runs", "validation", "test", "best test epoch", "best start")

Rows = list[dict]


def main() -> None:
    rows = [json.loads(line) for file in FILES for line in (FOLDER / file).open()]
    settings: dict[tuple, Rows] = defaultdict(list)
    for row in rows:
        own = row["config"]["settings"]
        settings[*place(row), *(own.get(name, "none") for name in NAMES)].append(row)
    taken = next(iter(settings))
    ranked = sorted(settings, key=lambda s: -over_splits(settings[s], "val").mean)
    console = Console(width=200)
    print_table(Table("", HEAD, tuple(line(s, settings[s]) for s in ranked)), console)
    for at in dict.fromkeys(s[:2] for s in ranked):
        own = [row for row in rows if place(row) == at]
        console.print(f"{at}: each split chooses setting and start, test {shown(chosen(own))}")
    best = next(s for s in ranked if s[1] == taken[1])
    for score in ("val", "test"):
        gap = paired_difference(*(by_split(settings[s], score) for s in (best, taken)))
        console.print(f"{best} less {taken}, {score}: {shown(gap)}")


def place(row: dict) -> tuple[str, str]:
    """Data set and kind of split."""
    return row["dataset"], row["split"].rpartition("-")[0]


def line(setting: tuple, rows: Rows) -> tuple[str, ...]:
    scores = (shown(over_splits(rows, score)) for score in ("val", "test", "test_oracle"))
    return (*map(str, setting), str(len(rows)), *scores, shown(chosen(rows)))


def of_splits(rows: Rows) -> dict[str, Rows]:
    groups = defaultdict(list)
    for row in rows:
        groups[row["split"]].append(row)
    return groups


def by_split(rows: Rows, score: str) -> dict[str, float]:
    return {split: mean(r[score] for r in own) for split, own in of_splits(rows).items()}


def over_splits(rows: Rows, score: str) -> Estimate:
    return estimate(by_split(rows, score).values())


def chosen(rows: Rows) -> Estimate:
    return estimate(mean(best_by_validation(own)) for own in of_splits(rows).values())


def best_by_validation(rows: Rows) -> Iterable[float]:
    best = max(row["val"] for row in rows)
    return [row["test"] for row in rows if row["val"] == best]


def shown(value: Estimate | None) -> str:
    assert value is not None and value.low is not None  # Ten splits are there.
    return f"{100 * value.mean:.1f} ± {100 * (value.mean - value.low):.1f}"


if __name__ == "__main__":
    main()
